"""A stream's shard: where to begin, and the records from there on.

A sequence number is a position in the stream's log, written so that numbers sort as texts. An
iterator is a position with the time at which it was given.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from doppio.kernel.context import Context, Reader
from doppio.kernel.paging import BadToken, page_token, token_key
from doppio.services.dynamodb.ports import (
    STREAM_LIFE,
    Stream,
    Told,
    admit_by_key,
    decode_told,
    find_stream,
    log_name,
    opened_told,
    size_of,
)
from doppio.services.dynamodbstreams import limits
from doppio.services.dynamodbstreams.errors import (
    ExpiredIteratorException,
    ResourceNotFoundException,
    TrimmedDataAccessException,
    ValidationException,
)

if TYPE_CHECKING:
    from doppio._stubs import dynamodbstreams as w

_FIRST = 10**20
_BEYOND = 10**21


class Shards:
    """The operations on shards."""

    async def get_shard_iterator(
        self, ctx: Context, req: w.GetShardIteratorInput
    ) -> w.GetShardIteratorOutput:
        """Where to begin: at the oldest record, behind the newest, or at one that is known."""
        reader = ctx.read()
        stream = await find_stream(reader, req["StreamArn"])
        if stream is None or req["ShardId"] != shard_id(stream):
            raise ResourceNotFoundException(
                f"Requested resource not found: Shard: {req['ShardId']} in stream: "
                f"{req['StreamArn']} not found"
            )
        kind, number = req["ShardIteratorType"], req.get("SequenceNumber")
        if (number is not None) != kind.endswith("SEQUENCE_NUMBER"):
            raise ValidationException(
                "Missing required parameter: SequenceNumber must be specified for "
                f"ShardIteratorType {kind}"
                if number is None
                else f"SequenceNumber must not be specified for ShardIteratorType {kind}"
            )
        if kind == "LATEST":
            position = await reader.raw.log_end(log_name(stream.id))
        elif number is None:
            position = stream.trimmed
        else:
            position = _position(number)
            if position < stream.trimmed:
                raise TrimmedDataAccessException()
            # Position 0 stands before all records, and is where an untouched shard starts.
            if kind == "AT_SEQUENCE_NUMBER":
                position = max(position - 1, stream.trimmed)
        return {"ShardIterator": _iterator(ctx, stream, position)}

    async def get_records(self, ctx: Context, req: w.GetRecordsInput) -> w.GetRecordsOutput:
        """The records behind an iterator, up to a thousand or a megabyte, and where to go on."""
        arn, _, token = req["ShardIterator"].partition("|1|")
        reader = ctx.read()
        stream = await find_stream(reader, arn)
        if stream is None:
            raise ResourceNotFoundException(
                f"Requested resource not found: Stream: {arn} not found"
            )
        if stream.seal is not None:
            await admit_by_key(ctx, stream.seal)
        position = _opened(ctx, stream, token)
        if position < stream.trimmed:
            raise TrimmedDataAccessException()
        most = req.get("Limit", limits.RECORDS_A_PAGE)
        records, position, at_end = await _page(ctx, reader, stream, position, most)
        reader.meter("Streams-Requests")
        shown: dict[str, Any] = {"Records": records}
        if stream.closed_at is None or not at_end:
            shown["NextShardIterator"] = _iterator(ctx, stream, position)
        return shown  # type: ignore[return-value]


async def _page(
    ctx: Context, reader: Reader, stream: Stream, position: int, most: int
) -> tuple[list[dict[str, Any]], int, bool]:
    """Records behind a position, the position of the last, and whether there are no more."""
    horizon = ctx.now - STREAM_LIFE
    records: list[dict[str, Any]] = []
    size = 0
    while True:
        entries = await reader.raw.log(log_name(stream.id), position, limit=limits.ENTRIES_A_READ)
        for at, entry in entries:
            told = decode_told(entry)
            if told.at > horizon:
                told = opened_told(told) if told.sealed else told
                record = _record(ctx, stream, at, told)
                size += record["dynamodb"]["SizeBytes"]
                if records and size > limits.PAGE_BYTES_MAX:
                    return records, position, False
                records.append(record)
            position = at
            if len(records) == most:
                return records, position, False
        if len(entries) < limits.ENTRIES_A_READ:
            return records, position, True


def _record(ctx: Context, stream: Stream, at: int, told: Told) -> dict[str, Any]:
    size = size_of(told.keys)
    change: dict[str, Any] = {
        "ApproximateCreationDateTime": told.at.replace(microsecond=0),
        "Keys": told.keys,
        "SequenceNumber": sequence_number(at),
        "StreamViewType": stream.view,
    }
    for member, image in (("NewImage", told.new), ("OldImage", told.old)):
        if image is not None:
            change[member] = image
            size += size_of(image)
    change["SizeBytes"] = size
    record: dict[str, Any] = {
        "eventID": hashlib.blake2b(f"{stream.id}/{at}".encode(), digest_size=16).hexdigest(),
        "eventName": told.name,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": stream.region,
        "dynamodb": change,
    }
    if told.expired:
        record["userIdentity"] = {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"}
    return record


def shard_id(stream: Stream) -> str:
    """The id of a stream's only shard."""
    mark = hashlib.blake2b(stream.id.encode(), digest_size=4).hexdigest()
    return f"shardId-{int(stream.created_at.timestamp() * 1000):020d}-{mark}"


def sequence_number(position: int) -> str:
    """A position as AWS writes one: 21 digits."""
    return str(_FIRST + position)


def _position(number: str) -> int:
    if not number.isdecimal() or not _FIRST <= int(number) < _BEYOND:
        raise ValidationException(f"Invalid SequenceNumber: {number}")
    return int(number) - _FIRST


def _iterator(ctx: Context, stream: Stream, position: int) -> str:
    text = f"{position}/{int(ctx.now.timestamp() * 1000)}"
    return f"{stream.arn}|1|{page_token(text.encode(), stream.id)}"


def _opened(ctx: Context, stream: Stream, token: str) -> int:
    """An iterator's position. Raises ExpiredIteratorException."""
    try:
        position, given = token_key(token, stream.id).decode().split("/")
    except (BadToken, ValueError) as error:
        raise ValidationException("Invalid ShardIterator") from error
    age = timedelta(milliseconds=ctx.now.timestamp() * 1000 - int(given))
    if age > limits.ITERATOR_LIFE:
        raise ExpiredIteratorException()
    return int(position)
