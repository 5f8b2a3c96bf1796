"""PutMetricData and ListMetrics: what is measured, and what there is of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from doppio.kernel import paging
from doppio.kernel.context import Context, Tx
from doppio.kernel.jobs import Job
from doppio.kernel.paging import page_of
from doppio.services.cloudwatch import limits
from doppio.services.cloudwatch.errors import (
    InvalidCombination,
    InvalidToken,
    InvalidValue,
    Missing,
)
from doppio.services.cloudwatch.points import coarse, joined
from doppio.services.cloudwatch.records import Metric, Point, label_of
from doppio.services.cloudwatch.rollup import ROLLUP, ROLLUP_EVERY
from doppio.wire.errors import NotImplementedByDoppio

if TYPE_CHECKING:
    from doppio._stubs import cloudwatch as w

# How far `Metric.last` may lag behind, so that it is not written with every point.
_LAST_SECONDS = 300


class Metrics:
    """The operations that take and list metrics."""

    async def put_metric_data(self, ctx: Context, req: w.PutMetricDataInput) -> None:
        """Take numbers; those of the same minute add up. Names of AWS are for AWS's services."""
        namespace = req["Namespace"]
        if namespace.startswith("AWS/") and ctx.caller.kind != "service":
            raise InvalidValue("The value AWS/ for parameter Namespace is invalid.")
        if req.get("EntityMetricData"):
            raise NotImplementedByDoppio("cloudwatch: entities exist in AWS and not yet here")
        data = req.get("MetricData") or []
        if not data:
            raise Missing("The parameter MetricData is required.")
        if len(data) > limits.DATA_MAX:
            raise InvalidValue(
                f"The collection MetricData must not have a size greater than {limits.DATA_MAX}."
            )
        points = [
            (datum["MetricName"], _dimensions(datum), _point(ctx, datum, f"MetricData.member.{n}"))
            for n, datum in enumerate(data, 1)
        ]
        async with ctx.write() as tx:
            for name, dimensions, point in points:
                await _keep(tx, namespace, name, dimensions, point)
            tx.meter("CW:Requests")

    async def list_metrics(self, ctx: Context, req: w.ListMetricsInput) -> w.ListMetricsOutput:
        """The metrics that had points in the last two weeks, by pages."""
        if req.get("IncludeLinkedAccounts"):
            raise NotImplementedByDoppio("cloudwatch: linked accounts exist in AWS and not here")
        wanted: list[Any] = list(req.get("Dimensions") or [])
        since = limits.RECENTLY if req.get("RecentlyActive") else limits.LISTED_FOR
        youngest = int((ctx.now - since).timestamp()) - _LAST_SECONDS
        prefix: tuple[str, ...] = (ctx.account, ctx.region)
        if req.get("Namespace"):
            prefix += (req["Namespace"],)
            if req.get("MetricName"):
                prefix += (req["MetricName"],)
        scope = f"metrics/{prefix}/{req.get('MetricName')}/{wanted}/{req.get('RecentlyActive')}"
        reader = ctx.read()
        shown, token = await page_of(
            reader, Metric, prefix, most=limits.LISTED_METRICS_MAX, scope=scope,
            after=position(req, scope), step=limits.ROWS_A_READ,
            fits=lambda one: (
                one.last >= youngest
                and req.get("MetricName", one.name) == one.name
                and _has(one, wanted)
            ),
        )  # fmt: skip
        told: dict[str, Any] = {"Metrics": [metric_told(one) for one in shown]}
        if token is not None:
            told["NextToken"] = token
        reader.meter("CW:Requests")
        return cast("w.ListMetricsOutput", told)


def metric_told(metric: Metric) -> dict[str, Any]:
    """A metric as lists show it."""
    return {
        "Namespace": metric.namespace,
        "MetricName": metric.name,
        "Dimensions": [{"Name": name, "Value": value} for name, value in metric.dimensions.items()],
    }


def position(req: Mapping[str, Any], scope: str) -> bytes | None:
    """Where a page begins. Raises InvalidToken."""
    return paging.position(req.get("NextToken"), scope, InvalidToken)


def _has(metric: Metric, wanted: list[Any]) -> bool:
    return all(
        one["Name"] in metric.dimensions
        and one.get("Value", metric.dimensions[one["Name"]]) == metric.dimensions[one["Name"]]
        for one in wanted
    )


def _dimensions(datum: Mapping[str, Any]) -> dict[str, str]:
    return {one["Name"]: one["Value"] for one in datum.get("Dimensions") or []}


