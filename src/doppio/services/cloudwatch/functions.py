"""Alarms that run functions of Lambda.

Source: "Alarm events and Lambda functions" in the CloudWatch user guide.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from doppio.kernel.context import Context
from doppio.kernel.identity import service_caller
from doppio.services.cloudwatch.records import Alarm, History
from doppio.services.cloudwatch.telling import watched
from doppio.wire.errors import AwsError
from doppio.wire.timestamps import format_iso8601_offset

PRINCIPAL = "lambda.alarms.cloudwatch"


async def run(
    ctx: Context, alarm: Alarm, notes: Sequence[History], told: Mapping[str, Any], arn: str
) -> str | None:
    """Have a function run for a change of state; what is wrong where it may or can not."""
    acting = ctx.derive(service_caller(PRINCIPAL, alarm.account, alarm.arn))
    req = {
        "FunctionName": arn,
        "InvocationType": "Event",
        "Payload": json.dumps(event(alarm, notes, told)).encode(),
    }
    try:
        await acting.call("lambda", "invoke", req)
    except AwsError as error:
        if error.status >= 500 or error.status == 429:
            raise
        return error.message
    return None


def event(alarm: Alarm, notes: Sequence[History], told: Mapping[str, Any]) -> dict[str, Any]:
    """What a function is told of a change of state: the first of its alarm's notes of those.

    The one before it, if any is left, says since when the old state was.
    """
    configuration = watched(alarm)
    if alarm.asked.get("AlarmDescription"):
        configuration["description"] = alarm.asked["AlarmDescription"]
    at = format_iso8601_offset(notes[0].at)
    since = format_iso8601_offset(notes[1].at) if len(notes) > 1 else ""
    return {
        "source": "aws.cloudwatch",
        "alarmArn": alarm.arn,
        "accountId": alarm.account,
        "time": at,
        "region": alarm.region,
        "alarmData": {
            "alarmName": alarm.name,
            "state": _state(told["newState"], at),
            "previousState": _state(told["oldState"], since),
            "configuration": configuration,
        },
    }


def _state(told: Mapping[str, Any], at: str) -> dict[str, Any]:
    found = {"value": told["stateValue"], "reason": told["stateReason"]}
    if "stateReasonData" in told:
        found["reasonData"] = json.dumps(told["stateReasonData"])
    if at:
        found["timestamp"] = at
    return found
