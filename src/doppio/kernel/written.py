"""What was written lately, in order: against this, optimistic transactions are checked."""

from __future__ import annotations

from collections.abc import Sequence

from doppio.kernel.store import Conflict

# A transaction that began more than so many writes ago can no longer be checked: it conflicts.
REMEMBERED_WRITES_MAX = 16_384


class Written:
    """The keys of each commit since some time ago.

    Most transactions are the only ones between their beginning and their end, and are not checked
    at all: so what every commit pays for is one tuple in a list, and the search is the others'.
    """

    __slots__ = ("_commits", "_forgotten", "_keys", "count")

    def __init__(self) -> None:
        # So many commits there were; a transaction keeps the number at its beginning.
        self.count = 0
        self._commits: list[tuple[bytes, ...]] = []
        self._keys = 0
        self._forgotten = 0

    def add(self, keys: tuple[bytes, ...]) -> None:
        """The next commit wrote these keys."""
        self.count += 1
        self._commits.append(keys)
        self._keys += len(keys)
        while self._keys > REMEMBERED_WRITES_MAX:
            gone = (len(self._commits) + 1) // 2
            self._keys -= sum(map(len, self._commits[:gone]))
            del self._commits[:gone]
            self._forgotten += gone

    def forget(self) -> None:
        """Whoever has begun by now can no longer be checked."""
        self.count += 1
        self._forgotten = self.count
        self._commits.clear()
        self._keys = 0

    def check(
        self, start: int, reads: Sequence[bytes], ranges: Sequence[tuple[bytes, bytes]]
    ) -> None:
        """Raise Conflict where something that was read was written since commit `start`."""
        if start < self._forgotten:
            raise Conflict("the transaction is too old to be checked")
        read = set(reads)
        for keys in self._commits[start - self._forgotten :]:
            if not read.isdisjoint(keys):
                raise Conflict(f"{min(read.intersection(keys))!r} was changed")
            for lo, hi in ranges:
                for key in keys:
                    if lo <= key < hi:
                        raise Conflict(f"{key!r} was changed in a range that was read")
