"""Wake-ups: who waits for a topic is woken once something has become durable there.

A wake-up is only a hint: whoever is woken looks again. A ticket is drawn *before* looking, so that
no change slips between looking and waiting; drawing costs a number and nothing has to be given
back. Topics come from `tx.wake(topic)`, after the commit, from every process on the store.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime

from doppio.kernel.clock import Clock
from doppio.kernel.store import MISSED

# So many topics are remembered with the number of their last ring; who holds a ticket from before
# the forgotten ones is woken once too often, never once too seldom.
REMEMBERED_TOPICS_MAX = 100_000


class Ticket:
    """The right to be woken by the next ring of a topic after the drawing."""

    __slots__ = ("_drawn", "_topic", "_wakers")

    def __init__(self, wakers: Wakers, topic: str, drawn: int) -> None:
        self._wakers = wakers
        self._topic = topic
        self._drawn = drawn

    @property
    def rung(self) -> bool:
        """Whether the topic has rung since the drawing, or may have."""
        return self._wakers.rung_since(self._topic, self._drawn)

    async def wait(self, clock: Clock, until: datetime) -> None:
        """Return when the topic has rung since the drawing, or cloud time reaches `until`."""
        if self._wakers.rung_since(self._topic, self._drawn):
            return
        future = self._wakers.register(self._topic)
        cancel = clock.call_at(until, lambda: _resolve(future))
        try:
            await future
        finally:
            cancel()
            self._wakers.unregister(self._topic, future)


class Wakers:
    """All who wait in this process, by topic; and standing listeners by family of topics."""

    def __init__(self) -> None:
        self._rings = 0
        self._last_ring: dict[str, int] = {}
        self._forgotten = 0
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self._listeners: defaultdict[str, list[Callable[[str], None]]] = defaultdict(list)

    def ticket(self, topic: str) -> Ticket:
        """Draw a ticket for the next ring of `topic`."""
        return Ticket(self, topic, self._rings)

    def on(self, family: str, heard: Callable[[str], None]) -> None:
        """Call `heard(topic)` at each ring of the topic `family` or of any `family/...`.

        And `heard(MISSED)` when some may have been missed.
        """
        self._listeners[family].append(heard)

    def ring(self, topic: str) -> None:
        """Wake all who wait for `topic`; the store calls it after a durable commit."""
        if topic == MISSED:
            return self._ring_everything()
        self._rings += 1
        last = self._last_ring
        last.pop(topic, None)
        last[topic] = self._rings
        if len(last) > REMEMBERED_TOPICS_MAX:
            self._forgotten = last.pop(next(iter(last)))
        for future in self._waiting.pop(topic, ()):
            _resolve(future)
        for heard in self._listeners.get(topic.partition("/")[0], ()):
            heard(topic)
        return None

    def _ring_everything(self) -> None:
        # Which topics were missed nobody knows: each may have rung, and every listener is told so.
        self._rings += 1
        self._forgotten = self._rings
        self._last_ring.clear()
        for futures in list(self._waiting.values()):
            for future in futures:
                _resolve(future)
        self._waiting.clear()
        for listeners in list(self._listeners.values()):
            for heard in listeners:
                heard(MISSED)

    def ring_all(self) -> None:
        """Wake everybody, for a closing cloud."""
        for topic in list(self._waiting):
            self.ring(topic)

    def rung_since(self, topic: str, drawn: int) -> bool:
        """Whether `topic` rang, or may have rung, after ring number `drawn`."""
        return drawn < self._last_ring.get(topic, 0) or drawn < self._forgotten

    def register(self, topic: str) -> asyncio.Future[None]:
        """A future that the next ring of `topic` resolves."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(topic, set()).add(future)
        return future

    def unregister(self, topic: str, future: asyncio.Future[None]) -> None:
        """Forget a future of `register`."""
        waiting = self._waiting.get(topic)
        if waiting is not None:
            waiting.discard(future)
            if not waiting:
                del self._waiting[topic]


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
