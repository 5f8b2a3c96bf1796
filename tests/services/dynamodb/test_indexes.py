"""Secondary indexes: in step with their table, from the first moment and when added later."""

from __future__ import annotations

import asyncio
from typing import Any

from doppio.kernel.records import table_of
from doppio.services.dynamodb.item_collections import collection_key
from doppio.services.dynamodb.item_keys import INDEXED
from doppio.services.dynamodb.records import ITEMS, Table
from tests.services.world import World, refusal, told

from .helpers import (
    Item,
    caller,
    described,
    index,
    item,
    make,
    put,
    queried,
    scanned,
    types,
)

BAD = "One or more parameter values were invalid: "


async def by(world: World, name: str, who: str, **req: Any) -> list[Item]:
    """A query of an index by who."""
    return await queried(
        world,
        IndexName=name,
        KeyConditionExpression="who = :w",
        ExpressionAttributeValues={":w": {"S": who}},
        **req,
    )


async def add(world: World, *one: Any, **kinds: str) -> Any:
    """Add an index."""
    return await caller(world)(
        "update_table",
        TableName="orders",
        AttributeDefinitions=types(**(kinds or {"who": "S"})),
        GlobalSecondaryIndexUpdates=[{"Create": made} for made in one],
    )


async def drop(world: World, name: str) -> Any:
    """Delete an index."""
    updates = [{"Delete": {"IndexName": name}}]
    return await caller(world)(
        "update_table", TableName="orders", GlobalSecondaryIndexUpdates=updates
    )


@told
async def test_an_index_follows_each_change_of_an_item(world: World) -> None:
    await make(
        world,
        kinds={"id": "S", "who": "S"},
        GlobalSecondaryIndexes=[index("by-who", "who")],
    )
    call = caller(world)
    await put(world, id="1", who="me", n=1)
    await put(world, id="2", n=2)
    assert await by(world, "by-who", "me") == [item(id="1", who="me", n=1)]
    assert len(await scanned(world, IndexName="by-who")) == 1
    await put(world, id="1", who="you", n=3)
    assert await by(world, "by-who", "me") == []
    assert await by(world, "by-who", "you") == [item(id="1", who="you", n=3)]
    for text in ("SET n = n + :n", "SET who = :w", "REMOVE who"):
        values = {":n": {"N": "1"}, ":w": {"S": "him"}}
        used = {name: value for name, value in values.items() if name in text}
        await call(
            "update_item", TableName="orders", Key=item(id="1"), UpdateExpression=text,
            **({"ExpressionAttributeValues": used} if used else {}),
        )  # fmt: skip
        found = await scanned(world, IndexName="by-who")
        table = [one for one in await scanned(world) if "who" in one]
        assert found == table
    await put(world, id="1", who="me")
    await call("delete_item", TableName="orders", Key=item(id="1"))
    assert await scanned(world, IndexName="by-who") == []


@told
async def test_an_index_holds_what_its_projection_says(world: World) -> None:
    await make(
        world,
        kinds={"id": "S", "who": "S"},
        GlobalSecondaryIndexes=[
            index("all", "who"),
            index("keys", "who", projection="KEYS_ONLY"),
            index("some", "who", projection="INCLUDE", include=("a",)),
        ],
    )
    await put(world, id="1", who="me", a=1, b=2)
    assert await by(world, "all", "me") == [item(id="1", who="me", a=1, b=2)]
    assert await by(world, "keys", "me") == [item(id="1", who="me")]
    assert await by(world, "some", "me") == [item(id="1", who="me", a=1)]
    assert await refusal(by(world, "some", "me", ProjectionExpression="a, b")) == (
        "ValidationException",
        BAD + "Global secondary index some does not project [b]",
    )
    assert (await refusal(by(world, "some", "me", Select="ALL_ATTRIBUTES")))[1] == (
        BAD + "Select type ALL_ATTRIBUTES is not supported for global secondary index some "
        "because its projection type is not ALL"
    )
    assert (await refusal(by(world, "all", "me", ConsistentRead=True)))[1] == (
        "Consistent reads are not supported on global secondary indexes"
    )


