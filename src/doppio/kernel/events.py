"""Facts: what happened, said in the commit in which it happened.

An event lands in the log `events` together with its cause. Readers follow with durable cursors:
each event reaches each subscriber at least once, in order; a subscriber that fails is asked again
and holds up only itself. Of several gateways on a store, one at a time follows for a subscriber. An event carries a key to look at, and no decision may hang on more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from doppio.kernel.leases import Leases
from doppio.kernel.records import record
from doppio.kernel.store import Conflict

if TYPE_CHECKING:
    from doppio.kernel.context import Context
    from doppio.kernel.kernel import Kernel

_log = logging.getLogger("doppio.events")
EVENTS_A_READ = 256
# What every subscriber has seen is forgotten each time one of them has seen so many more.
TRIM_EVENTS = 8_192
RETRY_SECONDS_MAX = 60.0


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all facts: a subclass says what happened, `key` what to look at."""

    key: tuple[str, ...]

    TYPES: ClassVar[dict[str, type[Event]]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        Event.TYPES[f"{cls.__module__}.{cls.__name__}"] = cls


class Happened(msgspec.Struct, frozen=True, array_like=True):
    """An event as logged, with where and when."""

    type: str
    account: str
    region: str
    at: datetime
    request_id: str
    event: msgspec.Raw


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Happened).decode


def encode_event(event: Event, context: Context) -> bytes:
    """The log entry of an event."""
    kind = type(event)
    return _encode(
        Happened(
            f"{kind.__module__}.{kind.__name__}", context.account, context.region, context.now,
            context.request_id, msgspec.Raw(_encode(event)),
        )
    )  # fmt: skip


Handler = Callable[["Context", Event], Awaitable[None]]


@record("kernel.cursor", key=("name",))
class Cursor(msgspec.Struct, frozen=True, kw_only=True):
    """How far a subscriber has read the log of events."""

    name: str
    position: int


class Subscription:
    """One subscriber: its name (of the durable cursor), the types it wants, its handler."""

    def __init__(self, name: str, types: tuple[type[Event], ...], handler: Handler) -> None:
        self.name = name
        self.types = {f"{kind.__module__}.{kind.__name__}": kind for kind in types}
        self.handler = handler


class Dispatcher:
    """Takes every event to every subscriber."""

    def __init__(
        self, kernel: Kernel, context_for: Callable[[str, str], Context], leases: Leases
    ) -> None:
        self._kernel = kernel
        self._context_for = context_for
        self._leases = leases
        self._followers: list[_Follower] = []
        self._seen = 0
        # Nothing is forgotten before every subscriber there is has been named.
        self.complete = False

    def start(self) -> None:
        """Hear of news."""
        self._kernel.wakers.on("events", lambda _: self.ring())

    def follow(self, subscription: Subscription, service: str = "") -> None:
        """Follow the log for a subscription of a service, from where it had come."""
        follower = _Follower(self._kernel, self._context_for, subscription, self._has_seen)
        self._followers.append(follower)
        self._leases.add(subscription.name, follower, service=service)

    async def kinds(self) -> set[str]:
        """The types of all events in the log."""
        view, position = self._kernel.store.view(), 0
        found: set[str] = set()
        while entries := await view.log("events", position, limit=EVENTS_A_READ):
            position = entries[-1][0]
            found.update(_decode(entry).type for _, entry in entries)
        return found

    def ring(self) -> None:
        """There may be news."""
        for follower in self._followers:
            follower.rung.set()

    async def close(self) -> None:
        """Stop following; cursors stay where they are."""
        await asyncio.gather(*(follower.close() for follower in self._followers))

    async def _has_seen(self, events: int) -> None:
        self._seen += events
        # What another gateway has a subscriber for is not forgotten either.
        if self._seen >= TRIM_EVENTS and self.complete and await self._leases.knows_all():
            self._seen = 0
            await self._trim()

    async def _trim(self) -> None:
        reader = self._context_for("", "").read()
        cursors = [await reader.get(Cursor, one.subscription.name) for one in self._followers]
        await self._kernel.store.trim_log(
            "events", min(cursor.position if cursor else 0 for cursor in cursors)
        )


class _Follower:
    """Follows the log for one subscription, while this gateway has the lease of it."""

    def __init__(
        self,
        kernel: Kernel,
        context_for: Callable[[str, str], Context],
        subscription: Subscription,
        has_seen: Callable[[int], Awaitable[None]],
    ) -> None:
        self._kernel = kernel
        self._context_for = context_for
        self.subscription = subscription
        self._has_seen = has_seen
        self.rung = asyncio.Event()
        self._rests = False
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self, part: int) -> None:
        """Follow, from where the cursor is."""
        self.rung.set()
        self._tasks = [one for one in self._tasks if not one.done()]
        self._tasks.append(asyncio.create_task(self._follow()))

    def end(self, part: int) -> None:
        """Leave it to another."""
        for task in self._tasks:
            task.cancel()

    def is_idle(self, part: int) -> bool:
        """Whether there is nothing that is not done."""
        return self._rests and not self.rung.is_set()

    async def close(self) -> None:
        """Stop; returns when it has."""
        self.end(0)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _follow(self) -> None:
        failures = 0
        while True:
            if failures == 0:
                self._rests = True
                await self.rung.wait()
                self._rests = False
            self.rung.clear()
            try:
                while await self._batch():
                    pass
                failures = 0
            except Conflict:
                self.rung.set()
            except Exception:
                failures += 1
                _log.exception("subscriber %s failed, again soon", self.subscription.name)
                await asyncio.sleep(min(0.05 * 2**failures, RETRY_SECONDS_MAX))

    async def _batch(self) -> bool:
        context, subscription = self._context_for("", ""), self.subscription
        cursor = await context.read().get(Cursor, subscription.name)
        position = cursor.position if cursor else 0
        entries = await self._kernel.store.view().log("events", position, limit=EVENTS_A_READ)
        for position, entry in entries:
            happened = _decode(entry)
            kind = subscription.types.get(happened.type)
            if kind is not None:
                event = msgspec.msgpack.decode(happened.event, type=kind)
                await subscription.handler(
                    self._context_for(happened.account, happened.region), event
                )
                await self._move(context, position)
        if entries:
            await self._move(context, entries[-1][0])
            await self._has_seen(len(entries))
        return len(entries) == EVENTS_A_READ

    async def _move(self, context: Context, position: int) -> None:
        async with context.write() as tx:
            if self._kernel.store.shared:
                # Who was taken for gone, and was only slow, moves nobody back.
                there = await tx.get(Cursor, self.subscription.name)
                if there is not None and there.position >= position:
                    return
            tx.put(Cursor(name=self.subscription.name, position=position))
