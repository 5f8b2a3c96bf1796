"""What the stores of one process share: pending writes, conflict checks and group commit.

A commit is checked and queued in one go on the event loop, so commits are in order there. What is
queued and not yet durable stands in the overlay: transactions read through it, views do not. Queued
commits wait in one group until the backend takes it; the whole group is durable, or none of it.

Counters and logs are rows too, under prefixes that no packed key has.
"""

from __future__ import annotations

import asyncio
import struct
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Iterator, Sequence

import msgspec

from doppio.kernel.store import Conflict, StoreClosed, StoreError

COUNTER = b"\x00c"
LOG = b"\x00l"
# A transaction that began more than so many writes ago can no longer be checked.
REMEMBERED_WRITES_MAX = 50_000
CACHED_COUNTERS_MAX = 50_000
# A log position is the number of its chunk and the place in it.
CHUNK_BITS = 20
_double = struct.Struct(">d")
_u64 = struct.Struct(">Q")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[bytes]).decode


class Group:
    """Commits that become durable together."""

    __slots__ = ("adds", "appends", "commits", "rows", "seq", "topics")

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes | None] = {}
        self.adds: dict[bytes, float] = {}
        self.appends: dict[str, list[bytes]] = {}
        self.commits: list[asyncio.Future[None]] = []
        self.topics: dict[str, None] = {}
        self.seq = 0


