"""Alarms at work: a job looks at each metric alarm's metric, on the cloud's clock; composite alarms
look again whenever another has changed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from doppio.kernel.context import Context, Tx
from doppio.kernel.jobs import Job
from doppio.kernel.paging import every
from doppio.services.cloudwatch import limits
from doppio.services.cloudwatch.asked import period_of
from doppio.services.cloudwatch.composite import holds, names_of
from doppio.services.cloudwatch.judging import SIGNS, Verdict, judged
from doppio.services.cloudwatch.queries import answered, plain
from doppio.services.cloudwatch.records import Alarm
from doppio.services.cloudwatch.scaling import keep_scaling
from doppio.services.cloudwatch.states import changed
from doppio.wire.timestamps import format_iso8601_offset

EVALUATE = "cloudwatch.evaluate"
_HOUR = 3_600


async def evaluate(ctx: Context, job: Job) -> None:
    """Look at an alarm's metric, set its state, and come again with the next period."""
    name, generation = str(job.arguments["named"]), job.arguments["generation"]
    alarm = await ctx.read().get(Alarm, job.account, job.region, name)
    if alarm is None or alarm.generation != generation:
        return
    now = ctx.clock.now()
    period = period_of(alarm.asked)
    end = int(now.timestamp()) // period * period
    verdict, values = await _looked(ctx, alarm, period, end)
    state = verdict.state

    async def settle(tx: Tx) -> None:
        found = await tx.get(Alarm, job.account, job.region, name)
        if found is None or found.generation != generation:
            return
        if state is not None and state != found.state:
            reason = _reason(found, verdict, values)
            await changed(tx, found, state, reason, _reason_data(found, values, period, end))
        await tx.schedule(
            _next(ctx.clock.now(), alarm.asked, period), EVALUATE, job.key, named=name,
            generation=generation,
        )  # fmt: skip

    await ctx.transact(settle)
    if state == alarm.state == "ALARM" and alarm.enabled:
        await keep_scaling(ctx, alarm, [value for _, value in values])


def _next(now: datetime, asked: dict[str, Any], period: int) -> datetime:
    """Every minute; every ten seconds for fine periods; every hour for spans of more than a day."""
    step = 10 if period < 60 else 60
    if period * asked["EvaluationPeriods"] > limits.EVALUATION_SECONDS_MAX:
        step = _HOUR
    at = (int(now.timestamp()) // step + 1) * step
    # The last numbers of a period are let in before it is looked at.
    return datetime.fromtimestamp(at, UTC) + timedelta(seconds=1)


async def _looked(
    ctx: Context, alarm: Alarm, period: int, end: int
) -> tuple[Verdict, list[tuple[int, float]]]:
    asked = alarm.asked
    of = asked["EvaluationPeriods"]
    times = [end - period * back for back in range(of + limits.PERIODS_BEHIND, 0, -1)]
    reader = ctx.read()
    if asked.get("Metrics"):
        found = await answered(reader, list(asked["Metrics"]), times[0], end)
        told = next(query["Id"] for query in asked["Metrics"] if query.get("ReturnData", True))
        points = found[told][0].points if found[told] else {}
    else:
        stat: dict[str, Any] = {
            "Metric": asked,
            "Period": period,
            "Stat": asked.get("Statistic") or asked["ExtendedStatistic"],
        }
        if asked.get("Unit"):
            stat["Unit"] = asked["Unit"]
        points = (await plain(reader, stat, times[0], end)).points
    verdict = judged(
        [points.get(at) for at in times],
        needed=asked.get("DatapointsToAlarm") or of,
        of=of,
        comparison=asked["ComparisonOperator"],
        threshold=asked["Threshold"],
        missing=asked.get("TreatMissingData") or "missing",
    )
    return verdict, [(at, points[at]) for at in times if at in points][-of:]


def _reason(alarm: Alarm, verdict: Verdict, values: list[tuple[int, float]]) -> str:
    asked = alarm.asked
    of = asked["EvaluationPeriods"]
    if verdict.state == "INSUFFICIENT_DATA":
        noun = "datapoint was" if of == 1 else "datapoints were"
        return f"Insufficient Data: {of} {noun} unknown."
    words = SIGNS[asked["ComparisonOperator"]][0]
    threshold = f"{words} the threshold ({float(asked['Threshold'])})"
    if not values:
        treated = "Breaching" if verdict.state == "ALARM" else "NonBreaching"
        return (
            f"Threshold Crossed: no datapoints were received for {of} period{'s' * (of > 1)} "
            f"and {of} missing datapoint{'s were' if of > 1 else ' was'} treated as [{treated}]."
        )
    listed = ", ".join(
        f"{value} ({datetime.fromtimestamp(at, UTC):%d/%m/%y %H:%M:%S})"
        for at, value in reversed(values)
    )
    if verdict.state == "ALARM":
        needed = asked.get("DatapointsToAlarm") or of
        verb = "was" if verdict.beyond == 1 else "were"
        points = "datapoint" if needed == 1 else "datapoints"
        return (
            f"Threshold Crossed: {verdict.beyond} out of the last {of} datapoints [{listed}] {verb} "
            f"{threshold} (minimum {needed} {points} for {alarm.state} -> ALARM transition)."
        )
    noun = "datapoint" if len(values) == 1 else "datapoints"
    verb = "was" if len(values) == 1 else "were"
    return f"Threshold Crossed: {len(values)} {noun} [{listed}] {verb} not {threshold}."


def _reason_data(alarm: Alarm, values: list[tuple[int, float]], period: int, end: int) -> str:
    asked = alarm.asked
    told: dict[str, Any] = {
        "version": "1.0",
        "queryDate": format_iso8601_offset(datetime.fromtimestamp(end, UTC)),
        "period": period,
        "recentDatapoints": [value for _, value in values],
        "threshold": float(asked["Threshold"]),
    }
    if values:
        told["startDate"] = format_iso8601_offset(datetime.fromtimestamp(values[0][0], UTC))
    if asked.get("Statistic"):
        told["statistic"] = asked["Statistic"]
    return json.dumps(told)


async def recompose(ctx: Context, account: str, region: str, about: str) -> None:
    """Let the composite alarms look that speak of an alarm, or are it."""
    async for row in every(ctx.read(), Alarm, (account, region), step=200):
        if row.rule and (row.name == about or about in row.rule):
            await _compose(ctx, row)


async def _compose(ctx: Context, seen: Alarm) -> None:
    async def settle(tx: Tx) -> None:
        alarm = await tx.get(Alarm, seen.account, seen.region, seen.name)
        if alarm is None or not alarm.rule:
            return
        states: dict[str, str] = {}
        for other in await _children(tx, alarm):
            states[other.name] = other.state
        rings = holds(alarm.rule, lambda name: states.get(name, "INSUFFICIENT_DATA"))
        state = "ALARM" if rings else "OK"
        told = ", ".join(f"{name} is {value}" for name, value in sorted(states.items()))
        await changed(tx, alarm, state, f"The rule {alarm.rule} is {rings}: {told}")

    await ctx.transact(settle)


async def _children(tx: Tx, alarm: Alarm) -> list[Alarm]:
    found = [
        await tx.get(Alarm, alarm.account, alarm.region, name)
        for name in sorted(names_of(alarm.rule))
    ]
    return [one for one in found if one is not None]
