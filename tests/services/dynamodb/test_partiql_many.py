"""PartiQL's batches and transactions."""

from __future__ import annotations

from typing import Any

from tests.services.world import World, refusal, refused, told

from .helpers import get, item, make, put, scanned, wire
from .test_permissions import T, employed


def said(text: str, *parameters: Any, **more: Any) -> dict[str, Any]:
    """A statement with its parameters."""
    if parameters:
        more["Parameters"] = [wire(one) for one in parameters]
    return {"Statement": text, **more}


async def batch(world: World, *statements: Any, **req: Any) -> Any:
    """BatchExecuteStatement."""
    return await world.call(
        "dynamodb", "batch_execute_statement", Statements=list(statements), **req
    )


async def together(world: World, *statements: Any, **req: Any) -> Any:
    """ExecuteTransaction."""
    return await world.call(
        "dynamodb", "execute_transaction", TransactStatements=list(statements), **req
    )


ONE = "SELECT * FROM orders WHERE id = ?"


@told
async def test_a_batch_reads_each_for_itself(world: World) -> None:
    await make(world)
    await put(world, id="1", n=1)
    got = await batch(
        world,
        said(ONE, "1"),
        said(ONE, "2"),
        said(f"{ONE} AND n > 5", "1"),
        said("SELECT n FROM orders WHERE id = '1'", ConsistentRead=True),
        said("SELECT * FROM orders"),
        said("SELECT * FROM nothing WHERE id = '1'"),
        said("SELECT"),
        ReturnConsumedCapacity="TOTAL",
    )
    no_key = (
        "Select statements within BatchExecuteStatement must specify the primary key in the where "
        "clause."
    )
    assert got["Responses"] == [
        {"TableName": "orders", "Item": item(id="1", n=1)},
        {"TableName": "orders"},
        {"TableName": "orders"},
        {"TableName": "orders", "Item": item(n=1)},
        {"TableName": "orders", "Error": {"Code": "ValidationError", "Message": no_key}},
        {"TableName": "nothing",
         "Error": {"Code": "ResourceNotFound", "Message": "Requested resource not found"}},
        {"Error": {"Code": "ValidationError", "Message": "Statement wasn't well formed, can't be "
                   "processed: Expected identifier for simple path"}},
    ]  # fmt: skip
    assert [one["CapacityUnits"] for one in got["ConsumedCapacity"]][:4] == [0.5, 0.5, 0.5, 1.0]


@told
async def test_a_batch_writes_each_for_itself(world: World) -> None:
    await make(world)
    await put(world, id="1", n=1)
    failing = "UPDATE orders SET n = 9 WHERE id = '1' AND n = 5"
    got = await batch(
        world,
        said("INSERT INTO orders VALUE {'id': '1'}"),
        said("INSERT INTO orders VALUE {'id': '2'}"),
        said("UPDATE orders SET n = n + 1 WHERE id = '1' RETURNING ALL OLD *"),
        said(failing, ReturnValuesOnConditionCheckFailure="ALL_OLD"),
        said("DELETE FROM orders WHERE id = '3'"),
    )
    assert got["Responses"] == [
        {"TableName": "orders",
         "Error": {"Code": "DuplicateItem", "Message": "Duplicate primary key exists in table"}},
        {"TableName": "orders"},
        {"TableName": "orders", "Item": item(id="1", n=1)},
        {"TableName": "orders",
         "Error": {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed",
                   "Item": item(id="1", n=2)}},
        {"TableName": "orders"},
    ]  # fmt: skip
    assert await scanned(world) == [item(id="1", n=2), item(id="2")]


@told
async def test_reads_and_writes_do_not_mix(world: World) -> None:
    await make(world)
    mixed = (said(ONE, "1"), said("DELETE FROM orders WHERE id = '1'"))
    for work, name in ((batch, "BatchExecuteStatement"), (together, "ExecuteTransaction")):
        assert await refusal(work(world, *mixed)) == (
            "ValidationException",
            f"{name} API does not support both read and write operations in the same request.",
        )


