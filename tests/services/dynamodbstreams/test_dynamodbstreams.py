"""DynamoDB Streams, through the door: what is told, in which order, for how long."""

from __future__ import annotations

from typing import Any

import pytest

from doppio.kernel.store import Store
from tests.services.dynamodb.helpers import caller, described, item, make, put
from tests.services.world import OTHER, REGION, World, refusal, told

BOTH = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}


def ask(world: World, method: str, /, **req: Any) -> Any:
    return world.call("dynamodbstreams", method, **req)


async def streamed(world: World, view: str = "NEW_AND_OLD_IMAGES", **req: Any) -> str:
    """A table with a stream; the stream's ARN."""
    await make(world, StreamSpecification={"StreamEnabled": True, "StreamViewType": view}, **req)
    arn: str = (await described(world))["LatestStreamArn"]
    return arn


async def iterator(world: World, arn: str, kind: str = "TRIM_HORIZON", **req: Any) -> str:
    shown = (await ask(world, "describe_stream", StreamArn=arn))["StreamDescription"]
    [shard] = shown["Shards"]
    got = await ask(
        world, "get_shard_iterator", StreamArn=arn, ShardId=shard["ShardId"],
        ShardIteratorType=kind, **req,
    )  # fmt: skip
    found: str = got["ShardIterator"]
    return found


async def records(world: World, arn: str, kind: str = "TRIM_HORIZON", **req: Any) -> list[Any]:
    got = await ask(world, "get_records", ShardIterator=await iterator(world, arn, kind, **req))
    found: list[Any] = got["Records"]
    return found


def names(found: list[Any]) -> list[str]:
    return [record["eventName"] for record in found]


@told
async def test_each_change_is_told_once_with_its_images_in_order(world: World) -> None:
    arn = await streamed(world)
    await put(world, id="a", cups=1)
    await put(world, id="a", cups=2)
    await caller(world)("delete_item", TableName="orders", Key=item(id="a"))
    first, second, third = await records(world, arn)
    assert names([first, second, third]) == ["INSERT", "MODIFY", "REMOVE"]
    assert first["dynamodb"]["Keys"] == item(id="a")
    assert first["dynamodb"]["NewImage"] == item(id="a", cups=1)
    assert "OldImage" not in first["dynamodb"]
    assert second["dynamodb"]["OldImage"] == item(id="a", cups=1)
    assert second["dynamodb"]["NewImage"] == item(id="a", cups=2)
    assert third["dynamodb"]["OldImage"] == item(id="a", cups=2)
    assert "NewImage" not in third["dynamodb"]
    assert first["eventSource"] == "aws:dynamodb"
    assert first["awsRegion"] == REGION
    assert "userIdentity" not in third
    # Keys (id: 2, a: 1) and the image (those, cups: 4, 1: 2).
    assert first["dynamodb"]["SizeBytes"] == 3 + 9
    numbers = [one["dynamodb"]["SequenceNumber"] for one in (first, second, third)]
    assert numbers == sorted(numbers)
    assert len({one["eventID"] for one in (first, second, third)}) == 3


@told
async def test_what_changes_nothing_is_not_told(world: World) -> None:
    arn = await streamed(world)
    await put(world, id="a", cups=1)
    await put(world, id="a", cups=1)
    await caller(world)("delete_item", TableName="orders", Key=item(id="none"))
    refused = caller(world)(
        "put_item", TableName="orders", Item=item(id="a", cups=9),
        ConditionExpression="attribute_not_exists(id)",
    )  # fmt: skip
    assert (await refusal(refused))[0] == "ConditionalCheckFailedException"
    assert names(await records(world, arn)) == ["INSERT"]


@pytest.mark.parametrize(
    ("view", "images"),
    [
        ("KEYS_ONLY", set()),
        ("NEW_IMAGE", {"NewImage"}),
        ("OLD_IMAGE", {"OldImage"}),
        ("NEW_AND_OLD_IMAGES", {"NewImage", "OldImage"}),
    ],
)
def test_a_view_says_which_images_are_shown(view: str, images: set[str]) -> None:
    @told
    async def story(world: World) -> None:
        arn = await streamed(world, view)
        await put(world, id="a", cups=1)
        await put(world, id="a", cups=2)
        change = (await records(world, arn))[1]["dynamodb"]
        assert change.keys() & {"NewImage", "OldImage"} == images
        assert change["StreamViewType"] == view

    story()


