"""Global tables of multi-Region strong consistency: one commit for all replicas."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from doppio.services.dynamodb.errors import ConditionalCheckFailedException
from tests.services.world import World, refusal, run, told

from .helpers import index, item, make, put
from .regions import everything, in_region, table_in, write_in

HERE, THERE, YONDER = "us-east-1", "us-east-2", "us-west-2"
CREATES = [{"Create": {"RegionName": THERE}}, {"Create": {"RegionName": YONDER}}]
WITNESS = [{"Create": {"RegionName": YONDER}}]


async def update(world: World, **req: Any) -> Any:
    """UpdateTable of the first replica."""
    return await in_region(world, HERE, "update_table", TableName="orders", **req)


async def make_strong(world: World, **req: Any) -> None:
    """A table with three replicas."""
    await make(world, **req)
    await update(world, ReplicaUpdates=CREATES, MultiRegionConsistency="STRONG")
    await world.advance(1)


@told
async def test_a_write_is_in_all_replicas_when_it_is_answered(world: World) -> None:
    await make_strong(
        world,
        kinds={"id": "S", "who": "S"},
        GlobalSecondaryIndexes=[index("by-who", "who")],
    )
    shown = await table_in(world, THERE)
    assert shown["MultiRegionConsistency"] == "STRONG"
    assert sorted(one["RegionName"] for one in shown["Replicas"]) == [HERE, YONDER]
    await write_in(world, HERE, item(id="a", who="me"))
    for region in (THERE, YONDER):
        assert await everything(world, region) == [item(id="a", who="me")]
    await in_region(
        world, YONDER, "update_item", TableName="orders", Key=item(id="a"),
        UpdateExpression="SET who = :w", ExpressionAttributeValues={":w": {"S": "you"}},
    )  # fmt: skip
    for region in (HERE, THERE, YONDER):
        got = await in_region(world, region, "scan", TableName="orders", IndexName="by-who")
        assert got["Items"] == [item(id="a", who="you")]
        assert (await table_in(world, region))["ItemCount"] == 1
    await in_region(world, THERE, "delete_item", TableName="orders", Key=item(id="a"))
    for region in (HERE, THERE, YONDER):
        assert await everything(world, region) == []
    assert await world.used("ReplicatedWriteRequestUnits") == 2 * (2 + 3 + 2)


@told
async def test_of_conditional_writes_in_three_regions_one_holds(world: World) -> None:
    await make_strong(world)

    async def claim(region: str) -> bool:
        try:
            await in_region(
                world, region, "put_item", TableName="orders", Item=item(id="lock", by=region),
                ConditionExpression="attribute_not_exists(id)",
            )  # fmt: skip
        except ConditionalCheckFailedException:
            return False
        return True

    regions = (HERE, THERE, YONDER) * 3
    won = await asyncio.gather(*(claim(region) for region in regions))
    assert sum(won) == 1
    [winner] = [region for region, it_won in zip(regions, won, strict=True) if it_won]
    for region in (HERE, THERE, YONDER):
        assert await everything(world, region) == [item(id="lock", by=winner)]


@told
async def test_a_witness_has_no_table(world: World) -> None:
    await make(world)
    await update(
        world,
        ReplicaUpdates=CREATES[:1],
        GlobalTableWitnessUpdates=WITNESS,
        MultiRegionConsistency="STRONG",
    )
    await world.advance(1)
    for region in (HERE, THERE):
        shown = await table_in(world, region)
        assert shown["GlobalTableWitnesses"] == [{"RegionName": YONDER, "WitnessStatus": "ACTIVE"}]
    code, _ = await refusal(table_in(world, YONDER))
    assert code == "ResourceNotFoundException"
    await write_in(world, THERE, item(id="a"))
    code, text = await refusal(update(world, ReplicaUpdates=[{"Delete": {"RegionName": THERE}}]))
    assert code == "ValidationException"
    assert "in one request" in text
    await update(
        world,
        ReplicaUpdates=[{"Delete": {"RegionName": THERE}}],
        GlobalTableWitnessUpdates=[{"Delete": {"RegionName": YONDER}}],
    )
    await world.advance(1)
    shown = await table_in(world, HERE)
    assert not {"Replicas", "GlobalTableWitnesses", "MultiRegionConsistency"} & shown.keys()
    assert await everything(world, HERE) == [item(id="a")]
    await in_region(world, HERE, "delete_table", TableName="orders")


@told
async def test_replicas_come_and_go_together(world: World) -> None:
    await make_strong(world)
    await write_in(world, YONDER, item(id="a"))
    code, _ = await refusal(update(world, ReplicaUpdates=[{"Delete": {"RegionName": THERE}}]))
    assert code == "ValidationException"
    await world.advance(hours=25)
    code, text = await refusal(in_region(world, THERE, "delete_table", TableName="orders"))
    assert "cannot be deleted alone" in text
    both = [{"Delete": {"RegionName": one}} for one in (THERE, YONDER)]
    await update(world, ReplicaUpdates=both)
    await world.advance(1)
    for region in (THERE, YONDER):
        assert (await refusal(table_in(world, region)))[0] == "ResourceNotFoundException"
    assert await everything(world, HERE) == [item(id="a")]
    assert "Replicas" not in await table_in(world, HERE)


@told
async def test_what_strong_consistency_has_not_is_refused(world: World) -> None:
    await make_strong(world)
    code, text = await refusal(
        in_region(
            world, THERE, "update_time_to_live", TableName="orders",
            TimeToLiveSpecification={"AttributeName": "until", "Enabled": True},
        )
    )  # fmt: skip
    assert (code, "Time to Live" in text) == ("ValidationException", True)
    one = {"TableName": "orders", "Item": item(id="a")}
    key = {"TableName": "orders", "Key": item(id="a")}
    for method, req in (
        ("transact_write_items", {"TransactItems": [{"Put": one}]}),
        ("transact_get_items", {"TransactItems": [{"Get": key}]}),
        (
            "execute_transaction",
            {"TransactStatements": [{"Statement": "INSERT INTO orders VALUE {'id': 'a'}"}]},
        ),
        (
            "execute_transaction",
            {"TransactStatements": [{"Statement": "SELECT * FROM orders WHERE id = 'a'"}]},
        ),
    ):
        code, text = await refusal(in_region(world, HERE, method, **req))
        assert (code, "Transactions are not supported" in text) == ("ValidationException", True)
    assert await everything(world, HERE) == []


@pytest.mark.parametrize(
    ("req", "why"),
    [
        ({"ReplicaUpdates": CREATES[:1]}, "exactly three"),
        ({"ReplicaUpdates": CREATES, "GlobalTableWitnessUpdates": WITNESS}, "exactly three"),
        (
            {"ReplicaUpdates": [CREATES[0], {"Create": {"RegionName": "eu-west-1"}}]},
            "one Region set",
        ),
        ({}, "can only be specified when"),
    ],
)
def test_what_cannot_be_strong_is_refused(req: Any, why: str) -> None:
    async def story(world: World) -> None:
        await make(world)
        code, text = await refusal(update(world, MultiRegionConsistency="STRONG", **req))
        assert (code, why in text) == ("ValidationException", True), text
        assert "Replicas" not in await table_in(world, HERE)

    run(story)


@told
async def test_a_table_with_items_cannot_become_strong(world: World) -> None:
    await make(world)
    await put(world, id="a")
    call = update(world, ReplicaUpdates=CREATES, MultiRegionConsistency="STRONG")
    assert "must be empty" in (await refusal(call))[1]
    await make(
        world,
        "till",
        key=("id", "n"),
        kinds={"id": "S", "n": "S", "who": "S"},
        LocalSecondaryIndexes=[index("local", "id", "who")],
    )
    call = in_region(
        world, HERE, "update_table", TableName="till", ReplicaUpdates=CREATES,
        MultiRegionConsistency="STRONG",
    )  # fmt: skip
    assert "local secondary indexes" in (await refusal(call))[1]
