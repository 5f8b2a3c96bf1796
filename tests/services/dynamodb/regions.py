"""What tests of global tables say often: calls in a Region, replicas, Regions that are down."""

from __future__ import annotations

from typing import Any, Literal

from doppio.kernel.regions import set_zone, zones
from tests.services.world import REGION, World

from .helpers import Item, make

HERE, THERE, YONDER = REGION, "eu-west-1", "us-west-2"
STREAM = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}


async def in_region(world: World, region: str, method: str, /, **req: Any) -> Any:
    """A call in a Region."""
    return await world.call("dynamodb", method, region=region, **req)


async def replicate(world: World, *regions: str, table: str = "orders", **more: Any) -> None:
    """Make replicas of a table, one after the other."""
    for region in regions:
        create = {"Create": {"RegionName": region, **more}}
        await in_region(world, HERE, "update_table", TableName=table, ReplicaUpdates=[create])
        await world.advance(1)


async def make_global(
    world: World, *regions: str, key: tuple[str, ...] = ("id",), **req: Any
) -> None:
    """A table with replicas in these Regions beside its own."""
    await make(world, key=key, StreamSpecification=STREAM, **req)
    await replicate(world, *regions)


async def everything(world: World, region: str, table: str = "orders") -> list[Item]:
    """All items of a replica."""
    found: list[Item] = []
    req: dict[str, Any] = {"TableName": table}
    while True:
        page = await in_region(world, region, "scan", **req)
        found += page["Items"]
        if "LastEvaluatedKey" not in page:
            return found
        req["ExclusiveStartKey"] = page["LastEvaluatedKey"]


async def set_region(world: World, region: str, state: Literal["up", "down"]) -> None:
    """Take a Region down, or up again."""
    context = world.cloud.context_for("", "")
    async with context.write() as tx:
        for zone in zones(region):
            set_zone(tx, zone, state)


async def table_in(world: World, region: str, table: str = "orders") -> dict[str, Any]:
    """DescribeTable."""
    found: dict[str, Any] = (await in_region(world, region, "describe_table", TableName=table))[
        "Table"
    ]
    return found


async def write_in(world: World, region: str, item: Item, table: str = "orders") -> None:
    """Put an item in a Region."""
    await in_region(world, region, "put_item", TableName=table, Item=item)
