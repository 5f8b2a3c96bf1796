"""What a cluster remembers, and what it must not: reads and writes that cross each other."""

from __future__ import annotations

from datetime import timedelta

from doppio.services.dax import limits
from doppio.services.dax.caches import MISSING, Cache
from tests.services.world import START

TTL = timedelta(minutes=5)


def test_something_is_there_until_its_time_is_over() -> None:
    cache = Cache(10_000)
    assert cache.get("a", START, TTL) is MISSING
    cache.put("a", None, 0, START)
    assert cache.get("a", START + TTL - timedelta(microseconds=1), TTL) is None
    assert cache.get("a", START + timedelta(days=9_999), None) is None
    assert cache.get("a", START + TTL, TTL) is MISSING
    assert (len(cache), cache.used_bytes) == (0, 0)
    cache.put("a", 1, 0, START)
    assert cache.get("a", START - timedelta(seconds=1), TTL) is MISSING, "a clock was turned back"


def test_the_least_recently_used_goes_first() -> None:
    cache = Cache(3 * (limits.ENTRY_BYTES + 100))
    for key in "abc":
        assert cache.put(key, key, 100, START) == 0
    assert cache.get("a", START, None) == "a"
    assert cache.put("d", "d", 100, START) == limits.ENTRY_BYTES + 100
    assert [cache.get(key, START, None) for key in "acd"] == ["a", "c", "d"]
    assert cache.get("b", START, None) is MISSING
    cache.put("e", "e", 10_000, START)
    assert cache.get("e", START, None) is MISSING, "what is larger than all is not kept"
    assert cache.used_bytes <= cache.bytes_max


def test_a_read_that_a_write_has_crossed_is_stale() -> None:
    cache = Cache(10_000)
    early, other = cache.begin_read(["a", "b"]), cache.begin_read(["b"])
    cache.begin_write(["a"])
    late = cache.begin_read(["a"])
    assert cache.end_write(["a"], changed=True) == {"a"}
    cache.put("a", "new", 0, START)
    after = cache.begin_read(["a"])
    for one, stale in ((early, {"a"}), (other, set()), (late, {"a"}), (after, set())):
        cache.end_read(one)
        assert one.stale == stale
    assert cache._readings == {}


def test_of_writes_at_once_nobody_knows_which_came_last() -> None:
    cache = Cache(10_000)
    cache.begin_write(["a"])
    cache.begin_write(["a", "b"])
    assert cache.end_write(["a"], changed=True) == set()
    assert cache.end_write(["a", "b"], changed=True) == {"b"}
    cache.begin_write(["a"])
    assert cache.end_write(["a"], changed=True) == {"a"}
    assert cache._writing == {}


def test_a_write_that_is_refused_changes_nothing() -> None:
    cache = Cache(10_000)
    cache.put("a", "old", 0, START)
    cache.begin_write(["a"])
    cache.end_write(["a"], changed=False)
    assert cache.get("a", START, None) == "old"
    cache.begin_write(["a"])
    cache.end_write(["a"], changed=True)
    assert cache.get("a", START, None) is MISSING
