"""PartiQL: what SELECT, INSERT, UPDATE and DELETE do to tables, as AWS says it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.services.world import World, refusal, refused, told

from .helpers import get, index, item, make, put, wire

INVALID = "One or more parameter values were invalid: "
NO_HASH = (
    "Must have at least one non-optional hash key condition in WHERE clause when using ORDER BY "
    "clause."
)
ARTISTS = (("Acme", 1, 10), ("Acme", 2, 20), ("Acme", 3, 30), ("Brew", 1, 5), ("Cups", 9, 7))


async def execute(world: World, text: str, *parameters: Any, **req: Any) -> Any:
    """ExecuteStatement."""
    if parameters:
        req["Parameters"] = [wire(one) for one in parameters]
    return await world.call("dynamodb", "execute_statement", Statement=text, **req)


async def rows(world: World, text: str, *parameters: Any, **req: Any) -> list[Any]:
    """The items of a statement."""
    got = await execute(world, text, *parameters, **req)
    found: list[Any] = got["Items"]
    return found


async def numbers(world: World, text: str, *parameters: Any, **req: Any) -> list[str]:
    """Hash and range keys of what a SELECT finds."""
    found = await rows(world, text, *parameters, **req)
    return [one["artist"]["S"][0] + one["song"]["N"] for one in found]


async def music(world: World) -> None:
    """A table of songs."""
    await make(
        world, "music", ("artist", "song"), {"artist": "S", "song": "N", "sold": "N"},
        GlobalSecondaryIndexes=[index("by-sold", "sold", projection="KEYS_ONLY")],
        LocalSecondaryIndexes=[index("own", "artist", "sold", projection="KEYS_ONLY")],
    )  # fmt: skip
    for artist, song, sold in ARTISTS:
        await put(world, "music", artist=artist, song=song, sold=sold, tags={"a", "b"})


@told
async def test_what_is_inserted_is_an_item_like_any_other(world: World) -> None:
    await make(world)
    text = """INSERT INTO "orders" VALUE {'id': '1', 'n': -1.50, 'yes': true, 'no': null,
        'list': [1, 'a', ?], 'map': {'deep': {'x': 2e2}}, 'set': <<'b', 'a'>>, 'it''s': 'o''k'}"""
    assert await execute(world, text, b"raw") == {"Items": []}
    assert await get(world, id="1") == {
        "id": {"S": "1"}, "n": {"N": "-1.5"}, "yes": {"BOOL": True}, "no": {"NULL": True},
        "list": {"L": [{"N": "1"}, {"S": "a"}, {"B": b"raw"}]},
        "map": {"M": {"deep": {"M": {"x": {"N": "200"}}}}},
        "set": {"SS": ["b", "a"]}, "it's": {"S": "o'k"},
    }  # fmt: skip
    await execute(world, "INSERT INTO orders VALUE ?", {"id": "2"})
    assert await get(world, id="2") == item(id="2")


@told
async def test_an_insert_never_replaces(world: World) -> None:
    await make(world)
    await put(world, id="1", n=1)
    error = await refused(execute(world, "INSERT INTO orders VALUE {'id': '1', 'n': 2}"))
    assert (error.code, error.message) == (
        "DuplicateItemException", "Duplicate primary key exists in table",
    )  # fmt: skip
    assert await get(world, id="1") == item(id="1", n=1)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("artist = 'Acme'", "A1 A2 A3"),
        ("artist = 'Acme' AND song = 2", "A2"),
        ("'Acme' = artist AND 1 < song", "A2 A3"),
        ("artist = 'Acme' AND song BETWEEN 2 AND 3", "A2 A3"),
        ("artist = 'Acme' AND song IN (3, 1, 8, 1)", "A3 A1"),
        ("artist IN ['Brew', 'Acme'] AND song = 1", "B1 A1"),
        ("artist IN ('Brew', 'Acme') AND song <> 1 AND NOT sold > 20", "A2"),
        ("artist = 'Acme' AND (song = 1 OR song = 3)", "A1 A3"),
        ("artist = 'Acme' AND song NOT IN (1, 2)", "A3"),
        ("artist = 'Acme' AND song > 3", ""),
        ("artist = 'Acme' AND song >= 3 AND song >= 1", "A3"),
        ("artist = 'Acme' AND artist = 'Brew'", ""),
        ("begins_with(\"artist\", 'Ac') AND sold < 30", "A1 A2"),
        ("contains(tags, 'a') AND song = 9", "C9"),
        ("size(tags) = 2 AND size(artist) > 4", ""),
        ("attribute_type(sold, 'N') AND sold != 10 AND song = 1", "B1"),
        ("gone IS MISSING AND sold IS NOT MISSING AND song = 9", "C9"),
        ("sold IS NULL", ""),
        ("NOT (artist <> 'Cups')", "C9"),
    ],
)
def test_where_finds(where: str, expected: str) -> None:
    @told
    async def story(world: World) -> None:
        await music(world)
        found = await numbers(world, f"SELECT * FROM music WHERE {where}")
        if where.startswith(("artist", "'Acme'")):
            assert found == expected.split()
        else:
            assert sorted(found) == expected.split()

    story()


@told
async def test_a_key_is_looked_up_and_not_searched_for(world: World) -> None:
    await music(world)
    for number in range(40):
        await put(world, "music", artist=f"other{number:02}", song=1, blob="x" * 4000)
    for where, units in (
        ("artist = 'Acme' AND song = 2", 0.5),
        ("artist IN ('Acme', 'Brew')", 1.0),
        ("sold = 7", 20.0),
    ):
        got = await execute(
            world, f"SELECT * FROM music WHERE {where}", ReturnConsumedCapacity="TOTAL"
        )
        assert got["ConsumedCapacity"] == {"TableName": "music", "CapacityUnits": units}


@told
async def test_a_select_shows_paths_under_their_last_names(world: World) -> None:
    await make(world)
    await put(world, id="1", m={"in": {"all": [1, {"x": 2}]}}, n=4)
    [shown] = await rows(world, 'SELECT id, m."in"."all"[1].x, gone, m."in"."all"[0] FROM orders')
    assert shown == {"id": {"S": "1"}, "x": {"N": "2"}, "all[0]": {"N": "1"}}


@told
async def test_indexes_are_selected_from(world: World) -> None:
    await music(world)
    assert await numbers(world, 'SELECT * FROM "music"."by-sold" WHERE sold = 20') == ["A2"]
    text = "SELECT * FROM music.own WHERE artist = 'Acme' AND sold < 25 ORDER BY sold DESC"
    assert await numbers(world, text) == ["A2", "A1"]
    code, message = await refusal(execute(world, 'SELECT tags FROM "music"."by-sold"'))
    assert (code, message) == (
        "ValidationException",
        f"{INVALID}Global secondary index by-sold does not project [tags]",
    )
    [shown] = await rows(world, "SELECT tags FROM music.own WHERE artist = 'Acme' AND sold = 10")
    assert shown == {"tags": {"SS": ["a", "b"]}}
    code, message = await refusal(execute(world, "SELECT * FROM music.nothing"))
    assert message == "The table does not have the specified index: nothing"
    code, message = await refusal(
        execute(world, 'SELECT * FROM "music"."by-sold" WHERE sold = 1', ConsistentRead=True)
    )
    assert message == "Consistent reads are not supported on global secondary indexes"


@told
async def test_order_by_the_key(world: World) -> None:
    await music(world)
    ordered = "SELECT * FROM music WHERE artist IN ('Brew', 'Acme') ORDER BY "
    assert await numbers(world, ordered + "artist") == ["A1", "A2", "A3", "B1"]
    assert await numbers(world, ordered + "artist DESC, song ASC") == ["B1", "A1", "A2", "A3"]
    assert await numbers(world, ordered + "artist, song DESC") == ["A3", "A2", "A1", "B1"]
    one = "SELECT * FROM music WHERE artist = 'Acme' ORDER BY song DESC"
    assert await numbers(world, one) == ["A3", "A2", "A1"]
    for text, message in (
        ("SELECT * FROM music ORDER BY song",
         "Must have WHERE clause in the statement when using ORDER BY clause."),
        ("SELECT * FROM music WHERE sold = 1 ORDER BY song",
         NO_HASH),
        ("SELECT * FROM music WHERE artist = 'Acme' ORDER BY sold",
         "Variable reference sold in ORDER BY clause must be part of the primary key"),
    ):  # fmt: skip
        assert await refusal(execute(world, text)) == ("ValidationException", message)


@told
async def test_order_by_the_sort_key_goes_across_partition_keys(world: World) -> None:
    await music(world)
    for number in range(70):
        await put(world, "music", artist=f"D{number % 2}", song=number)
    both = "SELECT * FROM music WHERE artist IN ('Brew', 'Acme') "
    assert sorted((await numbers(world, both + "ORDER BY song"))[:2]) == ["A1", "B1"]
    assert (await numbers(world, both + "ORDER BY song"))[2:] == ["A2", "A3"]
    assert (await numbers(world, both + "ORDER BY song DESC"))[:2] == ["A3", "A2"]
    assert await numbers(world, both + "AND song IN (3, 1) ORDER BY song DESC, artist") == [
        "A3", *sorted((await numbers(world, both + "AND song = 1")), reverse=True),
    ]  # fmt: skip
    many = "SELECT * FROM music WHERE artist IN ('D0', 'D1') ORDER BY song"
    wanted = [f"D{number}" for number in range(70)]
    assert await numbers(world, many) == wanted
    assert await numbers(world, many + " DESC") == wanted[::-1]
    for limit in (1, 7):
        for text, expected in ((many, wanted), (many + " DESC", wanted[::-1])):
            found: list[str] = []
            req: dict[str, Any] = {"Limit": limit}
            while True:
                page = await execute(world, text, **req)
                found += [one["artist"]["S"][0] + one["song"]["N"] for one in page["Items"]]
                if "NextToken" not in page:
                    break
                req["NextToken"] = page["NextToken"]
            assert found == expected
    by_sales = (
        "SELECT artist, song, tags FROM music.own WHERE artist IN ('Brew', 'Acme') "
        "ORDER BY sold DESC"
    )
    shown = await rows(world, by_sales)
    assert all("tags" in one for one in shown)
    forged = execute(world, many, NextToken=req["NextToken"][:-4] + "AAAA")
    assert (await refusal(forged))[0] == "ValidationException"


@told
async def test_pages_are_exact_and_tokens_are_for_their_statement(world: World) -> None:
    await music(world)
    text = "SELECT * FROM music WHERE artist IN ('Brew', 'Acme') ORDER BY artist DESC, song DESC"
    found: list[str] = []
    req: dict[str, Any] = {"Limit": 1}
    pages = 0
    while True:
        page = await execute(world, text, **req)
        found += [one["artist"]["S"][0] + one["song"]["N"] for one in page["Items"]]
        pages += 1
        if "NextToken" not in page:
            break
        assert page["LastEvaluatedKey"].keys() == {"artist", "song"}
        req["NextToken"] = page["NextToken"]
    assert found == ["B1", "A3", "A2", "A1"]
    assert pages == 5
    other = "SELECT * FROM music WHERE artist IN ('Brew', 'Acme')"
    code, message = await refusal(execute(world, other, NextToken=req["NextToken"]))
    assert (code, message) == ("ValidationException", "Invalid NextToken")


@told
async def test_a_page_ends_at_a_mebibyte_over_all_its_ranges(world: World) -> None:
    await make(world, "music", ("artist", "song"), {"artist": "S", "song": "N"})
    for artist in "AB":
        for song in range(4):
            await put(world, "music", artist=artist, song=song, blob="x" * 300_000)
    text = "SELECT artist, song FROM music WHERE artist IN ('A', 'B')"
    first = await execute(world, text)
    assert len(first["Items"]) == 4
    second = await execute(world, text, NextToken=first["NextToken"])
    assert len(second["Items"]) == 4
    third = await execute(world, text, NextToken=second["NextToken"])
    assert third == {"Items": []}


@told
async def test_an_update_changes_what_is_there_and_nothing_else(world: World) -> None:
    await music(world)
    where = "WHERE artist = 'Acme' AND song = 1"
    text = f"""UPDATE music SET sold = sold + 5 SET awards = {{'g': [1]}}, label = ?
        REMOVE tags {where} RETURNING ALL NEW *"""
    [shown] = await rows(world, text, "Label")
    expected = item(artist="Acme", song=1, sold=15, awards={"g": [1]}, label="Label")
    assert shown == expected == await get(world, "music", artist="Acme", song=1)
    for change, returning, shown in (
        ("SET awards.g = list_append(awards.g, [2, 3])", "MODIFIED NEW *",
         item(awards={"g": [1, 2, 3]})),
        ("REMOVE awards.g[0]", "ALL OLD *", {**expected, **item(awards={"g": [1, 2, 3]})}),
        ("SET awards.g[0] = 7, label = 'x'", "MODIFIED OLD *", item(awards={"g": [2]}, label="Label")),
        ("SET s = <<'a'>>", "MODIFIED NEW *", item(s={"a"})),
        ("SET s = set_add(s, <<'b'>>)", "MODIFIED NEW *", {"s": {"SS": ["a", "b"]}}),
        ("SET s = set_delete(s, <<'a', 'z'>>)", "MODIFIED NEW *", item(s={"b"})),
    ):  # fmt: skip
        assert await rows(world, f"UPDATE music {change} {where} RETURNING {returning}") == [shown]
    assert await rows(world, f"UPDATE music SET s = set_delete(s, <<'b'>>) {where}") == []
    assert "s" not in (await get(world, "music", artist="Acme", song=1) or {})
    absent = "UPDATE music SET sold = 1 WHERE artist = 'Acme' AND song = 99"
    assert await refusal(execute(world, absent)) == (
        "ConditionalCheckFailedException", "The conditional request failed",
    )  # fmt: skip
    assert await get(world, "music", artist="Acme", song=99) is None


@told
async def test_conditions_guard_writes_and_show_what_was_in_the_way(world: World) -> None:
    await make(world)
    await put(world, id="1", n=1)
    text = "UPDATE orders SET n = 5 WHERE id = '1' AND n > 1"
    error = await refused(execute(world, text, ReturnValuesOnConditionCheckFailure="ALL_OLD"))
    assert (error.code, error.fields) == (
        "ConditionalCheckFailedException", {"Item": item(id="1", n=1)},
    )  # fmt: skip
    code, _ = await refusal(execute(world, "DELETE FROM orders WHERE id = '1' AND n = 9"))
    assert code == "ConditionalCheckFailedException"
    assert await get(world, id="1") == item(id="1", n=1)


@told
async def test_a_delete_shows_what_went_and_nothing_there_is_no_error(world: World) -> None:
    await make(world)
    await put(world, id="1", n=1)
    text = "DELETE FROM orders WHERE id = ? AND n = 1 RETURNING ALL OLD *"
    assert await rows(world, text, "1") == [item(id="1", n=1)]
    assert await rows(world, text, "1") == []


BAD = "Statement wasn't well formed, can't be processed: "


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SELECT", f"{BAD}Expected identifier for simple path"),
        ("SELECT * orders", f"{BAD}Expected FROM after select list"),
        ("SELECT user FROM orders", f"{BAD}Expected identifier for simple path"),
        ("SELECT * FROM orders WHERE id = '1' id", f"{BAD}Unexpected term after expression"),
        ("SELECT * FROM orders WHERE id", f"{BAD}Unexpected term"),
        ("SELECT * FROM orders WHERE id = '1", f"{BAD}Invalid character"),
        ("SELECT * FROM orders WHERE id IS 1", f"{BAD}Expected MISSING or NULL after IS"),
        ("SELECT COUNT(*) FROM orders", "Unsupported function in projection: COUNT"),
        ("SELECT * FROM orders o", "Aliasing is not supported"),
        ("SELECT * FROM orders WHERE id LIKE 'a'", "Unsupported operator: LIKE"),
        ("SELECT * FROM orders, till", "Only select from a single table or index is supported."),
        ("UPDATE orders WHERE id = '1'", f"{BAD}Expected SET or REMOVE in UPDATE"),
        ("SELECT * FROM orders WHERE id = ?",
         "Number of parameters in request and statement don't match."),
        ("UPDATE orders SET n = 1",
         "Where clause does not contain a mandatory equality on all key attributes"),
        ("DELETE FROM orders WHERE id > '1'",
         "Where clause does not contain a mandatory equality on all key attributes"),
        ("DELETE FROM orders WHERE id = 1",
         "The provided key element does not match the schema"),
        ("UPDATE orders SET id = '2' WHERE id = '1'",
         f"{INVALID}Cannot update attribute id. This attribute is part of the key"),
        ("INSERT INTO orders VALUE {'n': 1}",
         f"{INVALID}Missing the key id in the item"),
        ("EXISTS(SELECT * FROM orders WHERE id = '1')",
         "EXISTS is supported as a statement of a transaction only"),
        ("SELECT * FROM orders WHERE " + "NOT " * 200 + "id = '1'",
         f"{BAD}Statement is nested too deeply"),
        ("SELECT * FROM orders WHERE " + "n = 1 OR " * 200 + "n = 1",
         "The expression has more than 300 operators;"),
    ],
)  # fmt: skip
def test_a_statement_that_cannot_be_is_refused(text: str, message: str) -> None:
    @told
    async def story(world: World) -> None:
        await make(world)
        await put(world, id="1")
        assert await refusal(execute(world, text)) == ("ValidationException", message)

    story()


@told
async def test_a_table_that_is_not_there(world: World) -> None:
    for text in ("SELECT * FROM nothing", "INSERT INTO nothing VALUE {'id': '1'}"):
        assert await refusal(execute(world, text)) == (
            "ResourceNotFoundException", "Requested resource not found",
        )  # fmt: skip
