"""Transactions: all or nothing, with a reason for each part; and once for each token."""

from __future__ import annotations

import asyncio
from typing import Any

from doppio.kernel.records import table_of
from doppio.services.dynamodb.records import Token
from tests.services.world import World, refusal, refused, told

from .helpers import Item, caller, get, index, item, make, put, scanned, wire


def a_put(table: str = "orders", /, **attributes: Any) -> Any:
    """A part that puts."""
    return {"Put": {"TableName": table, "Item": item(**attributes)}}


def an_add(key: str, amount: int, table: str = "orders") -> Any:
    """A part that adds to n."""
    return {
        "Update": {
            "TableName": table,
            "Key": item(id=key),
            "UpdateExpression": "ADD n :n",
            "ExpressionAttributeValues": {":n": wire(amount)},
        }
    }


def a_check(key: str, text: str, **more: Any) -> Any:
    """A part that checks."""
    part = {"TableName": "orders", "Key": item(id=key), "ConditionExpression": text, **more}
    return {"ConditionCheck": part}


def a_delete(key: str) -> Any:
    """A part that deletes."""
    return {"Delete": {"TableName": "orders", "Key": item(id=key)}}


async def write(world: World, *parts: Any, **req: Any) -> Any:
    """TransactWriteItems."""
    return await caller(world)("transact_write_items", TransactItems=list(parts), **req)


async def read(world: World, *keys: str, **req: Any) -> list[Item | None]:
    """TransactGetItems."""
    gets = [{"Get": {"TableName": "orders", "Key": item(id=key)}} for key in keys]
    got = await caller(world)("transact_get_items", TransactItems=gets, **req)
    return [one.get("Item") for one in got["Responses"]]


@told
async def test_all_parts_are_done_together(world: World) -> None:
    await make(world)
    await make(world, "till")
    await put(world, id="1", n=5)
    await put(world, id="old")
    got = await write(
        world,
        an_add("1", -2),
        a_put("till", id="t", n=2),
        a_delete("old"),
        a_check("absent", "attribute_not_exists(id)"),
    )
    assert got == {}
    assert await scanned(world) == [item(id="1", n=3)]
    assert await scanned(world, "till") == [item(id="t", n=2)]


@told
async def test_one_part_that_fails_cancels_all_and_the_reasons_are_in_order(world: World) -> None:
    await make(world)
    await put(world, id="1", n=5)
    error = await refused(
        write(
            world,
            a_put(id="2"),
            a_check("1", "attribute_not_exists(id)", ReturnValuesOnConditionCheckFailure="ALL_OLD"),
            an_add("3", 1),
            a_check("4", "attribute_exists(id)"),
            a_put(x="no key"),
            {
                "Update": {
                    "TableName": "orders",
                    "Key": item(id="5"),
                    "UpdateExpression": "SET a = b",
                }
            },
        )
    )
    assert error.code == "TransactionCanceledException"
    assert error.message == (
        "Transaction cancelled, please refer cancellation reasons for specific reasons [None, "
        "ConditionalCheckFailed, None, ConditionalCheckFailed, ValidationError, ValidationError]"
    )
    failed = {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}
    assert error.fields["CancellationReasons"] == [
        {"Code": "None"},
        {**failed, "Item": item(id="1", n=5)},
        {"Code": "None"},
        failed,
        {
            "Code": "ValidationError",
            "Message": (
                "One or more parameter values were invalid: Missing the key id in the item"
            ),
        },
        {
            "Code": "ValidationError",
            "Message": (
                "The provided expression refers to an attribute that does not exist in the item"
            ),
        },
    ]
    assert await scanned(world) == [item(id="1", n=5)]


@told
async def test_one_item_is_named_once(world: World) -> None:
    await make(world)
    text = "Transaction request cannot include multiple operations on one item"
    assert await refusal(write(world, a_put(id="1"), a_check("1", "attribute_exists(id)"))) == (
        "ValidationException",
        text,
    )
    assert (await refusal(read(world, "1", "1")))[1] == text
    assert (await refusal(write(world, {**a_put(id="1"), **a_delete("2")})))[1] == (
        "TransactItems can only contain one of Check, Put, Update or Delete"
    )


@told
async def test_a_hundred_parts_are_done_and_one_more_is_too_many(world: World) -> None:
    await make(world)
    parts = [a_put(id=f"{number:03}") for number in range(101)]
    await write(world, *parts[:100])
    assert len(await scanned(world)) == 100
    assert (await refusal(write(world, *parts)))[0] == "ValidationException"
    names = [f"{number:03}" for number in range(101)]
    assert await read(world, *names[:100]) == [item(id=name) for name in names[:100]]
    assert (await refusal(read(world, *names)))[0] == "ValidationException"


@told
async def test_a_transaction_has_at_most_4_mib(world: World) -> None:
    await make(world)
    parts = [a_put(id=str(number), a="x" * 400_000) for number in range(11)]
    assert await refusal(write(world, *parts)) == (
        "ValidationException",
        "Transaction size cannot exceed 4194304 bytes",
    )
    await write(world, *parts[:10])
    await write(world, parts[10])
    names = [str(number) for number in range(11)]
    assert len(await read(world, *names[:10])) == 10
    assert (await refusal(read(world, *names)))[1] == "Transaction size cannot exceed 4194304 bytes"


