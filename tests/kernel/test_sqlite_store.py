"""The store on one machine: crashes, full disks, and how much it keeps in memory."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from doppio.kernel import sqlite_store
from doppio.kernel.data_folder import DATABASE
from doppio.kernel.keys import pack, unpack
from doppio.kernel.redo_log import SEGMENT_BYTES_KEPT, RedoLog
from doppio.kernel.sqlite_store import SqliteStore
from doppio.kernel.store import StoreClosed, StoreFull

from .stores import in_database, write

ALL = (b"\x01", b"\xff")
Rows = dict[bytes, bytes | None]


def crashed_copy(folder: Path, to: Path) -> Path:
    """The folder as a kill -9 at this moment would leave it."""
    shutil.copytree(folder, to, ignore=shutil.ignore_patterns("lock"))
    return to


def test_rows_are_read_alike_from_memory_from_the_batch_and_from_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_store, "BATCH_SECONDS", 3_600)

    async def run() -> None:
        store = SqliteStore(tmp_path)
        await write(store, {b"a": b"1", b"b": b"1", b"c": b"1", b"d": b"1"})
        await in_database(store)
        # The batch under way, as if the database took its time.
        store._applying = True
        await write(store, {b"b": b"2", b"c": None, b"e": b"2"})
        store._next_batch()
        await write(store, {b"a": None, b"e": b"3", b"c": b"3"})
        expected = [(b"b", b"2"), (b"c", b"3"), (b"d", b"1"), (b"e", b"3")]

        async def check() -> None:
            view, tx = store.view(), store.begin()
            for reader in (view, tx):
                assert await reader.scan(*ALL, limit=9) == expected
                assert await reader.scan(*ALL, limit=2, reverse=True) == expected[:1:-1]
                found = await reader.get_many([b"a", b"b", b"c", b"d", b"e"])
                assert found == [None, b"2", b"3", b"1", b"3"]

        assert store._batch is not None
        assert store._recent.rows
        await check()
        store._applying = False
        store._store_batch()
        await in_database(store)
        await check()
        await store.close()

    asyncio.run(run())


@pytest.mark.parametrize("moment", ["in the log", "in the batch", "in the database"])
def test_a_commit_that_has_returned_survives_a_crash_at_any_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    monkeypatch.setattr(sqlite_store, "BATCH_SECONDS", 3_600)

    async def run() -> None:
        store = SqliteStore(tmp_path / "store")
        await write(store, {b"a": b"1", b"b": b"1"})
        await in_database(store)
        tx = store.begin()
        tx.put(b"a", b"2")
        tx.delete(b"b")
        tx.add(b"uses", 4)
        tx.append("log", b"entry")
        await tx.commit()
        if moment == "in the batch":
            store._applying = True
            store._next_batch()
            await write(store, {b"later": b"1"})
        elif moment == "in the database":
            await in_database(store)
        again = SqliteStore(crashed_copy(tmp_path / "store", tmp_path / "copy"))
        rows = dict(await again.view().scan(*ALL, limit=9))
        assert rows.pop(b"later", b"1") == b"1"
        assert rows == {b"a": b"2"}
        assert await again.view().counter(b"uses") == 4
        assert [entry for _, entry in await again.view().log("log", 0, limit=9)] == [b"entry"]
        await write(again, {b"c": b"1"})
        await again.close()
        if moment == "in the batch":
            store._applying = False
            store._store_batch()
        await store.close()

    asyncio.run(run())


WRITER = """
import asyncio, sys
from pathlib import Path
from doppio.kernel.keys import pack
from doppio.kernel.sqlite_store import SqliteStore

async def worker(store, who):
    number = 0
    while True:
        number += 1
        tx = store.begin()
        tx.put(pack("row", who, number), b"%d" % number)
        tx.put(pack("last", who), b"%d" % number)
        if number > 5:
            tx.delete(pack("row", who, number - 5))
        tx.add(b"commits", 1)
        tx.append("log", b"%d.%d" % (who, number))
        await tx.commit()
        # One write each: what the parent reads has been acknowledged.
        sys.stdout.write(f"{who} {number}\\n")
        sys.stdout.flush()

async def main():
    store = SqliteStore(Path(sys.argv[1]))
    await asyncio.gather(*(worker(store, who) for who in range(6)))

