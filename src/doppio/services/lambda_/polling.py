"""What lets event source mappings flow: a controller that polls queues, and finds shards of streams.

Everything is in the queue until the function has done with it: a message is deleted when it has, or
when no filter wants it. What failed appears again after its visibility timeout, and the queue's own
redrive policy ends that. So a crash at any point brings a message twice at worst.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping as Given
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.kernel.controller import Again, Controller, Key
from doppio.services.lambda_ import limits
from doppio.services.lambda_.following import find_shards
from doppio.services.lambda_.mapping_calls import acting_of, call
from doppio.services.lambda_.mapping_events import (
    events_of,
    failed_of,
    passes,
)
from doppio.services.lambda_.mapping_rules import kind_of, reports_failures
from doppio.services.lambda_.mappings import changed
from doppio.services.lambda_.records import Checkpoint, Mapping, MappingChanged, ShardChanged
from doppio.services.sqs.ports import delete, event_of, received
from doppio.wire.errors import AwsError


class Polling(Controller[Mapping]):
    """Lets mappings flow."""

    record = Mapping
    wakes_on = (MappingChanged,)
    keys_at_once = limits.MAPPINGS_AT_ONCE

    async def reconcile(self, ctx: Context, key: Key) -> Again | None:
        """One step of a mapping: to its wanted state, or batches from its source to its function."""
        mapping = await ctx.read().get(Mapping, *key)
        if mapping is None:
            return None
        ticket = ctx.ticket(changed(mapping.arn))
        if mapping.wanted == "Deleted" or mapping.state != mapping.wanted:
            return await _settle(ctx, mapping)
        if mapping.wanted == "Disabled":
            return None
        if kind_of(mapping.source) != "sqs":
            return await _find_shards(ctx, mapping)
        flow = Flow(ctx, mapping)
        polling = asyncio.ensure_future(flow.poll())
        ends = asyncio.ensure_future(ticket.wait(ctx.clock, ctx.clock.now() + timedelta(days=1)))
        try:
            # Who changes a mapping does not wait until its long poll is over.
            await asyncio.wait({polling, ends}, return_when=asyncio.FIRST_COMPLETED)
            rest = polling.result() if polling.done() else timedelta(0)
            polling.cancel()
            await flow.finish()
            return Again(at=ctx.clock.now() + rest)
        finally:
            for one in (polling, ends, *flow.running):
                one.cancel()
            await asyncio.gather(polling, ends, return_exceptions=True)


async def _find_shards(ctx: Context, mapping: Mapping) -> Again:
    """Look for the shards of a stream, which flow by themselves."""
    try:
        await find_shards(ctx, mapping)
    except AwsError:
        return Again(at=ctx.clock.now() + limits.PAUSE)
    return Again(at=ctx.clock.now() + limits.SHARDS_EVERY)


async def _settle(ctx: Context, mapping: Mapping) -> Again | None:
    """Reach the wanted state."""

    async def settle(tx: Tx) -> None:
        now = await tx.get(Mapping, mapping.account, mapping.region, mapping.id)
        if now is None or now != mapping:
            return
        place = (now.account, now.region, now.id)
        shards = await tx.list(Checkpoint, place, limit=limits.LISTED_ANY_MAX)
        if now.wanted == "Deleted":
            tx.delete(now)
            for row in shards:
                tx.delete(row)
            return
        tx.put(replace(now, state=now.wanted))
        for row in shards:
            tx.emit(ShardChanged(key=(*place, row.shard)))

    await ctx.transact(settle)
    return Again(at=ctx.clock.now())


class Flow:
    """The batches of a mapping that are on their way, some of them side by side."""

    def __init__(self, ctx: Context, mapping: Mapping) -> None:
        self._ctx = ctx
        self._mapping = mapping
        self.running: set[asyncio.Task[None]] = set()
        self._failed: BaseException | None = None
        given = mapping.given
        scaling = given.get("ScalingConfig") or {}
        self._most = min(
            scaling.get("MaximumConcurrency", limits.BATCHES_AT_ONCE), limits.BATCHES_AT_ONCE
        )
        self._size = given.get("BatchSize", limits.QUEUE_BATCH_DEFAULT)
        self._window = timedelta(seconds=given.get("MaximumBatchingWindowInSeconds", 0))

    async def poll(self) -> timedelta:
        """Take batches for as long as there are any; how long to rest before the next."""
        try:
            while True:
                self._check()
                # Asked anew each time: what the role may do can have changed, and its time ends.
                acting = await acting_of(self._ctx, self._mapping)
                messages = await received(acting, self._mapping.source, self._size, self._window)
                if messages:
                    self._begin(acting, messages)
                elif not self.running:
                    return timedelta(0)
                while len(self.running) >= self._most:
                    await asyncio.wait(self.running, return_when=asyncio.FIRST_COMPLETED)
        except AwsError:
            # The queue or the function is gone, or the role may not any more: again in a while.
            return limits.PAUSE

    def _begin(self, acting: Context, messages: Sequence[Given[str, Any]]) -> None:
        task = asyncio.ensure_future(_bring(self._ctx, acting, self._mapping, messages))
        self.running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.running.discard(task)
        if not task.cancelled():
            self._failed = self._failed or task.exception()

    async def finish(self) -> None:
        """Wait for the batches that are on their way."""
        while self.running:
            await asyncio.wait(self.running)
        self._check()

    def _check(self) -> None:
        if self._failed is not None:
            raise self._failed


async def _bring(
    ctx: Context, acting: Context, mapping: Mapping, messages: Sequence[Given[str, Any]]
) -> None:
    """Bring a batch to the function, and delete what it has done with, or nobody wants."""
    records = [event_of(one, mapping.source) for one in messages]
    wanted = [one for one in records if passes(one, mapping.given)]
    ids = {one["messageId"] for one in wanted}
    done = [one["receiptHandle"] for one in records if one["messageId"] not in ids]
    try:
        for part, payload in events_of(wanted, limits.EVENT_BYTES_MAX):
            failed = await _call(ctx, mapping, part, payload)
            done += [one["receiptHandle"] for one in part if one["messageId"] not in failed]
    except AwsError:
        # It cannot run now, or runs too often: its messages appear again.
        pass
    try:
        await delete(acting, mapping.source, done)
    except AwsError:
        # They appear again, too: at least once is what is promised.
        return


async def _call(
    ctx: Context, mapping: Mapping, records: Sequence[Given[str, Any]], payload: bytes
) -> set[str]:
    """Run the function once; the ids of the records with which it failed."""
    ids = [one["messageId"] for one in records]
    outcome = await call(ctx, mapping, payload)
    if outcome.error is not None:
        return set(ids)
    return failed_of(outcome.payload, ids) if reports_failures(mapping) else set()
