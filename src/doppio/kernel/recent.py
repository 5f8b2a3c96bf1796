"""What a store keeps in memory in front of its database: recent rows, and where ranges begin."""

from __future__ import annotations

from bisect import bisect_left, insort
from itertools import islice

from doppio.kernel.local_store import Pairs, Rows

# So many ranges are remembered; a queue's head or a list of timers is one.
FLOORS_MAX = 32


class Recent:
    """Durable rows that the database has not got yet. None is a deletion."""

    __slots__ = ("_keys", "bytes", "rows")

    def __init__(self) -> None:
        self.rows: Rows = {}
        self.bytes = 0
        self._keys: list[bytes] = []

    def update(self, rows: Rows, size: int) -> None:
        """Take over a group's rows."""
        self.rows.update(rows)
        self.bytes += size

    def between(self, lo: bytes, hi: bytes, limit: int, reverse: bool) -> tuple[Rows, bytes, bytes]:
        """The rows with lo <= key < hi, or the first of them, and the bounds they cover.

        Once `limit` rows are there for certain, what lies behind them does not matter.
        """
        keys, rows = self._sorted(), self.rows
        first, last = bisect_left(keys, lo), bisect_left(keys, hi)
        if last - first <= limit:
            return {key: rows[key] for key in keys[first:last]}, lo, hi
        found: Rows = {}
        live = 0
        for at in range(last - 1, first - 1, -1) if reverse else range(first, last):
            key = keys[at]
            value = found[key] = rows[key]
            if value is not None:
                live += 1
                if live == limit:
                    return (found, key, hi) if reverse else (found, lo, key + b"\0")
        return found, lo, hi

    def _sorted(self) -> list[bytes]:
        # Sorted only when asked: many stores are never scanned where they are written.
        keys = self._keys
        new = len(self.rows) - len(keys)
        if new:
            # A row that is written again keeps its place, and none goes: the last ones are new.
            unsorted = islice(reversed(self.rows), new)
            if new * 8 < len(keys):
                for key in unsorted:
                    insort(keys, key)
            else:
                keys.extend(unsorted)
                keys.sort()
        return keys


class Floors:
    """Before which key a range is known to be empty.

    A queue is read and deleted at its head, so its rows there are soon all deletions on their way
    to the database; without this, each read would step over all of them again.
    """

    __slots__ = ("_floors",)

    def __init__(self) -> None:
        self._floors: dict[bytes, bytes] = {}

    def raised(self, lo: bytes) -> bytes:
        """From where a scan that begins at `lo` needs to look."""
        return self._floors.get(lo, lo)

    def learn(self, lo: bytes, hi: bytes, rows: Pairs) -> None:
        """What a scan from `lo` to `hi` found first."""
        floors = self._floors
        if lo not in floors and len(floors) >= FLOORS_MAX:
            del floors[next(iter(floors))]
        floors[lo] = rows[0][0] if rows else hi

    def lower(self, rows: Rows) -> None:
        """These rows have become durable."""
        if not self._floors:
            return
        puts = sorted([key for key, value in rows.items() if value is not None])
        for lo, floor in self._floors.items():
            at = bisect_left(puts, lo)
            if at < len(puts) and puts[at] < floor:
                self._floors[lo] = puts[at]
