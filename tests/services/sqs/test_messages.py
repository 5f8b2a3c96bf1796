"""Messages of standard queues: receiving, deleting, waiting, expiring."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import timedelta

import pytest

from doppio.kernel.paging import page_token, token_key
from doppio.services.sqs import messages
from tests.services.world import ACCOUNT, World, refusal, refused, told

from .helpers import attributes, bodies, counts, delete, hide, make, one, receive, send


@told
async def test_a_message_is_received_with_its_digest_and_gone_once_deleted(world: World) -> None:
    url = await make(world)
    sent = await send(world, url, "flat white")
    digest = hashlib.md5(b"flat white").hexdigest()
    assert sent["MD5OfMessageBody"] == digest
    message = await one(world, url)
    assert message["MessageId"] == sent["MessageId"]
    assert (message["Body"], message["MD5OfBody"]) == ("flat white", digest)
    await delete(world, url, message)
    await world.advance(31)
    assert await receive(world, url) == []
    assert await counts(world, url) == (0, 0, 0)
    await delete(world, url, message)


@told
async def test_a_received_message_comes_back_when_its_visibility_ends(world: World) -> None:
    url = await make(world, VisibilityTimeout="10")
    await send(world, url)
    first = await one(world, url)
    assert await receive(world, url) == []
    await world.advance(9.9)
    assert await receive(world, url) == []
    await world.advance(0.1)
    second = await one(world, url)
    assert second["ReceiptHandle"] != first["ReceiptHandle"]
    await world.advance(10)
    [third] = await receive(world, url, VisibilityTimeout=0, AttributeNames=["All"])
    assert third["Attributes"]["ApproximateReceiveCount"] == "3"
    await one(world, url)


@told
async def test_a_stale_handle_deletes_nothing(world: World) -> None:
    url = await make(world, VisibilityTimeout="10")
    await send(world, url)
    first = await one(world, url)
    await world.advance(10)
    second = await one(world, url)
    await delete(world, url, first)
    assert await counts(world, url) == (0, 1, 0)
    code, text = await refusal(hide(world, url, first, 5))
    assert code == "InvalidParameterValueException"
    assert text.endswith("is not available for visibility timeout change.")
    await delete(world, url, second)
    assert await counts(world, url) == (0, 0, 0)


@told
async def test_a_handle_deletes_after_its_visibility_as_long_as_nobody_received_again(
    world: World,
) -> None:
    url = await make(world)
    await send(world, url)
    message = await one(world, url)
    await world.advance(31)
    await delete(world, url, message)
    assert await receive(world, url) == []


@told
async def test_a_handle_that_was_never_given_is_refused(world: World) -> None:
    url = await make(world)
    await send(world, url)
    real = token_key((await one(world, url))["ReceiptHandle"], "standard")
    # Whoever knows how handles are made may make some that lead nowhere.
    forged = [
        page_token(key, "standard") for key in (b"", b"\xff", b"\x01\x02", real[:-5] + b"\xee")
    ]
    for handle in ("made up", "", "QUFBQQ==", *forged):
        error = await refused(
            world.call("sqs", "delete_message", QueueUrl=url, ReceiptHandle=handle)
        )
        assert error.code == "ReceiptHandleIsInvalid"


@told
async def test_a_changed_visibility_counts_from_now_and_the_handle_stays_valid(
    world: World,
) -> None:
    url = await make(world, VisibilityTimeout="30")
    await send(world, url)
    message = await one(world, url)
    await world.advance(20)
    await hide(world, url, message, 60)
    await world.advance(59)
    assert await receive(world, url) == []
    await hide(world, url, message, 100)
    await world.advance(99)
    assert await receive(world, url) == []
    await delete(world, url, message)
    await world.advance(100)
    assert await receive(world, url) == []
    assert await counts(world, url) == (0, 0, 0)


@told
async def test_a_visibility_of_zero_gives_the_message_back_at_once(world: World) -> None:
    url = await make(world)
    await send(world, url)
    await hide(world, url, await one(world, url), 0)
    again = await one(world, url)
    await hide(world, url, again, 30)
    await world.advance(30)
    last = await one(world, url)
    await delete(world, url, again)
    assert await counts(world, url) == (0, 1, 0)
    await delete(world, url, last)
    assert await counts(world, url) == (0, 0, 0)


@told
async def test_a_message_can_be_hidden_for_twelve_hours_in_all(world: World) -> None:
    url = await make(world)
    await send(world, url)
    message = await one(world, url)
    error = await refused(hide(world, url, message, 43_201))
    assert error.message == (
        "Value 43201 for parameter VisibilityTimeout is invalid. "
        "Reason: Must be between 0 and 43200, if provided."
    )
    await world.advance(1)
    error = await refused(hide(world, url, message, 43_200))
    assert "Total VisibilityTimeout for the message is beyond the limit" in error.message
    await hide(world, url, message, 43_199)


@told
async def test_a_message_that_is_not_in_flight_cannot_be_hidden(world: World) -> None:
    url = await make(world)
    await send(world, url)
    message = await one(world, url)
    await world.advance(30)
    error = await refused(hide(world, url, message, 10))
    assert error.code == "MessageNotInflight"
    assert error.query_code == "AWS.SimpleQueueService.MessageNotInflight"


@told
async def test_a_delayed_message_appears_after_its_own_or_the_queues_delay(world: World) -> None:
    url = await make(world, DelaySeconds="20")
    await send(world, url, "queue's")
    await send(world, url, "own", DelaySeconds=5)
    await send(world, url, "none", DelaySeconds=0)
    assert await counts(world, url) == (1, 0, 2)
    assert await bodies(world, url, VisibilityTimeout=900) == ["none"]
    await world.advance(5)
    assert await bodies(world, url, VisibilityTimeout=900) == ["own"]
    await world.advance(15)
    assert await bodies(world, url) == ["queue's"]
    error = await refused(send(world, url, DelaySeconds=901))
    assert error.message == (
        "Value 901 for parameter DelaySeconds is invalid. "
        "Reason: DelaySeconds must be >= 0 and <= 900."
    )


@told
async def test_counts_are_exact(world: World) -> None:
    url = await make(world)
    for number in range(12):
        await send(world, url, str(number), DelaySeconds=60 if number >= 9 else 0)
    assert await counts(world, url) == (9, 0, 3)
    taken = await receive(world, url, MaxNumberOfMessages=4)
    assert len(taken) == 4
    assert await counts(world, url) == (5, 4, 3)
    await delete(world, url, taken[0])
    await hide(world, url, taken[1], 0)
    assert await counts(world, url) == (6, 2, 3)
    await world.advance(60)
    assert await counts(world, url) == (11, 0, 0)


@told
async def test_a_waiting_receiver_is_woken_by_a_send_and_not_by_time(world: World) -> None:
    url = await make(world)
    waiting = asyncio.create_task(receive(world, url, WaitTimeSeconds=20))
    await world.settle()
    assert not waiting.done()
    await send(world, url, "here")
    await world.settle()
    assert waiting.done()
    assert [message["Body"] for message in await waiting] == ["here"]


@told
async def test_a_waiting_receiver_goes_home_when_its_time_is_over(world: World) -> None:
    url = await make(world, ReceiveMessageWaitTimeSeconds="20")
    waiting = asyncio.create_task(receive(world, url))
    await world.settle()
    await world.advance(19)
    assert not waiting.done()
    await world.advance(1)
    assert waiting.done()
    assert await waiting == []
    error = await refused(receive(world, url, WaitTimeSeconds=21))
    assert error.message == (
        "Value 21 for parameter WaitTimeSeconds is invalid. "
        "Reason: Must be >= 0 and <= 20, if provided."
    )


@told
async def test_a_waiting_receiver_gets_what_becomes_visible_meanwhile(world: World) -> None:
    url = await make(world)
    await send(world, url, "delayed", DelaySeconds=5)
    waiting = asyncio.create_task(receive(world, url, WaitTimeSeconds=20))
    await world.settle()
    await world.advance(4)
    assert not waiting.done()
    await world.advance(1)
    assert [message["Body"] for message in await waiting] == ["delayed"]


@told
async def test_of_two_waiting_receivers_one_gets_the_message(world: World) -> None:
    url = await make(world)
    waiting = [asyncio.create_task(receive(world, url, WaitTimeSeconds=20)) for _ in range(2)]
    await world.settle()
    await send(world, url)
    await world.settle()
    assert sorted(task.done() for task in waiting) == [False, True]
    await world.advance(20)
    assert sorted([len(await task) for task in waiting]) == [0, 1]


@told
async def test_a_waiting_receiver_hears_that_its_queue_is_deleted(world: World) -> None:
    url = await make(world)
    waiting = asyncio.create_task(refused(receive(world, url, WaitTimeSeconds=20)))
    await world.settle()
    await world.call("sqs", "delete_queue", QueueUrl=url)
    await world.settle()
    assert (await waiting).code == "QueueDoesNotExist"


@told
async def test_a_message_is_gone_after_its_retention(world: World) -> None:
    url = await make(world, MessageRetentionPeriod="3600")
    await send(world, url, "older")
    await world.advance(1800)
    await send(world, url, "newer")
    await world.advance(1801)
    assert await bodies(world, url, VisibilityTimeout=0) == ["newer"]
    assert await counts(world, url) == (1, 0, 0)
    await world.advance(1800)
    assert await counts(world, url) == (0, 0, 0)
    await world.advance(hours=3)
    assert not [key for key in world.memory.disk if b"sqs.message" in key]


@told
async def test_a_week_clears_away_what_nobody_asks_for(world: World) -> None:
    url = await make(world)
    for _ in range(3):
        await send(world, url)
    await receive(world, url, MaxNumberOfMessages=1, VisibilityTimeout=43_200)
    await world.advance(days=7)
    assert not [key for key in world.memory.disk if b"sqs.message" in key]
    assert await counts(world, url) == (0, 0, 0)


@told
async def test_system_attributes_tell_of_a_message(world: World) -> None:
    url = await make(world)
    trace = {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5759e988"}}
    await send(world, url, MessageSystemAttributes=trace)
    sent_at = str(int(world.now.timestamp() * 1000))
    await world.advance(2)
    message = await one(world, url, MessageSystemAttributeNames=["All"])
    assert message["Attributes"] == {
        "SenderId": ACCOUNT,
        "SentTimestamp": sent_at,
        "ApproximateReceiveCount": "1",
        "ApproximateFirstReceiveTimestamp": str(int(sent_at) + 2000),
        "AWSTraceHeader": "Root=1-5759e988",
    }
    await world.advance(30)
    message = await one(world, url, AttributeNames=["SentTimestamp"])
    assert message["Attributes"] == {"SentTimestamp": sent_at}


@told
async def test_a_receipt_clears_away_more_than_one_transaction_takes(world: World) -> None:
    url = await make(world, MessageRetentionPeriod="3600")
    for _ in range(9):
        await send(world, url, "old")
    await world.advance(3590)
    await send(world, url, "new")
    # The sweeper was here ten seconds ago, and comes again in some minutes.
    await world.advance(11)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(messages, "LOOKS_MAX", 2)
        assert await bodies(world, url, MaxNumberOfMessages=1) == ["new"]
    assert await counts(world, url) == (0, 1, 0)


@told
async def test_a_wait_is_one_request_however_often_it_wakes(world: World) -> None:
    url = await make(world)
    before = await world.used("Requests-Tier1")
    waiting = [asyncio.create_task(receive(world, url, WaitTimeSeconds=20)) for _ in range(2)]
    await world.settle()
    for _ in range(3):
        await send(world, url)
        await world.settle()
    await world.advance(20)
    await asyncio.gather(*waiting)
    assert await world.used("Requests-Tier1") == before + 2 + 3


@told
async def test_at_most_ten_messages_are_received_at_a_time(world: World) -> None:
    url = await make(world)
    for number in range(11):
        await send(world, url, str(number))
    for count in (0, 11):
        error = await refused(receive(world, url, MaxNumberOfMessages=count))
        assert error.message == (
            f"Value {count} for parameter MaxNumberOfMessages is invalid. "
            "Reason: Must be between 1 and 10, if provided."
        )
    assert len(await receive(world, url)) == 10
    assert len(await receive(world, url)) == 1


@told
async def test_what_was_acknowledged_is_there_after_a_crash(world: World) -> None:
    url = await make(world)
    await send(world, url, "kept")
    await send(world, url, "deleted")
    for message in await receive(world, url):
        if message["Body"] == "deleted":
            await delete(world, url, message)
    world.memory.crash()
    again = world.again()
    await again.start()
    assert await receive(again, url) == []
    await again.advance(timedelta(seconds=30).total_seconds())
    assert await bodies(again, url) == ["kept"]
    assert (await attributes(again, url, "VisibilityTimeout")) == {"VisibilityTimeout": "30"}
    await again.close()
