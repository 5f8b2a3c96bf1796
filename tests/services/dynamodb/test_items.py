"""PutItem, GetItem, UpdateItem, DeleteItem: conditions, what they return, what they consume."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.services.world import World, refusal, refused, run, told

from .helpers import Item, caller, get, index, item, make, put, scanned, wire

BAD = "One or more parameter values were invalid: "


async def update(world: World, text: str, /, key: str = "1", **req: Any) -> Any:
    """UpdateItem; lower-case arguments are values."""
    values = {f":{name}": wire(value) for name, value in req.items() if name.islower()}
    rest = {name: value for name, value in req.items() if not name.islower()}
    if values:
        rest["ExpressionAttributeValues"] = values
    return await world.call(
        "dynamodb",
        "update_item",
        TableName="orders",
        Key=item(id=key),
        UpdateExpression=text,
        **rest,
    )


@told
async def test_what_is_put_is_got_in_all_types(world: World) -> None:
    await make(world)
    given = item(
        id="1", s="é\0", n=-1.5, b=b"\0\xff", yes=True, none=None, empty="", none_b=b"",
        ss={"a", "b"}, ns={1, 2}, bs={b"a", b"b"}, l=["x", ["y"], {}], m={"k": {"j": []}},
    )  # fmt: skip
    await caller(world)("put_item", TableName="orders", Item=given)
    assert await get(world, id="1") == given
    assert await get(world, id="2") is None


@told
async def test_numbers_come_back_canonical_and_keys_of_one_value_are_one_item(
    world: World,
) -> None:
    await make(world, kinds={"id": "N"})
    call = caller(world)
    await call("put_item", TableName="orders", Item={"id": {"N": "1.0"}, "x": {"N": "1e2"}})
    await call("put_item", TableName="orders", Item={"id": {"N": "01"}, "x": {"N": "2"}})
    assert await scanned(world) == [{"id": {"N": "1"}, "x": {"N": "2"}}]


@told
async def test_a_put_replaces_the_whole_item_and_may_return_the_old_one(world: World) -> None:
    await make(world)
    await put(world, id="1", a=1, b=2)
    call = caller(world)
    new = item(id="1", c=3)
    got = await call("put_item", TableName="orders", Item=new, ReturnValues="ALL_OLD")
    assert got == {"Attributes": item(id="1", a=1, b=2)}
    assert await get(world, id="1") == new
    fresh = item(id="2")
    assert await call("put_item", TableName="orders", Item=fresh, ReturnValues="ALL_OLD") == {}
    assert await refusal(
        call("put_item", TableName="orders", Item=new, ReturnValues="ALL_NEW")
    ) == ("ValidationException", "Return values set to invalid value")


@told
async def test_a_delete_may_return_the_old_item_and_none_is_no_error(world: World) -> None:
    await make(world)
    await put(world, id="1", a=1)
    call = caller(world)
    req = {"TableName": "orders", "Key": item(id="1"), "ReturnValues": "ALL_OLD"}
    assert await call("delete_item", **req) == {"Attributes": item(id="1", a=1)}
    assert await call("delete_item", **req) == {}
    assert await get(world, id="1") is None


@told
async def test_a_condition_decides_and_may_show_what_stood_against_it(world: World) -> None:
    await make(world)
    call = caller(world)
    once: dict[str, Any] = {
        "TableName": "orders",
        "ConditionExpression": "attribute_not_exists(id)",
    }
    await call("put_item", **once, Item=item(id="1", n=1))
    error = await refused(call("put_item", **once, Item=item(id="1", n=2)))
    assert (error.code, error.message) == (
        "ConditionalCheckFailedException",
        "The conditional request failed",
    )
    assert "Item" not in error.fields
    shown = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    error = await refused(call("put_item", **once, **shown, Item=item(id="1", n=2)))
    assert error.fields["Item"] == item(id="1", n=1)
    error = await refused(call("delete_item", **once, **shown, Key=item(id="1")))
    assert error.fields["Item"] == item(id="1", n=1)
    error = await refused(update(world, "SET n = :n", n=2, ConditionExpression="n > :n", **shown))
    assert error.fields["Item"] == item(id="1", n=1)
    missing = {"TableName": "orders", "ConditionExpression": "attribute_exists(id)", **shown}
    error = await refused(call("delete_item", **missing, Key=item(id="2")))
    assert "Item" not in error.fields
    assert await scanned(world) == [item(id="1", n=1)]


RETURNS: list[tuple[str, Item | None]] = [
    ("NONE", None),
    ("ALL_OLD", item(id="1", a=1, b=2, m={"x": 1, "y": 2})),
    ("ALL_NEW", item(id="1", a=2, c=3, m={"x": 5, "y": 2})),
    ("UPDATED_OLD", item(a=1, b=2, m={"x": 1})),
    ("UPDATED_NEW", item(a=2, c=3, m={"x": 5})),
]


@pytest.mark.parametrize(("wanted", "expected"), RETURNS, ids=[one for one, _ in RETURNS])
def test_an_update_returns_what_is_asked_for(wanted: str, expected: Item | None) -> None:
    async def story(world: World) -> None:
        await make(world)
        await put(world, id="1", a=1, b=2, m={"x": 1, "y": 2})
        text = "SET a = :a, c = :c, m.x = :x REMOVE b"
        got = await update(world, text, a=2, c=3, x=5, ReturnValues=wanted)
        assert got.get("Attributes") == expected
        assert await get(world, id="1") == item(id="1", a=2, c=3, m={"x": 5, "y": 2})

    run(story)


@told
async def test_an_update_makes_the_item_unless_it_only_takes_away(world: World) -> None:
    await make(world)
    await update(world, "SET a = :a", a=1, key="set")
    await update(world, "ADD n :n", n=1, key="add")
    await update(world, "REMOVE a", key="remove")
    await update(world, "DELETE t :t", t={"a"}, key="delete")
    await caller(world)("update_item", TableName="orders", Key=item(id="none"))
    assert await scanned(world) == [item(id="add", n=1), item(id="none"), item(id="set", a=1)]


@told
async def test_a_key_is_not_updated(world: World) -> None:
    await make(world)
    for text in ("SET id = :v", "SET id.x = :v", "ADD id :v"):
        assert (await refusal(update(world, text, v=1)))[1] == (
            BAD + "Cannot update attribute id. This attribute is part of the key"
        )


@told
async def test_an_update_that_makes_an_item_too_large_is_refused(world: World) -> None:
    await make(world)
    await put(world, id="1", a="x" * 300_000)
    assert await refusal(update(world, "SET b = :b", b="x" * 200_000)) == (
        "ValidationException",
        "Item size to update has exceeded the maximum allowed size",
    )
    assert (await refusal(put(world, id="1", a="x" * 409_600)))[1] == (
        "Item size has exceeded the maximum allowed size"
    )


@told
async def test_a_projection_shows_parts_of_an_item(world: World) -> None:
    await make(world)
    await put(world, id="1", a=1, m={"x": 1, "y": {"z": 2}}, l=["p", {"q": 3}, "r"])
    call = caller(world)

    async def shown(text: str, **names: str) -> Any:
        req: dict[str, Any] = {"ProjectionExpression": text}
        if names:
            req["ExpressionAttributeNames"] = {f"#{name}": of for name, of in names.items()}
        return (await call("get_item", TableName="orders", Key=item(id="1"), **req)).get("Item")

    assert await shown("a, m.y.z") == item(a=1, m={"y": {"z": 2}})
    assert await shown("l[2], l[0]") == item(l=["p", "r"])
    assert await shown("l[1].q, #m.x", m="m") == item(l=[{"q": 3}], m={"x": 1})
    assert await shown("nothing, m.nothing") == {}
    assert (await refusal(shown("m, m.x")))[1] == (
        "Invalid ProjectionExpression: Two document paths overlap with each other; must remove or "
        "rewrite one of these paths; path one: [m], path two: [m, x]"
    )
    assert (await refusal(shown("a,")))[1] == (
        'Invalid ProjectionExpression: Syntax error; token: "<EOF>", near: ","'
    )
    assert (await refusal(shown("a", x="y")))[1] == (
        "Value provided in ExpressionAttributeNames unused in expressions: keys: {#x}"
    )


CAPACITIES: list[tuple[str, dict[str, Any], float]] = [
    ("get_item", {"Key": item(id="none")}, 0.5),
    ("get_item", {"Key": item(id="none"), "ConsistentRead": True}, 1),
    ("get_item", {"Key": item(id="big")}, 1.5),
    ("get_item", {"Key": item(id="big"), "ConsistentRead": True}, 3),
    ("get_item", {"Key": item(id="big"), "ProjectionExpression": "id"}, 1.5),
    ("put_item", {"Item": item(id="new", a="x" * 1_018)}, 1),
    ("put_item", {"Item": item(id="new", a="x" * 1_019)}, 2),
    ("put_item", {"Item": item(id="big")}, 10),
    ("delete_item", {"Key": item(id="big")}, 10),
    ("delete_item", {"Key": item(id="none")}, 1),
    ("update_item", {"Key": item(id="big"), "UpdateExpression": "REMOVE a"}, 10),
    ("scan", {}, 1.5),
    ("scan", {"ConsistentRead": True, "Select": "COUNT"}, 3),
]  # fmt: skip


@pytest.mark.parametrize(("method", "req", "units"), CAPACITIES)
def test_capacity_is_counted_as_aws_documents_it(
    method: str, req: dict[str, Any], units: float
) -> None:
    async def story(world: World) -> None:
        await make(world)
        await put(world, id="big", a="x" * (10 * 1_024 - 6))
        kind = "ReadRequestUnits" if method in ("get_item", "scan") else "WriteRequestUnits"
        before = await world.used(kind)
        got = await caller(world)(
            method, TableName="orders", ReturnConsumedCapacity="INDEXES", **req
        )
        assert got["ConsumedCapacity"] == {
            "TableName": "orders",
            "CapacityUnits": units,
            "Table": {"CapacityUnits": units},
        }
        assert await world.used(kind) - before == units

    run(story)


@told
async def test_an_index_takes_units_for_what_goes_and_what_comes(world: World) -> None:
    await make(
        world,
        kinds={"id": "S", "who": "S"},
        GlobalSecondaryIndexes=[
            index("by-who", "who"),
            index("keys", "who", projection="KEYS_ONLY"),
        ],
    )
    call = caller(world)

    async def taken(method: str, **req: Any) -> dict[str, float]:
        got = await call(method, TableName="orders", ReturnConsumedCapacity="INDEXES", **req)
        shown = got["ConsumedCapacity"]
        by = shown.get("GlobalSecondaryIndexes", {})
        units = {name: one["CapacityUnits"] for name, one in by.items()}
        assert shown["CapacityUnits"] == shown["Table"]["CapacityUnits"] + sum(units.values())
        return units

    assert await taken("put_item", Item=item(id="1")) == {}
    assert await taken("put_item", Item=item(id="1", who="me")) == {"by-who": 1, "keys": 1}
    assert await taken("put_item", Item=item(id="1", who="me", a=1)) == {"by-who": 1}
    assert await taken("put_item", Item=item(id="1", who="you", a=1)) == {"by-who": 2, "keys": 2}
    big = item(id="1", who="you", a="x" * 2_000)
    assert await taken("put_item", Item=big) == {"by-who": 2}
    assert await taken("delete_item", Key=item(id="1")) == {"by-who": 2, "keys": 1}
    assert await world.used("WriteRequestUnits") == 6 + 1 + 1 + 1 + 2 + 2 + 1 - 2 + 1 + 1 + 1 + 5


@told
async def test_a_write_that_is_refused_consumes_what_it_looked_at(world: World) -> None:
    await make(world)
    await put(world, id="1", a="x" * 2_000)
    before = await world.used("WriteRequestUnits")
    condition = {"ConditionExpression": "attribute_not_exists(id)"}
    await refused(caller(world)("put_item", TableName="orders", Item=item(id="1"), **condition))
    assert await world.used("WriteRequestUnits") - before == 2


@told
async def test_an_item_collection_is_told_of_where_there_is_a_local_index(world: World) -> None:
    await make(
        world,
        key=("id", "at"),
        kinds={"id": "S", "at": "S", "who": "S"},
        LocalSecondaryIndexes=[index("by-who", "id", "who")],
    )
    got = await caller(world)(
        "put_item",
        TableName="orders",
        Item=item(id="1", at="x", who="me"),
        ReturnItemCollectionMetrics="SIZE",
    )
    assert got["ItemCollectionMetrics"] == {
        "ItemCollectionKey": item(id="1"),
        "SizeEstimateRangeGB": [0.0, 1.0],
    }


@told
async def test_of_many_that_add_at_once_none_is_lost(world: World) -> None:
    await make(world)
    await asyncio.gather(*(update(world, "ADD n :n", n=1) for _ in range(40)))
    assert await get(world, id="1") == item(id="1", n=40)


@told
async def test_of_many_that_want_to_be_first_one_is(world: World) -> None:
    await make(world)
    call = caller(world)
    tries = [
        call(
            "put_item",
            TableName="orders",
            Item=item(id="1", n=number),
            ConditionExpression="attribute_not_exists(id)",
        )
        for number in range(20)
    ]
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(one == {} for one in results) == 1


@told
async def test_a_table_that_is_not_there_is_not_found(world: World) -> None:
    for coroutine in (put(world, id="1"), get(world, id="1"), update(world, "SET a = :a", a=1)):
        assert await refusal(coroutine) == (
            "ResourceNotFoundException",
            "Requested resource not found",
        )
