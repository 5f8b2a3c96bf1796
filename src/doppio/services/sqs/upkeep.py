"""SQS's background work: messages that have outlived their retention, and emptied queues.

An expired message is invisible at once, since receiving looks at its age; clearing it away is
only for the disk and the counts.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx, row_key
from doppio.kernel.jobs import Job
from doppio.kernel.keys import pack
from doppio.kernel.records import Index, table_of
from doppio.services.sqs import fair, fifo, limits
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
    Waiting,
)

EXPIRE = "sqs.expire"
EMPTY = "sqs.empty"
DELAY = "sqs.delay"
ROWS_A_COMMIT = 500
# What is only looked at: a few milliseconds, then others have their turn.
ROWS_A_RUN = 2_000
_VISIBILITY_MAX = timedelta(seconds=limits.VISIBILITY_SECONDS_MAX)
_DELAY_MAX = timedelta(seconds=limits.DELAY_SECONDS_MAX)


def sweep_interval(queue: Queue) -> timedelta:
    """How long expired messages may lie about: a 24th of the retention, at least a minute."""
    return max(queue.retention / 24, timedelta(minutes=1))


async def expire_job(ctx: Context, job: Job) -> None:
    """Clear a queue's expired messages away, some a run, and come again: for the rest, or later."""
    queue = await by_arn(ctx.read(), job.key)
    if queue is None:
        return
    after = job.arguments.get("after")
    rest = await expire(ctx, queue, None if after is None else bytes.fromhex(after))

    async def again(tx: Tx) -> None:
        if await by_arn(tx, job.key) is None:
            return
        if rest is not None:
            await tx.schedule(ctx.clock.now(), EXPIRE, queue.arn, after=rest.hex())
        else:
            await tx.schedule(ctx.clock.now() + sweep_interval(queue), EXPIRE, queue.arn)

    await ctx.transact(again)


async def expire(ctx: Context, queue: Queue, after: bytes | None = None) -> bytes | None:
    """Clear away what is older than the queue keeps, beginning after a row.

    None when all of it is done; else the row after which to go on, so that others have their turn.
    """
    now = ctx.clock.now()
    before = now - queue.retention
    if queue.fifo:
        if queue.created_at >= before:
            return None  # What comes in is new here, also a dead letter: none is older.
        return await _expire_groups(ctx, queue, before, after, now)
    # A standard message is hidden for at most twelve hours at a time, so what stands later in the
    # order than that was sent too lately to have expired or will be met when it is received.
    until = min(now, before + _VISIBILITY_MAX)
    if after is not None and not after.startswith(table_of(Message).prefix + pack(queue.id)):
        after = None  # It was purged meanwhile.
    page = await ctx.read().list(
        Message, (queue.id,), until=until, after=after, limit=ROWS_A_RUN
    )  # fmt: skip
    old = [message for message in page if message.body.sent_at < before]
    for first in range(0, len(old), ROWS_A_COMMIT):
        await _remove(ctx, queue, old[first : first + ROWS_A_COMMIT])
    return row_key(page[-1]) if len(page) == ROWS_A_RUN else None


async def _expire_groups(
    ctx: Context, queue: Queue, before: datetime, after: bytes | None, now: datetime
) -> bytes | None:
    if after is not None and not after.startswith(table_of(Group).prefix + pack(queue.id)):
        after = None
    groups = await ctx.read().list(Group, (queue.id,), after=after, limit=ROWS_A_RUN)
    for group in groups:

        async def head(tx: Tx, name: str = group.group) -> int:
            # A group is in the order in which it was sent: the expired ones are its first.
            page = await tx.list(FifoMessage, (queue.id, name), limit=ROWS_A_COMMIT)
            old = [message for message in page if message.body.sent_at < before]
            for message in old:
                tx.delete(message)
            if old:
                change_count(tx, queue.id, -len(old))
                await fifo.settle(tx, queue.id, name, now)
            return len(old)

        first = await ctx.read().list(FifoMessage, (queue.id, group.group), limit=1)
        if first and first[0].body.sent_at < before:
            while await ctx.transact(head) == ROWS_A_COMMIT:
                pass
    return row_key(groups[-1]) if len(groups) == ROWS_A_RUN else None


async def _remove(ctx: Context, queue: Queue, old: list[Message]) -> None:
    async def remove(tx: Tx) -> None:
        for message in old:
            still = await tx.get(Message, message.queue, message.visible_at, message.id)
            if still is not None:
                tx.delete(still)
                fair.stands_no_more(tx, still)
                change_count(tx, queue.id, -1)
                if still.forwarded:
                    await forget_forward(tx, still)

    await ctx.transact(remove)


async def forget_forward(tx: Tx, message: Message) -> None:
    """Forget where a changed visibility has moved a message that is moved again, or gone."""
    forward = await tx.get(Forward, message.queue, message.id)
    if forward is not None:
        tx.delete(forward)


async def delay_job(ctx: Context, job: Job) -> None:
    """A FIFO queue's new delay counts for the messages that are in it already."""
    queue = await by_arn(ctx.read(), job.key)
    if queue is None or not queue.fifo:
        return
    after: bytes | None = None
    while True:
        groups = await ctx.read().list(Group, (queue.id,), after=after, limit=ROWS_A_RUN)
        for group in groups:

            async def delay(tx: Tx, name: str = group.group) -> None:
                await _delay_group(ctx, tx, job.key, name)

            await ctx.transact(delay)
        if len(groups) < ROWS_A_RUN:
            return
        after = row_key(groups[-1])


async def _delay_group(ctx: Context, tx: Tx, arn: str, name: str) -> None:
    queue = await by_arn(tx, arn)
    if queue is None:
        return
    now = ctx.clock.now()
    # What was sent longer ago than any delay lasts is not delayed any more.
    oldest = now - _DELAY_MAX
    after: bytes | None = None
    while True:
        page = await tx.list(
            FifoMessage, (queue.id, name), after=after, limit=ROWS_A_COMMIT, reverse=True
        )
        for message in page:
            if message.receives == 0 and message.body.sent_at > oldest:
                tx.put(replace(message, visible_at=message.body.sent_at + queue.delay))
        if len(page) < ROWS_A_COMMIT or page[-1].body.sent_at <= oldest:
            break
        after = row_key(page[-1])
    await fifo.settle(tx, queue.id, name, now)
    tx.wake(queue.topic)


async def empty_job(ctx: Context, job: Job) -> None:
    """Clear away everything of a deleted queue, or of a purged queue's earlier life."""
    for kind in (Message, Waiting, Forward, FifoMessage, Group):
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