@told
async def test_a_local_index_fetches_from_the_table_what_it_does_not_hold(world: World) -> None:
    await make(
        world,
        key=("who", "id"),
        kinds={"who": "S", "id": "S", "at": "N"},
        LocalSecondaryIndexes=[index("by-at", "who", "at", projection="KEYS_ONLY")],
    )
    await put(world, who="me", id="1", at=9, a=1)
    await put(world, who="me", id="2", at=3, a=2)
    assert await by(world, "by-at", "me") == [
        item(who="me", id="2", at=3),
        item(who="me", id="1", at=9),
    ]
    whole = await by(world, "by-at", "me", Select="ALL_ATTRIBUTES", ConsistentRead=True)
    assert [one["a"]["N"] for one in whole] == ["2", "1"]
    assert await by(world, "by-at", "me", ProjectionExpression="a") == [item(a=2), item(a=1)]


@told
async def test_an_index_key_of_another_type_is_refused_and_one_too_large_too(world: World) -> None:
    await make(
        world,
        kinds={"id": "S", "who": "S"},
        GlobalSecondaryIndexes=[index("by-who", "who")],
    )
    assert (await refusal(put(world, id="1", who=1)))[1] == (
        BAD + "Type mismatch for Index Key who Expected: S Actual: N IndexName: by-who"
    )
    assert (await refusal(put(world, id="1", who="")))[1] == (
        "One or more parameter values are not valid. A value specified for a secondary index key "
        "is not supported. The AttributeValue for a key attribute cannot contain an empty string "
        "value. IndexName: by-who, IndexKey: who"
    )
    assert (await refusal(put(world, id="1", who="x" * 2049)))[1] == (
        BAD + "Size of hashkey has exceeded the maximum size limit of2048 bytes"
    )


@told
async def test_an_index_added_later_is_filled_and_then_readable(world: World) -> None:
    await make(world)
    for number in range(450):
        await put(world, id=f"{number:03}", who="me" if number % 3 else "you")
    await put(world, id="other", who=7)
    shown = await add(world, index("by-who", "who"))
    made = shown["TableDescription"]["GlobalSecondaryIndexes"][0]
    assert (made["IndexStatus"], made["Backfilling"]) == ("CREATING", True)
    assert (await refusal(by(world, "by-who", "me")))[1] == (
        "Cannot read from backfilling global secondary index: by-who"
    )
    await world.advance(1)
    table = await described(world)
    assert table["TableStatus"] == "ACTIVE"
    assert table["GlobalSecondaryIndexes"][0]["IndexStatus"] == "ACTIVE"
    assert table["GlobalSecondaryIndexes"][0]["ItemCount"] == 450
    assert table["AttributeDefinitions"] == types(id="S", who="S")
    assert len(await by(world, "by-who", "me")) == 300
    assert len(await by(world, "by-who", "you")) == 150


@told
async def test_items_written_while_an_index_fills_are_in_it_once(world: World) -> None:
    await make(world)
    for number in range(450):
        await put(world, id=f"{number:03}", who="me")
    await add(world, index("by-who", "who"))
    call = caller(world)
    for number in range(0, 450, 50):
        await put(world, id=f"{number:03}", who="you")
        await put(world, id=f"new{number}", who="you")
        await call("delete_item", TableName="orders", Key=item(id=f"{number + 1:03}"))
        await asyncio.sleep(0)
    await world.advance(1)
    found = await scanned(world, IndexName="by-who")
    table = await scanned(world)
    assert sorted(one["id"]["S"] for one in found) == [one["id"]["S"] for one in table]
    shown = (await described(world))["GlobalSecondaryIndexes"][0]
    assert (shown["IndexStatus"], shown["ItemCount"]) == ("ACTIVE", len(table))


