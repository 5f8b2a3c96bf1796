"""Pipes bring what is in a queue to a target, and nothing is lost on the way."""

from __future__ import annotations

import json
from typing import Any

import pytest

from doppio.services.pipes.events import at, passes
from doppio.services.sqs.ports import event_of
from tests.services.kms.helpers import allow
from tests.services.sns.helpers import queue as open_queue
from tests.services.sns.helpers import subscribe, topic
from tests.services.sqs.helpers import arn, counts, make, receive, send
from tests.services.world import ACCOUNT, World, refusal, run, told

ROLE = f"arn:aws:iam::{ACCOUNT}:role/plumber"
ACTIONS = (
    "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:SendMessage",
    "sns:Publish", "logs:PutLogEvents",
)  # fmt: skip


async def role(world: World, *actions: str) -> None:
    """A role that pipes may act as."""
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "pipes.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    await world.call(
        "iam",
        "create_role",
        RoleName="plumber",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )
    document = {"Version": "2012-10-17", "Statement": [allow(one) for one in actions]}
    await world.call(
        "iam",
        "put_role_policy",
        RoleName="plumber",
        PolicyName="own",
        PolicyDocument=json.dumps(document),
    )


async def pipe(world: World, **req: Any) -> Any:
    """Make a pipe from the queue `from` to the queue `to`."""
    given = {"Name": "p", "Source": arn("from"), "Target": arn("to"), "RoleArn": ROLE, **req}
    made = await world.call("pipes", "create_pipe", **given)
    await world.settle()
    return made


async def state(world: World) -> str:
    """The state of the pipe."""
    found: str = (await world.call("pipes", "describe_pipe", Name="p"))["CurrentState"]
    return found


async def arrived(world: World, url: str) -> list[str]:
    """What has come to a queue."""
    await world.settle()
    return sorted([one["Body"] for one in await receive(world, url)])


@told
async def test_a_message_flows_as_an_event_and_leaves_its_queue(world: World) -> None:
    await role(world, *ACTIONS)
    source, target = await make(world, "from"), await make(world, "to")
    made = await pipe(world)
    assert (made["CurrentState"], made["DesiredState"]) == ("CREATING", "RUNNING")
    assert await state(world) == "RUNNING"
    await send(
        world,
        source,
        "coffee",
        MessageAttributes={"size": {"DataType": "String", "StringValue": "big"}},
    )
    (body,) = await arrived(world, target)
    event = json.loads(body)
    assert (event["body"], event["eventSource"]) == ("coffee", "aws:sqs")
    assert (event["eventSourceARN"], event["awsRegion"]) == (arn("from"), "us-east-1")
    assert event["messageAttributes"]["size"] == {
        "dataType": "String", "stringValue": "big", "stringListValues": [], "binaryListValues": [],
    }  # fmt: skip
    assert event["attributes"]["ApproximateReceiveCount"] == "1"
    await world.advance(60)
    assert await receive(world, source) == []


@told
async def test_what_no_filter_wants_is_gone_and_what_is_wanted_is_put_in_its_template(
    world: World,
) -> None:
    await role(world, *ACTIONS)
    source, target = await make(world, "from"), await make(world, "to")
    await pipe(
        world,
        SourceParameters={
            "FilterCriteria": {
                "Filters": [
                    {"Pattern": json.dumps({"body": {"kind": ["coffee"]}})},
                    {"Pattern": json.dumps({"body": {"price": [{"numeric": [">", 10]}]}})},
                ]
            }
        },
        TargetParameters={
            "InputTemplate": '{"kind": <$.body.kind>, "say": "<$.body.kind>", "by": '
            '"<aws.pipes.pipe-name>", "none": "<$.body.none>"}'
        },
    )
    for body in ({"kind": "coffee"}, {"kind": "tea"}, {"kind": 'a "gold" cup', "price": 11}):
        await send(world, source, json.dumps(body))
    await send(world, source, "no JSON")
    found = [json.loads(one) for one in await arrived(world, target)]
    assert sorted(one["kind"] for one in found) == ['a "gold" cup', "coffee"]
    assert all(one["say"] == one["kind"] for one in found)
    assert all((one["by"], one["none"]) == ("p", "") for one in found)
    await world.advance(60)
    assert await receive(world, source) == []


