"""Who hears of a topic: read once, and again when a subscription of it has changed.

Each message needs all of them, and they change seldom. What is known here is as durable as a
reader's view; the commit that changes a subscription rings for its topic, in every process.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from doppio.kernel.context import Context
from doppio.kernel.records import table_of
from doppio.kernel.wakers import Ticket
from doppio.services.sns import limits
from doppio.services.sns.records import Subscription

# So many subscriptions are remembered, of all topics; one is less than a kilobyte, mostly.
REMEMBERED_MAX = 20_000
_TABLE = table_of(Subscription)


class _Known:
    """What one cloud remembers: subscribers by topic, with the tickets that tell of changes."""

    __slots__ = ("count", "topics")

    def __init__(self) -> None:
        self.topics: dict[str, tuple[Ticket, list[Subscription]]] = {}
        self.count = 0

    def keep(self, topic: str, ticket: Ticket, found: list[Subscription]) -> None:
        old = self.topics.pop(topic, None)
        if old is not None:
            self.count -= 1 + len(old[1])
        if self.count + 1 + len(found) > REMEMBERED_MAX:
            self.topics.clear()
            self.count = 0
        self.topics[topic] = (ticket, found)
        # A topic that nobody hears of takes room, too.
        self.count += 1 + len(found)


class Subscribers:
    """The subscriptions of topics."""

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[Any, _Known] = WeakKeyDictionary()

    async def page(self, ctx: Context, topic: str, after: bytes | None) -> list[Subscription]:
        """Subscriptions of a topic in order, `SUBSCRIPTIONS_A_READ` of them or the last ones."""
        known = self._known.get(ctx.kernel)
        if known is None:
            known = self._known[ctx.kernel] = _Known()
        if after is None:
            held = known.topics.get(topic)
            if held is not None and not held[0].rung:
                return held[1]
        # Drawn before looking: what changes meanwhile is read again.
        ticket = ctx.ticket(_TABLE.ringing(topic))
        found = await ctx.read().list(
            Subscription, (topic,), after=after, limit=limits.SUBSCRIPTIONS_A_READ
        )
        if after is None and len(found) < limits.SUBSCRIPTIONS_A_READ:
            known.keep(topic, ticket, found)
        return found
