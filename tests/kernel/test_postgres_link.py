"""Connections to PostgreSQL: lost ones, foreign schemas, and what the user is told."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest

from doppio.kernel.postgres_link import Link
from doppio.kernel.postgres_store import PostgresStore
from doppio.kernel.store import MISSED, StoreClosed, StoreCorrupt, StoreError, StoreFull

from .postgres_server import schema_url
from .stores import write

ALL = (b"\x01", b"\xff")


@pytest.fixture
def url() -> str:
    return schema_url()


async def execute(url: str, statement: str) -> Any:
    """Run a statement beside the store."""
    link = Link(url)
    connection = await link.connect()
    found = await connection.fetch(statement)
    await link.close()
    return found


async def cut_all(url: str) -> None:
    """What a restart of the server does to every connection."""
    await execute(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'doppio' AND pid <> pg_backend_pid()",
    )


def test_lost_connections_are_made_anew(url: str) -> None:
    async def run() -> None:
        store = PostgresStore(url)
        heard: list[str] = []
        store.listen(heard.append)
        await write(store, {b"a": b"1"})
        for number in range(3):
            await cut_all(url)
            assert await store.view().get(b"a") == b"1"
            await cut_all(url)
            await write(store, {b"b%d" % number: b"1"})
        assert len(await store.view().scan(*ALL, limit=99)) == 4
        # It also listens again.
        other = PostgresStore(url)
        for _ in range(100):
            tx = other.begin()
            tx.notify("again")
            await tx.commit()
            await asyncio.sleep(0.02)
            if "again" in heard:
                break
        # And it says that it may have missed something.
        assert set(heard) == {MISSED, "again"}
        await other.close()
        await store.close()

    asyncio.run(run())


def test_tables_of_another_program_are_left_as_they_are(url: str) -> None:
    async def run() -> None:
        schema = url.rpartition("=")[2]
        await execute(url, f"CREATE SCHEMA {schema}")
        await execute(url, f"CREATE TABLE {schema}.kv(theirs int)")
        store = PostgresStore(url)
        with pytest.raises(StoreCorrupt, match="another program"):
            await store.view().get(b"k")
        with pytest.raises(StoreCorrupt):
            await write(store, {b"k": b"1"})
        await store.close()

    asyncio.run(run())


def test_a_newer_format_is_refused(url: str) -> None:
    async def run() -> None:
        store = PostgresStore(url)
        await write(store, {b"k": b"1"})
        await store.close()
        await execute(url, f"UPDATE {url.rpartition('=')[2]}.format SET number = 99")
        store = PostgresStore(url)
        with pytest.raises(StoreCorrupt, match="format 99"):
            await store.view().get(b"k")
        await store.close()

    asyncio.run(run())


@pytest.mark.parametrize("schema", ["", "Upper", 'x";drop', "1st", "x" * 60])
def test_a_schema_that_is_no_plain_name_is_refused(schema: str) -> None:
    pytest.importorskip("asyncpg")
    with pytest.raises(StoreError, match="cannot be a schema"):
        Link(f"postgresql://u@/d?host=/tmp&doppio_schema={schema}")


def test_no_server_is_said_after_a_few_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("asyncpg")
    monkeypatch.setattr("doppio.kernel.postgres_link.RETRY_SECONDS", (0, 0.01))

    async def run() -> None:
        store = PostgresStore("postgresql://u@/d?host=/nowhere")
        with pytest.raises(StoreClosed, match="PostgreSQL"):
            await store.view().get(b"k")
        await store.close()

    asyncio.run(run())


def test_without_asyncpg_the_user_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(StoreError, match=r"pip install 'doppio-cloud\[postgres\]'"):
        PostgresStore("postgresql://u@/d")


def test_a_full_disk_is_told_from_a_lost_server() -> None:
    exceptions = pytest.importorskip("asyncpg").exceptions
    link = Link("postgresql://u@/d")
    full = link.translate(exceptions.DiskFullError("could not extend file"))
    assert isinstance(full, StoreFull)
    assert "could not extend file" in str(full)
    assert isinstance(link.translate(OSError("gone")), StoreClosed)
    assert link.is_lost(ConnectionResetError())
    assert not link.is_lost(TimeoutError())
    assert not link.is_lost(exceptions.DiskFullError())
    assert not link.is_lost(exceptions.UndefinedTableError())
