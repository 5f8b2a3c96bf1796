"""A stream's shape: its shards split, merged and scaled, and what it is ready for."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.services.kinesis import limits
from doppio.services.kinesis.errors import (
    InvalidArgumentException,
    LimitExceededException,
    ResourceNotFoundException,
    ValidationException,
)
from doppio.services.kinesis.lookup import shard_of, still_stream
from doppio.services.kinesis.records import Shard, Stream
from doppio.services.kinesis.shards import adjacent, checked, merge, number, scaled, split
from doppio.services.kinesis.streams import check_no_warmth, check_room
from doppio.services.kinesis.upkeep import settles

if TYPE_CHECKING:
    from doppio._stubs import kinesis as w

_DAY = timedelta(days=1)


class Reshaping:
    """The operations on a stream's shape. Each makes it UPDATING, until its job has run."""

    async def split_shard(self, ctx: Context, req: w.SplitShardInput) -> None:
        """Put two shards in one's place."""
        async with ctx.write() as tx:
            stream = await _provisioned(tx, ctx, req)
            shard = _open(stream, req["ShardToSplit"])
            start = checked(req["NewStartingHashKey"])
            if not number(shard.first) < start <= number(shard.last):
                raise InvalidArgumentException(
                    f"NewStartingHashKey {start} used in SplitShard() on shard {shard.id} in stream "
                    f"{stream.name} under account {stream.account} is not both greater than one plus "
                    f"the shard's StartingHashKey {number(shard.first)} and less than the shard's "
                    f"EndingHashKey {number(shard.last)}."
                )
            await check_room(tx, 1, stream.mode)
            await _changed(tx, split(stream, shard, start, ctx.now))

    async def merge_shards(self, ctx: Context, req: w.MergeShardsInput) -> None:
        """Put one shard in the place of two neighbours."""
        async with ctx.write() as tx:
            stream = await _provisioned(tx, ctx, req)
            one = _open(stream, req["ShardToMerge"])
            other = _open(stream, req["AdjacentShardToMerge"])
            if one == other or not adjacent(one, other):
                raise InvalidArgumentException(
                    f"Shards {one.id} and {other.id} in stream {stream.name} under account "
                    f"{stream.account} are not an adjacent pair of shards eligible for merging"
                )
            await _changed(tx, merge(stream, one, other, ctx.now))

    async def update_shard_count(
        self, ctx: Context, req: w.UpdateShardCountInput
    ) -> w.UpdateShardCountOutput:
        """Scale a stream to so many even shards."""
        target = req["TargetShardCount"]
        async with ctx.write() as tx:
            stream = await _provisioned(tx, ctx, req)
            count = len(stream.open_shards)
            if not count / 2 <= target <= count * 2 or target > limits.SHARDS_A_STREAM_MAX:
                raise LimitExceededException(
                    f"UpdateShardCount cannot scale from {count} to {target} shards: between half and "
                    "double of the open shards, and no more than "
                    f"{limits.SHARDS_A_STREAM_MAX}."
                )
            scalings = _lately(stream.scaled_at, ctx)
            if len(scalings) >= limits.SCALINGS_A_DAY:
                raise LimitExceededException(
                    f"Stream {stream.name} can be scaled {limits.SCALINGS_A_DAY} times in 24 hours."
                )
            await check_room(tx, max(target - count, 0), stream.mode)
            changed = scaled(stream, target, ctx.now)
            await _changed(tx, replace(changed, scaled_at=(*scalings, ctx.now)))
        return {
            "StreamName": stream.name, "StreamARN": stream.arn, "CurrentShardCount": count,
            "TargetShardCount": target,
        }  # fmt: skip

    async def update_stream_mode(self, ctx: Context, req: w.UpdateStreamModeInput) -> None:
        """Let a stream be provisioned, or on demand."""
        mode = req["StreamModeDetails"]["StreamMode"]
        async with ctx.write() as tx:
            stream = await still_stream(tx, ctx, req)
            if mode == stream.mode:
                raise InvalidArgumentException(
                    f"Stream {stream.name} under account {stream.account} is already in {mode} mode."
                )
            changes = _lately(stream.moded_at, ctx)
            if len(changes) >= limits.MODE_CHANGES_A_DAY:
                raise LimitExceededException(
                    f"Stream {stream.name} can change its mode {limits.MODE_CHANGES_A_DAY} times in "
                    "24 hours."
                )
            check_no_warmth(req)
            if mode == "PROVISIONED" and stream.spread == "AUTO":
                raise ValidationException(
                    "The record distribution strategy AUTO is only supported for ON_DEMAND streams."
                )
            on_demand = len(stream.open_shards) if mode == "PROVISIONED" else 0
            await check_room(tx, on_demand, mode)
            await _changed(
                tx,
                replace(
                    stream, mode=mode, moded_at=(*changes, ctx.now),
                ),
            )  # fmt: skip

    async def update_stream_record_distribution_strategy(
        self, ctx: Context, req: w.UpdateStreamRecordDistributionStrategyInput
    ) -> None:
        """Let records go by their partition keys, or evenly to all shards."""
        async with ctx.write() as tx:
            stream = await _on_demand(tx, ctx, req, "The record distribution strategy")
            await _changed(tx, replace(stream, spread=req["RecordDistributionStrategy"]))

    async def update_max_record_size(self, ctx: Context, req: w.UpdateMaxRecordSizeInput) -> None:
        """Take larger records, or only smaller ones."""
        async with ctx.write() as tx:
            stream = await still_stream(tx, ctx, req)
            await _changed(tx, replace(stream, record_kib=req["MaxRecordSizeInKiB"]))


async def _provisioned(tx: Tx, ctx: Context, req: object) -> Stream:
    stream = await still_stream(tx, ctx, req)  # type: ignore[arg-type]
    if stream.mode != "PROVISIONED":
        raise ValidationException(
            f"Stream {stream.name} under account {stream.account} is in ON_DEMAND mode: its shards "
            "are not its owner's to change."
        )
    return stream


async def _on_demand(tx: Tx, ctx: Context, req: object, what: str) -> Stream:
    stream = await still_stream(tx, ctx, req)  # type: ignore[arg-type]
    if stream.mode != "ON_DEMAND":
        raise ValidationException(f"{what} is only supported for ON_DEMAND streams.")
    return stream


def _open(stream: Stream, shard: str) -> Shard:
    found = shard_of(stream, shard)
    if found.closed_at is not None:
        raise ResourceNotFoundException(
            f"Shard {shard} in stream {stream.name} under account {stream.account} has already been "
            "merged or split, and thus is not eligible for merging or splitting."
        )
    return found


def _lately(moments: tuple[datetime, ...], ctx: Context) -> tuple[datetime, ...]:
    return tuple(moment for moment in moments if moment > ctx.now - _DAY)


async def _changed(tx: Tx, stream: Stream) -> None:
    await settles(tx, tx.put(replace(stream, status="UPDATING")))
