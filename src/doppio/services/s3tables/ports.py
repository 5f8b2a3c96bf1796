"""Doors to S3 Tables where AWS has no public operation: what S3 asks of a table's
data and metadata."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from doppio.kernel.context import Context
from doppio.services.s3tables.iceberg import beside, check_library, new_metadata
from doppio.services.s3tables.lookup import table_by_arn
from doppio.services.s3tables.permissions import on_table

if TYPE_CHECKING:
    from doppio.services.s3tables.file_io import Warehouse

__all__ = ["authorise_data", "beside", "check_library", "new_metadata", "warehouse"]


def warehouse(ctx: Context, name: str) -> Warehouse:
    """The files of a table as PyIceberg wants them, for a thread; it is imported here."""
    from doppio.services.s3tables.file_io import Warehouse

    return Warehouse(ctx, name, asyncio.get_running_loop())


async def authorise_data(ctx: Context, action: str, arn: str) -> str | None:
    """Raise AccessDenied unless the caller may do this with a table's data.

    Answers with the storage class in which the table's files lie, which is empty where none was said;
    None where there is no such table any more.
    """
    table = await table_by_arn(ctx.read(), arn)
    if table is None or table.gone:
        return None
    await ctx.kernel.authorise(ctx, on_table(ctx, action, table))
    return table.storage_class or ""
