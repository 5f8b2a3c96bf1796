"""What CloudWatch is told of functions.

Source: "Types of metrics for Lambda functions".
"""

from __future__ import annotations

from typing import NamedTuple

from doppio.kernel.context import Context
from doppio.kernel.metrics import Measure
from doppio.services.lambda_.running import Spec


class Metric(NamedTuple):
    """What is measured of each function, of each name by which it is called, and of all together."""

    function: Measure
    resource: Measure
    account: Measure


def _of(name: str, unit: str = "Count", *dimensions: str) -> Measure:
    return Measure("lambda", "AWS/Lambda", name, unit, *dimensions)


def _metric(name: str, unit: str = "Count") -> Metric:
    return Metric(
        _of(name, unit, "FunctionName"), _of(name, unit, "FunctionName", "Resource"),
        _of(name, unit),
    )  # fmt: skip


INVOCATIONS = _metric("Invocations")
ERRORS = _metric("Errors")
THROTTLES = _metric("Throttles")
DURATION = _metric("Duration", "Milliseconds")
CONCURRENT = _metric("ConcurrentExecutions")
ASYNC_RECEIVED = _of("AsyncEventsReceived", "Count", "FunctionName")
ASYNC_AGE = _of("AsyncEventAge", "Milliseconds", "FunctionName")
ASYNC_DROPPED = _of("AsyncEventsDropped", "Count", "FunctionName")
DEAD_LETTER_ERRORS = _of("DeadLetterErrors", "Count", "FunctionName")
DESTINATION_ERRORS = _of("DestinationDeliveryFailures", "Count", "FunctionName")


def count(ctx: Context, metric: Metric, spec: Spec, arn: str, amount: float = 1.0) -> None:
    """Measure something of a function that was called by an ARN."""
    place = (spec.account, spec.region)
    ctx.count(metric.function, *place, (spec.name,), amount)
    ctx.count(metric.resource, *place, (spec.name, arn.partition(":function:")[2]), amount)
    ctx.count(metric.account, *place, (), amount)
