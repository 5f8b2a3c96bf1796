"""What every store promises: the same tests on all three."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from doppio.kernel.store import Conflict, Store, StoreClosed, StoreTx

from .stores import Opener, on_store, transact, write

ALL = (b"\x01", b"\xff")


@on_store
async def test_what_was_committed_is_there(store: Store) -> None:
    await write(store, {b"a": b"1", b"b": b""})
    view = store.view()
    assert await view.get(b"a") == b"1"
    assert await view.get(b"b") == b""
    assert await view.get(b"c") is None
    assert await view.get_many([b"c", b"a", b"b", b"a"]) == [None, b"1", b"", b"1"]
    assert await view.get_many([]) == []


@on_store
async def test_looking_ahead_gives_the_keys_of_what_is_durable(store: Store) -> None:
    await write(store, {b"a": b"1", b"b": b"2", b"c": b"3", b"d": b"4"})
    await write(store, {b"b": None})
    view = store.view()
    assert await view.ahead(*ALL, limit=9) == [b"a", b"c", b"d"]
    assert await view.ahead(b"b", b"d", limit=9) == [b"c"]
    assert await view.ahead(*ALL, limit=2) == [b"a", b"c"]
    assert await view.ahead(b"e", b"f", limit=2) == []
    assert await view.ahead(*ALL, limit=0) == []


def test_what_was_committed_is_there_after_a_restart(opener: Opener) -> None:
    async def first() -> None:
        store = opener.open()
        await write(store, {b"a": b"1", b"gone": b"1"})
        await write(store, {b"a": b"2", b"gone": None})
        tx = store.begin()
        tx.add(b"uses", 2.5)
        tx.append("log", b"one")
        await tx.commit()
        await store.close()

    async def second() -> None:
        store = opener.open()
        assert await store.view().scan(*ALL, limit=10) == [(b"a", b"2")]
        assert await store.view().counter(b"uses") == 2.5
        tx = store.begin()
        tx.add(b"uses", 1)
        tx.append("log", b"two")
        await tx.commit()
        assert await store.view().counter(b"uses") == 3.5
        entries = await store.view().log("log", 0, limit=10)
        assert [entry for _, entry in entries] == [b"one", b"two"]
        assert entries[0][0] < entries[1][0]
        await store.close()

    asyncio.run(first())
    asyncio.run(second())


@on_store
async def test_a_view_sees_a_commit_as_soon_as_it_has_returned(store: Store) -> None:
    view = store.view()
    for number in range(50):
        value = b"%d" % number
        await write(store, {b"k": value})
        assert await view.get(b"k") == value
        assert await view.scan(b"k", b"l", limit=1) == [(b"k", value)]


@on_store
async def test_a_view_sees_nothing_before_the_commit(store: Store) -> None:
    tx = store.begin()
    tx.put(b"k", b"1")
    tx.add(b"uses", 1)
    tx.append("log", b"entry")
    view = store.view()
    assert await view.get(b"k") is None
    assert await view.counter(b"uses") == 0
    await tx.commit()
    assert await view.get(b"k") == b"1"
    assert await view.counter(b"uses") == 1
    assert [entry for _, entry in await view.log("log", 0, limit=9)] == [b"entry"]


@on_store
async def test_a_scan_is_in_byte_order_within_its_bounds(store: Store) -> None:
    keys = [b"\x01", b"a", b"a\x00", b"aa", b"a\xff", b"b", b"\xfe\xff\xff"]
    await write(store, {key: key[::-1] for key in reversed(keys)})
    view = store.view()
    rows = [(key, key[::-1]) for key in keys]
    assert await view.scan(*ALL, limit=100) == rows
    assert await view.scan(*ALL, limit=100, reverse=True) == rows[::-1]
    assert await view.scan(b"a", b"b", limit=100) == rows[1:5]
    assert await view.scan(b"a", b"b", limit=2) == rows[1:3]
    assert await view.scan(b"a", b"b", limit=2, reverse=True) == [rows[4], rows[3]]
    assert await view.scan(b"", b"a", limit=100) == rows[:1]
    assert await view.scan(b"b", b"a", limit=100) == []
    assert await view.scan(*ALL, limit=0) == []
    tx = store.begin()
    assert await tx.scan(*ALL, limit=0) == []
    await tx.abandon()


@on_store
async def test_a_transaction_reads_its_own_writes(store: Store) -> None:
    await write(store, {b"a": b"1", b"b": b"1", b"d": b"1", b"f": b"1"})
    tx = store.begin()
    tx.put(b"b", b"2")
    tx.put(b"c", b"2")
    tx.delete(b"d")
    tx.delete(b"nothing")
    assert await tx.get(b"b") == b"2"
    assert await tx.get(b"d") is None
    assert await tx.get_many([b"a", b"c", b"d"]) == [b"1", b"2", None]
    expected = [(b"a", b"1"), (b"b", b"2"), (b"c", b"2"), (b"f", b"1")]
    assert await tx.scan(*ALL, limit=9) == expected
    assert await tx.scan(*ALL, limit=9, reverse=True) == expected[::-1]
    assert await tx.scan(b"b", b"z", limit=3) == expected[1:]
    assert await tx.scan(b"b", b"z", limit=2, reverse=True) == [expected[3], expected[2]]
    tx.add(b"uses", 2)
    tx.add(b"uses", 3)
    assert await tx.counter(b"uses") == 5
    await tx.commit()
    assert await store.view().scan(*ALL, limit=9) == expected
    assert await store.view().counter(b"uses") == 5


@on_store
async def test_a_scan_goes_on_behind_many_rows_deleted_in_the_same_transaction(
    store: Store,
) -> None:
    await write(store, {b"k%03d" % number: b"v" for number in range(200)})
    tx = store.begin()
    for number in range(10, 190):
        tx.delete(b"k%03d" % number)
    forwards = await tx.scan(*ALL, limit=12)
    assert [key for key, _ in forwards] == [b"k%03d" % n for n in [*range(10), 190, 191]]
    backwards = await tx.scan(*ALL, limit=12, reverse=True)
    assert [key for key, _ in backwards] == [b"k%03d" % n for n in [*range(199, 189, -1), 9, 8]]
    await tx.abandon()


@on_store
async def test_an_abandoned_transaction_leaves_nothing(store: Store) -> None:
    tx = store.begin()
    tx.put(b"k", b"1")
    tx.add(b"uses", 1)
    tx.append("log", b"entry")
    tx.notify("topic")
    await tx.abandon()
    assert await store.view().scan(*ALL, limit=9) == []
    assert await store.view().counter(b"uses") == 0
    assert await store.view().log("log", 0, limit=9) == []


async def read_point(tx: StoreTx) -> None:
    await tx.get(b"m")


async def read_points(tx: StoreTx) -> None:
    await tx.get_many([b"c", b"m"])


async def read_range(tx: StoreTx) -> None:
    await tx.scan(b"k", b"p", limit=9)


async def read_range_backwards(tx: StoreTx) -> None:
    await tx.scan(b"k", b"p", limit=9, reverse=True)


READS = [read_point, read_points, read_range, read_range_backwards]
CHANGES: dict[str, tuple[dict[bytes, bytes | None], dict[bytes, bytes | None]]] = {
    "changed": ({b"m": b"1"}, {b"m": b"2"}),
    "created": ({}, {b"m": b"2"}),
    "deleted": ({b"m": b"1"}, {b"m": None}),
    "deleted and created": ({b"m": b"1"}, {b"m": None}),
}


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("change", CHANGES)
def test_a_read_that_was_overtaken_conflicts(
    opener: Opener, read: Callable[[StoreTx], Awaitable[None]], change: str
) -> None:
    before, after = CHANGES[change]

    async def run() -> None:
        store = opener.open()
        await write(store, before)
        for ends_with_a_write in (True, False):
            tx = store.begin()
            await read(tx)
            if ends_with_a_write:
                tx.put(b"own", b"1")
            await write(store, after)
            if change == "deleted and created":
                await write(store, before)
            with pytest.raises(Conflict):
                await (tx.commit() if ends_with_a_write else tx.abandon())
            await write(store, {b"m": None, **before})
        assert await store.view().get(b"own") is None
        await store.close()

    asyncio.run(run())


@on_store
async def test_what_was_not_read_does_not_conflict(store: Store) -> None:
    await write(store, {b"k": b"1", b"m": b"1", b"n": b"1", b"o": b"1"})
    tx = store.begin()
    await tx.get(b"k")
    await tx.scan(b"l", b"z", limit=2)
    await tx.counter(b"uses")
    tx.put(b"blind", b"1")
    tx.add(b"uses", 1)
    tx.append("log", b"mine")
    # Behind the limit, at the end of the range, outside it, blindly, and what never conflicts.
    await write(store, {b"o": b"2", b"z": b"1", b"a": b"1", b"blind": b"0"})
    other = store.begin()
    other.add(b"uses", 1)
    other.append("log", b"theirs")
    await other.commit()
    await tx.commit()
    assert await store.view().get(b"blind") == b"1"
    assert await store.view().counter(b"uses") == 2
    entries = [entry for _, entry in await store.view().log("log", 0, limit=9)]
    assert entries == [b"theirs", b"mine"]


@on_store
async def test_a_row_that_appears_before_the_last_one_read_conflicts(store: Store) -> None:
    await write(store, {b"b": b"1", b"d": b"1", b"f": b"1"})
    forwards, backwards = store.begin(), store.begin()
    assert len(await forwards.scan(*ALL, limit=2)) == 2
    assert len(await backwards.scan(*ALL, limit=2, reverse=True)) == 2
    await write(store, {b"c": b"1"})
    forwards.put(b"x", b"1")
    with pytest.raises(Conflict):
        await forwards.commit()
    # It read down to `d` alone, and `c` lies below that.
    backwards.put(b"y", b"1")
    await backwards.commit()


@on_store
async def test_a_conflict_keeps_nothing_of_the_transaction(store: Store) -> None:
    tx = store.begin()
    await tx.get(b"k")
    tx.put(b"own", b"1")
    tx.add(b"uses", 1)
    tx.append("log", b"entry")
    await write(store, {b"k": b"1"})
    with pytest.raises(Conflict):
        await tx.commit()
    assert await store.view().get(b"own") is None
    assert await store.view().counter(b"uses") == 0
    assert await store.view().log("log", 0, limit=9) == []


@on_store
async def test_concurrent_increments_are_all_counted(store: Store) -> None:
    async def increment(tx: StoreTx) -> None:
        found = await tx.get(b"n")
        await asyncio.sleep(0)
        tx.put(b"n", b"%d" % (int(found or b"0") + 1))

    async def worker() -> None:
        for _ in range(12):
            await transact(store, increment)

    await asyncio.gather(*(worker() for _ in range(8)))
    assert await store.view().get(b"n") == b"96"


@on_store
async def test_two_may_not_both_take_what_each_saw_was_free(store: Store) -> None:
    """Write skew: each reads the range of both and writes its own row."""

    async def take(key: bytes) -> bool:
        tx = store.begin()
        taken = await tx.scan(b"seat/", b"seat0", limit=9)
        await asyncio.sleep(0)
        if taken:
            await tx.abandon()
            return False
        tx.put(b"seat/" + key, b"")
        await tx.commit()
        return True

    for _ in range(10):
        found = await asyncio.gather(*(take(b"%d" % n) for n in range(6)), return_exceptions=True)
        assert found.count(True) == 1
        assert all(one in (True, False) or isinstance(one, Conflict) for one in found)
        rows = await store.view().scan(b"seat/", b"seat0", limit=9)
        assert len(rows) == 1
        await write(store, {key: None for key, _ in rows})


@on_store
async def test_counters_add_up_across_concurrent_commits(store: Store) -> None:
    async def one(number: int) -> None:
        tx = store.begin()
        tx.add(b"all", 1)
        tx.add(b"by/%d" % (number % 3), 0.5)
        await tx.commit()

    await asyncio.gather(*(one(number) for number in range(60)))
    view = store.view()
    assert await view.counter(b"all") == 60
    assert await view.counters(b"by/", b"by0", limit=9) == [(b"by/%d" % n, 10.0) for n in range(3)]
    assert await view.counters(b"by/", b"by0", limit=2) == [(b"by/%d" % n, 10.0) for n in range(2)]
    assert await view.scan(b"", b"\xff", limit=9) == []


@on_store
async def test_a_log_keeps_the_order_within_and_between_commits(store: Store) -> None:
    for number in range(40):
        tx = store.begin()
        for part in range(number % 3 + 1):
            tx.append("log", b"%d.%d" % (number, part))
        tx.append("other", b"x")
        await tx.commit()
    expected = [b"%d.%d" % (number, part) for number in range(40) for part in range(number % 3 + 1)]
    view = store.view()
    entries = await view.log("log", 0, limit=1_000)
    positions = [position for position, _ in entries]
    assert [entry for _, entry in entries] == expected
    assert positions == sorted(set(positions))
    assert positions[0] > 0
    # In pages, from any position.
    found: list[tuple[int, bytes]] = []
    while page := await view.log("log", found[-1][0] if found else 0, limit=7):
        assert len(page) <= 7
        found += page
    assert found == entries
    assert await view.log("log", positions[-1], limit=9) == []
    assert await view.log("nothing", 0, limit=9) == []


@on_store
async def test_a_log_knows_its_end_and_can_be_dropped(store: Store) -> None:
    assert await store.view().log_end("log") == 0
    for number in range(3):
        tx = store.begin()
        for _ in range(2):
            tx.append("log", b"%d" % number)
        tx.append("other", b"x")
        await tx.commit()
    entries = await store.view().log("log", 0, limit=100)
    assert await store.view().log_end("log") == entries[-1][0]
    await store.drop_log("log")
    assert await store.view().log("log", 0, limit=100) == []
    assert await store.view().log_end("log") == 0
    assert len(await store.view().log("other", 0, limit=100)) == 3


@on_store
async def test_a_trimmed_log_forgets_its_beginning_and_its_positions_still_rise(
    store: Store,
) -> None:
    for number in range(20):
        tx = store.begin()
        tx.append("log", b"%d" % number)
        await tx.commit()
    entries = await store.view().log("log", 0, limit=100)
    await store.trim_log("log", entries[9][0])
    left = await store.view().log("log", 0, limit=100)
    # What was committed together with later entries may stay for a while.
    assert entries[10:] == left[-10:]
    assert len(left) <= 11
    await store.trim_log("log", entries[-1][0] * 2)
    tx = store.begin()
    tx.append("log", b"new")
    await tx.commit()
    after = await store.view().log("log", entries[-1][0], limit=100)
    assert [entry for _, entry in after] == [b"new"]


@on_store
async def test_listeners_hear_of_a_topic_once_it_is_durable(store: Store) -> None:
    heard: list[tuple[str, bytes | None]] = []
    rung = asyncio.Event()

    def hear(topic: str) -> None:
        heard.append((topic, None))
        rung.set()

    store.listen(hear)
    tx = store.begin()
    tx.put(b"k", b"1")
    tx.notify("queue/ä'1")
    tx.notify("queue/ä'1")
    assert heard == []
    await tx.commit()
    await asyncio.wait_for(rung.wait(), 5)
    assert heard[0][0] == "queue/ä'1"
    assert await store.view().get(b"k") == b"1"
    tx = store.begin()
    tx.notify("never")
    await tx.abandon()
    rung.clear()
    tx = store.begin()
    tx.notify("alone")
    await tx.commit()
    await asyncio.wait_for(rung.wait(), 5)
    assert [topic for topic, _ in heard if topic != "queue/ä'1"] == ["alone"]


@on_store
async def test_a_closed_store_refuses_commits(store: Store) -> None:
    tx = store.begin()
    tx.put(b"k", b"1")
    await store.close()
    with pytest.raises(StoreClosed):
        await tx.commit()
    await store.close()


@on_store
async def test_closing_finishes_what_was_asked(store: Store) -> None:
    async def one(number: int) -> None:
        await write(store, {b"k%d" % number: b"v"})

    tasks = [asyncio.ensure_future(one(number)) for number in range(20)]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*tasks)


@on_store
async def test_large_transactions_and_values_are_kept_whole(store: Store) -> None:
    rows: dict[bytes, bytes | None] = {b"k%05d" % n: b"v%d" % n for n in range(3_001)}
    rows[b"large"] = b"x" * 3_000_000
    await write(store, rows)
    assert len(await store.view().scan(b"k", b"l", limit=5_000)) == 3_001
    assert await store.view().get(b"large") == rows[b"large"]
    await write(store, {b"k%05d" % n: None for n in range(3_000)})
    assert await store.view().scan(b"k", b"l", limit=5_000) == [(b"k03000", b"v3000")]


@on_store
async def test_commits_need_no_task_of_their_own(store: Store) -> None:
    """A request's coroutine may be driven by hand: it is sent None whenever its future is done."""
    finished: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()

    async def request() -> bytes | None:
        assert asyncio.current_task() is None
        await write(store, {b"k": b"1"})
        return await store.view().get(b"k")

    coroutine = request()

    def step(_: object = None) -> None:
        try:
            awaited = coroutine.send(None)
        except StopIteration as stop:
            finished.set_result(stop.value)
        except BaseException as error:
            finished.set_exception(error)
        else:
            assert awaited is not None
            awaited._asyncio_future_blocking = False
            awaited.add_done_callback(step)

    asyncio.get_running_loop().call_soon(step)
    assert await asyncio.wait_for(finished, 10) == b"1"
