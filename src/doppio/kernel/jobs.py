"""Durable timers: a named job and its parameters, run when cloud time says so, at least once.

A job is known by (name, key): scheduling it again moves it. `name` is `service.what`, and the
service's list of jobs maps it to a coroutine. A job that fails is tried again with back-off, for
ever; one that succeeds is forgotten, unless it was scheduled anew meanwhile. One that ran twice and is
due as before waits a moment of host time: so it is where a commit is lost again and again. What a disk
that has kept a part of a commit shows as due, and is not, does not run (`kernel.job_rows`). Of several gateways on a store, each runs the jobs of the parts that it
leases (`kernel.leases`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from doppio.kernel.job_rows import DUE, Job, Row, mend, next_after, until
from doppio.kernel.keys import pack
from doppio.kernel.leases import Leases, part_of
from doppio.kernel.store import Conflict, StoreError

if TYPE_CHECKING:
    from doppio.kernel.context import Context
    from doppio.kernel.kernel import Kernel

_log = logging.getLogger("doppio.jobs")
# One job that takes long does not keep the others from their time.
AT_ONCE_MAX = 32
RETRY_MAX = timedelta(minutes=5)
# A job that ran twice and is due as before waits so long, of host time: nobody is busy in vain.
PAUSE_SECONDS = 1.0

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
        while True:
            self._news.clear()
            now = self._kernel.clock.now()
            cancel: Callable[[], None] | None
            try:
                for job in await self._due(now):
                    known = (job.name, job.key)
                    is_free = not (known in self._running or known in self._pausing)
                    # While the others were looked for, its part may have gone to another gateway.
                    is_mine = self._part(known) in self._held
                    if len(self._running) < AT_ONCE_MAX and is_free and is_mine:
                        self._begin(job)
                at = await self._next(now)
                clock = self._kernel.clock
                cancel = None if at is None else clock.call_at(at, self._news.set)
            except (StoreError, Conflict) as error:
                _log.warning("jobs wait for the store: %s", error)
                cancel = self._kernel.clock.host.call_later(PAUSE_SECONDS, self._news.set)
            await self._news.wait()
            if cancel is not None:
                cancel()

    async def _due(self, now: datetime) -> list[Job]:
        """The first jobs that are due, of those that are this gateway's."""
        mine: list[Job] = []
        after: bytes | None = None
        # What runs already is among them, so there is room for as many more.
        while len(mine) < 2 * AT_ONCE_MAX and self._held:
            found = await until(self._kernel.store.view(), now, 2 * AT_ONCE_MAX, after)
            mine += [job for job in found.jobs if self._part((job.name, job.key)) in self._held]
            await self._mend(found.wrong)
            after = found.after
            if after is None:
                break
        return mine

    async def _next(self, now: datetime) -> datetime | None:
        """When the next job comes due."""
        found = await next_after(self._kernel.store.view(), now)
        await self._mend(found.wrong)
        return found.jobs[0].at if found.jobs else None

    async def _mend(self, wrong: Sequence[Row]) -> None:
        if wrong:
            await mend(self._context_for("", ""), wrong)
            self._news.set()

    def _begin(self, job: Job) -> None:
        known = (job.name, job.key)

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
            if error is None and task.result():
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


__all__ = ["DUE", "Job", "JobHandler", "JobRunner", "job_key"]
