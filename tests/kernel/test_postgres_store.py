"""The store on PostgreSQL: several processes on one schema, and lost connections."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from doppio.kernel.keys import pack
from doppio.kernel.postgres_store import PostgresStore
from doppio.kernel.store import Conflict, StoreTx

from .postgres_server import schema_url
from .stores import transact, write

ALL = (b"\x01", b"\xff")


@pytest.fixture
def url() -> str:
    return schema_url()


def test_two_stores_on_one_schema_never_lose_an_increment(url: str) -> None:
    async def increment(tx: StoreTx) -> None:
        found = int(await tx.get(b"n") or b"0")
        tx.put(b"n", b"%d" % (found + 1))
        tx.put(b"row%05d" % found, b"")
        assert len(await tx.scan(b"row", b"rox", limit=1_000)) == found + 1
        tx.add(b"uses", 1)
        tx.append("log", b"%d" % found)

    async def run() -> None:
        stores = [PostgresStore(url), PostgresStore(url)]

        async def worker(store: PostgresStore) -> None:
            for _ in range(10):
                await transact(store, increment)

        await asyncio.gather(*(worker(stores[n % 2]) for n in range(6)))
        for store in stores:
            assert await store.view().get(b"n") == b"60"
            assert await store.view().counter(b"uses") == 60
            entries = await store.view().log("log", 0, limit=100)
            assert [entry for _, entry in entries] == [b"%d" % n for n in range(60)]
            await store.close()

    asyncio.run(run())


def test_a_phantom_of_another_process_conflicts(url: str) -> None:
    async def run() -> None:
        one, two = PostgresStore(url), PostgresStore(url)
        await write(one, {b"a": b"1", b"c": b"1"})
        tx = one.begin()
        assert len(await tx.scan(b"a", b"d", limit=9)) == 2
        tx.put(b"count", b"2")
        await write(two, {b"b": b"1"})
        with pytest.raises(Conflict):
            await tx.commit()
        tx = one.begin()
        assert len(await tx.scan(b"a", b"d", limit=9)) == 3
        await write(two, {b"b": None, b"b2": b"1"})
        with pytest.raises(Conflict):
            await tx.abandon()
        await one.close()
        await two.close()

    asyncio.run(run())


def test_what_one_process_notifies_every_process_hears_once(url: str) -> None:
    async def run() -> None:
        one, two = PostgresStore(url), PostgresStore(url)
        heard: dict[str, list[str]] = {"one": [], "two": []}
        one.listen(heard["one"].append)
        two.listen(heard["two"].append)
        # The first answer of a store comes once it listens.
        assert await two.view().get(b"k") is None
        tx = one.begin()
        tx.put(b"k", b"1")
        tx.notify("topic/é")
        await tx.commit()
        for _ in range(200):
            await asyncio.sleep(0.01)
            if heard["two"]:
                break
        await asyncio.sleep(0.05)
        assert heard == {"one": ["topic/é"], "two": ["topic/é"]}
        assert await two.view().get(b"k") == b"1"
        await one.close()
        await two.close()

    asyncio.run(run())


def test_keys_longer_than_an_index_row_keep_their_order(url: str) -> None:
    async def run() -> None:
        store = PostgresStore(url)
        stem = bytes(range(1, 251)) * 16
        keys = [
            stem[:1_999],
            stem[:2_000],
            stem[:2_001],
            stem,
            stem + b"\x01",
            stem + b"\xfe",
            b"\xfe",
        ]
        await write(store, dict.fromkeys(reversed(keys), b"v"))
        rows = await store.view().scan(*ALL, limit=99)
        assert [key for key, _ in rows] == keys
        rows = await store.view().scan(stem[:2_000], stem + b"\x02", limit=99, reverse=True)
        assert [key for key, _ in rows] == keys[4:0:-1]
        assert await store.view().get_many(keys) == [b"v"] * len(keys)
        tx = store.begin()
        await tx.scan(stem, stem + b"\x03", limit=9)
        tx.put(b"a", b"")
        await write(store, {stem + b"\x02": b"new"})
        with pytest.raises(Conflict):
            await tx.commit()
        await write(store, {stem: None, stem + b"\x01": b"changed"})
        assert await store.view().get_many([stem, stem + b"\x01"]) == [None, b"changed"]
        await store.close()

    asyncio.run(run())


@pytest.mark.parametrize("kept", [True, False])
def test_a_connection_lost_in_the_commit_itself_neither_loses_nor_doubles_it(
    url: str, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer to COMMIT is lost: the server is asked what became of the transaction."""

    async def run() -> None:
        store = PostgresStore(url)
        await write(store, {b"a": b"1"})
        link = store._link
        real = link._take
        cut = [True]

        class Cutting:
            """A connection that is lost at COMMIT, before or after the server has done it."""

            def __init__(self, connection: Any) -> None:
                self._connection = connection

            def __getattr__(self, name: str) -> Any:
                return getattr(self._connection, name)

            async def execute(self, statement: str, *arguments: Any) -> Any:
                if statement == "COMMIT" and cut[0]:
                    cut[0] = False
                    if kept:
                        await self._connection.execute(statement)
                    self._connection.terminate()
                    raise ConnectionResetError("lost")
                return await self._connection.execute(statement, *arguments)

        async def take() -> Any:
            return Cutting(await real())

        monkeypatch.setattr(link, "_take", take)
        tx = store.begin()
        tx.put(b"a", b"2")
        tx.add(b"uses", 1)
        tx.append("log", b"entry")
        await tx.commit()
        assert not cut[0]
        assert await store.view().get(b"a") == b"2"
        assert await store.view().counter(b"uses") == 1
        assert len(await store.view().log("log", 0, limit=9)) == 1
        await store.close()

    asyncio.run(run())


