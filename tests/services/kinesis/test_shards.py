"""Hash keys and shards: even shares, splits, merges, and any count from any other."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doppio.services.kinesis.errors import InvalidArgumentException
from doppio.services.kinesis.records import Stream
from doppio.services.kinesis.shards import (
    HASH_KEYS,
    adjacent,
    bounds,
    even,
    hash_key,
    hash_of,
    merge,
    number,
    scaled,
    shard_for,
    split,
)

AT = datetime(2030, 1, 1, tzinfo=UTC)


def stream(count: int) -> Stream:
    return Stream(
        account="000000000000", region="us-east-1", name="orders", id="1", status="ACTIVE",
        mode="PROVISIONED", created_at=AT, shards=even(count, AT),
        retention_hours=24, record_kib=1_024,
    )  # fmt: skip


def ranges(one: Stream) -> list[tuple[int, int]]:
    return sorted((number(shard.first), number(shard.last)) for shard in one.open_shards)


@given(st.integers(1, 40), st.integers(1, 40))
def test_a_stream_is_scaled_from_any_count_to_any_other_and_no_key_is_lost(
    before: int, after: int
) -> None:
    found = scaled(stream(before), after, AT)
    starts = bounds(after)
    assert ranges(found) == [
        (start, end - 1) for start, end in zip(starts, [*starts[1:], HASH_KEYS], strict=True)
    ]
    by_number = {shard.number: shard for shard in found.shards}
    assert len(by_number) == found.shards_made
    for shard in found.shards:
        for parent in (shard.parent, shard.adjacent):
            assert parent is None or by_number[parent].closed_at == AT


@given(st.integers(1, 12), st.integers(0, HASH_KEYS - 1))
def test_every_hash_key_has_one_open_shard(count: int, key: int) -> None:
    found = shard_for(stream(count).shards, hash_key(key))
    assert number(found.first) <= key <= number(found.last)


def test_a_partition_key_goes_by_its_md5() -> None:
    # "" has the MD5 d41d8cd98f00b204e9800998ecf8427e.
    assert number(hash_of("")) == 0xD41D8CD98F00B204E9800998ECF8427E
    assert number(hash_of("whatever", "17")) == 17


@pytest.mark.parametrize("given_key", ["-1", "x", str(HASH_KEYS), "1.0", ""])
def test_an_explicit_hash_key_is_a_number_of_128_bits(given_key: str) -> None:
    with pytest.raises(InvalidArgumentException, match=r"\[0, 2\^128-1\]"):
        hash_of("k", given_key)


def test_a_split_and_the_merge_of_its_halves_cover_what_the_shard_covered() -> None:
    one = stream(2)
    halved = split(one, one.shards[0], 5, AT)
    low, high = halved.open_shards[1:]
    assert (number(low.first), number(low.last), number(high.first)) == (0, 4, 5)
    assert (low.parent, high.parent, halved.shards[0].closed_at) == (0, 0, AT)
    assert adjacent(high, low)
    assert not adjacent(low, halved.open_shards[0])
    again = merge(halved, high, low, AT)
    assert ranges(again) == ranges(one)
    assert (again.open_shards[-1].parent, again.open_shards[-1].adjacent) == (
        high.number,
        low.number,
    )
