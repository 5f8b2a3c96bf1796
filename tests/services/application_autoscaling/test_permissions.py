"""Every operation asks for its action on its target."""

from __future__ import annotations

from typing import Any

from doppio.services.application_autoscaling.records import target_id
from doppio.services.application_autoscaling.service import SERVICE
from doppio.wire import model
from tests.services.kms.helpers import allow, user
from tests.services.world import ACCOUNT, REGION, World, refusal, refused, told

from .helpers import DIMENSION, TABLE, TRACKING, call, register, table

ARN = f"arn:aws:application-autoscaling:{REGION}:{ACCOUNT}:scalable-target/" + target_id(
    ACCOUNT, REGION, "dynamodb", "table/orders", DIMENSION
)
ALL = {"ServiceNamespace": "dynamodb"}
# What each operation is asked, and the resource on which it needs its action.
ASKED: dict[str, tuple[dict[str, Any], str]] = {
    "RegisterScalableTarget": ({**TABLE, "MinCapacity": 1, "MaxCapacity": 2}, ARN),
    "DescribeScalableTargets": (ALL, "*"),
    "DeregisterScalableTarget": (TABLE, ARN),
    "PutScalingPolicy": (
        {**TABLE, "PolicyName": "p", "PolicyType": "TargetTrackingScaling",
         "TargetTrackingScalingPolicyConfiguration": TRACKING}, ARN,
    ),
    "DescribeScalingPolicies": (ALL, "*"),
    "DeleteScalingPolicy": ({**TABLE, "PolicyName": "p"}, ARN),
    "PutScheduledAction": (
        {**TABLE, "ScheduledActionName": "s", "Schedule": "rate(1 day)",
         "ScalableTargetAction": {"MinCapacity": 1}}, ARN,
    ),
    "DescribeScheduledActions": (ALL, "*"),
    "DeleteScheduledAction": ({**TABLE, "ScheduledActionName": "s"}, ARN),
    "DescribeScalingActivities": (ALL, "*"),
    "TagResource": ({"ResourceARN": ARN, "Tags": {"a": "b"}}, ARN),
    "UntagResource": ({"ResourceARN": ARN, "TagKeys": ["a"]}, ARN),
    "ListTagsForResource": ({"ResourceARN": ARN}, ARN),
}  # fmt: skip


@told
async def test_each_operation_needs_its_action_on_its_target(world: World) -> None:
    operations = model.load("application-autoscaling").by_method
    assert {operations[method].name for method in SERVICE.operations} == set(ASKED)
    await table(world)
    nobody = await user(world, "nobody")
    allowed: list[dict[str, Any]] = [allow("iam:CreateServiceLinkedRole")]
    for where in ("*", ARN):
        names = [name for name, (_, resource) in ASKED.items() if resource == where]
        actions = [f"application-autoscaling:{name}" for name in names]
        allowed.append({"Effect": "Allow", "Action": actions, "Resource": where})
    somebody = await user(world, "somebody", *allowed)
    methods = {operations[method].name: method for method in SERVICE.operations}
    order = sorted(ASKED, key=lambda name: name.startswith(("Delete", "Deregister")))
    order.sort(
        key=lambda name: (name != "RegisterScalableTarget", name == "DeregisterScalableTarget")
    )
    for name in order:
        req, resource = ASKED[name]
        error = await refused(call(world, methods[name], **req, caller=nobody))
        assert error.code == "AccessDeniedException"
        assert f"application-autoscaling:{name}" in error.message
        assert resource == "*" or resource in error.message
        await call(world, methods[name], **req, caller=somebody)


@told
async def test_a_policy_may_look_at_the_dimension_and_the_tags(world: World) -> None:
    await table(world)
    only = {"StringEquals": {"application-autoscaling:scalable-dimension": DIMENSION}}
    action = "application-autoscaling:*"
    one = await user(world, "one", allow(action, Condition=only), allow("iam:*"))
    await register(world, caller=one)
    other = {"ScalableDimension": "dynamodb:table:ReadCapacityUnits"}
    assert (await refusal(register(world, caller=one, **other)))[0] == "AccessDeniedException"
    tagged = {"StringEquals": {"aws:ResourceTag/team": "bar"}}
    two = await user(world, "two", allow(action, Condition=tagged))
    asked = {"ResourceARN": ARN, "caller": two}
    assert (await refusal(call(world, "list_tags_for_resource", **asked)))[0] == (
        "AccessDeniedException"
    )
    await call(world, "tag_resource", ResourceARN=ARN, Tags={"team": "bar"})
    await call(world, "list_tags_for_resource", **asked)
