"""The store on one machine: a redo log for durability, SQLite for everything else.

A commit is durable once its group's record is in the redo log: one write, one sync, in a thread of
its own. Its rows stay in memory, where reads look first, until another thread takes some thousand
of them to SQLite in one transaction. So a row that changes often, a counter say, costs SQLite
little, and a message that is soon gone nothing.

Reads run on the event loop: a point read costs microseconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import sqlite3
import struct
import threading
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from queue import SimpleQueue

from doppio.kernel.data_folder import connect_for_reading, lock_folder, open_database
from doppio.kernel.local_store import Group, LocalStore, Pairs, Rows, merge
from doppio.kernel.recent import Floors, Recent
from doppio.kernel.redo_log import RedoLog, Segment
from doppio.kernel.store import (
    StoreClosed,
    StoreError,
    StoreFull,
)

# The row that says up to which redo segment the database has everything.
APPLIED = b"\x00a"
# Rows a statement, largest first: a batch is cut into these. Each statement gives up the
# interpreter lock and must win it back, so they are few.
_SIZES = (256, 64, 16, 4, 1)
_UPSERT = "INSERT INTO kv(k,v) VALUES {} ON CONFLICT(k) DO UPDATE SET v=excluded.v"
_DELETE = "DELETE FROM kv WHERE k IN ({})"
_UPSERTS = {size: _UPSERT.format(",".join(["(?,?)"] * size)) for size in _SIZES}
_DELETES = {size: _DELETE.format(",".join(["?"] * size)) for size in _SIZES}
_GET = "SELECT v FROM kv WHERE k=?"
_SCAN = "SELECT k,v FROM kv WHERE k>=? AND k<? ORDER BY k LIMIT ?"
_SCAN_BACK = "SELECT k,v FROM kv WHERE k>=? AND k<? ORDER BY k DESC LIMIT ?"
# Rows in memory go to the database when there are so many, or after so long. The more there are, the
# more of them were written again or deleted meanwhile, and the more share a page; but each range that
# is read keeps them sorted, and a crash reads back as many.
BATCH_ROWS = 8_192
BATCH_BYTES = 8 * 1024 * 1024
BATCH_SECONDS = 0.8
# Small rows read lately are kept: most operations read the same definitions again and again.
CACHED_ROWS_MAX = 4_096
FORGOTTEN_ROWS = 256
CACHED_ROW_BYTES_MAX = 2_048
# A group of so many commits waits for no more.
GROUP_COMMITS_ENOUGH = 64
# Beyond this, commits wait for the database.
BEHIND_BYTES_MAX = 48 * 1024 * 1024
_u64 = struct.Struct(">Q")


class SqliteStore(LocalStore):
    """A store in `folder`. `synchronous` FULL survives a power cut; OFF nothing but a clean stop."""

    def __init__(self, folder: Path, *, synchronous: str = "FULL") -> None:
        super().__init__()
        assert synchronous in {"FULL", "OFF"}
        self._durable = synchronous == "FULL"
        self._batch: Recent | None = None
        # Whether the reader is within a transaction.
        self._holding = False
        self._lock = lock_folder(folder)
        try:
            self._writer = open_database(folder, synchronous)
            self._reader = connect_for_reading(folder)
            self._cursor = self._reader.cursor()
            applied = self._stored(APPLIED)
            number = 0 if applied is None else _u64.unpack(applied)[0]
            self._redo = RedoLog(folder, number, sync=self._durable)
        except BaseException:
            self._lock.close()
            raise
        self._recent = Recent()
        # What is durable of keys that were read lately: `_done` keeps it so.
        self._cache: dict[bytes, bytes | None] = {}
        self._floors = Floors()
        # On its way to the database: its rows (above), its segments, why it could not be stored.
        self._batch_segments: list[Segment] = []
        self._stuck: StoreError | None = None
        self._applying = False
        self._due: asyncio.TimerHandle | None = None
        self._overdue = False
        self._submitted = False
        self._waiting: asyncio.Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._log_work: SimpleQueue[tuple[Group, bytes] | None] = SimpleQueue()
        self._apply_work: SimpleQueue[tuple[Rows, int] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._recover()

    def _recover(self) -> None:
        redo = self._redo
        if not redo.recovered:
            redo.release(redo.recovered_segments)
            return
        self._batch = Recent()
        self._batch.update(
            redo.recovered, sum(len(value or b"") for value in redo.recovered.values())
        )
        self._batch_segments = redo.recovered_segments
        self._let_go()
        error = self._apply(self._batch.rows, redo.number - 1)
        if error is None:
            self._batch = None
        elif isinstance(error, StoreFull):
            # Reading goes on from memory, and the next commit tries again.
            self._stuck = error
        else:
            self._lock.close()
            raise error

    # Reading: what was read lately, then what is recent, then what is in the database.

    def _read(self, key: bytes) -> bytes | None:
        cache = self._cache
        if key in cache:
            return cache[key]
        recent = self._recent.rows
        if key in recent:
            return recent[key]
        batch = self._batch
        if batch is not None and key in batch.rows:
            return batch.rows[key]
        value = self._stored(key)
        if value is None or len(value) <= CACHED_ROW_BYTES_MAX:
            self._keep(key, value)
        return value

    def _keep(self, key: bytes, value: bytes | None) -> None:
        cache = self._cache
        if len(cache) >= CACHED_ROWS_MAX:
            # Many at once: to find a dictionary's first key is to pass over all that are gone.
            for old in list(islice(cache, FORGOTTEN_ROWS)):
                del cache[old]
        cache[key] = value

    def _ahead(self, lo: bytes, hi: bytes, limit: int) -> list[bytes]:
        rows = self._scan(lo, hi, limit, False)
        recent = self._recent.rows
        under = {} if self._batch is None else self._batch.rows
        for key, value in rows:
            # Each question to the database gives up the interpreter lock: one is for all of them.
            if key not in recent and key not in under and len(value) <= CACHED_ROW_BYTES_MAX:
                self._keep(key, value)
        return [key for key, _ in rows]

    def _scan(self, lo: bytes, hi: bytes, limit: int, reverse: bool) -> Pairs:
        if limit <= 0:
            return []
        floors = self._floors
        begin = lo if reverse else floors.raised(lo)
        if begin >= hi:
            return []
        changes, start, end = self._recent.between(begin, hi, limit, reverse)
        if self._batch is not None:
            # Not cut short: what is recent may delete any of these.
            under, _, _ = self._batch.between(start, end, self._batch.bytes, reverse)
            changes = {**under, **changes}
        rows = merge(self._stored_rows, changes, start, end, limit, reverse)
        if not reverse and (begin != lo or None in changes.values()):
            floors.learn(lo, hi, rows)
        return rows

    def _stored(self, key: bytes) -> bytes | None:
        try:
            if not self._holding:
                self._hold()
            row = self._cursor.execute(_GET, (key,)).fetchone()
        except sqlite3.Error as problem:
            raise _as_store_error(problem) from problem
        return None if row is None else row[0]

    def _hold(self) -> None:
        """Between two batches the database stands still: all reads share one transaction.

        A read that begins and ends one of its own takes and gives back two locks of files.
        """
        if self._batch is None:
            self._cursor.execute("BEGIN")
            self._holding = True

    def _let_go(self) -> None:
        """Before a batch is written: a transaction of before would see none of it."""
        if self._holding:
            self._holding = False
            self._cursor.execute("COMMIT")

    def _stored_rows(self, lo: bytes, hi: bytes, limit: int, reverse: bool) -> Pairs:
        statement = _SCAN_BACK if reverse else _SCAN
        try:
            if not self._holding:
                self._hold()
            return self._cursor.execute(statement, (lo, hi, limit)).fetchall()
        except sqlite3.Error as problem:
            raise _as_store_error(problem) from problem

    # Committing, on the loop.

    def _wake(self) -> None:
        # At the end of this turn of the loop, so that all commits of the turn share a sync.
        if not self._submitted:
            self._submitted = True
            self._loop = loop = asyncio.get_running_loop()
            if not self._threads:
                self._start_threads()
            loop.call_soon(self._submit)

    def _submit(self, seen: int = 0) -> None:
        # A group costs a write, a sync and two changes of thread, however large it is. So while
        # each turn of the loop brings more commits, the group waits for the next turn.
        count = len(self._group.commits)
        if seen < count < GROUP_COMMITS_ENOUGH:
            assert self._loop is not None
            self._loop.call_soon(self._submit, count)
            return
        self._submitted = False
        if self._under_way is not None or not self._group.commits:
            return
        if self._stuck is not None:
            # `_applied` goes on with the group, or refuses it.
            self._store_batch()
            return
        if self._recent.bytes > BEHIND_BYTES_MAX and self._batch is not None:
            return
        group = self._take()
        assert group is not None
        if self._durable:
            record = self._redo.encode(group.rows)
            group.size = len(record)
            self._log_work.put((group, record))
        else:
            group.size = 1024 * len(group.rows)
            assert self._loop is not None
            self._loop.call_soon(self._done, group, None)

    def _done(self, group: Group, error: StoreError | None) -> None:
        recent = self._recent
        if error is None:
            recent.update(group.rows, group.size)
            self._floors.lower(group.rows)
            cache = self._cache
            for key in cache.keys() & group.rows.keys():
                # What is read again and again is written again, too.
                value = group.rows[key]
                if value is None or len(value) <= CACHED_ROW_BYTES_MAX:
                    cache[key] = value
                else:
                    del cache[key]
        super()._done(group, error)
        if self._overdue or len(recent.rows) >= BATCH_ROWS or recent.bytes >= BATCH_BYTES:
            self._next_batch()
        elif self._due is None and recent.rows:
            assert self._loop is not None
            self._due = self._loop.call_later(BATCH_SECONDS, self._next_batch)
        self._tell_closer()

    # Taking rows to the database.

    def _next_batch(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None
        if self._batch is not None or self._under_way is not None:
            # Not now: the segment must hold what the batch holds, and nothing more.
            self._overdue = True
            return
        self._overdue = False
        if self._recent.rows:
            self._batch = self._recent
            self._recent = Recent()
            self._batch_segments = [self._redo.turn()]
            self._store_batch()

    def _store_batch(self) -> None:
        assert self._batch is not None
        if not self._applying:
            self._applying = True
            self._let_go()
            self._apply_work.put((self._batch.rows, self._redo.number - 1))

    def _applied(self, error: StoreError | None) -> None:
        self._applying = False
        if error is None:
            self._batch = None
            self._stuck = None
            if self._overdue:
                self._next_batch()
            if self._group.commits and self._under_way is None:
                self._wake()
        else:
            # The rows stay in memory and in the redo log: nothing acknowledged is lost.
            self._stuck = error
            if isinstance(error, StoreClosed):
                self._closed = str(error)
            if self._under_way is None and (group := self._take()) is not None:
                super()._done(group, error)
        self._tell_closer()

    # Closing.

    async def close(self) -> None:
        """Finish what was asked, take everything to the database, let go of the folder."""
        if self._lock.number < 0:
            return
        if self._closed is None:
            self._closed = "the store is closed"
        while self._under_way is not None or self._group.commits or self._applying:
            await self._change()
        while self._stuck is None and (self._recent.rows or self._batch is not None):
            self._next_batch()
            await self._change()
        if self._due is not None:
            self._due.cancel()
        self._log_work.put(None)
        self._apply_work.put(None)
        for thread in self._threads:
            await asyncio.get_running_loop().run_in_executor(None, thread.join)
        self._reader.close()
        # Where the disk is full, SQLite's log stays beside the database; the next start reads both.
        with contextlib.suppress(sqlite3.Error):
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._writer.close()
        self._redo.close(remove=self._stuck is None)
        self._lock.close()

    async def _change(self) -> None:
        self._waiting = asyncio.get_running_loop().create_future()
        await self._waiting

    def _tell_closer(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    # The threads.

    def _start_threads(self) -> None:
        for work, name in ((self._log_groups, "redo log"), (self._apply_batches, "database")):
            thread = threading.Thread(target=work, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def _log_groups(self) -> None:
        while (work := self._log_work.get()) is not None:
            group, record = work
            error: StoreError | None = None
            try:
                self._redo.write(record)
            except OSError as problem:
                error = _as_store_error(problem)
            if not self._report(self._done, group, error):
                return

    def _apply_batches(self) -> None:
        while (work := self._apply_work.get()) is not None:
            if not self._report(self._applied, self._apply(*work)):
                return

    def _report(self, what: Callable[..., None], *details: object) -> bool:
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(what, *details)
        except RuntimeError:
            # The loop is gone, and with it everybody who waited.
            return False
        return True

    def _apply(self, rows: Rows, number: int) -> StoreError | None:
        try:
            self._write(rows, number)
        except sqlite3.Error as problem:
            self._roll_back()
            return _as_store_error(problem)
        self._redo.release(self._batch_segments)
        return None

    def _write(self, rows: Rows, number: int) -> None:
        execute = self._writer.execute
        puts: list[bytes] = []
        deletes: list[bytes] = []
        # In key order, so that neighbours share a visit to their page.
        for key in sorted(rows):
            value = rows[key]
            if value is None:
                deletes.append(key)
            else:
                puts += (key, value)
        puts += (APPLIED, _u64.pack(number))
        execute("BEGIN IMMEDIATE")
        at, left = 0, len(puts) // 2
        for size in _SIZES:
            while left >= size:
                execute(_UPSERTS[size], puts[at : at + 2 * size])
                at += 2 * size
                left -= size
        at, left = 0, len(deletes)
        for size in _SIZES:
            while left >= size:
                execute(_DELETES[size], deletes[at : at + size])
                at += size
                left -= size
        execute("COMMIT")

    def _roll_back(self) -> None:
        # After an I/O error SQLite has rolled back by itself.
        with contextlib.suppress(sqlite3.Error):
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")


def _as_store_error(problem: sqlite3.Error | OSError) -> StoreError:
    text = f"{problem}: nothing was written"
    if isinstance(problem, OSError):
        full = problem.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
    else:
        # SQLite calls a quota or a limit on the size of files a write error.
        code = getattr(problem, "sqlite_errorname", "")
        full = code in {"SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE"}
    return StoreFull(text) if full else StoreClosed(text)
