"""A crash at any commit of a cluster's life: it goes on to what its user wants, or was never there."""

from __future__ import annotations

from doppio.services.dax.records import AttributeList, AttributeListNumber, AttributeLists, Cluster
from tests.services.crashes import Told, crash_everywhere
from tests.services.dax.client import Client, Refused
from tests.services.dax.helpers import begin, described, open_cluster, role, table
from tests.services.world import World

KEY = {"id": {"S": "x"}}


async def clusters(world: World) -> list[Cluster]:
    """All clusters there are."""
    return await world.cloud.root_context().read().list(Cluster, limit=9)


def test_a_cluster_comes_and_grows_whatever_crashes() -> None:
    async def prepare(world: World, told: Told) -> None:
        await role(world, "dynamodb:*")

    async def work(world: World, told: Told) -> None:
        await begin(world)
        told["made"] = 1
        await world.advance(2)
        await world.call(
            "dax", "increase_replication_factor", ClusterName="c", NewReplicationFactor=2
        )
        told["made"] = 2
        await world.advance(2)
        await world.call("dax", "reboot_node", ClusterName="c", NodeId="c-a")
        await world.advance(2)

    async def check(world: World, told: Told) -> None:
        if not await clusters(world):
            assert "made" not in told
            await begin(world)
        await world.advance(9)
        found = await described(world)
        assert found["Status"] == "available"
        assert len(found["Nodes"]) >= told.get("made", 0)
        for node in found["Nodes"]:
            client = await Client.to(world, node["Endpoint"]["Port"])
            assert len(await client.ask(455855874)) == len(found["Nodes"])
            client.close()

    assert crash_everywhere(prepare, work, check) >= 6


def test_a_deleted_cluster_goes_with_all_that_is_its_own() -> None:
    async def prepare(world: World, told: Told) -> None:
        await role(world, "dynamodb:*")
        await table(world)
        made = await open_cluster(world)
        told["port"] = made["Nodes"][0]["Endpoint"]["Port"]

    async def work(world: World, told: Told) -> None:
        client = await Client.to(world, told["port"])
        try:
            for name in "abc":
                await client.put("menu", {**KEY, name: {"S": name}})
                told["put"] = name
        except (EOFError, Refused):
            return
        finally:
            client.close()
        await world.call("dax", "delete_cluster", ClusterName="c")
        told["deleted"] = True
        await world.advance(2)

    async def check(world: World, told: Told) -> None:
        if "put" in told:
            found = await world.call("dynamodb", "get_item", TableName="menu", Key=KEY)
            assert max(found["Item"]) >= told["put"]
        await world.advance(9)
        there = await clusters(world)
        assert not (there and "deleted" in told)
        if there:
            if there[0].status != "deleting":
                await world.call("dax", "delete_cluster", ClusterName="c")
            await world.advance(9)
        assert await clusters(world) == []
        reader = world.cloud.root_context().read()
        for kind in (AttributeList, AttributeListNumber, AttributeLists):
            assert await reader.list(kind, limit=9) == []

    assert crash_everywhere(prepare, work, check) >= 6
