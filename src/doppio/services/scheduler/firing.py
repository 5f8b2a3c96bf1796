"""A schedule comes due: an execution is made, and tried until it ends.

The commit that makes an execution sets the schedule's next timer, so each time is executed once,
and a crash in between repeats nothing. A call may be made twice if the cloud dies between the call
and the commit that forgets it, as AWS says: at least once.
"""

from __future__ import annotations

from datetime import timedelta

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.kernel.jobs import Job
from doppio.services.scheduler import limits, measures
from doppio.services.scheduler.counting import count
from doppio.services.scheduler.definition import next_due, retry_at
from doppio.services.scheduler.measures import count_of
from doppio.services.scheduler.records import Execution, Schedule
from doppio.services.scheduler.targets import bury, invoke, is_throttled, may_come_again
from doppio.wire.errors import AwsError

FIRE = "scheduler.fire"
DELIVER = "scheduler.deliver"
_MOMENT = timedelta(microseconds=1)


def key_of(arn: str) -> tuple[str, str, str, str]:
    """Account, Region, group and name of a schedule's ARN."""
    parts = arn.split(":", 5)
    _, group, name = parts[5].split("/")
    return parts[4], parts[3], group, name


async def set_timer(tx: Tx, schedule: Schedule) -> None:
    """Wait for a schedule's first time, or for none where it is off or over."""
    due = next_due(schedule, schedule.begins_at - _MOMENT) if schedule.enabled else None
    if due is None:
        await tx.unschedule(FIRE, schedule.arn)
    else:
        await tx.schedule(due, FIRE, schedule.arn, revision=schedule.revision)


async def fire(ctx: Context, job: Job) -> None:
    """Make the execution of a time that has come, and wait for the next."""

    async def due(tx: Tx) -> None:
        schedule = await tx.get(Schedule, *key_of(job.key))
        if schedule is None or schedule.revision != job.arguments["revision"]:
            return
        if schedule.fired_at is not None and schedule.fired_at >= job.at:
            return
        # What should have been before the greatest age of an event is not made up for.
        age = (schedule.given["Target"].get("RetryPolicy") or {}).get("MaximumEventAgeInSeconds")
        most = limits.EVENT_AGE_DEFAULT if age is None else timedelta(seconds=age)
        following = next_due(schedule, max(job.at, ctx.clock.now() - most))
        window = schedule.given["FlexibleTimeWindow"].get("MaximumWindowInMinutes", 0)
        deletes = schedule.given.get("ActionAfterCompletion") == "DELETE"
        execution = tx.add(
            Execution(
                id=ctx.new_id(),
                schedule=(schedule.account, schedule.region, schedule.group, schedule.name),
                revision=schedule.revision,
                arn=schedule.arn,
                group_arn=schedule.group_arn,
                target=schedule.given["Target"],
                due_at=job.at,
                last=following is None and deletes,
            )
        )
        at = job.at + timedelta(minutes=window) * ctx.random()
        await tx.schedule(at, DELIVER, execution.id)
        tx.put(replace(schedule, fired_at=job.at))
        if following is not None:
            await tx.schedule(following, FIRE, schedule.arn, revision=schedule.revision)

    await ctx.transact(due)


async def deliver(ctx: Context, job: Job) -> None:
    """Try an execution once, and say what comes of it."""
    execution = await ctx.read().get(Execution, job.key)
    if execution is None:
        return
    count_of(ctx, measures.ATTEMPTS, execution)
    try:
        await invoke(ctx, execution)
    except AwsError as error:
        throttled = is_throttled(error)
        count_of(ctx, measures.THROTTLED if throttled else measures.ERRORS, execution)
        tried = replace(execution, attempts=execution.attempts + 1)
        at, exhausted = retry_at(tried, ctx.clock.now()) if may_come_again(error) else (None, "")
        if at is not None:
            when = at

            async def again(tx: Tx) -> None:
                tx.put(tried)
                await tx.schedule(when, DELIVER, tried.id)

            await ctx.transact(again)
            return
        ctx.read().meter("InvocationsFailed")
        count_of(ctx, measures.DROPPED, execution)
        try:
            if await bury(ctx, tried, error, exhausted):
                count_of(ctx, measures.SENT_TO_DLQ, execution)
        except AwsError:
            ctx.read().meter("InvocationsFailedToBeSentToDeadLetter")
            count_of(ctx, measures.NOT_SENT_TO_DLQ, execution)
    ctx.read().meter("ScheduledInvocations")
    await _ended(ctx, execution)


async def _ended(ctx: Context, execution: Execution) -> None:
    async def end(tx: Tx) -> None:
        tx.delete(execution)
        if not execution.last:
            return
        schedule = await tx.get(Schedule, *execution.schedule)
        if schedule is not None and schedule.revision == execution.revision:
            tx.delete(schedule)
            count(tx, schedule.account, schedule.region, -1)

    await ctx.transact(end)
