"""Consumers: registered, and told of records as they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from tests.services.world import World, finished, refused, told

from .small import ORDERS, put, stream

Events = AsyncGenerator[dict[str, Any], None]


async def consumer(world: World, name: str = "barista") -> str:
    found = await world.call(
        "kinesis", "register_stream_consumer", StreamARN=ORDERS, ConsumerName=name
    )
    arn: str = found["Consumer"]["ConsumerARN"]
    return arn


async def subscribe(world: World, arn: str, kind: str = "TRIM_HORIZON") -> Events:
    found = await world.call(
        "kinesis", "subscribe_to_shard", ConsumerARN=arn, ShardId="shardId-000000000000",
        StartingPosition={"Type": kind},
    )  # fmt: skip
    events: Events = found["EventStream"]
    return events


async def following(events: Events) -> dict[str, Any]:
    event = await anext(events)
    found: dict[str, Any] = event["SubscribeToShardEvent"]
    return found


async def rest(events: Events) -> list[dict[str, Any]]:
    return [event async for event in events]


@told
async def test_consumers_are_registered_listed_and_let_go(world: World) -> None:
    await stream(world)
    arn = await consumer(world)
    assert arn.startswith(f"{ORDERS}/consumer/barista:")
    assert (await refused(consumer(world))).code == "ResourceInUseException"
    await consumer(world, "cook")
    page = await world.call("kinesis", "list_stream_consumers", StreamARN=ORDERS, MaxResults=1)
    rest = await world.call(
        "kinesis", "list_stream_consumers", StreamARN=ORDERS, NextToken=page["NextToken"]
    )
    names = [one["ConsumerName"] for one in (*page["Consumers"], *rest["Consumers"])]
    assert names == ["barista", "cook"]
    found = await world.call("kinesis", "describe_stream_consumer", ConsumerARN=arn)
    assert found["ConsumerDescription"]["ConsumerStatus"] == "ACTIVE"
    assert found["ConsumerDescription"]["StreamARN"] == ORDERS
    error = await refused(world.call("kinesis", "delete_stream", StreamName="orders"))
    assert error.code == "ResourceInUseException"
    await world.call("kinesis", "deregister_stream_consumer", ConsumerARN=arn)
    error = await refused(world.call("kinesis", "describe_stream_consumer", ConsumerARN=arn))
    assert error.code == "ResourceNotFoundException"
    await world.call("kinesis", "delete_stream", StreamName="orders", EnforceConsumerDeletion=True)


@told
async def test_records_are_pushed_as_they_come(world: World) -> None:
    await stream(world)
    await put(world, "early")
    events = await subscribe(world, await consumer(world))
    event = await following(events)
    assert [one["Data"] for one in event["Records"]] == [b"early"]
    assert event["ContinuationSequenceNumber"] == event["Records"][0]["SequenceNumber"]
    waiting = asyncio.ensure_future(following(events))
    await world.settle()
    assert not waiting.done()
    await put(world, "late")
    await world.settle()
    assert [one["Data"] for one in (await waiting)["Records"]] == [b"late"]
    waiting = asyncio.ensure_future(following(events))
    await world.settle()
    await world.advance(5)
    assert (await waiting)["Records"] == []
    await world.advance(minutes=5)
    assert await finished(world, rest(events)) == []


@told
async def test_a_later_subscription_takes_over_and_a_hasty_one_is_refused(world: World) -> None:
    await stream(world)
    arn = await consumer(world)
    first = await subscribe(world, arn)
    assert (await following(first))["Records"] == []
    assert (await refused(subscribe(world, arn))).code == "ResourceInUseException"
    await world.advance(6)
    second = await subscribe(world, arn)
    assert "ResourceInUseException" in (await finished(world, rest(first)))[-1]
    assert (await following(second))["Records"] == []
    await second.aclose()


@told
async def test_a_subscription_ends_with_its_shard_and_with_its_consumer(world: World) -> None:
    await stream(world)
    await put(world, "last")
    arn = await consumer(world)
    await world.call(
        "kinesis", "split_shard", StreamName="orders", ShardToSplit="shardId-000000000000",
        NewStartingHashKey="9",
    )  # fmt: skip
    await world.settle()
    [event] = await finished(world, rest(await subscribe(world, arn)))
    shown = event["SubscribeToShardEvent"]
    assert [one["Data"] for one in shown["Records"]] == [b"last"]
    assert len(shown["ChildShards"]) == 2
    found = await world.call(
        "kinesis", "subscribe_to_shard", ConsumerARN=arn, ShardId="shardId-000000000001",
        StartingPosition={"Type": "LATEST"},
    )  # fmt: skip
    await following(found["EventStream"])
    await world.call("kinesis", "deregister_stream_consumer", ConsumerARN=arn)
    [event] = await finished(world, rest(found["EventStream"]))
    assert "ResourceNotFoundException" in event
