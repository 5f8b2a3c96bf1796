"""What EventBridge is told of alarms, in AWS's words.

Source: "Alarm events and EventBridge".
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from doppio.kernel.context import Tx
from doppio.kernel.listening import tell
from doppio.services.cloudwatch.records import Alarm
from doppio.wire.timestamps import format_iso8601_offset

_SOURCE = "aws.cloudwatch"
_SETTINGS = {
    "AlarmDescription": "description",
    "EvaluationPeriods": "evaluationPeriods",
    "DatapointsToAlarm": "datapointsToAlarm",
    "Threshold": "threshold",
    "ComparisonOperator": "comparisonOperator",
    "TreatMissingData": "treatMissingData",
}
_ACTIONS = {
    "OKActions": "okActions",
    "AlarmActions": "alarmActions",
    "InsufficientDataActions": "insufficientDataActions",
}


async def tell_state(tx: Tx, before: Alarm, after: Alarm) -> None:
    """Tell that an alarm has another state."""
    seen = watched(after)
    if after.asked.get("AlarmDescription"):
        seen["description"] = after.asked["AlarmDescription"]
    detail = {
        "alarmName": after.name,
        "configuration": seen,
        "previousState": _state(before),
        "state": _state(after),
    }
    await _tell(tx, after, "CloudWatch Alarm State Change", detail)


async def tell_configuration(
    tx: Tx, operation: str, alarm: Alarm, before: Alarm | None = None
) -> None:
    """Tell that an alarm was made (`create`), changed (`update`) or deleted (`delete`)."""
    detail = {
        "alarmName": alarm.name,
        "operation": operation,
        "state": {"value": alarm.state, "timestamp": format_iso8601_offset(alarm.state_at)},
        "configuration": configuration(alarm),
    }
    if before is not None:
        detail["previousConfiguration"] = configuration(before)
    await _tell(tx, alarm, "CloudWatch Alarm Configuration Change", detail)


async def _tell(tx: Tx, alarm: Alarm, kind: str, detail: Mapping[str, Any]) -> None:
    await tell(tx, (alarm.account, alarm.region), _SOURCE, kind, detail, [alarm.arn])


def configuration(alarm: Alarm) -> dict[str, Any]:
    """All that an alarm is set to."""
    asked = alarm.asked
    told: dict[str, Any] = {
        "alarmName": alarm.name,
        "actionsEnabled": alarm.enabled,
        "timestamp": format_iso8601_offset(alarm.updated_at),
        **watched(alarm),
    }
    told |= {to: asked[name] for name, to in _SETTINGS.items() if asked.get(name) is not None}
    told |= {to: asked.get(name) or [] for name, to in _ACTIONS.items()}
    return told


def watched(alarm: Alarm) -> dict[str, Any]:
    """What an alarm looks at: other alarms, or metrics."""
    if alarm.rule:
        return {"alarmRule": alarm.rule}
    asked = alarm.asked
    if asked.get("Metrics"):
        return {"metrics": [_query(query) for query in asked["Metrics"]]}
    seed = hashlib.sha256(f"{alarm.arn}/{alarm.generation}".encode()).digest()
    return {
        "metrics": [
            {
                "id": str(UUID(bytes=seed[:16])),
                "metricStat": _stat(
                    asked, asked["Period"], asked.get("Statistic") or asked["ExtendedStatistic"],
                    asked.get("Unit"),
                ),
                "returnData": True,
            }
        ]
    }  # fmt: skip


def _query(query: Mapping[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {"id": query["Id"], "returnData": query.get("ReturnData", True)}
    for name in ("Expression", "Label", "Period", "AccountId"):
        if query.get(name) is not None:
            told[name[0].lower() + name[1:]] = query[name]
    if query.get("MetricStat"):
        stat = query["MetricStat"]
        told["metricStat"] = _stat(stat["Metric"], stat["Period"], stat["Stat"], stat.get("Unit"))
    return told


def _stat(metric: Mapping[str, Any], period: int, stat: str, unit: str | None) -> dict[str, Any]:
    told: dict[str, Any] = {
        "metric": {
            "namespace": metric["Namespace"],
            "name": metric["MetricName"],
            "dimensions": {one["Name"]: one["Value"] for one in metric.get("Dimensions") or []},
        },
        "period": period,
        "stat": stat,
    }
    if unit:
        told["unit"] = unit
    return told


def _state(alarm: Alarm) -> dict[str, Any]:
    told = {
        "value": alarm.state,
        "reason": alarm.reason,
        "timestamp": format_iso8601_offset(alarm.state_at),
    }
    if alarm.reason_data:
        told["reasonData"] = alarm.reason_data
    return told
