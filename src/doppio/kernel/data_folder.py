"""The folder of a store: whose it is, and that what lies in it is sound and ours."""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
from pathlib import Path

from doppio.kernel.store import DataDirectoryInUse, StoreCorrupt, StoreFull

DATABASE = "state.db"
NEW = "new-state.db"
LOCK = "lock"
# "dopp": tells our file from any other SQLite database.
APPLICATION_ID = 0x646F7070
FORMAT = 1
# The database is not mapped into memory: each commit unmaps it again, so that point reads of many
# rows cost a tenth more; a failing disk would end the process instead of a question; and all that was
# ever read would count as its memory.
CACHE_KIB = 8_192
CHECKPOINT_PAGES = 4_000
WAL_BYTES_KEPT = 64 * 1024 * 1024


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def lock_folder(folder: Path) -> LockFile:
    """Take a folder for this process alone. Raises DataDirectoryInUse with the holder's pid.

    The lock goes with the process, however it ends; the file stays.
    """
    if not folder.exists():
        folder.mkdir(parents=True, mode=0o700)
        sync_folder(folder.parent)
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
        if self.number >= 0:
            os.close(self.number)
            self.number = -1


def connect_for_reading(folder: Path) -> sqlite3.Connection:
    """A connection that sees each commit at once and writes nothing."""
    connection = _connect(folder / DATABASE)
    connection.execute("PRAGMA query_only=ON")
    return connection


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, cached_statements=64, timeout=10
    )
    connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
    return connection


def open_database(folder: Path, synchronous: str) -> sqlite3.Connection:
    """The connection that writes. Raises StoreCorrupt for what is damaged or not ours."""
    path = folder / DATABASE
    if path.exists():
        with path.open("rb") as file:
            if file.read(16) != b"SQLite format 3\0":
                raise _as_corrupt(path, None)
    else:
        _create(folder, path)
    try:
        connection = _connect(path)
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if application != APPLICATION_ID:
            raise StoreCorrupt(f"{path} is a database of another program: it is left as it is")
        if version > FORMAT:
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


def _create(folder: Path, path: Path) -> None:
    """Make an empty database under another name first: a crash leaves all of it or nothing."""
    others = [
        one.name for one in folder.iterdir() if one.name != LOCK and not one.name.startswith(NEW)
    ]
    if others:
        raise StoreCorrupt(
            f"{folder} holds {', '.join(sorted(others)[:3])} but no {DATABASE}: nothing is started "
            "empty over it; restore the file, or name an empty directory"
        )
    for left in folder.glob(NEW + "*"):
        left.unlink()
    connection = sqlite3.connect(folder / NEW, isolation_level=None)
    try:
        connection.execute("BEGIN")
        # A rowid table with a unique index costs half of WITHOUT ROWID when values are large.
        connection.execute("CREATE TABLE kv(k BLOB NOT NULL UNIQUE, v BLOB NOT NULL)")
        connection.execute(f"PRAGMA user_version={FORMAT}")
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute("COMMIT")
    except sqlite3.OperationalError as error:
        raise StoreFull(f"no store can be made in {folder}: {error}") from error
    finally:
        connection.close()
    (folder / NEW).chmod(0o600)
    (folder / NEW).rename(path)
    sync_folder(folder)


def _as_corrupt(path: Path, error: sqlite3.Error | None) -> StoreCorrupt:
    said = f" ({error})" if error else ""
    return StoreCorrupt(
        f"{path} is damaged{said}: it is left as it is. Restore it from a copy, or move the data "
        "directory away and start with an empty one"
    )
