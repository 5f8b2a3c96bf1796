"""The timers of jobs: what sets a job going, and what its end sets going."""

from __future__ import annotations

from msgspec.structs import replace

from doppio.kernel.context import Tx
from doppio.services.s3control.limits import JOBS_KEPT, OPEN_JOBS_MAX
from doppio.services.s3control.records import OPEN, BatchJob

RUN = "s3control.run"
EXPIRE = "s3control.expire"
FORGET = "s3control.forget"


def key_of(job: BatchJob) -> str:
    """How a job is known to its timers."""
    return f"{job.account}/{job.id}"


async def go_on(tx: Tx, job: BatchJob) -> None:
    """Look at a job at once, also where it is being looked at: the timer is another one each time."""
    again = tx.context.new_id()
    await tx.schedule(tx.context.clock.now(), RUN, key_of(job), again=again)


async def wake_paused(tx: Tx, job: BatchJob) -> None:
    """Let jobs go on that had to wait for this one."""
    for one in await tx.find(OPEN, (job.scope,), limit=OPEN_JOBS_MAX):
        if one.status == "Paused":
            await go_on(tx, one)


async def over(tx: Tx, job: BatchJob, status: str) -> BatchJob:
    """A job that is over; it is remembered for ninety days."""
    now = tx.context.clock.now()
    await tx.unschedule(EXPIRE, key_of(job))
    await tx.schedule(now + JOBS_KEPT, FORGET, key_of(job))
    job = tx.put(replace(job, status=status, ended_at=now))
    await wake_paused(tx, job)
    return job