class LocalStore:
    """Base of the stores that one process owns.

    A backend gives `_read(key)` and `_scan(lo, hi, limit, reverse)` over what is durable, and
    `_wake()`, upon which it calls `_take()` for the next group and, on the loop, `_done(group,
    error)`.
    """

    def __init__(self) -> None:
        self._heard: Callable[[str], None] = lambda topic: None
        self._seq = 0
        self._group = Group()
        self._under_way: Group | None = None
        self._overlay: dict[bytes, bytes | None] = {}
        self._overlay_keys: list[bytes] = []
        self._last_write: dict[bytes, int] = {}
        self._writes: deque[tuple[int, bytes]] = deque()
        self._forgotten = 0
        self._counters: dict[bytes, float] = {}
        self._chunks: dict[str, int] = {}
        self._closed = False

    # What a backend gives.

    def _read(self, key: bytes) -> bytes | None:
        raise NotImplementedError

    def _scan(self, lo: bytes, hi: bytes, limit: int, reverse: bool) -> list[tuple[bytes, bytes]]:
        raise NotImplementedError

    def _wake(self) -> None:
        raise NotImplementedError

    # The store's interface.

    def listen(self, heard: Callable[[str], None]) -> None:
        """`heard(topic)` runs on the event loop after a commit that notified `topic`."""
        self._heard = heard

    def view(self) -> LocalView:
        """What is durable."""
        return LocalView(self)

    def begin(self) -> LocalTx:
        """An optimistic transaction."""
        return LocalTx(self)

    async def trim_log(self, name: str, before: int) -> None:
        """Forget entries with positions up to and including `before`, whole chunks at a time."""
        prefix = LOG + name.encode() + b"\0"
        hi = prefix + _u64.pack(before >> CHUNK_BITS)
        while True:
            tx = self.begin()
            rows = self._scan(prefix, hi, 1_000, False)
            for key, _ in rows:
                tx.delete(key)
            await tx.commit()
            if len(rows) < 1_000:
                return

    # Commit.

    def _queue(self, tx: LocalTx) -> asyncio.Future[None] | None:
        """Check a transaction and queue it; None where there is nothing to wait for."""
        if self._closed:
            raise StoreClosed("the store is closed")
        self._check(tx)
        group = self._group
        empty = not (tx.writes or tx.adds or tx.appends or tx.topics)
        if empty:
            return self._settled() if tx.saw_pending else None
        self._seq = seq = self._seq + 1
        rows, overlay, last_write = group.rows, self._overlay, self._last_write
        for key, value in tx.writes.items():
            rows[key] = value
            if key not in overlay:
                insort(self._overlay_keys, key)
            overlay[key] = value
            last_write[key] = seq
            self._writes.append((seq, key))
        for name, amount in tx.adds.items():
            self._add(group, COUNTER + name, amount)
        for log, entries in tx.appends.items():
            group.appends.setdefault(log, []).extend(entries)
        for topic in tx.topics:
            group.topics[topic] = None
        group.seq = seq
        done = asyncio.get_running_loop().create_future()
        group.commits.append(done)
        if len(self._writes) > REMEMBERED_WRITES_MAX:
            self._forget()
        if self._under_way is None:
            self._wake()
        return done

    def _check(self, tx: LocalTx) -> None:
        start = tx.start
        if start == self._seq:
            return
        if start < self._forgotten:
            raise Conflict("the transaction is too old to be checked")
        last_write = self._last_write
        for key in tx.reads:
            if last_write.get(key, 0) > start:
                raise Conflict(f"{key!r} was changed")
        if tx.ranges:
            for seq, key in reversed(self._writes):
                if seq <= start:
                    break
                if any(lo <= key < hi for lo, hi in tx.ranges):
                    raise Conflict(f"{key!r} was changed in a range that was read")

    def _settled(self) -> asyncio.Future[None] | None:
        """A future for the moment at which all that is pending now is durable."""
        last = self._group if self._group.commits else self._under_way
        if last is None:
            return None
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        last.commits.append(done)
        return done

    def _add(self, group: Group, key: bytes, amount: float) -> None:
        total = self._counters.get(key)
        if total is None:
            stored = self._read(key)
            total = 0.0 if stored is None else _double.unpack(stored)[0]
        total += amount
        self._counters[key] = total
        group.adds[key] = total

    def _take(self) -> Group | None:
        """The next group, with its counters and log chunks as rows; None where nothing waits."""
        group = self._group
        if not group.commits:
            return None
        self._group = Group()
        self._under_way = group
        for key, total in group.adds.items():
            group.rows[key] = _double.pack(total)
        for name, entries in group.appends.items():
            chunk = self._next_chunk(name)
            group.rows[LOG + name.encode() + b"\0" + _u64.pack(chunk)] = _encode(entries)
        return group

    def _next_chunk(self, name: str) -> int:
        chunk = self._chunks.get(name)
        if chunk is None:
            prefix = LOG + name.encode() + b"\0"
            last = self._scan(prefix, prefix + b"\xff" * 9, 1, True)
            chunk = _u64.unpack(last[0][0][-8:])[0] if last else 0
        self._chunks[name] = chunk + 1
        return chunk + 1

    def _done(self, group: Group, error: StoreError | None) -> None:
        """A group is durable, or failed; runs on the loop."""
        self._under_way = None
        if error is not None:
            return self._failed(group, error)
        overlay, last_write = self._overlay, self._last_write
        seq = group.seq
        gone = [key for key in group.rows if last_write.get(key, 0) <= seq and key in overlay]
        for key in gone:
            del overlay[key]
        if gone:
            if overlay:
                self._overlay_keys = [key for key in self._overlay_keys if key in overlay]
            else:
                self._overlay_keys.clear()
        if len(self._counters) > CACHED_COUNTERS_MAX and not self._group.adds:
            self._counters.clear()
        for done in group.commits:
            if not done.done():
                done.set_result(None)
        for topic in group.topics:
            self._heard(topic)
        if self._group.commits:
            self._wake()

    def _failed(self, group: Group, error: StoreError) -> None:
        # What is queued behind may have been built on what was lost: it is lost, too.
        behind, self._group = self._group, Group()
        self._overlay.clear()
        self._overlay_keys.clear()
        self._counters.clear()
        self._chunks.clear()
        self._forgotten = self._seq = self._seq + 1
        for done in (*group.commits, *behind.commits):
            if not done.done():
                done.set_exception(error)

    def _forget(self) -> None:
        writes, last_write = self._writes, self._last_write
        for _ in range(len(writes) // 2):
            seq, key = writes.popleft()
            self._forgotten = seq
            if last_write.get(key) == seq and key not in self._overlay:
                del last_write[key]


class LocalView:
    """Reading what is durable."""

    __slots__ = ("_store",)

    def __init__(self, store: LocalStore) -> None:
        self._store = store

    async def get(self, key: bytes) -> bytes | None:
        """The value of a key."""
        return self._store._read(key)

    async def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Values in the order of `keys`."""
        read = self._store._read
        return [read(key) for key in keys]

    async def scan(
        self, lo: bytes, hi: bytes, *, limit: int, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        """At most `limit` pairs with lo <= key < hi."""
        return self._store._scan(lo, hi, limit, reverse)

    async def counter(self, key: bytes) -> float:
        """The sum of a counter."""
        stored = self._store._read(COUNTER + key)
        return 0.0 if stored is None else float(_double.unpack(stored)[0])

    async def counters(self, lo: bytes, hi: bytes, *, limit: int) -> list[tuple[bytes, float]]:
        """Counters with lo <= key < hi."""
        rows = self._store._scan(COUNTER + lo, COUNTER + hi, limit, False)
        return [(key[len(COUNTER) :], _double.unpack(value)[0]) for key, value in rows]

    async def log(self, name: str, after: int, *, limit: int) -> list[tuple[int, bytes]]:
        """Entries of a log behind a position, oldest first."""
        prefix = LOG + name.encode() + b"\0"
        lo = prefix + _u64.pack(after >> CHUNK_BITS)
        found: list[tuple[int, bytes]] = []
        while len(found) < limit:
            rows = self._store._scan(lo, prefix + b"\xff" * 9, 16, False)
            for key, value in rows:
                base = _u64.unpack(key[-8:])[0] << CHUNK_BITS
                found += [(base + n, entry) for n, entry in enumerate(_decode(value), 1)]
            found = [one for one in found if one[0] > after]
            if len(rows) < 16:
                break
            lo = rows[-1][0] + b"\0"
        return found[:limit]


class LocalTx(LocalView):
    """Reading and writing; reads go through own writes, then the overlay, then what is durable."""

    __slots__ = ("adds", "appends", "ranges", "reads", "saw_pending", "start", "topics", "writes")

    def __init__(self, store: LocalStore) -> None:
        self._store = store
        self.start = store._seq
        self.reads: list[bytes] = []
        self.ranges: list[tuple[bytes, bytes]] = []
        self.writes: dict[bytes, bytes | None] = {}
        self.adds: dict[bytes, float] = {}
        self.appends: dict[str, list[bytes]] = {}
        self.topics: list[str] = []
        self.saw_pending = False

    async def get(self, key: bytes) -> bytes | None:
        """The value of a key."""
        return self._get(key)

    async def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Values in the order of `keys`."""
        return [self._get(key) for key in keys]

    def _get(self, key: bytes) -> bytes | None:
        if key in self.writes:
            return self.writes[key]
        self.reads.append(key)
        store = self._store
        if key in store._overlay:
            self.saw_pending = True
            return store._overlay[key]
        return store._read(key)

    async def scan(
        self, lo: bytes, hi: bytes, *, limit: int, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        """At most `limit` pairs with lo <= key < hi."""
        local = dict(self._pending(lo, hi))
        if local:
            self.saw_pending = True
        if self.writes:
            local.update((k, v) for k, v in self.writes.items() if lo <= k < hi)
        if not local:
            rows = self._store._scan(lo, hi, limit, reverse)
        else:
            hidden = sum(value is None for value in local.values())
            stored = self._store._scan(lo, hi, limit + hidden, reverse)
            merged: dict[bytes, bytes | None] = {**dict(stored), **local}
            rows = [
                (key, value)
                for key in sorted(merged, reverse=reverse)
                if (value := merged[key]) is not None
            ][:limit]
        # Only as far as was looked: what lies behind the last row did not matter.
        if len(rows) < limit:
            self.ranges.append((lo, hi))
        elif rows:
            last = rows[-1][0]
            self.ranges.append((last, hi) if reverse else (lo, last + b"\0"))
        return rows

    def _pending(self, lo: bytes, hi: bytes) -> Iterator[tuple[bytes, bytes | None]]:
        keys, overlay = self._store._overlay_keys, self._store._overlay
        for at in range(bisect_left(keys, lo), len(keys)):
            key = keys[at]
            if key >= hi:
                break
            yield key, overlay[key]

    async def counter(self, key: bytes) -> float:
        """The sum of a counter, with what is pending and this transaction's own."""
        name = COUNTER + key
        total = self._store._counters.get(name)
        if total is None:
            stored = self._store._read(name)
            total = 0.0 if stored is None else _double.unpack(stored)[0]
        else:
            self.saw_pending = True
        return float(total) + self.adds.get(key, 0.0)

    def put(self, key: bytes, value: bytes) -> None:
        """Write a value."""
        self.writes[key] = value

    def delete(self, key: bytes) -> None:
        """Remove a key; one that is not there is no error."""
        self.writes[key] = None

    def add(self, counter: bytes, amount: float) -> None:
        """Add to a counter."""
        self.adds[counter] = self.adds.get(counter, 0.0) + amount

    def append(self, log: str, entry: bytes) -> None:
        """Add to the end of a log."""
        self.appends.setdefault(log, []).append(entry)

    def notify(self, topic: str) -> None:
        """Tell the listeners of a topic once this is durable."""
        self.topics.append(topic)

    async def commit(self) -> None:
        """Make it durable; without writes, wait until all that was read is."""
        done = self._store._queue(self)
        if done is not None:
            await done

    async def abandon(self) -> None:
        """Keep nothing; return once all that was read is durable, raise Conflict if it changed."""
        self.writes, self.adds, self.appends, self.topics = {}, {}, {}, []
        await self.commit()

