"""Where a table's metadata is: the one pointer that a commit moves.

Who moves it says from which version of the table (`versionToken`); of two that rest on the same
version one wins, and the other hears of a conflict.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from doppio.kernel.context import Context
from doppio.services.s3tables import replication
from doppio.services.s3tables.errors import BadRequest
from doppio.services.s3tables.files import check_there
from doppio.services.s3tables.lookup import table_of, warehouse_of
from doppio.services.s3tables.rules import location_problem
from doppio.services.s3tables.tables import check_token

if TYPE_CHECKING:
    from doppio._stubs import s3tables as w


class Locations:
    """The operations on the location of metadata."""

    async def get_table_metadata_location(
        self, ctx: Context, req: w.GetTableMetadataLocationRequest
    ) -> w.GetTableMetadataLocationResponse:
        """Where the metadata is that counts, and the token to change that with."""
        _, table = await table_of(ctx.read(), req)
        result: w.GetTableMetadataLocationResponse = {
            "versionToken": table.token,
            "warehouseLocation": f"s3://{warehouse_of(table)}",
        }
        if table.location is not None:
            result["metadataLocation"] = table.location
        return result

    async def update_table_metadata_location(
        self, ctx: Context, req: w.UpdateTableMetadataLocationRequest
    ) -> w.UpdateTableMetadataLocationResponse:
        """Let other metadata count, if the table is still as the caller has seen it."""
        _, seen = await table_of(ctx.read(), req)
        location = req["metadataLocation"]
        problem = location_problem(location, warehouse_of(seen))
        if problem is not None:
            raise BadRequest(problem)
        check_token(seen, req)
        await check_there(ctx, seen, location)
        async with ctx.write() as tx:
            bucket, table = await table_of(tx, req)
            check_token(table, req)
            moved = tx.put(
                replace(
                    table,
                    location=location,
                    token=ctx.new_id(),
                    modified_at=ctx.now,
                    modified_by=ctx.account,
                )
            )
            await replication.begin(tx, bucket, moved)
        return {
            "name": req["name"],
            "tableARN": moved.arn,
            "namespace": [moved.namespace],
            "versionToken": moved.token,
            "metadataLocation": location,
        }
