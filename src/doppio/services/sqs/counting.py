"""How many messages a queue has: all of them in a counter, those that are hidden by looking.

A message is hidden by the clock, and comes back by the clock, so no counter can follow it. Only
hidden messages are looked at, never those that wait.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

from doppio.kernel.context import Context, Reader, Tx, index_row_key, row_key
from doppio.kernel.keys import pack
from doppio.services.sqs import limits
from doppio.services.sqs.access import REMEMBERED_MAX
from doppio.services.sqs.records import READY, FifoMessage, Group, Message, Queue

ROWS_A_READ = 1_000
# So many crowded queues are remembered; the others are counted again.
CROWDED_MAX = 1_000


@lru_cache(REMEMBERED_MAX)
def count_key(queue_id: str) -> bytes:
    """The counter of all messages in a queue, waiting or in flight."""
    return pack("sqs.count", queue_id)


def change_count(tx: Tx, queue_id: str, by: int) -> None:
    """Count messages in or out, in the commit that moves them."""
    tx.raw.add(count_key(queue_id), by)


async def total(reader: Reader, queue: Queue) -> int:
    """All messages in a queue."""
    return int(await reader.raw.counter(count_key(queue.id)))


async def hidden(reader: Reader, queue: Queue, now: datetime) -> tuple[int, int]:
    """How many messages are in flight, and how many are delayed."""
    if queue.fifo:
        return await _fifo_in_flight(reader, queue, now), await _fifo_delayed(reader, queue, now)
    in_flight = delayed = 0
    since = now + timedelta(microseconds=1)
    after: bytes | None = None
    while True:
        page = await reader.list(
            Message, (queue.id,), since=since, after=after, limit=ROWS_A_READ
        )  # fmt: skip
        taken = sum(message.receives > 0 for message in page)
        in_flight += taken
        delayed += len(page) - taken
        if len(page) < ROWS_A_READ:
            return in_flight, delayed
        after = row_key(page[-1])


async def in_flight(reader: Reader, queue: Queue, now: datetime) -> int:
    """How many messages are in flight."""
    if queue.fifo:
        return await _fifo_in_flight(reader, queue, now)
    return (await hidden(reader, queue, now))[0]


async def _fifo_in_flight(reader: Reader, queue: Queue, now: datetime) -> int:
    # A group with messages in flight is not ready, and they are its first ones.
    found = 0
    since = now + timedelta(microseconds=1)
    after: bytes | None = None
    while True:
        page = await reader.find(READY, (queue.id,), since=since, after=after, limit=ROWS_A_READ)
        for group in page:
            head = await reader.list(
                FifoMessage, (queue.id, group.group), limit=limits.RECEIVE_COUNT_MAX
            )
            found += sum(message.receives > 0 and message.visible_at > now for message in head)
        if len(page) < ROWS_A_READ:
            return found
        after = index_row_key(READY, page[-1])


async def _fifo_delayed(reader: Reader, queue: Queue, now: datetime) -> int:
    # The delay is the queue's and counts for all its messages alike: delayed are the last ones of
    # a group, and without a delay none.
    if not queue.delay:
        return 0
    found = 0
    group_after: bytes | None = None
    while True:
        groups = await reader.list(Group, (queue.id,), after=group_after, limit=ROWS_A_READ)
        for group in groups:
            after: bytes | None = None
            while True:
                page = await reader.list(
                    FifoMessage, (queue.id, group.group), after=after, limit=ROWS_A_READ,
                    reverse=True,
                )  # fmt: skip
                found += sum(one.receives == 0 and one.visible_at > now for one in page)
                if len(page) < ROWS_A_READ or page[-1].body.sent_at + queue.delay <= now:
                    break
                after = row_key(page[-1])
        if len(groups) < ROWS_A_READ:
            return found
        group_after = row_key(groups[-1])


class Crowds:
    """Which queues have as many messages in flight as they may.

    Counting is dear where it matters, so between two counts every receipt adds to what was counted.
    That is too much, since deletions are left out, and once it reaches the limit it is counted
    again. It is a hint of this process alone: beside other gateways the limit may be overshot by
    what they hand out meanwhile.
    """

    def __init__(self) -> None:
        self._at_most: WeakKeyDictionary[Any, dict[str, int]] = WeakKeyDictionary()
        # Whether there ever was one.
        self._any = False

    async def full(self, ctx: Context, tx: Tx, queue: Queue, now: datetime, most: int) -> bool:
        """Whether the queue has `most` messages in flight."""
        # Only a queue with that many messages can have that many in flight.
        if await total(tx, queue) < most:
            return False
        known = self._at_most.setdefault(ctx.kernel, {})
        if known.get(queue.id, most) >= most:
            self._any = True
            if len(known) >= CROWDED_MAX:
                known.clear()
            # Of what is durable: a transaction that had read all this would lose every race.
            known[queue.id] = await in_flight(ctx.read(), queue, now)
        return known[queue.id] >= most

    def took(self, ctx: Context, queue: Queue, count: int) -> None:
        """So many messages of the queue are handed out."""
        if self._any and self._knows(ctx, queue):
            self._at_most[ctx.kernel][queue.id] += count

    def left(self, ctx: Context, tx: Tx, queue: Queue) -> None:
        """A message is no longer in flight: who waits for room may look again."""
        if self._any and self._knows(ctx, queue):
            tx.wake(queue.topic)

    def _knows(self, ctx: Context, queue: Queue) -> bool:
        known = self._at_most.get(ctx.kernel)
        return known is not None and queue.id in known
