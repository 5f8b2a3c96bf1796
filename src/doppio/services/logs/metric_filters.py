"""Metric filters: numbers made of lines, for CloudWatch.

A group that has filters says of each row that came that it is there; a subscriber reads the row and
tells CloudWatch what fits, at the time of the lines. At least once: a crash between the telling and
the cursor tells the numbers of one row twice.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from doppio.kernel.context import Context
from doppio.kernel.events import Event
from doppio.kernel.paging import begins, page_of
from doppio.services.logs import limits
from doppio.services.logs.conditions import number
from doppio.services.logs.errors import InvalidParameter, LimitExceeded, NotFound
from doppio.services.logs.groups import position
from doppio.services.logs.json_patterns import read, value_of
from doppio.services.logs.lookup import existing, milliseconds
from doppio.services.logs.patterns import BadPattern, Matcher, compiled
from doppio.services.logs.records import Batch, MetricFilter, lines_of
from doppio.wire.errors import AwsError, NotImplementedByDoppio

if TYPE_CHECKING:
    from doppio._stubs import logs as w

_log = logging.getLogger("doppio.logs")
_LATER = ("applyOnTransformedLogs", "fieldSelectionCriteria", "emitSystemFieldDimensions")


class MetricFilters:
    """The operations on metric filters."""

    async def put_metric_filter(self, ctx: Context, req: w.PutMetricFilterRequest) -> None:
        """Make numbers of what fits from now on."""
        for member in _LATER:
            if req.get(member):
                raise NotImplementedByDoppio(f"logs: {member} exists in AWS and not yet here")
        _pattern(req["filterPattern"])
        transformations = [dict(one) for one in req["metricTransformations"]]
        for one in transformations:
            _check_transformation(one)
        async with ctx.write() as tx:
            group = await existing(tx, req["logGroupName"])
            old = await tx.get(MetricFilter, group.id, req["filterName"])
            if old is None:
                if group.filters >= limits.METRIC_FILTERS_MAX:
                    raise LimitExceeded
                tx.put(replace(group, filters=group.filters + 1))
            tx.put(
                MetricFilter(
                    group=group.id,
                    group_name=group.name,
                    name=req["filterName"],
                    pattern=req["filterPattern"],
                    transformations=transformations,
                    created_at=milliseconds(ctx.now),
                )
            )

    async def delete_metric_filter(self, ctx: Context, req: w.DeleteMetricFilterRequest) -> None:
        """Make no more numbers of them."""
        async with ctx.write() as tx:
            group = await existing(tx, req["logGroupName"])
            old = await tx.get(MetricFilter, group.id, req["filterName"])
            if old is None:
                raise NotFound("The specified metric filter does not exist.")
            tx.delete(old)
            tx.put(replace(group, filters=group.filters - 1))

    async def describe_metric_filters(
        self, ctx: Context, req: w.DescribeMetricFiltersRequest
    ) -> w.DescribeMetricFiltersResponse:
        """The filters of a group, by pages in the order of names."""
        if not req.get("logGroupName"):
            raise NotImplementedByDoppio(
                "logs: metric filters of all groups exist in AWS and not yet here"
            )
        reader = ctx.read()
        group = await existing(reader, req["logGroupName"])
        prefix = req.get("filterNamePrefix") or ""
        most = req.get("limit", limits.PAGE_MAX)
        scope = f"filters/{group.id}/{prefix}/{req.get('metricName')}/{req.get('metricNamespace')}"
        shown, token = await page_of(
            reader, MetricFilter, (group.id,), most=most, scope=scope, after=position(req, scope),
            step=limits.METRIC_FILTERS_MAX + 1, **begins(prefix),
            fits=lambda one: any(
                req.get("metricName", made["metricName"]) == made["metricName"]
                and req.get("metricNamespace", made["metricNamespace"]) == made["metricNamespace"]
                for made in one.transformations
            ),
        )  # fmt: skip
        told: dict[str, Any] = {"metricFilters": [_told(one) for one in shown]}
        if token is not None:
            told["nextToken"] = token
        return cast("w.DescribeMetricFiltersResponse", told)

    async def test_metric_filter(
        self, ctx: Context, req: w.TestMetricFilterRequest
    ) -> w.TestMetricFilterResponse:
        """What a pattern would take of some lines."""
        fits = _pattern(req["filterPattern"])
        matches = [
            {"eventNumber": place, "eventMessage": text, "extractedValues": values}
            for place, text in enumerate(req["logEventMessages"], 1)
            if (values := fits(text)) is not None
        ]
        return cast("w.TestMetricFilterResponse", {"matches": matches})


async def measure(ctx: Context, event: Event) -> None:
    """Tell CloudWatch what a row's lines say to the filters of its group."""
    _, group, slot, stream, batch_number = event.key
    reader = ctx.read()
    batch = await reader.get(Batch, group, int(slot), stream, int(batch_number))
    if batch is None:
        return
    filters = await reader.list(MetricFilter, (group,), limit=limits.METRIC_FILTERS_MAX)
    if not filters:
        return
    lines = lines_of(batch)
    by_namespace: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in filters:
        fits = compiled(one.pattern)
        hits = [
            (line.at, line.text, values)
            for line in lines
            if (values := fits(line.text)) is not None
        ]
        for made in one.transformations:
            by_namespace[str(made["metricNamespace"])] += _data(made, hits, lines[0].at)
    for namespace, data in by_namespace.items():
        for begin in range(0, len(data), limits.DATA_A_CALL):
            some = {"Namespace": namespace, "MetricData": data[begin : begin + limits.DATA_A_CALL]}
            try:
                await ctx.as_service("logs").call("cloudwatch", "put_metric_data", some)
            except AwsError as error:
                if error.status >= 500:
                    raise
                _log.warning("numbers of lines for %s were lost: %s", namespace, error)


