"""Walking a bucket in key order: a range scan that leaps over what a delimiter groups.

Two hundred common prefixes cost about two hundred seeks, however many keys lie beneath them: behind
each one the walk goes on where the prefix ends. Keys compare as their UTF-8 bytes do, as in S3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from doppio.kernel.keys import pack
from doppio.kernel.records import Table
from doppio.kernel.store import View
from doppio.services.s3.records import SEQUENCE_MAX


class Keyed(Protocol):
    """What a walk finds: rows of a table, as much of them as its reader decodes."""

    @property
    def key(self) -> str: ...


class Numbered(Keyed, Protocol):
    """A version, or as much of it as listings read."""

    @property
    def sequence(self) -> int: ...


R = TypeVar("R")

Pairs = list[tuple[bytes, bytes]]
Extract = tuple[bytes, bytes]

# A scan begins small and grows while nothing is leapt over: a leap makes the rest of it useless.
_FIRST_ROWS = 16
_ROWS_AFTER_LEAP = 2
_ROWS_MAX = 1001
_GROWTH = 4


class Way(Generic[R]):
    """One listing of one range whose keys begin with (bucket, key).

    What it finds are records, as `_read` makes them of rows, and common prefixes, which are texts.
    """

    def __init__(self, table_prefix: bytes, bucket: str, prefix: str, delimiter: str) -> None:
        self._base = table_prefix + pack(bucket)
        self._prefix = prefix
        self._delimiter = delimiter
        self._lo = self._base + opening(prefix)
        self._hi = self._lo + b"\xff"

    def _read(self, rows: Pairs) -> list[R]:
        """What rows hold."""
        raise NotImplementedError

    def _key_of(self, record: R) -> str:
        """The object key of what was read."""
        raise NotImplementedError

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

    async def take(self, view: View, count: int) -> Sequence[R | str]:
        """The next records and common prefixes, at most `count`."""
        if not self._delimiter:
            return await self.records(view, count)
        found: list[R | str] = []
        rows_max = min(count, _FIRST_ROWS)
        while len(found) < count and self._lo < self._hi:
            rows = await view.scan(self._lo, self._hi, limit=max(rows_max, 1))
            leapt = self._fold(rows, found, count)
            if len(rows) < rows_max:
                break
            rows_max = _ROWS_AFTER_LEAP if leapt else rows_max * _GROWTH
            rows_max = min(rows_max, _ROWS_MAX, max(count - len(found), 1))
        return found

    async def records(self, view: View, count: int) -> list[R]:
        """The next records, at most `count`, where nothing is grouped."""
        assert not self._delimiter, "with a delimiter there are common prefixes, too"
        found: list[R] = []
        while len(found) < count and self._lo < self._hi:
            wanted = min(count - len(found), _ROWS_MAX)
            rows = await view.scan(self._lo, self._hi, limit=wanted)
            found += self._read(rows)
            if len(rows) < wanted:
                break
            self._lo = rows[-1][0] + b"\x00"
        return found

    def _fold(self, rows: list[tuple[bytes, bytes]], found: list[R | str], count: int) -> bool:
        """Add what rows stand for; whether the last of them was leapt over."""
        leapt = False
        for row in rows:
            row_key = row[0]
            if row_key < self._lo:
                continue
            if len(found) == count:
                return False
            (record,) = self._read([row])
            common = self.common(self._key_of(record))
            leapt = common is not None
            if common is None:
                found.append(record)
                self._lo = row_key + b"\x00"
            else:
                found.append(common)
                self._lo = self._base + opening(common) + b"\xff"
        return leapt


K = TypeVar("K", bound=Keyed)


class Walk(Way[K]):
    """A walk over the records of a table."""

    def __init__(
        self,
        table: Table[Any],
        decode: Callable[[bytes], K],
        bucket: str,
        prefix: str,
        delimiter: str,
    ) -> None:
        super().__init__(table.prefix, bucket, prefix, delimiter)
        self._decode = decode

    def _read(self, rows: Pairs) -> list[K]:
        decode = self._decode
        return [decode(value) for _, value in rows]

    def _key_of(self, record: K) -> str:
        return record.key


class Extracts(Way[Extract]):
    """A walk over the extracts of a table: pairs of a key, in UTF-8, and what is shown of it."""

    def __init__(self, table: Table[Any], bucket: str, prefix: str, delimiter: str) -> None:
        super().__init__(table.extract_prefix, bucket, prefix, delimiter)
        # In front of a text stands the code of its kind, behind it a zero.
        self._opening = len(self._base) + 1

    def _read(self, rows: Pairs) -> list[Extract]:
        at = self._opening
        read = [(key[at:-1], value) for key, value in rows]
        if b"\0" in b"".join([key for key, _ in read]):
            return [(key.replace(b"\0\xff", b"\0"), value) for key, value in read]
        return read

    def _key_of(self, record: Extract) -> str:
        return record[0].decode()


def text_of(entry: Keyed | Extract | str) -> str:
    """The key or common prefix that an entry of a walk is listed as."""
    if isinstance(entry, tuple):
        return entry[0].decode()
    return entry if isinstance(entry, str) else entry.key


def place_of(entry: Numbered | str) -> tuple[bytes, int]:
    """Where an entry stands among the versions of a bucket: by key, the newest first."""
    if isinstance(entry, str):
        return entry.encode(), 0
    return entry.key.encode(), SEQUENCE_MAX - entry.sequence


def opening(text: str) -> bytes:
    """What the packed forms of all texts that begin with `text` begin with."""
    return pack(text)[:-1]  # without the zero that ends a text
