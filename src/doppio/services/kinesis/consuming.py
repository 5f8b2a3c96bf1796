"""Getting records: where to begin, and what comes from there on.

An iterator is the position behind which reading goes on, with the time at which it was given. A
record is out of reach once it is older than its stream keeps it, whether it is swept away yet or not.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from doppio.kernel.context import Context, Reader
from doppio.kernel.paging import BadToken, page_token, token_key
from doppio.services.kinesis import limits, measures
from doppio.services.kinesis.errors import (
    DryRunOperationException,
    ExpiredIteratorException,
    ExpiredNextTokenException,
    InvalidArgumentException,
)
from doppio.services.kinesis.lookup import (
    head_of,
    position_of,
    sequence_number,
    shard_of,
    usable_stream,
)
from doppio.services.kinesis.records import Kept, Shard, Stream, shard_id
from doppio.services.kinesis.sealing import opened
from doppio.services.kinesis.shards import number

if TYPE_CHECKING:
    from doppio._stubs import kinesis as w

_ITERATOR = "iterator"
# As Java prints a date.
_MOMENT = "%a %b %d %H:%M:%S UTC %Y"


class Page(NamedTuple):
    """Records of a shard, and the position behind which to go on; None where there will be none."""

    records: list[dict[str, Any]]
    position: int | None
    behind: timedelta
    size: int


class Consuming:
    """The operations that get records."""

    async def get_shard_iterator(
        self, ctx: Context, req: w.GetShardIteratorInput
    ) -> w.GetShardIteratorOutput:
        """Where to begin in a shard."""
        reader = ctx.read()
        stream = await usable_stream(reader, ctx, req)
        shard = shard_of(stream, req["ShardId"])
        position = await start_of(
            reader, stream, shard, req["ShardIteratorType"], req.get("StartingSequenceNumber"),
            req.get("Timestamp"),
        )  # fmt: skip
        if req.get("DryRun"):
            raise DryRunOperationException()
        return {"ShardIterator": iterator(ctx, stream, shard, position)}

    async def get_records(self, ctx: Context, req: w.GetRecordsInput) -> w.GetRecordsOutput:
        """The records behind an iterator, up to ten thousand or ten megabytes, and where to go on."""
        arn, shard_name, position, given = _opened(req["ShardIterator"])
        if req.get("StreamARN", arn) != arn:
            raise InvalidArgumentException("StreamARN does not fit the ShardIterator.")
        reader = ctx.read()
        stream = await usable_stream(reader, ctx, {"StreamARN": arn})
        _check_age(ctx, given)
        shard = shard_of(stream, shard_name)
        if req.get("DryRun"):
            raise DryRunOperationException()
        page = await page_of(ctx, stream, shard, int(position), req.get("Limit"))
        behind = page.behind // timedelta(milliseconds=1)
        for measure, amount in (
            (measures.GET_OK, 1), (measures.GET_RECORDS, len(page.records)),
            (measures.GET_BYTES, page.size), (measures.GET_AGE, behind),
        ):  # fmt: skip
            measures.count(ctx, stream, measure, amount)
        if stream.metrics:
            measures.count_shard(ctx, stream, shard.number, "OutgoingRecords", len(page.records))
            measures.count_shard(ctx, stream, shard.number, "OutgoingBytes", page.size)
            measures.count_shard(ctx, stream, shard.number, "IteratorAgeMilliseconds", behind)
        shown: dict[str, Any] = {"Records": page.records, "MillisBehindLatest": behind}
        if page.position is None:
            shown["ChildShards"] = children_of(stream, shard)
        else:
            shown["NextShardIterator"] = iterator(ctx, stream, shard, page.position)
        return shown  # type: ignore[return-value]


def retention(stream: Stream) -> timedelta:
    """How long a stream keeps its records."""
    return timedelta(hours=stream.retention_hours)


async def start_of(
    reader: Reader, stream: Stream, shard: Shard, kind: str, sequence: str | None,
    moment: datetime | None,
) -> int:  # fmt: skip
    """The position behind which reading begins."""
    head = await head_of(reader, stream, shard)
    if kind.endswith("SEQUENCE_NUMBER"):
        if sequence is None:
            raise InvalidArgumentException(
                f"Must either specify all the parameters for iterator type {kind}: "
                "StartingSequenceNumber is missing."
            )
        position = position_of(shard, sequence)
        if position > head.newest:
            raise InvalidArgumentException(
                f"StartingSequenceNumber {sequence} used in GetShardIterator on shard {shard.id} in "
                f"stream {stream.name} under account {stream.account} is invalid because it did not "
                "come from this stream."
            )
        before = max(position - 1, 0) if kind.startswith("AT") else position
        return max(before, head.trimmed)
    if kind == "LATEST":
        return head.newest
    if kind == "TRIM_HORIZON":
        return head.trimmed
    if moment is None:
        raise InvalidArgumentException(
            f"Must either specify all the parameters for iterator type {kind}: Timestamp is missing."
        )
    return await before_moment(reader, stream, shard, moment)


async def before_moment(reader: Reader, stream: Stream, shard: Shard, moment: datetime) -> int:
    """The position of the last record that came before a moment: found by halving."""
    head = await head_of(reader, stream, shard)
    low, high = head.trimmed, head.newest
    while low < high:
        middle = (low + high + 1) // 2
        row = await reader.get(Kept, stream.id, shard.number, middle)
        if row is None or row.at < moment:
            low = middle
        else:
            high = middle - 1
    return low


async def page_of(
    ctx: Context, stream: Stream, shard: Shard, position: int, most: int | None = None
) -> Page:
    """The records behind a position."""
    reader = ctx.read()
    most = most or limits.RECORDS_A_PAGE
    horizon = ctx.clock.now() - retention(stream)
    first = await reader.list(Kept, (stream.id, shard.number), since=position + 1, limit=1)
    if first and first[0].at <= horizon:
        moment = horizon + timedelta(microseconds=1)
        position = max(position, await before_moment(reader, stream, shard, moment))
    records: list[dict[str, Any]] = []
    size, last = 0, None
    while len(records) < most:
        asked = min(most - len(records), limits.ROWS_A_READ)
        rows = await reader.list(Kept, (stream.id, shard.number), since=position + 1, limit=asked)
        for row in rows:
            size += len(row.data) + len(row.key.encode())
            if records and size > limits.PAGE_BYTES_MAX:
                break
            records.append(await _record(ctx, stream, row))
            position, last = row.position, row
        else:
            if len(rows) == asked:
                continue
        break
    head = await head_of(reader, stream, shard)
    at_end = position >= head.newest
    behind = timedelta(0)
    if not at_end:
        seen = last or await reader.get(Kept, stream.id, shard.number, position + 1)
        if seen is not None:
            behind = max(ctx.clock.now() - seen.at, timedelta(0))
    over = at_end and shard.closed_at is not None
    return Page(records, None if over else position, behind, size)


async def _record(ctx: Context, stream: Stream, row: Kept) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "SequenceNumber": sequence_number(row.shard, row.position),
        "ApproximateArrivalTimestamp": row.at,
        "Data": await opened(ctx, stream, row.data, row.wrapped),
        "PartitionKey": row.key,
    }
    if row.wrapped is not None:
        shown["EncryptionType"] = "KMS"
    return shown


def children_of(stream: Stream, shard: Shard) -> list[dict[str, Any]]:
    """The shards that go on where one has ended."""
    return [
        {
            "ShardId": one.id,
            "ParentShards": [
                shard_id(parent) for parent in (one.parent, one.adjacent) if parent is not None
            ],
            "HashKeyRange": {
                "StartingHashKey": str(number(one.first)),
                "EndingHashKey": str(number(one.last)),
            },
        }
        for one in stream.shards
        if shard.number in (one.parent, one.adjacent)
    ]


def iterator(ctx: Context, stream: Stream, shard: Shard, position: int) -> str:
    """An iterator as it is given out."""
    given = str(int(ctx.now.timestamp() * 1000))
    return list_token(_ITERATOR, stream.arn, shard.id, str(position), given)


def _opened(text: str) -> list[str]:
    try:
        parts = token_key(text, _ITERATOR).decode().split("|")
    except (BadToken, UnicodeDecodeError) as error:
        raise InvalidArgumentException("Invalid ShardIterator.") from error
    return parts


def _check_age(ctx: Context, given: str) -> None:
    created = datetime.fromtimestamp(int(given) / 1000, UTC)
    if ctx.now - created > limits.ITERATOR_LIFE:
        raise ExpiredIteratorException(
            f"Iterator expired. The iterator was created at time {created.strftime(_MOMENT)} while "
            f"right now it is {ctx.now.strftime(_MOMENT)} which is further in the future than the "
            f"tolerated delay of {int(limits.ITERATOR_LIFE.total_seconds() * 1000)} milliseconds."
        )


def arn_of_iterator(text: str) -> str:
    """The stream of an iterator, or of a token of ListShards, for who asks whether it may be read."""
    for scope in (_ITERATOR, "shards"):
        try:
            return token_key(text, scope).decode().partition("|")[0]
        except (BadToken, UnicodeDecodeError):
            continue
    return "*"


def list_token(scope: str, *parts: str) -> str:
    """A token of a list, or an iterator."""
    return page_token("|".join(parts).encode(), scope)


def token_parts(token: str, scope: str) -> list[str]:
    """What a token of a list stands for. Raises ExpiredNextTokenException."""
    try:
        return token_key(token, scope).decode().split("|")
    except (BadToken, UnicodeDecodeError) as error:
        raise ExpiredNextTokenException("The token is not valid, or has expired.") from error
