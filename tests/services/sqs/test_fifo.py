"""FIFO queues: order, deduplication, locked groups, receive attempts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.services.world import World, refusal, run, told

from .helpers import attributes, bodies, counts, delete, hide, make, one, receive, send


async def put(
    world: World,
    url: str,
    body: str,
    group: str = "g",
    deduplication: str | None = None,
    **req: Any,
) -> Any:
    """Send to a group; each body is its own deduplication id unless one is given."""
    return await send(
        world, url, body, MessageGroupId=group,
        MessageDeduplicationId=deduplication or body, **req,
    )  # fmt: skip


@told
async def test_messages_of_a_group_come_in_the_order_they_were_sent(world: World) -> None:
    url = await make(world, "q.fifo")
    for number in range(25):
        await put(world, url, f"{number:02d}", group=f"g{number % 2}")
    got: list[str] = []
    while messages := await receive(world, url):
        got += [message["Body"] for message in messages]
        for message in messages:
            await delete(world, url, message)
    assert [body for body in got if int(body) % 2 == 0] == [f"{n:02d}" for n in range(0, 25, 2)]
    assert [body for body in got if int(body) % 2 == 1] == [f"{n:02d}" for n in range(1, 25, 2)]
    assert await counts(world, url) == (0, 0, 0)


@told
async def test_a_group_waits_while_one_of_its_messages_is_in_flight(world: World) -> None:
    url = await make(world, "q.fifo", VisibilityTimeout="10")
    await put(world, url, "a1", "a")
    await put(world, url, "a2", "a")
    await put(world, url, "b1", "b")
    first = await one(world, url, MaxNumberOfMessages=1)
    assert first["Body"] == "a1"
    assert await bodies(world, url) == ["b1"]
    assert await bodies(world, url) == []
    await delete(world, url, first)
    assert await bodies(world, url) == ["a2"]


@told
async def test_what_comes_back_comes_back_before_what_was_sent_later(world: World) -> None:
    url = await make(world, "q.fifo", VisibilityTimeout="10")
    for body in ("1", "2", "3"):
        await put(world, url, body)
    assert await bodies(world, url, MaxNumberOfMessages=2) == ["1", "2"]
    await world.advance(10)
    assert await bodies(world, url) == ["1", "2", "3"]


@told
async def test_hiding_for_no_time_gives_the_group_back(world: World) -> None:
    url = await make(world, "q.fifo")
    await put(world, url, "1")
    await put(world, url, "2")
    message = await one(world, url, MaxNumberOfMessages=1)
    await hide(world, url, message, 0)
    assert await bodies(world, url) == ["1", "2"]


@told
async def test_a_handle_whose_visibility_is_over_deletes_nothing_and_says_so(world: World) -> None:
    url = await make(world, "q.fifo", VisibilityTimeout="10")
    await put(world, url, "1")
    message = await one(world, url)
    await world.advance(10)
    call = delete(world, url, message)
    assert await refusal(call) == (
        "InvalidParameterValueException",
        (
            f"Value {message['ReceiptHandle']} for parameter ReceiptHandle is invalid. "
            "Reason: The receipt handle has expired."
        ),
    )
    assert await bodies(world, url) == ["1"]


@told
async def test_a_message_sent_twice_within_five_minutes_is_one_message(world: World) -> None:
    url = await make(world, "q.fifo")
    first = await put(world, url, "tea", deduplication="d")
    again = await put(world, url, "other body", deduplication="d")
    assert (again["MessageId"], again["SequenceNumber"]) == (
        first["MessageId"],
        first["SequenceNumber"],
    )
    message = await one(world, url)
    assert message["Body"] == "tea"
    await delete(world, url, message)
    await world.advance(minutes=4, seconds=59)
    await put(world, url, "tea", deduplication="d")
    assert await receive(world, url) == []
    await world.advance(1)
    await put(world, url, "tea", deduplication="d")
    assert await bodies(world, url) == ["tea"]


@told
async def test_the_body_can_be_the_deduplication_id(world: World) -> None:
    url = await make(world, "q.fifo", ContentBasedDeduplication="true")
    for body in ("tea", "tea", "mate"):
        await send(world, url, body, MessageGroupId="g")
    assert await bodies(world, url) == ["tea", "mate"]


@told
async def test_high_throughput_deduplicates_within_a_group(world: World) -> None:
    url = await make(
        world, "q.fifo", DeduplicationScope="messageGroup", FifoThroughputLimit="perMessageGroupId"
    )
    await put(world, url, "a", "a", deduplication="same")
    await put(world, url, "b", "b", deduplication="same")
    assert sorted(await bodies(world, url)) == ["a", "b"]


@told
async def test_sequence_numbers_have_twenty_digits_and_rise(world: World) -> None:
    url = await make(world, "q.fifo")
    numbers = [(await put(world, url, str(n)))["SequenceNumber"] for n in range(5)]
    assert all(len(number) == 20 for number in numbers)
    assert sorted(numbers) == numbers
    assert len(set(numbers)) == 5
    message = await one(world, url, MaxNumberOfMessages=1, AttributeNames=["SequenceNumber"])
    assert message["Attributes"] == {"SequenceNumber": numbers[0]}


@told
async def test_a_receive_attempt_that_is_repeated_gets_the_same_messages(world: World) -> None:
    url = await make(world, "q.fifo", VisibilityTimeout="30")
    for body in ("1", "2", "3"):
        await put(world, url, body)
    attempt = {"ReceiveRequestAttemptId": "try-1", "MaxNumberOfMessages": 2}
    first = await receive(world, url, **attempt)
    await world.advance(5)
    again = await receive(world, url, **attempt)
    assert [m["MessageId"] for m in again] == [m["MessageId"] for m in first]
    # The second answer hides them anew.
    await world.advance(26)
    assert await receive(world, url) == []
    await world.advance(4)
    assert await bodies(world, url) == ["1", "2", "3"]


@told
async def test_an_attempt_whose_messages_were_touched_gets_what_there_is(world: World) -> None:
    url = await make(world, "q.fifo")
    await put(world, url, "1")
    message = await one(world, url, ReceiveRequestAttemptId="try-1")
    await delete(world, url, message)
    assert await receive(world, url, ReceiveRequestAttemptId="try-1") == []


@told
async def test_an_old_handle_does_not_reach_a_later_message_at_the_same_time(world: World) -> None:
    await world.cloud.set_clock(world.cloud.clock.paused())
    url = await make(world, "q.fifo")
    await put(world, url, "old")
    old = await one(world, url)
    await delete(world, url, old)
    await put(world, url, "new")
    new = await one(world, url)
    await delete(world, url, old)
    assert await counts(world, url) == (0, 1, 0)
    await delete(world, url, new)
    assert await counts(world, url) == (0, 0, 0)


@told
async def test_a_fifo_queue_delays_all_its_messages_alike(world: World) -> None:
    url = await make(world, "q.fifo", DelaySeconds="5")
    await put(world, url, "1")
    code, text = await refusal(put(world, url, "2", DelaySeconds=1))
    assert code == "InvalidParameterValueException"
    assert text == (
        "Value 1 for parameter DelaySeconds is invalid. Reason: The request include parameter "
        "that is not valid for this queue type."
    )
    assert await receive(world, url) == []
    await world.advance(5)
    assert await bodies(world, url) == ["1"]


@told
async def test_messages_stay_hidden_and_ordered_over_a_crash(world: World) -> None:
    url = await make(world, "q.fifo", VisibilityTimeout="10")
    for body in ("1", "2", "3"):
        await put(world, url, body)
    first = await one(world, url, MaxNumberOfMessages=1)
    again = world.again()
    await again.start()
    try:
        assert await receive(again, url) == []
        await delete(again, url, first)
        assert await bodies(again, url) == ["2", "3"]
        sent = await put(again, url, "1")
        assert sent["MessageId"] == first["MessageId"]
    finally:
        await again.close()


@told
async def test_a_week_clears_away_groups_nobody_asks_for(world: World) -> None:
    url = await make(world, "q.fifo", MessageRetentionPeriod="3600")
    for number in range(30):
        await put(world, url, str(number), f"g{number % 3}")
    await world.advance(timedelta(days=7).total_seconds())
    assert await counts(world, url) == (0, 0, 0)
    assert await receive(world, url) == []


@pytest.mark.parametrize(
    ("queue", "req", "code", "part"),
    [
        ("q.fifo", {}, "MissingRequiredParameterException", "MessageGroupId"),
        ("q.fifo", {"MessageGroupId": "g"}, "InvalidParameterValueException", "Deduplication"),
        ("q.fifo", {"MessageGroupId": "g" * 129, "MessageDeduplicationId": "d"},
         "InvalidParameterValueException", "MessageGroupId"),
        ("q.fifo", {"MessageGroupId": "g", "MessageDeduplicationId": "with space"},
         "InvalidParameterValueException", "MessageDeduplicationId"),
        ("q", {"MessageDeduplicationId": "d"}, "InvalidParameterValueException",
         "MessageDeduplicationId"),
    ],
)  # fmt: skip
def test_what_a_message_of_its_queue_must_and_must_not_have(
    queue: str, req: dict[str, Any], code: str, part: str
) -> None:
    async def story(world: World) -> None:
        url = await make(world, queue)
        found, text = await refusal(send(world, url, "x", **req))
        assert found == code
        assert part in text

    run(story)


@told
async def test_deduplication_scope_and_throughput_limit_go_together(world: World) -> None:
    code, _ = await refusal(make(world, "q.fifo", FifoThroughputLimit="perMessageGroupId"))
    assert code in {"InvalidAttributeValue", "InvalidParameterValueException"}
    url = await make(world, "p.fifo")
    shown = await attributes(world, url)
    assert (shown["DeduplicationScope"], shown["FifoThroughputLimit"]) == ("queue", "perQueue")


@told
async def test_a_new_delay_counts_for_what_is_in_the_queue_already(world: World) -> None:
    url = await make(world, "q.fifo", DelaySeconds="60")
    await put(world, url, "a1", "a")
    await put(world, url, "b1", "b")
    await change(world, url, DelaySeconds="5")
    assert await counts(world, url) == (0, 0, 2)
    await world.advance(5)
    assert await bodies(world, url, MaxNumberOfMessages=1, VisibilityTimeout=900) == ["a1"]
    await put(world, url, "a2", "a")
    await change(world, url, DelaySeconds="900")
    # What has been received is not delayed once more.
    assert await counts(world, url) == (0, 1, 2)
    await change(world, url, DelaySeconds="0")
    assert await counts(world, url) == (2, 1, 0)
    assert await bodies(world, url) == ["b1"]


@told
async def test_a_standard_queues_new_delay_counts_for_new_messages_alone(world: World) -> None:
    url = await make(world, "q", DelaySeconds="60")
    await send(world, url, "older")
    await change(world, url, DelaySeconds="0")
    await send(world, url, "newer")
    assert await bodies(world, url) == ["newer"]
    assert await counts(world, url) == (0, 1, 1)


async def change(world: World, url: str, **attributes: str) -> None:
    """Set attributes, and let what follows be done."""
    await world.call("sqs", "set_queue_attributes", QueueUrl=url, Attributes=attributes)
    await world.settle()
