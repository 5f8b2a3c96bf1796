"""What lets event source mappings follow streams: each shard by itself, in order (`shard_steps`).

The controller of mappings finds the shards and gives each a checkpoint, once its parents are read to
their end; the one here goes on from there, a step at a time.
"""

from __future__ import annotations

from collections.abc import Mapping as Given
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.kernel.controller import Again, Controller, Key
from doppio.kernel.shard_batches import WITHOUT_END, How
from doppio.kernel.shard_steps import step
from doppio.services.dynamodbstreams.ports import TableStream, event_of
from doppio.services.kinesis.ports import DataStream
from doppio.services.lambda_ import limits
from doppio.services.lambda_.mapping_calls import acting_of, call
from doppio.services.lambda_.mapping_events import (
    events_of,
    failed_of,
    passes,
    record_of_data,
    stream_letter,
)
from doppio.services.lambda_.mapping_rules import kind_of, reports_failures
from doppio.services.lambda_.records import Checkpoint, Mapping, MappingChanged, ShardChanged
from doppio.services.lambda_.running import Outcome
from doppio.services.sqs.ports import post
from doppio.wire.errors import AwsError

OK = "OK"
PROBLEM = "PROBLEM: Function call failed"


class Following(Controller[Checkpoint]):
    """Follows shards."""

    record = Checkpoint
    wakes_on = (ShardChanged,)
    keys_at_once = limits.MAPPINGS_AT_ONCE

    async def reconcile(self, ctx: Context, key: Key) -> Again | None:
        """Bring what is next in a shard to the function."""
        at = await ctx.read().get(Checkpoint, *key)
        if at is None or at.ended:
            return None
        mapping = await ctx.read().get(Mapping, at.account, at.region, at.mapping)
        if mapping is None or (mapping.wanted, mapping.state) != ("Enabled", "Enabled"):
            return None
        try:
            acting = await acting_of(ctx, mapping)
            follower = Shard(ctx, mapping, at)
            made = await step(ctx, acting, follower, at)
        except AwsError:
            # The stream or the function is gone, runs too often, or the role may not any more.
            return Again(at=ctx.clock.now() + limits.PAUSE)
        now = replace(
            at, after=made.after, until=made.until, waiting=made.waiting, ended=made.ended
        )
        await _keep(ctx, mapping, at, now, follower.result)
        return Again(at=ctx.clock.now() + (made.rest or timedelta(0)))


class Shard:
    """What a mapping does with the records of a shard."""

    def __init__(self, ctx: Context, mapping: Mapping, at: Checkpoint) -> None:
        self._ctx = ctx
        self._mapping = mapping
        self._last: Outcome | None = None
        self._kind = kind_of(mapping.source)
        self.result: str | None = None
        self.name = f"{mapping.arn}/{at.shard}"
        self.how = how_of(mapping.given)
        self.source: TableStream | DataStream = (
            TableStream(mapping.source)
            if self._kind == "dynamodb"
            else DataStream(mapping.source, at.since)
        )
        self._shard = at.shard

    def _record(self, record: Given[str, Any]) -> dict[str, Any]:
        if self._kind == "dynamodb":
            return event_of(record, self._mapping.source)
        return record_of_data(record, self._mapping.source, self._shard)

    def wants(self, record: Given[str, Any]) -> bool:
        """Whether a filter wants a record."""
        return passes(self._record(record), self._mapping.given)

    async def bring(self, records: Sequence[Given[str, Any]]) -> set[int]:
        """Run the function with records; the places of those that did not arrive."""
        told = [self._record(one) for one in records]
        done = 0
        for part, payload in events_of(told, limits.EVENT_BYTES_MAX):
            failed = await self._call(part, payload)
            if failed:
                self.result = PROBLEM
                return {done + place for place in failed}
            done += len(part)
        self.result = OK
        return set()

    async def _call(self, part: Sequence[Given[str, Any]], payload: bytes) -> set[int]:
        self._last = outcome = await call(self._ctx, self._mapping, payload)
        if outcome.error is not None:
            return set(range(len(part)))
        if not reports_failures(self._mapping):
            return set()
        numbers = [_number(one) for one in part]
        failed = failed_of(outcome.payload, numbers)
        return {place for place, number in enumerate(numbers) if number in failed}

    async def bury(self, shard: str, records: Sequence[Given[str, Any]], condition: str) -> bool:
        """Tell the destination of what is given up; False: it cannot take it just now."""
        ctx, mapping = self._ctx, self._mapping
        given = mapping.given.get("DestinationConfig") or {}
        arn = (given.get("OnFailure") or {}).get("Destination")
        if not arn:
            return True
        told = [self._record(one) for one in records]
        times = (self.source.told_at(records[0]), self.source.told_at(records[-1]))
        numbers = (_number(told[0]), _number(told[-1]))
        text = stream_letter(
            mapping, shard, numbers, times, len(records), condition=condition,
            outcome=self._last, request_id=ctx.new_id(), now=ctx.clock.now(),
        )  # fmt: skip
        try:
            acting = await acting_of(ctx, mapping)
            acting = ctx.derive(acting.caller, region=arn.split(":")[3])
            await post(acting, arn, text)
        except AwsError as error:
            return error.status < 500
        return True