@told
async def test_an_index_made_anew_does_not_see_the_rows_of_the_old_one(world: World) -> None:
    await make(
        world,
        kinds={"id": "S", "who": "S"},
        GlobalSecondaryIndexes=[index("by-who", "who")],
    )
    for number in range(250):
        await put(world, id=f"{number:03}", who="me")
    for _ in range(2):
        await drop(world, "by-who")
        await world.advance(1)
        assert "GlobalSecondaryIndexes" not in await described(world)
        assert (await described(world))["AttributeDefinitions"] == types(id="S")
        assert not [key for key in world.memory.disk if key.startswith(INDEXED)]
        assert (await refusal(by(world, "by-who", "me")))[1] == (
            "The table does not have the specified index: by-who"
        )
        await add(world, index("by-who", "who"))
        await world.advance(1)
        assert len(await by(world, "by-who", "me")) == 250


@told
async def test_indexes_are_added_and_dropped_one_at_a_time(world: World) -> None:
    await make(world)
    assert await refusal(add(world, index("one", "who"), index("two", "who"))) == (
        "LimitExceededException",
        (
            "Subscriber limit exceeded: Only 1 online index can be created or deleted "
            "simultaneously per table"
        ),
    )
    await add(world, index("one", "who"))
    await world.advance(1)
    assert (await refusal(add(world, index("one", "who"))))[1] == (
        "Attempting to create an index which already exists: one"
    )
    assert (await refusal(drop(world, "nothing")))[0] == "ResourceNotFoundException"


@told
async def test_a_deleted_tables_indexes_leave_no_rows(world: World) -> None:
    await make(
        world,
        kinds={"id": "S", "who": "S"},
        GlobalSecondaryIndexes=[index("by-who", "who")],
    )
    await put(world, id="1", who="me")
    await add(world, index("late", "who"))
    await world.advance(1)
    rows = (INDEXED, ITEMS, table_of(Table).prefix)
    assert [key for key in world.memory.disk if key.startswith(rows)]
    await caller(world)("delete_table", TableName="orders")
    await world.advance(1)
    assert not [key for key in world.memory.disk if key.startswith(rows)]


@told
async def test_a_global_index_may_have_keys_of_several_attributes(world: World) -> None:
    names = ("team", "season", "round", "game")
    schema = [
        {"AttributeName": name, "KeyType": "HASH" if name in names[:2] else "RANGE"}
        for name in names
    ]
    several = {
        "IndexName": "several", "KeySchema": schema, "Projection": {"ProjectionType": "ALL"},
    }  # fmt: skip
    kinds = {"id": "S", "team": "S", "season": "N", "round": "S", "game": "N"}
    await make(world, kinds=kinds, GlobalSecondaryIndexes=[several])
    shown = (await described(world))["GlobalSecondaryIndexes"][0]
    assert shown["KeySchema"] == schema
    for number, (team, season, stage, game) in enumerate(
        [("a", 1, "final", 1), ("a", 1, "final", 2), ("a", 1, "group", 3), ("a", 2, "final", 4)]
    ):
        row = {"team": team, "season": season, "round": stage, "game": game}
        await put(world, id=str(number), **row)
    await put(world, id="lacks", team="a", season=1, round="final")

    async def found(condition: str, **values: Any) -> list[str]:
        got = await queried(
            world, IndexName="several", KeyConditionExpression=condition,
            ExpressionAttributeNames={"#r": "round"} if "#r" in condition else {"#t": "team"},
            ExpressionAttributeValues=item(**{f":{name}": one for name, one in values.items()}),
        )  # fmt: skip
        return [one["id"]["S"] for one in got]

    assert await found("#t = :t AND season = :s", t="a", s=1) == ["0", "1", "2"]
    assert await found("team = :t AND season = :s AND #r = :r", t="a", s=1, r="final") == ["0", "1"]
    assert await found(
        "team = :t AND season = :s AND #r = :r AND game > :g", t="a", s=1, r="final", g=1
    ) == ["1"]
    code, text = await refusal(found("#t = :t", t="a"))
    assert (code, text) == (
        "ValidationException", "Query condition missed key schema element: season",
    )  # fmt: skip
    page = await caller(world)("scan", TableName="orders", IndexName="several", Limit=2)
    assert set(page["LastEvaluatedKey"]) == {"id", *names}
    rest = await scanned(world, IndexName="several", ExclusiveStartKey=page["LastEvaluatedKey"])
    assert [one["id"]["S"] for one in rest] == ["2", "3"]