@told
async def test_a_transaction_and_a_batch_tell_of_all_their_changes(world: World) -> None:
    arn = await streamed(world)
    await caller(world)(
        "transact_write_items",
        TransactItems=[
            {"Put": {"TableName": "orders", "Item": item(id=name)}} for name in ("a", "b")
        ],
    )
    entries = [{"PutRequest": {"Item": item(id="c")}}, {"DeleteRequest": {"Key": item(id="a")}}]
    await caller(world)("batch_write_item", RequestItems={"orders": entries})
    found = await records(world, arn)
    assert sorted(names(found)) == ["INSERT", "INSERT", "INSERT", "REMOVE"]


@told
async def test_an_expired_item_bears_the_services_identity(world: World) -> None:
    arn = await streamed(world)
    await caller(world)(
        "update_time_to_live", TableName="orders",
        TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"},
    )  # fmt: skip
    await put(world, id="a", until=int(world.now.timestamp()) + 60)
    await world.advance(minutes=21)
    expired = (await records(world, arn))[-1]
    assert expired["eventName"] == "REMOVE"
    assert expired["userIdentity"] == {
        "Type": "Service", "PrincipalId": "dynamodb.amazonaws.com",
    }  # fmt: skip


@told
async def test_iterators_begin_where_they_say(world: World) -> None:
    arn = await streamed(world)
    for name in "abc":
        await put(world, id=name)
    everything = await records(world, arn)
    middle = everything[1]["dynamodb"]["SequenceNumber"]
    at = await records(world, arn, "AT_SEQUENCE_NUMBER", SequenceNumber=middle)
    behind = await records(world, arn, "AFTER_SEQUENCE_NUMBER", SequenceNumber=middle)
    assert (at, behind) == (everything[1:], everything[2:])
    latest = await iterator(world, arn, "LATEST")
    assert (await ask(world, "get_records", ShardIterator=latest))["Records"] == []
    await put(world, id="d")
    [new] = (await ask(world, "get_records", ShardIterator=latest))["Records"]
    assert new["dynamodb"]["Keys"] == item(id="d")
    shown = (await ask(world, "describe_stream", StreamArn=arn))["StreamDescription"]
    start = shown["Shards"][0]["SequenceNumberRange"]["StartingSequenceNumber"]
    assert len(await records(world, arn, "AT_SEQUENCE_NUMBER", SequenceNumber=start)) == 4


@told
async def test_pages_go_on_where_they_ended(world: World) -> None:
    arn = await streamed(world)
    for number in range(7):
        await put(world, id=f"{number}")
    token, seen = await iterator(world, arn), []
    for _ in range(4):
        page = await ask(world, "get_records", ShardIterator=token, Limit=2)
        seen.append([record["dynamodb"]["Keys"]["id"]["S"] for record in page["Records"]])
        token = page["NextShardIterator"]
    assert seen == [["0", "1"], ["2", "3"], ["4", "5"], ["6"]]


@told
async def test_a_page_ends_before_a_megabyte(world: World) -> None:
    arn = await streamed(world, "NEW_IMAGE")
    for number in range(4):
        await put(world, id=f"{number}", text="x" * 399_000)
    page = await ask(world, "get_records", ShardIterator=await iterator(world, arn))
    assert len(page["Records"]) == 2
    page = await ask(world, "get_records", ShardIterator=page["NextShardIterator"])
    assert len(page["Records"]) == 2


@told
async def test_records_are_forgotten_after_a_day(world: World) -> None:
    arn = await streamed(world)
    await put(world, id="old")
    [old] = await records(world, arn)
    horizon = await iterator(world, arn)
    await world.advance(hours=23)
    await put(world, id="new")
    assert len(await records(world, arn)) == 2
    await world.advance(hours=1)
    # The hour of the sweep has come or not: what is a day old is not shown.
    [left] = await records(world, arn)
    assert left["dynamodb"]["Keys"] == item(id="new")
    await world.advance(hours=1)
    number = old["dynamodb"]["SequenceNumber"]
    refused = iterator(world, arn, "AFTER_SEQUENCE_NUMBER", SequenceNumber=_before(number))
    assert (await refusal(refused))[0] == "TrimmedDataAccessException"
    code, text = await refusal(ask(world, "get_records", ShardIterator=horizon))
    assert code == "ExpiredIteratorException"
    assert "15 minutes" in text