async def _keep(
    tx: Tx, namespace: str, name: str, dimensions: dict[str, str], point: Point
) -> None:
    ctx = tx.context
    metric = await tx.get(Metric, ctx.account, ctx.region, namespace, name, label_of(dimensions))
    if metric is None:
        metric = Metric(
            account=ctx.account, region=ctx.region, namespace=namespace, name=name,
            label=label_of(dimensions), id=ctx.new_id("hex16"), last=point.at,
            dimensions=dimensions,
        )  # fmt: skip
        tx.put(metric)
        key = f"{ctx.account}/{ctx.region}"
        if await tx.get(Job, ROLLUP, key) is None:
            await tx.schedule(ctx.now + ROLLUP_EVERY, ROLLUP, key)
    elif point.at > metric.last + _LAST_SECONDS:
        tx.put(replace(metric, last=point.at))
    old = await tx.get(Point, metric.id, point.seconds, point.at, point.unit)
    point = replace(point, metric=metric.id)
    tx.put(point if old is None else joined(old, point))


def _point(ctx: Context, datum: Mapping[str, Any], where: str) -> Point:
    seconds = datum.get("StorageResolution", 60)
    if seconds not in {1, 60}:
        raise InvalidValue(
            f"The parameter {where}.StorageResolution must be either 1 or 60."
        )  # fmt: skip
    moment = datum.get("Timestamp") or ctx.now
    if moment < ctx.now - limits.OLDEST - timedelta(minutes=1):
        raise InvalidValue(
            f"The parameter {where}.Timestamp must specify a time no more than two weeks in the "
            "past."
        )
    if moment > ctx.now + limits.NEWEST:
        raise InvalidValue(
            f"The parameter {where}.Timestamp must specify a time no more than two hours in the "
            "future."
        )
    at = int(moment.timestamp()) // seconds * seconds
    given = [name for name in ("Value", "Values", "StatisticValues") if datum.get(name) is not None]
    if not given:
        raise Missing("At least one of the parameters must be specified.")
    if len(given) > 1:
        raise InvalidCombination(
            f"The parameters {where}.{given[0]} and {where}.{given[1]} are mutually exclusive and "
            "you have specified both."
        )
    point = Point(
        metric="", seconds=seconds, at=at, unit=datum.get("Unit", "None"),
        count=0.0, total=0.0, low=0.0, high=0.0,
    )  # fmt: skip
    if given == ["StatisticValues"]:
        return _summed(point, datum["StatisticValues"], where)
    if given == ["Value"]:
        values = {_number(datum["Value"], f"{where}.Value"): 1.0}
    else:
        values = _weighted(datum, where)
    return replace(
        point,
        count=sum(values.values()),
        total=sum(value * count for value, count in values.items()),
        low=min(values),
        high=max(values),
        values=values if len(values) <= limits.VALUES_EXACT_MAX else coarse(values),
    )


def _weighted(datum: Mapping[str, Any], where: str) -> dict[float, float]:
    """Values with how often each came."""
    given = datum["Values"]
    counts = datum.get("Counts") or [1.0] * len(given)
    if len(given) != len(counts):
        raise InvalidValue(
            f"The parameters {where}.Values and {where}.Counts must be of the same size."
        )
    if not 1 <= len(given) <= limits.VALUES_A_DATUM_MAX:
        raise InvalidValue(
            f"The collection {where}.Values must not have a size greater than "
            f"{limits.VALUES_A_DATUM_MAX}."
        )
    values: dict[float, float] = {}
    for n, (value, count) in enumerate(zip(given, counts, strict=True), 1):
        number = _number(value, f"{where}.Values.member.{n}")
        if _number(count, f"{where}.Counts.member.{n}") <= 0:
            raise InvalidValue(
                f"The value {count} for parameter {where}.Counts.member.{n} is invalid."
            )
        values[number] = values.get(number, 0.0) + count
    return values


def _summed(point: Point, given: Mapping[str, Any], where: str) -> Point:
    """A point of which only sums are known; of one value, that is all there is to know."""
    where = f"{where}.StatisticValues"
    count, total, low, high = (
        _number(given[name], f"{where}.{name}")
        for name in ("SampleCount", "Sum", "Minimum", "Maximum")
    )
    if count <= 0:
        raise InvalidValue(f"The value {count} for parameter {where}.SampleCount is invalid.")
    if low > high:
        raise InvalidValue(
            f"The parameter {where}.Minimum must be less than or equal to the parameter "
            f"{where}.Maximum."
        )
    values = {low: count} if low == high else None
    return replace(point, count=count, total=total, low=low, high=high, values=values)


def _number(value: float, where: str) -> float:
    if math.isnan(value) or math.isinf(value) or abs(value) > limits.VALUE_MAX:
        raise InvalidValue(f"The value {value} for parameter {where} is invalid.")
    return float(value)
