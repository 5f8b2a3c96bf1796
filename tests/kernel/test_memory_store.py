"""The store for simulations: its disk can be late, full or lost."""

from __future__ import annotations

import asyncio

import pytest

from doppio.kernel.memory_store import MemoryStore
from doppio.kernel.store import Conflict, StoreClosed, StoreError, StoreFull

from .stores import write


def test_a_crash_loses_what_has_not_reached_the_disk_and_nothing_else() -> None:
    async def run() -> None:
        store = MemoryStore()
        await write(store, {b"kept": b"1"})
        lost = asyncio.ensure_future(write(store, {b"lost": b"1"}))
        tx = store.begin()
        await asyncio.sleep(0)
        assert await tx.get(b"kept") == b"1"
        store.crash()
        with pytest.raises(StoreClosed):
            await lost
        with pytest.raises(StoreClosed):
            await write(store, {b"after": b"1"})
        again = MemoryStore(store.disk)
        assert await again.view().scan(b"\x01", b"\xff", limit=9) == [(b"kept", b"1")]

    asyncio.run(run())


def test_it_can_crash_at_any_commit() -> None:
    async def run(crash_at: int) -> int:
        store = MemoryStore(reaches_disk=lambda number: number != crash_at)
        done = 0
        try:
            for number in range(5):
                await write(store, {b"k%d" % number: b"1"})
                done += 1
        except StoreClosed:
            pass
        assert len(store.disk) == done
        return done

    assert [asyncio.run(run(number)) for number in range(1, 7)] == [0, 1, 2, 3, 4, 5]


def test_a_full_disk_takes_what_was_built_on_the_refused_commit_with_it() -> None:
    full = [True]

    def verdict(number: int) -> bool | StoreError:
        return StoreFull("the disk is full") if full[0] else True

    async def run() -> None:
        store = MemoryStore({b"n": b"0"}, verdict)
        first = store.begin()
        first.put(b"n", b"1")
        first.add(b"uses", 1)
        one = store._queue(first)
        # The second sees the first on its way, and builds on it.
        second, reader = store.begin(), store.begin()
        assert await second.get(b"n") == b"1"
        assert await reader.get(b"n") == b"1"
        second.put(b"m", b"1")
        two = store._queue(second)
        for refused in (one, two):
            assert refused is not None
            with pytest.raises(StoreFull):
                await refused
        # A reader who saw it before the refusal may not rest an answer on it.
        with pytest.raises(Conflict):
            await reader.abandon()
        assert await store.view().get(b"n") == b"0"
        assert await store.begin().get(b"n") == b"0"
        assert await store.begin().counter(b"uses") == 0
        full[0] = False
        await write(store, {b"n": b"2"})
        assert await store.view().get(b"n") == b"2"

    asyncio.run(run())


def test_commits_of_one_turn_of_the_loop_reach_the_disk_together() -> None:
    async def run() -> None:
        store = MemoryStore()
        await asyncio.gather(*(write(store, {b"k%d" % n: b"1"}) for n in range(20)))
        assert store.groups == 1
        await write(store, {b"k": b"1"})
        assert store.groups == 2

    asyncio.run(run())
