"""From a DynamoDB stream to the target: in order, from where a checkpoint says (`shard_steps`)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.kernel.shard_batches import WITHOUT_END, How
from doppio.kernel.shard_steps import step
from doppio.services.dynamodbstreams.ports import TableStream, event_of
from doppio.services.pipes import limits
from doppio.services.pipes.delivery import acting_for, bring
from doppio.services.pipes.events import passes
from doppio.services.pipes.records import Checkpoint, Pipe
from doppio.services.sqs.ports import post
from doppio.wire.errors import AwsError
from doppio.wire.timestamps import format_iso8601_millis


def parameters_of(pipe: Pipe) -> Mapping[str, Any]:
    """How a pipe reads its stream."""
    found: Mapping[str, Any] = (pipe.given.get("SourceParameters") or {}).get(
        "DynamoDBStreamParameters"
    ) or {}
    return found


def how_of(pipe: Pipe) -> How:
    """The same, with AWS's defaults."""
    given = parameters_of(pipe)
    return How(
        size=given.get("BatchSize", limits.STREAM_BATCH_DEFAULT),
        lanes=given.get("ParallelizationFactor", 1),
        window=timedelta(seconds=given.get("MaximumBatchingWindowInSeconds", 0)),
        retries=given.get("MaximumRetryAttempts", WITHOUT_END),
        age_seconds=given.get("MaximumRecordAgeInSeconds", WITHOUT_END),
        bisects="OnPartialBatchItemFailure" in given,
    )


async def begin(ctx: Context, pipe: Pipe) -> list[Checkpoint]:
    """Where a pipe starts to read at first. With LATEST that is behind all that is there now."""
    if parameters_of(pipe).get("StartingPosition") != "LATEST":
        return []
    if await ctx.read().list(Checkpoint, (pipe.account, pipe.region, pipe.name), limit=1):
        return []
    acting = await acting_for(ctx, pipe, pipe.given["Source"])
    source = TableStream(pipe.given["Source"])
    found = []
    for shard in await source.shards(acting):
        end = await source.end(acting, shard["ShardId"])
        found.append(replace(_new(pipe, shard["ShardId"]), after=end))
    return found


async def flow(ctx: Context, pipe: Pipe) -> timedelta | None:
    """Bring one window from the stream to the target; how long to rest before the next."""
    try:
        acting = await acting_for(ctx, pipe, pipe.given["Source"])
        for shard in await TableStream(pipe.given["Source"]).shards(acting):
            key = (pipe.account, pipe.region, pipe.name, shard["ShardId"])
            found = await ctx.read().get(Checkpoint, *key)
            checkpoint = found if found is not None else _new(pipe, shard["ShardId"])
            if not checkpoint.ended:
                return await _step(ctx, acting, pipe, checkpoint)
    except AwsError:
        # The stream is gone, or the role may not any more: look again in a while.
        return limits.PAUSE
    return limits.PAUSE


def _new(pipe: Pipe, shard: str) -> Checkpoint:
    return Checkpoint(account=pipe.account, region=pipe.region, pipe=pipe.name, shard=shard)


async def _step(
    ctx: Context, acting: Context, pipe: Pipe, checkpoint: Checkpoint
) -> timedelta | None:
    made = await step(ctx, acting, Following(ctx, pipe), checkpoint)
    now = replace(
        checkpoint, after=made.after, until=made.until, waiting=made.waiting, ended=made.ended
    )
    await _keep(ctx, pipe, checkpoint, now)
    return made.rest


class Following:
    """What a pipe does with the records of its stream."""

    def __init__(self, ctx: Context, pipe: Pipe) -> None:
        self._ctx = ctx
        self._pipe = pipe
        self.how = how_of(pipe)
        self.source = TableStream(pipe.given["Source"])
        self.name = pipe.arn

    def _event(self, record: Mapping[str, Any]) -> dict[str, Any]:
        return event_of(record, self._pipe.given["Source"])

    def wants(self, record: Mapping[str, Any]) -> bool:
        """Whether a filter wants a record."""
        return passes(self._event(record), self._pipe.given)

    async def bring(self, records: Sequence[Mapping[str, Any]]) -> set[int]:
        """Bring records to the target."""
        return await bring(self._ctx, self._pipe, [self._event(one) for one in records])

    async def bury(self, shard: str, records: Sequence[Mapping[str, Any]], condition: str) -> bool:
        """Tell the dead-letter queue of what is given up; False: it cannot take it just now."""
        ctx, pipe = self._ctx, self._pipe
        arn = (parameters_of(pipe).get("DeadLetterConfig") or {}).get("Arn")
        if arn is None:
            return True
        text = self._letter(shard, records, condition)
        try:
            acting = await acting_for(ctx, pipe, arn)
            await post(acting, arn, text)
        except AwsError as error:
            return error.status < 500
        return True

    def _letter(self, shard: str, records: Sequence[Mapping[str, Any]], condition: str) -> str:
        """Where the records are, which are not in the letter themselves."""
        first, last = records[0], records[-1]
        told_at = self.source.told_at
        return json.dumps(
            {
                "context": {"partnerResourceArn": self._pipe.arn, "condition": condition},
                "version": "1.0",
                "timestamp": format_iso8601_millis(self._ctx.clock.now()),
                "DDBStreamBatchInfo": {
                    "shardId": shard,
                    "startSequenceNumber": first["dynamodb"]["SequenceNumber"],
                    "endSequenceNumber": last["dynamodb"]["SequenceNumber"],
                    "approximateArrivalOfFirstRecord": format_iso8601_millis(told_at(first)),
                    "approximateArrivalOfLastRecord": format_iso8601_millis(told_at(last)),
                    "batchSize": len(records),
                    "streamArn": self._pipe.given["Source"],
                },
            }
        )


async def _keep(ctx: Context, pipe: Pipe, was: Checkpoint, now: Checkpoint) -> None:
    async def keep(tx: Tx) -> None:
        # A pipe that has gone meanwhile leaves nothing; another of its name begins by itself.
        found = await tx.get(Pipe, pipe.account, pipe.region, pipe.name)
        if found is None or found.created_at != pipe.created_at:
            return
        # Where another gateway has brought the same meanwhile, it has come further, perhaps.
        there = await tx.get(Checkpoint, was.account, was.region, was.pipe, was.shard)
        if there is None or there == was:
            tx.put(now)

    if was != now:
        await ctx.transact(keep)
