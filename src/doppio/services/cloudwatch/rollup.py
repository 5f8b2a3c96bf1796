"""Points become coarser with age, and go: a second's after 3 hours, a minute's after 15 days, those
of 5 minutes after 63 days, an hour's after 455 days, on the cloud's clock."""

from __future__ import annotations

from datetime import timedelta

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.kernel.jobs import Job
from doppio.kernel.paging import every
from doppio.services.cloudwatch import limits
from doppio.services.cloudwatch.points import joined
from doppio.services.cloudwatch.records import Metric, Point

ROLLUP = "cloudwatch.rollup"
ROLLUP_EVERY = timedelta(hours=6)


async def rollup(ctx: Context, job: Job) -> None:
    """Go through all metrics of an account and Region; come again while there are some."""
    reader, place = ctx.read(), (job.account, job.region)
    async for metric in every(reader, Metric, place, step=limits.ROWS_A_READ):
        await _age(ctx, metric)

    async def again(tx: Tx) -> None:
        if await tx.list(Metric, (job.account, job.region), limit=1):
            await tx.schedule(ctx.clock.now() + ROLLUP_EVERY, ROLLUP, job.key)

    await ctx.transact(again)


async def _age(ctx: Context, metric: Metric) -> None:
    now = int(ctx.clock.now().timestamp())
    steps = list(limits.KEPT)
    for seconds, coarser in zip(steps, [*steps[1:], None], strict=True):
        before = now - int(limits.KEPT[seconds].total_seconds())
        if coarser is not None:
            # Only whole periods of the coarser kind, so that each is made once.
            before = before // coarser * coarser

        async def some(
            tx: Tx, seconds: int = seconds, coarser: int | None = coarser, before: int = before
        ) -> bool:
            rows = await tx.list(
                Point, (metric.id, seconds), until=before - 1, limit=limits.ROWS_A_ROLLUP
            )
            for row in rows:
                tx.delete(row)
                if coarser is not None:
                    at = row.at // coarser * coarser
                    old = await tx.get(Point, metric.id, coarser, at, row.unit)
                    moved = replace(row, seconds=coarser, at=at)
                    tx.put(moved if old is None else joined(old, moved))
            return bool(rows)

        while await ctx.transact(some):
            pass
    if metric.last < now - int(limits.KEPT[3_600].total_seconds()):

        async def forget(tx: Tx) -> None:
            found = await tx.get(
                Metric, metric.account, metric.region, metric.namespace, metric.name, metric.label
            )
            if found == metric:
                tx.delete(found)

        await ctx.transact(forget)
