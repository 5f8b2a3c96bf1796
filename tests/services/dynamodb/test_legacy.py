"""The parameters from before expressions: they mean what they always meant."""

from __future__ import annotations

from typing import Any

import pytest

from tests.services.world import World, refusal, run, told

from .helpers import caller, get, item, make, put, queried, scanned, wire

BAD = "One or more parameter values were invalid: "


def that(operator: str, *values: Any) -> dict[str, Any]:
    """A condition on one attribute."""
    shown: dict[str, Any] = {"ComparisonOperator": operator}
    if values:
        shown["AttributeValueList"] = [wire(value) for value in values]
    return shown


FILTERS = [
    (that("EQ", 4), True),
    (that("NE", 4), False),
    (that("LT", 5), True),
    (that("LE", 4), True),
    (that("GT", 4), False),
    (that("GE", 4), True),
    (that("BETWEEN", 1, 4), True),
    (that("IN", 1, 4), True),
    (that("NULL"), False),
    (that("NOT_NULL"), True),
]


@pytest.mark.parametrize(("condition", "expected"), FILTERS)
def test_a_scan_filter_keeps_what_meets_it(condition: Any, expected: bool) -> None:
    async def story(world: World) -> None:
        await make(world)
        await put(world, id="1", name=4)
        found = await scanned(world, ScanFilter={"name": condition})
        assert bool(found) is expected

    run(story)


@told
async def test_filters_look_into_texts_and_sets(world: World) -> None:
    await make(world)
    await put(world, id="1", s="latte", t={"a", "b"})
    for name, condition, count in (
        ("s", that("BEGINS_WITH", "lat"), 1),
        ("s", that("CONTAINS", "att"), 1),
        ("s", that("NOT_CONTAINS", "att"), 0),
        ("t", that("CONTAINS", "a"), 1),
        ("t", that("NOT_CONTAINS", "z"), 1),
        ("nothing", that("NOT_CONTAINS", "z"), 0),
        ("nothing", that("NE", "z"), 1),
    ):
        assert len(await scanned(world, ScanFilter={name: condition})) == count, condition


@told
async def test_conditions_are_joined_by_and_or_by_or(world: World) -> None:
    await make(world, key=("id", "at"), kinds={"id": "S", "at": "N"})
    await put(world, id="h", at=1, a=1, b=2)
    await put(world, id="h", at=2, a=2, b=3)
    await put(world, id="h", at=3, a=3, b=1)
    keys = {"id": that("EQ", "h"), "at": that("LT", 3)}
    filters = {"a": that("EQ", 1), "b": that("EQ", 3)}
    query: dict[str, Any] = {"KeyConditions": keys, "QueryFilter": filters}
    assert await queried(world, **query) == []
    assert len(await queried(world, **query, ConditionalOperator="OR")) == 2
    call = caller(world)
    assert (await refusal(call("scan", TableName="orders", ConditionalOperator="OR")))[1] == (
        "ConditionalOperator cannot be used without Filter or Expected"
    )
    one = {"TableName": "orders", "ScanFilter": {"a": that("EQ", 1)}, "ConditionalOperator": "OR"}
    assert (await refusal(call("scan", **one)))[1] == (
        "ConditionalOperator can only be used when Filter or Expected has two or more elements"
    )


@told
async def test_key_conditions_take_ranges_only(world: World) -> None:
    await make(world, key=("id", "at"), kinds={"id": "S", "at": "S"})
    for name in ("a", "ab", "b"):
        await put(world, id="h", at=name)

    async def found(condition: Any) -> list[str]:
        keys = {"id": that("EQ", "h"), "at": condition}
        return [one["at"]["S"] for one in await queried(world, KeyConditions=keys)]

    assert await found(that("BEGINS_WITH", "a")) == ["a", "ab"]
    assert await found(that("BETWEEN", "ab", "b")) == ["ab", "b"]
    assert await found(that("GE", "ab")) == ["ab", "b"]
    assert (await refusal(found(that("NE", "a"))))[1] == (
        "Attempted conditional constraint is not an indexable operation"
    )
    req = {"TableName": "orders", "KeyConditions": {"id": that("EQ", "h")}}
    filtered = {"id": that("EQ", "h")}
    assert (await refusal(caller(world)("query", **req, QueryFilter=filtered)))[1] == (
        "QueryFilter can only contain non-primary key attributes: Primary key attribute: id"
    )


