"""Controllers: long work as observe, plan, apply.

A controller is told keys, never events: what to do follows from the record and from what is
really there. At the start every key is looked at once, and again at each `resync`; a wake-up only
makes it sooner. One key is never reconciled twice at a time, also where several gateways share a
store: each has the keys of the parts that it leases (`kernel.leases`).
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import msgspec

from doppio.kernel.events import Event, Subscription
from doppio.kernel.keys import pack, unpack
from doppio.kernel.leases import Leases, part_of
from doppio.kernel.records import Table, table_of
from doppio.kernel.store import MISSED, Conflict

if TYPE_CHECKING:
    from doppio.kernel.context import Context
    from doppio.kernel.kernel import Kernel

T = TypeVar("T")
Key = tuple[Any, ...]

_log = logging.getLogger("doppio.controller")
KEYS_A_READ = 500
AT_ONCE_MAX = 32
RETRY_SECONDS_MAX = 60.0


class Again(msgspec.Struct, frozen=True):
    """Look at this key again at that cloud time."""

    at: datetime


class Controller(Generic[T]):
    """Base: name the record class and what says "look here", write `reconcile`.

    That are events, which the log keeps for every subscriber; or a family of wake-ups, which cost
    nothing: `tx.wake("family/key")` looks at the record of that one key once the commit is durable.
    `everywhere`: each gateway looks at every key, since the work is about what is in its process.
    """

    record: ClassVar[type[Any]]
    wakes_on: ClassVar[tuple[type[Event], ...]] = ()
    family: ClassVar[str] = ""
    keys_at_once: ClassVar[int] = AT_ONCE_MAX
    resync: ClassVar[timedelta | None] = None
    everywhere: ClassVar[bool] = False

    def where(self, row: T) -> tuple[str, str]:
        """Account and region in whose name a record is looked after."""
        return getattr(row, "account", ""), getattr(row, "region", "")

    async def reconcile(self, ctx: Context, key: Key) -> Again | None:
        """Bring what is there nearer to what the record wants. May be called at any time."""
        raise NotImplementedError


class ControllerRunner:
    """Gives one controller its keys."""

    def __init__(
        self,
        kernel: Kernel,
        controller: Controller[Any],
        context_for: Callable[[str, str], Context],
    ) -> None:
        self._kernel = kernel
        self._controller = controller
        self._context_for = context_for
        self._queue: asyncio.Queue[Key] = asyncio.Queue()
        self._queued: set[Key] = set()
        self._running: dict[Key, asyncio.Task[None]] = {}
        self._loop_task: asyncio.Task[None] | None = None
        self._room = asyncio.Semaphore(controller.keys_at_once)
        self._failures: dict[Key, int] = {}
        self._stale: set[Key] = set()
        self._timers: dict[Key, tuple[datetime, Callable[[], None]]] = {}
        self._resync: Callable[[], None] | None = None
        self._scanning: asyncio.Task[None] | None = None
        self._scan_again = False
        self._name = f"controller.{type(controller).__module__}.{type(controller).__name__}"
        self._parts = 1
        self._held: set[int] = set()

    def subscription(self) -> Subscription:
        """How the controller hears of keys."""
        return Subscription(self._name, self._controller.wakes_on, self._heard)

    def start(self, leases: Leases, service: str = "") -> None:
        """Begin with every key there is, of those that are this gateway's."""
        if self._controller.family:
            self._kernel.wakers.on(self._controller.family, self._rung)
        if self._kernel.store.shared:
            self._kernel.wakers.on(self._name, self._told)
        self._loop_task = asyncio.create_task(self._run())
        if self._controller.everywhere:
            self.begin(0)
        else:
            self._parts = leases.parts
            leases.add(f"{self._name}.keys", self, parts=self._parts, service=service)

    def begin(self, part: int) -> None:
        """Look after the keys of a part."""
        self._held.add(part)
        self._again()

    def end(self, part: int) -> None:
        """Leave the keys of a part to others; who looks at one now is cancelled."""
        self._held.discard(part)
        for key, task in self._running.items():
            if self._part(key) == part:
                task.cancel()

    def is_idle(self, part: int) -> bool:
        """Whether no key of a part is being looked at."""
        return not any(self._part(key) == part for key in self._running)

    def _part(self, key: Key) -> int:
        return part_of(pack(*key), self._parts) if self._parts > 1 else 0

    async def close(self) -> None:
        """Stop; whatever was half done is seen again at the next start."""
        others = [one for one in (self._loop_task, self._scanning) if one is not None]
        tasks = [*self._running.values(), *others]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def look(self, key: Key) -> None:
        """Reconcile this key soon."""
        if key not in self._queued and self._part(key) in self._held:
            self._queued.add(key)
            self._queue.put_nowait(key)

    async def _heard(self, ctx: Context, event: Event) -> None:
        if not self._kernel.store.shared:
            return self.look(event.key)
        # One gateway hears of it, and another may have the key: all are told.
        async with self._context_for("", "").write() as tx:
            tx.wake(f"{self._name}/{base64.b64encode(pack(*event.key)).decode()}")
        return None

    def _told(self, topic: str) -> None:
        if topic == MISSED:
            self._again()
        else:
            self.look(tuple(unpack(base64.b64decode(topic.partition("/")[2]))))

    def _rung(self, topic: str) -> None:
        if topic == MISSED:
            self._again()
        else:
            self.look((topic.partition("/")[2],))

    async def _run(self) -> None:
        while True:
            key = await self._queue.get()
            self._queued.discard(key)
            if key in self._running:
                # It is being looked at with older eyes: once more, when that is over.
                self._stale.add(key)
                continue
            await self._room.acquire()
            if self._part(key) not in self._held:
                self._room.release()
                continue
            self._running[key] = task = asyncio.create_task(self._one(key))
            task.add_done_callback(partial(self._ended, key))

    def _ended(self, key: Key, task: asyncio.Task[None]) -> None:
        del self._running[key]
        self._room.release()
        if key in self._stale:
            self._stale.discard(key)
            self.look(key)

    async def _one(self, key: Key) -> None:
        clock = self._kernel.clock
        try:
            row = await self._context_for("", "").read().get(self._controller.record, *key)
            account, region = self._controller.where(row) if row is not None else ("", "")
            again = await self._controller.reconcile(self._context_for(account, region), key)
            self._failures.pop(key, None)
            if again is not None:
                self._look_at(again.at, key)
        except Conflict:
            self.look(key)
        except Exception:
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            _log.exception("%s failed for %s, again soon", type(self._controller).__name__, key)
            seconds = min(0.05 * 2**failures, RETRY_SECONDS_MAX)
            clock.host.call_later(seconds, lambda: self.look(key))

    def _look_at(self, at: datetime, key: Key) -> None:
        """One timer a key: the soonest that was asked for."""
        known = self._timers.get(key)
        if known is not None:
            if known[0] <= at:
                return
            known[1]()

        def due() -> None:
            self._timers.pop(key, None)
            self.look(key)

        self._timers[key] = at, self._kernel.clock.call_at(at, due)

    async def _look_at_all(self) -> None:
        table: Table[Any] = table_of(self._controller.record)
        view = self._kernel.store.view()
        lo, hi = table.prefix, table.prefix + b"\xff"
        while rows := await view.scan(lo, hi, limit=KEYS_A_READ):
            for row_key, _ in rows:
                self.look(tuple(unpack(row_key)[1:]))
            lo = rows[-1][0] + b"\x00"
        if self._controller.resync is not None:
            if self._resync is not None:
                self._resync()
            at = self._kernel.clock.now() + self._controller.resync
            self._resync = self._kernel.clock.call_at(at, self._again)

    def _again(self) -> None:
        """Look at all keys, once more if somebody looks at them already."""
        self._scan_again = True
        if self._scanning is None or self._scanning.done():
            self._scanning = asyncio.create_task(self._scan())

    async def _scan(self) -> None:
        while self._scan_again:
            self._scan_again = False
            await self._look_at_all()
