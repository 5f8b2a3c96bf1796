"""Putting records: each goes to the shard of its hash key, behind all that is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.kernel.store import Conflict
from doppio.services.kinesis import limits, measures
from doppio.services.kinesis.errors import (
    DryRunOperationException,
    InvalidArgumentException,
)
from doppio.services.kinesis.lookup import head_of, position_of, sequence_number, usable_stream
from doppio.services.kinesis.records import Kept, Shard, Stream
from doppio.services.kinesis.sealing import sealed
from doppio.services.kinesis.shards import hash_of, shard_for

if TYPE_CHECKING:
    from doppio._stubs import kinesis as w


class _Draft(NamedTuple):
    """A record on its way: its size is that of its key and data in clear."""

    key: str
    hash: bytes
    data: bytes
    wrapped: bytes | None
    size: int


class Producing:
    """The operations that put records."""

    async def put_record(self, ctx: Context, req: w.PutRecordInput) -> w.PutRecordOutput:
        """Put a record; durable in its shard, in its place, when this returns."""
        stream = await usable_stream(ctx.read(), ctx, req)
        draft = await _draft(ctx, stream, req)
        if req.get("DryRun"):
            raise DryRunOperationException()
        async with ctx.write() as tx:
            await _check_unchanged(tx, ctx, req, stream)
            if "SequenceNumberForOrdering" in req:
                _check_order(stream, req["SequenceNumberForOrdering"])
            shard, position = await _put(tx, stream, draft)
        measures.count(ctx, stream, measures.PUT_OK)
        measures.count(ctx, stream, measures.PUT_BYTES, draft.size)
        _count(ctx, stream, [(shard, draft)])
        return {
            "ShardId": shard.id, "SequenceNumber": sequence_number(shard.number, position),
            "EncryptionType": "NONE" if stream.kms_key is None else "KMS",
        }  # fmt: skip

    async def put_records(self, ctx: Context, req: w.PutRecordsInput) -> w.PutRecordsOutput:
        """Put up to 500 records, in one commit and in the order in which they come."""
        stream = await usable_stream(ctx.read(), ctx, req)
        drafts = [await _draft(ctx, stream, entry) for entry in req["Records"]]
        total = sum(draft.size for draft in drafts)
        if total > limits.PUT_BYTES_MAX:
            raise InvalidArgumentException(
                f"Records size exceeds {limits.PUT_BYTES_MAX // 1024 // 1024} MB limit"
            )
        if req.get("DryRun"):
            raise DryRunOperationException()
        put: list[tuple[Shard, int]] = []
        async with ctx.write() as tx:
            await _check_unchanged(tx, ctx, req, stream)
            put = [await _put(tx, stream, draft) for draft in drafts]
        for measure, amount in (
            (measures.PUTS_OK, 1), (measures.PUTS_BYTES, total),
            (measures.PUTS_RECORDS, len(put)), (measures.PUTS_TOTAL, len(put)),
            (measures.PUTS_GOOD, len(put)), (measures.PUTS_FAILED, 0),
        ):  # fmt: skip
            measures.count(ctx, stream, measure, amount)
        _count(ctx, stream, [(shard, draft) for (shard, _), draft in zip(put, drafts, strict=True)])
        return {
            "FailedRecordCount": 0,
            "Records": [
                {"ShardId": shard.id, "SequenceNumber": sequence_number(shard.number, position)}
                for shard, position in put
            ],
            "EncryptionType": "NONE" if stream.kms_key is None else "KMS",
        }


async def _draft(ctx: Context, stream: Stream, entry: Any) -> _Draft:
    key, data = entry["PartitionKey"], bytes(entry["Data"])
    size = len(data) + len(key.encode())
    if size > stream.record_kib * 1024:
        raise InvalidArgumentException(
            f"Record size {size} bytes exceeds the maximum of {stream.record_kib} KiB that stream "
            f"{stream.name} takes."
        )
    explicit = entry.get("ExplicitHashKey")
    place = ctx.kernel.ids.bytes(16) if stream.spread == "AUTO" else hash_of(key, explicit)
    data, wrapped = await sealed(ctx, stream, data)
    return _Draft(key, place, data, wrapped, size)


async def _check_unchanged(tx: Tx, ctx: Context, req: Any, stream: Stream) -> None:
    # What was looked at before, for KMS to be asked, must still be so when it counts.
    if await usable_stream(tx, ctx, req) != stream:
        raise Conflict(f"stream {stream.arn} was changed")


def _check_order(stream: Stream, given: str) -> None:
    for shard in stream.shards:
        try:
            position_of(shard, given)
        except InvalidArgumentException:
            continue
        return
    raise InvalidArgumentException(
        f"ExclusiveMinimumSequenceNumber {given} used in PutRecord on stream {stream.name} under "
        f"account {stream.account} is invalid."
    )


async def _put(tx: Tx, stream: Stream, draft: _Draft) -> tuple[Shard, int]:
    shard = shard_for(stream.shards, draft.hash)
    head = await head_of(tx, stream, shard)
    position = head.newest + 1
    tx.put(replace(head, newest=position))
    tx.add(
        Kept(
            stream=stream.id, shard=shard.number, position=position, at=tx.context.now,
            key=draft.key, data=draft.data, wrapped=draft.wrapped,
        )
    )  # fmt: skip
    tx.meter("PutRequestPayloadUnits", -(-draft.size // limits.PAYLOAD_UNIT_BYTES))
    tx.wake(arrivals(stream, shard))
    return shard, position


def arrivals(stream: Stream, shard: Shard) -> str:
    """The topic that rings when a shard takes a record."""
    return f"kinesis/{stream.id}/{shard.number}"


def _count(ctx: Context, stream: Stream, put: list[tuple[Shard, _Draft]]) -> None:
    measures.count(ctx, stream, measures.IN_RECORDS, len(put))
    measures.count(ctx, stream, measures.IN_BYTES, sum(draft.size for _, draft in put))
    if stream.metrics:
        for shard, draft in put:
            measures.count_shard(ctx, stream, shard.number, "IncomingRecords", 1)
            measures.count_shard(ctx, stream, shard.number, "IncomingBytes", draft.size)
