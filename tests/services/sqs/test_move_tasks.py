"""Dead letters: where messages go that are received too often, and how they come back."""

from __future__ import annotations

import json
from typing import Any

from doppio.kernel.records import table_of
from doppio.services.sqs.records import MoveTask
from tests.services.world import World, refusal, refused, told

from .helpers import arn, attributes, bodies, counts, make, one, receive, send


def redrive(target: str, most: int = 2) -> str:
    """A redrive policy."""
    return json.dumps({"deadLetterTargetArn": arn(target), "maxReceiveCount": most})


async def pair(world: World, most: int = 2, suffix: str = "") -> tuple[str, str]:
    """A queue and its dead-letter queue."""
    dead = await make(world, f"dead{suffix}")
    url = await make(
        world, f"q{suffix}", RedrivePolicy=redrive(f"dead{suffix}", most), VisibilityTimeout="1"
    )
    return url, dead


async def fail(world: World, url: str, times: int) -> None:
    """Receive and do not delete, so often."""
    for _ in range(times):
        await receive(world, url)
        await world.advance(1)


async def task(world: World, **req: Any) -> dict[str, Any]:
    """The latest move task of the dead-letter queue."""
    got = await world.call("sqs", "list_message_move_tasks", SourceArn=arn("dead"), **req)
    found: dict[str, Any] = got["Results"][0]
    return found


@told
async def test_a_message_received_too_often_goes_to_the_dead_letter_queue(world: World) -> None:
    url, dead = await pair(world, most=2)
    sent = await send(world, url, "poison")
    await fail(world, url, 2)
    assert await receive(world, url) == []
    assert await counts(world, url) == (0, 0, 0)
    message = await one(world, dead, AttributeNames=["All"])
    assert (message["Body"], message["MessageId"]) == ("poison", sent["MessageId"])
    assert message["Attributes"]["DeadLetterQueueSourceArn"] == arn("q")


@told
async def test_a_fifo_queues_dead_letters_free_their_group(world: World) -> None:
    await make(world, "dead.fifo")
    url = await make(world, "q.fifo", RedrivePolicy=redrive("dead.fifo", 1), VisibilityTimeout="1")
    for body in ("1", "2"):
        await send(world, url, body, MessageGroupId="g", MessageDeduplicationId=body)
    assert await bodies(world, url, MaxNumberOfMessages=1) == ["1"]
    await world.advance(1)
    assert await bodies(world, url, MaxNumberOfMessages=1) == ["2"]
    dead = (await world.call("sqs", "get_queue_url", QueueName="dead.fifo"))["QueueUrl"]
    assert await bodies(world, dead) == ["1"]


@told
async def test_a_dead_letter_queue_may_choose_whose_letters_it_takes(world: World) -> None:
    dead = await make(
        world, "dead", RedriveAllowPolicy=json.dumps({"redrivePermission": "denyAll"})
    )
    error = await refused(make(world, "q", RedrivePolicy=redrive("dead")))
    assert error.code in {"InvalidParameterValueException", "InvalidAttributeValue"}
    allow = {"redrivePermission": "byQueue", "sourceQueueArns": [arn("q")]}
    await world.call(
        "sqs", "set_queue_attributes", QueueUrl=dead,
        Attributes={"RedriveAllowPolicy": json.dumps(allow)},
    )  # fmt: skip
    await make(world, "q", RedrivePolicy=redrive("dead"))
    await refused(make(world, "other", RedrivePolicy=redrive("dead")))


@told
async def test_sources_of_a_dead_letter_queue_are_listed(world: World) -> None:
    url, dead = await pair(world)
    got = await world.call("sqs", "list_dead_letter_source_queues", QueueUrl=dead)
    assert got["queueUrls"] == [url]
    await world.call(
        "sqs", "set_queue_attributes", QueueUrl=url, Attributes={"RedrivePolicy": ""}
    )  # fmt: skip
    assert "RedrivePolicy" not in await attributes(world, url)
    got = await world.call("sqs", "list_dead_letter_source_queues", QueueUrl=dead)
    assert got["queueUrls"] == []


@told
async def test_a_move_task_takes_everything_back_to_where_it_came_from(world: World) -> None:
    url, dead = await pair(world, most=1)
    for number in range(120):
        await send(world, url, str(number))
    for _ in range(12):
        await receive(world, url)
    await world.advance(1)
    await receive(world, url)
    assert (await counts(world, dead))[0] == 120
    await world.call("sqs", "start_message_move_task", SourceArn=arn("dead"))
    await world.advance(5)
    assert (await counts(world, dead), await counts(world, url)) == ((0, 0, 0), (120, 0, 0))
    shown = await task(world)
    assert shown["Status"] == "COMPLETED"
    assert shown["ApproximateNumberOfMessagesMoved"] == 120
    assert shown["ApproximateNumberOfMessagesToMove"] == 120
    assert "TaskHandle" not in shown


@told
async def test_a_move_task_keeps_to_its_rate_and_can_be_cancelled(world: World) -> None:
    url, dead = await pair(world, most=1)
    for number in range(10):
        await send(world, url, str(number))
    await receive(world, url)
    await world.advance(1)
    await receive(world, url)
    await world.cloud.set_clock(world.cloud.clock.paused())
    await world.call(
        "sqs", "start_message_move_task", SourceArn=arn("dead"), DestinationArn=arn("q"),
        MaxNumberOfMessagesPerSecond=2,
    )  # fmt: skip
    await world.settle()
    assert await counts(world, dead) == (8, 0, 0)
    await world.advance(1)
    assert await counts(world, dead) == (6, 0, 0)
    code, _ = await refusal(
        world.call("sqs", "start_message_move_task", SourceArn=arn("dead"))
    )  # fmt: skip
    assert code == "UnsupportedOperation"
    shown = await task(world)
    assert (shown["Status"], shown["MaxNumberOfMessagesPerSecond"]) == ("RUNNING", 2)
    got = await world.call(
        "sqs", "cancel_message_move_task", TaskHandle=shown["TaskHandle"]
    )  # fmt: skip
    assert got["ApproximateNumberOfMessagesMoved"] == 4
    await world.advance(5)
    assert await counts(world, dead) == (6, 0, 0)
    assert (await task(world))["Status"] == "CANCELLED"
    assert len(await receive(world, url)) == 4


