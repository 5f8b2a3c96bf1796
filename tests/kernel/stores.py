"""The stores under test: opened, closed and opened again on the same data."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from doppio.kernel.memory_store import MemoryStore
from doppio.kernel.sqlite_store import SqliteStore
from doppio.kernel.store import Conflict, Store, StoreTx

from .postgres_server import schema_url

T = TypeVar("T")
KINDS = ("memory", "sqlite", "postgres")


class Opener:
    """Opens a store; opening again finds what the last one left."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self._folder = folder
        self._disk: dict[bytes, bytes] = {}
        self._url = schema_url() if kind == "postgres" else ""

    def open(self) -> Store:
        if self.kind == "memory":
            return MemoryStore(self._disk)
        if self.kind == "sqlite":
            return SqliteStore(self._folder / "store")
        from doppio.kernel.postgres_store import PostgresStore

        return PostgresStore(self._url)


def on_store(body: Callable[[Store], Awaitable[None]]) -> Callable[[Opener], None]:
    """A test of one open store as a plain function."""

    def test(opener: Opener) -> None:
        async def run() -> None:
            store = opener.open()
            try:
                await body(store)
            finally:
                await store.close()

        asyncio.run(run())

    functools.update_wrapper(test, body)
    del test.__wrapped__  # type: ignore[attr-defined]
    return test


async def write(store: Store, rows: dict[bytes, bytes | None]) -> None:
    """Commit these rows; None deletes."""
    tx = store.begin()
    for key, value in rows.items():
        if value is None:
            tx.delete(key)
        else:
            tx.put(key, value)
    await tx.commit()


async def transact(store: Store, body: Callable[[StoreTx], Awaitable[T]]) -> T:
    """Run `body` in a transaction until it wins, as `ctx.write()` does.

    What fails in the body may rest on reads that no longer agree: `abandon` knows.
    """
    for _ in range(1_000):
        tx = store.begin()
        try:
            try:
                result = await body(tx)
            except Exception:
                await tx.abandon()
                raise
            await tx.commit()
        except Conflict:
            continue
        return result
    raise AssertionError("a thousand conflicts in a row")


async def in_database(store: SqliteStore) -> None:
    """Wait until all rows have left memory."""
    while store._recent.rows or store._batch is not None:
        store._next_batch()
        await asyncio.sleep(0.005)