def _before(number: str) -> str:
    return str(int(number) - 1)


@told
async def test_a_closed_stream_is_read_to_its_end_and_goes_after_a_day(world: World) -> None:
    arn = await streamed(world)
    await put(world, id="a")
    await caller(world)(
        "update_table", TableName="orders", StreamSpecification={"StreamEnabled": False}
    )
    await world.advance(1)
    await put(world, id="b")
    shown = (await ask(world, "describe_stream", StreamArn=arn))["StreamDescription"]
    assert shown["StreamStatus"] == "DISABLED"
    assert "EndingSequenceNumber" in shown["Shards"][0]["SequenceNumberRange"]
    page = await ask(world, "get_records", ShardIterator=await iterator(world, arn))
    assert names(page["Records"]) == ["INSERT"]
    assert "NextShardIterator" not in page
    assert "StreamSpecification" not in await described(world)
    await world.advance(hours=26)
    assert (await ask(world, "list_streams"))["Streams"] == []
    assert (await refusal(ask(world, "describe_stream", StreamArn=arn)))[0] == (
        "ResourceNotFoundException"
    )
    assert await logs_of(world.memory) == []


async def logs_of(store: Store) -> list[bytes]:
    """What is left of the logs of streams."""
    return [key for key in store.disk if b"ddb.stream/" in key]  # type: ignore[attr-defined]


@told
async def test_a_deleted_tables_stream_stays_and_a_new_one_is_another(world: World) -> None:
    first = await streamed(world)
    await put(world, id="a")
    await caller(world)("delete_table", TableName="orders")
    await world.advance(1)
    assert names(await records(world, first)) == ["INSERT"]
    second = await streamed(world)
    assert second != first
    assert await records(world, second) == []
    listed = await ask(world, "list_streams", TableName="orders", Limit=1)
    assert [one["StreamArn"] for one in listed["Streams"]] == [first]
    listed = await ask(
        world, "list_streams", ExclusiveStartStreamArn=listed["LastEvaluatedStreamArn"]
    )
    assert [one["StreamArn"] for one in listed["Streams"]] == [second]


@told
async def test_a_stream_is_switched_once(world: World) -> None:
    await streamed(world)
    on = caller(world)("update_table", TableName="orders", StreamSpecification=BOTH)
    assert await refusal(on) == (
        "ValidationException", "Table already has an enabled stream: TableName: orders",
    )  # fmt: skip
    bad = caller(world)(
        "update_table", TableName="orders", StreamSpecification={"StreamEnabled": True}
    )
    assert "StreamViewType" in (await refusal(bad))[1]


@told
async def test_what_is_no_iterator_or_shard_is_refused(world: World) -> None:
    arn = await streamed(world)
    code, _ = await refusal(ask(world, "get_records", ShardIterator=f"{arn}|1|AAAA"))
    assert code == "ValidationException"
    code, _ = await refusal(ask(world, "get_records", ShardIterator="nonsense"))
    assert code == "ResourceNotFoundException"
    wrong = ask(
        world, "get_shard_iterator", StreamArn=arn, ShardIteratorType="LATEST",
        ShardId="shardId-00000000000000000000-00000000",
    )  # fmt: skip
    assert (await refusal(wrong))[0] == "ResourceNotFoundException"
    code, _ = await refusal(iterator(world, arn, "AT_SEQUENCE_NUMBER"))
    assert code == "ValidationException"


@told
async def test_another_account_may_not_read(world: World) -> None:
    arn = await streamed(world)
    await put(world, id="a")
    token = await iterator(world, arn)
    denied = ask(world, "get_records", account=OTHER, ShardIterator=token)
    assert (await refusal(denied))[0] == "AccessDeniedException"


@told
async def test_a_crash_loses_no_record_and_makes_none_up(world: World) -> None:
    arn = await streamed(world)
    for number in range(5):
        await put(world, id=f"{number}")
    again = world.again()
    await again.start()
    try:
        found = await records(again, arn)
        assert [one["dynamodb"]["Keys"]["id"]["S"] for one in found] == list("01234")
        await put(again, id="5")
        assert len(await records(again, arn)) == 6
    finally:
        await again.close()