@told
async def test_a_key_of_several_attributes_has_its_order_and_its_limit(world: World) -> None:
    async def why(*roles: str) -> tuple[str, str]:
        names = [f"a{number}" for number in range(len(roles))]
        one = {
            "IndexName": "several", "Projection": {"ProjectionType": "ALL"},
            "KeySchema": [
                {"AttributeName": name, "KeyType": role}
                for name, role in zip(names, roles, strict=True)
            ],
        }  # fmt: skip
        kinds = {"id": "S", **dict.fromkeys(names, "S")}
        return await refusal(make(world, kinds=kinds, GlobalSecondaryIndexes=[one]))

    assert "must precede" in (await why("HASH", "RANGE", "HASH"))[1]
    assert "at most 4" in (await why(*["HASH"] * 5))[1]
    assert "The first" in (await why("RANGE", "HASH"))[1]
    several = {
        "IndexName": "four", "Projection": {"ProjectionType": "ALL"},
        "KeySchema": [{"AttributeName": f"a{number}", "KeyType": "HASH"} for number in range(4)],
    }  # fmt: skip
    kinds = {"id": "S", **{f"a{number}": "S" for number in range(4)}}
    await make(world, kinds=kinds, GlobalSecondaryIndexes=[several])


async def _weigh(world: World, hash_value: str, size: int) -> None:
    """Let a collection weigh more, without writing gigabytes."""
    ctx = world.cloud.root_context()
    table = await ctx.read().get(Table, ctx.account, ctx.region, "orders")
    assert table is not None
    async with ctx.write() as tx:
        tx.raw.add(collection_key(table, item(id=hash_value)), float(size))


@told
async def test_a_collection_has_a_size_and_a_limit(world: World) -> None:
    local = index("by_n", "id", "n")
    await make(
        world, key=("id", "sort"), kinds={"id": "S", "sort": "S", "n": "N"},
        LocalSecondaryIndexes=[local],
    )  # fmt: skip
    call = caller(world)

    async def sized(**attributes: Any) -> Any:
        got = await call(
            "put_item", TableName="orders", Item=item(**attributes),
            ReturnItemCollectionMetrics="SIZE",
        )  # fmt: skip
        return got["ItemCollectionMetrics"]["SizeEstimateRangeGB"]

    assert await sized(id="a", sort="1", n=1) == [0.0, 1.0]
    await _weigh(world, "a", 3 * 2**30)
    assert await sized(id="a", sort="2", n=1) == [3.0, 4.0]
    assert await sized(id="b", sort="1", n=1) == [0.0, 1.0]
    await _weigh(world, "a", 7 * 2**30 - 200)
    over = put(world, id="a", sort="3", n=1, x="x" * 200)
    assert (await refusal(over))[0] == "ItemCollectionSizeLimitExceededException"
    part = {"Put": {"TableName": "orders", "Item": item(id="a", sort="3", n=1, x="x" * 200)}}
    code, text = await refusal(call("transact_write_items", TransactItems=[part]))
    assert code == "TransactionCanceledException"
    assert text.endswith("[ItemCollectionSizeLimitExceeded]")
    # What makes it smaller goes through, and so does what is in another one.
    await call("delete_item", TableName="orders", Key=item(id="a", sort="2"))
    await put(world, id="b", sort="2", n=1, x="x" * 200)


@told
async def test_collections_are_forgotten_with_their_table(world: World) -> None:
    local = index("by_n", "id", "n")
    made = {"key": ("id", "sort"), "kinds": {"id": "S", "sort": "S", "n": "N"}}
    await make(world, LocalSecondaryIndexes=[local], **made)  # type: ignore[arg-type]
    await put(world, id="a", sort="1", n=1)
    ctx = world.cloud.root_context()
    table = await ctx.read().get(Table, ctx.account, ctx.region, "orders")
    assert table is not None
    key = collection_key(table, item(id="a"))
    assert await ctx.read().raw.counter(key) > 0
    await caller(world)("delete_table", TableName="orders")
    await world.advance(1)
    assert await ctx.read().raw.counter(key) == 0
