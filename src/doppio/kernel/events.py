"""Facts: what happened, said in the commit in which it happened.

An event lands in the log `events` together with its cause. Readers follow with durable cursors:
each event reaches each subscriber at least once, in order; a subscriber that fails is asked again
and holds up only itself. An event carries a key to look at, and no decision may hang on more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

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

    def __init__(self, kernel: Kernel, context_for: Callable[[str, str], Context]) -> None:
        self._kernel = kernel
        self._context_for = context_for
        self._tasks: list[asyncio.Task[None]] = []
        self._rung: list[asyncio.Event] = []
        self._names: list[str] = []
        self._seen = 0
        # Nothing is forgotten before every subscriber there is has been named.
        self.complete = False

    def start(self) -> None:
        """Hear of news."""
        self._kernel.wakers.on("events", lambda _: self.ring())

    def follow(self, subscription: Subscription) -> None:
        """Follow the log for a subscription, from where it had come."""
        rung = asyncio.Event()
        rung.set()
        self._names.append(subscription.name)
        self._rung.append(rung)
        self._tasks.append(asyncio.create_task(self._follow(subscription, rung)))

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
        for rung in self._rung:
            rung.set()

    async def close(self) -> None:
        """Stop following; cursors stay where they are."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _follow(self, subscription: Subscription, rung: asyncio.Event) -> None:
        failures = 0
        while True:
            if failures == 0:
                await rung.wait()
            rung.clear()
            try:
                while await self._batch(subscription):
                    pass
                failures = 0
            except Conflict:
                rung.set()
            except Exception:
                failures += 1
                _log.exception("subscriber %s failed, again soon", subscription.name)
                await asyncio.sleep(min(0.05 * 2**failures, RETRY_SECONDS_MAX))

    async def _batch(self, subscription: Subscription) -> bool:
        context = self._context_for("", "")
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
                await self._move(context, subscription.name, position)
        if entries:
            await self._move(context, subscription.name, entries[-1][0])
            self._seen += len(entries)
            if self._seen >= TRIM_EVENTS and self.complete:
                self._seen = 0
                await self._trim(context)
        return len(entries) == EVENTS_A_READ

    async def _trim(self, context: Context) -> None:
        reader = context.read()
        cursors = [await reader.get(Cursor, name) for name in self._names]
        await self._kernel.store.trim_log(
            "events", min(cursor.position if cursor else 0 for cursor in cursors)
        )

    async def _move(self, context: Context, name: str, position: int) -> None:
        async with context.write() as tx:
            tx.put(Cursor(name=name, position=position))