@told
async def test_a_topic_and_a_log_group_are_targets(world: World) -> None:
    await role(world, *ACTIONS)
    source = await make(world, "from")
    news = await topic(world)
    hears = await open_queue(world, "to")
    await subscribe(world, news, hears, RawMessageDelivery="true")
    template = {"InputTemplate": "<$.body>"}
    await pipe(world, Target=news, TargetParameters={"InputTemplate": '"<$.body>"'})
    await send(world, source, "hello")
    await world.settle()
    found = await receive(world, f"http://localhost:4566/{ACCOUNT}/to")
    assert [one["Body"] for one in found] == ['"hello"']
    await world.call("pipes", "delete_pipe", Name="p")
    await world.settle()

    await world.call("logs", "create_log_group", logGroupName="shop")
    await world.call("logs", "create_log_stream", logGroupName="shop", logStreamName="till")
    await pipe(
        world,
        Target=f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:shop",
        TargetParameters={"CloudWatchLogsParameters": {"LogStreamName": "till"}, **template},
    )
    await send(world, source, "line")
    await world.settle()
    lines = await world.call(
        "logs", "get_log_events", logGroupName="shop", logStreamName="till", startFromHead=True
    )
    assert [one["message"] for one in lines["events"]] == ['"line"']


@told
async def test_a_stopped_pipe_leaves_everything_where_it_is(world: World) -> None:
    await role(world, *ACTIONS)
    source, target = await make(world, "from"), await make(world, "to")
    await pipe(world)
    stopping = await world.call("pipes", "stop_pipe", Name="p")
    assert stopping["CurrentState"] == "STOPPING"
    code, _ = await refusal(world.call("pipes", "start_pipe", Name="p"))
    assert code == "ConflictException"
    await world.settle()
    assert await state(world) == "STOPPED"
    await send(world, source, "waits")
    await world.advance(120)
    assert await arrived(world, target) == []
    assert await counts(world, source) == (1, 0, 0)
    await world.call("pipes", "start_pipe", Name="p")
    await world.settle()
    assert await state(world) == "RUNNING"
    assert len(await arrived(world, target)) == 1


@told
async def test_what_the_target_does_not_take_ends_in_the_dead_letter_queue(world: World) -> None:
    await role(world, *ACTIONS)
    await make(world, "dead")
    redrive = json.dumps({"deadLetterTargetArn": arn("dead"), "maxReceiveCount": 2})
    source = await make(world, "from", RedrivePolicy=redrive, VisibilityTimeout="10")
    await pipe(world)
    await send(world, source, "nowhere to go")
    for _ in range(4):
        await world.advance(11)
    found = await receive(world, f"http://localhost:4566/{ACCOUNT}/dead")
    assert [one["Body"] for one in found] == ["nowhere to go"]


@told
async def test_of_a_batch_only_what_failed_comes_again(world: World) -> None:
    await role(world, *ACTIONS)
    source = await make(world, "from", VisibilityTimeout="10")
    target = await make(world, "to", MaximumMessageSize="1024")
    await pipe(world, DesiredState="STOPPED", TargetParameters={"InputTemplate": '"<$.body>"'})
    await send(world, source, "small")
    await send(world, source, "x" * 2000)
    await world.call("pipes", "start_pipe", Name="p")
    assert await arrived(world, target) == ['"small"']
    assert await counts(world, source) == (0, 1, 0)
    await world.call(
        "sqs", "set_queue_attributes", QueueUrl=target, Attributes={"MaximumMessageSize": "4096"}
    )
    await world.advance(11)
    assert await arrived(world, target) == [json.dumps("x" * 2000)]
    assert await counts(world, source) == (0, 0, 0)


@told
async def test_a_crash_loses_nothing(world: World) -> None:
    await role(world, *ACTIONS)
    source, target = await make(world, "from"), await make(world, "to")
    await pipe(world, TargetParameters={"InputTemplate": "<$.body>"})
    for each in range(5):
        await send(world, source, str(each))
    after = world.again()
    await after.start()
    await after.advance(31)
    assert set(await arrived(after, target)) == {f'"{each}"' for each in range(5)}
    await after.close()