@told
async def test_a_move_task_goes_on_after_a_crash_and_moves_each_message_once(world: World) -> None:
    url, dead = await pair(world, most=1)
    for number in range(10):
        await send(world, url, str(number))
    await receive(world, url)
    await world.advance(1)
    await receive(world, url)
    await world.call(
        "sqs", "start_message_move_task", SourceArn=arn("dead"), MaxNumberOfMessagesPerSecond=3
    )  # fmt: skip
    await world.settle()
    again = world.again()
    await again.start()
    try:
        await again.advance(10)
        assert (await counts(again, dead))[0] == 0
        assert sorted(await bodies(again, url)) == [str(n) for n in range(10)]
    finally:
        await again.close()


@told
async def test_only_a_dead_letter_queue_can_be_moved_from(world: World) -> None:
    await make(world, "plain")
    code, text = await refusal(
        world.call("sqs", "start_message_move_task", SourceArn=arn("plain"))
    )  # fmt: skip
    assert code == "InvalidParameterValueException"
    assert text == "Source queue must be configured as a Dead Letter Queue."
    code, _ = await refusal(
        world.call("sqs", "start_message_move_task", SourceArn=arn("none"))
    )  # fmt: skip
    assert code == "ResourceNotFoundException"


@told
async def test_the_ten_latest_tasks_are_kept_and_go_with_their_queue(world: World) -> None:
    _, dead = await pair(world)
    for _ in range(12):
        await world.call("sqs", "start_message_move_task", SourceArn=arn("dead"))
        await world.advance(1)
    got = await world.call("sqs", "list_message_move_tasks", SourceArn=arn("dead"), MaxResults=10)
    started = [shown["StartedTimestamp"] for shown in got["Results"]]
    assert started == sorted(started, reverse=True)
    assert len(started) == 10
    got = await world.call("sqs", "list_message_move_tasks", SourceArn=arn("dead"))
    assert [shown["StartedTimestamp"] for shown in got["Results"]] == started[:1]
    rows = table_of(MoveTask).prefix
    assert sum(key.startswith(rows) for key in world.memory.disk) == 10
    await world.call("sqs", "delete_queue", QueueUrl=dead)
    assert not [key for key in world.memory.disk if key.startswith(rows)]


@told
async def test_a_task_fails_where_a_letter_has_nowhere_to_go_and_counts_the_others(
    world: World,
) -> None:
    url, dead = await pair(world, most=1)
    for body in ("1", "2"):
        await send(world, url, body)
    await fail(world, url, 2)
    await send(world, dead, "sent to the dead-letter queue itself")
    await world.call("sqs", "start_message_move_task", SourceArn=arn("dead"))
    await world.advance(1)
    shown = await task(world)
    assert (shown["Status"], shown["ApproximateNumberOfMessagesMoved"]) == ("FAILED", 2)
    assert shown["FailureReason"].startswith("CouldNotDetermineMessageSource")
    assert sorted(await bodies(world, url)) == ["1", "2"]
    assert await bodies(world, dead) == ["sent to the dead-letter queue itself"]


@told
async def test_a_dead_letter_keeps_its_age_and_one_that_is_moved_back_is_new(
    world: World,
) -> None:
    url, dead = await pair(world, most=1)
    sent = await send(world, url)
    sent_at = str(int(world.now.timestamp() * 1000))
    await fail(world, url, 2)
    message = await one(world, dead, AttributeNames=["SentTimestamp"], VisibilityTimeout=0)
    assert message["Attributes"]["SentTimestamp"] == sent_at
    await world.call("sqs", "start_message_move_task", SourceArn=arn("dead"))
    await world.settle()
    message = await one(world, url, AttributeNames=["All"])
    assert message["MessageId"] != sent["MessageId"]
    assert int(message["Attributes"]["SentTimestamp"]) > int(sent_at)
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    assert "DeadLetterQueueSourceArn" not in message["Attributes"]


@told
async def test_a_fifo_queues_dead_letters_go_back_in_order(world: World) -> None:
    dead = await make(world, "dead.fifo")
    url = await make(world, "q.fifo", RedrivePolicy=redrive("dead.fifo", 1), VisibilityTimeout="1")
    for body in ("1", "2", "3"):
        await send(world, url, body, MessageGroupId="g", MessageDeduplicationId=body)
    await fail(world, url, 2)
    assert await counts(world, dead) == (3, 0, 0)
    await world.call("sqs", "start_message_move_task", SourceArn=arn("dead.fifo"))
    await world.advance(1)
    assert await bodies(world, url) == ["1", "2", "3"]
    assert await counts(world, dead) == (0, 0, 0)


@told
async def test_a_handle_of_a_move_task_is_nobodys_invention(world: World) -> None:
    code, text = await refusal(
        world.call("sqs", "cancel_message_move_task", TaskHandle="made up")
    )  # fmt: skip
    assert (code, text) == (
        "InvalidParameterValueException",
        "Value for parameter TaskHandle is invalid.",
    )
