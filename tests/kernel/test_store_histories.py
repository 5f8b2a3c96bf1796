"""Random interleavings of transactions, compared with a plain dict."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from doppio.kernel.store import Conflict, Store, StoreTx

from .stores import KINDS, Opener

KEYS = st.sampled_from([b"a", b"b", b"b\x00", b"c", b"c\xff", b"d"])
BOUNDS = st.sampled_from([b"\x01", b"a", b"b", b"b\x00", b"c", b"d", b"e"])
WHO = st.integers(0, 2)
STEPS = st.one_of(
    st.tuples(st.just("get"), WHO, KEYS),
    st.tuples(st.just("put"), WHO, KEYS),
    st.tuples(st.just("delete"), WHO, KEYS),
    st.tuples(st.just("scan"), WHO, BOUNDS, BOUNDS, st.integers(1, 4), st.booleans()),
    st.tuples(st.just("add"), WHO, KEYS),
    st.tuples(st.just("append"), WHO),
    st.tuples(st.just("commit"), WHO),
    st.tuples(st.just("abandon"), WHO),
    st.tuples(st.just("start commit"), WHO),
    st.tuples(st.just("restart")),
)
Seen = list[tuple[Any, ...]]


class One:
    """A transaction under way and what the model knows of it."""

    def __init__(self, store: Store) -> None:
        self.tx: StoreTx = store.begin()
        self.writes: dict[bytes, bytes | None] = {}
        self.seen: Seen = []
        self.adds: list[bytes] = []
        self.entries: list[bytes] = []


class History:
    """Runs steps on a store; commits that win must fit into one order, that of their commits."""

    def __init__(self, opener: Opener) -> None:
        self.opener = opener
        self.store = opener.open()
        self.rows: dict[bytes, bytes] = {}
        self.counts: dict[bytes, int] = {}
        self.entries: list[bytes] = []
        self.open: dict[int, One] = {}
        self.number = 0
        self.under_way: list[asyncio.Task[None]] = []

    def one(self, who: int) -> One:
        if who not in self.open:
            self.open[who] = One(self.store)
        return self.open[who]

    async def step(self, name: str, *details: Any) -> None:
        if name == "restart":
            await self.restart()
            return
        who, *rest = details
        one = self.one(who)
        if name in {"commit", "abandon", "start commit"}:
            del self.open[who]
            await self.end(one, name)
        elif name == "get":
            one.seen.append(("get", rest[0], dict(one.writes), await one.tx.get(rest[0])))
        elif name == "scan":
            lo, hi, limit, reverse = rest
            rows = await one.tx.scan(lo, hi, limit=limit, reverse=reverse)
            one.seen.append(("scan", rest, dict(one.writes), rows))
        else:
            self.change(one, name, rest)

    def change(self, one: One, name: str, rest: list[Any]) -> None:
        self.number += 1
        value = b"%d" % self.number
        if name == "put":
            one.tx.put(rest[0], value)
            one.writes[rest[0]] = value
        elif name == "delete":
            one.tx.delete(rest[0])
            one.writes[rest[0]] = None
        elif name == "add":
            one.tx.add(rest[0], 1)
            one.adds.append(rest[0])
        else:
            one.tx.append("log", value)
            one.entries.append(value)

    async def end(self, one: One, name: str) -> None:
        if name == "abandon":
            try:
                await one.tx.abandon()
            except Conflict:
                return
            await self.settle()
            self.check_seen(one)
        elif name == "commit" or self.opener.kind == "postgres":
            await self.settle()
            await self.commit(one)
        else:
            # Its place in the order is taken at the first step of the task.
            self.under_way.append(asyncio.ensure_future(self.commit(one)))
            await asyncio.sleep(0)

    async def commit(self, one: One) -> None:
        coroutine = one.tx.commit()
        if self.opener.kind == "postgres":
            try:
                await coroutine
            except Conflict:
                return
            self.apply(one)
            return
        # The stores of one process check and queue before they first wait.
        future = None
        try:
            future = coroutine.send(None)
        except StopIteration:
            pass
        except Conflict:
            return
        self.apply(one)
        if future is not None:
            future._asyncio_future_blocking = False
            await future

    def apply(self, one: One) -> None:
        self.check_seen(one)
        for key, value in one.writes.items():
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value
        for key in one.adds:
            self.counts[key] = self.counts.get(key, 0) + 1
        self.entries += one.entries

    def check_seen(self, one: One) -> None:
        """All that the transaction read is still so now: it might have run at this moment."""
        for kind, what, writes, found in one.seen:
            merged: dict[bytes, bytes | None] = {**self.rows, **writes}
            now = {key: value for key, value in merged.items() if value is not None}
            if kind == "get":
                assert now.get(what) == found
            else:
                lo, hi, limit, reverse = what
                keys = sorted((key for key in now if lo <= key < hi), reverse=reverse)
                assert [(key, now[key]) for key in keys[:limit]] == found

    async def settle(self) -> None:
        await asyncio.gather(*self.under_way)
        self.under_way.clear()

    async def restart(self) -> None:
        await self.settle()
        self.open.clear()
        await self.store.close()
        self.store = self.opener.open()
        await self.compare()

    async def compare(self) -> None:
        view = self.store.view()
        assert await view.scan(b"\x01", b"\xff", limit=100) == sorted(self.rows.items())
        counts = await view.counters(b"", b"\xff", limit=100)
        assert counts == sorted(self.counts.items())
        assert [entry for _, entry in await view.log("log", 0, limit=10_000)] == self.entries


@pytest.mark.parametrize("kind", KINDS)
def test_committed_transactions_might_have_run_one_after_the_other(kind: str) -> None:
    @settings(
        max_examples={"memory": 150, "sqlite": 40, "postgres": 12}[kind],
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(STEPS, max_size=40))
    def check(steps: list[tuple[Any, ...]]) -> None:
        async def run() -> None:
            with tempfile.TemporaryDirectory() as folder:
                history = History(Opener(kind, Path(folder)))
                try:
                    for step in steps:
                        await history.step(*step)
                    await history.settle()
                    await history.compare()
                finally:
                    await history.store.close()

        asyncio.run(run())

    check()
