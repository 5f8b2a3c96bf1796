"""From a DynamoDB stream to the target: in order, from where a checkpoint says.

A window of records is read behind the checkpoint, sorted into batches, and brought to the target; then
the checkpoint moves behind the window. What failed is kept with the checkpoint, by sequence number, and
tried again before anything new is read, until its retries or its age end it: then the dead-letter
queue hears where it was. So a crash at any point brings a record twice at worst.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.services.pipes import limits
from doppio.services.pipes.batches import (
    Records,
    after_failure,
    is_exhausted,
    lanes_left,
    lanes_of,
    letter_of,
    parameters_of,
    too_old,
)
from doppio.services.pipes.delivery import acting_for, bring
from doppio.services.pipes.events import event_of_record, passes
from doppio.services.pipes.records import Checkpoint, Pipe, Waiting
from doppio.wire.errors import AwsError

_TRIMMED = "TrimmedDataAccessException"


async def begin(ctx: Context, pipe: Pipe) -> list[Checkpoint]:
    """Where a pipe starts to read at first. With LATEST that is behind all that is there now."""
    if parameters_of(pipe).get("StartingPosition") != "LATEST":
        return []
    if await ctx.read().list(Checkpoint, (pipe.account, pipe.region, pipe.name), limit=1):
        return []
    acting = await acting_for(ctx, pipe, pipe.given["Source"])
    found = []
    for shard in await _shards(acting, pipe):
        begun = _new(pipe, shard["ShardId"])
        iterator: str | None = await _iterator(acting, pipe, begun)
        while iterator is not None:
            page = await _get(acting, iterator, limits.GET_RECORDS_MAX)
            if not page["Records"]:
                break
            begun = replace(begun, after=_number(page["Records"][-1]))
            iterator = page.get("NextShardIterator")
        found.append(begun)
    return found


async def flow(ctx: Context, pipe: Pipe) -> timedelta | None:
    """Bring one window from the stream to the target; how long to rest before the next."""
    try:
        acting = await acting_for(ctx, pipe, pipe.given["Source"])
        for shard in await _shards(acting, pipe):
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
    records: dict[str, Mapping[str, Any]]
    if checkpoint.waiting:
        now = ctx.clock.now()
        lanes = lanes_left(checkpoint)
        nearest = min((lane[0].at for lane in lanes if lane[0].at is not None), default=now)
        if all(lane[0].at is not None for lane in lanes) and nearest > now:
            return nearest - now
        records = await _again(acting, pipe, checkpoint)
        until = checkpoint.until
    else:
        records, ended = await _window(acting, pipe, checkpoint)
        if not records:
            if ended:
                await _keep(ctx, pipe, checkpoint, replace(checkpoint, ended=True))
            return None if ended else limits.STREAM_POLL
        until = next(reversed(records))
        wanted = [
            number
            for number, record in records.items()
            if passes(event_of_record(record, pipe.given["Source"]), pipe.given)
        ]
        given = parameters_of(pipe)
        size = given.get("BatchSize", limits.STREAM_BATCH_DEFAULT)
        lanes = lanes_of(wanted, records, given.get("ParallelizationFactor", 1), size)
    left = await asyncio.gather(
        *(_lane(ctx, pipe, checkpoint.shard, lane, records) for lane in lanes)
    )
    waiting = [one for lane in left for one in lane]
    now_at = replace(
        checkpoint,
        after=checkpoint.after if waiting else until,
        until=until if waiting else "",
        waiting=waiting,
    )
    await _keep(ctx, pipe, checkpoint, now_at)
    return None


async def _lane(
    ctx: Context, pipe: Pipe, shard: str, lane: list[Waiting], records: Records
) -> list[Waiting]:
    """Bring the batches of a lane one behind the other; those that are left, from the first failed."""
    left = list(lane)
    bisects = "OnPartialBatchItemFailure" in parameters_of(pipe)
    while left:
        now = ctx.clock.now()
        batch = left[0]
        if batch.at is not None and batch.at > now and not is_exhausted(batch, pipe):
            return left
        # What the stream has forgotten meanwhile can be brought to nobody.
        numbers = [number for number in batch.numbers if number in records]
        batch = replace(batch, numbers=numbers)
        old = too_old(batch, records, pipe, now)
        if is_exhausted(batch, pipe):
            ended, condition = numbers, "RetryAttemptsExhausted"
        else:
            ended, condition = old, "RecordAgeExceeded"
        if ended:
            gone = [records[number] for number in ended]
            if not await _bury(ctx, pipe, shard, letter_of(pipe, shard, gone, condition, now)):
                left[0] = replace(batch, at=now + limits.PAUSE)
                return left
        batch = replace(batch, numbers=[one for one in numbers if one not in set(ended)])
        events = [event_of_record(records[one], pipe.given["Source"]) for one in batch.numbers]
        failed = await bring(ctx, pipe, events) if events else set()
        left[:1] = (
            after_failure(batch, min(failed), bisects=bisects, now=now, chance=ctx.random())
            if failed
            else []
        )
    return left


async def _bury(ctx: Context, pipe: Pipe, shard: str, text: str) -> bool:
    """Tell the dead-letter queue of what is given up; False: it cannot take it just now."""
    arn = (parameters_of(pipe).get("DeadLetterConfig") or {}).get("Arn")
    if arn is None:
        return True
    try:
        acting = await acting_for(ctx, pipe, arn)
        if arn.split(":")[2] == "sns":
            await acting.call("sns", "publish", {"TopicArn": arn, "Message": text})
        else:
            parts = arn.split(":")
            url = f"{ctx.kernel.endpoint}/{parts[4]}/{parts[5]}"
            await acting.call("sqs", "send_message", {"QueueUrl": url, "MessageBody": text})
    except AwsError as error:
        return error.status < 500
    return True


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


async def _window(
    acting: Context, pipe: Pipe, checkpoint: Checkpoint
) -> tuple[dict[str, Mapping[str, Any]], bool]:
    """The records behind the checkpoint, as many as go at once; and whether no more will come.

    Where a pipe waits for more, it waits from its first record on.
    """
    given = parameters_of(pipe)
    factor = given.get("ParallelizationFactor", 1)
    most = given.get("BatchSize", limits.STREAM_BATCH_DEFAULT) * factor
    wait = timedelta(seconds=given.get("MaximumBatchingWindowInSeconds", 0))
    found: dict[str, Mapping[str, Any]] = {}
    iterator: str | None = await _iterator(acting, pipe, checkpoint)
    until = None
    while iterator is not None and len(found) < most:
        page = await _get(acting, iterator, min(most - len(found), limits.GET_RECORDS_MAX))
        found |= {_number(record): record for record in page["Records"]}
        iterator = page.get("NextShardIterator")
        now = acting.clock.now()
        until = until or now + wait
        if not found or len(found) >= most:
            break
        if page["Records"]:
            continue
        if now >= until:
            break
        nap = acting.ticket(f"pipe-naps/{pipe.arn}")
        await nap.wait(acting.clock, min(until, now + limits.STREAM_POLL))
    return found, iterator is None


async def _again(
    acting: Context, pipe: Pipe, checkpoint: Checkpoint
) -> dict[str, Mapping[str, Any]]:
    """The records of the window that waits, once more."""
    wanted = {number for one in checkpoint.waiting for number in one.numbers}
    found: dict[str, Mapping[str, Any]] = {}
    iterator: str | None = await _iterator(acting, pipe, checkpoint)
    while iterator is not None:
        page = await _get(acting, iterator, limits.GET_RECORDS_MAX)
        for record in page["Records"]:
            if _number(record) in wanted:
                found[_number(record)] = record
        if not page["Records"] or _number(page["Records"][-1]) >= checkpoint.until:
            break
        iterator = page.get("NextShardIterator")
    return found


async def _shards(acting: Context, pipe: Pipe) -> list[Mapping[str, Any]]:
    """The stream's shards, parents before their children."""
    found: list[Mapping[str, Any]] = []
    more: dict[str, str] = {}
    while True:
        req = {"StreamArn": pipe.given["Source"], **more}
        told = (await acting.call("dynamodbstreams", "describe_stream", req))["StreamDescription"]
        found += told["Shards"]
        if "LastEvaluatedShardId" not in told:
            return found
        more = {"ExclusiveStartShardId": told["LastEvaluatedShardId"]}


async def _iterator(acting: Context, pipe: Pipe, checkpoint: Checkpoint) -> str:
    """Behind the checkpoint; where the stream has forgotten that, at its oldest record."""
    req = {"StreamArn": pipe.given["Source"], "ShardId": checkpoint.shard}
    oldest = {**req, "ShardIteratorType": "TRIM_HORIZON"}
    if checkpoint.after:
        behind = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": checkpoint.after}
        try:
            return await _ask(acting, {**req, **behind})
        except AwsError as error:
            if error.code != _TRIMMED:
                raise
    return await _ask(acting, oldest)


async def _ask(acting: Context, req: Mapping[str, str]) -> str:
    answer = await acting.call("dynamodbstreams", "get_shard_iterator", req)
    iterator: str = answer["ShardIterator"]
    return iterator


async def _get(acting: Context, iterator: str, most: int) -> dict[str, Any]:
    req = {"ShardIterator": iterator, "Limit": most}
    page: dict[str, Any] = await acting.call("dynamodbstreams", "get_records", req)
    return page


def _number(record: Mapping[str, Any]) -> str:
    number: str = record["dynamodb"]["SequenceNumber"]
    return number
