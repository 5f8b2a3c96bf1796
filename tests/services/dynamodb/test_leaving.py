"""A replica becomes a table of its own."""

from __future__ import annotations

from typing import Any

from tests.services.world import World, refusal, told

from .helpers import item, make
from .regions import (
    HERE,
    THERE,
    YONDER,
    everything,
    in_region,
    make_global,
    set_region,
    table_in,
    write_in,
)

LEAVE = {"Disassociate": {"RegionName": THERE, "DisassociationMode": "WAIT_FOR_REPLICATION"}}


async def update(world: World, region: str = THERE, **req: Any) -> None:
    """UpdateTable."""
    await in_region(world, region, "update_table", TableName="orders", **req)
    await world.advance(1)


@told
async def test_a_replica_leaves_with_all_that_was_under_way_and_the_others_hear_its_last(
    world: World,
) -> None:
    await make_global(world, THERE, YONDER)
    assert (await table_in(world, THERE))["DisassociationProtectionEnabled"] is True
    await update(world, DisassociationProtectionEnabled=False)
    assert (await table_in(world, THERE))["DisassociationProtectionEnabled"] is False
    assert (await table_in(world, HERE))["DisassociationProtectionEnabled"] is True
    await set_region(world, HERE, "down")
    await write_in(world, HERE, item(id="under way"))
    await write_in(world, THERE, item(id="last"))
    await update(world, ReplicaUpdates=[LEAVE])
    assert await everything(world, THERE) == [item(id="last")]
    await set_region(world, HERE, "up")
    await world.advance(10)
    await world.advance(10)
    shown = await table_in(world, THERE)
    assert shown["TableStatus"] == "ACTIVE"
    assert not {"Replicas", "GlobalTableVersion", "DisassociationProtectionEnabled"} & shown.keys()
    assert len(await everything(world, THERE)) == 2
    await write_in(world, THERE, item(id="mine"))
    await write_in(world, HERE, item(id="ours"))
    await world.advance(1)
    assert sorted(one["id"]["S"] for one in await everything(world, THERE)) == [
        "last", "mine", "under way",
    ]  # fmt: skip
    for region in (HERE, YONDER):
        found = sorted(one["id"]["S"] for one in await everything(world, region))
        assert found == ["last", "ours", "under way"]
    assert [one["RegionName"] for one in (await table_in(world, HERE))["Replicas"]] == [YONDER]


@told
async def test_of_two_replicas_both_are_tables_of_their_own_when_one_has_left(
    world: World,
) -> None:
    await make_global(world, THERE)
    await write_in(world, HERE, item(id="a"))
    await update(world, DisassociationProtectionEnabled=False)
    await update(world, ReplicaUpdates=[LEAVE])
    for region in (HERE, THERE):
        assert "Replicas" not in await table_in(world, region)
        assert await everything(world, region) == [item(id="a")]


@told
async def test_leaving_is_refused_where_it_cannot_be(world: World) -> None:
    await make(world)
    protect = {"DisassociationProtectionEnabled": False}

    async def why(region: str = THERE, **req: Any) -> str:
        code, text = await refusal(update(world, region, **req))
        assert code == "ValidationException"
        return text

    assert "only supported for replicas" in await why(HERE, **protect)
    await in_region(world, HERE, "delete_table", TableName="orders")
    await world.advance(1)
    await make_global(world, THERE)
    assert "protected against disassociation" in await why(ReplicaUpdates=[LEAVE])
    assert "any other change" in await why(**protect, DeletionProtectionEnabled=True)
    await update(world, **protect)
    assert "in its own Region" in await why(HERE, ReplicaUpdates=[LEAVE])
    create = {"Create": {"RegionName": YONDER}}
    assert "the only update" in await why(ReplicaUpdates=[LEAVE, create])
    assert len((await table_in(world, THERE))["Replicas"]) == 1
