"""SQS's background work: messages that have outlived their retention, and emptied queues.

An expired message is invisible at once, since receiving looks at its age; clearing it away is
only for the disk and the counts.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from doppio.kernel.context import Context, Tx, row_key
from doppio.kernel.jobs import Job
from doppio.kernel.records import Index
from doppio.services.sqs import fifo, limits
from doppio.services.sqs.access import by_arn
from doppio.services.sqs.counting import change_count
from doppio.services.sqs.records import (
    ATTEMPTED_UNTIL,
    REMEMBERED_UNTIL,
    FifoMessage,
    Forward,
    Group,
    Message,
    Queue,
)

EXPIRE = "sqs.expire"
EMPTY = "sqs.empty"
ROWS_A_COMMIT = 500
_VISIBILITY_MAX = timedelta(seconds=limits.VISIBILITY_SECONDS_MAX)


def sweep_interval(queue: Queue) -> timedelta:
    """How long expired messages may lie about: a 24th of the retention, at least a minute."""
    return max(queue.retention / 24, timedelta(minutes=1))


async def expire_job(ctx: Context, job: Job) -> None:
    """Clear a queue's expired messages away, and come again."""
    queue = await by_arn(ctx.read(), job.key)
    if queue is None:
        return
    await expire(ctx, queue)

    async def again(tx: Tx) -> None:
        if await by_arn(tx, job.key) is not None:
            await tx.schedule(ctx.clock.now() + sweep_interval(queue), EXPIRE, queue.arn)

    await ctx.transact(again)


async def expire(ctx: Context, queue: Queue) -> None:
    """Clear away what is older than the queue keeps."""
    now = ctx.clock.now()
    before = now - queue.retention
    kind: type[Message | FifoMessage] = FifoMessage if queue.fifo else Message
    # A standard message is hidden for at most twelve hours at a time, so what stands later in the
    # order than that was sent too lately to have expired or will be met when it is received.
    until = None if queue.fifo else min(now, before + _VISIBILITY_MAX)
    after: bytes | None = None
    while True:
        page = await ctx.read().list(
            kind, (queue.id,), until=until, after=after, limit=ROWS_A_COMMIT
        )
        old = [message for message in page if message.body.sent_at < before]
        if old:
            await _remove(ctx, queue, old, now)
        if len(page) < ROWS_A_COMMIT:
            return
        after = row_key(page[-1])


async def _remove(
    ctx: Context, queue: Queue, old: list[Message | FifoMessage], now: datetime
) -> None:
    async def remove(tx: Tx) -> None:
        for message in old:
            still: Message | FifoMessage | None
            if isinstance(message, FifoMessage):
                still = await tx.get(FifoMessage, message.queue, message.group, message.sequence)
            else:
                still = await tx.get(Message, message.queue, message.visible_at, message.id)
            if still is not None:
                tx.delete(still)
                change_count(tx, queue.id, -1)
        for group in {m.group for m in old if isinstance(m, FifoMessage)}:
            await fifo.settle(tx, queue.id, group, now)

    await ctx.transact(remove)


async def empty_job(ctx: Context, job: Job) -> None:
    """Clear away everything of a deleted queue, or of a purged queue's earlier life."""
    for kind in (Message, Forward, FifoMessage, Group):
        while await _clear(ctx, kind, job.key):
            pass
    indexes: tuple[Index[Any], ...] = (REMEMBERED_UNTIL, ATTEMPTED_UNTIL)
    for index in indexes:
        while True:
            async with ctx.write() as tx:
                found = await tx.find(index, (job.key,), limit=ROWS_A_COMMIT)
                for one in found:
                    tx.delete(one)
            if len(found) < ROWS_A_COMMIT:
                break


async def _clear(ctx: Context, kind: type[Any], queue_id: str) -> bool:
    async with ctx.write() as tx:
        found: list[Any] = await tx.list(kind, (queue_id,), limit=ROWS_A_COMMIT)
        for one in found:
            tx.delete(one)
        if kind in (Message, FifoMessage):
            change_count(tx, queue_id, -len(found))
    return len(found) == ROWS_A_COMMIT
