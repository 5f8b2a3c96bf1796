"""What tables may consume, told to CloudWatch each minute; and peaks of traffic, kept.

Only tables that have something to tell: capacity that was bought, a limit on demand, or throughput
that is realistic. One that was not used for hours is left alone until it is used again.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.kernel.jobs import Job
from doppio.services.dynamodb.access import find_table
from doppio.services.dynamodb.contributors import keep_counts
from doppio.services.dynamodb.measures import NAMESPACE
from doppio.services.dynamodb.provisioning import warm_of
from doppio.services.dynamodb.records import SecondaryIndex, Table, Throughput, table_arn
from doppio.services.dynamodb.throttling import is_realistic, peaks_of

SAMPLE = "dynamodb.sample"
EVERY = timedelta(minutes=1)
QUIET_SAMPLES = 360
# Use is noted again only after so many, so that a busy table's timer is not written all the time.
QUIET_NOTED = 60
# AWS tells of bought capacity every five minutes.
CAPACITY_MINUTES = 5


async def sampling(ctx: Context, names: tuple[str, ...]) -> None:
    """A table was used: see to it that it is looked at, if it has something to tell."""
    if not names:
        return  # The account's own metrics.
    arn = table_arn(ctx.account, ctx.region, names[0])
    await keep_counts(ctx, names[0])
    reader = ctx.read()
    job = await reader.get(Job, SAMPLE, arn)
    if job is not None and job.arguments.get("quiet", 0) < QUIET_NOTED:
        return
    table = await find_table(reader, ctx, arn)
    if table is None or not _tells(ctx, table):
        return

    async def schedule(tx: Tx) -> None:
        await tx.schedule(_next(ctx.clock.now()), SAMPLE, arn, quiet=0)

    await ctx.transact(schedule)


async def sample(ctx: Context, job: Job) -> None:
    """Tell what a table may consume, keep what it has shown it can, and come again in a minute."""
    table = await find_table(ctx.read(), ctx, job.key)
    if table is None or not _tells(ctx, table):
        return
    data = list(_data(table, ctx.clock.now()))
    for begin in range(0, len(data), 1_000):
        some = {"Namespace": NAMESPACE, "MetricData": data[begin : begin + 1_000]}
        await ctx.as_service("dynamodb").call("cloudwatch", "put_metric_data", some)
    quiet = int(job.arguments.get("quiet", 0)) + 1

    async def again(tx: Tx) -> None:
        current = await find_table(tx, ctx, job.key)
        if current is None:
            return
        grown = _grown(ctx, current)
        if grown != current:
            tx.put(grown)
        if await tx.get(Job, SAMPLE, job.key) == job and quiet <= QUIET_SAMPLES:
            await tx.schedule(_next(ctx.clock.now()), SAMPLE, job.key, quiet=quiet)

    await ctx.transact(again)


def _tells(ctx: Context, table: Table) -> bool:
    limits = [table.at_most, *(one.at_most for one in table.indexes)]
    limited = any(not one.same(Throughput()) for one in limits)
    return not table.on_demand or limited or is_realistic(ctx, table)


def _next(now: datetime) -> datetime:
    return datetime.fromtimestamp((int(now.timestamp()) // 60 + 1) * 60, UTC)


def _grown(ctx: Context, table: Table) -> Table:
    """A table on demand is warm for what it has carried: so a restart does not forget its peaks."""
    if not table.on_demand or not is_realistic(ctx, table):
        return table
    indexes = tuple(
        replace(one, warm=_warmer(ctx, table, one)) if one.is_global else one
        for one in table.indexes
    )
    return replace(table, warm=_warmer(ctx, table, None), indexes=indexes)


def _warmer(ctx: Context, table: Table, index: SecondaryIndex | None) -> Throughput:
    held: Table | SecondaryIndex = table if index is None else index
    read, write = peaks_of(ctx, table, index)
    warm = warm_of(table, index)
    return Throughput(
        read=2 * read if 2 * read > warm.read else held.warm.read,
        write=2 * write if 2 * write > warm.write else held.warm.write,
    )


def _data(table: Table, now: datetime) -> Iterator[dict[str, Any]]:
    """AWS's metrics are zero where nothing happens: an alarm sees that a table rests."""
    holders: list[Table | SecondaryIndex] = [
        table,
        *(one for one in table.indexes if one.is_global),
    ]
    for holder in holders:
        names = {"TableName": table.name}
        if holder is not table:
            names["GlobalSecondaryIndexName"] = holder.name
        for kind, bought, most in (
            ("Read", holder.throughput.read, holder.at_most.read),
            ("Write", holder.throughput.write, holder.at_most.write),
        ):
            if not table.on_demand:
                yield _datum(f"Consumed{kind}CapacityUnits", names, now, 0.0)
            if now.minute % CAPACITY_MINUTES == 0 and not table.on_demand:
                yield _datum(f"Provisioned{kind}CapacityUnits", names, now, bought)
            if now.minute % CAPACITY_MINUTES == 0 and most:
                yield _datum(f"OnDemandMax{kind}RequestUnits", names, now, most)


def _datum(name: str, names: dict[str, str], now: datetime, value: float) -> dict[str, Any]:
    return {
        "MetricName": name,
        "Dimensions": [{"Name": name, "Value": value} for name, value in names.items()],
        "Timestamp": now,
        "Unit": "Count",
        "Value": float(value),
    }
