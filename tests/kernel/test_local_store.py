"""What the stores of one process do with commits that are still on their way to disk."""

from __future__ import annotations

import asyncio
import gc
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doppio.kernel import local_store
from doppio.kernel.local_store import merge
from doppio.kernel.memory_store import MemoryStore
from doppio.kernel.store import Conflict, StoreClosed, StoreFull
from doppio.kernel.written import REMEMBERED_WRITES_MAX

from .stores import write

KEYS = st.binary(min_size=1, max_size=2)


def pairs(
    rows: dict[bytes, bytes], lo: bytes, hi: bytes, limit: int, reverse: bool
) -> list[tuple[bytes, bytes]]:
    keys = sorted((key for key in rows if lo <= key < hi), reverse=reverse)
    return [(key, rows[key]) for key in keys[:limit]]


@given(
    st.dictionaries(KEYS, st.binary(max_size=1), max_size=60),
    st.dictionaries(KEYS, st.none() | st.binary(max_size=1), max_size=60),
    KEYS,
    KEYS,
    st.integers(0, 20),
    st.booleans(),
)
def test_a_merged_scan_is_the_scan_of_the_changed_rows(
    rows: dict[bytes, bytes],
    changes: dict[bytes, bytes | None],
    lo: bytes,
    hi: bytes,
    limit: int,
    reverse: bool,
) -> None:
    merged: dict[bytes, bytes | None] = {**rows, **changes}
    changed = {key: value for key, value in merged.items() if value is not None}
    inside = {key: value for key, value in changes.items() if lo <= key < hi}
    found = merge(lambda *range_: pairs(rows, *range_), inside, lo, hi, limit, reverse)
    assert found == pairs(changed, lo, hi, limit, reverse)


def test_a_transaction_builds_on_a_commit_that_is_on_its_way_and_lands_behind_it() -> None:
    async def run() -> None:
        store = MemoryStore()
        first = store.begin()
        first.put(b"a", b"1")
        first.add(b"uses", 1)
        one = asyncio.ensure_future(first.commit())
        await asyncio.sleep(0)
        assert await store.view().get(b"a") is None
        second = store.begin()
        assert await second.get(b"a") == b"1"
        assert await second.scan(b"a", b"b", limit=9) == [(b"a", b"1")]
        assert await second.counter(b"uses") == 1
        second.delete(b"a")
        second.put(b"b", b"2")
        await second.commit()
        assert one.done()
        assert await store.view().scan(b"\x01", b"\xff", limit=9) == [(b"b", b"2")]

    asyncio.run(run())


def test_a_reader_of_a_pending_commit_returns_only_once_that_is_durable() -> None:
    async def run() -> None:
        store = MemoryStore()
        one = asyncio.ensure_future(write(store, {b"a": b"1"}))
        await asyncio.sleep(0)
        reader = store.begin()
        assert await reader.get(b"a") == b"1"
        assert await store.view().get(b"a") is None
        await reader.abandon()
        assert await store.view().get(b"a") == b"1"
        await one
        untouched = store.begin()
        await untouched.get(b"b")
        two = asyncio.ensure_future(write(store, {b"a": b"2"}))
        await asyncio.sleep(0)
        # Who saw nothing that is pending waits for nothing.
        await untouched.abandon()
        assert await store.view().get(b"a") == b"1"
        await two

    asyncio.run(run())


def test_a_transaction_that_is_too_old_to_be_checked_conflicts() -> None:
    async def run() -> None:
        store = MemoryStore()
        old = store.begin()
        await old.get(b"untouched")
        old.put(b"x", b"1")
        for start in range(0, 3 * REMEMBERED_WRITES_MAX, 1_000):
            await write(store, {b"k%d" % n: b"" for n in range(start, start + 1_000)})
        with pytest.raises(Conflict):
            await old.commit()
        young = store.begin()
        await young.get(b"untouched")
        young.put(b"x", b"1")
        await young.commit()

    asyncio.run(run())


def test_a_refusal_that_nobody_waits_for_is_not_reported_as_a_fault(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def run() -> None:
        store = MemoryStore(reaches_disk=lambda number: StoreFull("full"))
        waiter = asyncio.ensure_future(write(store, {b"a": b"1"}))
        await asyncio.sleep(0)
        waiter.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
        del waiter
        gc.collect()

    with caplog.at_level(logging.ERROR):
        asyncio.run(run())
    assert caplog.records == []


@pytest.mark.parametrize("what", ["_read", "_scan"])
def test_a_commit_that_fails_while_it_is_queued_leaves_nothing_for_others_to_commit(
    monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def fail(*_: object) -> None:
        raise StoreClosed("the disk does not answer")

    async def run() -> None:
        store = MemoryStore()
        tx = store.begin()
        tx.put(b"a", b"1")
        tx.add(b"uses", 1)
        tx.append("log", b"entry")
        with monkeypatch.context() as patched:
            patched.setattr(MemoryStore, what, fail)
            with pytest.raises(StoreClosed):
                await tx.commit()
        await write(store, {b"b": b"1"})
        assert list(store.disk) == [b"b"]
        assert await store.view().counter(b"uses") == 0
        assert await store.view().log("log", 0, limit=9) == []

    asyncio.run(run())


def test_many_counters_are_not_kept_in_memory_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_store, "CACHED_COUNTERS_MAX", 100)

    async def run() -> None:
        store = MemoryStore()
        for number in range(500):
            tx = store.begin()
            tx.add(b"%d" % (number % 250), 1)
            await tx.commit()
        assert len(store._counters) <= 101
        assert await store.view().counters(b"", b"\xff", limit=999) == sorted(
            (b"%d" % number, 2.0) for number in range(250)
        )

    asyncio.run(run())


def test_keys_of_the_store_itself_cannot_be_written() -> None:
    async def run() -> None:
        tx = MemoryStore().begin()
        for key in (b"", b"\0", b"\0cuses"):
            with pytest.raises(AssertionError):
                tx.put(key, b"1")

    asyncio.run(run())
