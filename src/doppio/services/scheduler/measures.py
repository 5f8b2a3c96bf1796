"""What CloudWatch is told of schedules, by their group.

Source: "Monitoring Amazon EventBridge Scheduler with Amazon CloudWatch".
"""

from __future__ import annotations

from doppio.kernel.context import Context
from doppio.kernel.metrics import Measure
from doppio.services.scheduler.records import Execution


def _of(name: str) -> Measure:
    return Measure("scheduler", "AWS/Scheduler", name, "Count", "ScheduleGroup")


ATTEMPTS = _of("InvocationAttemptCount")
ERRORS = _of("TargetErrorCount")
THROTTLED = _of("TargetErrorThrottledCount")
DROPPED = _of("InvocationDroppedCount")
SENT_TO_DLQ = _of("InvocationsSentToDeadLetterCount")
NOT_SENT_TO_DLQ = _of("InvocationsFailedToBeSentToDeadLetterCount")


def count_of(ctx: Context, measure: Measure, execution: Execution) -> None:
    """Measure something of the group that an execution's schedule is in."""
    account, region, group, _ = execution.schedule
    ctx.count(measure, account, region, (group,))