asyncio.run(main())
"""


def test_after_kill_9_everything_acknowledged_is_there_and_everything_is_whole(
    tmp_path: Path,
) -> None:
    chance = random.Random(5)
    for loop in range(4):
        folder = tmp_path / str(loop)
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        ) as writer:
            assert writer.stdout is not None
            lines = [writer.stdout.readline()]
            end = time.monotonic() + 0.05 + chance.random() * 0.4
            while time.monotonic() < end:
                lines.append(writer.stdout.readline())
            writer.send_signal(signal.SIGKILL)
            lines += writer.stdout.read().splitlines(keepends=True)
        acknowledged: dict[int, int] = {}
        for line in lines:
            if line.endswith(b"\n"):
                who, number = map(int, line.split())
                acknowledged[who] = number
        assert acknowledged
        asyncio.run(check_whole(folder, acknowledged))


async def check_whole(folder: Path, acknowledged: dict[int, int]) -> None:
    store = SqliteStore(folder)
    view = store.view()
    commits = 0
    for who in range(6):
        last = int(await view.get(pack("last", who)) or b"0")
        commits += last
        assert last >= acknowledged.get(who, 0)
        lo, hi = pack("row", who), pack("row", who) + b"\xff"
        rows = [unpack(key)[2] for key, _ in await view.scan(lo, hi, limit=99)]
        assert rows == list(range(max(1, last - 4), last + 1))
    assert await view.counter(b"commits") == commits
    entries = [entry for _, entry in await view.log("log", 0, limit=1_000_000)]
    assert len(entries) == commits == len(set(entries))
    await store.close()


def test_a_full_disk_refuses_commits_serves_reads_and_recovers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = [False]
    real = RedoLog.write

    def log_write(self: RedoLog, record: bytes) -> None:
        if full[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(self, record)

    monkeypatch.setattr(RedoLog, "write", log_write)

    async def run() -> None:
        store = SqliteStore(tmp_path)
        await write(store, {b"a": b"1"})
        full[0] = True
        refused = await asyncio.gather(
            *(write(store, {b"b%d" % n: b"1"}) for n in range(5)), return_exceptions=True
        )
        assert all(isinstance(one, StoreFull) for one in refused)
        assert await store.view().scan(*ALL, limit=9) == [(b"a", b"1")]
        full[0] = False
        await write(store, {b"c": b"1"})
        assert await store.view().scan(*ALL, limit=9) == [(b"a", b"1"), (b"c", b"1")]
        await store.close()

    asyncio.run(run())


def test_a_database_that_cannot_grow_refuses_commits_keeps_what_it_acknowledged_and_recovers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_store, "BATCH_BYTES", 20_000)

    async def run() -> None:
        store = SqliteStore(tmp_path)
        await write(store, {b"a": b"1"})
        store._writer.execute("PRAGMA max_page_count=20")
        acknowledged: Rows = {b"a": b"1"}

        async def fill() -> None:
            for number in range(500):
                rows: Rows = {b"k%03d" % number: b"v" * 3_000}
                await write(store, rows)
                acknowledged.update(rows)

        with pytest.raises(StoreFull):
            await fill()
        assert dict(await store.view().scan(*ALL, limit=999)) == acknowledged
        with pytest.raises(StoreFull):
            await write(store, {b"more": b"1"})
        crashed_copy(tmp_path, tmp_path.parent / f"{tmp_path.name}-copy")
        store._writer.execute("PRAGMA max_page_count=1000000")
        await write(store, {b"more": b"1"})
        acknowledged[b"more"] = b"1"
        assert dict(await store.view().scan(*ALL, limit=999)) == acknowledged
        await store.close()
        again = SqliteStore(tmp_path)
        assert dict(await again.view().scan(*ALL, limit=999)) == acknowledged
        await again.close()
        del acknowledged[b"more"]
        crashed = SqliteStore(tmp_path.parent / f"{tmp_path.name}-copy")
        assert dict(await crashed.view().scan(*ALL, limit=999)) == acknowledged
        await crashed.close()

    asyncio.run(run())


LIMITED = """
import asyncio, resource, signal, sys
from pathlib import Path
from doppio.kernel.sqlite_store import SqliteStore
from doppio.kernel.store import StoreFull

