from __future__ import annotations

from doppio.kernel.regions import ZoneState, partition_of, regions, zones
from tests.services.world import World, told


def test_regions_are_awss() -> None:
    found = regions()
    assert found["us-east-1"].partition == "aws"
    assert found["us-east-1"].description == "US East (N. Virginia)"
    assert found["cn-north-1"].partition == "aws-cn"
    assert len(found) > 30


def test_a_partition_is_known_by_its_regions_name() -> None:
    for name, region in regions().items():
        assert partition_of(name) == region.partition, name


def test_a_region_has_three_zones() -> None:
    assert zones("eu-central-1") == ["eu-central-1a", "eu-central-1b", "eu-central-1c"]


@told
async def test_a_zone_is_up_until_somebody_says_otherwise(world: World) -> None:
    context = world.cloud.root_context()
    assert await context.read().get(ZoneState, "us-east-1a") is None
    async with context.write() as tx:
        tx.put(ZoneState(name="us-east-1a", state="down"))
    again = world.again()
    await again.start()
    found = await again.cloud.root_context().read().get(ZoneState, "us-east-1a")
    assert found == ZoneState(name="us-east-1a", state="down")
    await again.close()
