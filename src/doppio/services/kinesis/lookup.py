"""Streams, shards and consumers by what requests call them; sequence numbers and tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doppio.kernel.context import Context, Reader
from doppio.services.kinesis.errors import (
    InvalidArgumentException,
    ResourceInUseException,
    ResourceNotFoundException,
)
from doppio.services.kinesis.records import Consumer, Head, Shard, Stream

# Sequence numbers have 56 digits: a mark, the shard, and the position of the record in it.
_MARK = 49 * 10**54
_SHARD = 10**24


def stream_arn(ctx: Context, req: Mapping[str, Any]) -> str:
    """The ARN of the stream that a request names, in whichever way."""
    for member in ("StreamARN", "ConsumerARN", "ResourceARN"):
        if arn := req.get(member):
            return str(arn)
    name = req.get("StreamName")
    if name is None:
        raise InvalidArgumentException("Either StreamName or StreamARN should be provided.")
    return f"arn:{ctx.partition}:kinesis:{ctx.region}:{ctx.account}:stream/{name}"


async def find_stream(reader: Reader, arn: str) -> Stream | None:
    """The stream of an ARN, its own or a consumer's of it."""
    parts = arn.split(":", 5)
    if len(parts) != 6 or not parts[5].startswith("stream/"):
        return None
    if parts[3] != reader.context.region:
        return None
    return await reader.get(Stream, parts[4], parts[3], parts[5].split("/")[1])


async def stream_of(reader: Reader, ctx: Context, req: Mapping[str, Any]) -> Stream:
    """The stream that a request names. Raises ResourceNotFoundException."""
    arn = stream_arn(ctx, req)
    stream = await find_stream(reader, arn)
    if stream is None or req.get("StreamName", stream.name) != stream.name:
        raise no_stream(arn)
    ctx.payer = stream.account
    return stream


async def usable_stream(reader: Reader, ctx: Context, req: Mapping[str, Any]) -> Stream:
    """The same, while it is there: what is being created or deleted neither takes nor gives."""
    stream = await stream_of(reader, ctx, req)
    if stream.status in ("CREATING", "DELETING"):
        raise no_stream(stream.arn)
    return stream


async def still_stream(reader: Reader, ctx: Context, req: Mapping[str, Any]) -> Stream:
    """The same, where nothing else is being changed. Raises ResourceInUseException."""
    stream = await stream_of(reader, ctx, req)
    if stream.status != "ACTIVE":
        raise ResourceInUseException(
            f"Stream {stream.name} under account {stream.account} not ACTIVE, instead in state "
            f"{stream.status}"
        )
    return stream


def no_stream(arn: str) -> ResourceNotFoundException:
    """What is said of a stream that is not there."""
    parts = arn.split(":", 5)
    account = parts[4] if len(parts) == 6 else ""
    name = parts[5].split("/")[1] if len(parts) == 6 and "/" in parts[5] else arn
    return ResourceNotFoundException(f"Stream {name} under account {account} not found.")


def shard_of(stream: Stream, shard: str) -> Shard:
    """A stream's shard by its name. Raises ResourceNotFoundException."""
    for one in stream.shards:
        if one.id == shard:
            return one
    raise ResourceNotFoundException(
        f"Could not find shard {shard} in stream {stream.name} under account {stream.account}."
    )


async def head_of(reader: Reader, stream: Stream, shard: Shard) -> Head:
    """How far a shard has come."""
    found = await reader.get(Head, stream.id, shard.number)
    return found or Head(stream=stream.id, shard=shard.number)


async def consumer_of(reader: Reader, ctx: Context, req: Mapping[str, Any]) -> Consumer:
    """The consumer that a request names, by ARN or by stream and name."""
    arn = req.get("ConsumerARN")
    if arn is None and not ("StreamARN" in req and "ConsumerName" in req):
        raise InvalidArgumentException(
            "Either ConsumerARN, or both StreamARN and ConsumerName should be provided."
        )
    stream = await stream_of(reader, ctx, req)
    name = req.get("ConsumerName") or str(arn).split("/")[-1].partition(":")[0]
    found = await reader.get(Consumer, stream.id, name)
    if found is None or (arn is not None and found.arn != arn):
        raise ResourceNotFoundException(
            f"Consumer {name} under stream {stream.arn} not found for account {stream.account}."
        )
    return found


def sequence_number(shard: int, position: int) -> str:
    """The sequence number of a shard's position: later ones are larger, in each shard."""
    return str(_MARK + shard * _SHARD + position)


def position_of(shard: Shard, given: str) -> int:
    """The position that a sequence number of a shard stands for. Raises InvalidArgumentException."""
    value = int(given) - _MARK if given.isdecimal() and len(given) == 56 else -1
    if value < 0 or value // _SHARD != shard.number:
        raise InvalidArgumentException(
            f"StartingSequenceNumber {given} used in GetShardIterator on shard {shard.id} is invalid."
        )
    return value % _SHARD
