"""Alarms of CloudWatch, through the door: they ring, tell and are told of."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from doppio.services.cloudwatch.composite import BadRule, holds
from doppio.services.cloudwatch.judging import judged
from tests.services.kms.helpers import allow, user
from tests.services.sns.helpers import heard, queue, subscribe, topic
from tests.services.world import ACCOUNT, World, refusal, told

ALARM: dict[str, Any] = {
    "AlarmName": "busy", "Namespace": "Shop", "MetricName": "Orders", "Statistic": "Sum",
    "Period": 60, "EvaluationPeriods": 1, "Threshold": 10.0,
    "ComparisonOperator": "GreaterThanThreshold",
}  # fmt: skip


async def put(world: World, value: float) -> None:
    datum = {"MetricName": "Orders", "Value": value}
    await world.call("cloudwatch", "put_metric_data", Namespace="Shop", MetricData=[datum])


async def alarm(world: World, **more: Any) -> None:
    await world.call("cloudwatch", "put_metric_alarm", **{**ALARM, **more})


async def state(world: World, name: str = "busy", kind: str = "MetricAlarm") -> Any:
    answer = await world.call(
        "cloudwatch", "describe_alarms", AlarmNames=[name], AlarmTypes=[kind]
    )  # fmt: skip
    return (answer["MetricAlarms"] or answer["CompositeAlarms"])[0]


async def rung(world: World, heard_by: str, count: int) -> list[dict[str, Any]]:
    """So many notifications; the first of a world waits for a key that is made in a thread."""
    found: list[dict[str, Any]] = []
    for _ in range(500):
        await world.settle()
        found += await heard(world, heard_by)
        if len(found) >= count:
            break
        await asyncio.sleep(0.01)
    return found


@told
async def test_an_alarm_rings_tells_its_topic_and_calms_down(world: World) -> None:
    arn = await topic(world)
    heard_by = await queue(world, "bell")
    await subscribe(world, arn, heard_by)
    await alarm(world, AlarmActions=[arn], OKActions=[arn], AlarmDescription="too many")
    assert (await state(world))["StateReason"] == "Unchecked: Initial alarm creation"
    await put(world, 25)
    await world.advance(seconds=61)
    found = await state(world)
    assert found["StateValue"] == "ALARM"
    assert found["StateReason"] == (
        "Threshold Crossed: 1 out of the last 1 datapoints [25.0 (01/01/30 00:00:00)] was greater "
        "than the threshold (10.0) (minimum 1 datapoint for INSUFFICIENT_DATA -> ALARM transition)."
    )
    await put(world, 5)
    await world.advance(seconds=61)
    assert (await state(world))["StateValue"] == "OK"
    # A standard queue promises no order.
    notes = [json.loads(one["Body"]) for one in await rung(world, heard_by, 2)]
    notes.sort(key=lambda note: str(note["Subject"]))
    assert [note["Subject"] for note in notes] == [
        'ALARM: "busy" in US East (N. Virginia)', 'OK: "busy" in US East (N. Virginia)',
    ]  # fmt: skip
    message = json.loads(notes[0]["Message"])
    assert (message["OldStateValue"], message["NewStateValue"]) == ("INSUFFICIENT_DATA", "ALARM")
    assert message["Trigger"]["Statistic"] == "SUM"
    assert message["AlarmArn"] == f"arn:aws:cloudwatch:us-east-1:{ACCOUNT}:alarm:busy"
    history = await world.call("cloudwatch", "describe_alarm_history", AlarmName="busy")
    kinds = [one["HistoryItemType"] for one in history["AlarmHistoryItems"]]
    assert sorted(kinds) == ["Action"] * 2 + ["ConfigurationUpdate"] + ["StateUpdate"] * 2
    updates = await world.call(
        "cloudwatch", "describe_alarm_history", HistoryItemType="StateUpdate", MaxRecords=1
    )
    (update,) = updates["AlarmHistoryItems"]
    assert update["HistorySummary"] == "Alarm updated from ALARM to OK"
    more = await world.call(
        "cloudwatch", "describe_alarm_history", HistoryItemType="StateUpdate", MaxRecords=1,
        NextToken=updates["NextToken"],
    )  # fmt: skip
    assert "to ALARM" in more["AlarmHistoryItems"][0]["HistorySummary"]


@told
async def test_a_topic_whose_policy_keeps_alarms_out_is_not_told(world: World) -> None:
    arn = await topic(world)
    nobody = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [allow("sns:Publish", arn, Principal={"Service": "events.amazonaws.com"})],
        }
    )
    await world.call(
        "sns", "set_topic_attributes", TopicArn=arn, AttributeName="Policy", AttributeValue=nobody
    )
    await alarm(world, AlarmActions=[arn])
    await world.call(
        "cloudwatch", "set_alarm_state", AlarmName="busy", StateValue="ALARM", StateReason="test"
    )
    await world.settle()
    history = await world.call(
        "cloudwatch", "describe_alarm_history", AlarmName="busy", HistoryItemType="Action"
    )
    (line,) = history["AlarmHistoryItems"]
    assert line["HistorySummary"] == f"Failed to execute action {arn}"


@told
async def test_actions_can_be_switched_off_and_states_set(world: World) -> None:
    arn = await topic(world)
    heard_by = await queue(world, "bell")
    await subscribe(world, arn, heard_by)
    await alarm(world, AlarmActions=[arn])
    await world.call("cloudwatch", "disable_alarm_actions", AlarmNames=["busy"])
    await world.call(
        "cloudwatch", "set_alarm_state", AlarmName="busy", StateValue="ALARM", StateReason="test"
    )
    await world.settle()
    assert await heard(world, heard_by) == []
    found = await state(world)
    assert (found["StateValue"], found["ActionsEnabled"]) == ("ALARM", False)
    await world.advance(seconds=61)
    assert (await state(world))["StateReason"] == "Insufficient Data: 1 datapoint was unknown."
    await world.call("cloudwatch", "enable_alarm_actions", AlarmNames=["busy"])
    await world.call("cloudwatch", "delete_alarms", AlarmNames=["busy"])
    gone = world.call("cloudwatch", "delete_alarms", AlarmNames=["busy"])
    assert (await refusal(gone))[0] == "ResourceNotFound"
    missing = world.call(
        "cloudwatch", "set_alarm_state", AlarmName="busy", StateValue="OK", StateReason="x"
    )
    assert (await refusal(missing))[0] == "ResourceNotFound"


@told
async def test_an_alarm_may_watch_an_expression(world: World) -> None:
    metric = {"Namespace": "Shop", "MetricName": "Orders"}
    metrics = [
        {"Id": "m1", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"},
         "ReturnData": False},
        {"Id": "e1", "Expression": "m1 * 100"},
    ]  # fmt: skip
    await world.call(
        "cloudwatch", "put_metric_alarm", AlarmName="math", Metrics=metrics, EvaluationPeriods=1,
        Threshold=500.0, ComparisonOperator="LessThanThreshold", TreatMissingData="notBreaching",
    )  # fmt: skip
    await put(world, 4)
    await world.advance(seconds=61)
    assert (await state(world, "math"))["StateValue"] == "ALARM"
    await world.advance(minutes=10)
    assert (await state(world, "math"))["StateValue"] == "OK"


@told
async def test_a_composite_alarm_follows_others(world: World) -> None:
    await alarm(world)
    await alarm(world, AlarmName="other")
    both: dict[str, Any] = {"AlarmName": "both", "AlarmRule": 'ALARM("busy") AND NOT OK(other)'}
    await world.call("cloudwatch", "put_composite_alarm", **both)
    await world.settle()
    assert (await state(world, "both", "CompositeAlarm"))["StateValue"] == "OK"
    await world.call(
        "cloudwatch", "set_alarm_state", AlarmName="busy", StateValue="ALARM", StateReason="x"
    )
    await world.settle()
    assert (await state(world, "both", "CompositeAlarm"))["StateValue"] == "ALARM"
    await world.call(
        "cloudwatch", "set_alarm_state", AlarmName="other", StateValue="OK", StateReason="x"
    )
    await world.settle()
    assert (await state(world, "both", "CompositeAlarm"))["StateValue"] == "OK"
    wrong = world.call(
        "cloudwatch", "put_composite_alarm", AlarmName="x", AlarmRule="ALARM(nobody)"
    )
    assert (await refusal(wrong))[0] == "ValidationException"


@told
async def test_alarms_are_listed_and_found_by_their_metric(world: World) -> None:
    for name in ("a1", "a2", "b1"):
        await alarm(world, AlarmName=name)
    first = await world.call("cloudwatch", "describe_alarms", MaxRecords=2)
    assert [one["AlarmName"] for one in first["MetricAlarms"]] == ["a1", "a2"]
    rest = await world.call(
        "cloudwatch", "describe_alarms", MaxRecords=2, NextToken=first["NextToken"]
    )
    assert [one["AlarmName"] for one in rest["MetricAlarms"]] == ["b1"]
    prefixed = await world.call("cloudwatch", "describe_alarms", AlarmNamePrefix="a")
    assert len(prefixed["MetricAlarms"]) == 2
    found = await world.call(
        "cloudwatch", "describe_alarms_for_metric", Namespace="Shop", MetricName="Orders"
    )
    assert len(found["MetricAlarms"]) == 3
    arn = found["MetricAlarms"][0]["AlarmArn"]
    await world.call(
        "cloudwatch", "tag_resource", ResourceARN=arn, Tags=[{"Key": "a", "Value": "b"}]
    )
    listed = await world.call("cloudwatch", "list_tags_for_resource", ResourceARN=arn)
    assert listed["Tags"] == [{"Key": "a", "Value": "b"}]
    await world.call("cloudwatch", "untag_resource", ResourceARN=arn, TagKeys=["a"])
    clerk = await user(world, "clerk", allow("cloudwatch:DeleteAlarms", arn))
    await world.call("cloudwatch", "delete_alarms", AlarmNames=["a1"], caller=clerk)
    other = world.call("cloudwatch", "delete_alarms", AlarmNames=["a2"], caller=clerk)
    assert (await refusal(other))[0] == "AccessDeniedException"
    for more, code in (
        ({"Threshold": None}, "MissingRequiredParameterException"),
        ({"EvaluationPeriods": 2_000}, "ValidationException"),
        ({"DatapointsToAlarm": 2}, "ValidationException"),
        ({"AlarmActions": ["no-arn"]}, "ValidationException"),
        ({"AlarmActions": ["arn:aws:automate:us-east-1:ec2:stop"]}, "NotImplemented"),
        ({"Period": 61}, "InvalidParameterValueException"),
    ):
        req = {name: value for name, value in {**ALARM, **more}.items() if value is not None}
        call = world.call("cloudwatch", "put_metric_alarm", **req)
        assert (await refusal(call))[0] == code


@told
async def test_an_alarm_rings_after_a_crash_too(world: World) -> None:
    await alarm(world)
    await put(world, 25)
    other = world.again()
    await other.start()
    try:
        await other.advance(timedelta(seconds=61).total_seconds())
        assert (await state(other))["StateValue"] == "ALARM"
    finally:
        await other.close()


# The tables of "Configuring how CloudWatch alarms treat missing data": 0 fine, X beyond, - nothing.
@pytest.mark.parametrize(
    ("needed", "seen", "states"),
    [
        (3, "0-X-X", ["OK", "OK", "OK", "OK"]),
        (3, "----0", ["OK", "OK", "OK", "OK"]),
        (3, "-----", ["INSUFFICIENT_DATA", None, "ALARM", "OK"]),
        (3, "0XX-X", ["ALARM", "ALARM", "ALARM", "ALARM"]),
        (3, "--X--", ["ALARM", None, "ALARM", "OK"]),
        (2, "0-X-X", ["ALARM", "ALARM", "ALARM", "ALARM"]),
        (2, "00X0X", ["ALARM", "ALARM", "ALARM", "ALARM"]),
        (2, "0-X--", ["OK", "OK", "ALARM", "OK"]),
        (2, "----0", ["OK", "OK", "ALARM", "OK"]),
        (2, "---X-", ["ALARM", None, "ALARM", "OK"]),
    ],
)
def test_missing_data_are_treated_as_the_tables_say(
    needed: int, seen: str, states: list[str | None]
) -> None:
    values = [{"0": 0.0, "X": 1.0, "-": None}[one] for one in seen]
    ways = ("missing", "ignore", "breaching", "notBreaching")
    found = [
        judged(
            values, needed=needed, of=3, comparison="GreaterThanThreshold", threshold=0.5,
            missing=way,
        ).state
        for way in ways
    ]  # fmt: skip
    assert found == states


def test_rules_are_read_with_their_precedence() -> None:
    states = {"a": "ALARM", "b": "OK", "c d": "INSUFFICIENT_DATA"}.__getitem__
    for rule, value in (
        ("ALARM(a)", True),
        ("ALARM(a) AND ALARM(b)", False),
        ("ALARM(a) OR ALARM(b) AND FALSE", True),
        ("(ALARM(a) OR ALARM(b)) AND FALSE", False),
        ('NOT INSUFFICIENT_DATA("c d")', False),
        ("OK(arn:aws:cloudwatch:us-east-1:1:alarm:b)", True),
    ):
        assert holds(rule, states) is value
    for rule in ("", "ALARM()", "ALARM(a) ALARM(b)", "(ALARM(a)", "x"):
        with pytest.raises(BadRule):
            holds(rule, states)
