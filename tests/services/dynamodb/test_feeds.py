"""A table's changes as they arrive in Kinesis streams."""

from __future__ import annotations

import json
from typing import Any

from doppio.services.dynamodb.records import Feed
from tests.services.crashes import Told, crash_everywhere
from tests.services.world import ACCOUNT, World, refusal, refused, told

ORDERS = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/orders"


async def begin(world: World, **more: Any) -> None:
    await world.call("kinesis", "create_stream", StreamName="orders", ShardCount=2)
    await world.call(
        "dynamodb", "create_table", TableName="menu", BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "name", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "name", "AttributeType": "S"}], **more,
    )  # fmt: skip
    await world.advance(1)


async def enable(world: World, stream: str = ORDERS, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = await world.call(
        "dynamodb",
        "enable_kinesis_streaming_destination",
        TableName="menu",
        StreamArn=stream,
        **more,
    )
    await world.settle()
    return found


async def put(world: World, name: str, price: int) -> None:
    item = {"name": {"S": name}, "price": {"N": str(price)}, "raw": {"B": b"\x00\xff"}}
    await world.call("dynamodb", "put_item", TableName="menu", Item=item)


async def arrived(world: World) -> list[dict[str, Any]]:
    """What is in the stream, by shard."""
    found: list[dict[str, Any]] = []
    shards = await world.call("kinesis", "list_shards", StreamName="orders")
    for shard in shards["Shards"]:
        begin_at = await world.call(
            "kinesis", "get_shard_iterator", StreamName="orders", ShardId=shard["ShardId"],
            ShardIteratorType="TRIM_HORIZON",
        )  # fmt: skip
        page = await world.call("kinesis", "get_records", ShardIterator=begin_at["ShardIterator"])
        found += [json.loads(one["Data"]) for one in page["Records"]]
    return found


async def status(world: World) -> list[str]:
    found = await world.call("dynamodb", "describe_kinesis_streaming_destination", TableName="menu")
    return [one["DestinationStatus"] for one in found["KinesisDataStreamDestinations"]]


@told
async def test_changes_arrive_with_both_images_in_order(world: World) -> None:
    await begin(world)
    await put(world, "before", 1)
    assert (await enable(world))["DestinationStatus"] == "ENABLING"
    assert await status(world) == ["ACTIVE"]
    await put(world, "mocha", 4)
    await put(world, "mocha", 5)
    await world.call("dynamodb", "delete_item", TableName="menu", Key={"name": {"S": "mocha"}})
    await world.settle()
    came, changed, gone = await arrived(world)
    assert came["eventName"] == "INSERT"
    assert (came["tableName"], came["awsRegion"]) == ("menu", "us-east-1")
    assert (came["recordFormat"], came["userIdentity"]) == ("application/json", None)
    change = came["dynamodb"]
    assert change["Keys"] == {"name": {"S": "mocha"}}
    assert change["NewImage"]["raw"] == {"B": "AP8="}
    assert change["ApproximateCreationDateTime"] == int(world.now.timestamp() * 1_000)
    assert (changed["eventName"], changed["dynamodb"]["OldImage"]["price"]) == (
        "MODIFY",
        {"N": "4"},
    )
    assert (gone["eventName"], "NewImage" in gone["dynamodb"]) == ("REMOVE", False)


@told
async def test_times_are_told_as_exactly_as_it_is_asked_for(world: World) -> None:
    await begin(world)
    await enable(
        world,
        EnableKinesisStreamingConfiguration={"ApproximateCreationDateTimePrecision": "MICROSECOND"},
    )
    await put(world, "mocha", 4)
    await world.settle()
    [came] = await arrived(world)
    assert came["dynamodb"]["ApproximateCreationDateTime"] == int(world.now.timestamp() * 1_000_000)
    update = {"ApproximateCreationDateTimePrecision": "MILLISECOND"}
    for expected in ("UPDATING", "ValidationException"):
        ask = world.call(
            "dynamodb", "update_kinesis_streaming_destination", TableName="menu", StreamArn=ORDERS,
            UpdateKinesisStreamingConfiguration=update,
        )  # fmt: skip
        if expected == "UPDATING":
            assert (await ask)["DestinationStatus"] == expected
            await world.settle()
        else:
            assert (await refused(ask)).code == expected


@told
async def test_a_destination_is_switched_on_once_and_off_again(world: World) -> None:
    await begin(world)
    code, _ = await refusal(enable(world, ORDERS + "s"))
    assert code == "ResourceNotFoundException"
    await enable(world)
    code, text = await refusal(enable(world))
    assert (code, "must be DISABLED or ENABLE_FAILED" in text) == ("ValidationException", True)
    await put(world, "mocha", 4)
    await world.call(
        "dynamodb", "disable_kinesis_streaming_destination", TableName="menu", StreamArn=ORDERS
    )
    await put(world, "latte", 5)
    await world.settle()
    assert await status(world) == ["DISABLED"]
    assert [one["dynamodb"]["Keys"]["name"]["S"] for one in await arrived(world)] == ["mocha"]
    error = await refused(
        world.call(
            "dynamodb", "disable_kinesis_streaming_destination", TableName="menu", StreamArn=ORDERS
        )
    )
    assert error.code == "ValidationException"
    await enable(world)
    assert await status(world) == ["ACTIVE"]


@told
async def test_what_a_stream_does_not_take_waits_for_a_day(world: World) -> None:
    await begin(world)
    await enable(world)
    await world.call("kinesis", "delete_stream", StreamName="orders")
    await world.settle()
    await put(world, "mocha", 4)
    await world.settle()
    await world.call("kinesis", "create_stream", StreamName="orders", ShardCount=1)
    await world.advance(60)
    assert [one["dynamodb"]["Keys"]["name"]["S"] for one in await arrived(world)] == ["mocha"]
    await world.call("kinesis", "delete_stream", StreamName="orders")
    await world.settle()
    await put(world, "old", 4)
    await world.advance(hours=25)
    await put(world, "new", 5)
    await world.call("kinesis", "create_stream", StreamName="orders", ShardCount=1)
    await world.advance(60)
    assert [one["dynamodb"]["Keys"]["name"]["S"] for one in await arrived(world)] == ["new"]


@told
async def test_nothing_is_left_of_the_feeds_of_a_deleted_table(world: World) -> None:
    await begin(world)
    await enable(world)
    await put(world, "mocha", 4)
    await world.call("dynamodb", "delete_table", TableName="menu")
    await world.advance(5)
    assert len(await arrived(world)) == 1
    assert await world.cloud.context_for("", "").read().list(Feed, (), limit=1) == []


def test_a_crash_loses_no_change_on_its_way() -> None:
    async def prepare(world: World, told: Told) -> None:
        await begin(world)
        await enable(world)
        told["kept"] = set()

    async def work(world: World, told: Told) -> None:
        for number in range(3):
            await put(world, f"item {number}", number)
            told["kept"].add(f"item {number}")

    async def check(world: World, told: Told) -> None:
        await world.advance(30)
        names = {one["dynamodb"]["Keys"]["name"]["S"] for one in await arrived(world)}
        assert told["kept"] <= names

    assert crash_everywhere(prepare, work, check) >= 4
