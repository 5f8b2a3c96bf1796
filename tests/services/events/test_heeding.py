"""What AWS's services tell of themselves: alarms, keys and parameters, on the default bus."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from doppio.kernel.listening import Listening
from doppio.services.events.heeding import wanted_by
from doppio.services.events.records import WITH_READS, Rule
from tests.services.cloudwatch.test_alarms import ALARM
from tests.services.events.helpers import queue, rule
from tests.services.sns.helpers import heard
from tests.services.world import ACCOUNT, REGION, START, World, refusal, told


async def listens(world: World, **pattern: Any) -> str:
    """A queue that is told of what a pattern wants; its ARN."""
    to = await queue(world, "told")
    await rule(world, "r", {"Arn": to}, pattern=json.dumps(pattern))
    return to


async def events(world: World, arn: str) -> list[dict[str, Any]]:
    """The events in a queue, taken out of it, in the order of their kinds."""
    await world.settle()
    found = [json.loads(one["Body"]) for one in await heard(world, arn)]
    return sorted(found, key=lambda event: str(event["detail-type"]))


async def put(world: World, **more: Any) -> None:
    """Put a parameter."""
    req = {"Name": "/shop/beans", "Value": "arabica", "Type": "String", **more}
    if more.get("Overwrite"):
        del req["Type"]
    await world.call("ssm", "put_parameter", **req)


@told
async def test_what_happens_to_a_parameter_is_told(world: World) -> None:
    to = await listens(world, **{"source": ["aws.ssm"], "detail-type": ["Parameter Store Change"]})
    await put(world, Description="of the week")
    await put(world, Overwrite=True, Value="robusta")
    await world.call("ssm", "label_parameter_version", Name="/shop/beans", Labels=["good"])
    await world.call("ssm", "delete_parameter", Name="/shop/beans")
    found = await events(world, to)
    arn = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/shop/beans"
    assert {event["detail-type"] for event in found} == {"Parameter Store Change"}
    assert all(event["resources"] == [arn] for event in found)
    assert {event["source"] for event in found} == {"aws.ssm"}
    by_operation = {event["detail"]["operation"]: event["detail"] for event in found}
    assert by_operation == {
        "Create": {
            "operation": "Create", "name": "/shop/beans", "type": "String",
            "description": "of the week",
        },
        "Update": {
            "operation": "Update", "name": "/shop/beans", "type": "String",
            "description": "of the week",
        },
        "LabelParameterVersion": {
            "operation": "LabelParameterVersion", "name": "/shop/beans", "type": "String",
        },
        "Delete": {
            "operation": "Delete", "name": "/shop/beans", "type": "String",
            "description": "of the week",
        },
    }  # fmt: skip


def policies(world: World, **spans: Any) -> str:
    """Policies: an expiration in ten days, and notices."""
    ends = world.now + timedelta(days=10)
    listed: list[dict[str, Any]] = [
        {"Type": "Expiration", "Version": "1.0", "Attributes": {"Timestamp": ends.isoformat()}}
    ]
    for kind, attributes in spans.items():
        listed.append({"Type": kind, "Version": "1.0", "Attributes": attributes})
    return json.dumps(listed)


@told
async def test_policies_tell_before_a_parameter_ends_and_when_it_does_not_change(
    world: World,
) -> None:
    to = await listens(world, **{"detail-type": ["Parameter Store Policy Action"]})
    given = policies(
        world,
        ExpirationNotification={"Before": "2", "Unit": "Days"},
        NoChangeNotification={"After": "36", "Unit": "Hours"},
    )
    await put(world, Tier="Advanced", Policies=given)
    await world.advance(hours=35)
    assert await events(world, to) == []
    await world.advance(hours=2)
    (event,) = await events(world, to)
    assert event["detail"]["policy-type"] == "NoChangeNotification"
    assert event["detail"]["parameter-name"] == "/shop/beans"
    assert json.loads(event["detail"]["policy-content"])["Attributes"]["After"] == "36"
    # A change begins anew; the end stays.
    await put(world, Overwrite=True, Value="robusta", Policies=given)
    await world.advance(hours=30)
    assert await events(world, to) == []
    await world.advance(days=7)
    found = await events(world, to)
    assert sorted(event["detail"]["policy-type"] for event in found) == [
        "ExpirationNotification", "NoChangeNotification",
    ]  # fmt: skip
    await world.advance(days=3)
    (event,) = await events(world, to)
    assert event["detail"]["policy-type"] == "Expiration"
    gone = world.call("ssm", "get_parameter", Name="/shop/beans")
    assert (await refusal(gone))[0] == "ParameterNotFound"


@told
async def test_a_deleted_parameter_tells_nothing_more(world: World) -> None:
    to = await listens(world, **{"detail-type": ["Parameter Store Policy Action"]})
    notice = {"After": "1", "Unit": "Hours"}
    await put(world, Tier="Advanced", Policies=policies(world, NoChangeNotification=notice))
    await world.call("ssm", "delete_parameter", Name="/shop/beans")
    await world.advance(days=11)
    assert await events(world, to) == []


@pytest.mark.parametrize(
    ("listed", "code"),
    [
        ([{"Type": "NoChangeNotification", "Attributes": {"After": "1", "Unit": "Weeks"}}],
         "InvalidPolicyAttributeException"),
        ([{"Type": "NoChangeNotification", "Attributes": {"After": "soon", "Unit": "Days"}}],
         "InvalidPolicyAttributeException"),
        ([{"Type": "ExpirationNotification", "Attributes": {"Before": "1", "Unit": "Days"}}],
         "InvalidPolicyAttributeException"),
        ([{"Type": "Party", "Attributes": {}}], "InvalidPolicyTypeException"),
        ([{"Type": "NoChangeNotification", "Attributes": {"After": "1", "Unit": "Days"}}] * 11,
         "PoliciesLimitExceededException"),
    ],
)  # fmt: skip
def test_policies_that_mean_nothing_are_refused(listed: list[Any], code: str) -> None:
    @told
    async def story(world: World) -> None:
        told_off = world.call(
            "ssm", "put_parameter", Name="p", Value="v", Type="String", Tier="Advanced",
            Policies=json.dumps(listed),
        )  # fmt: skip
        assert (await refusal(told_off))[0] == code

    story()


@told
async def test_keys_tell_of_new_material_and_of_their_end(world: World) -> None:
    to = await listens(world, **{"source": ["aws.kms"], "detail-type": [{"prefix": "KMS"}]})
    made = (await world.call("kms", "create_key"))["KeyMetadata"]
    await world.call("kms", "enable_key_rotation", KeyId=made["KeyId"], RotationPeriodInDays=90)
    await world.advance(days=91)
    await world.call("kms", "rotate_key_on_demand", KeyId=made["KeyId"])
    found = await events(world, to)
    assert [event["detail-type"] for event in found] == ["KMS CMK Rotation"] * 2
    assert found[0]["resources"] == [made["Arn"]]
    assert found[0]["detail"] == {"key-id": made["KeyId"]}
    await world.call("kms", "schedule_key_deletion", KeyId=made["KeyId"], PendingWindowInDays=7)
    assert await events(world, to) == []
    await world.advance(days=8)
    (event,) = await events(world, to)
    assert (event["detail-type"], event["detail"]) == (
        "KMS CMK Deletion", {"key-id": made["KeyId"]},
    )  # fmt: skip


@told
async def test_an_alarm_tells_of_its_state_and_of_its_settings(world: World) -> None:
    to = await listens(world, source=["aws.cloudwatch"])
    asked = {**ALARM, "AlarmDescription": "too many", "Dimensions": [{"Name": "At", "Value": "x"}]}
    await world.call("cloudwatch", "put_metric_alarm", **asked)
    await world.settle()
    await world.call(
        "cloudwatch", "set_alarm_state", AlarmName="busy", StateValue="ALARM", StateReason="test",
        StateReasonData='{"x": 1}',
    )  # fmt: skip
    made, rung = await events(world, to)
    arn = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:busy"
    assert rung["detail-type"] == "CloudWatch Alarm State Change"
    assert rung["resources"] == made["resources"] == [arn]
    (metric,) = rung["detail"]["configuration"]["metrics"]
    assert metric.pop("id")
    assert metric == {
        "metricStat": {
            "metric": {"namespace": "Shop", "name": "Orders", "dimensions": {"At": "x"}},
            "period": 60, "stat": "Sum",
        },
        "returnData": True,
    }  # fmt: skip
    assert rung["detail"]["configuration"]["description"] == "too many"
    assert rung["detail"]["previousState"]["value"] == "INSUFFICIENT_DATA"
    assert rung["detail"]["state"] == {
        "value": "ALARM", "reason": "test", "reasonData": '{"x": 1}',
        "timestamp": "2030-01-01T00:00:00.000+0000",
    }  # fmt: skip
    assert made["detail-type"] == "CloudWatch Alarm Configuration Change"
    assert made["detail"]["operation"] == "create"
    settings = made["detail"]["configuration"]
    assert (settings["threshold"], settings["evaluationPeriods"]) == (10.0, 1)
    assert settings["comparisonOperator"] == "GreaterThanThreshold"

    await world.call("cloudwatch", "put_metric_alarm", **{**asked, "Threshold": 20.0})
    await world.call("cloudwatch", "disable_alarm_actions", AlarmNames=["busy"])
    await world.call("cloudwatch", "delete_alarms", AlarmNames=["busy"])
    found = [
        event["detail"]
        for event in await events(world, to)
        if event["detail-type"] == "CloudWatch Alarm Configuration Change"
    ]
    changes = {(one["operation"], one["configuration"]["actionsEnabled"]): one for one in found}
    assert set(changes) == {("update", True), ("update", False), ("delete", False)}
    assert changes[("update", True)]["previousConfiguration"]["threshold"] == 10.0
    assert changes[("update", True)]["state"]["value"] == "ALARM"


@told
async def test_an_alarm_over_alarms_tells_its_rule(world: World) -> None:
    await world.call("cloudwatch", "put_metric_alarm", **ALARM)
    await world.settle()
    pattern = {"source": ["aws.cloudwatch"], "detail": {"state": {"value": ["ALARM"]}}}
    to = await listens(world, **pattern)
    await world.call("cloudwatch", "put_composite_alarm", AlarmName="all", AlarmRule="ALARM(busy)")
    await world.call(
        "cloudwatch", "set_alarm_state", AlarmName="busy", StateValue="ALARM", StateReason="test"
    )
    told_of = {event["detail"]["alarmName"]: event["detail"] for event in await events(world, to)}
    assert told_of["all"]["configuration"] == {"alarmRule": "ALARM(busy)"}
    assert "busy" in told_of


@told
async def test_what_was_told_reaches_the_bus_after_a_crash(world: World) -> None:
    to = await listens(world, **{"source": ["aws.ssm"], "detail-type": ["Parameter Store Change"]})
    await put(world)
    after = world.again()
    await after.start()
    found = await events(after, to)
    assert found
    assert {event["detail"]["operation"] for event in found} == {"Create"}
    await after.close()


@told
async def test_who_listens_is_known_from_the_rules_of_the_default_bus(world: World) -> None:
    async def row() -> Listening | None:
        return await world.cloud.root_context().read().get(Listening, ACCOUNT, REGION)

    assert await row() is None
    await world.call("events", "create_event_bus", Name="own")
    await rule(world, "far", pattern='{"source": ["aws.ssm"]}', EventBusName="own")
    assert await row() is None
    await rule(world, "r", pattern='{"source": ["aws.ssm"]}')
    found = await row()
    assert found is not None
    assert (found.sources, found.calls) == (["aws.ssm"], [])
    await world.call("events", "disable_rule", Name="r")
    assert await row() is None
    await world.call("events", "enable_rule", Name="r")
    assert await row() == found
    await world.call("events", "delete_rule", Name="r")
    assert await row() is None
    bus = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default"
    await world.call("events", "create_archive", ArchiveName="a", EventSourceArn=bus)
    found = await row()
    assert found is not None
    assert found.sources is None
    await world.call("events", "delete_archive", ArchiveName="a")
    assert await row() is None


def a_rule(pattern: dict[str, Any], state: str = "ENABLED") -> Rule:
    """A rule with a pattern."""
    return Rule(
        account=ACCOUNT, region=REGION, bus="default", name="r", partition="aws",
        created_by=ACCOUNT, since=START, pattern=json.dumps(pattern), state=state,
    )  # fmt: skip


CALL = "AWS API Call via CloudTrail"


@pytest.mark.parametrize(
    ("patterns", "wanted"),
    [
        ([], ([], [])),
        ([{"source": ["shop"]}], (["shop"], [])),
        ([{"source": ["aws.sqs"], "detail-type": ["x"]}], (["aws.sqs"], [])),
        ([{"source": ["aws.sqs"], "detail-type": [CALL]}], (["aws.sqs"], ["aws.sqs"])),
        ([{"source": [{"prefix": "aws."}], "detail-type": ["x"]}], (None, [])),
        ([{"detail-type": [{"prefix": "AWS API"}]}], (None, None)),
        ([{"$or": [{"source": ["a"]}, {"detail-type": ["x"]}]}], (None, [])),
        ([{"$or": [{"source": ["a"]}, {"detail-type": [CALL]}]}], (None, None)),
        ([{"source": ["b"], "detail-type": [CALL]}, {"source": ["a"]}], (["a", "b"], ["b"])),
        ([{"source": ["b"]}, {"account": ["1"]}], (None, [])),
    ],
)
def test_what_patterns_may_want(patterns: list[Any], wanted: Any) -> None:
    assert wanted_by([a_rule(pattern) for pattern in patterns]) == (*wanted, [])
    reading = [a_rule(pattern, WITH_READS) for pattern in patterns]
    assert wanted_by(reading) == (*wanted, wanted[1])
    assert wanted_by([a_rule(pattern, "DISABLED") for pattern in patterns]) == ([], [], [])


@told
async def test_rules_of_a_store_that_knew_of_no_listening_are_heeded_after_a_start(
    world: World,
) -> None:
    to = await listens(world, source=["aws.ssm"])

    async def forget(tx: Any) -> None:
        found = await tx.get(Listening, ACCOUNT, REGION)
        tx.delete(found)

    await world.cloud.root_context().transact(forget)
    await put(world)
    assert await events(world, to) == []
    after = world.again()
    await after.start()
    await after.settle()
    await put(after, Overwrite=True, Value="robusta")
    assert [event["detail"]["operation"] for event in await events(after, to)] == ["Update"]
    await after.close()