@told
async def test_the_same_token_again_does_nothing_more_for_ten_minutes(world: World) -> None:
    await make(world)
    for _ in range(3):
        await write(world, an_add("1", 1), ClientRequestToken="t1")
    assert await get(world, id="1") == item(id="1", n=1)
    assert await refusal(write(world, an_add("1", 2), ClientRequestToken="t1")) == (
        "IdempotentParameterMismatchException",
        "The specified client token has already been used with different parameters",
    )
    await write(world, an_add("1", 1), ClientRequestToken="t2")
    await world.advance(minutes=9)
    await write(world, an_add("1", 1), ClientRequestToken="t2")
    assert await get(world, id="1") == item(id="1", n=2)
    await world.advance(minutes=2)
    await write(world, an_add("1", 1), ClientRequestToken="t2")
    assert await get(world, id="1") == item(id="1", n=3)


@told
async def test_tokens_are_forgotten_when_their_time_is_over(world: World) -> None:
    await make(world)

    def kept() -> int:
        prefix = table_of(Token).prefix
        return sum(key.startswith(prefix) for key in world.memory.disk)

    for number in range(250):
        await write(world, an_add("1", 1), ClientRequestToken=f"a{number}")
    await world.advance(minutes=5)
    await write(world, an_add("1", 1), ClientRequestToken="late")
    assert kept() == 251
    await world.advance(minutes=6)
    assert kept() == 1
    await world.advance(minutes=5)
    assert kept() == 0
    await write(world, an_add("1", 1), ClientRequestToken="later")
    await world.advance(minutes=11)
    assert kept() == 0


@told
async def test_a_token_that_failed_may_be_used_again(world: World) -> None:
    await make(world)
    parts = (an_add("1", 1), a_check("2", "attribute_exists(id)"))
    await refused(write(world, *parts, ClientRequestToken="t"))
    await put(world, id="2")
    await write(world, *parts, ClientRequestToken="t")
    assert await get(world, id="1") == item(id="1", n=1)


@told
async def test_transactions_consume_twice_as_much(world: World) -> None:
    await make(
        world, kinds={"id": "S", "who": "S"}, GlobalSecondaryIndexes=[index("by-who", "who")]
    )
    got = await write(
        world,
        a_put(id="1", who="me", a="x" * 1_500),
        a_check("2", "attribute_not_exists(id)"),
        ReturnConsumedCapacity="INDEXES",
    )
    assert got["ConsumedCapacity"] == [
        {
            "TableName": "orders",
            "CapacityUnits": 10,
            "WriteCapacityUnits": 10,
            "Table": {"CapacityUnits": 6, "WriteCapacityUnits": 6},
            "GlobalSecondaryIndexes": {"by-who": {"CapacityUnits": 4, "WriteCapacityUnits": 4}},
        }
    ]
    assert await world.used("WriteRequestUnits") == 10
    gets = [{"Get": {"TableName": "orders", "Key": item(id=key)}} for key in "12"]
    got = await caller(world)(
        "transact_get_items", TransactItems=gets, ReturnConsumedCapacity="TOTAL"
    )
    assert got["ConsumedCapacity"] == [
        {"TableName": "orders", "CapacityUnits": 4, "ReadCapacityUnits": 4}
    ]


@told
async def test_a_get_shows_what_is_there_in_order(world: World) -> None:
    await make(world)
    await put(world, id="1", a=1, b=2)
    gets = [
        {"Get": {"TableName": "orders", "Key": item(id="2")}},
        {"Get": {"TableName": "orders", "Key": item(id="1"), "ProjectionExpression": "b"}},
    ]
    got = await caller(world)("transact_get_items", TransactItems=gets)
    assert got["Responses"] == [{}, {"Item": item(b=2)}]
    wrong = [{"Get": {"TableName": "orders", "Key": item(x="2")}}, gets[1]]
    error = await refused(caller(world)("transact_get_items", TransactItems=wrong))
    assert [one["Code"] for one in error.fields["CancellationReasons"]] == [
        "ValidationError",
        "None",
    ]


@told
async def test_money_that_moves_about_is_neither_lost_nor_made(world: World) -> None:
    await make(world)
    names = [str(number) for number in range(6)]
    for name in names:
        await put(world, id=name, n=100)

    async def move(number: int) -> None:
        a, b = names[number % 6], names[(number * 5 + 1) % 6]
        if a != b:
            await write(world, an_add(a, -1), an_add(b, 1))

    async def look() -> None:
        for _ in range(10):
            found = [one for one in await read(world, *names) if one is not None]
            assert sum(int(one["n"]["N"]) for one in found) == 600
            await asyncio.sleep(0)

    await asyncio.gather(*(move(number) for number in range(60)), look(), look())
    assert sum(int(one["n"]["N"]) for one in await scanned(world)) == 600
