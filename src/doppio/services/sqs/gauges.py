"""What queues hold, told to CloudWatch each minute: for queues with messages, and for those that
were used in the last hours, as AWS does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.jobs import Job
from doppio.services.sqs.access import by_arn
from doppio.services.sqs.counting import hidden, total
from doppio.services.sqs.measures import NAMESPACE
from doppio.services.sqs.records import FifoMessage, Message, Queue, queue_arn

SAMPLE = "sqs.sample"
EVERY = timedelta(minutes=1)
# AWS tells of an empty queue until it was not used for six hours.
QUIET_SAMPLES = 360
# Use is noted again only after so many, so that a busy queue's timer is not written all the time.
QUIET_NOTED = 60
# The oldest message is looked for among so many of the first.
LOOKED_AT = 200
# What was received so often and is still here does not count as the oldest.
POISON_RECEIVES = 3


async def sampling(ctx: Context, names: tuple[str, ...]) -> None:
    """A queue was used: see to it that it is looked at."""
    arn = queue_arn(ctx.account, ctx.region, names[0])
    job = await ctx.read().get(Job, SAMPLE, arn)
    if job is not None and job.arguments.get("quiet", 0) < QUIET_NOTED:
        return

    async def schedule(tx: Tx) -> None:
        await tx.schedule(_next(ctx.clock.now()), SAMPLE, arn, quiet=0)

    await ctx.transact(schedule)


async def sample_job(ctx: Context, job: Job) -> None:
    """Tell what a queue holds, and come again in a minute."""
    reader = ctx.read()
    queue = await by_arn(reader, job.key)
    if queue is None:
        return
    held = await total(reader, queue)
    await ctx.as_service("sqs").call(
        "cloudwatch",
        "put_metric_data",
        {"Namespace": NAMESPACE, "MetricData": await _data(reader, queue, held)},
    )
    quiet = 0 if held else int(job.arguments.get("quiet", 0)) + 1
    if quiet > QUIET_SAMPLES:
        return

    async def again(tx: Tx) -> None:
        if await tx.get(Job, SAMPLE, job.key) == job:
            await tx.schedule(_next(ctx.clock.now()), SAMPLE, job.key, quiet=quiet)

    await ctx.transact(again)


def _next(now: datetime) -> datetime:
    return datetime.fromtimestamp((int(now.timestamp()) // 60 + 1) * 60, UTC)


async def _data(reader: Reader, queue: Queue, held: int) -> list[dict[str, Any]]:
    now = reader.context.clock.now()
    in_flight, delayed = await hidden(reader, queue, now)
    told = (
        ("ApproximateNumberOfMessagesVisible", "Count", max(held - in_flight - delayed, 0)),
        ("ApproximateNumberOfMessagesNotVisible", "Count", in_flight),
        ("ApproximateNumberOfMessagesDelayed", "Count", delayed),
        ("ApproximateAgeOfOldestMessage", "Seconds", await _oldest(reader, queue, now)),
    )
    return [
        {
            "MetricName": name,
            "Dimensions": [{"Name": "QueueName", "Value": queue.name}],
            "Timestamp": now,
            "Unit": unit,
            "Value": float(value),
        }
        for name, unit, value in told
    ]


async def _oldest(reader: Reader, queue: Queue, now: datetime) -> float:
    rows: list[Any] = list(
        await reader.list(FifoMessage if queue.fifo else Message, (queue.id,), limit=LOOKED_AT)
    )
    ages = [
        (now - one.body.sent_at).total_seconds()
        for one in rows
        if queue.fifo or one.receives <= POISON_RECEIVES
    ]
    return float(int(max(ages, default=0.0)))
