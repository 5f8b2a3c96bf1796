"""Query and Scan: ranges, pages, filters, projections, segments."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tests.services.world import World, refusal, run, told

from .helpers import caller, index, item, make, put, queried, scanned, wire

NUMBERS = [-20, -3, -1.5, 0, 0.5, 2, 10, 100]
WORDS = ["", "B", "a", "ab", "abc", "b", "é", "\U0001f600"]
BYTES = [b"\0", b"\0\xff", b"a", b"a\0", b"ab", b"\xfe", b"\xff", b"\xff\xff"]


async def filled(world: World, kind: str, values: list[Any]) -> None:
    """A table with a range key of a kind, and neighbours on either side."""
    await make(world, key=("id", "at"), kinds={"id": "S", "at": kind})
    for value in values:
        for name in ("h", "g", "h\0", "i"):
            if value not in ("", b""):
                await put(world, id=name, at=value)


async def found(world: World, text: str, /, **req: Any) -> list[Any]:
    """The range keys that a query of `h` finds; lower-case arguments are values."""
    values = {f":{name}": wire(value) for name, value in req.items() if name.islower()}
    rest = {name: value for name, value in req.items() if not name.islower()}
    if "#at" in text:
        rest["ExpressionAttributeNames"] = {"#at": "at"}
    got = await queried(
        world,
        KeyConditionExpression="id = :h" + (f" AND {text}" if text else ""),
        ExpressionAttributeValues={":h": {"S": "h"}, **values},
        **rest,
    )
    assert all(one["id"] == {"S": "h"} for one in got)
    return [one["at"] for one in got]


RANGES = [
    ("", lambda x, a, b: True),
    ("#at = :a", lambda x, a, b: x == a),
    ("#at < :a", lambda x, a, b: x < a),
    ("#at <= :a", lambda x, a, b: x <= a),
    ("#at > :a", lambda x, a, b: x > a),
    ("#at >= :a", lambda x, a, b: x >= a),
    (":a < #at", lambda x, a, b: x > a),
    ("#at BETWEEN :a AND :b", lambda x, a, b: a <= x <= b),
    ("begins_with(#at, :a)", lambda x, a, b: x.startswith(a)),
]


@pytest.mark.parametrize(
    ("kind", "values", "a", "b"),
    [
        ("N", NUMBERS, -1.5, 10),
        ("N", NUMBERS, 1, 7),
        ("S", WORDS, "a", "b"),
        ("S", WORDS, "ab", "\U0001f600"),
        ("B", BYTES, b"a", b"\xff"),
        ("B", BYTES, b"\xff", b"\xff\xff"),
        ("B", BYTES, b"\0", b"a\0"),
    ],
)
def test_each_range_finds_exactly_what_is_in_it(
    kind: str, values: list[Any], a: Any, b: Any
) -> None:
    def ordered(value: Any) -> Any:
        return value.encode() if isinstance(value, str) else value

    async def story(world: World) -> None:
        await filled(world, kind, values)
        for text, inside in RANGES:
            if "begins" in text and kind == "N":
                continue
            bounds = {name: one for name, one in (("a", a), ("b", b)) if f":{name}" in text}
            expected = [
                wire(value)
                for value in sorted(values, key=ordered)
                if value not in ("", b"") and inside(ordered(value), ordered(a), ordered(b))
            ]
            assert await found(world, text, **bounds) == expected, text
            back = await found(world, text, **bounds, ScanIndexForward=False)
            assert back == expected[::-1], text
            for limit in (1, 2, 3):
                paged = await found(world, text, **bounds, Limit=limit)
                assert paged == expected, text
            back = await found(world, text, **bounds, Limit=2, ScanIndexForward=False)
            assert back == expected[::-1], text

    run(story)


@told
async def test_a_scan_finds_binary_keys_of_all_bytes(world: World) -> None:
    await make(world, key=("id", "at"), kinds={"id": "B", "at": "B"})
    for value in BYTES:
        await put(world, id=value, at=value)
    assert [one["id"]["B"] for one in await scanned(world)] == sorted(BYTES)


@told
async def test_a_page_ends_at_its_limit_and_says_where(world: World) -> None:
    await make(world, key=("id", "at"), kinds={"id": "S", "at": "N"})
    for number in range(4):
        await put(world, id="h", at=number)
    call = caller(world)
    query: dict[str, Any] = {
        "TableName": "orders",
        "KeyConditionExpression": "id = :h",
        "ExpressionAttributeValues": {":h": {"S": "h"}},
    }
    page = await call("query", **query, Limit=2)
    assert (page["Count"], page["ScannedCount"]) == (2, 2)
    assert page["LastEvaluatedKey"] == item(id="h", at=1)
    # A page that ends exactly at the end cannot know that it does.
    page = await call("query", **query, Limit=4)
    assert page["LastEvaluatedKey"] == item(id="h", at=3)
    page = await call("query", **query, ExclusiveStartKey=page["LastEvaluatedKey"])
    assert page == {"Items": [], "Count": 0, "ScannedCount": 0}
    page = await call("query", **query, ExclusiveStartKey=item(id="h", at=1.5))
    assert [one["at"]["N"] for one in page["Items"]] == ["2", "3"]


@told
async def test_a_page_ends_at_a_megabyte(world: World) -> None:
    await make(world)
    for number in range(7):
        await put(world, id=str(number), a="x" * 300_000)
    page = await caller(world)("scan", TableName="orders", ReturnConsumedCapacity="TOTAL")
    assert page["Count"] == 4
    assert page["ConsumedCapacity"]["CapacityUnits"] == 146.5
    assert page["LastEvaluatedKey"] == item(id="3")
    assert len(await scanned(world)) == 7
    counted = await caller(world)("scan", TableName="orders", Select="COUNT")
    assert (counted["Count"], counted["ScannedCount"]) == (4, 4)
    assert "Items" not in counted


@told
async def test_a_filter_hides_what_was_read_and_the_limit_counts_what_was_read(
    world: World,
) -> None:
    await make(world)
    for number in range(10):
        await put(world, id=str(number), n=number)
    req: dict[str, Any] = {
        "FilterExpression": "n >= :n",
        "ExpressionAttributeValues": {":n": {"N": "6"}},
    }
    call = caller(world)
    page = await call("scan", TableName="orders", **req)
    assert (page["Count"], page["ScannedCount"]) == (4, 10)
    page = await call("scan", TableName="orders", **req, Limit=5)
    assert (page["Items"], page["Count"], page["ScannedCount"]) == ([], 0, 5)
    assert page["LastEvaluatedKey"] == item(id="4")
    assert len(await scanned(world, **req, Limit=3)) == 4


@told
async def test_what_is_shown_can_be_chosen(world: World) -> None:
    await make(
        world, kinds={"id": "S", "who": "S"}, GlobalSecondaryIndexes=[index("by-who", "who")]
    )
    await put(world, id="1", who="me", a=1, b=2)
    call = caller(world)
    assert await scanned(world, ProjectionExpression="a") == [item(a=1)]
    got = await scanned(world, Select="SPECIFIC_ATTRIBUTES", ProjectionExpression="b")
    assert got == [item(b=2)]
    whole = item(id="1", who="me", a=1, b=2)
    assert await scanned(world, Select="ALL_ATTRIBUTES") == [whole]
    got = await scanned(world, Select="ALL_PROJECTED_ATTRIBUTES", IndexName="by-who")
    assert got == [whole]

    async def why(**req: Any) -> str:
        return (await refusal(call("scan", TableName="orders", **req)))[1]

    assert await why(Select="ALL_PROJECTED_ATTRIBUTES") == (
        "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName"
    )
    assert await why(Select="SPECIFIC_ATTRIBUTES") == (
        "Must specify the AttributesToGet or ProjectionExpression when choosing to get "
        "SPECIFIC_ATTRIBUTES"
    )
    assert await why(Select="COUNT", ProjectionExpression="a") == (
        "Cannot specify the ProjectionExpression when choosing to get only the Count"
    )
    assert await why(Select="ALL_ATTRIBUTES", AttributesToGet=["a"]) == (
        "Cannot specify the AttributesToGet when choosing to get ALL_ATTRIBUTES"
    )


@told
async def test_segments_together_cover_everything_once(world: World) -> None:
    await make(world)
    for number in range(60):
        await put(world, id=str(number))
    for total in (1, 3, 7):
        parts = [
            {
                one["id"]["S"]
                for one in await scanned(world, Segment=n, TotalSegments=total, Limit=4)
            }
            for n in range(total)
        ]
        assert sum(map(len, parts)) == 60
        assert set().union(*parts) == {str(number) for number in range(60)}
        assert all(parts)


@told
async def test_a_segment_with_nothing_in_it_does_not_hold_up_others_for_long(world: World) -> None:
    await make(world)
    for number in range(30):
        await put(world, id=str(number), a="x" * 300_000)
    share = {"Segment": 0, "TotalSegments": 1_000}
    page = await caller(world)("scan", TableName="orders", **share)
    assert (page["Count"], "LastEvaluatedKey" in page) == (0, True)
    assert await scanned(world, **share) == []


@told
async def test_segments_are_asked_for_rightly(world: World) -> None:
    await make(world)

    async def why(**req: Any) -> str:
        return (await refusal(caller(world)("scan", TableName="orders", **req)))[1]

    assert await why(Segment=0) == (
        "The TotalSegments parameter is required but was not present in the request when Segment "
        "parameter is present"
    )
    assert await why(TotalSegments=2) == (
        "The Segment parameter is required but was not present in the request when TotalSegments "
        "parameter is present"
    )
    assert await why(Segment=2, TotalSegments=2) == (
        "The Segment parameter is zero-based and must be less than parameter TotalSegments: "
        "Segment: 2 is not less than TotalSegments: 2"
    )


KIND = "KeyConditionExpression"
WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("#at = :a", {"a": 1}, "Query condition missed key schema element: id"),
    ("id > :a", {"a": "h"}, "Query key condition not supported"),
    ("id = :a AND x = :b", {"a": "h", "b": 1}, "Query condition missed key schema element: at"),
    ("id = :a AND #at <> :b", {"a": "h", "b": 1}, f"Invalid operator used in {KIND}: <>"),
    ("id = :a AND #at IN (:b)", {"a": "h", "b": 1}, f"Invalid operator used in {KIND}: IN"),
    ("id = :a OR #at = :b", {"a": "h", "b": 1}, f"Invalid operator used in {KIND}: OR"),
    ("id = :a AND NOT #at = :b", {"a": "h", "b": 1}, f"Invalid operator used in {KIND}: NOT"),
    ("id = :a AND contains(#at, :b)", {"a": "h", "b": 1},
     f"Invalid operator used in {KIND}: contains"),
    ("id = :a AND id = :b", {"a": "h", "b": "i"},
     f"Invalid {KIND}: KeyConditionExpressions must only contain one condition per key"),
    ("id = :a", {"a": 1}, ("One or more parameter values were invalid: Condition parameter type "
     "does not match schema type")),
    ("id = :a", {"a": ""}, ("One or more parameter values are not valid. The AttributeValue for a "
     "key attribute cannot contain an empty string value. Key: id")),
    ("id = :a AND begins_with(#at, :b)", {"a": "h", "b": 1}, (f"Invalid {KIND}: Incorrect operand "
     "type for operator or function; operator or function: begins_with, operand type: N")),
    ("id = :a AND #at BETWEEN :b AND :c", {"a": "h", "b": 2, "c": 1}, (f"Invalid {KIND}: The "
     "BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower "
     "bound operand: AttributeValue: {N:2}, upper bound operand: AttributeValue: {N:1}")),
    ("id = :a AND", {"a": "h"}, f'Invalid {KIND}: Syntax error; token: "<EOF>", near: "AND"'),
]  # fmt: skip


@pytest.mark.parametrize(("text", "values", "why"), WRONG, ids=[text for text, _, _ in WRONG])
def test_a_wrong_key_condition_is_refused_with_awss_text(
    text: str, values: dict[str, Any], why: str
) -> None:
    async def story(world: World) -> None:
        await make(world, key=("id", "at"), kinds={"id": "S", "at": "N"})
        req: dict[str, Any] = {
            "TableName": "orders",
            KIND: text,
            "ExpressionAttributeValues": {f":{name}": wire(one) for name, one in values.items()},
        }
        if "#at" in text:
            req["ExpressionAttributeNames"] = {"#at": "at"}
        assert await refusal(caller(world)("query", **req)) == ("ValidationException", why)

    run(story)


@told
async def test_a_query_needs_a_key_condition_and_filters_no_keys(world: World) -> None:
    await make(world)
    call = caller(world)
    assert (await refusal(call("query", TableName="orders")))[1] == (
        "Either the KeyConditions or KeyConditionExpression parameter must be specified in the "
        "request."
    )
    req: dict[str, Any] = {
        "TableName": "orders",
        "KeyConditionExpression": "id = :h",
        "ExpressionAttributeValues": {":h": {"S": "h"}},
    }
    assert (await refusal(call("query", **req, FilterExpression="id = :h")))[1] == (
        "Filter Expression can only contain non-primary key attributes: Primary key attribute: id"
    )
    assert (await refusal(call("query", **req, IndexName="nothing")))[1] == (
        "The table does not have the specified index: nothing"
    )


@told
async def test_a_starting_key_belongs_to_what_is_read(world: World) -> None:
    await make(
        world,
        key=("id", "at"),
        kinds={"id": "S", "at": "N", "who": "S"},
        GlobalSecondaryIndexes=[index("by-who", "who")],
    )
    call = caller(world)
    req: dict[str, Any] = {
        "TableName": "orders",
        "KeyConditionExpression": "id = :h AND #at < :n",
        "ExpressionAttributeNames": {"#at": "at"},
        "ExpressionAttributeValues": {":h": {"S": "h"}, ":n": {"N": "5"}},
    }

    async def why(start: Any) -> str:
        return (await refusal(call("query", **req, ExclusiveStartKey=start)))[1]

    outside = "The provided starting key is outside query boundaries based on provided conditions"
    assert await why(item(id="i", at=1)) == outside
    assert await why(item(id="h", at=7)) == outside
    assert await why(item(id="h")) == (
        "The provided starting key is invalid: The provided key element does not match the schema"
    )
    assert await why(item(id="h", at="1")) == "The provided starting key is invalid"
    start = item(id="h", at=1)
    scan = call("scan", TableName="orders", IndexName="by-who", ExclusiveStartKey=start)
    assert (await refusal(scan))[1] == "The provided starting key is invalid"


@told
async def test_an_index_with_many_items_of_one_key_is_paged_without_loss(world: World) -> None:
    await make(
        world, kinds={"id": "S", "who": "S"}, GlobalSecondaryIndexes=[index("by-who", "who")]
    )
    for number in range(23):
        await put(world, id=f"{number:02}", who="me")
    query: dict[str, Any] = {
        "IndexName": "by-who",
        "KeyConditionExpression": "who = :w",
        "ExpressionAttributeValues": {":w": {"S": "me"}},
    }
    for forward in (True, False):
        got = await queried(world, **query, Limit=5, ScanIndexForward=forward)
        names = [one["id"]["S"] for one in got]
        assert names == sorted((f"{number:02}" for number in range(23)), reverse=not forward)


@told
async def test_a_condition_that_is_known_still_takes_its_own_names_and_values(world: World) -> None:
    await make(world, key=("id", "at"), GlobalSecondaryIndexes=[index("turned", "at", "id")])
    await put(world, id="a", at="b", v=1)
    query = partial(
        queried, world, KeyConditionExpression="#x = :x AND #y = :y",
        ExpressionAttributeValues={":x": {"S": "a"}, ":y": {"S": "b"}},
    )  # fmt: skip
    names, turned = {"#x": "id", "#y": "at"}, {"#x": "at", "#y": "id"}
    for _ in range(2):
        assert len(await query(ExpressionAttributeNames=names)) == 1
        assert await query(ExpressionAttributeNames=turned) == []
        assert await query(ExpressionAttributeNames=turned, IndexName="turned") == []
        _, why = await refusal(query(ExpressionAttributeNames={**names, "#z": "v"}))
        assert why == "Value provided in ExpressionAttributeNames unused in expressions: keys: {#z}"
        _, why = await refusal(query(ExpressionAttributeNames={"#x": "id", "#y": "v"}))
        assert why == "Query condition missed key schema element: at"
