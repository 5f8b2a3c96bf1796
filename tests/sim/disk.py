"""A disk that is slow, full, or lost at any commit; and files that a crash takes unless synced."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path

from doppio.kernel.blobs import Blobs, BlobWriter
from doppio.kernel.local_store import LocalStore, LocalView
from doppio.kernel.memory_store import MemoryStore
from doppio.kernel.store import StoreError, StoreFull


class Faults:
    """What happens to the groups of commits of one start of the cloud."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.crash_at = chance.randint(1, 60)
        self.keeps_last = chance.random() < 0.5
        self._full_from = chance.randint(1, 90)
        self._full_to = self._full_from + chance.randint(1, 6)
        self.slow = chance.random() < 0.3
        # As a database at the other end of a wire: others come in between while one reads.
        self.reads_wait = chance.random() < 0.4

    def pause(self) -> float:
        """How long a group takes to reach the disk, in seconds."""
        if self.slow and self._chance.random() < 0.05:
            return self._chance.uniform(0.5, 3.0)
        return self._chance.uniform(0.0, 0.01)

    async def wait(self) -> None:
        """How long a read takes."""
        await asyncio.sleep(self._chance.uniform(0.0, 0.004))

    def is_full(self, number: int) -> bool:
        """Whether the disk has no room for this group."""
        return self._full_from <= number < self._full_to


class SimulatedStore(MemoryStore):
    """A store in memory. `crashed()` is called at the very moment of a crash."""

    def __init__(
        self, disk: dict[bytes, bytes], faults: Faults | None, crashed: Callable[[], None]
    ) -> None:
        super().__init__(disk, self._verdict)
        self.faults = faults
        self._crashed = crashed
        self._first = 0

    def arm(self, faults: Faults) -> None:
        """Let things go wrong from here on."""
        self.faults, self._first = faults, self.groups

    def view(self) -> LocalView:
        """What is durable, at once or after a while."""
        faults = self.faults
        return _SlowView(self, faults) if faults and faults.reads_wait else super().view()

    def _wake(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            pause = 0.001 if self.faults is None else self.faults.pause()
            asyncio.get_running_loop().call_later(pause, self._flush)

    def _verdict(self, number: int) -> bool | StoreError:
        faults = self.faults
        if faults is None:
            return True
        number -= self._first
        if number >= faults.crash_at:
            if faults.keeps_last:
                # On disk, and nobody is told.
                assert self._under_way is not None
                self._apply(self._under_way)
            self._crashed()
            return False
        return StoreFull("the simulated disk is full") if faults.is_full(number) else True


class _SlowView(LocalView):
    """Reading takes time, before and behind the moment that is read."""

    __slots__ = ("_faults",)

    def __init__(self, store: LocalStore, faults: Faults) -> None:
        super().__init__(store)
        self._faults = faults

    async def get(self, key: bytes) -> bytes | None:
        return (await self.get_many([key]))[0]

    async def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        await self._faults.wait()
        found = await super().get_many(keys)
        await self._faults.wait()
        return found

    async def scan(
        self, lo: bytes, hi: bytes, *, limit: int, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        await self._faults.wait()
        found = await super().scan(lo, hi, limit=limit, reverse=reverse)
        await self._faults.wait()
        return found


class SimulatedBlobs(Blobs):
    """Files that know whether they were synced."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, sync=False)
        self._synced: set[str] = set()

    def writer(self, blob_id: str) -> BlobWriter:
        """Begin a blob; a crash takes it until it is synced."""
        path = self.path(blob_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        return _Writer(path, lambda: self._synced.add(blob_id))

    def survive(self, folder: Path) -> SimulatedBlobs:
        """What a restart finds, in a folder of its own: what still runs here cannot reach it."""
        after = SimulatedBlobs(folder)
        for blob_id in self.ids():
            if blob_id in self._synced:
                path = after.path(blob_id)
                path.parent.mkdir(parents=True, exist_ok=True)
                os.link(self.path(blob_id), path)
                after._synced.add(blob_id)
        return after


class _Writer(BlobWriter):
    def __init__(self, path: Path, synced: Callable[[], object]) -> None:
        super().__init__(path, None)
        self._synced = synced

    def sync(self) -> None:
        super().sync()
        self._synced()
