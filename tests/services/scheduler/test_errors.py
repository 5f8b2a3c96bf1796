"""Every refusal has AWS's code and text."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.services.scheduler.test_scheduler import ROLE, role, schedule
from tests.services.sqs.helpers import arn
from tests.services.world import ACCOUNT, REGION, START, World, refusal, run

SDK = "arn:aws:scheduler:::aws-sdk"
BUS = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default"
GROUPS = f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule-group"
VALIDATION, GONE, CONFLICT = "ValidationException", "ResourceNotFoundException", "ConflictException"
WINDOW = (
    "MaximumWindowInMinutes must be provided with the FlexibleTimeWindow mode FLEXIBLE, and not "
    "with OFF."
)
FIFO = "SqsParameters must be provided for a FIFO queue, and for no other."


def made(expression: str = "rate(1 day)", **more: Any) -> tuple[str, dict[str, Any]]:
    """A schedule that is asked for."""
    target = {"Arn": arn("q"), "RoleArn": ROLE, **more.pop("Target", {})}
    req = {
        "Name": "x", "ScheduleExpression": expression, "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": target, **more,
    }  # fmt: skip
    return "create_schedule", req


REFUSED: list[tuple[tuple[str, dict[str, Any]], str, str]] = [
    (made("rate(1)"), VALIDATION, "Invalid Schedule Expression rate(1)."),
    (made(ScheduleExpressionTimezone="Mars/Olympus"), VALIDATION,
     "Invalid Schedule Expression Timezone Mars/Olympus."),
    (made(FlexibleTimeWindow={"Mode": "FLEXIBLE"}), VALIDATION, WINDOW),
    (made(FlexibleTimeWindow={"Mode": "OFF", "MaximumWindowInMinutes": 1}), VALIDATION, WINDOW),
    (made(StartDate=START + timedelta(days=2), EndDate=START + timedelta(days=1)), VALIDATION,
     "The StartDate must be before the EndDate."),
    (made(EndDate=START), VALIDATION, "The EndDate you specify must be in the future."),
    (made(KmsKeyArn="arn:aws:kms:us-east-1:000000000000:key/k"), "NotImplemented",
     "scheduler: schedules under customer keys exist in AWS and not yet in this cloud"),
    (made(Target={"Arn": "nonsense"}), VALIDATION,
     "Provided Arn is not in correct format. Arn: nonsense"),
    (made(Target={"Arn": f"{SDK}:sqs:brew"}), VALIDATION,
     f"Invalid RequestJson provided. Reason: {SDK}:sqs:brew is not a valid universal target"),
    (made(Target={"Arn": f"{SDK}:sqs:receiveMessage"}), VALIDATION,
     "The operation receiveMessage only reads: it cannot be a target."),
    (made(Target={"Arn": f"{SDK}:sqs:sendMessage", "Input": "[]"}), VALIDATION,
     "The Input of a universal target must be a JSON object."),
    (made(Target={"Arn": f"{SDK}:sqs:sendMessage", "SqsParameters": {"MessageGroupId": "g"}}),
     VALIDATION, "A universal target takes its parameters in Input."),
    (made(Target={"Arn": f"{SDK}:glacier:createVault"}), "NotImplemented",
     "scheduler: glacier exists in AWS and not yet in this cloud"),
    (made(Target={"Arn": BUS}), VALIDATION,
     "EventBridgeParameters must be provided for the target."),
    (made(Target={"Arn": arn("q.fifo")}), VALIDATION, FIFO),
    (made(Target={"SqsParameters": {"MessageGroupId": "g"}}), VALIDATION, FIFO),
    (made(Target={"KinesisParameters": {"PartitionKey": "k"}}), VALIDATION,
     f"Parameters KinesisParameters do not go with the target {arn('q')}."),
    (made(Target={"RoleArn": f"{ROLE}s"}), VALIDATION,
     "The execution role you provide must allow AWS EventBridge Scheduler to assume the role."),
    (made(GroupName="no"), GONE, "Schedule group no does not exist."),
    (made(GroupName="going"), CONFLICT, "Schedule group going is being deleted."),
    (made(Name="s"), CONFLICT, "Schedule s already exists."),
    (("update_schedule", made()[1]), GONE, "Schedule x does not exist."),
    (("get_schedule", {"Name": "x"}), GONE, "Schedule x does not exist."),
    (("delete_schedule", {"Name": "x"}), GONE, "Schedule x does not exist."),
    (("list_schedules", {"GroupName": "no"}), GONE, "Schedule group no does not exist."),
    (("list_schedules", {"NextToken": "x"}), VALIDATION, "Invalid NextToken provided."),
    (("list_schedule_groups", {"NextToken": "x"}), VALIDATION, "Invalid NextToken provided."),
    (("create_schedule_group", {"Name": "default"}), CONFLICT,
     "Schedule group default already exists."),
    (("delete_schedule_group", {"Name": "default"}), VALIDATION,
     "Cannot delete the default schedule group."),
    (("get_schedule_group", {"Name": "no"}), GONE, "Schedule group no does not exist."),
    (("list_tags_for_resource", {"ResourceArn": f"{GROUPS}/no"}), GONE,
     "Schedule group no does not exist."),
    (("tag_resource",
      {"ResourceArn": f"{GROUPS}/default", "Tags": [{"Key": "aws:x", "Value": "y"}]}), VALIDATION,
     "Tag keys that start with aws: are reserved for system use"),
]  # fmt: skip


@pytest.mark.parametrize("part", range(2))
def test_what_cannot_be_is_refused_in_aws_words(part: int) -> None:
    async def story(world: World) -> None:
        await role(world)
        await schedule(world, "rate(1 day)")
        await world.call("scheduler", "create_schedule_group", Name="going")
        # Its schedules are cleared away behind this call, which is not waited for.
        await world.call("scheduler", "delete_schedule_group", Name="going")
        going = [one for one in REFUSED if one[0][1].get("GroupName") == "going"]
        others = [one for one in REFUSED if one not in going]
        for (method, req), code, text in [*going, *others[part::2]]:
            call = world.call("scheduler", method, **req)
            assert await refusal(call) == (code, text), (method, req)

    run(story)
