"""What is removed: lines whose days are over, and all of a group or stream that is gone.

Jobs, a bounded number of rows per commit; one that is stopped half-way goes on where it was.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from doppio.kernel.context import Context, Tx
from doppio.kernel.jobs import Job
from doppio.services.logs import limits
from doppio.services.logs.bringing import FOLLOWERS
from doppio.services.logs.lookup import milliseconds
from doppio.services.logs.records import (
    OF_STREAM,
    Batch,
    Group,
    MetricFilter,
    Stream,
    SubscriptionFilter,
    stored_key,
)

EXPIRE, PURGE, REMOVE = "logs.expire", "logs.purge", "logs.remove"


def oldest_kept(group: Group, now: int) -> int:
    """Lines from before this time are not shown any more, whether or not they are removed."""
    return 0 if group.retention_days is None else now - group.retention_days * 86_400_000


async def expire(ctx: Context, job: Job) -> None:
    """Remove the minutes of a group that are over; come again when the next one is."""
    name = str(job.arguments["named"])
    while True:

        async def some(tx: Tx) -> bool:
            group = await tx.get(Group, job.account, job.region, name)
            if group is None or group.id != job.key or group.retention_days is None:
                return False
            slot = oldest_kept(group, milliseconds(ctx.clock.now())) // limits.SLOT_MILLISECONDS
            rows = await tx.list(
                Batch, (group.id,), until=slot - 1, limit=limits.ROWS_A_REMOVAL
            )  # fmt: skip
            _drop(tx, group.id, rows)
            if len(rows) == limits.ROWS_A_REMOVAL:
                return True
            first = await tx.list(Batch, (group.id,), limit=1)
            soon = ctx.clock.now() + timedelta(days=1)
            if first:
                ends = (first[0].slot + 1) * limits.SLOT_MILLISECONDS / 1_000
                due = datetime.fromtimestamp(ends, UTC) + timedelta(days=group.retention_days)
                soon = min(max(due, ctx.clock.now() + timedelta(minutes=1)), soon)
            await tx.schedule(soon, EXPIRE, group.id, named=name)
            return False

        if not await ctx.transact(some):
            return


async def purge(ctx: Context, job: Job) -> None:
    """Remove all that a deleted group had."""

    async def some(tx: Tx) -> bool:
        batches = await tx.list(Batch, (job.key,), limit=limits.ROWS_A_REMOVAL)
        streams = await tx.list(Stream, (job.key,), limit=limits.ROWS_A_REMOVAL)
        filters = await tx.list(MetricFilter, (job.key,), limit=limits.ROWS_A_REMOVAL)
        subscribed = await tx.list(
            SubscriptionFilter, (job.key,), limit=limits.SUBSCRIPTION_FILTERS_MAX
        )
        _drop(tx, job.key, batches)
        for row in (*streams, *filters, *subscribed):
            tx.delete(row)
        for one in subscribed:
            tx.wake(f"{FOLLOWERS}/{one.follower}")
        return bool(batches or streams or filters or subscribed)

    while await ctx.transact(some):
        pass


async def remove(ctx: Context, job: Job) -> None:
    """Remove the lines of a deleted stream."""

    async def some(tx: Tx) -> bool:
        rows = await tx.find(OF_STREAM, (job.key,), limit=limits.ROWS_A_REMOVAL)
        _drop(tx, str(job.arguments["group"]), rows)
        return bool(rows)

    while await ctx.transact(some):
        pass


def _drop(tx: Tx, group: str, rows: list[Batch]) -> None:
    for row in rows:
        tx.delete(row)
    if rows:
        tx.raw.add(stored_key(group), -sum(row.size for row in rows))
