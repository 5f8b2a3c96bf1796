"""Application Auto Scaling, through the door: capacity follows its use."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from doppio.services.application_autoscaling.service import SERVICE
from doppio.wire import model
from tests.services.dynamodb.helpers import caller, index, put
from tests.services.world import ACCOUNT, OTHER, REGION, START, World, refusal, run, told

from .helpers import (
    DIMENSION,
    TABLE,
    TRACKING,
    activities,
    call,
    minutes,
    register,
    table,
    track,
    writes,
)

ROLE = (
    f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/dynamodb.application-autoscaling.amazonaws.com/"
    "AWSServiceRoleForApplicationAutoScaling_DynamoDBTable"
)
_TEXT = (
    "No scalable target registered for service namespace: dynamodb, resource ID: table/orders, "
    "scalable dimension: dynamodb:table:WriteCapacityUnits"
)
NOT_REGISTERED = ("ObjectNotFoundException", _TEXT)


def test_every_operation_is_one_of_the_model() -> None:
    assert set(SERVICE.operations) <= set(model.load("application-autoscaling").by_method)


@told
async def test_a_target_is_registered_described_and_deregistered(world: World) -> None:
    await table(world)
    made = await register(world)
    found = await call(world, "describe_scalable_targets", ServiceNamespace="dynamodb")
    assert found["ScalableTargets"] == [
        {
            **TABLE, "MinCapacity": 5, "MaxCapacity": 100, "RoleARN": ROLE,
            "CreationTime": START + timedelta(seconds=1),
            "ScalableTargetARN": made["ScalableTargetARN"],
            "SuspendedState": {
                "DynamicScalingInSuspended": False, "DynamicScalingOutSuspended": False,
                "ScheduledScalingSuspended": False,
            },
        }
    ]  # fmt: skip
    assert made["ScalableTargetARN"].startswith(
        f"arn:aws:application-autoscaling:{REGION}:{ACCOUNT}:scalable-target/"
    )
    assert (await register(world, most=50)) == made
    await call(world, "deregister_scalable_target", **TABLE)
    found = await call(world, "describe_scalable_targets", ServiceNamespace="dynamodb")
    assert found["ScalableTargets"] == []
    assert await refusal(call(world, "deregister_scalable_target", **TABLE)) == NOT_REGISTERED


@told
async def test_what_cannot_be_scaled_is_refused(world: World) -> None:
    await table(world)
    bounds = {"MinCapacity": 1, "MaxCapacity": 2}

    async def why(**more: Any) -> tuple[str, str]:
        req = {**TABLE, **bounds, **more}
        return await refusal(call(world, "register_scalable_target", **req))

    assert await why(ResourceId="table/nothing") == (
        "ValidationException", "DynamoDB table does not exist: table/nothing",
    )  # fmt: skip
    unsupported = "Unsupported service namespace, resource type or scalable dimension"
    assert (await why(ResourceId="orders"))[1] == unsupported
    assert (await why(ScalableDimension="dynamodb:index:ReadCapacityUnits"))[1] == unsupported
    assert (await why(ServiceNamespace="ecs"))[1] == unsupported
    code, _ = await why(ServiceNamespace="ecs", ScalableDimension="ecs:service:DesiredCount")
    assert code == "NotImplemented"
    assert (await why(MinCapacity=3))[0] == "ValidationException"
    assert (await why(MinCapacity=0))[0] == "ValidationException"
    assert (await refusal(call(world, "register_scalable_target", **TABLE)))[0] == (
        "ValidationException"
    )
    assert await refusal(track(world)) == NOT_REGISTERED


@told
async def test_a_policy_has_the_alarms_that_aws_makes(world: World) -> None:
    await table(world)
    await register(world)
    made = await track(world)
    assert made["PolicyARN"].startswith(f"arn:aws:autoscaling:{REGION}:{ACCOUNT}:scalingPolicy:")
    assert made["PolicyARN"].endswith(":resource/dynamodb/table/orders:policyName/half")
    got = await world.call("cloudwatch", "describe_alarms")
    assert {one["AlarmName"] for one in got["MetricAlarms"]} == {
        one["AlarmName"] for one in made["Alarms"]
    }
    shown = {
        one["AlarmName"].split("-")[2]: (
            one["MetricName"], one["Threshold"], one["EvaluationPeriods"], one["Period"],
            one["Statistic"], one["ComparisonOperator"],
        )
        for one in got["MetricAlarms"]
    }  # fmt: skip
    consumed, bought = "ConsumedWriteCapacityUnits", "ProvisionedWriteCapacityUnits"
    more, less = "GreaterThanThreshold", "LessThanThreshold"
    assert shown == {
        "AlarmHigh": (consumed, 150.0, 2, 60, "Sum", more),
        "AlarmLow": (consumed, 120.0, 15, 60, "Sum", less),
        "ProvisionedCapacityHigh": (bought, 5.0, 3, 300, "Average", more),
        "ProvisionedCapacityLow": (bought, 5.0, 3, 300, "Average", less),
    }
    assert all(one["AlarmActions"] == [made["PolicyARN"]] for one in got["MetricAlarms"])
    found = await call(world, "describe_scaling_policies", ServiceNamespace="dynamodb")
    [policy] = found["ScalingPolicies"]
    assert policy["TargetTrackingScalingPolicyConfiguration"] == TRACKING
    assert policy["Alarms"] == made["Alarms"]
    key = {**TABLE, "PolicyName": "half"}
    await call(world, "delete_scaling_policy", **key)
    await world.settle()
    assert (await world.call("cloudwatch", "describe_alarms"))["MetricAlarms"] == []
    assert (await refusal(call(world, "delete_scaling_policy", **key)))[0] == (
        "ObjectNotFoundException"
    )


@told
async def test_capacity_grows_with_its_use_and_falls_back_with_it(world: World) -> None:
    await table(world)
    await register(world)
    await track(world)
    # 10 units a second of 5: three minutes, and there is enough for half of it to be used.
    await minutes(world, 4, per_minute=600)
    assert await writes(world) == 20
    [done] = await activities(world)
    assert done["StatusCode"] == "Successful"
    assert done["Description"] == "Setting write capacity units to 20."
    assert done["StatusMessage"] == (
        "Successfully set write capacity units to 20. Change successfully fulfilled by dynamodb."
    )
    assert "-AlarmHigh-" in done["Cause"]
    assert done["Cause"].endswith(" in state ALARM triggered policy half")
    # A fresh threshold: what was too much is enough now.
    await minutes(world, 5, per_minute=600)
    assert await writes(world) == 20
    await minutes(world, 17, per_minute=60)
    assert await writes(world) == 5
    last = (await activities(world))[-1]
    assert "-AlarmLow-" in last["Cause"]


@told
async def test_real_writes_are_what_it_follows(world: World) -> None:
    await table(world)
    await register(world)
    await track(world)
    for minute in range(4):
        for number in range(5):
            await put(world, id=f"{minute}-{number}", x="x" * (100 * 1024 - 50))
        await world.cloud.metrics.flush()
        await world.advance(60)
    # 500 units a minute are 8.3 a second: half of 17.
    assert await writes(world) == 17
    # And where nobody writes any more, it takes all back.
    for _ in range(20):
        await world.advance(60)
    assert await writes(world) == 5


@told
async def test_capacity_stays_within_its_bounds_and_says_why(world: World) -> None:
    await table(world)
    await register(world, most=12)
    await track(world)
    await minutes(world, 4, per_minute=6_000)
    assert await writes(world) == 12
    await minutes(world, 4, per_minute=6_000)
    assert await writes(world) == 12
    assert len(await activities(world)) == 1
    # Once, however long it stays so.
    found = await activities(world, IncludeNotScaledActivities=True)
    [last] = [one for one in found if one["StatusCode"] == "Unfulfilled"]
    assert last["NotScaledReasons"] == [{"Code": "AlreadyAtMaxCapacity", "MaxCapacity": 12}]


@told
async def test_new_bounds_bring_capacity_within_them(world: World) -> None:
    await table(world)
    await register(world, least=8)
    await world.advance(1)
    assert await writes(world) == 8
    await register(world, least=1, most=3)
    await world.advance(5)
    assert await writes(world) == 3
    assert [one["Cause"] for one in await activities(world)] == [
        "minimum capacity was set to 8", "maximum capacity was set to 3",
    ]  # fmt: skip


@told
async def test_suspended_scaling_does_nothing(world: World) -> None:
    await table(world)
    await register(world, SuspendedState={"DynamicScalingOutSuspended": True})
    await track(world)
    await minutes(world, 4, per_minute=600)
    assert await writes(world) == 5
    await register(world, SuspendedState={"DynamicScalingOutSuspended": False})
    await minutes(world, 1, per_minute=600)
    await world.advance(2)
    assert await writes(world) == 20


@told
async def test_a_cooldown_is_waited_for(world: World) -> None:
    await table(world)
    await register(world)
    await track(world, ScaleOutCooldown=600)
    await minutes(world, 4, per_minute=600)
    assert await writes(world) == 20
    await minutes(world, 4, per_minute=3_000)
    assert await writes(world) == 20
    await minutes(world, 8, per_minute=3_000)
    assert await writes(world) == 100


@told
async def test_without_scaling_in_there_is_no_alarm_for_it(world: World) -> None:
    await table(world)
    await register(world)
    await track(world)
    made = await track(world, DisableScaleIn=True)
    await world.settle()
    kinds = {one["AlarmName"].split("-")[2] for one in made["Alarms"]}
    assert kinds == {"AlarmHigh", "ProvisionedCapacityHigh", "ProvisionedCapacityLow"}
    assert len((await world.call("cloudwatch", "describe_alarms"))["MetricAlarms"]) == 3


@told
async def test_a_metric_of_ones_own_is_tracked(world: World) -> None:
    await table(world)
    await register(world)
    metric = {"MetricName": "Guests", "Namespace": "Shop", "Statistic": "Average"}
    await call(
        world, "put_scaling_policy", **TABLE, PolicyName="own", PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 10.0, "CustomizedMetricSpecification": metric,
        },
    )  # fmt: skip
    for _ in range(8):
        # As many guests as always: each unit has the fewer, the more there are.
        datum = {"MetricName": "Guests", "Value": 150.0 / await writes(world)}
        await world.call("cloudwatch", "put_metric_data", Namespace="Shop", MetricData=[datum])
        await world.advance(60)
    assert await writes(world) == 15


@told
async def test_an_index_is_scaled_by_itself(world: World) -> None:
    bought = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
    gsi = {**index("by_g", "g"), "ProvisionedThroughput": bought}
    await table(world, kinds={"id": "S", "g": "S"}, GlobalSecondaryIndexes=[gsi])
    await register(
        world, least=9, ResourceId="table/orders/index/by_g",
        ScalableDimension="dynamodb:index:ReadCapacityUnits",
    )  # fmt: skip
    await world.advance(1)
    got = await caller(world)("describe_table", TableName="orders")
    [shown] = got["Table"]["GlobalSecondaryIndexes"]
    assert shown["ProvisionedThroughput"]["ReadCapacityUnits"] == 9
    assert shown["ProvisionedThroughput"]["WriteCapacityUnits"] == 5
    assert await writes(world) == 5


@told
async def test_scheduled_actions_change_the_bounds_at_their_times(world: World) -> None:
    await table(world)
    await register(world)
    plan = {**TABLE, "ScheduledActionName": "noon", "Schedule": "cron(0 12 * * ? *)"}
    await call(world, "put_scheduled_action", **plan, ScalableTargetAction={"MinCapacity": 40})
    found = await call(world, "describe_scheduled_actions", ServiceNamespace="dynamodb")
    [shown] = found["ScheduledActions"]
    assert shown["ScalableTargetAction"] == {"MinCapacity": 40}
    assert shown["Schedule"] == plan["Schedule"]
    await world.advance(hours=12)
    await world.advance(1)
    assert await writes(world) == 40
    assert [one["Cause"] for one in await activities(world)] == ["minimum capacity was set to 40"]
    await register(world, least=5, SuspendedState={"ScheduledScalingSuspended": True})
    await world.advance(days=1)
    got = await call(world, "describe_scalable_targets", ServiceNamespace="dynamodb")
    assert got["ScalableTargets"][0]["MinCapacity"] == 5
    key = {**TABLE, "ScheduledActionName": "noon"}
    await call(world, "delete_scheduled_action", **key)
    assert (await refusal(call(world, "delete_scheduled_action", **key)))[0] == (
        "ObjectNotFoundException"
    )


@told
async def test_an_action_of_one_time_runs_once(world: World) -> None:
    await table(world)
    await register(world)
    req = {**TABLE, "ScheduledActionName": "once", "ScalableTargetAction": {"MaxCapacity": 3}}
    await call(world, "put_scheduled_action", **req, Schedule="at(2030-01-01T00:10:00)")
    await world.advance(minutes=10)
    await world.advance(5)
    assert await writes(world) == 3
    past = call(world, "put_scheduled_action", **req, Schedule="at(2030-01-01T00:09:00)")
    assert (await refusal(past))[0] == "ValidationException"
    bad = call(world, "put_scheduled_action", **req, Schedule="sometimes")
    assert (await refusal(bad))[0] == "ValidationException"


@told
async def test_a_role_that_is_gone_scales_nothing(world: World) -> None:
    await table(world)
    await register(world)
    await track(world)
    got = await world.call(
        "iam", "delete_service_linked_role", RoleName=ROLE.rsplit("/", maxsplit=1)[-1]
    )
    await world.settle()
    status = await world.call(
        "iam", "get_service_linked_role_deletion_status", DeletionTaskId=got["DeletionTaskId"]
    )
    # Its targets hold it.
    assert status["Status"] == "FAILED"
    [usage] = status["Reason"]["RoleUsageList"]
    assert usage["Region"] == REGION


@told
async def test_a_table_that_was_deleted_is_left_alone(world: World) -> None:
    await table(world)
    await register(world)
    await track(world)
    await caller(world)("delete_table", TableName="orders")
    await world.advance(1)
    await minutes(world, 4, per_minute=600)
    assert await activities(world) == []


@told
async def test_targets_have_tags(world: World) -> None:
    await table(world)
    arn = (await register(world, Tags={"team": "bar"}))["ScalableTargetARN"]
    await call(world, "tag_resource", ResourceARN=arn, Tags={"cost": "1"})
    await call(world, "untag_resource", ResourceARN=arn, TagKeys=["team"])
    assert (await call(world, "list_tags_for_resource", ResourceARN=arn))["Tags"] == {"cost": "1"}
    many = {str(number): "" for number in range(50)}
    assert (await refusal(call(world, "tag_resource", ResourceARN=arn, Tags=many)))[0] == (
        "TooManyTagsException"
    )
    gone = call(world, "list_tags_for_resource", ResourceARN=arn[:-1] + "0")
    assert (await refusal(gone))[0] == "ResourceNotFoundException"


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"TargetValue": 95.0}, "Target value must be between 20 and 90"),
        ({"CustomizedMetricSpecification": {"MetricName": "m"}}, "Exactly one of"),
        ({"ScaleInCooldown": -1}, "ScaleInCooldown must be"),
        (
            {"PredefinedMetricSpecification": {
                "PredefinedMetricType": "DynamoDBReadCapacityUtilization"}},
            "is not supported for scalable dimension",
        ),
    ],
)  # fmt: skip
def test_a_policy_that_cannot_be_is_refused(config: dict[str, Any], text: str) -> None:
    async def story(world: World) -> None:
        await table(world)
        await register(world)
        code, message = await refusal(track(world, **config))
        assert code == "ValidationException"
        assert text in message

    run(story)


@told
async def test_steps_and_predictions_are_not_for_dynamodb(world: World) -> None:
    await table(world)
    await register(world)
    step = {"AdjustmentType": "ChangeInCapacity", "StepAdjustments": []}
    for more in (
        {"StepScalingPolicyConfiguration": step},
        {"PolicyType": "PredictiveScaling"},
    ):
        req = {**TABLE, "PolicyName": "p", **more}
        assert (await refusal(call(world, "put_scaling_policy", **req)))[0] == (
            "ValidationException"
        )
    await track(world)
    assert await refusal(track(world, "another")) == (
        "ValidationException",
        "Only one TargetTrackingScaling policy for a given metric specification is allowed.",
    )


@told
async def test_lists_come_by_page(world: World) -> None:
    await table(world)
    await register(world)
    await register(world, ScalableDimension="dynamodb:table:ReadCapacityUnits")
    seen = []
    req: dict[str, Any] = {"ServiceNamespace": "dynamodb", "MaxResults": 1}
    while True:
        page = await call(world, "describe_scalable_targets", **req)
        seen += [one["ScalableDimension"] for one in page["ScalableTargets"]]
        if "NextToken" not in page:
            break
        req["NextToken"] = page["NextToken"]
    assert seen == ["dynamodb:table:ReadCapacityUnits", DIMENSION]
    bad = call(world, "describe_scaling_policies", ServiceNamespace="dynamodb", NextToken="x")
    assert (await refusal(bad))[0] == "InvalidNextTokenException"


@told
async def test_thresholds_follow_capacity_that_somebody_else_has_changed(world: World) -> None:
    await table(world)
    await register(world)
    await track(world)
    bought = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 50}
    await caller(world)("update_table", TableName="orders", ProvisionedThroughput=bought)
    await put(world, id="1")
    await world.cloud.metrics.flush()
    await minutes(world, 25, per_minute=1_300)
    got = await world.call("cloudwatch", "describe_alarms")
    [high] = [one for one in got["MetricAlarms"] if "-AlarmHigh-" in one["AlarmName"]]
    for one in await activities(world):
        print(one)
    assert high["Threshold"] == 1_500.0


@told
async def test_an_alarm_acts_on_policies_of_its_own_account_alone(world: World) -> None:
    await table(world)
    await register(world)
    policy = (await track(world))["PolicyARN"]
    watch = {
        "Namespace": "Shop", "MetricName": "Orders", "Statistic": "Sum", "Period": 60,
        "EvaluationPeriods": 1, "Threshold": 1.0, "ComparisonOperator": "GreaterThanThreshold",
    }  # fmt: skip
    broken = f"arn:aws:autoscaling:{REGION}:{OTHER}:resource/x"
    for name, arn in (("foreign", policy), ("broken", broken)):
        await world.call(
            "cloudwatch", "put_metric_alarm", AlarmName=name, AlarmActions=[arn], account=OTHER,
            **watch,
        )  # fmt: skip
        await world.call(
            "cloudwatch", "set_alarm_state", AlarmName=name, StateValue="ALARM", StateReason="x",
            account=OTHER,
        )  # fmt: skip
        await world.settle()
        history = await world.call(
            "cloudwatch", "describe_alarm_history", AlarmName=name, HistoryItemType="Action",
            account=OTHER,
        )  # fmt: skip
        [line] = history["AlarmHistoryItems"]
        assert "No scaling policy found" in line["HistoryData"]
    assert await activities(world, IncludeNotScaledActivities=True) == []
