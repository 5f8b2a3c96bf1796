"""What is kept in memory in front of the database."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from doppio.kernel.recent import FLOORS_MAX, Floors, Recent

KEYS = st.binary(min_size=1, max_size=2)
ROWS = st.dictionaries(KEYS, st.none() | st.just(b"v"), max_size=20)


@given(st.lists(ROWS, max_size=8), KEYS, KEYS, st.integers(1, 6), st.booleans())
def test_the_rows_of_a_range_are_complete_within_the_bounds_told(
    updates: list[dict[bytes, bytes | None]], lo: bytes, hi: bytes, limit: int, reverse: bool
) -> None:
    recent = Recent()
    model: dict[bytes, bytes | None] = {}
    for rows in updates:
        recent.update(rows, 1)
        model |= rows
        found, start, end = recent.between(lo, hi, limit, reverse)
        assert found == {key: value for key, value in model.items() if start <= key < end}
        if (start, end) != (lo, hi):
            # Cut short only once there are as many as asked for, on the side asked for.
            assert sum(value is not None for value in found.values()) == limit
            assert (end if reverse else start) == (hi if reverse else lo)
    assert recent.bytes == len(updates)


def test_a_floor_rises_with_what_is_found_and_sinks_with_what_is_written() -> None:
    floors = Floors()
    assert floors.raised(b"a") == b"a"
    floors.learn(b"a", b"z", [(b"m", b"")])
    assert floors.raised(b"a") == b"m"
    floors.lower({b"c": None, b"n": b"1", b"A": b"1"})
    assert floors.raised(b"a") == b"m"
    floors.lower({b"k": b"1", b"e": b"1", b"m": b"2"})
    assert floors.raised(b"a") == b"e"
    floors.learn(b"a", b"z", [])
    assert floors.raised(b"a") == b"z"


def test_only_so_many_floors_are_remembered() -> None:
    floors = Floors()
    for number in range(3 * FLOORS_MAX):
        floors.learn(b"%04d" % number, b"9", [(b"5", b"")])
    known = [n for n in range(3 * FLOORS_MAX) if floors.raised(b"%04d" % n) == b"5"]
    assert known == list(range(2 * FLOORS_MAX, 3 * FLOORS_MAX))
