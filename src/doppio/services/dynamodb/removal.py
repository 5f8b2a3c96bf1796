"""How a table goes: by DeleteTable, or as a replica of a table in another Region."""

from __future__ import annotations

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.services.dynamodb import backups, limits, streams
from doppio.services.dynamodb.errors import ResourceInUseException, ValidationException
from doppio.services.dynamodb.feeding import stopped
from doppio.services.dynamodb.records import Table
from doppio.services.dynamodb.replication import all_members, close_outbox
from doppio.services.dynamodb.upkeep import EMPTY

# What is done to a table that does not rest.
UNDER_WAY = {"CREATING": "created", "UPDATING": "updated", "DELETING": "deleted"}


def check_at_rest(table: Table) -> None:
    """Raise ResourceInUseException for a table that is being made, changed or deleted."""
    word = UNDER_WAY.get(table.status)
    if word is not None:
        raise ResourceInUseException(
            f"Attempt to change a resource which is still in use: Table is being {word}: "
            f"{table.name}"
        )


async def remove(ctx: Context, tx: Tx, table: Table, *, together: bool = False) -> Table:
    """The table, DELETING; its rows are cleared away once its replicas have heard all of it.

    Replicas of strong consistency go `together`.
    """
    check_at_rest(table)
    if table.replication is not None and table.replication.strong and not together:
        raise ValidationException(
            "A replica of a global table with multi-Region strong consistency cannot be deleted "
            f"alone: TableName: {table.name}"
        )
    if table.deletion_protection:
        raise ValidationException(
            "Resource cannot be deleted as it is currently protected against deletion. "
            "Disable deletion protection first."
        )
    if table.holds:
        raise ResourceInUseException(
            "Attempt to change a resource which is still in use: Table is being backed up, "
            f"restored from or exported: {table.name}"
        )
    await _check_no_source(ctx, tx, table)
    if table.stream is not None and table.stream.enabled:
        table = await streams.closed(ctx, tx, table)
    table = await stopped(tx, table)
    kept = {}
    if table.recovery is not None:
        await backups.keep_deleted(ctx, tx, table)
        kept = {"items": "kept"}
    emptying = {"id": table.id, **kept}
    if table.replication is None or not await close_outbox(tx, table, emptying):
        await tx.schedule(ctx.now + limits.SETTLE, EMPTY, table.arn, **emptying)
    return tx.put(replace(table, status="DELETING"))


async def _check_no_source(ctx: Context, tx: Tx, table: Table) -> None:
    """Raise for a replica of which others were made of late."""
    made = None if table.replication is None else table.replication.source_at
    if made is None or made + limits.SOURCE_HOLD <= ctx.now:
        return
    if any(one.status != "DELETING" for one in await all_members(tx, table)):
        raise ValidationException(
            "Replica cannot be deleted because it has acted as a source region for new replica(s) "
            "being added to the table in the last 24 hours."
        )
