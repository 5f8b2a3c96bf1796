"""What the stores of one process share: pending writes, conflict checks and group commit.

A commit is checked and queued in one go on the event loop, so commits are in order there. At most
two groups are pending: one on its way to disk, and one that gathers behind it. Transactions read
through both, views do not. A whole group becomes durable, or nothing of it.

Counters and logs are rows too, under prefixes that no packed key has.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence

import msgspec

from doppio.kernel.landing import Landing
from doppio.kernel.store import StoreClosed, StoreError
from doppio.kernel.written import Written

COUNTER = b"\x00c"
LOG = b"\x00l"
# Below this are counters and logs; a range that begins there begins here.
FIRST_KEY = b"\x01"
CACHED_COUNTERS_MAX = 50_000
# A log position is the number of its chunk and the place in it, from 1.
CHUNK_BITS = 20
CHUNK_ENTRIES_MAX = 65_536
TRIMMED_A_COMMIT = 1_000
# So many rows at most are fetched beyond the limit, at first, where pending deletions hide some.
_SPARE_ROWS = 16
_double = struct.Struct(">d")
_u64 = struct.Struct(">Q")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[bytes]).decode

Rows = dict[bytes, bytes | None]
Pairs = list[tuple[bytes, bytes]]


class Group:
    """Commits that become durable together."""

    __slots__ = ("_sorted", "adds", "appends", "commits", "rows", "size", "topics")

    def __init__(self) -> None:
        self.rows: Rows = {}
        # Counters that were added to; their sums are the store's.
        self.adds: set[bytes] = set()
        self.appends: dict[str, list[bytes]] = {}
        self.commits: list[Landing] = []
        self.topics: dict[str, None] = {}
        self.size = 0
        self._sorted: list[bytes] = []

    def between(self, lo: bytes, hi: bytes) -> Rows:
        """The rows written with lo <= key < hi."""
        rows = self.rows
        if len(self._sorted) != len(rows):
            self._sorted = sorted(rows)
        keys = self._sorted
        return {key: rows[key] for key in keys[bisect_left(keys, lo) : bisect_left(keys, hi)]}


class LocalStore:
    """Base of the stores that one process owns.

    A backend gives `_read(key)` and `_scan(lo, hi, limit, reverse)` over what is durable, and
    `_wake()`, upon which it calls `_take()` for the next group and then, on the loop,
    `_done(group, error)`.
    """

    shared = False

    def __init__(self) -> None:
        self._heard: Callable[[str], None] = lambda topic: None
        self._written = Written()
        self._group = Group()
        self._under_way: Group | None = None
        self._counters: dict[bytes, float] = {}
        self._chunks: dict[str, int] = {}
        self._closed: str | None = None

    # What a backend gives.

    def _read(self, key: bytes) -> bytes | None:
        raise NotImplementedError

    def _scan(self, lo: bytes, hi: bytes, limit: int, reverse: bool) -> Pairs:
        raise NotImplementedError

    def _wake(self) -> None:
        raise NotImplementedError

    def _ahead(self, lo: bytes, hi: bytes, limit: int) -> list[bytes]:
        return [key for key, _ in self._scan(lo, hi, limit, False)]

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
        """Forget entries with positions up to and including `before`, whole chunks at a time.

        The last chunk stays, so that positions go on rising.
        """
        prefix = LOG + name.encode() + b"\0"
        hi = prefix + _u64.pack(before >> CHUNK_BITS)
        last = self._scan(prefix, prefix + b"\xff" * 9, 1, True)
        if last:
            hi = min(hi, last[0][0])
        await self._clear(prefix, hi)

    async def drop_log(self, name: str) -> None:
        """Forget a log to which nothing will be added again."""
        prefix = LOG + name.encode() + b"\0"
        await self._clear(prefix, prefix + b"\xff" * 9)
        self._chunks.pop(name, None)

    async def _clear(self, lo: bytes, hi: bytes) -> None:
        while rows := self._scan(lo, hi, TRIMMED_A_COMMIT, False):
            tx = self.begin()
            for key, _ in rows:
                tx.writes[key] = None
            await tx.commit()

    # Commit.

    def _queue(self, tx: LocalTx) -> Landing | None:
        """Check a transaction and queue it; None where there is nothing to wait for."""
        if self._closed is not None:
            raise StoreClosed(self._closed)
        written = self._written
        if tx.start != written.count:
            written.check(tx.start, tx.reads, tx.ranges)
        writes, adds, appends = tx.writes, tx.adds, tx.appends
        if not (writes or adds or appends or tx.topics):
            return self._settled() if tx.saw_pending else None
        # Whatever may fail comes first: from here on the transaction is queued as a whole.
        if adds or appends:
            self._load(tx)
        group = self._group
        if writes:
            written.add(tuple(writes))
            group.rows.update(writes)
        if adds:
            counters = self._counters
            for key, amount in adds.items():
                counters[key] += amount
            group.adds.update(adds)
        for log, entries in appends.items():
            group.appends.setdefault(log, []).extend(entries)
        if tx.topics:
            group.topics.update(tx.topics)
        landing = Landing()
        group.commits.append(landing)
        if self._under_way is None:
            self._wake()
        return landing

    def _settled(self) -> Landing | None:
        """The moment at which all that is pending now is durable."""
        last = self._group if self._group.commits else self._under_way
        if last is None:
            return None
        landing = Landing()
        last.commits.append(landing)
        return landing

    def _load(self, tx: LocalTx) -> None:
        """Know the counters and the ends of the logs that a transaction adds to."""
        counters = self._counters
        for key in tx.adds:
            if key not in counters:
                stored = self._read(key)
                counters[key] = 0.0 if stored is None else _double.unpack(stored)[0]
        for log in tx.appends:
            if log not in self._chunks:
                prefix = LOG + log.encode() + b"\0"
                last = self._scan(prefix, prefix + b"\xff" * 9, 1, True)
                self._chunks[log] = _u64.unpack(last[0][0][-8:])[0] if last else 0

    def _take(self) -> Group | None:
        """The next group, with its counters and log chunks as rows; None where nothing waits."""
        group = self._group
        if not group.commits:
            return None
        self._group = Group()
        self._under_way = group
        rows = group.rows
        for key in group.adds:
            rows[key] = _double.pack(self._counters[key])
        for name, entries in group.appends.items():
            prefix = LOG + name.encode() + b"\0"
            for start in range(0, len(entries), CHUNK_ENTRIES_MAX):
                chunk = self._chunks[name] = self._chunks[name] + 1
                rows[prefix + _u64.pack(chunk)] = _encode(
                    entries[start : start + CHUNK_ENTRIES_MAX]
                )
        return group

    def _done(self, group: Group, error: StoreError | None) -> None:
        """A group is durable, or failed; runs on the loop."""
        self._under_way = None
        if error is not None:
            self._failed(group, error)
            return
        if len(self._counters) > CACHED_COUNTERS_MAX and not self._group.adds:
            self._counters.clear()
        # Caches forget what has changed before anybody is told that it has.
        for topic in group.topics:
            self._heard(topic)
        if self._group.commits:
            self._wake()
        for landing in group.commits:
            landing.land()

    def _failed(self, group: Group, error: StoreError) -> None:
        # What is queued behind may have been built on what was lost: it is lost, too. Whoever has
        # read it and not yet committed conflicts.
        behind, self._group = self._group, Group()
        self._counters.clear()
        self._chunks.clear()
        self._written.forget()
        if isinstance(error, StoreClosed):
            self._closed = str(error)
        for landing in (*group.commits, *behind.commits):
            # One error each: a raised error gathers a traceback.
            landing.land(type(error)(*error.args))


def merge(
    scan: Callable[[bytes, bytes, int, bool], Pairs],
    changes: Mapping[bytes, bytes | None],
    lo: bytes,
    hi: bytes,
    limit: int,
    reverse: bool,
) -> Pairs:
    """What `scan(lo, hi, limit, reverse)` would give, had `changes` (of that range) been made."""
    if limit <= 0:
        return []
    if not changes:
        return scan(lo, hi, limit, reverse)
    wanted = limit + min(list(changes.values()).count(None), _SPARE_ROWS)
    while True:
        stored = scan(lo, hi, wanted, reverse)
        merged: dict[bytes, bytes | None] = dict(stored)
        merged.update(changes)
        if len(merged) == len(stored) and wanted == limit:
            # Other values for rows that are there already, and no deletions: all are in their places.
            return list(merged.items())  # type: ignore[arg-type]
        keys = sorted(merged, reverse=reverse)
        if len(stored) == wanted:
            # Beyond the last row fetched, changes alone do not tell what comes next.
            last = stored[-1][0]
            keys = [key for key in keys if (key >= last if reverse else key <= last)]
        found = [(key, value) for key in keys if (value := merged[key]) is not None]
        if len(found) >= limit or len(stored) < wanted:
            return found[:limit]
        wanted *= 2


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
        return self._store._scan(max(lo, FIRST_KEY), hi, limit, reverse)

    async def ahead(self, lo: bytes, hi: bytes, *, limit: int) -> list[bytes]:
        """The keys with lo <= key < hi, whose values will soon be asked for."""
        return self._store._ahead(max(lo, FIRST_KEY), hi, limit)

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

    async def log_end(self, name: str) -> int:
        """The position of a log's newest entry."""
        prefix = LOG + name.encode() + b"\0"
        rows = self._store._scan(prefix, prefix + b"\xff" * 9, 1, True)
        if not rows:
            return 0
        key, value = rows[0]
        base: int = _u64.unpack(key[-8:])[0] << CHUNK_BITS
        return base + len(_decode(value))


