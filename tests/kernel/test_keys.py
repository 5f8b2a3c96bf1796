"""Packed keys compare as tuples do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doppio.kernel.keys import pack, prefix_range, unpack

MOMENTS = st.datetimes(timezones=st.just(UTC))
KINDS: list[st.SearchStrategy[Any]] = [
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    st.text("\0\x01aé\uffff\U0010ffff", max_size=4),
    st.binary(max_size=6),
    st.integers(),
    st.integers(-300, 300),
    st.integers(-(2**80), 2**80),
    MOMENTS,
    st.floats(allow_nan=False),
]
PARTS = st.one_of(*KINDS, st.booleans(), st.none())


def rank(part: Any) -> tuple[int, Any]:
    """The order of kinds, and the value within its kind."""
    if part is None:
        return 1, 0
    if isinstance(part, bytes):
        return 2, part
    if isinstance(part, str):
        return 3, part
    if isinstance(part, bool):
        return 4, part
    if isinstance(part, datetime):
        return 6, part
    if isinstance(part, float):
        # The packed order tells -0.0 from 0.0; Python's does not.
        return 7, (part, str(part)[0] != "-")
    return 8, part


@given(st.lists(PARTS, max_size=4), st.lists(PARTS, max_size=4))
def test_packed_keys_are_in_the_order_of_their_tuples(left: list[Any], right: list[Any]) -> None:
    assert (pack(*left) < pack(*right)) == ([rank(p) for p in left] < [rank(p) for p in right])


@given(st.data())
def test_two_values_of_a_kind_are_in_their_order(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(KINDS))
    left, right = data.draw(kind), data.draw(kind)
    assert (pack(left, "x") < pack(right, "x")) == (rank(left) < rank(right))


@given(st.lists(PARTS, max_size=5))
def test_unpacking_gives_the_tuple_back(parts: list[Any]) -> None:
    found = unpack(pack(*parts))
    assert found == parts
    assert [type(part) for part in found] == [type(part) for part in parts]


@given(st.lists(PARTS, max_size=3), st.lists(PARTS, max_size=3))
def test_packing_is_concatenation_and_a_prefix_range_holds_what_begins_with_it(
    prefix: list[Any], rest: list[Any]
) -> None:
    key = pack(*prefix, *rest)
    assert key == pack(*prefix) + pack(*rest)
    lo, hi = prefix_range(*prefix)
    assert lo <= key < hi


@given(st.lists(PARTS, min_size=1, max_size=3), st.lists(PARTS, min_size=1, max_size=3))
def test_a_prefix_range_holds_nothing_else(prefix: list[Any], other: list[Any]) -> None:
    lo, hi = prefix_range(*prefix)
    inside = [rank(part) for part in other[: len(prefix)]] == [rank(part) for part in prefix]
    assert (lo <= pack(*other) < hi) == inside


@given(st.binary(max_size=40))
def test_bytes_that_are_no_key_are_refused_and_nothing_else_happens(raw: bytes) -> None:
    try:
        parts = unpack(raw)
    except ValueError:
        return
    pack(*parts)


def test_moments_are_compared_in_utc_to_the_microsecond() -> None:
    moment = datetime(2026, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)
    there = moment.astimezone(timezone(timedelta(hours=9)))
    assert pack(there) == pack(moment)
    assert unpack(pack(there)) == [moment]
    assert pack(moment) < pack(moment + timedelta(microseconds=1))


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(TypeError):
        pack(datetime(2026, 5, 1))  # noqa: DTZ001


@pytest.mark.parametrize("part", [{}, [], object(), 1j])
def test_other_kinds_are_refused(part: Any) -> None:
    with pytest.raises(TypeError):
        pack(part)


def test_kinds_derived_from_text_and_moments_are_packed_as_these() -> None:
    class Name(str):
        __slots__ = ()

    class Moment(datetime):
        pass

    assert pack(Name("a\0b")) == pack("a\0b")
    assert pack(Moment(2026, 5, 1, tzinfo=UTC)) == pack(datetime(2026, 5, 1, tzinfo=UTC))


def test_integers_of_any_size_keep_their_order_up_to_the_limit() -> None:
    sizes = [*range(1, 70), 2_039, 2_040]
    values = sorted({sign * (2**bits - 1) for bits in sizes for sign in (1, -1)})
    packed = [pack(value) for value in values]
    assert packed == sorted(packed)
    assert [unpack(key)[0] for key in packed] == values
    with pytest.raises(ValueError, match="255 bytes"):
        pack(2**2040)
