"""What a cluster remembers: items and answers to queries, the least recently used forgotten first.

An item that DynamoDB does not have is remembered, too. How long something counts is asked when it
is looked up, so that another parameter group counts at once. What is here is a copy: it may be
forgotten at any time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from doppio.services.dax import limits

# What is looked up and is not there; None is an item that DynamoDB does not have.
MISSING = object()


class _Entry(NamedTuple):
    value: Any
    size: int
    at: datetime


class Reading:
    """Reads of DynamoDB that are under way; `stale` are keys that were written meanwhile."""

    __slots__ = ("keys", "stale")

    def __init__(self, keys: Sequence[Hashable]) -> None:
        self.keys = keys
        self.stale: set[Hashable] = set()


class Cache:
    """Entries by key, up to `bytes_max` together."""

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.used_bytes = 0
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._readings: dict[Hashable, set[Reading]] = {}
        # How many writes of a key are under way, and whether they ever were several at once.
        self._writing: dict[Hashable, tuple[int, bool]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Hashable, now: datetime, ttl: timedelta | None) -> Any:
        """What is remembered, MISSING if nothing is; without a `ttl` it never expires."""
        entry = self._entries.get(key)
        if entry is None:
            return MISSING
        if ttl is not None and not timedelta(0) <= now - entry.at < ttl:
            self.drop(key)
            return MISSING
        self._entries.move_to_end(key)
        return entry.value

    def put(self, key: Hashable, value: Any, size: int, now: datetime) -> int:
        """Remember something; how many bytes were forgotten for it."""
        self.drop(key)
        size += limits.ENTRY_BYTES
        if size > self.bytes_max:
            return 0
        self._entries[key] = _Entry(value, size, now)
        self.used_bytes += size
        evicted = 0
        while self.used_bytes > self.bytes_max:
            _, oldest = self._entries.popitem(last=False)
            self.used_bytes -= oldest.size
            evicted += oldest.size
        return evicted

    def drop(self, key: Hashable) -> None:
        """Forget something."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.used_bytes -= entry.size

    # A read that began before a write may bring what was before it; two writes at once may end in
    # another order than DynamoDB took them. Neither is remembered.

    def begin_read(self, keys: Sequence[Hashable]) -> Reading:
        """DynamoDB is about to be asked for these."""
        reading = Reading(keys)
        for key in keys:
            self._readings.setdefault(key, set()).add(reading)
        return reading

    def end_read(self, reading: Reading) -> None:
        """DynamoDB has answered, or failed to."""
        for key in reading.keys:
            there = self._readings[key]
            there.discard(reading)
            if not there:
                del self._readings[key]

    def begin_write(self, keys: Iterable[Hashable]) -> None:
        """DynamoDB is about to be told of these."""
        for key in keys:
            count, several = self._writing.get(key, (0, False))
            self._writing[key] = (count + 1, several or count > 0)

    def end_write(self, keys: Iterable[Hashable], *, changed: bool) -> set[Hashable]:
        """DynamoDB has answered; for which of them nobody else wrote meanwhile.

        Unless it has said that it `changed` nothing, what was remembered is forgotten.
        """
        alone: set[Hashable] = set()
        for key in keys:
            count, several = self._writing[key]
            if changed:
                self.drop(key)
                for reading in self._readings.get(key, ()):
                    reading.stale.add(key)
            if count > 1:
                self._writing[key] = (count - 1, True)
                continue
            del self._writing[key]
            if not several:
                alone.add(key)
        return alone
