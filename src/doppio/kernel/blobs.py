"""Large bodies beside the store: files named by ids, never by what users call them.

A blob is written whole and synced, with its folder, before its record may be committed; what has
no record after a crash is an orphan that `reap` removes.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from doppio.kernel.data_folder import sync_folder
from doppio.wire.http import FileRange

_ID = re.compile(r"[A-Za-z0-9_-]{4,80}")


class Blobs:
    """A folder of blobs, spread over subfolders by the first characters of their ids."""

    def __init__(self, folder: Path, *, sync: bool = True) -> None:
        self._folder = folder
        self._sync = sync
        # Subfolders whose own names are known to be on disk.
        self._settled: set[Path] = set()

    def path(self, blob_id: str) -> Path:
        """Where a blob lies."""
        assert _ID.fullmatch(blob_id), f"not a blob id: {blob_id!r}"
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
