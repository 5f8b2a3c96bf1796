"""Walking a bucket in key order: a range scan that leaps over what a delimiter groups.

Two hundred common prefixes cost about two hundred seeks, however many keys lie beneath them: behind
each one the walk goes on where the prefix ends. Keys compare as their UTF-8 bytes do, as in S3.
"""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

import msgspec

from doppio.kernel.keys import pack
from doppio.kernel.records import Table
from doppio.kernel.store import View

R = TypeVar("R", bound=msgspec.Struct)

# A scan begins small and grows while nothing is leapt over: a leap makes the rest of it useless.
_FIRST_ROWS = 16
_ROWS_AFTER_LEAP = 2
_ROWS_MAX = 1001
_GROWTH = 4


class Item(NamedTuple, Generic[R]):
    """A key with its record, or a common prefix without."""

    text: str
    record: R | None


class Walk(Generic[R]):
    """One listing of one table whose keys begin with (bucket, key)."""

    def __init__(self, table: Table[R], bucket: str, prefix: str, delimiter: str) -> None:
        self._decode = table.decode
        self._base = table.prefix + pack(bucket)
        self._prefix = prefix
        self._delimiter = delimiter
        self._lo = self._base + opening(prefix)
        self._hi = self._lo + b"\xff"

    def start_after(self, key: str, *more: object) -> None:
        """Begin behind a key (and further key fields), or behind all of a common prefix."""
        if key == self.common(key):
            lo = self._base + opening(key) + b"\xff"
        elif more:
            lo = self._base + pack(key, *more) + b"\x00"
        else:
            lo = self._base + pack(key) + b"\xff"
        self._lo = max(self._lo, lo)

    def common(self, key: str) -> str | None:
        """The common prefix that a key counts under, None where it stands for itself."""
        if not self._delimiter:
            return None
        at = key.find(self._delimiter, len(self._prefix))
        return None if at < 0 else key[: at + len(self._delimiter)]

    async def take(self, view: View, count: int) -> list[Item[R]]:
        """The next items, at most `count`."""
        items: list[Item[R]] = []
        rows_max = min(count, _FIRST_ROWS if self._delimiter else _ROWS_MAX)
        while len(items) < count and self._lo < self._hi:
            rows = await view.scan(self._lo, self._hi, limit=max(rows_max, 1))
            leapt = self._fold(rows, items, count)
            if len(rows) < rows_max:
                break
            rows_max = _ROWS_AFTER_LEAP if leapt else rows_max * _GROWTH
            rows_max = min(rows_max, _ROWS_MAX, max(count - len(items), 1))
        return items

    def _fold(self, rows: list[tuple[bytes, bytes]], items: list[Item[R]], count: int) -> bool:
        """Add what rows stand for; whether the last of them was leapt over."""
        decode, delimited = self._decode, bool(self._delimiter)
        leapt = False
        for row_key, value in rows:
            if row_key < self._lo:
                continue
            if len(items) == count:
                return False
            record = decode(value)
            key: str = record.key  # type: ignore[attr-defined]
            common = self.common(key) if delimited else None
            leapt = common is not None
            if common is None:
                items.append(Item(key, record))
                self._lo = row_key + b"\x00"
            else:
                items.append(Item(common, None))
                self._lo = self._base + opening(common) + b"\xff"
        return leapt


def opening(text: str) -> bytes:
    """What the packed forms of all texts that begin with `text` begin with."""
    return pack(text)[:-1]  # without the zero that ends a text
