"""Application Auto Scaling's decisions, pure: no clock, no store, nothing awaited."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from doppio.services.application_autoscaling import limits
from doppio.services.application_autoscaling.records import Policy, Target

HIGH, LOW = "AlarmHigh", "AlarmLow"
CAPACITY_HIGH, CAPACITY_LOW = "ProvisionedCapacityHigh", "ProvisionedCapacityLow"


def wanted_capacity(
    policy: Policy, kind: str, current: int, values: Sequence[float], target: Target
) -> int:
    """The capacity at which a metric would stand at its target, within the target's bounds.

    A metric of use (in units a second of what is bought) says at once how much is needed; of others
    it is thought that they fall as capacity grows. Taking away goes by the highest of the values.
    """
    if not values:
        return current
    predefined = "PredefinedMetricSpecification" in policy.given
    value = max(values) if kind == LOW or predefined else values[-1]
    aim = float(policy.given["TargetValue"])
    share = value / aim
    needed = share * 100 / limits.TRACKED_SECONDS if predefined else current * share
    found = max(math.ceil(round(needed, 6)), 1)
    found = max(found, current) if kind == HIGH else min(found, current)
    return bounded(target, found)


def bounded(target: Target, wanted: int) -> int:
    """A capacity within a target's bounds."""
    return max(target.least, min(target.most, wanted))


def cooling(policy: Policy, kind: str, now: datetime) -> bool:
    """Whether a policy still waits for what it did last to show.

    Tables have no cooldown unless they are given one; but a metric that falls as capacity grows is
    not asked again before it had a period to do so.
    """
    least = 0 if "PredefinedMetricSpecification" in policy.given else 2 * limits.TRACKED_SECONDS
    if kind == HIGH:
        wait = timedelta(seconds=max(policy.given.get("ScaleOutCooldown", 0), least))
        return policy.out_at is not None and now < policy.out_at + wait
    wait = timedelta(seconds=max(policy.given.get("ScaleInCooldown", 0), least))
    last = max((at for at in (policy.in_at, policy.out_at) if at is not None), default=None)
    return last is not None and now < last + wait


def not_scaled(target: Target, kind: str, current: int) -> dict[str, Any]:
    """Why nothing was to be done."""
    if kind == HIGH and current >= target.most:
        return {"Code": "AlreadyAtMaxCapacity", "MaxCapacity": target.most}
    if kind == LOW and current <= target.least:
        return {"Code": "AlreadyAtMinCapacity", "MinCapacity": target.least}
    return {"Code": "AlreadyAtDesiredCapacity", "CurrentCapacity": current}


def alarms_of(
    policy: Policy, metric: Mapping[str, Any] | None, bought: Mapping[str, Any] | None, current: int
) -> dict[str, dict[str, Any]]:
    """The alarms of a policy as PutMetricAlarm takes them, by what they are for.

    `metric` is what the use of a resource shows in, and `bought` the metric of what it may use:
    alarms on that find out when somebody else has changed it.
    """
    given, aim = policy.given, float(policy.given["TargetValue"])
    if metric is not None:
        each = limits.TRACKED_SECONDS * current / 100
        high, low = aim * each, max(aim - limits.LOW_POINTS_BELOW, 0.0) * each
        watched = {**metric, "Statistic": "Sum", "Period": limits.TRACKED_SECONDS}
        periods = limits.HIGH_PERIODS
    else:
        high, low = aim, aim * limits.LOW_SHARE_OF_OTHERS
        watched = customized(given["CustomizedMetricSpecification"])
        periods = limits.HIGH_PERIODS_OF_OTHERS
    found = {HIGH: {**watched, **_beyond(high, periods, "GreaterThanThreshold")}}
    if not given.get("DisableScaleIn"):
        found[LOW] = {**watched, **_beyond(low, limits.LOW_PERIODS, "LessThanThreshold")}
    if bought is not None:
        span = {"Statistic": "Average", "Period": limits.CAPACITY_SECONDS}
        for kind, sign in (
            (CAPACITY_HIGH, "GreaterThanThreshold"), (CAPACITY_LOW, "LessThanThreshold"),
        ):  # fmt: skip
            found[kind] = {**bought, **span, **_beyond(current, limits.CAPACITY_PERIODS, sign)}
    return {
        kind: {
            **one,
            "AlarmName": policy.alarms[kind],
            "AlarmDescription": (
                "DO NOT EDIT OR DELETE. For TargetTrackingScaling policy " + policy.arn + "."
            ),
            "AlarmActions": [policy.arn],
        }
        for kind, one in found.items()
    }


def kinds_of(given: Mapping[str, Any], *, tells_bought: bool) -> list[str]:
    """Which alarms a policy has."""
    found = [HIGH] if given.get("DisableScaleIn") else [HIGH, LOW]
    return [*found, CAPACITY_HIGH, CAPACITY_LOW] if tells_bought else found


def customized(given: Mapping[str, Any]) -> dict[str, Any]:
    """A metric of the user's as an alarm takes it: plain, or as math."""
    if "Metrics" in given:
        return {
            "Metrics": [
                {**one, "MetricStat": {**one["MetricStat"], "Period": limits.TRACKED_SECONDS}}
                if "MetricStat" in one
                else dict(one)
                for one in given["Metrics"]
            ]
        }
    found = {
        "MetricName": given["MetricName"],
        "Namespace": given["Namespace"],
        "Dimensions": list(given.get("Dimensions", ())),
        "Statistic": given["Statistic"],
        "Period": limits.TRACKED_SECONDS,
    }
    return {**found, "Unit": given["Unit"]} if "Unit" in given else found


def _beyond(threshold: float, periods: int, sign: str) -> dict[str, Any]:
    return {
        "Threshold": float(threshold),
        "EvaluationPeriods": periods,
        "ComparisonOperator": sign,
    }
