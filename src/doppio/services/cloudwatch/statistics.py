"""GetMetricStatistics: one metric's statistics, by periods."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from doppio.kernel.context import Context
from doppio.services.cloudwatch import limits
from doppio.services.cloudwatch.errors import InvalidCombination, InvalidValue, Missing
from doppio.services.cloudwatch.points import datapoint, statistic
from doppio.services.cloudwatch.series import gathered, metric_of

if TYPE_CHECKING:
    from doppio._stubs import cloudwatch as w


class Statistics:
    """The operation that tells statistics."""

    async def get_metric_statistics(
        self, ctx: Context, req: w.GetMetricStatisticsInput
    ) -> w.GetMetricStatisticsOutput:
        """Statistics by periods that begin at the start time, each unit by itself."""
        period, names = req["Period"], req.get("Statistics") or []
        extended = req.get("ExtendedStatistics") or []
        check_period(period, "Period")
        if not names and not extended:
            raise Missing("Must specify either Statistics or ExtendedStatistics")
        for name in extended:
            if statistic(name) is None:
                raise InvalidValue(
                    f"The value {name} for parameter ExtendedStatistics.member.1 is invalid."
                )
        if req["StartTime"] >= req["EndTime"]:
            raise InvalidValue(
                "The parameter StartTime must be less than the parameter EndTime."
            )  # fmt: skip
        since = rounded(ctx.now, req["StartTime"], period)
        until = math.ceil(req["EndTime"].timestamp())
        count = math.ceil((until - since) / period)
        if count > limits.STATISTICS_POINTS_MAX:
            raise InvalidCombination(
                f"You have requested up to {count:,} datapoints, which exceeds the limit of "
                f"{limits.STATISTICS_POINTS_MAX:,}. You may reduce the datapoints requested by "
                "increasing Period, or decreasing the time range."
            )
        reader = ctx.read()
        metric = await metric_of(
            reader, req["Namespace"], req["MetricName"], list(req.get("Dimensions") or [])
        )
        found: dict[Any, Any] = {}
        if metric is not None:
            found = await gathered(
                reader, metric, since, until, period, unit=req.get("Unit"), apart=True,
                origin=since,
            )  # fmt: skip
        reader.meter("CW:Requests")
        return {
            "Label": req["MetricName"],
            "Datapoints": cast(
                "list[w.Datapoint]",
                [
                    {
                        "Timestamp": datetime.fromtimestamp(at, UTC),
                        "Unit": unit,
                        **datapoint(point, names, extended),
                    }
                    for (at, unit), point in sorted(found.items(), key=lambda one: one[0])
                ],
            ),
        }


def check_period(period: int, where: str) -> None:
    """Raise InvalidValue for a period that AWS does not know."""
    if period not in limits.PERIODS_FINE_SECONDS and period % 60:
        raise InvalidValue(
            f"The parameter {where} must be a multiple of 60 or one of 1, 5, 10, 20, 30."
        )


def rounded(now: datetime, start: datetime, period: int) -> int:
    """A start time as AWS rounds it down: the older it is, the coarser."""
    age = now - start
    step = 60
    if age > timedelta(days=63):
        step = 3_600
    elif age > timedelta(days=15):
        step = 300
    elif period < 60:
        step = period
    return int(start.timestamp()) // step * step
