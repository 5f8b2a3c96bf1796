"""Reading in front of the database: what lies in memory must not show but in speed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from doppio.kernel.local_store import Rows
from doppio.kernel.sqlite_store import SqliteStore

from .stores import in_database, write

ALL = (b"\x01", b"\xff")
KEYS = st.sampled_from([b"a", b"b", b"b\0", b"c", b"d", b"e", b"f"])
BOUNDS = st.sampled_from([b"\x01", b"a", b"b", b"b\0", b"d", b"f", b"g"])
READING = st.one_of(
    st.tuples(st.just("write"), st.dictionaries(KEYS, st.none() | st.binary(max_size=1))),
    st.tuples(st.just("scan"), BOUNDS, BOUNDS, st.integers(0, 4), st.booleans()),
    st.tuples(st.just("ahead"), BOUNDS, BOUNDS, st.integers(0, 4)),
    st.tuples(st.just("get"), KEYS),
    st.tuples(st.just("batch")),
    st.tuples(st.just("settle")),
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(READING, max_size=40))
def test_whatever_lies_in_memory_reads_are_those_of_a_dict(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[Any, ...]]
) -> None:
    """Recent rows, the batch, the cache and the floors of ranges must not show."""

    async def run() -> None:
        store = SqliteStore(tmp_path_factory.mktemp("store"), synchronous="OFF")
        model: dict[bytes, bytes] = {}
        view = store.view()
        for name, *details in steps:
            if name == "write":
                await write(store, details[0])
                merged: Rows = {**model, **details[0]}
                model = {key: value for key, value in merged.items() if value is not None}
            elif name == "get":
                assert await view.get(details[0]) == model.get(details[0])
            elif name == "batch":
                store._next_batch()
            elif name == "settle":
                await in_database(store)
            elif name == "ahead":
                lo, hi, limit = details
                among = sorted(key for key in model if lo <= key < hi)
                assert await view.ahead(lo, hi, limit=limit) == among[:limit]
            else:
                lo, hi, limit, reverse = details
                keys = sorted((key for key in model if lo <= key < hi), reverse=reverse)
                found = await view.scan(lo, hi, limit=limit, reverse=reverse)
                assert found == [(key, model[key]) for key in keys[:limit]]
        await store.close()

    asyncio.run(run())


def test_looking_ahead_asks_the_database_once_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        store = SqliteStore(tmp_path / "store", synchronous="OFF")
        await write(store, {b"a": b"1", b"b": b"2", b"c": b"3", b"long": bytes(4_096)})
        await in_database(store)
        view = store.view()
        assert await view.ahead(*ALL, limit=4) == [b"a", b"b", b"c", b"long"]
        asked: list[bytes] = []
        stored = store._stored

        def counted(key: bytes) -> bytes | None:
            asked.append(key)
            return stored(key)

        monkeypatch.setattr(store, "_stored", counted)
        await write(store, {b"b": None})
        assert await view.get_many([b"a", b"b", b"c"]) == [b"1", None, b"3"]
        assert not asked
        # What is long is not kept in memory.
        assert await view.get(b"long") == bytes(4_096)
        assert asked == [b"long"]
        await store.close()

    asyncio.run(run())
