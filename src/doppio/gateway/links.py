"""Links that were signed in advance, and when they have first come.

A client signs a link by the host's clock, and the link lasts in cloud time. How much of that has passed
since is told by the clock's own history (`Clock.end_of`), from the second that the link names. What it
names is not exact: a second is long beside a leap of cloud time, and links of Signature Version 2 name
only their end. One that has come was signed before, though: what cloud time leaps after that, counts.

Which have come is remembered here by this process alone, and some are forgotten: then a leap may count
too little.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

from doppio.kernel.clock import Clock
from doppio.wire.sigv2 import EndOf

REMEMBERED_MAX = 10_000
_all: WeakKeyDictionary[Clock, Links] = WeakKeyDictionary()


class Links:
    """The links that have come to a gateway, of those that count."""

    def __init__(self) -> None:
        # By signature, host and cloud seconds when it came first.
        self._came: dict[str, tuple[float, float]] = {}

    @staticmethod
    def of(clock: Clock) -> Links:
        """The links of the cloud that has this clock."""
        found = _all.get(clock)
        if found is None:
            found = _all[clock] = Links()
        return found

    def end_of(self, clock: Clock, signature: str) -> EndOf:
        """When that ends in cloud time which a link with this signature gives."""
        came = self._came.get(signature)

        def ends(end: float, since: float | None) -> float:
            by_name = clock.end_of(end, since)
            return by_name if came is None else min(by_name, came[1] + end - came[0])

        return ends

    def has_come(self, clock: Clock, signature: str) -> None:
        """Remember when a link that counts came first."""
        if signature not in self._came:
            if len(self._came) >= REMEMBERED_MAX:
                del self._came[next(iter(self._came))]
            self._came[signature] = (clock.host.seconds(), clock.seconds())
