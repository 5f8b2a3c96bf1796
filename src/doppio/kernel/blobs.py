"""Large bodies beside the store, named by ids, never by what users call them.

A blob is written whole and is safe before its record may be committed; what has no record after a
crash is an orphan, which its service sweeps. `Blobs` keeps them as files, which the kernel sends by
itself; `object_blobs` keeps them in any object store. Both pass `tests/kernel/test_blobs.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from doppio.kernel.data_folder import sync_folder
from doppio.kernel.store import StoreError
from doppio.wire.http import FileRange

# Where a place says whose it is: under no name that a blob can have.
MARK = "cloud/id"
# Who keeps blobs beside S3 has this in their ids, behind its own name, and sweeps them itself.
OTHERS = "_"
_ID = re.compile(r"[A-Za-z0-9_-]{4,80}")


class Writer(Protocol):
    """Writes one blob. `write` and `sync` block: call them from a worker thread."""

    length: int

    def write(self, data: bytes | memoryview) -> None:
        """Add to the end."""
        ...

    def sync(self) -> None:
        """Return when all of it is safe."""
        ...

    async def finish(self) -> None:
        """`sync` in a worker thread."""
        ...

    def abandon(self) -> None:
        """Forget a blob that was not finished; does not block."""
        ...


class BlobStore(Protocol):
    """Where blobs are. What reads and deletes blocks: call it from a worker thread.

    `read_bytes` is how much is best read at once.
    """

    read_bytes: int

    def writer(self, blob_id: str) -> Writer:
        """Begin a blob. An id is never used twice."""
        ...

    def range(self, blob_id: str, offset: int, length: int) -> FileRange | None:
        """Part of a blob for the kernel to send; None where it is no file."""
        ...

    def read(self, blob_id: str, offset: int, length: int) -> bytes:
        """Bytes of a blob, at most `length`; raises EOFError where there are none."""
        ...

    def delete(self, *blob_ids: str) -> None:
        """Remove blobs; one that is gone is no error."""
        ...

    def ids(self) -> Iterator[str]:
        """All blobs there are, whether or not a record names them."""
        ...

    def written_at(self, blob_id: str) -> float | None:
        """When a blob was written, in seconds since 1970; None where there is none."""
        ...

    def owner(self) -> str | None:
        """The cloud whose place this is, once one has taken it."""
        ...

    def own(self, cloud: str) -> None:
        """Take the place for a cloud, where nobody has."""
        ...


class BlobsMissing(StoreError):
    """What `--blobs` needs is not there, or does not fit; the text says what to do."""


def check_id(blob_id: str) -> None:
    """Ids are ours: nothing that a user chooses ever becomes a path."""
    assert _ID.fullmatch(blob_id), f"not a blob id: {blob_id!r}"


class Blobs:
    """A folder of blobs, spread over subfolders by the first characters of their ids."""

    read_bytes = 1024 * 1024

    def __init__(self, folder: Path, *, sync: bool = True) -> None:
        self._folder = folder
        self._sync = sync
        # Subfolders whose own names are known to be on disk.
        self._settled: set[Path] = set()

    def path(self, blob_id: str) -> Path:
        """Where a blob lies."""
        check_id(blob_id)
        return self._folder / blob_id[:2] / blob_id

    def writer(self, blob_id: str) -> BlobWriter:
        """Begin a blob."""
        path = self.path(blob_id)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return BlobWriter(path, self._sync_names if self._sync else None)

    def _sync_names(self, folder: Path) -> None:
        sync_folder(folder)
        if folder not in self._settled:
            sync_folder(self._folder)
            sync_folder(self._folder.parent)
            self._settled.add(folder)

    def range(self, blob_id: str, offset: int, length: int) -> FileRange:
        """Part of a blob, for sending."""
        return FileRange(self.path(blob_id), offset, length)

    def read(self, blob_id: str, offset: int, length: int) -> bytes:
        """Bytes of a blob, at most `length`; raises EOFError where there are none."""
        with self.path(blob_id).open("rb", buffering=0) as file:
            file.seek(offset)
            chunk = file.read(length)
        if not chunk:
            raise EOFError(f"{blob_id} ends before byte {offset + length}")
        return chunk

    def delete(self, *blob_ids: str) -> None:
        """Remove blobs; one that is gone is no error."""
        for blob_id in blob_ids:
            self.path(blob_id).unlink(missing_ok=True)

    def written_at(self, blob_id: str) -> float | None:
        """When a blob was last written to; None where there is none."""
        try:
            return self.path(blob_id).stat().st_mtime
        except FileNotFoundError:
            return None

    def owner(self) -> str | None:
        """The cloud whose folder this is, where it says so."""
        try:
            return (self._folder / MARK).read_text()
        except FileNotFoundError:
            return None

    def own(self, cloud: str) -> None:
        """Take the folder for a cloud."""
        path = self._folder / MARK
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(FileExistsError), path.open("x") as file:
            file.write(cloud)
            file.flush()
            os.fsync(file.fileno())
            self._sync_names(path.parent)

    def ids(self) -> Iterator[str]:
        """All blobs there are, whether or not a record names them."""
        if not self._folder.exists():
            return
        for group in self._folder.iterdir():
            if group.is_dir():
                for entry in group.iterdir():
                    if _ID.fullmatch(entry.name):
                        yield entry.name


class BlobWriter:
    """Writes one blob. `write` and `sync` block: call them from a worker thread."""

    def __init__(self, path: Path, sync_names: Callable[[Path], None] | None) -> None:
        self._path = path
        self._sync_names = sync_names
        # Removed by `abandon`, or as an orphan after a crash.
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self.length = 0

    def write(self, data: bytes | memoryview) -> None:
        """Add to the end."""
        rest = memoryview(data)
        while rest:
            written = os.write(self._file, rest)
            self.length += written
            rest = rest[written:]

    def sync(self) -> None:
        """Put it on disk, and its name into the folder."""
        if self._sync_names is not None:
            os.fsync(self._file)
            self._sync_names(self._path.parent)
        os.close(self._file)
        self._file = -1

    async def finish(self) -> None:
        """`sync` in a worker thread."""
        await asyncio.get_running_loop().run_in_executor(None, self.sync)

    def abandon(self) -> None:
        """Forget a blob that was not finished."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        self._path.unlink(missing_ok=True)
