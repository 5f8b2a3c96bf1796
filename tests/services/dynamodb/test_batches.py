"""Batches: many gets or many writes in one request."""

from __future__ import annotations

from typing import Any

from tests.services.world import World, refusal, told

from .helpers import arn, caller, index, item, make, put, scanned

DUPLICATES = "Provided list of item keys contains duplicates"


@told
async def test_a_batch_writes_and_deletes_in_several_tables(world: World) -> None:
    await make(world)
    await make(world, "till")
    await put(world, id="old")
    got = await caller(world)(
        "batch_write_item",
        RequestItems={
            "orders": [
                {"PutRequest": {"Item": item(id="1", n=1)}},
                {"DeleteRequest": {"Key": item(id="old")}},
            ],
            "till": [{"PutRequest": {"Item": item(id="2")}}],
        },
        ReturnConsumedCapacity="TOTAL",
    )
    assert got["UnprocessedItems"] == {}
    assert got["ConsumedCapacity"] == [
        {"TableName": "orders", "CapacityUnits": 2},
        {"TableName": "till", "CapacityUnits": 1},
    ]
    assert await scanned(world) == [item(id="1", n=1)]
    assert await scanned(world, "till") == [item(id="2")]


@told
async def test_a_batch_that_cannot_be_writes_nothing(world: World) -> None:
    await make(world)
    call = caller(world)
    good = {"PutRequest": {"Item": item(id="1")}}

    async def why(*entries: Any, table: str = "orders") -> tuple[str, str]:
        return await refusal(call("batch_write_item", RequestItems={table: list(entries)}))

    again = {"DeleteRequest": {"Key": item(id="1")}}
    assert await why(good, again) == ("ValidationException", DUPLICATES)
    assert (await why(good, {"PutRequest": {"Item": item(x=1)}}))[1] == (
        "One or more parameter values were invalid: Missing the key id in the item"
    )
    assert (await why(good, {"DeleteRequest": {"Key": item(id=1)}}))[1] == (
        "The provided key element does not match the schema"
    )
    assert (await why(good, table="nothing"))[0] == "ResourceNotFoundException"
    assert (await why({**good, **again}))[0] == "ValidationException"
    assert (await why({}))[0] == "ValidationException"
    many = [{"PutRequest": {"Item": item(id=str(number))}} for number in range(26)]
    assert (await why(*many))[0] == "ValidationException"
    both = {"orders": many[:13], arn("orders"): many[13:]}
    assert await refusal(call("batch_write_item", RequestItems=both)) == (
        "ValidationException",
        "Too many items requested for the BatchWriteItem call",
    )
    assert await scanned(world) == []


@told
async def test_a_batch_gets_what_is_there_as_each_table_asks(world: World) -> None:
    await make(world)
    await make(world, "till")
    for number in range(5):
        await put(world, id=str(number), n=number, x="y")
    await put(world, "till", id="a", n=1)
    got = await caller(world)(
        "batch_get_item",
        RequestItems={
            "orders": {
                "Keys": [item(id=str(number)) for number in (3, 9, 1)],
                "ProjectionExpression": "#n",
                "ExpressionAttributeNames": {"#n": "n"},
            },
            "till": {"Keys": [item(id="a")], "ConsistentRead": True},
        },
        ReturnConsumedCapacity="TOTAL",
    )
    assert got["Responses"] == {"orders": [item(n=3), item(n=1)], "till": [item(id="a", n=1)]}
    assert got["UnprocessedKeys"] == {}
    assert got["ConsumedCapacity"] == [
        {"TableName": "orders", "CapacityUnits": 1.5},
        {"TableName": "till", "CapacityUnits": 1},
    ]


@told
async def test_what_a_batch_cannot_carry_is_left_for_the_next(world: World) -> None:
    await make(world)
    for number in range(50):
        await put(world, id=f"{number:02}", a="x" * 400_000)
    wanted: Any = {"orders": {"Keys": [item(id=f"{number:02}") for number in range(50)]}}
    found: list[str] = []
    rounds = 0
    while wanted:
        got = await caller(world)("batch_get_item", RequestItems=wanted)
        found += [one["id"]["S"] for one in got["Responses"]["orders"]]
        wanted = got["UnprocessedKeys"]
        rounds += 1
    assert found == [f"{number:02}" for number in range(50)]
    assert rounds == 2


@told
async def test_a_batch_of_gets_that_cannot_be_is_refused(world: World) -> None:
    await make(world)
    call = caller(world)

    async def why(*keys: Any, **more: Any) -> str:
        wanted = {"orders": {"Keys": list(keys), **more}}
        return (await refusal(call("batch_get_item", RequestItems=wanted)))[1]

    assert await why(item(id="1"), item(id="1")) == DUPLICATES
    assert await why(item(x="1")) == "The provided key element does not match the schema"
    assert await why(item(id="1"), ProjectionExpression="a, a") == (
        "Invalid ProjectionExpression: Two document paths overlap with each other; must remove or "
        "rewrite one of these paths; path one: [a], path two: [a]"
    )
    keys = [item(id=str(number)) for number in range(101)]
    both = {"orders": {"Keys": keys[:50]}, arn("orders"): {"Keys": keys[50:]}}
    assert (await refusal(call("batch_get_item", RequestItems=both)))[1] == (
        "Too many items requested for the BatchGetItem call"
    )


@told
async def test_a_batch_keeps_indexes_and_tells_of_collections(world: World) -> None:
    await make(
        world,
        key=("id", "at"),
        kinds={"id": "S", "at": "S", "who": "S"},
        LocalSecondaryIndexes=[index("by-who", "id", "who")],
    )
    puts = [{"PutRequest": {"Item": item(id="1", at=str(n), who=str(9 - n))}} for n in range(3)]
    got = await caller(world)(
        "batch_write_item",
        RequestItems={"orders": puts},
        ReturnItemCollectionMetrics="SIZE",
        ReturnConsumedCapacity="INDEXES",
    )
    assert got["ItemCollectionMetrics"] == {
        "orders": [{"ItemCollectionKey": item(id="1"), "SizeEstimateRangeGB": [0.0, 1.0]}]
    }
    assert got["ConsumedCapacity"][0]["CapacityUnits"] == 6
    assert got["ConsumedCapacity"][0]["LocalSecondaryIndexes"] == {"by-who": {"CapacityUnits": 3}}
    assert [one["at"]["S"] for one in await scanned(world, IndexName="by-who")] == ["2", "1", "0"]
