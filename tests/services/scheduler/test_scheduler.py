"""Schedules come due on the cloud's clock, each time once, and call as their role."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from doppio.services.scheduler.definition import universal_of
from doppio.services.scheduler.records import Execution, Schedule
from tests.services.kms.helpers import allow, user
from tests.services.sqs.helpers import arn, make, receive
from tests.services.world import ACCOUNT, START, World, refusal, run, told

ROLE = f"arn:aws:iam::{ACCOUNT}:role/clockwork"
OFF = {"Mode": "OFF"}


async def role(world: World, *actions: str) -> str:
    """A role that the Scheduler may act as."""
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "scheduler.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    await world.call(
        "iam",
        "create_role",
        RoleName="clockwork",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )
    document = {"Version": "2012-10-17", "Statement": [allow(one) for one in actions]}
    if actions:
        await world.call(
            "iam",
            "put_role_policy",
            RoleName="clockwork",
            PolicyName="own",
            PolicyDocument=json.dumps(document),
        )
    return ROLE


async def schedule(
    world: World, expression: str, name: str = "s", target: str = "", **req: Any
) -> Any:
    """Make a schedule that writes to the queue `q`."""
    more = {key: req.pop(key) for key in list(req) if key in _TARGET}
    return await world.call(
        "scheduler",
        req.pop("method", "create_schedule"),
        Name=name,
        ScheduleExpression=expression,
        FlexibleTimeWindow=req.pop("FlexibleTimeWindow", OFF),
        Target={"Arn": target or arn("q"), "RoleArn": ROLE, **more},
        **req,
    )


_TARGET = {"Input", "RetryPolicy", "DeadLetterConfig", "SqsParameters", "EcsParameters"}


async def bodies(world: World, url: str) -> list[str]:
    """What lies in a queue."""
    found: list[str] = []
    while page := await receive(world, url, VisibilityTimeout=3600):
        found += [one["Body"] for one in page]
    return found


async def left(world: World) -> int:
    """Executions that have not ended."""
    return len(await world.cloud.root_context().read().list(Execution, limit=100))


@told
async def test_at_fires_once_at_its_time_on_the_wall_of_its_zone(world: World) -> None:
    await role(world, "sqs:SendMessage")
    url = await make(world)
    await schedule(
        world,
        "at(2030-01-01T02:00:00)",
        ScheduleExpressionTimezone="Europe/Berlin",
        Input="wake up",
    )
    await world.advance(3599)
    assert await bodies(world, url) == []
    await world.advance(1)
    assert await bodies(world, url) == ["wake up"]
    await world.advance(days=400)
    assert await bodies(world, url) == []
    assert await left(world) == 0
    # It stays, as nobody asked for its deletion.
    await world.call("scheduler", "get_schedule", Name="s")


@told
async def test_a_rate_begins_at_once_and_ends_with_its_end_date(world: World) -> None:
    await role(world, "sqs:SendMessage")
    url = await make(world)
    await schedule(
        world,
        "rate(1 minute)",
        Input="<aws.scheduler.scheduled-time> <aws.scheduler.attempt-number>",
        EndDate=START + timedelta(minutes=2, seconds=30),
        ActionAfterCompletion="DELETE",
    )
    await world.advance(0.001)
    for _ in range(5):
        await world.advance(60)
    assert sorted(await bodies(world, url)) == [f"2030-01-01T00:0{at}:00Z 1" for at in range(3)]
    code, text = await refusal(world.call("scheduler", "get_schedule", Name="s"))
    assert (code, text) == ("ResourceNotFoundException", "Schedule s does not exist.")


@told
async def test_what_a_leap_of_the_clock_passes_is_made_up_for(world: World) -> None:
    await role(world, "sqs:SendMessage")
    url = await make(world)
    await schedule(world, "cron(0 9 * * ? *)", Input="<aws.scheduler.scheduled-time>")
    await world.advance(days=1, hours=10)
    assert sorted(await bodies(world, url)) == ["2030-01-01T09:00:00Z", "2030-01-02T09:00:00Z"]


@told
async def test_without_input_the_target_gets_the_event(world: World) -> None:
    await role(world, "sqs:SendMessage")
    url = await make(world)
    made = await schedule(world, "at(2030-01-01T00:01:00)")
    await world.advance(60)
    (body,) = await bodies(world, url)
    event = json.loads(body)
    assert (event["source"], event["detail-type"]) == ("aws.scheduler", "Scheduled Event")
    assert (event["resources"], event["time"]) == ([made["ScheduleArn"]], "2030-01-01T00:01:00Z")


@told
async def test_any_operation_is_a_target(world: World) -> None:
    await role(world, "dynamodb:PutItem", "s3:PutObject")
    await world.call(
        "dynamodb",
        "create_table",
        TableName="orders",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    await world.call("s3", "create_bucket", Bucket="shop")
    await world.advance(10)
    base = "arn:aws:scheduler:::aws-sdk:"
    item = {"TableName": "orders", "Item": {"id": {"S": "<aws.scheduler.execution-id>"}}}
    await schedule(
        world, "at(2030-01-01T00:01:00)", "one", f"{base}dynamodb:putItem", Input=json.dumps(item)
    )
    put = {"Bucket": "shop", "Key": "k", "Body": "coffee"}
    await schedule(
        world, "at(2030-01-01T00:01:00)", "two", f"{base}s3:putObject", Input=json.dumps(put)
    )
    await world.advance(60)
    found = await world.call("dynamodb", "scan", TableName="orders")
    assert len(found["Items"]) == 1
    head = await world.call("s3", "head_object", Bucket="shop", Key="k")
    assert head["ContentLength"] == len("coffee")


@told
async def test_what_fails_for_good_goes_to_the_dead_letter_queue_at_once(world: World) -> None:
    await role(world, "sqs:SendMessage")
    dead = await make(world, "dead")
    made = await schedule(
        world,
        "at(2030-01-01T00:01:00)",
        target=arn("none"),
        Input="lost",
        DeadLetterConfig={"Arn": arn("dead")},
    )
    await world.advance(60)
    (message,) = await receive(world, dead, MessageAttributeNames=["All"])
    told_of = {name: one["StringValue"] for name, one in message["MessageAttributes"].items()}
    assert message["Body"] == "lost"
    assert told_of["ERROR_CODE"] == "QueueDoesNotExist"
    assert told_of["RETRY_ATTEMPTS"] == "0"
    assert told_of["SCHEDULE_ARN"] == made["ScheduleArn"]
    assert told_of["TARGET_ARN"] == arn("none")
    assert told_of["SCHEDULED_TIME"] == "2030-01-01T00:01:00Z"
    assert "EXHAUSTED_RETRY_CONDITION" not in told_of
    assert await left(world) == 0


@told
async def test_what_the_role_may_not_the_schedule_may_not(world: World) -> None:
    await role(world)
    url = await make(world)
    await schedule(world, "at(2030-01-01T00:01:00)")
    await world.advance(60)
    assert await bodies(world, url) == []
    assert await left(world) == 0
    assert await world.used("InvocationsFailed") == 1


@told
async def test_a_flexible_window_lets_chance_choose_the_moment(world: World) -> None:
    await role(world, "sqs:SendMessage")
    url = await make(world)
    window = {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 10}
    for at in range(10):
        await schedule(world, "at(2030-01-01T01:00:00)", f"s{at}", FlexibleTimeWindow=window)
    await world.advance(3600)
    early = len(await bodies(world, url))
    await world.advance(300)
    middle = len(await bodies(world, url))
    await world.advance(300)
    late = len(await bodies(world, url))
    assert early == 0
    assert 0 < middle < 10
    assert middle + late == 10


@told
async def test_a_crash_loses_no_time_and_repeats_none(world: World) -> None:
    await role(world, "sqs:SendMessage")
    url = await make(world)
    await schedule(world, "rate(1 hour)", Input="<aws.scheduler.scheduled-time>")
    await world.advance(3600)
    after = world.again()
    await after.start()
    await after.advance(3600)
    found = await bodies(after, url)
    assert sorted(found) == [f"2030-01-01T0{at}:00:00Z" for at in range(3)]
    await after.close()


def test_an_interrupted_firing_neither_loses_nor_repeats_a_time() -> None:
    """Stop at each commit of a firing in turn, as a crash would."""
    for commits in range(1, 6):

        async def story(world: World, stop: int = commits) -> None:
            await role(world, "sqs:SendMessage")
            url = await make(world)
            await schedule(
                world, "at(2030-01-01T00:01:00)", Input="x", ActionAfterCompletion="DELETE"
            )
            world.host.run_to(world.host.seconds() + 60)
            for _ in range(stop * 2):
                await _turn()
            after = world.again()
            await after.start()
            await after.advance(1)
            found = await bodies(after, url)
            # The call is made at least once; the time is forgotten with its schedule.
            assert set(found) == {"x"}
            assert await left(after) == 0
            schedules = await after.cloud.root_context().read().list(Schedule, limit=10)
            assert schedules == []
            await after.close()

        run(story)


async def _turn() -> None:
    await asyncio.sleep(0)


@told
async def test_a_change_counts_and_a_disabled_schedule_rests(world: World) -> None:
    await role(world, "sqs:SendMessage")
    url = await make(world)
    await schedule(world, "at(2030-01-01T00:01:00)", Input="old", Description="d")
    await schedule(world, "at(2030-01-01T00:02:00)", Input="new", method="update_schedule")
    shown = await world.call("scheduler", "get_schedule", Name="s")
    assert "Description" not in shown
    assert shown["Target"]["RetryPolicy"] == {
        "MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185,
    }  # fmt: skip
    await world.advance(60)
    assert await bodies(world, url) == []
    await world.advance(60)
    assert await bodies(world, url) == ["new"]
    await schedule(world, "rate(1 minute)", method="update_schedule", State="DISABLED")
    await world.advance(600)
    assert await bodies(world, url) == []
    await schedule(world, "rate(1 minute)", method="update_schedule", Input="on")
    await world.advance(0.001)
    assert await bodies(world, url) == ["on"]
    await world.call("scheduler", "delete_schedule", Name="s")
    await world.advance(600)
    assert await bodies(world, url) == []


@told
async def test_groups_hold_schedules_and_take_them_along(world: World) -> None:
    await role(world, "sqs:SendMessage")
    url = await make(world)
    made = await world.call(
        "scheduler", "create_schedule_group", Name="bar", Tags=[{"Key": "a", "Value": "b"}]
    )
    group = made["ScheduleGroupArn"]
    await schedule(world, "rate(1 hour)", GroupName="bar", StartDate=START + timedelta(hours=1))
    await schedule(world, "rate(1 hour)", "t", StartDate=START + timedelta(days=9))
    listed = await world.call("scheduler", "list_schedules", MaxResults=1)
    assert [one["Name"] for one in listed["Schedules"]] == ["s"]
    listed = await world.call("scheduler", "list_schedules", NextToken=listed["NextToken"])
    assert [one["GroupName"] for one in listed["Schedules"]] == ["default"]
    listed = await world.call("scheduler", "list_schedules", GroupName="bar")
    assert [one["Name"] for one in listed["Schedules"]] == ["s"]
    assert (await world.call("scheduler", "list_tags_for_resource", ResourceArn=group))["Tags"] == [
        {"Key": "a", "Value": "b"}
    ]
    await world.call("scheduler", "untag_resource", ResourceArn=group, TagKeys=["a"])
    found = await world.call("scheduler", "list_tags_for_resource", ResourceArn=group)
    assert found["Tags"] == []
    names = (await world.call("scheduler", "list_schedule_groups"))["ScheduleGroups"]
    assert [one["Name"] for one in names] == ["bar", "default"]
    await world.call("scheduler", "delete_schedule_group", Name="bar")
    await world.advance(7200)
    assert await bodies(world, url) == []
    code, text = await refusal(world.call("scheduler", "get_schedule_group", Name="bar"))
    assert (code, text) == ("ResourceNotFoundException", "Schedule group bar does not exist.")
    code, _ = await refusal(world.call("scheduler", "delete_schedule_group", Name="default"))
    assert code == "ValidationException"


@told
async def test_the_same_token_makes_it_once(world: World) -> None:
    await role(world)
    one = await schedule(world, "rate(1 day)", ClientToken="t")
    assert await schedule(world, "rate(1 day)", ClientToken="t") == one
    code, text = await refusal(schedule(world, "rate(1 day)", ClientToken="u"))
    assert (code, text) == ("ConflictException", "Schedule s already exists.")


@pytest.mark.parametrize(
    ("req", "code"),
    [
        ({"expression": "cron(0 9 * * * *)"}, "ValidationException"),
        ({"expression": "at(tomorrow)"}, "ValidationException"),
        ({"ScheduleExpressionTimezone": "Mars/Olympus"}, "ValidationException"),
        ({"FlexibleTimeWindow": {"Mode": "FLEXIBLE"}}, "ValidationException"),
        ({"EndDate": datetime(2029, 1, 1, tzinfo=UTC)}, "ValidationException"),
        ({"target": "nonsense"}, "ValidationException"),
        ({"target": "arn:aws:scheduler:::aws-sdk:sqs:receiveMessage"}, "ValidationException"),
        ({"target": "arn:aws:scheduler:::aws-sdk:sqs:brew"}, "ValidationException"),
        ({"target": "arn:aws:scheduler:::aws-sdk:bakery:bake"}, "ValidationException"),
        ({"target": "arn:aws:scheduler:::aws-sdk:glacier:createVault"}, "NotImplemented"),
        ({"target": "arn:aws:ecs:us-east-1:000000000000:cluster/c"}, "NotImplemented"),
        ({"target": arn("q.fifo")}, "ValidationException"),
        ({"SqsParameters": {"MessageGroupId": "g"}}, "ValidationException"),
        ({"GroupName": "none"}, "ResourceNotFoundException"),
        ({"KmsKeyArn": "arn:aws:kms:us-east-1:000000000000:key/k"}, "NotImplemented"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(req: dict[str, Any], code: str) -> None:
    async def story(world: World) -> None:
        await role(world)
        given = {"expression": "rate(1 day)", **req}
        found, _ = await refusal(schedule(world, given.pop("expression"), **given))
        assert found == code
        assert (await world.call("scheduler", "list_schedules"))["Schedules"] == []

    run(story)


@told
async def test_a_role_must_trust_the_scheduler_and_be_passed_by_its_user(world: World) -> None:
    code, text = await refusal(schedule(world, "rate(1 day)"))
    assert code == "ValidationException"
    assert text.startswith("The execution role you provide must allow AWS EventBridge Scheduler")
    await role(world)
    ada = await user(world, "ada", allow("scheduler:*"))
    code, text = await refusal(schedule(world, "rate(1 day)", caller=ada))
    assert code == "AccessDenied" or code == "AccessDeniedException"
    assert "iam:PassRole" in text
    eve = await user(
        world,
        "eve",
        allow(
            "scheduler:CreateSchedule", f"arn:aws:scheduler:us-east-1:{ACCOUNT}:schedule/default/e*"
        ),
        allow("iam:PassRole", ROLE),
    )
    await schedule(world, "rate(1 day)", "eve", caller=eve)
    code, _ = await refusal(schedule(world, "rate(1 day)", "other", caller=eve))
    assert code.startswith("AccessDenied")


def test_universal_targets_are_found_by_the_names_of_the_sdk() -> None:
    base = "arn:aws:scheduler:::aws-sdk:"
    assert universal_of(f"{base}eventbridge:putEvents").service == "events"
    assert universal_of(f"{base}sfn:startExecution").method == "start_execution"
    assert universal_of(f"{base}secretsmanager:putSecretValue").service == "secretsmanager"
