"""What optimistic transactions are checked against."""

from __future__ import annotations

import pytest

from doppio.kernel.store import Conflict
from doppio.kernel.written import REMEMBERED_WRITES_MAX, Written


def test_only_what_was_written_since_the_beginning_conflicts() -> None:
    written = Written()
    written.add((b"a", b"b"))
    start = written.count
    written.add((b"c",))
    written.add((b"d", b"e"))
    written.check(start, [b"a", b"b", b"f"], [(b"a", b"c"), (b"e\0", b"z")])
    with pytest.raises(Conflict, match="b'd' was changed"):
        written.check(start, [b"a", b"d"], [])
    written.check(start + 2, [b"d"], [(b"a", b"z")])


def test_a_range_ends_before_its_upper_bound() -> None:
    written = Written()
    written.add((b"m",))
    written.check(0, [], [(b"a", b"m"), (b"m\0", b"z")])
    with pytest.raises(Conflict, match="in a range"):
        written.check(0, [], [(b"m", b"m\0")])


def test_who_is_older_than_what_is_remembered_conflicts_whatever_was_read() -> None:
    written = Written()
    for n in range(REMEMBERED_WRITES_MAX):
        written.add((b"%d" % n,))
    written.check(0, [b"x"], [])
    written.add((b"y",))
    with pytest.raises(Conflict, match="too old"):
        written.check(0, [b"x"], [])
    # Half is forgotten; the other half is still known by its place.
    begin = REMEMBERED_WRITES_MAX // 2 + 1
    written.check(begin, [b"%d" % (begin - 1)], [])
    with pytest.raises(Conflict, match="was changed"):
        written.check(begin, [b"%d" % begin], [])


def test_memory_is_bounded_whatever_the_size_of_commits() -> None:
    written = Written()
    big = tuple(b"%d" % n for n in range(REMEMBERED_WRITES_MAX))
    for n in range(100):
        written.add((b"a",) * (1 + n * 37 % 1000))
        assert sum(map(len, written._commits)) == written._keys <= REMEMBERED_WRITES_MAX
    written.add(big)
    assert written._keys <= REMEMBERED_WRITES_MAX
    start = written.count
    written.add((*big, b"one more"))
    assert not written._commits
    with pytest.raises(Conflict, match="too old"):
        written.check(start, [], [])


def test_after_a_loss_whoever_had_begun_conflicts() -> None:
    written = Written()
    written.add((b"a",))
    start = written.count
    written.forget()
    with pytest.raises(Conflict):
        written.check(start, [b"z"], [])
    start = written.count
    written.add((b"b",))
    written.check(start, [b"a"], [])
