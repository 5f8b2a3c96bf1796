"""What happens to streams on the clock: changes settle, old records go, deleted streams are emptied."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from doppio.kernel.authorise import forget_resource
from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.jobs import Job
from doppio.services.kinesis import limits
from doppio.services.kinesis.lookup import find_stream, head_of
from doppio.services.kinesis.records import Consumer, Head, Kept, Stream

SETTLE = "kinesis.settle"
EMPTY = "kinesis.empty"
UPKEEP = "kinesis.upkeep"


async def settles(tx: Tx, stream: Stream) -> None:
    """Let a change that was just made come to rest."""
    await tx.schedule(tx.context.now, SETTLE, stream.arn, id=stream.id)


async def settle(ctx: Context, job: Job) -> None:
    """A stream that was made or changed is ACTIVE."""

    async def step(tx: Tx) -> None:
        stream = await _stream(tx, job)
        if stream is not None and stream.status in ("CREATING", "UPDATING"):
            tx.put(replace(stream, status="ACTIVE"))

    await ctx.transact(step)


async def upkeep(ctx: Context, job: Job) -> None:
    """Forget what is older than a stream keeps it, and shards that closed before; meter the others."""
    stream = await _stream(ctx.read(), job)
    if stream is None:
        return
    horizon = ctx.now - timedelta(hours=stream.retention_hours)
    for shard in stream.shards:
        while await _trim(ctx, stream.id, shard.number, horizon):
            pass

    async def step(tx: Tx) -> None:
        current = await _stream(tx, job)
        if current is None:
            return
        kept = []
        for shard in current.shards:
            if shard.closed_at is None or shard.closed_at > horizon:
                kept.append(shard)
            else:
                tx.delete(await head_of(tx, current, shard))
        if len(kept) < len(current.shards):
            tx.put(replace(current, shards=tuple(kept)))
        tx.context.account = current.account
        if current.mode == "PROVISIONED":
            tx.meter("Storage-ShardHour", len(current.open_shards))
        else:
            tx.meter("OnDemand-StreamHour")
        await tx.schedule(job.at + limits.UPKEEP_EVERY, UPKEEP, job.key, id=current.id)

    await ctx.transact(step)


async def empty(ctx: Context, job: Job) -> None:
    """Take away what a deleted stream held, and then the stream."""
    stream = await _stream(ctx.read(), job)
    if stream is None:
        return
    for shard in range(stream.shards_made):
        while await _trim(ctx, stream.id, shard, None):
            pass

    async def step(tx: Tx) -> None:
        current = await _stream(tx, job)
        if current is None:
            return
        for consumer in await tx.list(Consumer, (current.id,), limit=limits.CONSUMERS_MAX):
            forget_resource(tx, consumer.arn)
            tx.delete(consumer)
        for head in await tx.list(Head, (current.id,), limit=current.shards_made + 1):
            tx.delete(head)
        await tx.unschedule(UPKEEP, job.key)
        forget_resource(tx, current.arn)
        tx.delete(current)

    await ctx.transact(step)


async def _trim(ctx: Context, stream: str, shard: int, horizon: datetime | None) -> bool:
    """Forget a shard's oldest records, in one commit; whether there may be more."""

    async def step(tx: Tx) -> bool:
        rows = await tx.list(Kept, (stream, shard), limit=limits.ROWS_A_COMMIT)
        old = [row for row in rows if horizon is None or row.at <= horizon]
        if not old:
            return False
        for row in old:
            tx.delete(row)
        head = await tx.get(Head, stream, shard)
        assert head is not None, "a shard with records has a head"
        tx.put(replace(head, trimmed=old[-1].position))
        return len(old) == limits.ROWS_A_COMMIT

    return await ctx.transact(step)


async def _stream(reader: Reader, job: Job) -> Stream | None:
    stream = await find_stream(reader, job.key)
    return stream if stream is not None and stream.id == job.arguments["id"] else None
