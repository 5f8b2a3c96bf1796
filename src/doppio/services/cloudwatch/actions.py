"""What a change of state does: topics and functions are told, and composite alarms look again.

Topics are told as CloudWatch, so that a topic's policy counts. A topic that still has the policy
with which it was made lets in its own account's alarms, as in AWS. Told at least once.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from doppio.kernel.context import Context
from doppio.kernel.events import Event
from doppio.kernel.identity import service_caller
from doppio.kernel.regions import regions
from doppio.services.cloudwatch.functions import run
from doppio.services.cloudwatch.records import Alarm, History
from doppio.services.cloudwatch.scaling import is_scaling, scaled
from doppio.services.cloudwatch.states import noted
from doppio.services.cloudwatch.watching import recompose
from doppio.wire.errors import AwsError
from doppio.wire.timestamps import format_iso8601_offset

_MEMBERS = {
    "ALARM": "AlarmActions",
    "OK": "OKActions",
    "INSUFFICIENT_DATA": "InsufficientDataActions",
}
SUBJECT_CHARS_MAX = 100


async def act(ctx: Context, event: Event) -> None:
    """Do what an alarm does in its new state, and let others look."""
    account, region, name, note_id = event.key
    await recompose(ctx, account, region, name)
    if not note_id:
        return
    alarm = await ctx.read().get(Alarm, account, region, name)
    if alarm is None or not alarm.enabled:
        return
    lines = await ctx.read().list(History, (account, region, name), limit=1_000, reverse=True)
    note = next((line for line in lines if line.id == note_id), None)
    if note is None:
        return
    changes = [line for line in lines[lines.index(note) :] if line.kind == "StateUpdate"]
    told = json.loads(note.data)
    state = told["newState"]["stateValue"]
    for arn in alarm.asked.get(_MEMBERS[state]) or []:
        if is_scaling(arn):
            values = told["newState"].get("stateReasonData", {}).get("recentDatapoints", [])
            failure = await scaled(ctx, alarm, state, arn, values)
        elif arn.split(":")[2] == "lambda":
            failure = await run(ctx, alarm, changes, told, arn)
        else:
            failure = await _tell(ctx, alarm, note, told, arn)
        done = "Successfully executed action" if failure is None else "Failed to execute action"
        outcome: dict[str, Any] = {
            "actionState": "Succeeded" if failure is None else "Failed",
            "stateUpdateTimestamp": int(note.at.timestamp() * 1_000),
            "notificationResource": arn,
            "error": failure,
        }

        async def keep(tx: Any, done: str = done, arn: str = arn, outcome: Any = outcome) -> None:
            await noted(tx, alarm, "Action", f"{done} {arn}", outcome)

        await ctx.transact(keep)


async def _tell(ctx: Context, alarm: Alarm, note: History, told: Any, arn: str) -> str | None:
    place = regions().get(alarm.region)
    where = place.description if place is not None else alarm.region
    state = told["newState"]["stateValue"]
    req = {
        "TopicArn": arn,
        "Subject": f'{state}: "{alarm.name}" in {where}'[:SUBJECT_CHARS_MAX],
        "Message": json.dumps(_message(alarm, note, told, where)),
    }
    # By this key a topic's first policy lets in what its own account's alarms tell.
    service = service_caller("cloudwatch", alarm.account, alarm.arn)
    teller = ctx.derive(replace(service, session={"aws:sourceowner": alarm.account}))
    try:
        await teller.call("sns", "publish", req)
    except AwsError as error:
        if error.status >= 500:
            raise
        return error.message
    return None


def _message(alarm: Alarm, note: History, told: Any, where: str) -> dict[str, Any]:
    asked = alarm.asked
    message: dict[str, Any] = {
        "AlarmName": alarm.name,
        "AlarmDescription": asked.get("AlarmDescription"),
        "AWSAccountId": alarm.account,
        "AlarmConfigurationUpdatedTimestamp": format_iso8601_offset(alarm.updated_at),
        "NewStateValue": told["newState"]["stateValue"],
        "NewStateReason": told["newState"]["stateReason"],
        "StateChangeTime": format_iso8601_offset(note.at),
        "Region": where,
        "AlarmArn": alarm.arn,
        "OldStateValue": told["oldState"]["stateValue"],
        "OKActions": asked.get("OKActions") or [],
        "AlarmActions": asked.get("AlarmActions") or [],
        "InsufficientDataActions": asked.get("InsufficientDataActions") or [],
    }
    if alarm.rule:
        return {**message, "AlarmRule": alarm.rule}
    trigger: dict[str, Any] = {
        "Period": asked.get("Period"),
        "EvaluationPeriods": asked["EvaluationPeriods"],
        "DatapointsToAlarm": asked.get("DatapointsToAlarm") or asked["EvaluationPeriods"],
        "ComparisonOperator": asked["ComparisonOperator"],
        "Threshold": asked["Threshold"],
        "TreatMissingData": asked.get("TreatMissingData") or "missing",
        "EvaluateLowSampleCountPercentile": "",
    }
    if asked.get("Metrics"):
        trigger["Metrics"] = asked["Metrics"]
    else:
        extended = asked.get("ExtendedStatistic")
        trigger |= {
            "MetricName": asked["MetricName"],
            "Namespace": asked["Namespace"],
            "StatisticType": "ExtendedStatistic" if extended else "Statistic",
            "Statistic": extended or _STATISTICS[asked["Statistic"]],
            "Unit": asked.get("Unit"),
            "Dimensions": [
                {"value": one["Value"], "name": one["Name"]}
                for one in asked.get("Dimensions") or []
            ],
        }
    return {**message, "Trigger": trigger}


_STATISTICS = {
    "Average": "AVERAGE", "Sum": "SUM", "Minimum": "MINIMUM", "Maximum": "MAXIMUM",
    "SampleCount": "SAMPLE_COUNT",
}  # fmt: skip
