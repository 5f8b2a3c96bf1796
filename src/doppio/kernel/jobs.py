"""Durable timers: a named job and its parameters, run when cloud time says so, at least once.

A job is known by (name, key): scheduling it again moves it. `name` is `service.what`, and the
service's list of jobs maps it to a coroutine. A job that fails is tried again with back-off, for
ever; one that succeeds is forgotten, unless it was scheduled anew meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from doppio.kernel.records import Index, record
from doppio.kernel.store import Conflict

if TYPE_CHECKING:
    from doppio.kernel.context import Context
    from doppio.kernel.kernel import Kernel

_log = logging.getLogger("doppio.jobs")
# One job that takes long does not keep the others from their time.
AT_ONCE_MAX = 32
RETRY_MAX = timedelta(minutes=5)

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
        self._running: dict[tuple[str, str], asyncio.Task[None]] = {}

    def start(self) -> None:
        """Begin; what came due while the cloud was off runs now."""
        self._kernel.wakers.on("jobs", lambda _: self._news.set())
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop; an interrupted job runs again at the next start."""
        tasks = [*self._running.values(), *([self._task] if self._task is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self) -> None:
        clock = self._kernel.clock
        while True:
            self._news.clear()
            now = clock.now()
            reader = self._context_for("", "").read()
            # What runs already is among them, so there is room for as many more.
            for job in await reader.find(DUE, until=now, limit=2 * AT_ONCE_MAX):
                if len(self._running) < AT_ONCE_MAX and (job.name, job.key) not in self._running:
                    self._begin(job)
            following = await reader.find(DUE, since=now + timedelta(microseconds=1), limit=1)
            cancel = clock.call_at(following[0].at, self._news.set) if following else None
            await self._news.wait()
            if cancel is not None:
                cancel()

    def _begin(self, job: Job) -> None:
        known = (job.name, job.key)

        def ended(task: asyncio.Task[None]) -> None:
            del self._running[known]
            self._news.set()

        self._running[known] = task = asyncio.create_task(self._one(job))
        task.add_done_callback(ended)

    async def _one(self, job: Job) -> None:
        context = self._context_for(job.account, job.region)
        handler = self._handler_of(job.name)
        if handler is None:
            _log.warning("no service knows job %s; it is kept", job_key(job.name, job.key))
            return await self._settle(context, job, failed=True)
        try:
            await handler(context, job)
        except Conflict:
            return None
        except Exception:
            _log.exception("job %s failed", job_key(job.name, job.key))
            return await self._settle(context, job, failed=True)
        return await self._settle(context, job, failed=False)

    async def _settle(self, context: Context, job: Job, *, failed: bool) -> None:
        async def settle(tx: Any) -> None:
            now = await tx.get(Job, job.name, job.key)
            if now != job:
                return
            if failed:
                failures = job.failures + 1
                wait = min(timedelta(seconds=2**failures), RETRY_MAX)
                at = self._kernel.clock.now() + wait
                tx.put(msgspec.structs.replace(job, failures=failures, at=at))
            else:
                tx.delete(job)

        await context.transact(settle)
