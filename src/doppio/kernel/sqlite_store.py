"""The store on one machine: SQLite with a write-ahead log, and an fsync before any answer.

Reads run on the event loop: a point read costs microseconds. Commits of one turn of the loop go to
a writer thread as one transaction (group commit). The thread runs few, large statements: each one
gives up the interpreter lock and must win it back, which is what would cost under load.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import sqlite3
import threading
from pathlib import Path
from queue import SimpleQueue

from doppio.kernel.local_store import Group, LocalStore
from doppio.kernel.store import (
    DataDirectoryInUse,
    StoreClosed,
    StoreCorrupt,
    StoreError,
    StoreFull,
)

DATABASE = "state.db"
LOCK = "lock"
# "dopp": tells our file from any other SQLite database.
APPLICATION_ID = 0x646F7070
FORMAT = 1
# Rows a statement, largest first: a group is cut into these.
_SIZES = (256, 64, 16, 4, 1)
_UPSERT = "INSERT INTO kv(k,v) VALUES {} ON CONFLICT(k) DO UPDATE SET v=excluded.v"
_DELETE = "DELETE FROM kv WHERE k IN ({})"
_UPSERTS = {size: _UPSERT.format(",".join(["(?,?)"] * size)) for size in _SIZES}
_DELETES = {size: _DELETE.format(",".join(["?"] * size)) for size in _SIZES}
_GET = "SELECT v FROM kv WHERE k=?"
_SCAN = "SELECT k,v FROM kv WHERE k>=? AND k<? ORDER BY k LIMIT ?"
_SCAN_BACK = "SELECT k,v FROM kv WHERE k>=? AND k<? ORDER BY k DESC LIMIT ?"
CACHE_KIB = 8_192
MMAP_BYTES = 256 * 1024 * 1024
CHECKPOINT_PAGES = 4_000
WAL_BYTES_KEPT = 64 * 1024 * 1024


class SqliteStore(LocalStore):
    """A store in `folder`. `synchronous` is SQLite's: FULL survives a power cut, OFF nothing."""

    def __init__(self, folder: Path, *, synchronous: str = "FULL") -> None:
        super().__init__()
        assert synchronous in {"FULL", "NORMAL", "OFF"}
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = lock_folder(folder)
        try:
            self._writer = _open(folder, synchronous)
            self._reader = _connect(folder / DATABASE)
            self._reader.execute("PRAGMA query_only=ON")
        except BaseException:
            self._lock.close()
            raise
        self._cursor = self._reader.cursor()
        self._work: SimpleQueue[Group | None] = SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._submitted = False
        self._idle: asyncio.Future[None] | None = None
        self._thread = threading.Thread(target=self._write_groups, name="store", daemon=True)
        self._thread.start()

    def _read(self, key: bytes) -> bytes | None:
        row = self._cursor.execute(_GET, (key,)).fetchone()
        return None if row is None else row[0]

    def _scan(self, lo: bytes, hi: bytes, limit: int, reverse: bool) -> list[tuple[bytes, bytes]]:
        return self._cursor.execute(_SCAN_BACK if reverse else _SCAN, (lo, hi, limit)).fetchall()

    def _wake(self) -> None:
        # At the end of this turn of the loop, so that all commits of the turn share an fsync.
        if not self._submitted:
            self._submitted = True
            self._loop = asyncio.get_running_loop()
            self._loop.call_soon(self._submit)

    def _submit(self) -> None:
        self._submitted = False
        if self._under_way is None:
            group = self._take()
            if group is not None:
                self._work.put(group)

    def _done(self, group: Group, error: StoreError | None) -> None:
        super()._done(group, error)
        if self._idle is not None and not self._group.commits and not self._idle.done():
            self._idle.set_result(None)

    async def close(self) -> None:
        """Finish what was asked, fold the log into the database, let go of the folder."""
        if self._closed is not None:
            return
        if self._under_way is not None or self._group.commits:
            self._idle = asyncio.get_running_loop().create_future()
            await self._idle
        self._closed = "the store is closed"
        self._work.put(None)
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join)
        self._reader.close()
        try:
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error:
            # A full disk: the log stays beside the database, and the next start reads both.
            pass
        self._writer.close()
        self._lock.close()

    # The writer thread.

    def _write_groups(self) -> None:
        while (group := self._work.get()) is not None:
            error: StoreError | None = None
            try:
                self._write(group)
            except sqlite3.Error as problem:
                error = _as_store_error(problem)
                self._roll_back()
            assert self._loop is not None
            try:
                self._loop.call_soon_threadsafe(self._done, group, error)
            except RuntimeError:
                # The loop is gone, and with it everybody who waited for this group.
                return

    def _write(self, group: Group) -> None:
        execute = self._writer.execute
        puts: list[bytes] = []
        deletes: list[bytes] = []
        for key, value in group.rows.items():
            if value is None:
                deletes.append(key)
            else:
                puts.append(key)
                puts.append(value)
        if not puts and not deletes:
            return
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
        try:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
        except sqlite3.Error:
            # SQLite has rolled back by itself, as it does after an I/O error.
            pass


