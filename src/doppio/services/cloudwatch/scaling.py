"""Alarms that scale: policies of Application Auto Scaling as their actions."""

from __future__ import annotations

from doppio.kernel.context import Context
from doppio.services.cloudwatch.records import Alarm


def is_scaling(arn: str) -> bool:
    """Whether an action is a policy of Application Auto Scaling."""
    return arn.split(":")[2] == "autoscaling" and ":resource/" in arn


async def scaled(
    ctx: Context, alarm: Alarm, state: str, arn: str, values: list[float]
) -> str | None:
    """Let a policy act; what is wrong where it cannot. An alarm acts in its own account and Region."""
    from doppio.services.application_autoscaling.ports import alarmed

    own = arn.split(":")[3:5] == [alarm.region, alarm.account]
    if own and await alarmed(ctx, arn, alarm.name, state, values):
        return None
    return f"No scaling policy found for ARN: {arn}"


async def keep_scaling(ctx: Context, alarm: Alarm, values: list[float]) -> None:
    """Policies are told each time that an alarm stays: one step may not have been enough. All other
    actions are told of changes alone."""
    for arn in alarm.asked.get("AlarmActions") or ():
        if is_scaling(arn):
            await scaled(ctx, alarm, "ALARM", arn, values)
