"""How a job goes on: prepared, confirmed, carried out, reported. A durable timer does it.

What is done of it is committed every fifty tasks, together with what came of them, so a crash repeats
at most those; each of a job's operations may be done twice. Whether the job may go on is looked at
in the same commit: one that was cancelled ends there, one that is outranked waits.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.kernel.jobs import Job, JobHandler
from doppio.services.s3control import reports
from doppio.services.s3control.functions import INVOKE
from doppio.services.s3control.job_rules import dated
from doppio.services.s3control.limits import (
    FUNCTIONS_AT_ONCE,
    ROWS_A_STEP,
    TASK_TRIES_MAX,
    TASKS_A_STEP,
    TASKS_BEFORE_FAILING,
)
from doppio.services.s3control.planning import (
    Failed,
    Stopped,
    acting_for,
    change,
    is_passing,
    prepare,
)
from doppio.services.s3control.records import (
    ENDS,
    OPEN,
    OVER,
    PREPARES,
    RUNS,
    BatchJob,
    Outcome,
    Task,
    Token,
)
from doppio.services.s3control.tasks import perform
from doppio.services.s3control.timers import EXPIRE, FORGET, RUN, key_of, over, wake_paused
from doppio.wire import model
from doppio.wire.errors import AwsError
from doppio.wire.faults import resolve

_log = logging.getLogger("doppio.s3control.running")


def jobs() -> dict[str, JobHandler]:
    """The handlers by the names under which they are scheduled."""
    return {RUN: run, FORGET: forget, EXPIRE: expire}


async def run(ctx: Context, timer: Job) -> None:
    """Take a job as far as it goes."""
    job = await _job(ctx, timer)
    if job is None or job.status == "Suspended":
        return
    try:
        if job.status in PREPARES:
            job = await prepare(ctx, job)
        if job.status in RUNS:
            job = await _carry_out(ctx, job)
    except Failed as failed:
        job = await _fail(ctx, job, failed)
    except Stopped:
        return
    if job.status in ENDS:
        await _finish(ctx, job)
    if job.status in ENDS or job.status in OVER:
        await _drop(ctx, job)


async def _job(ctx: Context, timer: Job) -> BatchJob | None:
    account, _, name = timer.key.partition("/")
    return await ctx.read().get(BatchJob, account, name)


async def _carry_out(ctx: Context, job: BatchJob) -> BatchJob:
    while True:
        job = await _take_turn(ctx, job)
        tasks = await ctx.read().list(Task, (job.id,), limit=TASKS_A_STEP)
        if not tasks:
            return await change(ctx, job, RUNS, lambda now: replace(now, status="Completing"))
        begun = ctx.clock.now()
        # The role's session does not last for ever, and its policies may have changed.
        acting = await acting_for(ctx, job)
        operation = dated(job.request["Operation"])
        found: list[Outcome | Task | BaseException] = []
        at_once = FUNCTIONS_AT_ONCE if INVOKE in operation else TASKS_A_STEP
        for first in range(0, len(tasks), at_once):
            part = (_do(acting, operation, task) for task in tasks[first : first + at_once])
            found += await asyncio.gather(*part, return_exceptions=True)
        for one in found:
            if isinstance(one, BaseException):
                raise one
        job = await _count(ctx, job, [one for one in found if isinstance(one, Outcome)], begun)
        waits = [one for one in found if isinstance(one, Task)]
        if waits:
            await _try_later(ctx, job, waits)
        _check_failures(job)


async def _do(acting: Context, operation: dict[str, object], task: Task) -> Outcome | Task:
    """Do a task: its outcome, or the task once more where it can be tried again."""
    known = (task.job, task.number, task.bucket, task.key, task.version)
    try:
        said = await perform(acting, operation, task)
    except AwsError as error:
        if is_passing(error) and task.tries + 1 < TASK_TRIES_MAX:
            return replace(task, tries=task.tries + 1)
        # As S3 says it to its clients.
        fault = resolve(model.load("s3"), None, error, "rest-xml")
        return Outcome(*known, fault.code, fault.status, fault.message)
    return Outcome(*known, message=said)


def _check_failures(job: BatchJob) -> None:
    tried = job.succeeded + job.failed
    if tried >= TASKS_BEFORE_FAILING and job.failed * 2 > tried:
        raise Failed(
            "JobFailureThresholdExceeded", "More than half of the job's tasks have failed."
        )


async def _count(ctx: Context, job: BatchJob, outcomes: list[Outcome], begun: datetime) -> BatchJob:
    """Commit what was done, also of a job that is to end. A task that was counted is none any more."""
    report = job.request["Report"]
    all_tasks = report.get("ReportScope") == "AllTasks"

    async def commit(tx: Tx) -> BatchJob:
        now = await tx.get(BatchJob, job.account, job.id)
        if now is None or now.status in OVER:
            raise Stopped
        for one in outcomes:
            tx.delete(Task(one.job, one.number, one.bucket, one.key, one.version))
            if report["Enabled"] and (one.error or all_tasks):
                tx.put(one)
        bad = sum(bool(one.error) for one in outcomes)
        tx.meter("BatchOperations-Objects", len(outcomes))
        return tx.put(
            replace(
                now,
                failed=now.failed + bad,
                succeeded=now.succeeded + len(outcomes) - bad,
                seconds=now.seconds + (ctx.clock.now() - begun).total_seconds(),
            )
        )

    counted = await ctx.transact(commit)
    if counted.status not in RUNS:
        raise Stopped
    return counted


async def _try_later(ctx: Context, job: BatchJob, waits: list[Task]) -> None:
    """What S3 could not do for the moment is tried again, and the job waits for it."""
    wait = timedelta(seconds=2 ** max(one.tries for one in waits))

    async def commit(tx: Tx) -> None:
        for one in waits:
            if await tx.get(Task, one.job, one.number) is not None:
                tx.put(one)
        again = tx.context.new_id()
        await tx.schedule(ctx.clock.now() + wait, RUN, key_of(job), again=again)

    await ctx.transact(commit)
    raise Stopped


async def _take_turn(ctx: Context, job: BatchJob) -> BatchJob:
    """Go on, unless there is a job of a higher priority: its end wakes this one."""

    async def commit(tx: Tx) -> BatchJob:
        now = await tx.get(BatchJob, job.account, job.id)
        if now is None or now.status not in RUNS:
            raise Stopped
        [first] = await tx.find(OPEN, (now.scope,), limit=1)
        status = "Paused" if first.priority > now.priority else "Active"
        return now if now.status == status else tx.put(replace(now, status=status))

    found = await ctx.transact(commit)
    if found.status == "Paused":
        raise Stopped
    return found


async def _fail(ctx: Context, job: BatchJob, failed: Failed) -> BatchJob:
    told = {"FailureCode": failed.code, "FailureReason": failed.message[:256]}

    async def commit(tx: Tx) -> BatchJob:
        now = await tx.get(BatchJob, job.account, job.id)
        if now is None or now.status in ENDS or now.status in OVER:
            return now or job
        failures = [*now.failures, told]
        found = tx.put(replace(now, status="Failing", failures=failures))
        await wake_paused(tx, found)
        return found

    return await ctx.transact(commit)


async def _finish(ctx: Context, job: BatchJob) -> None:
    """Write the report of what was tried, and let the job be over."""
    end = ENDS[job.status]
    if job.request["Report"]["Enabled"] and job.succeeded + job.failed and not job.reported:
        failure = await _report(ctx, job)
        if failure is not None:
            job = replace(job, failures=[*job.failures, failure])
            end = "Failed" if end == "Complete" else end
    failures = job.failures

    async def commit(tx: Tx) -> None:
        now = await tx.get(BatchJob, job.account, job.id)
        if now is not None and now.status in ENDS:
            await over(tx, replace(now, failures=failures, reported=True), end)

    await ctx.transact(commit)


async def _report(ctx: Context, job: BatchJob) -> dict[str, str] | None:
    """Write the report; why it could not be, where it could not."""
    try:
        await reports.write(ctx, await acting_for(ctx, job), job)
    except Failed as error:
        return {"FailureCode": error.code, "FailureReason": error.message[:256]}
    except AwsError as error:
        if is_passing(error):
            raise
        return {"FailureCode": "JobReportFailed", "FailureReason": error.message[:256]}
    return None


async def _drop(ctx: Context, job: BatchJob) -> None:
    """Forget what is left of a job's tasks, and what came of them."""
    for kind in (Task, Outcome):
        while rows := await ctx.read().list(kind, (job.id,), limit=ROWS_A_STEP):
            async with ctx.write() as tx:
                for row in rows:
                    tx.delete(row)


async def expire(ctx: Context, timer: Job) -> None:
    """End a job that nobody has confirmed."""
    job = await _job(ctx, timer)
    if job is None:
        return
    told = {
        "FailureCode": "JobNotConfirmed",
        "FailureReason": "The job was not confirmed within 30 days.",
    }

    async def commit(tx: Tx) -> bool:
        now = await tx.get(BatchJob, job.account, job.id)
        if now is None or now.status != "Suspended":
            return False
        await over(tx, replace(now, failures=[*now.failures, told]), "Failed")
        return True

    if await ctx.transact(commit):
        await _drop(ctx, job)


async def forget(ctx: Context, timer: Job) -> None:
    """Forget a job that is long over."""
    account, _, name = timer.key.partition("/")
    async with ctx.write() as tx:
        job = await tx.get(BatchJob, account, name)
        if job is not None:
            tx.delete(job)
            tx.delete(Token(account=account, region=job.region, token=job.token))
