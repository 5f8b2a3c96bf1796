"""What of clusters is measured, and what bounds them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from doppio.kernel.context import Context
from doppio.kernel.store import StoreFull
from doppio.services.dax.serving import Serving
from tests.services.dax.client import (
    BY_ID,
    DEARER,
    KEY,
    LIST_NUMBER,
    ONE,
    PRICE,
    Client,
    refusal,
    refused,
)
from tests.services.dax.helpers import cafe, open_cluster, role, stored
from tests.services.world import ACCOUNT, REGION, World, told


@told
async def test_hits_and_misses_are_measured(world: World) -> None:
    client = await Client.to(world, await cafe(world))
    for _ in range(3):
        await client.get("menu", KEY)
    for _ in range(2):
        await client.query("menu", BY_ID)
    await refusal(client.get("none", KEY))
    await world.cloud.metrics.flush()
    counted = {
        "ItemCacheHits": 2, "ItemCacheMisses": 1, "QueryCacheHits": 1, "QueryCacheMisses": 1,
        "GetItemRequestCount": 4, "QueryRequestCount": 2, "TotalRequestCount": 6,
        "FailedRequestCount": 1, "ErrorRequestCount": 1,
    }  # fmt: skip
    dimensions = [
        {"Name": "Account", "Value": ACCOUNT}, {"Name": "ClusterId", "Value": "c"},
        {"Name": "NodeId", "Value": "c-a"},
    ]  # fmt: skip
    for name, wanted in counted.items():
        for count in (1, 2, 3):
            found = await world.call(
                "cloudwatch", "get_metric_statistics", Namespace="AWS/DAX", MetricName=name,
                Dimensions=dimensions[:count], StartTime=world.now - timedelta(hours=1),
                EndTime=world.now + timedelta(hours=1), Period=86_400, Statistics=["Sum"],
            )  # fmt: skip
            assert sum(one["Sum"] for one in found["Datapoints"]) == wanted, (name, count)


@told
async def test_a_cluster_remembers_no_more_than_its_nodes_hold(world: World) -> None:
    client = await Client.to(world, await cafe(world))
    context: Context = world.cloud.root_context()
    engine = Serving.of(context)._engines[(ACCOUNT, REGION, "c")]
    assert engine.cache.bytes_max == 2 * (1 << 30) // 64
    engine.cache.bytes_max = 4_000
    for number in range(40):
        await client.put("menu", {"id": {"S": f"i{number}"}, "x": {"S": "y" * 300}})
        assert engine.cache.used_bytes <= 4_000
    assert 1 < len(engine.cache) < 12
    await stored(world, {"id": {"S": "i0"}, "x": {"S": "new"}})
    assert await client.get("menu", {"id": {"S": "i0"}}) == {"x": {"S": "new"}}
    await client.put("menu", {"id": {"S": "large"}, "x": {"S": "y" * 5_000}})
    assert engine.cache.used_bytes <= 4_000


@told
async def test_the_hours_of_nodes_are_counted_as_they_begin(world: World) -> None:
    await role(world)
    await open_cluster(world, ReplicationFactor=2)
    usage = "NodeUsage:dax.t3.small"
    assert await world.used(usage) == 2
    await world.advance(minutes=59)
    assert await world.used(usage) == 2
    await world.advance(minutes=1)
    assert await world.used(usage) == 4
    await world.advance(hours=10)
    assert await world.used(usage) == 24
    await world.call("dax", "reboot_node", ClusterName="c", NodeId="c-a")
    await world.advance(2)
    assert await world.used(usage) == 24
    await world.call("dax", "delete_cluster", ClusterName="c")
    await world.advance(hours=5)
    assert await world.used(usage) == 24


@told
async def test_a_full_disk_is_told_and_what_is_remembered_is_read(world: World) -> None:
    client = await Client.to(world, await cafe(world))
    await client.put("menu", ONE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.memory, "_reaches_disk", lambda group: StoreFull("full"))
        error = await refused(client.put("menu", DEARER))
        assert (error.code, error.numbers[-1]) == ("InternalServerError", 47)
        assert "full" in str(error)
        error = await refused(client.ask(LIST_NUMBER, ["never", "seen"]))
        assert error.code == "InternalServerError"
        # Nobody knows what became of the write, so the item is read again.
        assert await client.get("menu", KEY) == PRICE
    await client.put("menu", DEARER)
    assert await client.get("menu", KEY) == {"price": {"N": "3"}}
    assert await client.ask(LIST_NUMBER, ["never", "seen"]) > 1
