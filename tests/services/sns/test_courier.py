"""Delivery to servers outside: the handshake, retries by policy, dead letters, and a crash."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from doppio.services.sns.records import Delivery
from tests.services.sns.helpers import Heard, listening, queue, texts, topic
from tests.services.world import World, told


async def until(world: World, holds: Callable[[], bool]) -> None:
    """Let real threads work until something holds."""
    for _ in range(400):
        await world.settle()
        if holds():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came to hold")


async def failed(world: World, tries: int) -> None:
    """Wait until a delivery has failed so often; 0: until none is under way."""
    for _ in range(400):
        await world.settle()
        rows = await world.cloud.root_context().read().list(Delivery, limit=10)
        if [row.tries for row in rows] == ([tries] if tries else []):
            return
        await asyncio.sleep(0.005)
    raise AssertionError(f"no delivery has failed {tries} times")


async def confirmed(world: World, arn: str, server: Heard, **attributes: str) -> str:
    """Subscribe a listening server and confirm it as it would."""
    await world.call(
        "sns",
        "subscribe",
        TopicArn=arn,
        Protocol="http",
        Endpoint=server.url,
        Attributes=attributes,
    )
    await until(world, lambda: bool(server.requests))
    headers, asked = server.requests.pop()
    assert headers["x-amz-sns-message-type"] == "SubscriptionConfirmation"
    answer = await world.call("sns", "confirm_subscription", TopicArn=arn, Token=asked["Token"])
    found: str = answer["SubscriptionArn"]
    return found


@told
async def test_a_server_is_asked_and_then_told(world: World) -> None:
    with listening() as server:
        arn = await topic(world)
        subscription = await confirmed(world, arn, server)
        await world.call("sns", "publish", TopicArn=arn, Message="hello")
        await until(world, lambda: bool(server.requests))
        headers, body = server.requests.pop()
        assert headers["x-amz-sns-message-type"] == "Notification"
        assert headers["x-amz-sns-subscription-arn"] == subscription
        assert headers["content-type"] == "text/plain; charset=UTF-8"
        assert body["Message"] == "hello"


@told
async def test_raw_delivery_to_a_server_says_so(world: World) -> None:
    with listening() as server:
        arn = await topic(world)
        await confirmed(world, arn, server, RawMessageDelivery="true")
        await world.call("sns", "publish", TopicArn=arn, Message="hello")
        await until(world, lambda: bool(server.requests))
        headers, body = server.requests.pop()
        assert headers["x-amz-sns-rawdelivery"] == "true"
        assert body == "hello"


@told
async def test_a_server_that_fails_is_tried_again_and_holds_nobody_up(world: World) -> None:
    with listening() as server:
        arn = await topic(world)
        await confirmed(world, arn, server)
        to = await queue(world, "q")
        await world.call("sns", "subscribe", TopicArn=arn, Protocol="sqs", Endpoint=to)
        server.answers = [500, 503]
        await world.call("sns", "publish", TopicArn=arn, Message="hello")
        assert await texts(world, to) == ["hello"]
        for tries in (1, 2):
            await failed(world, tries)
            assert len(server.requests) == tries
            await world.advance(seconds=19)
            assert len(server.requests) == tries
            await world.advance(seconds=2)
        await until(world, lambda: len(server.requests) == 3)
        await failed(world, 0)
        await world.advance(hours=1)
        assert len(server.requests) == 3


@told
async def test_after_its_retries_a_message_is_a_dead_letter(world: World) -> None:
    with listening() as server:
        arn = await topic(world)
        dead = await queue(world, "dead")
        await confirmed(
            world,
            arn,
            server,
            RedrivePolicy=json.dumps({"deadLetterTargetArn": dead}),
            DeliveryPolicy=json.dumps({"healthyRetryPolicy": {"numRetries": 1}}),
        )
        server.answers = [500] * 5
        await world.call("sns", "publish", TopicArn=arn, Message="hello")
        await failed(world, 1)
        assert await texts(world, dead) == []
        await world.advance(seconds=21)
        await until(world, lambda: len(server.requests) == 2)
        await failed(world, 0)
        assert await texts(world, dead) == ["hello"]
        await world.advance(days=1)
        assert len(server.requests) == 2


@told
async def test_what_a_server_refuses_for_good_is_not_tried_again(world: World) -> None:
    with listening() as server:
        arn = await topic(world)
        await confirmed(world, arn, server)
        server.answers = [403]
        await world.call("sns", "publish", TopicArn=arn, Message="hello")
        await until(world, lambda: len(server.requests) == 1)
        await failed(world, 0)
        await world.advance(days=1)
        assert len(server.requests) == 1


@told
async def test_a_crash_delivers_what_was_on_its_way(world: World) -> None:
    with listening() as server:
        arn = await topic(world)
        await confirmed(world, arn, server)
        server.answers = [500]
        await world.call("sns", "publish", TopicArn=arn, Message="hello")
        await failed(world, 1)
        after = world.again()
        await after.start()
        await after.advance(seconds=30)
        await until(after, lambda: len(server.requests) == 2)
        assert server.requests[-1][1]["Message"] == "hello"
        await after.close()
