"""Every operation asks for its action on its resource."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from doppio.services.scheduler.service import SERVICE
from doppio.wire import model
from doppio.wire.errors import AwsError
from tests.services.kms.helpers import allow, user
from tests.services.scheduler.test_scheduler import ROLE, role
from tests.services.sqs.helpers import arn
from tests.services.world import ACCOUNT, REGION, World, refusal, told

BASE = f"arn:aws:scheduler:{REGION}:{ACCOUNT}"
WHOLE = {
    "Name": "s",
    "ScheduleExpression": "rate(1 day)",
    "FlexibleTimeWindow": {"Mode": "OFF"},
    "Target": {"Arn": arn("q"), "RoleArn": ROLE},
}
GROUP = f"{BASE}:schedule-group/bar"
# What each operation is asked, and the resource on which it needs its action.
ASKED: dict[str, tuple[dict[str, Any], str]] = {
    "CreateSchedule": (WHOLE, f"{BASE}:schedule/default/s"),
    "UpdateSchedule": ({**WHOLE, "GroupName": "bar"}, f"{BASE}:schedule/bar/s"),
    "GetSchedule": ({"Name": "s"}, f"{BASE}:schedule/default/s"),
    "ListSchedules": ({}, "*"),
    "DeleteSchedule": ({"Name": "s", "GroupName": "bar"}, f"{BASE}:schedule/bar/s"),
    "CreateScheduleGroup": ({"Name": "bar"}, GROUP),
    "GetScheduleGroup": ({"Name": "bar"}, GROUP),
    "ListScheduleGroups": ({}, "*"),
    "DeleteScheduleGroup": ({"Name": "bar"}, GROUP),
    "TagResource": ({"ResourceArn": GROUP, "Tags": [{"Key": "a", "Value": "b"}]}, GROUP),
    "UntagResource": ({"ResourceArn": GROUP, "TagKeys": ["a"]}, GROUP),
    "ListTagsForResource": ({"ResourceArn": GROUP}, GROUP),
}


async def outcome(call: Awaitable[Any]) -> str:
    """The code with which a call is refused, or nothing."""
    try:
        await call
    except AwsError as error:
        return error.code
    return ""


def test_the_table_names_every_operation() -> None:
    operations = model.load("scheduler").operations
    assert {operations[name].method for name in ASKED} == set(SERVICE.operations)


@told
async def test_an_operation_needs_its_action_on_its_resource(world: World) -> None:
    await role(world)
    nobody = await user(world, "nobody")
    for number, (name, (req, resource)) in enumerate(ASKED.items()):
        method = model.load("scheduler").operations[name].method
        code, text = await refusal(world.call("scheduler", method, caller=nobody, **req))
        assert code == "AccessDeniedException", name
        where = "" if resource == "*" else f" on resource: {resource}"
        assert f"scheduler:{name}{where} because" in text, text
        passes = allow("iam:PassRole", ROLE)
        one = await user(world, f"u{number}", allow(f"scheduler:{name}", resource), passes)
        done = await outcome(world.call("scheduler", method, caller=one, **req))
        assert "AccessDenied" not in done, name


@told
async def test_tags_at_the_making_of_a_group_need_their_action_too(world: World) -> None:
    tags = [{"Key": "a", "Value": "b"}]
    one = await user(world, "one", allow("scheduler:CreateScheduleGroup"))
    call = world.call("scheduler", "create_schedule_group", caller=one, Name="bar", Tags=tags)
    code, text = await refusal(call)
    assert code == "AccessDeniedException"
    assert "scheduler:TagResource" in text
    condition = {"StringEquals": {"aws:RequestTag/a": "b"}}
    two = await user(world, "two", allow("scheduler:*", Condition=condition))
    await world.call("scheduler", "create_schedule_group", caller=two, Name="bar", Tags=tags)
