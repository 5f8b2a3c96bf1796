"""Streams: made, described, listed, kept longer, deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader
from doppio.kernel.quotas import quota
from doppio.kernel.records import table_of
from doppio.kernel.tags import BadTags, merged
from doppio.services.kinesis import limits
from doppio.services.kinesis.consuming import list_token, retention, token_parts
from doppio.services.kinesis.errors import (
    InvalidArgumentException,
    LimitExceededException,
    ResourceInUseException,
    ValidationException,
)
from doppio.services.kinesis.lookup import (
    head_of,
    sequence_number,
    still_stream,
    stream_arn,
    stream_of,
)
from doppio.services.kinesis.records import Consumer, Shard, Stream, shard_id
from doppio.services.kinesis.shards import even, number
from doppio.services.kinesis.upkeep import EMPTY, UPKEEP, settles
from doppio.wire.errors import NotImplementedByDoppio

if TYPE_CHECKING:
    from doppio._stubs import kinesis as w

_ALL_STREAMS_MAX = 20_000


class Streams:
    """The operations on streams."""

    async def create_stream(self, ctx: Context, req: w.CreateStreamInput) -> None:
        """Make a stream. One on demand begins with four shards, and so does one of no said mode."""
        count = req.get("ShardCount")
        said = "ON_DEMAND" if count is None else "PROVISIONED"
        mode = req.get("StreamModeDetails", {}).get("StreamMode", said)
        if mode == "PROVISIONED" and count is None:
            raise ValidationException(
                "ShardCount must be specified for streams in PROVISIONED mode"
            )
        if mode == "ON_DEMAND" and count is not None:
            raise ValidationException("Cannot configure ShardCount for streams in ON_DEMAND mode")
        _check_on_demand(req, mode)
        try:
            tags = merged({}, req.get("Tags", {}))
        except BadTags as error:
            raise InvalidArgumentException(str(error)) from error
        count = count or limits.ON_DEMAND_SHARDS
        name = req["StreamName"]
        async with ctx.write() as tx:
            if await tx.get(Stream, ctx.account, ctx.region, name) is not None:
                raise ResourceInUseException(
                    f"Stream {name} under account {ctx.account} already exists."
                )
            await check_room(tx, count, mode)
            stream = tx.put(
                Stream(
                    account=ctx.account, region=ctx.region, name=name, id=ctx.new_id(),
                    status="CREATING", mode=mode, created_at=ctx.now, shards=even(count, ctx.now),
                    retention_hours=limits.RETENTION_HOURS, tags=tags,
                    record_kib=req.get("MaxRecordSizeInKiB", limits.RECORD_KIB),
                    spread=req.get("RecordDistributionStrategy", "USER_PARTITION_KEY"),
                )
            )  # fmt: skip
            await settles(tx, stream)
            await tx.schedule(ctx.now + limits.UPKEEP_EVERY, UPKEEP, stream.arn, id=stream.id)

    async def delete_stream(self, ctx: Context, req: w.DeleteStreamInput) -> None:
        """Delete a stream with all that is in it."""
        async with ctx.write() as tx:
            stream = await stream_of(tx, ctx, req)
            if stream.status == "DELETING":
                raise ResourceInUseException(
                    f"Stream {stream.name} under account {stream.account} not ACTIVE, instead in "
                    "state DELETING"
                )
            consumers = await tx.list(Consumer, (stream.id,), limit=1)
            if consumers and not req.get("EnforceConsumerDeletion"):
                raise ResourceInUseException(
                    f"Stream {stream.name} under account {stream.account} has registered consumers. "
                    "Deregister them, or set EnforceConsumerDeletion."
                )
            tx.put(replace(stream, status="DELETING"))
            await tx.schedule(ctx.now, EMPTY, stream.arn, id=stream.id)

    async def describe_stream(
        self, ctx: Context, req: w.DescribeStreamInput
    ) -> w.DescribeStreamOutput:
        """A stream with its shards, by page."""
        stream = await _at_rest(ctx, req)
        most = req.get("Limit", limits.SHARDS_A_DESCRIPTION)
        reader = ctx.read()
        shards = _behind(stream, req.get("ExclusiveStartShardId"))
        shown = {
            **_described(stream),
            "Shards": [await _shard(reader, stream, shard) for shard in shards[:most]],
            "HasMoreShards": len(shards) > most,
        }
        return {"StreamDescription": shown}  # type: ignore[typeddict-item]

    async def describe_stream_summary(
        self, ctx: Context, req: w.DescribeStreamSummaryInput
    ) -> w.DescribeStreamSummaryOutput:
        """A stream without its shards."""
        stream = await _at_rest(ctx, req)
        consumers = await ctx.read().list(Consumer, (stream.id,), limit=limits.CONSUMERS_MAX)
        shown = {
            **_described(stream),
            "OpenShardCount": len(stream.open_shards),
            "ConsumerCount": len(consumers),
            "MaxRecordSizeInKiB": stream.record_kib,
            "RecordDistributionStrategy": stream.spread,
        }
        return {"StreamDescriptionSummary": shown}  # type: ignore[typeddict-item]

    async def list_streams(self, ctx: Context, req: w.ListStreamsInput) -> w.ListStreamsOutput:
        """Streams by name, by page."""
        most = req.get("Limit", limits.STREAMS_A_PAGE)
        start = req.get("ExclusiveStartStreamName")
        if "NextToken" in req:
            start = token_parts(req["NextToken"], "streams")[0]
        after = None
        if start is not None:
            after = table_of(Stream).key_of((ctx.account, ctx.region, start))
        rows = await ctx.read().list(Stream, (ctx.account, ctx.region), after=after, limit=most + 1)
        shown: dict[str, Any] = {
            "StreamNames": [stream.name for stream in rows[:most]],
            "StreamSummaries": [_summary(stream) for stream in rows[:most]],
            "HasMoreStreams": len(rows) > most,
        }
        if len(rows) > most:
            shown["NextToken"] = list_token("streams", rows[most - 1].name)
        return shown  # type: ignore[return-value]

    async def list_shards(self, ctx: Context, req: w.ListShardsInput) -> w.ListShardsOutput:
        """Shards, by page; all that still have records, or those of a moment."""
        most = req.get("MaxResults", limits.SHARDS_A_PAGE)
        start = req.get("ExclusiveStartShardId")
        rule: dict[str, Any] = dict(req.get("ShardFilter", {}))
        if "NextToken" in req:
            if "StreamName" in req or "StreamCreationTimestamp" in req:
                raise InvalidArgumentException(
                    "NextToken and StreamName cannot be provided together."
                )
            arn, start, kind, moment = token_parts(req["NextToken"], "shards")
            req = {"StreamARN": arn}
            rule = {"Type": kind} if kind else {}
            if moment:
                rule["Timestamp"] = ctx.now.fromisoformat(moment)
        stream = await stream_of(ctx.read(), ctx, req)
        if rule.get("Type") == "AFTER_SHARD_ID":
            start, rule = rule.get("ShardId"), {}
        shards = [one for one in _behind(stream, start) if _is_asked_for(one, stream, ctx, rule)]
        reader = ctx.read()
        shown: dict[str, Any] = {
            "Shards": [await _shard(reader, stream, shard) for shard in shards[:most]]
        }
        if len(shards) > most:
            moment = rule["Timestamp"].isoformat() if "Timestamp" in rule else ""
            shown["NextToken"] = list_token(
                "shards", stream.arn, shards[most - 1].id, rule.get("Type", ""), moment
            )
        return shown  # type: ignore[return-value]

    async def increase_stream_retention_period(
        self, ctx: Context, req: w.IncreaseStreamRetentionPeriodInput
    ) -> None:
        """Keep records longer. What is out of reach already stays so."""
        hours = req["RetentionPeriodHours"]
        async with ctx.write() as tx:
            stream = await still_stream(tx, ctx, req)
            if hours < stream.retention_hours:
                raise InvalidArgumentException(
                    f"Requested retention period ({hours} hours) for stream {stream.name} can not be "
                    f"shorter than existing retention period ({stream.retention_hours} hours). Use "
                    "DecreaseRetentionPeriod API."
                )
            _check_hours(stream, hours)
            tx.put(replace(stream, retention_hours=hours))

    async def decrease_stream_retention_period(
        self, ctx: Context, req: w.DecreaseStreamRetentionPeriodInput
    ) -> None:
        """Keep records less long."""
        hours = req["RetentionPeriodHours"]
        async with ctx.write() as tx:
            stream = await still_stream(tx, ctx, req)
            if hours > stream.retention_hours:
                raise InvalidArgumentException(
                    f"Requested retention period ({hours} hours) for stream {stream.name} can not be "
                    f"longer than existing retention period ({stream.retention_hours} hours). Use "
                    "IncreaseRetentionPeriod API."
                )
            _check_hours(stream, hours)
            tx.put(replace(stream, retention_hours=hours))


def _check_on_demand(req: Any, mode: str) -> None:
    check_no_warmth(req)
    if (
        mode != "ON_DEMAND"
        and req.get("RecordDistributionStrategy", "USER_PARTITION_KEY") != "USER_PARTITION_KEY"
    ):
        raise ValidationException(
            "The record distribution strategy AUTO is only supported for ON_DEMAND streams."
        )


def check_no_warmth(req: Any) -> None:
    """Refuse to be ready for a throughput: it takes an account that has committed itself to pay."""
    if "WarmThroughputMiBps" in req:
        raise NotImplementedByDoppio("kinesis: WarmThroughputMiBps exists in AWS and not yet here")


def _check_hours(stream: Stream, hours: int) -> None:
    if not limits.RETENTION_HOURS <= hours <= limits.RETENTION_HOURS_MAX:
        edge = "minimum" if hours < limits.RETENTION_HOURS else "maximum"
        bound = limits.RETENTION_HOURS if edge == "minimum" else limits.RETENTION_HOURS_MAX
        raise InvalidArgumentException(
            f"{edge.capitalize()} allowed retention period is {bound} hours. Requested retention "
            f"period ({hours} hours) for stream {stream.name} is out of range."
        )


async def check_room(reader: Reader, more: int, mode: str) -> None:
    """Raise LimitExceededException where an account has no room for so many shards more."""
    ctx = reader.context
    streams = await reader.list(Stream, (ctx.account, ctx.region), limit=_ALL_STREAMS_MAX)
    if mode == "ON_DEMAND":
        if sum(one.mode == mode for one in streams) >= limits.ON_DEMAND_STREAMS_MAX:
            raise LimitExceededException(
                f"This request would exceed the on-demand stream limit for the account "
                f"{ctx.account} in {ctx.region}. Limit: {limits.ON_DEMAND_STREAMS_MAX}."
            )
        return
    most = await quota(reader, limits.SHARDS_MAX)
    have = sum(len(one.open_shards) for one in streams if one.mode == mode)
    if have + more > most:
        raise LimitExceededException(
            f"This request would exceed the shard limit for the account {ctx.account} in "
            f"{ctx.region}. Current shard count for the account: {have}. Limit: {most}. Number of "
            f"additional shards that would have resulted from this request: {more}."
        )


async def _at_rest(ctx: Context, req: Any) -> Stream:
    """The stream, after a moment where a change is under way: clients would sleep for seconds."""
    arn = stream_arn(ctx, req)
    topic = table_of(Stream).ringing(arn.rpartition("/")[2])
    under_way = ctx.ticket(topic)  # drawn before looking
    stream = await stream_of(ctx.read(), ctx, req)
    if stream.status != "ACTIVE" and ctx.clock.state.rate > 0:
        await under_way.wait(ctx.clock, until=ctx.now + limits.DESCRIBE_WAIT)
        stream = await stream_of(ctx.read(), ctx, req)
    return stream


def _behind(stream: Stream, start: str | None) -> list[Shard]:
    shards = sorted(stream.shards, key=lambda shard: shard.number)
    if start is None:
        return shards
    return [shard for shard in shards if shard.id > start]


def _is_asked_for(shard: Shard, stream: Stream, ctx: Context, rule: dict[str, Any]) -> bool:
    kind = rule.get("Type")
    if kind in (None, "FROM_TRIM_HORIZON"):
        return True
    if kind == "AT_LATEST":
        return shard.closed_at is None
    moment = rule.get("Timestamp")
    if kind == "AT_TRIM_HORIZON":
        moment = max(stream.created_at, ctx.now - retention(stream))
    elif moment is None:
        raise InvalidArgumentException(f"Timestamp must be specified for ShardFilter type {kind}.")
    is_open_then = shard.closed_at is None or shard.closed_at > moment
    return is_open_then and (kind == "FROM_TIMESTAMP" or shard.opened_at <= moment)


async def _shard(reader: Reader, stream: Stream, shard: Shard) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "ShardId": shard.id,
        "HashKeyRange": {
            "StartingHashKey": str(number(shard.first)),
            "EndingHashKey": str(number(shard.last)),
        },
        "SequenceNumberRange": {"StartingSequenceNumber": sequence_number(shard.number, 0)},
    }
    if shard.parent is not None:
        shown["ParentShardId"] = shard_id(shard.parent)
    if shard.adjacent is not None:
        shown["AdjacentParentShardId"] = shard_id(shard.adjacent)
    if shard.closed_at is not None:
        head = await head_of(reader, stream, shard)
        shown["SequenceNumberRange"]["EndingSequenceNumber"] = sequence_number(
            shard.number, head.newest
        )
    return shown


def _described(stream: Stream) -> dict[str, Any]:
    shown: dict[str, Any] = {
        **_summary(stream),
        "RetentionPeriodHours": stream.retention_hours,
        "EnhancedMonitoring": [{"ShardLevelMetrics": list(stream.metrics)}],
        "EncryptionType": "NONE" if stream.kms_key is None else "KMS",
    }
    if stream.kms_key is not None:
        shown["KeyId"] = stream.kms_key
    return shown


def _summary(stream: Stream) -> dict[str, Any]:
    return {
        "StreamName": stream.name,
        "StreamARN": stream.arn,
        "StreamStatus": stream.status,
        "StreamModeDetails": {"StreamMode": stream.mode},
        "StreamCreationTimestamp": stream.created_at,
    }
