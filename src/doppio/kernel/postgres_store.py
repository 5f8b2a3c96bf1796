"""The store on PostgreSQL: for more than one machine, and for databases one already runs.

Any number of processes may share one schema. Each gathers its commits into groups, and groups of
all processes take turns under one advisory lock. Under it, what the transactions of a group have
read is compared with what is there now: every row carries the number of the group that wrote it,
so a row that was changed, deleted or added shows. Then the group's rows, counters, log entries and
notifications are written in one statement.

Everything asked of the database runs in tasks of this module; callers await plain futures, since a
request's coroutine has no task of its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

from doppio.kernel import postgres_sql as sql
from doppio.kernel.local_store import FIRST_KEY
from doppio.kernel.postgres_link import RETRY_SECONDS, Connection, Link
from doppio.kernel.store import MISSED, Conflict, StoreClosed, StoreError

T = TypeVar("T")
_log = logging.getLogger("doppio.store")

COMMITS_A_GROUP_MAX = 512
READS_AT_ONCE = 3
# A log position is the number of its group and the place in it, from 1.
POSITION_BITS = 20
# PostgreSQL's bound on what one notification says, in bytes.
TOPIC_BYTES_MAX = 7_999

Found = tuple[bytes, int]


class PostgresStore:
    """A store in one schema: `postgresql://user@host/database?doppio_schema=name`."""

    shared = True

    def __init__(self, url: str) -> None:
        self._link = Link(url)
        self._heard: Callable[[str], None] = lambda topic: None
        self._tasks: set[asyncio.Task[None]] = set()
        self._wanted: list[tuple[Sequence[bytes], asyncio.Future[list[Found | None]]]] = []
        self._reading = 0
        self._queue: list[tuple[PostgresTx, asyncio.Future[None]]] = []
        self._committing = False
        self._listening: asyncio.Task[None] | None = None
        # Set unless we are about to listen for the first time: until then nothing is read, as
        # a change between the reading and the listening would go unheard.
        self._listens = asyncio.Event()
        self._listens.set()
        self._closed = False

    # The store's interface.

    def view(self) -> PostgresView:
        """What is committed."""
        return PostgresView(self)

    def begin(self) -> PostgresTx:
        """An optimistic transaction."""
        return PostgresTx(self)

    def listen(self, heard: Callable[[str], None]) -> None:
        """`heard(topic)` runs on the event loop after a commit of any process."""
        self._heard = heard
        if self._listening is None:
            self._listens.clear()
            self._listening = asyncio.get_running_loop().create_task(self._listen())

    async def trim_log(self, name: str, before: int) -> None:
        """Forget entries with positions up to and including `before`."""
        await self.ask(_question(sql.TRIM, name, before))

    async def drop_log(self, name: str) -> None:
        """Forget a log to which nothing will be added again."""
        await self.ask(_question(sql.DROP, name))

    async def close(self) -> None:
        """Finish what was asked, then close the connections."""
        self._closed = True
        while self._tasks:
            await asyncio.gather(*self._tasks)
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
        await self._link.close()

    # Reading.

    def get(self, keys: Sequence[bytes]) -> asyncio.Future[list[Found | None]]:
        """Values and versions; what is wanted in one turn of the loop is asked for at once."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Found | None]] = loop.create_future()
        if not self._wanted and self._reading < READS_AT_ONCE:
            self._reading += 1
            self._spawn(self._read_wanted())
        self._wanted.append((keys, future))
        return future

    def ask(self, body: Callable[[Connection], Awaitable[T]]) -> asyncio.Future[T]:
        """Run a question to the database in a task of its own."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        async def run() -> None:
            try:
                result = await self._run(body)
            except StoreError as error:
                _refuse(future, error)
            else:
                if not future.done():
                    future.set_result(result)

        self._spawn(run())
        return future

    async def _run(self, body: Callable[[Connection], Awaitable[T]]) -> T:
        await self._listens.wait()
        return await self._link.run(body)

    async def _read_wanted(self) -> None:
        while self._wanted:
            wanted, self._wanted = self._wanted, []
            keys = list({key for some, _ in wanted for key in some})
            try:
                rows = await self._run(_question(sql.GET, keys))
            except StoreError as error:
                for _, future in wanted:
                    _refuse(future, error)
                continue
            found = {row[0]: (row[1], row[2]) for row in rows}
            for some, future in wanted:
                if not future.done():
                    future.set_result([found.get(key) for key in some])
        self._reading -= 1

    # Committing.

    def commit(self, tx: PostgresTx) -> asyncio.Future[None]:
        """Queue a transaction for the next group."""
        if self._closed:
            raise StoreClosed("the store is closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._queue.append((tx, future))
        if not self._committing:
            self._committing = True
            self._spawn(self._commit_groups())
        return future

    async def _commit_groups(self) -> None:
        while self._queue:
            group = self._queue[:COMMITS_A_GROUP_MAX]
            del self._queue[:COMMITS_A_GROUP_MAX]
            turn = GroupCommit(self._link, [tx for tx, _ in group])
            try:
                won = await self._run(turn.run)
            except StoreError as error:
                for _, future in group:
                    _refuse(future, error)
                continue
            for tx, future in group:
                if tx not in won:
                    _refuse(future, Conflict("something that was read has changed"))
                elif not future.done():
                    future.set_result(None)
            for topic in turn.topics:
                asyncio.get_running_loop().call_soon(self._heard, topic)
        self._committing = False

    # Notifications.

    async def _listen(self) -> None:
        failures = 0
        while True:
            lost = asyncio.Event()
            try:
                connection = await self._link.connect()
                connection.add_termination_listener(lambda _, lost=lost: lost.set())
                await connection.add_listener(self._link.channel, self._hear)
                failures = 0
                if self._listens.is_set():
                    # Not for the first time: what was said meanwhile, nobody says again.
                    self._heard(MISSED)
                self._listens.set()
                await lost.wait()
            except Exception as problem:
                self._listens.set()
                if not self._link.is_lost(problem):
                    raise
            _log.warning("not listening for other processes: the connection was lost")
            failures = min(failures + 1, len(RETRY_SECONDS) - 1)
            await asyncio.sleep(RETRY_SECONDS[failures])

    def _hear(self, connection: Any, pid: int, channel: str, topic: object) -> None:
        # Its own are called when the commit returns.
        if pid not in self._link.pids:
            self._heard(str(topic))

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class GroupCommit:
    """One group: check each transaction, write what the winners wrote, all in one turn."""

    def __init__(self, link: Link, group: list[PostgresTx]) -> None:
        self._link = link
        self._group = group
        # Set before COMMIT: by it the outcome can be asked for if the connection is lost there.
        self._transaction: str | None = None
        self._won: set[PostgresTx] = set()
        self.topics: dict[str, None] = {}

    async def run(self, connection: Connection) -> set[PostgresTx]:
        """The transactions that won; may be run again on another connection."""
        if self._transaction is not None and await self._was_committed(connection):
            return self._won
        self._transaction = None
        try:
            # In a statement before the check, whose snapshot must be of after the lock.
            await connection.execute(f"BEGIN; SELECT pg_advisory_xact_lock({self._link.lock})")
            number, transaction = await self._check(connection)
            self.topics = dict.fromkeys(topic for tx in self._won for topic in tx.topics)
            if any(tx.changes_something() for tx in self._won):
                await self._write(connection, number)
                self._transaction = transaction
            await connection.execute("COMMIT")
        except BaseException:
            await self._link.roll_back(connection)
            raise
        return self._won

    async def _was_committed(self, connection: Connection) -> bool:
        while True:
            status = await connection.fetchval(
                "SELECT pg_xact_status($1::text::xid8)", self._transaction
            )
            if status != "in progress":
                return bool(status == "committed")
            await asyncio.sleep(0.05)

    async def _check(self, connection: Connection) -> tuple[int, str]:
        readers = [(tx, key, version) for tx in self._group for key, version in tx.reads.items()]
        ranges = [(tx, seen) for tx in self._group for seen in tx.ranges]
        row = await connection.fetchrow(
            sql.CHECK,
            [key for _, key, _ in readers],
            [version for _, _, version in readers],
            [lo for _, (lo, _, _) in ranges],
            [hi for _, (_, hi, _) in ranges],
            [len(rows) for _, (_, _, rows) in ranges],
            [
                ",".join(f"{key.hex()}:{version}" for key, version in rows)
                for _, (_, _, rows) in ranges
            ],
        )
        assert row is not None
        lost = {readers[place - 1][0] for place in row["rows"]}
        lost |= {ranges[place - 1][0] for place in row["ranges"]}
        written: set[bytes] = set()
        self._won = set()
        for tx in self._group:
            if tx not in lost and not tx.has_read_one_of(written):
                self._won.add(tx)
                written.update(tx.writes)
        return row["number"], row["transaction"]

    async def _write(self, connection: Connection, number: int) -> None:
        rows: dict[bytes, bytes | None] = {}
        adds: dict[bytes, float] = {}
        entries: list[tuple[str, bytes]] = []
        for tx in self._group:
            if tx in self._won:
                rows.update(tx.writes)
                for counter, amount in tx.adds.items():
                    adds[counter] = adds.get(counter, 0.0) + amount
                entries += tx.entries
        puts = [(key, value) for key, value in rows.items() if value is not None]
        base = number << POSITION_BITS
        await connection.execute(
            sql.WRITE,
            number,
            [key for key, _ in puts],
            [value for _, value in puts],
            [key for key, value in rows.items() if value is None],
            list(adds),
            list(adds.values()),
            [name for name, _ in entries],
            [base + place for place in range(1, len(entries) + 1)],
            [entry for _, entry in entries],
            self._link.channel,
            list(self.topics),
        )


class PostgresView:
    """Reading what is committed."""

    __slots__ = ("_store",)

    def __init__(self, store: PostgresStore) -> None:
        self._store = store

    async def get(self, key: bytes) -> bytes | None:
        """The value of a key."""
        found = (await self._store.get((key,)))[0]
        return None if found is None else found[0]

    async def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Values in the order of `keys`."""
        if not keys:
            return []
        return [None if one is None else one[0] for one in await self._store.get(keys)]

    async def scan(
        self, lo: bytes, hi: bytes, *, limit: int, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        """At most `limit` pairs with lo <= key < hi."""
        return [(row[0], row[1]) for row in await self._rows(lo, hi, limit, reverse)]

    async def ahead(self, lo: bytes, hi: bytes, *, limit: int) -> list[bytes]:
        """The keys with lo <= key < hi; their values are read anew, with their versions."""
        return [row[0] for row in await self._rows(lo, hi, limit, False)]

    async def _rows(self, lo: bytes, hi: bytes, limit: int, reverse: bool) -> list[Any]:
        if limit <= 0 or lo >= hi:
            return []
        statement = sql.SCAN_BACK if reverse else sql.SCAN
        return await self._store.ask(_question(statement, lo, hi, limit))

    async def counter(self, key: bytes) -> float:
        """The sum of a counter."""
        rows = await self.counters(key, key + b"\0", limit=1)
        return rows[0][1] if rows else 0.0

    async def counters(self, lo: bytes, hi: bytes, *, limit: int) -> list[tuple[bytes, float]]:
        """Counters with lo <= key < hi."""
        rows = await self._store.ask(_question(sql.COUNTERS, lo, hi, limit))
        return [(row[0], row[1]) for row in rows]

    async def log(self, name: str, after: int, *, limit: int) -> list[tuple[int, bytes]]:
        """Entries of a log behind a position, oldest first."""
        rows = await self._store.ask(_question(sql.LOG, name, after, limit))
        return [(row[0], row[1]) for row in rows]

    async def log_end(self, name: str) -> int:
        """The position of a log's newest entry."""
        rows = await self._store.ask(_question(sql.LOG_END, name))
        return rows[0][0] or 0


class PostgresTx(PostgresView):
    """Reading and writing; what was read is remembered with its versions."""

    __slots__ = ("adds", "entries", "ranges", "reads", "topics", "writes")

    def __init__(self, store: PostgresStore) -> None:
        super().__init__(store)
        self.reads: dict[bytes, int] = {}
        self.ranges: list[tuple[bytes, bytes, list[tuple[bytes, int]]]] = []
        self.writes: dict[bytes, bytes | None] = {}
        self.adds: dict[bytes, float] = {}
        self.entries: list[tuple[str, bytes]] = []
        self.topics: list[str] = []

    def changes_something(self) -> bool:
        """Whether there is anything to commit."""
        return bool(self.writes or self.adds or self.entries or self.topics)

    def has_read_one_of(self, keys: set[bytes]) -> bool:
        """Whether a write to one of these keys would have been read."""
        if not keys:
            return False
        if not keys.isdisjoint(self.reads):
            return True
        return any(lo <= key < hi for lo, hi, _ in self.ranges for key in keys)

    async def get(self, key: bytes) -> bytes | None:
        """The value of a key."""
        return (await self.get_many((key,)))[0]

    async def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Values in the order of `keys`."""
        unknown = [key for key in keys if key not in self.writes]
        values: dict[bytes, bytes | None] = {}
        if unknown:
            for key, found in zip(unknown, await self._store.get(unknown), strict=True):
                value, version = (None, 0) if found is None else found
                values[key] = value
                if self.reads.setdefault(key, version) != version:
                    raise Conflict(f"{key!r} was changed between two reads")
        values.update(self.writes)
        return [values[key] for key in keys]

    async def scan(
        self, lo: bytes, hi: bytes, *, limit: int, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        """At most `limit` pairs with lo <= key < hi."""
        lo = max(lo, FIRST_KEY)
        own = {key: value for key, value in self.writes.items() if lo <= key < hi}
        # So many that the limit is reached even if each own deletion hides one.
        wanted = limit + sum(value is None for value in own.values())
        stored = await self._rows(lo, hi, wanted if limit > 0 else 0, reverse)
        merged: dict[bytes, bytes | None] = {row[0]: row[1] for row in stored}
        merged.update(own)
        keys = sorted(merged, reverse=reverse)
        if limit > 0 and len(stored) == wanted:
            last = stored[-1][0]
            keys = [key for key in keys if (key >= last if reverse else key <= last)]
        rows = [(key, value) for key in keys if (value := merged[key]) is not None][: max(limit, 0)]
        if len(rows) == limit and rows:
            lo, hi = (rows[-1][0], hi) if reverse else (lo, rows[-1][0] + b"\0")
        if limit > 0 and lo < hi:
            seen = sorted((row[0], row[2]) for row in stored if lo <= row[0] < hi)
            self.ranges.append((lo, hi, seen))
        return rows

    async def counter(self, key: bytes) -> float:
        """The sum of a counter, with this transaction's own."""
        return await super().counter(key) + self.adds.get(key, 0.0)

    def put(self, key: bytes, value: bytes) -> None:
        """Write a value."""
        assert key >= FIRST_KEY, "keys that begin with a zero byte are the store's own"
        self.writes[key] = value

    def delete(self, key: bytes) -> None:
        """Remove a key; one that is not there is no error."""
        self.writes[key] = None

    def add(self, counter: bytes, amount: float) -> None:
        """Add to a counter."""
        self.adds[counter] = self.adds.get(counter, 0.0) + amount

    def append(self, log: str, entry: bytes) -> None:
        """Add to the end of a log."""
        self.entries.append((log, entry))

    def notify(self, topic: str) -> None:
        """Tell the listeners of a topic once this is durable."""
        assert len(topic.encode()) <= TOPIC_BYTES_MAX
        self.topics.append(topic)

    async def commit(self) -> None:
        """Make it durable, or raise Conflict, StoreFull or StoreClosed and keep nothing of it."""
        if self.changes_something() or self.reads or self.ranges:
            await self._store.commit(self)

    async def abandon(self) -> None:
        """Keep nothing; raise Conflict if what was read has changed."""
        self.writes, self.adds, self.entries, self.topics = {}, {}, [], []
        await self.commit()


def _question(statement: str, *arguments: Any) -> Callable[[Connection], Awaitable[list[Any]]]:
    async def ask(connection: Connection) -> list[Any]:
        rows: list[Any] = await connection.fetch(statement, *arguments)
        return rows

    return ask


def _refuse(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        # One error each: a raised error gathers a traceback. Looking at it says that it is
        # nobody's fault if its waiter is gone.
        future.set_exception(type(error)(*error.args))
        future.exception()
