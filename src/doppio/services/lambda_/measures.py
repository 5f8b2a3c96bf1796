"""What CloudWatch is told of functions.

Source: "Types of metrics for Lambda functions".
"""

from __future__ import annotations

from doppio.kernel.context import Context
from doppio.kernel.metrics import Measure
from doppio.services.lambda_.running import Spec


def _of(name: str, unit: str = "Count") -> Measure:
    return Measure("lambda", "AWS/Lambda", name, unit, "FunctionName")


INVOCATIONS = _of("Invocations")
ERRORS = _of("Errors")
THROTTLES = _of("Throttles")
DURATION = _of("Duration", "Milliseconds")
CONCURRENT = _of("ConcurrentExecutions")
ASYNC_RECEIVED = _of("AsyncEventsReceived")
ASYNC_AGE = _of("AsyncEventAge", "Milliseconds")
ASYNC_DROPPED = _of("AsyncEventsDropped")
DEAD_LETTER_ERRORS = _of("DeadLetterErrors")
DESTINATION_ERRORS = _of("DestinationDeliveryFailures")


def count(ctx: Context, measure: Measure, spec: Spec, amount: float = 1.0) -> None:
    """Measure something of a function."""
    ctx.count(measure, spec.account, spec.region, (spec.name,), amount)
