"""How a replica becomes a table of its own: it is asked for in its own Region, and nothing is lost.

First everything comes that was under way to it; then all know in one commit that it has left. What it
wrote until then still goes to the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.kernel.jobs import Job
from doppio.services.dynamodb.access import find_table
from doppio.services.dynamodb.errors import ValidationException
from doppio.services.dynamodb.records import Outbox, Replication, Table
from doppio.services.dynamodb.replication import (
    LEGACY,
    all_members,
    close_outbox,
    depart,
    log_of,
)
from doppio.services.dynamodb.schemas import BAD
from doppio.services.dynamodb.upkeep import forget_members, settled_topic

LEAVE = "dynamodb.leave"
_PROTECTION = "DisassociationProtectionEnabled"
# What is under way is looked at so often.
_AGAIN = timedelta(seconds=1)


def is_asked(req: Mapping[str, Any]) -> bool:
    """Whether UpdateTable is about leaving, or the protection against it."""
    return _PROTECTION in req or any("Disassociate" in one for one in req.get("ReplicaUpdates", ()))


async def asked(tx: Tx, table: Table, req: Mapping[str, Any]) -> tuple[Table, bool]:
    """The table with its protection changed, or about to leave; whether it is to wait."""
    member = table.replication
    if member is None or member.strong or member.version == LEGACY:
        raise ValidationException(
            f"{BAD}Disassociation is only supported for replicas of global tables of version "
            f"2019.11.21 with multi-Region eventual consistency: TableName: {table.name}"
        )
    if req.keys() - {"TableName", "AttributeDefinitions", _PROTECTION} and _PROTECTION in req:
        raise ValidationException(
            f"{BAD}{_PROTECTION} cannot be combined with any other change in the same request"
        )
    if _PROTECTION in req:
        return replace(table, replication=replace(member, protected=req[_PROTECTION])), False
    updates = req["ReplicaUpdates"]
    if len(updates) > 1 or req.keys() - {"TableName", "ReplicaUpdates"}:
        raise ValidationException(
            f"{BAD}Disassociate must be the only update in the request: TableName: {table.name}"
        )
    if updates[0]["Disassociate"]["RegionName"] != table.region:
        raise ValidationException(
            f"{BAD}A replica can only be disassociated by a request in its own Region"
        )
    if member.protected:
        raise ValidationException(
            "Replica cannot be disassociated as it is currently protected against disassociation. "
            "Disable disassociation protection first."
        )
    await _begun(tx, table, member)
    return table, True


async def _begun(tx: Tx, table: Table, member: Replication) -> None:
    """See to it that the table leaves when all has come that is under way to it now."""
    marks = {}
    for peer in await all_members(tx, table):
        assert peer.replication is not None
        marks[peer.replication.id] = await tx.raw.log_end(log_of(peer.replication.id))
    await tx.schedule(tx.context.now, LEAVE, table.arn, id=member.id, marks=marks)


async def leave(ctx: Context, job: Job) -> None:
    """Let a replica leave, if what was under way has come; else look again soon."""

    async def step(tx: Tx) -> None:
        table = await find_table(tx, ctx, job.key)
        if (
            table is None
            or table.replication is None
            or table.replication.id != job.arguments["id"]
        ):
            return
        for peer, mark in job.arguments["marks"].items():
            outbox = await tx.get(Outbox, peer)
            if outbox is not None and outbox.cursors.get(table.region, mark) < mark:
                await tx.schedule(ctx.clock.now() + _AGAIN, LEAVE, job.key, **job.arguments)
                return
        await close_outbox(tx, table, {})
        await forget_members(tx, table, await depart(tx, table))
        tx.put(replace(table, replication=None, status="ACTIVE"))
        tx.wake(settled_topic(ctx, table.arn))

    await ctx.transact(step)
