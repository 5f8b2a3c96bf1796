"""The file that a body lands in: hashed and written by worker threads, safe to give up at any time.

A sender may go away while a worker is writing. The file is closed only when no worker is at it:
its number may belong to another file the next moment.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import threading
from collections.abc import Callable

from doppio.kernel.blobs import BlobStore, Writer
from doppio.kernel.store import StoreFull
from doppio.services.s3.limits import BATCH_BYTES
from doppio.services.s3.sealing import Sealer
from doppio.wire import checksums
from doppio.wire.http import ByteStream

# What a disk says when it, a quota or the file system's largest file is full.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Hashes:
    """MD5 and checksum of a body, piece by piece."""

    def __init__(self, algorithm: str) -> None:
        self.md5 = hashlib.md5(usedforsecurity=False)
        self.checksum = checksums.new(algorithm)
        self.algorithm = algorithm

    def update(self, batch: list[bytes]) -> None:
        """Add chunks. Long for a loop: called in a worker thread."""
        for chunk in batch:
            self.md5.update(chunk)
            self.checksum.update(chunk)


class Landing:
    """One file on its way. Raises StoreFull where the disk has no room for it."""

    def __init__(self, blobs: BlobStore, blob: str, sealer: Sealer | None = None) -> None:
        self.blob = blob
        self._sealer = sealer
        self._lock = threading.Lock()
        self._given_up = False
        try:
            self._writer: Writer = blobs.writer(blob)
        except OSError as error:
            raise _refusal(error) from error

    async def take(self, body: ByteStream, hashes: Hashes) -> int:
        """Hash a body to its end, write it and put it on disk; its length."""
        whole = body.whole
        if whole is None:
            size = await pump(body, hashes, self)
            await self._work(self._sync)
            return size

        def work() -> None:
            # In one step: each change of threads costs more than the hashing does.
            hashes.update([whole])
            self.write([whole])
            self._sync()

        await self._work(work)
        return len(whole)

    def write(self, batch: list[bytes]) -> None:
        """Add chunks; in a worker thread."""
        with self._lock:
            if self._given_up:
                return
            sealer = self._sealer
            try:
                for chunk in batch if sealer is None else sealer.feed(batch):
                    self._writer.write(chunk)
            except OSError as error:
                raise _refusal(error) from error

    def give_up(self) -> None:
        """Remove the file: at once, or as soon as the worker that is at it lets go."""
        if self._lock.acquire(blocking=False):
            try:
                self._remove()
            finally:
                self._lock.release()
        else:
            asyncio.get_running_loop().run_in_executor(None, self._remove_later)

    def _sync(self) -> None:
        with self._lock:
            if self._given_up:
                return
            try:
                if self._sealer is not None:
                    self._writer.write(self._sealer.finish())
                self._writer.sync()
            except OSError as error:
                raise _refusal(error) from error

    def _remove_later(self) -> None:
        with self._lock:
            self._remove()

    def _remove(self) -> None:
        self._given_up = True
        self._writer.abandon()

    async def _work(self, work: Callable[[], None]) -> None:
        await asyncio.get_running_loop().run_in_executor(None, work)


async def pump(body: ByteStream, hashes: Hashes, landing: Landing | None) -> int:
    """Read a body batch by batch; each is hashed, and written, while the next is gathered."""
    loop = asyncio.get_running_loop()
    busy: list[asyncio.Future[None]] = []

    async def work(batch: list[bytes]) -> None:
        await _finished(busy)
        busy.append(loop.run_in_executor(None, hashes.update, batch))
        if landing is not None:
            busy.append(loop.run_in_executor(None, landing.write, batch))

    batch: list[bytes] = []
    gathered = size = 0
    try:
        async for chunk in body:
            batch.append(chunk)
            gathered += len(chunk)
            if gathered >= BATCH_BYTES:
                size += gathered
                await work(batch)
                batch, gathered = [], 0
        if batch:
            size += gathered
            await work(batch)
    finally:
        await _finished(busy)
    return size


async def _finished(busy: list[asyncio.Future[None]]) -> None:
    while busy:
        await busy.pop()


def _refusal(error: OSError) -> Exception:
    return StoreFull(str(error)) if error.errno in _FULL else error