def lock_folder(folder: Path) -> LockFile:
    """Take a folder for this process alone. Raises DataDirectoryInUse with the holder's pid.

    The lock goes with the process, however it ends; the file stays.
    """
    file = LockFile(folder / LOCK)
    try:
        fcntl.flock(file.number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = file.read() or "unknown"
        file.close()
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise
        raise DataDirectoryInUse(
            f"the data directory {folder} is in use by the process with pid {holder}; "
            "stop that cloud first, or name another directory"
        ) from None
    file.write(str(os.getpid()))
    return file


class LockFile:
    """The lock's file."""

    def __init__(self, path: Path) -> None:
        self.number = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)

    def read(self) -> str:
        """The pid in it."""
        return os.pread(self.number, 32, 0).decode("ascii", "replace").strip()

    def write(self, text: str) -> None:
        """Put a pid into it."""
        os.ftruncate(self.number, 0)
        os.pwrite(self.number, text.encode(), 0)

    def close(self) -> None:
        """Give the lock back."""
        os.close(self.number)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, cached_statements=64, timeout=10
    )
    connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
    connection.execute(f"PRAGMA mmap_size={MMAP_BYTES}")
    return connection


def _open(folder: Path, synchronous: str) -> sqlite3.Connection:
    path = folder / DATABASE
    _check_folder(folder, path)
    try:
        connection = _connect(path)
        found = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if found == 0 and version == 0:
            _create(connection, path)
        elif found != APPLICATION_ID:
            raise StoreCorrupt(f"{path} is a database of another program: it is left as it is")
        elif version > FORMAT:
            raise StoreCorrupt(
                f"{path} was written by a newer version (format {version}, this one knows "
                f"{FORMAT}): upgrade, or name another data directory"
            )
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={synchronous}")
        connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit={WAL_BYTES_KEPT}")
        connection.execute("SELECT k FROM kv LIMIT 1").fetchone()
    except sqlite3.DatabaseError as error:
        raise _as_corrupt(path, error) from error
    return connection


def _create(connection: sqlite3.Connection, path: Path) -> None:
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if tables:
        raise StoreCorrupt(f"{path} is a database of another program: it is left as it is")
    # A rowid table with a unique index costs half of WITHOUT ROWID when values are large.
    connection.execute("CREATE TABLE kv(k BLOB NOT NULL UNIQUE, v BLOB NOT NULL)")
    connection.execute(f"PRAGMA user_version={FORMAT}")
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")


def _check_folder(folder: Path, path: Path) -> None:
    if path.exists():
        if path.stat().st_size > 0:
            with path.open("rb") as file:
                if file.read(16) != b"SQLite format 3\0":
                    raise _as_corrupt(path, None)
        return
    others = [entry.name for entry in folder.iterdir() if entry.name != LOCK]
    if others:
        raise StoreCorrupt(
            f"{folder} holds {', '.join(sorted(others)[:3])} but no {DATABASE}: nothing is started "
            "empty over it; restore the file, or name an empty directory"
        )


def _as_corrupt(path: Path, error: sqlite3.Error | None) -> StoreCorrupt:
    said = f" ({error})" if error else ""
    return StoreCorrupt(
        f"{path} is damaged{said}: it is left as it is. Restore it from a copy, or move the data "
        "directory away and start with an empty one"
    )


def _as_store_error(problem: sqlite3.Error) -> StoreError:
    text = str(problem)
    code = getattr(problem, "sqlite_errorname", "")
    if code in {"SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE"} or "full" in text:
        return StoreFull(text)
    return StoreClosed(text)