def _data(
    made: dict[str, Any], hits: list[tuple[int, str, dict[str, str]]], first: int
) -> list[dict[str, Any]]:
    """The numbers that one transformation makes of the lines of a minute, summed."""
    sums: dict[tuple[tuple[str, str], ...], list[float]] = defaultdict(list)
    for _, text, values in hits:
        told = _value(str(made["metricValue"]), text, values)
        value = None if told is None else number(told)
        dimensions = [
            (name, _value(str(selector), text, values))
            for name, selector in (made.get("dimensions") or {}).items()
        ]
        # Where a line has no such field, or no number there, it is not told.
        if value is not None and all(found for _, found in dimensions):
            sums[tuple((name, str(found)) for name, found in dimensions)].append(value)
    if not hits and made.get("defaultValue") is not None:
        sums[()].append(float(made["defaultValue"]))
    at = datetime.fromtimestamp((hits[0][0] if hits else first) / 1_000, UTC)
    return [
        {
            "MetricName": made["metricName"],
            "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions],
            "Timestamp": at,
            "Unit": made.get("unit", "None"),
            "StatisticValues": {
                "SampleCount": float(len(numbers)),
                "Sum": sum(numbers),
                "Minimum": min(numbers),
                "Maximum": max(numbers),
            },
        }
        for dimensions, numbers in sums.items()
    ]


def _value(given: str, text: str, values: dict[str, str]) -> str | None:
    if not given.startswith("$"):
        return given
    if given in values:
        return values[given]
    return value_of(read(text), given)


def _pattern(text: str) -> Matcher:
    try:
        return compiled(text)
    except BadPattern as error:
        raise InvalidParameter("Invalid filter pattern") from error


def _check_transformation(made: dict[str, Any]) -> None:
    if str(made["metricNamespace"]).startswith("AWS/"):
        raise InvalidParameter(
            "Invalid metric transformation: metric namespace must not begin with AWS/"
        )
    given = str(made["metricValue"])
    if not given.startswith("$") and number(given) is None:
        raise InvalidParameter(f"Invalid metric transformation: invalid metric value {given}")
    dimensions = made.get("dimensions") or {}
    if dimensions and made.get("defaultValue") is not None:
        raise InvalidParameter(
            "Invalid metric transformation: dimensions and default value are mutually exclusive "
            "properties."
        )
    if len(dimensions) > limits.FILTER_DIMENSIONS_MAX:
        raise InvalidParameter("Invalid metric transformation: at most 3 dimensions are allowed.")


def _told(one: MetricFilter) -> dict[str, Any]:
    return {
        "filterName": one.name,
        "filterPattern": one.pattern,
        "metricTransformations": one.transformations,
        "creationTime": one.created_at,
        "logGroupName": one.group_name,
    }
