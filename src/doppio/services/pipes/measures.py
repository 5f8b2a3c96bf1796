"""What CloudWatch is told of pipes. Source: "Monitoring Amazon EventBridge Pipes"."""

from __future__ import annotations

from doppio.kernel.context import Context
from doppio.kernel.metrics import Measure
from doppio.services.pipes.records import Pipe


def _of(name: str, unit: str = "Count") -> Measure:
    return Measure("pipes", "AWS/Pipes", name, unit, "AwsAccountId", "PipeName")


INVOCATIONS = _of("Invocations")
DURATION = _of("Duration", "Milliseconds")
EVENTS = _of("EventCount")
SIZE = _of("EventSize", "Bytes")
FAILED = _of("ExecutionFailed")
PARTLY_FAILED = _of("ExecutionPartiallyFailed")
ENRICHMENT_FAILED = _of("EnrichmentStageFailed")
TARGET_FAILED = _of("TargetStageFailed")
TARGET_PARTLY_FAILED = _of("TargetStagePartiallyFailed")
TARGET_SKIPPED = _of("TargetStageSkipped")


def count_of(ctx: Context, measure: Measure, pipe: Pipe, amount: float = 1.0) -> None:
    """Measure something of a pipe."""
    ctx.count(measure, pipe.account, pipe.region, (pipe.account, pipe.name), amount)
