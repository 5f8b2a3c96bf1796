"""Large bodies beside the store: files named by ids, never by what users call them.

A blob is written whole and synced, with its folder, before its record may be committed; what has
no record after a crash is an orphan that `reap` removes.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterator
from pathlib import Path

from doppio.wire.http import FileRange

_ID = re.compile(r"[A-Za-z0-9_-]{4,80}")


class Blobs:
    """A folder of blobs, spread over subfolders by the first characters of their ids."""

    def __init__(self, folder: Path, *, sync: bool = True) -> None:
        self._folder = folder
        self._sync = sync

    def path(self, blob_id: str) -> Path:
        """Where a blob lies."""
        assert _ID.fullmatch(blob_id), f"not a blob id: {blob_id!r}"
        return self._folder / blob_id[:2] / blob_id

    def writer(self, blob_id: str) -> BlobWriter:
        """Begin a blob."""
        path = self.path(blob_id)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return BlobWriter(path, sync=self._sync)

    def range(self, blob_id: str, offset: int, length: int) -> FileRange:
        """Part of a blob, for sending."""
        return FileRange(self.path(blob_id), offset, length)

    def delete(self, blob_id: str) -> None:
        """Remove a blob; one that is gone is no error."""
        self.path(blob_id).unlink(missing_ok=True)

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

    def __init__(self, path: Path, *, sync: bool) -> None:
        self._path = path
        self._sync = sync
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
        if self._sync:
            os.fsync(self._file)
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
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