@told
async def test_each_statement_of_a_batch_is_judged_for_itself(world: World) -> None:
    await make(world)
    await make(world, "till")
    barista = await employed(world, Action="dynamodb:PartiQLInsert", Resource=T)
    got = await batch(
        world,
        said("INSERT INTO orders VALUE {'id': '1'}"),
        said("INSERT INTO till VALUE {'id': '1'}"),
        said("DELETE FROM orders WHERE id = '1'"),
        caller=barista,
    )
    assert [one.get("Error", {}).get("Code") for one in got["Responses"]] == [
        None, "AccessDenied", "AccessDenied",
    ]  # fmt: skip
    assert await scanned(world) == [item(id="1")]
    assert await scanned(world, "till") == []


@told
async def test_a_transaction_writes_all_or_nothing(world: World) -> None:
    await make(world)
    await put(world, id="1", n=5)
    work = (
        said("UPDATE orders SET n = n - ? WHERE id = '1' AND n >= 2", 2),
        said("INSERT INTO orders VALUE {'id': '2', 'n': 2}"),
        said("EXISTS(SELECT * FROM orders WHERE id = '3' AND id IS MISSING)"),
    )
    got = await together(world, *work, ReturnConsumedCapacity="TOTAL")
    assert got["Responses"] == [{}, {}, {}]
    assert [one["CapacityUnits"] for one in got["ConsumedCapacity"]] == [2.0, 2.0, 2.0]
    assert await scanned(world) == [item(id="1", n=3), item(id="2", n=2)]
    error = await refused(together(world, *work))
    assert error.code == "TransactionCanceledException"
    assert error.fields["CancellationReasons"] == [
        {"Code": "None"},
        {"Code": "DuplicateItem", "Message": "Duplicate primary key exists in table"},
        {"Code": "None"},
    ]
    assert await get(world, id="1") == item(id="1", n=3)
    failing = said("EXISTS(SELECT * FROM orders WHERE id = '1' AND n = 9)",
                   ReturnValuesOnConditionCheckFailure="ALL_OLD")  # fmt: skip
    error = await refused(together(world, said("DELETE FROM orders WHERE id = '2'"), failing))
    assert [one["Code"] for one in error.fields["CancellationReasons"]] == [
        "None", "ConditionalCheckFailed",
    ]  # fmt: skip
    assert error.fields["CancellationReasons"][1]["Item"] == item(id="1", n=3)
    assert await get(world, id="2") is not None


@told
async def test_a_token_does_a_transaction_once(world: World) -> None:
    await make(world)
    await put(world, id="1", n=5)
    work = said("UPDATE orders SET n = n + 1 WHERE id = '1'")
    for _ in range(2):
        await together(world, work, ClientRequestToken="one")
    assert await get(world, id="1") == item(id="1", n=6)
    other = said("UPDATE orders SET n = n + 2 WHERE id = '1'")
    code, _ = await refusal(together(world, other, ClientRequestToken="one"))
    assert code == "IdempotentParameterMismatchException"


@told
async def test_a_transaction_reads_items_at_one_moment(world: World) -> None:
    await make(world)
    await put(world, id="1", n=1)
    got = await together(
        world, said(ONE, "1"), said(ONE, "2"), said("SELECT n FROM orders WHERE id = '3'")
    )
    assert got == {"Responses": [{"Item": item(id="1", n=1)}, {}, {}]}
    twice = (said(ONE, "1"), said(ONE, "1"))
    assert await refusal(together(world, *twice)) == (
        "ValidationException", "Transaction request cannot include multiple operations on one item",
    )  # fmt: skip
    code, message = await refusal(together(world, said("SELECT * FROM orders")))
    assert message == (
        "Select statements within ExecuteTransaction must specify the primary key in the where "
        "clause."
    )
    bare = said("EXISTS(SELECT * FROM orders WHERE id = '1')")
    code, message = await refusal(together(world, bare))
    assert code == "ValidationException"
    assert message == "EXISTS must have at least one condition beside those on the primary key"