def how_of(given: Given[str, Any]) -> How:
    """In which batches a mapping wants a stream's records."""
    return How(
        size=given.get("BatchSize", limits.STREAM_BATCH_DEFAULT),
        lanes=given.get("ParallelizationFactor", 1),
        window=timedelta(seconds=given.get("MaximumBatchingWindowInSeconds", 0)),
        retries=given.get("MaximumRetryAttempts", WITHOUT_END),
        age_seconds=given.get("MaximumRecordAgeInSeconds", WITHOUT_END),
        bisects=given.get("BisectBatchOnFunctionError", False),
    )


def _number(record: Given[str, Any]) -> str:
    """The sequence number of a record, as the function is told it."""
    part = record["dynamodb"]["SequenceNumber"] if "dynamodb" in record else None
    number: str = part or record["kinesis"]["sequenceNumber"]
    return number


async def find_shards(ctx: Context, mapping: Mapping) -> None:
    """Give each shard that can be read now a checkpoint. Raises AwsError."""
    acting = await acting_of(ctx, mapping)
    place = (mapping.account, mapping.region, mapping.id)
    known = {
        row.shard: row
        for row in await ctx.read().list(Checkpoint, place, limit=limits.LISTED_ANY_MAX)
    }
    kind = kind_of(mapping.source)
    source = TableStream(mapping.source) if kind == "dynamodb" else DataStream(mapping.source)
    shards = await source.shards(acting)
    there = {shard["ShardId"] for shard in shards}
    made = []
    for shard in shards:
        name = shard["ShardId"]
        parents = [shard.get("ParentShardId"), shard.get("AdjacentParentShardId")]
        unread = [
            one for one in parents
            if one in there and not (one in known and known[one].ended)
        ]  # fmt: skip
        if name in known or unread:
            continue
        row = Checkpoint(
            account=mapping.account, region=mapping.region, mapping=mapping.id, shard=name
        )
        made.append(row if known else await _first(acting, mapping, source, row))
    if not made:
        return

    async def put(tx: Tx) -> None:
        if await tx.get(Mapping, *place) is None:
            return
        for row in made:
            if await tx.get(Checkpoint, *place, row.shard) is None:
                tx.put(row)
                tx.emit(ShardChanged(key=(*place, row.shard)))

    await ctx.transact(put)


async def _first(
    acting: Context, mapping: Mapping, source: TableStream | DataStream, row: Checkpoint
) -> Checkpoint:
    """Where a mapping begins in a shard that was there when it was made."""
    position = mapping.given["StartingPosition"]
    if position == "TRIM_HORIZON":
        return row
    if isinstance(source, TableStream):
        return replace(row, after=await source.end(acting, row.shard))
    since = (
        mapping.created_at if position == "LATEST" else mapping.given["StartingPositionTimestamp"]
    )
    return replace(row, since=since)


async def _keep(
    ctx: Context, mapping: Mapping, was: Checkpoint, now: Checkpoint, result: str | None
) -> None:
    async def keep(tx: Tx) -> None:
        # A mapping that has gone meanwhile leaves nothing.
        there = await tx.get(Mapping, mapping.account, mapping.region, mapping.id)
        if there is None:
            return
        row = await tx.get(Checkpoint, was.account, was.region, was.mapping, was.shard)
        # Where another gateway has brought the same meanwhile, it has come further, perhaps.
        if row == was:
            tx.put(now)
            if now.ended:
                # What goes on where it ended can be read now.
                tx.emit(MappingChanged(key=(there.account, there.region, there.id)))
        if result is not None and there.result != result:
            tx.put(replace(there, result=result))

    if was != now or (result is not None and result != mapping.result):
        await ctx.transact(keep)
