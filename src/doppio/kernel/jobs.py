"""Durable timers: a named job and its parameters, run when cloud time says so, at least once.

A job is known by (name, key): scheduling it again moves it. `name` is `service.what`, and the
service's list of jobs maps it to a coroutine. A job that fails is tried again with back-off, for
ever; one that succeeds is forgotten, unless it was scheduled anew meanwhile. One that ran twice and is
due as before waits a moment of host time: so it is where a commit is lost again and again, or where
a disk has kept a part of one. Of several gateways on a store, each runs the jobs of the parts that it
leases (`kernel.leases`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from doppio.kernel.keys import pack
from doppio.kernel.leases import Leases, part_of
from doppio.kernel.records import Index, record, table_of
from doppio.kernel.store import Conflict

if TYPE_CHECKING:
    from doppio.kernel.context import Context, Reader
    from doppio.kernel.kernel import Kernel

_log = logging.getLogger("doppio.jobs")
# One job that takes long does not keep the others from their time.
AT_ONCE_MAX = 32
RETRY_MAX = timedelta(minutes=5)
# A job that ran twice and is due as before waits so long, of host time: nobody is busy in vain.
PAUSE_SECONDS = 1.0

DUE: Index[Job] = Index("due", ("at",))


@record("kernel.job", key=("name", "key"), indexes=(DUE,))
class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One timer."""

    name: str
    key: str
    at: datetime
    service: str
    account: str
    region: str
    arguments: dict[str, Any] = {}
    failures: int = 0


JobHandler = Callable[["Context", Job], Awaitable[None]]


def job_key(name: str, key: str) -> str:
    """How a job is named in logs."""
    return f"{name}({key})"


class JobRunner:
    """Runs what is due, the same job never twice at a time, and sleeps until the next is."""

    def __init__(
        self,
        kernel: Kernel,
        handler_of: Callable[[str], JobHandler | None],
        context_for: Callable[[str, str], Context],
    ) -> None:
        self._kernel = kernel
        self._handler_of = handler_of
        self._context_for = context_for
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._running: dict[tuple[str, str], asyncio.Task[bool]] = {}
        self._pausing: dict[tuple[str, str], Callable[[], None]] = {}
        self._in_vain: set[tuple[str, str]] = set()
        self._parts = 1
        self._held: set[int] = set()

    def start(self, leases: Leases) -> None:
        """Begin; what came due while the cloud was off runs now."""
        self._kernel.wakers.on("jobs", lambda _: self._news.set())
        self._task = asyncio.create_task(self._run())
        self._parts = leases.parts
        leases.add("jobs", self, parts=self._parts)

    def begin(self, part: int) -> None:
        """Run the jobs of a part."""
        self._held.add(part)
        self._news.set()

    def end(self, part: int) -> None:
        """Leave the jobs of a part to others; what runs is cancelled, and runs there."""
        self._held.discard(part)
        for known, task in self._running.items():
            if self._part(known) == part:
                task.cancel()

    def is_idle(self, part: int) -> bool:
        """Whether no job of a part runs."""
        return not any(self._part(known) == part for known in self._running)

    def _part(self, known: tuple[str, str]) -> int:
        return part_of(pack(*known), self._parts) if self._parts > 1 else 0

    async def close(self) -> None:
        """Stop; an interrupted job runs again at the next start."""
        tasks = [*self._running.values(), *([self._task] if self._task is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for cancel in self._pausing.values():
            cancel()

    async def _run(self) -> None:
        clock = self._kernel.clock
        while True:
            self._news.clear()
            now = clock.now()
            reader = self._context_for("", "").read()
            for job in await self._due(reader, now):
                known = (job.name, job.key)
                if len(self._running) < AT_ONCE_MAX and not (
                    known in self._running or known in self._pausing
                ):
                    self._begin(job)
            following = await reader.find(DUE, since=now + timedelta(microseconds=1), limit=1)
            cancel = self._ring_at(following[0].at, now) if following else None
            await self._news.wait()
            if cancel is not None:
                cancel()

    async def _due(self, reader: Reader, now: datetime) -> list[Job]:
        """The first jobs that are due, of those that are this gateway's."""
        if not self._held:
            return []
        # What runs already is among them, so there is room for as many more.
        found = await reader.find(DUE, until=now, limit=2 * AT_ONCE_MAX)
        if len(self._held) == self._parts:
            return found
        mine: list[Job] = []
        while found:
            mine += [job for job in found if self._part((job.name, job.key)) in self._held]
            if len(found) < 2 * AT_ONCE_MAX or len(mine) >= 2 * AT_ONCE_MAX:
                break
            after = DUE.row_key(found[-1], table_of(Job).key(found[-1]))
            found = await reader.find(DUE, until=now, after=after, limit=2 * AT_ONCE_MAX)
        return mine

    def _ring_at(self, at: datetime, now: datetime) -> Callable[[], None]:
        if at > now:
            return self._kernel.clock.call_at(at, self._news.set)
        # Its index says later than its row does: a disk has broken its promise.
        return self._kernel.clock.host.call_later(PAUSE_SECONDS, self._news.set)

    def _begin(self, job: Job) -> None:
        known = (job.name, job.key)
        # A disk that has kept an index row and not its record shows as due what is not.
        is_due = job.at <= self._kernel.clock.now()

        def rested() -> None:
            del self._pausing[known]
            self._news.set()

        def ended(task: asyncio.Task[bool]) -> None:
            del self._running[known]
            if task.cancelled():
                return
            error = task.exception()
            if error is not None:
                _log.error("what became of job %s is not kept: %r", job_key(*known), error)
            if is_due and error is None and task.result():
                self._in_vain.discard(known)
                self._news.set()
            elif known not in self._in_vain:
                self._in_vain.add(known)
                self._news.set()
            else:
                host = self._kernel.clock.host
                self._pausing[known] = host.call_later(PAUSE_SECONDS, rested)

        self._running[known] = task = asyncio.create_task(self._one(job))
        task.add_done_callback(ended)

    async def _one(self, job: Job) -> bool:
        """Run a job; whether it is another one, or none, after that."""
        context = self._context_for(job.account, job.region)
        handler = self._handler_of(job.name)
        if handler is None:
            _log.warning("no service knows job %s; it is kept", job_key(job.name, job.key))
            return await self._settle(context, job, failed=True)
        try:
            await handler(context, job)
        except Conflict:
            return False
        except Exception:
            _log.exception("job %s failed", job_key(job.name, job.key))
            return await self._settle(context, job, failed=True)
        return await self._settle(context, job, failed=False)

    async def _settle(self, context: Context, job: Job, *, failed: bool) -> bool:
        async def settle(tx: Any) -> bool:
            now = await tx.get(Job, job.name, job.key)
            if now != job:
                return True
            if failed:
                failures = job.failures + 1
                wait = min(timedelta(seconds=2**failures), RETRY_MAX)
                at = self._kernel.clock.now() + wait
                tx.put(msgspec.structs.replace(job, failures=failures, at=at))
            else:
                tx.delete(job)
            return True

        return await context.transact(settle)