async def main():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    store = SqliteStore(Path(sys.argv[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
    count = 0
    try:
        while True:
            tx = store.begin()
            tx.put(b"k%05d" % count, b"v" * 5_000)
            await tx.commit()
            count += 1
    except StoreFull:
        pass
    assert 20 < count < 10_000, count
    rows = await store.view().scan(b"k", b"l", limit=20_000)
    assert len(rows) == count, (len(rows), count)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    tx = store.begin()
    tx.put(b"k", b"after")
    await tx.commit()
    await store.close()
    print(count)

asyncio.run(main())
"""


def test_files_that_may_not_grow_are_a_full_disk(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path / "store")],
        check=True, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    count = int(done.stdout)

    async def run() -> None:
        store = SqliteStore(tmp_path / "store")
        assert len(await store.view().scan(b"k0", b"l", limit=20_000)) == count
        assert await store.view().get(b"k") == b"after"
        await store.close()

    asyncio.run(run())


def test_a_store_that_starts_on_a_full_disk_serves_what_its_log_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_store, "BATCH_SECONDS", 3_600)

    async def run() -> None:
        store = SqliteStore(tmp_path / "store")
        await write(store, {b"a": b"1", b"b": b"1"})
        copy = crashed_copy(tmp_path / "store", tmp_path / "copy")
        await store.close()
        with monkeypatch.context() as patched:
            patched.setattr(SqliteStore, "_apply", lambda *_: StoreFull("no space"))
            full = SqliteStore(copy)
            assert await full.view().scan(*ALL, limit=9) == [(b"a", b"1"), (b"b", b"1")]
            with pytest.raises(StoreFull):
                await write(full, {b"c": b"1"})
        await write(full, {b"c": b"2"})
        await full.close()
        again = SqliteStore(copy)
        rows = await again.view().scan(*ALL, limit=9)
        assert rows == [(b"a", b"1"), (b"b", b"1"), (b"c", b"2")]
        await again.close()

    asyncio.run(run())


def test_a_failing_disk_closes_the_store_for_commits_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        store = SqliteStore(tmp_path)
        await write(store, {b"a": b"1"})

        def fail(self: RedoLog, record: bytes) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        with monkeypatch.context() as patched:
            patched.setattr(RedoLog, "write", fail)
            with pytest.raises(StoreClosed, match="Input/output error"):
                await write(store, {b"b": b"1"})
        # A disk that has lost a write may lose the next one silently: not before a restart.
        with pytest.raises(StoreClosed, match="Input/output error"):
            await write(store, {b"c": b"1"})
        assert await store.view().scan(*ALL, limit=9) == [(b"a", b"1")]
        await store.close()

    asyncio.run(run())


def test_reading_a_closed_store_is_refused(tmp_path: Path) -> None:
    async def run() -> None:
        store = SqliteStore(tmp_path)
        await write(store, {b"a": b"1"})
        await store.close()
        with pytest.raises(StoreClosed):
            await store.view().get(b"a")
        with pytest.raises(StoreClosed):
            await store.view().scan(*ALL, limit=9)

    asyncio.run(run())


def test_reads_between_the_batches_see_each_and_keep_no_log_from_being_emptied(
    tmp_path: Path,
) -> None:
    async def run() -> None:
        store = SqliteStore(tmp_path)
        value = os.urandom(200_000)
        for number in range(300):
            await write(store, {b"big/%04d" % number: value, b"last": b"%d" % number})
            if number % 10 == 0:
                await in_database(store)
                assert [key for key, _ in await store.view().scan(b"last", b"lasu", limit=2)] == [
                    b"last"
                ]
                assert store._stored(b"last") == b"%d" % number
                assert store._holding
        await in_database(store)
        log = tmp_path / f"{DATABASE}-wal"
        assert log.stat().st_size < 48_000_000
        await store.close()

    asyncio.run(run())


def test_the_logs_do_not_grow_with_what_was_ever_written(tmp_path: Path) -> None:
    async def run() -> None:
        store = SqliteStore(tmp_path)
        for start in range(0, 80_000, 500):
            await write(
                store, {b"k%05d" % (n % 2_000): b"v" * 1_000 for n in range(start, start + 500)}
            )
        await in_database(store)
        sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
        redo = sum(size for name, size in sizes.items() if name.startswith("redo-"))
        assert redo < 2 * SEGMENT_BYTES_KEPT
        assert sizes[f"{DATABASE}-wal"] < 40_000_000
        await store.close()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", DATABASE]

    asyncio.run(run())


def test_an_idle_store_does_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_store, "BATCH_SECONDS", 0.01)

    async def run() -> None:
        store = SqliteStore(tmp_path)
        await write(store, {b"a": b"1"})
        await asyncio.sleep(0.1)
        assert not store._recent.rows
        assert store._due is None
        before = resource.getrusage(resource.RUSAGE_SELF)
        await asyncio.sleep(0.3)
        after = resource.getrusage(resource.RUSAGE_SELF)
        assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.01
        assert after.ru_nvcsw - before.ru_nvcsw < 20
        await store.close()

    asyncio.run(run())


def test_a_throw_away_store_syncs_nothing_and_keeps_what_it_has_after_a_clean_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        store = SqliteStore(tmp_path, synchronous="OFF")
        monkeypatch.setattr(RedoLog, "write", lambda *_: pytest.fail("the log was written"))
        await write(store, {b"a": b"1"})
        assert await store.view().get(b"a") == b"1"
        await store.close()
        again = SqliteStore(tmp_path, synchronous="OFF")
        assert await again.view().get(b"a") == b"1"
        await again.close()

    asyncio.run(run())


def test_opening_does_not_depend_on_how_much_there_is(tmp_path: Path) -> None:
    async def run() -> None:
        store = SqliteStore(tmp_path)
        for start in range(0, 100_000, 10_000):
            await write(store, {b"k%06d" % n: b"v" * 50 for n in range(start, start + 10_000)})
        await store.close()
        began = time.perf_counter()
        again = SqliteStore(tmp_path)
        assert await again.view().get(b"k050000") == b"v" * 50
        assert time.perf_counter() - began < 0.1
        await again.close()

    asyncio.run(run())
