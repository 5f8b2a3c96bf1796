"""Event source mappings, through the door: queues bring their messages to code that runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.services.lambda_.base import make_function, make_role, until, zipped
from tests.services.world import World, refusal, refused, told

ARN = "arn:aws:lambda:us-east-1:000000000000:function:f"
QUEUE = "arn:aws:sqs:us-east-1:000000000000:orders"
URL = "http://localhost:4566/000000000000/orders"
# It says what it was told of, and fails with what is bad.
CODE = """
import json
def handler(event, context):
    print("told " + json.dumps(sorted(one["body"] for one in event["Records"])))
    bad = [one["messageId"] for one in event["Records"] if one["body"] == "bad"]
    if any(one["body"] == "worse" for one in event["Records"]):
        raise ValueError("worse")
    return {"batchItemFailures": [{"itemIdentifier": one} for one in bad]}
"""


async def stage(world: World, code: str = CODE, **attributes: str) -> None:
    """A queue, and a function whose role may read it."""
    await world.call("sqs", "create_queue", QueueName="orders", Attributes=attributes)
    await make_role(world)
    await allow(world, ["sqs:*", "logs:*"])
    await make_function(world, "f", Code={"ZipFile": zipped(code)})


async def allow(world: World, actions: list[str]) -> None:
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    await world.call(
        "iam", "put_role_policy", RoleName="runner", PolicyName="p",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )  # fmt: skip


async def mapped(world: World, **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = await world.call(
        "lambda", "create_event_source_mapping",
        **{"EventSourceArn": QUEUE, "FunctionName": "f", **more},
    )  # fmt: skip
    await world.settle()
    return made


async def send(world: World, *bodies: str) -> None:
    for body in bodies:
        await world.call("sqs", "send_message", QueueUrl=URL, MessageBody=body)


async def left(world: World) -> int:
    """How many messages the queue has, hidden ones too."""
    told = await world.call("sqs", "get_queue_attributes", QueueUrl=URL, AttributeNames=["All"])
    attributes = told["Attributes"]
    return int(attributes["ApproximateNumberOfMessages"]) + int(
        attributes["ApproximateNumberOfMessagesNotVisible"]
    )


async def lines(world: World) -> list[Any]:
    """What the function has said it was told of, an invocation each."""
    try:
        page = await world.call(
            "logs", "filter_log_events", logGroupName="/aws/lambda/f", filterPattern='"told "'
        )
    except Exception:
        return []
    return [json.loads(one["message"].strip()[5:]) for one in page["events"]]


async def heard(world: World, true: Callable[[list[Any]], bool]) -> list[Any]:
    """Wait until what the function has said is as it is to be."""
    found: list[Any] = []

    for _ in range(400):
        found = await lines(world)
        if true(found):
            return found
        await until_soon(world)
    raise AssertionError(f"it has said {found}")


async def until_soon(world: World) -> None:
    """Let some background work be done, and a moment of cloud time pass."""
    seen = 0

    def once() -> bool:
        nonlocal seen
        seen += 1
        return seen > 2

    await until(world, once)


@told
async def test_messages_are_brought_and_then_they_are_gone(world: World) -> None:
    await stage(world)
    made = await mapped(world)
    assert made["State"] == "Creating"
    assert made["FunctionArn"] == ARN
    await send(world, "espresso")
    await heard(world, lambda found: found == [["espresso"]])
    await until_soon(world)
    assert await left(world) == 0
    got = await world.call("lambda", "get_event_source_mapping", UUID=made["UUID"])
    assert (got["State"], got["BatchSize"]) == ("Enabled", 10)


@told
async def test_of_a_batch_only_what_failed_comes_again(world: World) -> None:
    await stage(world)
    await send(world, "bad", "good")
    await mapped(world, FunctionResponseTypes=["ReportBatchItemFailures"])
    await heard(world, lambda found: found == [["bad", "good"]])
    await until_soon(world)
    assert await left(world) == 1
    await world.advance(seconds=31)
    await heard(world, lambda found: found == [["bad", "good"], ["bad"]])


@told
async def test_a_batch_whose_function_fails_comes_again_as_a_whole(world: World) -> None:
    await stage(world)
    await send(world, "good", "worse")
    await mapped(world)
    await heard(world, lambda found: len(found) == 1)
    await until_soon(world)
    assert await left(world) == 2
    await world.advance(seconds=31)
    await heard(world, lambda found: found == [["good", "worse"]] * 2)


@told
async def test_what_no_filter_wants_is_gone_without_a_call(world: World) -> None:
    await stage(world)
    await send(world, '{"size": 1}', '{"size": 9}', "no JSON")
    pattern = json.dumps({"body": {"size": [{"numeric": [">", 5]}]}})
    await mapped(world, FilterCriteria={"Filters": [{"Pattern": pattern}]})
    await heard(world, lambda found: found == [['{"size": 9}']])
    await until_soon(world)
    assert await left(world) == 0


@told
async def test_a_window_gathers_a_batch(world: World) -> None:
    await stage(world)
    await mapped(world, BatchSize=100, MaximumBatchingWindowInSeconds=10)
    await send(world, *(str(number) for number in range(12)))
    await world.settle()
    assert await lines(world) == []
    await world.advance(seconds=5)
    await send(world, "12")
    await world.advance(seconds=6)
    [batch] = await heard(world, lambda found: len(found) == 1)
    assert len(batch) == 13


@told
async def test_a_mapping_that_is_disabled_brings_nothing_until_it_is_enabled(world: World) -> None:
    await stage(world)
    made = await mapped(world, Enabled=False)
    got = await world.call("lambda", "get_event_source_mapping", UUID=made["UUID"])
    assert got["State"] == "Disabled"
    await send(world, "tea")
    await until_soon(world)
    assert await left(world) == 1
    changed = await world.call(
        "lambda", "update_event_source_mapping", UUID=made["UUID"], Enabled=True, BatchSize=1
    )
    assert (changed["State"], changed["BatchSize"]) == ("Enabling", 1)
    await heard(world, lambda found: found == [["tea"]])
    deleted = await world.call("lambda", "delete_event_source_mapping", UUID=made["UUID"])
    assert deleted["State"] == "Deleting"
    await world.settle()
    error = await refused(world.call("lambda", "get_event_source_mapping", UUID=made["UUID"]))
    assert (error.code, error.message) == (
        "ResourceNotFoundException", "The resource you requested does not exist.",
    )  # fmt: skip


@told
async def test_no_more_batches_are_on_their_way_than_a_mapping_says(world: World) -> None:
    slow = CODE.replace("    bad = ", "    import time; time.sleep(0.3)\n    bad = ")
    await stage(world, slow)
    await send(world, *"abcdef")
    await mapped(world, BatchSize=1, ScalingConfig={"MaximumConcurrency": 2})
    await heard(world, lambda found: len(found) == 6)
    # An environment runs one batch at a time, and has a stream of its own.
    streams = await world.call("logs", "describe_log_streams", logGroupName="/aws/lambda/f")
    assert len(streams["logStreams"]) == 2


@told
async def test_a_source_is_mapped_to_a_function_once(world: World) -> None:
    await stage(world)
    made = await mapped(world)
    assert await refusal(mapped(world)) == (
        "ResourceConflictException",
        (
            f'The event source arn (" {QUEUE} ") and function (" f ") provided mapping already '
            f"exists. Please update or delete the existing mapping with UUID {made['UUID']}"
        ),
    )
    for filtered, count in (({"FunctionName": "f"}, 1), ({"EventSourceArn": QUEUE + "x"}, 0)):
        listed = await world.call("lambda", "list_event_source_mappings", **filtered)
        assert len(listed["EventSourceMappings"]) == count
    arn = made["EventSourceMappingArn"]
    await world.call("lambda", "tag_resource", Resource=arn, Tags={"a": "b"})
    assert await world.call("lambda", "list_tags", Resource=arn) == {"Tags": {"a": "b"}}


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            {"BatchSize": 11},
            ("Maximum batch window in seconds must be greater than 0 if maximum batch size is "
            "greater than 10"),
        ),
        ({"EventSourceArn": QUEUE + ".fifo", "MaximumBatchingWindowInSeconds": 1},
         "Batching window is not supported for FIFO queues."),
        ({"FilterCriteria": {"Filters": [{"Pattern": '{"body": ["a"]}'}] * 6}},
         "A mapping can have at most 5 filters."),
        ({"StartingPosition": "LATEST"},
         "Unsupported source parameter: StartingPosition for SQS."),
        ({"FilterCriteria": {"Filters": [{"Pattern": "no"}]}},
         "Invalid filter pattern definition. Expecting value: line 1 column 1 (char 0)"),
        ({"EventSourceArn": QUEUE + "x"},
         ("Error occurred while ReceiveMessage. SQS Error Code: QueueDoesNotExist. SQS Error "
         "Message: The specified queue does not exist.")),
    ],
    ids=["size", "fifo", "filters", "position", "filter", "queue"],
)  # fmt: skip
def test_a_mapping_that_cannot_be_is_refused(given: dict[str, Any], text: str) -> None:
    @told
    async def story(world: World) -> None:
        await stage(world)
        assert await refusal(mapped(world, **given)) == ("InvalidParameterValueException", text)

    story()


@told
async def test_a_role_that_may_not_read_the_queue_is_refused(world: World) -> None:
    await stage(world)
    await allow(world, ["sqs:ReceiveMessage", "sqs:GetQueueAttributes"])
    assert await refusal(mapped(world)) == (
        "InvalidParameterValueException",
        "The provided execution role does not have permissions to call DeleteMessage on SQS",
    )


@told
async def test_a_queue_must_hide_messages_as_long_as_the_function_may_take(world: World) -> None:
    await stage(world, VisibilityTimeout="2")
    assert await refusal(mapped(world)) == (
        "InvalidParameterValueException",
        "Queue visibility timeout: 2 seconds is less than Function timeout: 3 seconds",
    )