WRITER = """
import asyncio, sys
from doppio.kernel.keys import pack
from doppio.kernel.postgres_store import PostgresStore

async def worker(store, who):
    number = 0
    while True:
        number += 1
        tx = store.begin()
        tx.put(pack("last", who), b"%d" % number)
        tx.add(b"commits", 1)
        tx.append("log", b"%d.%d" % (who, number))
        await tx.commit()
        sys.stdout.write(f"{who} {number}\\n")
        sys.stdout.flush()

async def main():
    store = PostgresStore(sys.argv[1])
    await asyncio.gather(*(worker(store, int(sys.argv[2]) + n) for n in range(4)))

asyncio.run(main())
"""


def test_a_process_that_is_killed_loses_nothing_acknowledged_and_holds_up_nobody(url: str) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, url, str(first)], stdout=subprocess.PIPE, env=environment
        )
        for first in (0, 10)
    ]
    lines: list[bytes] = []
    for writer in writers:
        assert writer.stdout is not None
        lines += [writer.stdout.readline() for _ in range(60)]
        writer.send_signal(signal.SIGKILL)
        lines += writer.stdout.read().splitlines(keepends=True)
        writer.wait()
        writer.stdout.close()
    acknowledged: dict[int, int] = {}
    for line in lines:
        if line.endswith(b"\n"):
            who, number = map(int, line.split())
            acknowledged[who] = number
    assert len(acknowledged) == 8

    async def check() -> None:
        store = PostgresStore(url)
        await write(store, {b"after": b"1"})
        total = 0
        for who, number in acknowledged.items():
            last = int(await store.view().get(pack("last", who)) or b"0")
            assert last >= number
            total += last
        assert await store.view().counter(b"commits") == total
        entries = await store.view().log("log", 0, limit=1_000_000)
        assert len({entry for _, entry in entries}) == len(entries) == total
        await store.close()

    asyncio.run(check())


def test_two_processes_may_start_on_an_empty_database_at_once(url: str) -> None:
    async def run() -> None:
        stores = [PostgresStore(url) for _ in range(4)]
        await asyncio.gather(*(write(store, {b"k%d" % n: b"1"}) for n, store in enumerate(stores)))
        assert len(await stores[0].view().scan(*ALL, limit=9)) == 4
        for store in stores:
            await store.close()

    asyncio.run(run())
