"""Reading points: of whatever fineness they still have, gathered into the periods asked for."""

from __future__ import annotations

from typing import Any

from doppio.kernel.context import Reader
from doppio.kernel.paging import every
from doppio.services.cloudwatch import limits
from doppio.services.cloudwatch.points import joined
from doppio.services.cloudwatch.records import Metric, Point, label_of


async def metric_of(
    reader: Reader, namespace: str, name: str, dimensions: list[Any]
) -> Metric | None:
    """The metric with exactly these dimensions."""
    ctx = reader.context
    pairs = {one["Name"]: one["Value"] for one in dimensions}
    return await reader.get(Metric, ctx.account, ctx.region, namespace, name, label_of(pairs))


async def gathered(
    reader: Reader,
    metric: Metric,
    since: int,
    until: int,
    period: int,
    *,
    unit: str | None = None,
    apart: bool = False,
    origin: int = 0,
) -> dict[tuple[int, str], Point]:
    """Points with since <= time < until by the beginning of their period, and by unit.

    `apart`: units are kept apart; else all are one, under the unit that came first. Periods begin
    at `origin`. What is kept no longer in this fineness is not shown.
    """
    now = int(reader.context.now.timestamp())
    found: dict[tuple[int, str], Point] = {}
    for seconds in limits.KEPT:
        if seconds > period:
            break
        oldest = max(kept.total_seconds() for size, kept in limits.KEPT.items() if size <= period)
        span = {"since": max(since, now - int(oldest)), "until": until - 1}
        step = limits.ROWS_A_READ
        async for row in every(reader, Point, (metric.id, seconds), step=step, **span):
            if unit is not None and row.unit != unit:
                continue
            at = (row.at - origin) // period * period + origin
            key = (at, row.unit if apart else "")
            found[key] = joined(found[key], row) if key in found else row
    return found