class LocalTx(LocalView):
    """Reading and writing; reads go through own writes, then the overlay, then what is durable."""

    __slots__ = ("adds", "appends", "ranges", "reads", "saw_pending", "start", "topics", "writes")

    def __init__(self, store: LocalStore) -> None:
        self._store = store
        self.start = store._written.count
        self.reads: list[bytes] = []
        self.ranges: list[tuple[bytes, bytes]] = []
        self.writes: dict[bytes, bytes | None] = {}
        self.adds: dict[bytes, float] = {}
        self.appends: dict[str, list[bytes]] = {}
        self.topics: dict[str, None] = {}
        self.saw_pending = False

    async def get(self, key: bytes) -> bytes | None:
        """The value of a key."""
        return self._get(key)

    async def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Values in the order of `keys`."""
        return [self._get(key) for key in keys]

    def _get(self, key: bytes) -> bytes | None:
        writes = self.writes
        if key in writes:
            return writes[key]
        self.reads.append(key)
        store = self._store
        pending = store._group.rows
        if key in pending:
            self.saw_pending = True
            return pending[key]
        under_way = store._under_way
        if under_way is not None and key in under_way.rows:
            self.saw_pending = True
            return under_way.rows[key]
        return store._read(key)

    async def scan(
        self, lo: bytes, hi: bytes, *, limit: int, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        """At most `limit` pairs with lo <= key < hi."""
        lo = max(lo, FIRST_KEY)
        store = self._store
        changes: Rows = {}
        if store._under_way is not None:
            changes = store._under_way.between(lo, hi)
        if store._group.rows:
            changes.update(store._group.between(lo, hi))
        if changes:
            self.saw_pending = True
        if self.writes:
            changes.update((key, value) for key, value in self.writes.items() if lo <= key < hi)
        rows = merge(store._scan, changes, lo, hi, limit, reverse)
        # Checked only as far as was looked: what lies behind the last row did not matter.
        if len(rows) < limit:
            self.ranges.append((lo, hi))
        elif rows:
            last = rows[-1][0]
            self.ranges.append((last, hi) if reverse else (lo, last + b"\0"))
        return rows

    async def counter(self, key: bytes) -> float:
        """The sum of a counter, with what is pending and this transaction's own."""
        name = COUNTER + key
        total = self._store._counters.get(name)
        if total is None:
            stored = self._store._read(name)
            total = 0.0 if stored is None else _double.unpack(stored)[0]
        else:
            self.saw_pending = True
        return float(total) + self.adds.get(name, 0.0)

    def put(self, key: bytes, value: bytes) -> None:
        """Write a value."""
        assert key >= FIRST_KEY, "keys that begin with a zero byte are the store's own"
        self.writes[key] = value

    def delete(self, key: bytes) -> None:
        """Remove a key; one that is not there is no error."""
        self.writes[key] = None

    def add(self, counter: bytes, amount: float) -> None:
        """Add to a counter; what comes to nothing leaves no trace."""
        key = COUNTER + counter
        total = self.adds.get(key, 0.0) + amount
        if total:
            self.adds[key] = total
        else:
            self.adds.pop(key, None)

    def append(self, log: str, entry: bytes) -> None:
        """Add to the end of a log."""
        self.appends.setdefault(log, []).append(entry)

    def notify(self, topic: str) -> None:
        """Tell the listeners of a topic once this is durable."""
        self.topics[topic] = None

    async def commit(self) -> None:
        """Make it durable; without writes, wait until all that was read is."""
        landing = self._store._queue(self)
        if landing is not None:
            await landing

    async def abandon(self) -> None:
        """Keep nothing; return once all that was read is durable, raise Conflict if it changed."""
        self.writes, self.adds, self.appends, self.topics = {}, {}, {}, {}
        await self.commit()
