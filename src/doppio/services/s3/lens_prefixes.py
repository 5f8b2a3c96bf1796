"""What lies below the prefixes of a bucket, for Storage Lens: those that hold a share of it at least.

Keys come in their order, so a prefix is complete once a key comes that is not below it. Only open
prefixes and those that are large enough so far are in memory, however many a bucket has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from doppio.services.s3.records import Version

# By storage class, and by metric.
Sums = dict[str, dict[str, int]]
Add = Callable[[Sums, Version, bool], None]
_BYTES = "StorageBytes"
# When so many are kept, those are dropped that have become too small a share.
_KEPT_MAX = 4_096


class PrefixScope(NamedTuple):
    """Which prefixes are told of: to which depth, and from which share of the bytes on, in percent."""

    delimiter: str
    depth: int
    percentage: float


class Prefixes:
    """The prefixes of one bucket, while its keys come by."""

    def __init__(self, scope: PrefixScope, add: Add) -> None:
        self._scope = scope
        self._add = add
        self._open: list[tuple[str, Sums]] = []
        self._kept: dict[str, Sums] = {}
        self._total = 0

    def see(self, version: Version, *, is_current: bool) -> None:
        """Count a version for each prefix of its key."""
        self._total += 0 if version.marker else version.size
        while self._open and not version.key.startswith(self._open[-1][0]):
            self._close()
        begin = len(self._open[-1][0]) if self._open else 0
        while len(self._open) < self._scope.depth:
            at = version.key.find(self._scope.delimiter, begin)
            if at < 0:
                break
            begin = at + len(self._scope.delimiter)
            self._open.append((version.key[:begin], {}))
        for _, sums in self._open:
            self._add(sums, version, is_current)

    def found(self) -> dict[str, Sums]:
        """The prefixes that are large enough, when all keys have come by."""
        while self._open:
            self._close()
        self._drop()
        return dict(sorted(self._kept.items()))

    def _close(self) -> None:
        prefix, sums = self._open.pop()
        if self._is_large(sums):
            self._kept[prefix] = sums
        if len(self._kept) > _KEPT_MAX:
            self._drop()

    def _drop(self) -> None:
        self._kept = {key: sums for key, sums in self._kept.items() if self._is_large(sums)}

    def _is_large(self, sums: Sums) -> bool:
        size = sum(one[_BYTES] for one in sums.values())
        return size > 0 and size * 100 >= self._total * self._scope.percentage
