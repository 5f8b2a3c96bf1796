"""Token buckets: how much of a rate is left, with credit for what was not used.

Pure: the time comes as an argument. A bucket that nobody has drawn from is full, so to forget one is
to be generous for a while, and harms nobody.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from doppio.services.dynamodb.limits import KEYS_WATCHED_MAX, PEAK_SECONDS, PEAK_STANDS_SECONDS


class Limit(NamedTuple):
    """A rate in units a second, and for how many seconds of it credit is kept.

    `reason` is what AWS calls it in a ThrottlingReason.
    """

    reason: str
    rate: float
    seconds: float


class Bucket:
    """What is left of a limit. It may owe: what an answer weighs is known only behind it."""

    __slots__ = ("_at", "_left")

    def __init__(self) -> None:
        self._at = float("-inf")
        self._left = 0.0

    def left(self, now: float, limit: Limit) -> float:
        """Units that may be drawn at a time."""
        most = limit.rate * limit.seconds
        if self._at == float("-inf"):
            self._left = most
        elif now > self._at:
            self._left += (now - self._at) * limit.rate
        self._at = now
        self._left = min(self._left, most)
        return self._left

    def draw(self, now: float, limit: Limit, units: float) -> None:
        """Take units, also those that are not there."""
        self.left(now, limit)
        self._left -= units


class Peak:
    """The highest rate that was sustained for a minute; a new one counts after half an hour."""

    __slots__ = ("_begun", "_rising", "_since", "_used", "stands")

    def __init__(self) -> None:
        self.stands = 0.0
        self._begun = float("-inf")
        self._used = 0.0
        self._rising = 0.0
        self._since = 0.0

    def used(self, now: float, units: float) -> None:
        """Units that were consumed at a time."""
        self.at(now)
        self._used += units

    def at(self, now: float) -> float:
        """The peak that counts at a time."""
        if now - self._begun >= PEAK_SECONDS:
            rate = self._used / PEAK_SECONDS
            if rate > max(self.stands, self._rising):
                self._since = self._since if self._rising else self._begun
                self._rising = rate
            self._begun, self._used = now, 0.0
        if self._rising and now - self._since >= PEAK_STANDS_SECONDS:
            self.stands, self._rising = self._rising, 0.0
        return self.stands


class Flow:
    """One direction of one table or index: its buckets, and those of its busiest keys."""

    __slots__ = ("_buckets", "_keys", "peak")

    def __init__(self) -> None:
        self._buckets: defaultdict[str, Bucket] = defaultdict(Bucket)
        self._keys: OrderedDict[bytes, Bucket] = OrderedDict()
        self.peak = Peak()

    def exceeded(self, now: float, limits: Sequence[Limit], pending: float) -> list[str]:
        """The reasons for which nothing may be drawn, with so much about to be drawn."""
        return [
            limit.reason
            for limit in limits
            if self._buckets[limit.reason].left(now, limit) <= pending
        ]

    def key_exceeded(self, now: float, limit: Limit, key: bytes, pending: float) -> bool:
        """Whether nothing may be drawn for a key."""
        bucket = self._keys.get(key)
        left = limit.rate * limit.seconds if bucket is None else bucket.left(now, limit)
        return left <= pending

    def draw(
        self, now: float, limits: Sequence[Limit], of_key: Limit, units: float,
        keys: Iterable[tuple[bytes, float]],
    ) -> None:  # fmt: skip
        """Take units of a resource, and of keys of it."""
        for limit in limits:
            self._buckets[limit.reason].draw(now, limit, units)
        self.peak.used(now, units)
        for key, of_it in keys:
            bucket = self._keys.pop(key, None) or Bucket()
            bucket.draw(now, of_key, of_it)
            self._keys[key] = bucket
            if len(self._keys) > KEYS_WATCHED_MAX:
                self._keys.popitem(last=False)
