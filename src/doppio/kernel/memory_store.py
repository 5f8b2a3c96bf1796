"""The store for simulations: in memory, with a disk that can be slow, full or lost.

Each group of commits reaches the "disk" when the loop comes round again, so interleavings are
real. `crash()` forgets what has not reached it, and every commit under way fails.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left, insort
from collections.abc import Callable

from doppio.kernel.local_store import Group, LocalStore
from doppio.kernel.store import StoreClosed, StoreError


class MemoryStore(LocalStore):
    """An ordered dict as the disk.

    `reaches_disk(number)` is asked for each group of commits, in order: False is a crash at that
    very commit, and an error to raise in its stead is a disk that refuses.
    """

    def __init__(
        self,
        disk: dict[bytes, bytes] | None = None,
        reaches_disk: Callable[[int], bool | StoreError] = lambda number: True,
    ) -> None:
        super().__init__()
        self.disk = {} if disk is None else disk
        self._sorted = sorted(self.disk)
        self._reaches_disk = reaches_disk
        self.groups = 0
        self._scheduled = False

    def _read(self, key: bytes) -> bytes | None:
        return self.disk.get(key)

    def _scan(self, lo: bytes, hi: bytes, limit: int, reverse: bool) -> list[tuple[bytes, bytes]]:
        first, last = bisect_left(self._sorted, lo), bisect_left(self._sorted, hi)
        if reverse:
            keys = self._sorted[max(first, last - limit) : last][::-1]
        else:
            keys = self._sorted[first : min(last, first + limit)]
        return [(key, self.disk[key]) for key in keys]

    def _wake(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        if self._closed is not None or self._under_way is not None:
            return
        group = self._take()
        if group is None:
            return
        self.groups += 1
        verdict = self._reaches_disk(self.groups)
        if verdict is True:
            self._apply(group)
            self._done(group, None)
        elif verdict is False:
            self.crash()
        else:
            self._done(group, verdict)

    def _apply(self, group: Group) -> None:
        for key, value in group.rows.items():
            if value is None:
                if self.disk.pop(key, None) is not None:
                    del self._sorted[bisect_left(self._sorted, key)]
            else:
                if key not in self.disk:
                    insort(self._sorted, key)
                self.disk[key] = value

    def crash(self) -> None:
        """Lose all that has not reached the disk; `disk` is what a restart finds."""
        group = self._under_way or Group()
        self._under_way = None
        self._failed(group, StoreClosed("the store has crashed"))

    async def close(self) -> None:
        """Finish what was asked."""
        self._flush()
        if self._closed is None:
            self._closed = "the store is closed"