@told
async def test_a_role_that_trusts_nobody_leaves_the_pipe_failed_until_it_does(
    world: World,
) -> None:
    await make(world, "from")
    await make(world, "to")
    await pipe(world)
    shown = await world.call("pipes", "describe_pipe", Name="p")
    assert shown["CurrentState"] == "CREATE_FAILED"
    assert "sts:AssumeRole" in shown["StateReason"]
    await role(world, *ACTIONS)
    await world.call("pipes", "start_pipe", Name="p")
    await world.settle()
    shown = await world.call("pipes", "describe_pipe", Name="p")
    assert (shown["CurrentState"], shown.get("StateReason")) == ("RUNNING", None)


@told
async def test_a_pipe_is_changed_listed_tagged_and_deleted(world: World) -> None:
    await role(world, *ACTIONS)
    source = await make(world, "from")
    await make(world, "to")
    other = await make(world, "other")
    made = await pipe(world, Tags={"a": "b"}, Description="d")
    await pipe(world, Name="q", DesiredState="STOPPED")
    await world.call("pipes", "update_pipe", Name="p", RoleArn=ROLE, Target=arn("other"))
    await world.settle()
    shown = await world.call("pipes", "describe_pipe", Name="p")
    assert (shown["Target"], shown["Description"]) == (arn("other"), "d")
    await send(world, source, "x")
    assert len(await arrived(world, other)) == 1
    first = await world.call("pipes", "list_pipes", Limit=1)
    rest = await world.call("pipes", "list_pipes", NextToken=first["NextToken"])
    assert [one["Name"] for one in first["Pipes"] + rest["Pipes"]] == ["p", "q"]
    stopped = await world.call("pipes", "list_pipes", CurrentState="STOPPED")
    assert [one["Name"] for one in stopped["Pipes"]] == ["q"]
    await world.call("pipes", "tag_resource", resourceArn=made["Arn"], tags={"c": "d"})
    await world.call("pipes", "untag_resource", resourceArn=made["Arn"], tagKeys=["a"])
    tags = await world.call("pipes", "list_tags_for_resource", resourceArn=made["Arn"])
    assert tags["tags"] == {"c": "d"}
    gone = await world.call("pipes", "delete_pipe", Name="p")
    assert gone["CurrentState"] == "DELETING"
    await world.settle()
    code, _ = await refusal(world.call("pipes", "describe_pipe", Name="p"))
    assert code == "NotFoundException"


@pytest.mark.parametrize(
    ("req", "code"),
    [
        ({"Source": "arn:aws:kinesis:us-east-1:000000000000:stream/s"}, "NotImplemented"),
        ({"Target": "arn:aws:states:us-east-1:000000000000:stateMachine:s"}, "NotImplemented"),
        ({"Enrichment": "arn:aws:states:us-east-1:000000000000:stateMachine:s"}, "NotImplemented"),
        (
            {"SourceParameters": {"FilterCriteria": {"Filters": [{"Pattern": "{"}]}}},
            "ValidationException",
        ),
        (
            {"SourceParameters": {"SqsQueueParameters": {"BatchSize": 11}}},
            "ValidationException",
        ),
        ({"Target": arn("to.fifo")}, "ValidationException"),
        (
            {"TargetParameters": {"CloudWatchLogsParameters": {"LogStreamName": "s"}}},
            "ValidationException",
        ),
    ],
)
def test_a_pipe_that_cannot_be_is_refused(req: dict[str, Any], code: str) -> None:
    async def story(world: World) -> None:
        found, _ = await refusal(pipe(world, **req))
        assert found == code
        assert (await world.call("pipes", "list_pipes"))["Pipes"] == []

    run(story)


def test_paths_lead_into_json_texts() -> None:
    event = event_of(
        {
            "MessageId": "i", "ReceiptHandle": "h", "MD5OfBody": "m",
            "Body": json.dumps({"items": [{"name": "a"}, {"name": "b"}]}),
        },
        arn("from"),
    )  # fmt: skip
    assert at(event, "$.body.items[1].name") == "b"
    assert at(event, "$.messageId") == "i"
    given = {
        "SourceParameters": {
            "FilterCriteria": {"Filters": [{"Pattern": '{"body": {"items": {"name": ["b"]}}}'}]}
        }
    }
    assert passes(event, given)
    assert not passes({**event, "body": "plain"}, given)
