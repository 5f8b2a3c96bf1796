"""Vector indexes: the nearest items are found, exactly."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from doppio.testing import Cloud
from tests.services.crashes import Told, crash_everywhere
from tests.services.kms.helpers import allow, user
from tests.services.world import World, refusal, run, told

from .helpers import arn, caller, described, item, key_of, make, put, types


def near(name: str = "near", **more: Any) -> dict[str, Any]:
    """A vector index of two dimensions."""
    return {
        "IndexName": name, "VectorAttribute": {"AttributeName": "v"}, "Dimensions": 2,
        "DistanceFunction": "EUCLIDEAN", "Projection": {"ProjectionType": "ALL"}, **more,
    }  # fmt: skip


async def search(world: World, *vector: float, k: int = 3, **more: Any) -> list[tuple[str, float]]:
    """What is nearest: ids and scores."""
    got = await world.call(
        "dynamodb", "search_vectors", TableName="orders", TopK=k,
        SearchVector=[{"N": str(one)} for one in vector], **{"IndexName": "near", **more},
    )  # fmt: skip
    return [(one["Item"]["id"]["S"], round(one["Score"], 6)) for one in got["SearchResults"]]


@pytest.mark.parametrize(
    ("distance", "found"),
    [
        ("EUCLIDEAN", [("a", 0.0), ("c", 1.0), ("b", 1.414214)]),
        ("COSINE", [("a", 0.0), ("c", 0.0), ("b", 1.0)]),
        ("DOT_PRODUCT", [("c", 2.0), ("a", 1.0), ("b", 0.0)]),
    ],
)
def test_the_nearest_come_first_by_each_distance(
    distance: str, found: list[tuple[str, float]]
) -> None:
    async def story(world: World) -> None:
        await make(world, VectorIndexes=[near(DistanceFunction=distance)])
        for name, vector in (("a", [1, 0]), ("b", [0, 1]), ("c", [2, 0]), ("d", [-5, -5])):
            await put(world, id=name, v=vector)
        await put(world, id="without")
        assert await search(world, 1, 0) == found
        assert await search(world, 1, 0, k=1) == found[:1]

    run(story)


@told
async def test_what_is_found_is_exact_among_many(world: World) -> None:
    dice = random.Random(7)
    await make(world, VectorIndexes=[near(Dimensions=8)])
    held = {}
    for number in range(600):
        held[str(number)] = [round(dice.uniform(-1, 1), 4) for _ in range(8)]
        await put(world, id=str(number), v=held[str(number)])
    asked = [round(dice.uniform(-1, 1), 4) for _ in range(8)]
    wanted = sorted(held, key=lambda name: math.dist(asked, held[name]))[:10]
    assert [name for name, _ in await search(world, *asked, k=10)] == wanted


@told
async def test_entries_follow_their_items(world: World) -> None:
    await make(world, VectorIndexes=[near()])
    await put(world, id="a", v=[1, 0])
    await put(world, id="a", v=[0, 1])
    assert await search(world, 1, 0) == [("a", 1.414214)]
    call = caller(world)
    await call("update_item", TableName="orders", Key=item(id="a"), UpdateExpression="REMOVE v")
    assert await search(world, 1, 0) == []
    await put(world, id="a", v=[1, 0])
    [shown] = (await described(world))["VectorIndexes"]
    assert (shown["ItemCount"], shown["IndexStatus"]) == (1, "ACTIVE")
    assert shown["IndexArn"] == arn("orders") + "/index/near"
    await call("delete_item", TableName="orders", Key=item(id="a"))
    assert await search(world, 1, 0) == []
    [shown] = (await described(world))["VectorIndexes"]
    assert (shown["ItemCount"], shown["IndexSizeBytes"]) == (0, 0)


@told
async def test_a_search_stays_in_its_partition_and_filters(world: World) -> None:
    schema = [
        {"AttributeName": "shop", "SearchSchemaElementType": "HASH"},
        {"AttributeName": "kind", "SearchSchemaElementType": "INLINE_FILTER"},
    ]
    await make(world, VectorIndexes=[near(SearchSchema=schema)])
    for name, shop, kind in (("a", "x", 1), ("b", "x", 2), ("c", "y", 1)):
        await put(world, id=name, v=[1, 0], shop=shop, kind=kind)
    await put(world, id="no shop", v=[1, 0])

    async def within(text: str | None, **values: Any) -> list[str]:
        more: dict[str, Any] = {} if text is None else {"SearchConditionExpression": text}
        if values:
            more["ExpressionAttributeValues"] = item(**{f":{one}": values[one] for one in values})
        return [name for name, _ in await search(world, 1, 0, **more)]

    assert await within("shop = :s", s="x") == ["a", "b"]
    assert await within("shop = :s AND kind = :k", s="x", k=2) == ["b"]
    assert await within("shop = :s", s="z") == []
    for text, values in (
        (None, {}),
        ("kind = :k", {"k": 1}),
        ("shop > :s", {"s": "x"}),
        ("shop = :s AND id = :i", {"s": "x", "i": "a"}),
        ("shop = :s OR kind = :k", {"s": "x", "k": 1}),
    ):
        assert (await refusal(within(text, **values)))[0] == "ValidationException"


@told
async def test_only_what_is_projected_is_shown(world: World) -> None:
    some = {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["title"]}
    await make(world, VectorIndexes=[near(Projection=some)])
    await put(world, id="a", v=[1, 0], title="tea", secret="x")
    call = caller(world)
    asked = {"TableName": "orders", "IndexName": "near", "TopK": 1}
    vector = [{"N": "1"}, {"N": "0"}]
    got = await call("search_vectors", SearchVector=vector, **asked)
    assert got["SearchResults"] == [{"Item": item(id="a", v=[1, 0], title="tea"), "Score": 0.0}]
    got = await call("search_vectors", SearchVector=vector, ProjectionExpression="title", **asked)
    assert got["SearchResults"][0]["Item"] == item(title="tea")
    hidden = call("search_vectors", SearchVector=vector, ProjectionExpression="secret", **asked)
    assert (await refusal(hidden))[0] == "ValidationException"


@told
async def test_what_is_no_vector_is_refused(world: World) -> None:
    await make(world, VectorIndexes=[near()])
    for wrong in ("text", [1], [1, 2, 3], [1, "two"], 5):
        code, text = await refusal(put(world, id="a", v=wrong))
        assert code == "ValidationException"
        assert "v" in text
    assert (await refusal(search(world, 1)))[0] == "ValidationException"
    assert (await refusal(search(world, 1e39, 1)))[0] == "ValidationException"
    assert (await refusal(search(world, 1, 0, IndexName="nothing")))[0] == (
        "ResourceNotFoundException"
    )
    same = [near(), near("other", Dimensions=3)]
    assert (await refusal(make(world, "again", VectorIndexes=same)))[0] == "ValidationException"
    twice = [near(), near()]
    assert (await refusal(make(world, "again", VectorIndexes=twice)))[0] == "ValidationException"


@told
async def test_an_index_is_added_filled_and_deleted(world: World) -> None:
    await make(world)
    for number in range(300):
        await put(world, id=f"{number:03d}", v=[number, 0])
    await put(world, id="text", v="no vector")
    call = caller(world)
    await call("update_table", TableName="orders", VectorIndexUpdates=[{"Create": near()}])
    await world.advance(1)
    assert await search(world, 7, 0, k=1) == [("007", 0.0)]
    assert (await described(world))["VectorIndexes"][0]["ItemCount"] == 300
    gone = [{"Delete": {"IndexName": "near"}}]
    await call("update_table", TableName="orders", VectorIndexUpdates=gone)
    await world.advance(1)
    assert "VectorIndexes" not in await described(world)
    assert (await refusal(search(world, 7, 0)))[0] == "ResourceNotFoundException"
    again = call("update_table", TableName="orders", VectorIndexUpdates=gone)
    assert (await refusal(again))[0] == "ResourceNotFoundException"


@told
async def test_a_search_takes_permission_for_the_index(world: World) -> None:
    await make(world, VectorIndexes=[near()])
    one = await user(world, "one", allow("dynamodb:SearchVectors", arn("orders") + "/index/near"))
    two = await user(world, "two", allow("dynamodb:SearchVectors", arn("orders")))
    assert await search(world, 1, 0, caller=one) == []
    assert (await refusal(search(world, 1, 0, caller=two)))[0] == "AccessDeniedException"


def test_an_index_is_filled_whole_whatever_crashes() -> None:
    async def prepare(world: World, said: Told) -> None:
        await make(world)
        for number in range(3):
            await put(world, id=str(number), v=[number, 0])

    async def work(world: World, said: Told) -> None:
        updates = [{"Create": near()}]
        await caller(world)("update_table", TableName="orders", VectorIndexUpdates=updates)
        said["made"] = True
        await world.advance(1)

    async def check(world: World, said: Told) -> None:
        await world.advance(1)
        shown = (await described(world)).get("VectorIndexes", [])
        assert shown or not said.get("made")
        for index in shown:
            assert (index["IndexStatus"], index["ItemCount"]) == ("ACTIVE", 3)
            assert len(await search(world, 0, 0)) == 3

    assert crash_everywhere(prepare, work, check) >= 3


def test_a_client_searches() -> None:
    with Cloud() as cloud:
        db = cloud.account().client("dynamodb")
        db.create_table(
            TableName="orders", KeySchema=key_of("id"), AttributeDefinitions=types(id="S"),
            BillingMode="PAY_PER_REQUEST", VectorIndexes=[near()],
        )  # fmt: skip
        db.get_waiter("table_exists").wait(TableName="orders")
        db.put_item(TableName="orders", Item=item(id="a", v=[1, 2]))
        got = db.search_vectors(
            TableName="orders", IndexName="near", TopK=1, ReturnConsumedCapacity="TOTAL",
            SearchVector=[{"N": "1"}, {"N": "2"}],
        )  # fmt: skip
        [found] = got["SearchResults"]
        assert (found["Item"], found["Score"]) == (item(id="a", v=[1, 2]), 0.0)
        assert got["ConsumedCapacity"]["VectorSearchRequestBytes"] == 8.0