@told
async def test_expected_guards_a_write(world: World) -> None:
    await make(world)
    call = caller(world)

    async def put_if(n: int, /, **expected: Any) -> Any:
        return await call("put_item", TableName="orders", Item=item(id="1", n=n), Expected=expected)

    await put_if(1, id={"Exists": False})
    assert (await refusal(put_if(2, id={"Exists": False})))[0] == (
        "ConditionalCheckFailedException"
    )
    await put_if(2, n={"Value": wire(1)})
    await put_if(3, n=that("BETWEEN", 1, 2), id=that("NOT_NULL"))
    assert (await refusal(put_if(4, n={"Exists": True})))[1] == (
        BAD + "Value must be provided when Exists is true for Attribute: n"
    )
    assert (await refusal(put_if(4, n={"Exists": False, "Value": wire(1)})))[1] == (
        BAD + "Value cannot be used when Exists is false for Attribute: n"
    )
    assert await get(world, id="1") == item(id="1", n=3)


@told
async def test_attribute_updates_put_add_and_delete(world: World) -> None:
    await make(world)
    await put(world, id="1", n=1, s="x", t={"a", "b"}, l=["p"])
    got = await caller(world)(
        "update_item",
        TableName="orders",
        Key=item(id="1"),
        AttributeUpdates={
            "n": {"Action": "ADD", "Value": wire(2)},
            "s": {"Action": "DELETE"},
            "t": {"Action": "DELETE", "Value": wire({"a"})},
            "l": {"Action": "ADD", "Value": wire(["q"])},
            "size": {"Value": wire("reserved word")},
        },
        ReturnValues="ALL_NEW",
    )
    expected = item(id="1", n=3, t={"b"}, l=["p", "q"], size="reserved word")
    assert got["Attributes"] == expected
    assert await get(world, id="1") == expected


@told
async def test_there_may_be_more_attributes_than_an_expression_could_name(world: World) -> None:
    await make(world)
    updates = {f"attribute{number}": {"Value": wire(number)} for number in range(600)}
    await caller(world)(
        "update_item", TableName="orders", Key=item(id="1"), AttributeUpdates=updates
    )
    found = await get(world, id="1")
    assert found is not None
    assert len(found) == 601


@told
async def test_attributes_to_get_are_shown(world: World) -> None:
    await make(world)
    await put(world, id="1", a=1, b=2)
    req: dict[str, Any] = {"TableName": "orders", "Key": item(id="1")}
    call = caller(world)
    got = await call("get_item", **req, AttributesToGet=["a", "nothing"])
    assert got["Item"] == item(a=1)
    assert (await refusal(call("get_item", **req, AttributesToGet=["a", "a"])))[1] == (
        BAD + "Duplicate value in attribute name: a"
    )


@told
async def test_old_and_new_parameters_do_not_mix(world: World) -> None:
    await make(world)
    call = caller(world)
    got = await refusal(
        call(
            "get_item",
            TableName="orders",
            Key=item(id="1"),
            AttributesToGet=["a"],
            ProjectionExpression="a",
        )
    )
    assert got == (
        "ValidationException",
        (
            "Can not use both expression and non-expression parameters in the same request: "
            "Non-expression parameters: {AttributesToGet} Expression parameters: "
            "{ProjectionExpression}"
        ),
    )


@told
async def test_operators_take_what_they_can_compare(world: World) -> None:
    await make(world)

    async def why(condition: Any) -> str:
        call = caller(world)
        return (await refusal(call("scan", TableName="orders", ScanFilter={"a": condition})))[1]

    assert await why(that("EQ", 1, 2)) == (
        BAD + "Invalid number of argument(s) for the EQ ComparisonOperator"
    )
    assert await why(that("BETWEEN", 1)) == (
        BAD + "Invalid number of argument(s) for the BETWEEN ComparisonOperator"
    )
    assert await why(that("GT", {"a"})) == (
        BAD + "ComparisonOperator GT is not valid for SS AttributeValue type"
    )
    assert await why(that("BEGINS_WITH", 1)) == (
        BAD + "ComparisonOperator BEGINS_WITH is not valid for N AttributeValue type"
    )
    bad = {"ComparisonOperator": "EQ", "AttributeValueList": [{"N": "x"}]}
    assert await why(bad) == "The parameter cannot be converted to a numeric value: x"
