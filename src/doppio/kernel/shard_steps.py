"""From a shard to who follows it: in order, from where a checkpoint says.

A window of records is read behind the checkpoint, sorted into batches, and brought; then the
checkpoint moves behind the window. What failed is kept with the checkpoint, by sequence number, and
tried again before anything new is read, until its retries or its age end it: then who follows buries
it. So a crash at any point brings a record twice at worst.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

from doppio.kernel.context import Context
from doppio.kernel.shard_batches import (
    How,
    Progress,
    Records,
    Waiting,
    after_failure,
    is_exhausted,
    lanes_left,
    lanes_of,
    too_old,
)

# A stream is asked for news so often.
POLL_EVERY = timedelta(seconds=1)
GET_RECORDS_MAX = 1_000
# So long a batch waits whose burial has failed.
PAUSE = timedelta(seconds=5)


class Page(NamedTuple):
    """Records by their sequence numbers, and where to go on; None where there will be none."""

    records: dict[str, Mapping[str, Any]]
    iterator: str | None


class Source(Protocol):
    """How a service's streams are read, by its operations."""

    async def begin(self, acting: Context, shard: str, after: str) -> str:
        """An iterator behind a record; behind nothing, where the follower wants to begin."""
        ...

    async def get(self, acting: Context, iterator: str, most: int) -> Page:
        """Records behind an iterator."""
        ...

    def told_at(self, record: Mapping[str, Any]) -> datetime:
        """When a record came into the stream."""
        ...

    def key_of(self, record: Mapping[str, Any]) -> str:
        """What a record is about: those of one key keep their order."""
        ...


class Follower(Protocol):
    """Who follows a shard, and what it does with its records."""

    @property
    def how(self) -> How:
        """In which batches."""
        ...

    @property
    def source(self) -> Source:
        """From where."""
        ...

    @property
    def name(self) -> str:
        """By this its naps are known."""
        ...

    def wants(self, record: Mapping[str, Any]) -> bool:
        """Whether a record is to be brought at all."""
        ...

    async def bring(self, records: Sequence[Mapping[str, Any]]) -> set[int]:
        """Bring records, in their order; the places of those that did not arrive."""
        ...

    async def bury(self, shard: str, records: Sequence[Mapping[str, Any]], condition: str) -> bool:
        """Say that records are given up; False where nobody could be told of it just now."""
        ...


class Step(NamedTuple):
    """Where a follower stands after a step, and how long to rest before the next."""

    after: str
    until: str
    waiting: list[Waiting]
    ended: bool
    rest: timedelta | None


async def step(ctx: Context, acting: Context, follower: Follower, at: Progress) -> Step:
    """Bring one window of a shard's records, or what waits of the last one."""
    records: Records
    how = follower.how
    if at.waiting:
        now = ctx.clock.now()
        lanes = lanes_left(at.waiting)
        nearest = min((lane[0].at for lane in lanes if lane[0].at is not None), default=now)
        if all(lane[0].at is not None for lane in lanes) and nearest > now:
            return Step(at.after, at.until, at.waiting, False, nearest - now)
        records = await _again(acting, follower, at)
        until = at.until
    else:
        found, over = await _window(acting, follower, at)
        if not found:
            return Step(at.after, "", [], over, None if over else POLL_EVERY)
        records = found
        until = next(reversed(found))
        wanted = [number for number, record in found.items() if follower.wants(record)]
        key_of = follower.source.key_of
        lanes = lanes_of(wanted, how.lanes, how.size, lambda number: key_of(found[number]))
    left = await asyncio.gather(*(_lane(ctx, follower, at.shard, lane, records) for lane in lanes))
    waiting = [one for lane in left for one in lane]
    if waiting:
        return Step(at.after, until, waiting, False, None)
    return Step(until, "", [], False, None)


async def _lane(
    ctx: Context, follower: Follower, shard: str, lane: list[Waiting], records: Records
) -> list[Waiting]:
    """Bring the batches of a lane one behind the other; those that are left, from the first failed."""
    left, how = list(lane), follower.how

    def told_at(number: str) -> datetime:
        return follower.source.told_at(records[number])

    while left:
        now = ctx.clock.now()
        batch = left[0]
        if batch.at is not None and batch.at > now and not is_exhausted(batch, how):
            return left
        # What the stream has forgotten meanwhile can be brought to nobody.
        numbers = [number for number in batch.numbers if number in records]
        batch = Waiting(lane=batch.lane, numbers=numbers, tries=batch.tries, at=batch.at)
        if is_exhausted(batch, how):
            ended, condition = numbers, "RetryAttemptsExhausted"
        else:
            ended = too_old(batch, how, now, told_at)
            condition = "RecordAgeExceeded"
        if ended and not await follower.bury(shard, [records[one] for one in ended], condition):
            left[0] = Waiting(lane=batch.lane, numbers=numbers, tries=batch.tries, at=now + PAUSE)
            return left
        kept = [one for one in numbers if one not in set(ended)]
        batch = Waiting(lane=batch.lane, numbers=kept, tries=batch.tries)
        failed = await follower.bring([records[one] for one in kept]) if kept else set()
        left[:1] = (
            after_failure(
                batch, min(failed), bisects=how.bisects, now=ctx.clock.now(), chance=ctx.random()
            )
            if failed
            else []
        )
    return left


async def _window(
    acting: Context, follower: Follower, at: Progress
) -> tuple[dict[str, Mapping[str, Any]], bool]:
    """The records behind the checkpoint, as many as go at once; and whether no more will come.

    Who waits for more waits from the first record on.
    """
    how, source = follower.how, follower.source
    most = how.size * how.lanes
    found: dict[str, Mapping[str, Any]] = {}
    iterator: str | None = await source.begin(acting, at.shard, at.after)
    until = None
    while iterator is not None and len(found) < most:
        page = await source.get(acting, iterator, min(most - len(found), GET_RECORDS_MAX))
        found |= page.records
        iterator = page.iterator
        now = acting.clock.now()
        until = until or now + how.window
        if not found or len(found) >= most:
            break
        if page.records:
            continue
        if now >= until:
            break
        nap = acting.ticket(f"shard-naps/{follower.name}")
        await nap.wait(acting.clock, min(until, now + POLL_EVERY))
    return found, iterator is None


async def _again(acting: Context, follower: Follower, at: Progress) -> dict[str, Mapping[str, Any]]:
    """The records of the window that waits, once more."""
    wanted = {number for one in at.waiting for number in one.numbers}
    found: dict[str, Mapping[str, Any]] = {}
    iterator: str | None = await follower.source.begin(acting, at.shard, at.after)
    while iterator is not None:
        page = await follower.source.get(acting, iterator, GET_RECORDS_MAX)
        found |= {number: one for number, one in page.records.items() if number in wanted}
        if not page.records or next(reversed(page.records)) >= at.until:
            break
        iterator = page.iterator
    return found
