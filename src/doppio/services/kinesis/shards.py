"""Which hash keys lie in which shard, and how shards split and merge. Pure: no clock, no store.

A partition key's hash is its MD5, a number of 128 bits: here its 16 bytes, which sort as it does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

from msgspec.structs import replace

from doppio.services.kinesis.errors import InvalidArgumentException
from doppio.services.kinesis.records import Shard, Stream

HASH_KEYS = 2**128


def number(key: bytes) -> int:
    """A hash key as a number."""
    return int.from_bytes(key)


def hash_key(value: int) -> bytes:
    """A number as a hash key."""
    return value.to_bytes(16)


def hash_of(partition_key: str, explicit: str | None = None) -> bytes:
    """The hash key of a record. Raises InvalidArgumentException for one that is none."""
    if explicit is None:
        return hashlib.md5(partition_key.encode(), usedforsecurity=False).digest()
    return hash_key(checked(explicit))


def checked(explicit: str) -> int:
    """A hash key in digits. Raises InvalidArgumentException."""
    if not explicit.isdecimal() or int(explicit) >= HASH_KEYS:
        raise InvalidArgumentException(
            f"Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified "
            f"value was {explicit}"
        )
    return int(explicit)


def even(count: int, at: datetime) -> tuple[Shard, ...]:
    """So many shards that share all hash keys evenly."""
    starts = bounds(count)
    return tuple(
        Shard(place, hash_key(start), hash_key(end - 1), at)
        for place, (start, end) in enumerate(zip(starts, [*starts[1:], HASH_KEYS], strict=True))
    )


def bounds(count: int) -> list[int]:
    """Where so many even shares of all hash keys begin."""
    return [HASH_KEYS * place // count for place in range(count)]


def shard_for(shards: Sequence[Shard], key: bytes) -> Shard:
    """The open shard that takes a hash key."""
    for shard in shards:
        if shard.closed_at is None and shard.first <= key <= shard.last:
            return shard
    raise AssertionError("open shards share all hash keys")


def split(stream: Stream, shard: Shard, start: int, at: datetime) -> Stream:
    """The stream with a shard in two, the second of which begins at a hash key."""
    assert number(shard.first) < start <= number(shard.last)
    return _closed(
        stream, (shard,), at,
        Shard(stream.shards_made, shard.first, hash_key(start - 1), at, shard.number),
        Shard(stream.shards_made + 1, hash_key(start), shard.last, at, shard.number),
    )  # fmt: skip


def adjacent(one: Shard, other: Shard) -> bool:
    """Whether two shards have all hash keys between them."""
    low, high = sorted((one, other), key=lambda shard: shard.first)
    return number(low.last) + 1 == number(high.first)


def merge(stream: Stream, one: Shard, other: Shard, at: datetime) -> Stream:
    """The stream with two neighbours as one shard."""
    assert adjacent(one, other)
    return _closed(
        stream, (one, other), at,
        Shard(
            stream.shards_made, min(one.first, other.first), max(one.last, other.last), at,
            one.number, other.number,
        ),
    )  # fmt: skip


def scaled(stream: Stream, count: int, at: datetime) -> Stream:
    """The stream with so many even shards, by splits and merges as they are needed."""
    starts = bounds(count)
    for start in starts:
        for shard in stream.open_shards:
            if number(shard.first) < start <= number(shard.last):
                stream = split(stream, shard, start, at)
    for start, end in zip(starts, [*starts[1:], HASH_KEYS], strict=True):
        while True:
            share = sorted(
                (one for one in stream.open_shards if start <= number(one.first) < end),
                key=lambda shard: shard.first,
            )
            if len(share) == 1:
                break
            stream = merge(stream, share[0], share[1], at)
    return stream


def _closed(stream: Stream, parents: tuple[Shard, ...], at: datetime, *children: Shard) -> Stream:
    gone = {parent.number for parent in parents}
    shards = tuple(
        replace(shard, closed_at=at) if shard.number in gone else shard for shard in stream.shards
    )
    return replace(stream, shards=(*shards, *children))
