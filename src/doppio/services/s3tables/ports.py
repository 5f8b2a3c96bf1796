"""Doors to S3 Tables where AWS has no public operation: what S3 asks of a table's
data and metadata."""

from __future__ import annotations

from doppio.kernel.context import Context
from doppio.services.s3tables.iceberg import beside, check_library, new_metadata
from doppio.services.s3tables.lookup import table_by_arn
from doppio.services.s3tables.permissions import MAINTENANCE, on_table
from doppio.wire.errors import AccessDenied

__all__ = ["authorise_data", "beside", "check_library", "new_metadata"]


async def authorise_data(ctx: Context, action: str, arn: str) -> str | None:
    """Raise AccessDenied unless the caller may do this with a table's data.

    Answers with the storage class in which the table's files lie, None where none was said. S3
    Tables keeps tables in order, whatever their policies grant; what they deny, they deny to it, too.
    """
    table = await table_by_arn(ctx.read(), arn)
    if table is None or table.gone:
        raise AccessDenied("Access Denied")
    caller = ctx.caller
    own = caller.kind == "service" and caller.arn == MAINTENANCE and caller.account == table.account
    need = on_table(action, table, {})._replace(granted=own)
    await ctx.kernel.authorise(ctx, need)
    return table.storage_class
