from __future__ import annotations

import pytest

from doppio.kernel.regions import (
    HOMES,
    ZoneState,
    is_up,
    partition_of,
    regions,
    set_zone,
    zone_for,
    zone_id,
    zone_of_id,
    zones,
    zones_down,
)
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


def test_each_partition_has_a_home_for_what_is_global() -> None:
    assert set(HOMES) == {region.partition for region in regions().values()}
    for partition, home in HOMES.items():
        assert partition_of(home) == partition
        assert home in regions()


def test_a_region_has_three_zones_and_some_have_more() -> None:
    assert zones("eu-central-1") == ["eu-central-1a", "eu-central-1b", "eu-central-1c"]
    assert zones("us-east-1")[-1] == "us-east-1f"


def test_the_ids_of_zones_are_in_awss_form() -> None:
    ids = ["use1-az1", "usw2-az2", "apne1-az3", "euc1-az1", "usgw1-az2", "cnn1-az3", "mes1-az1"]
    names = ["us-east-1a", "us-west-2b", "ap-northeast-1c", "eu-central-1a", "us-gov-west-1b",
             "cn-north-1c", "me-south-1a"]  # fmt: skip
    assert [zone_id(name) for name in names] == ids
    assert [zone_of_id(name[:-1], one) for name, one in zip(names, ids, strict=True)] == names


def test_an_id_leads_to_a_zone_of_its_own_region_alone() -> None:
    assert zone_of_id("us-east-1", "use1-az6") == "us-east-1f"
    assert zone_of_id("us-west-2", "use1-az1") is None
    assert zone_of_id("eu-central-1", "euc1-az4") is None
    assert zone_of_id("eu-central-1", "nonsense") is None


def test_ids_of_all_zones_differ() -> None:
    every = [zone_id(zone) for region in regions() for zone in zones(region)]
    assert len(set(every)) == len(every)


def test_what_has_a_name_lies_in_the_same_zone_for_ever_and_names_are_spread() -> None:
    found = [zone_for("eu-west-1", f"name-{number}") for number in range(300)]
    assert found == [zone_for("eu-west-1", f"name-{number}") for number in range(300)]
    assert zone_for("eu-west-1", "name-0") == "eu-west-1a"
    assert all(found.count(zone) > 50 for zone in zones("eu-west-1"))


@told
async def test_a_zone_is_up_until_somebody_says_otherwise(world: World) -> None:
    context = world.cloud.root_context()
    assert await is_up(context.read(), "us-east-1a")
    async with context.write() as tx:
        set_zone(tx, "us-east-1a", "down")
    again = world.again()
    await again.start()
    context = again.cloud.root_context()
    assert not await is_up(context.read(), "us-east-1a")
    assert await is_up(context.read(), "us-east-1b")
    assert await zones_down(context.read()) == ["us-east-1a"]
    async with context.write() as tx:
        set_zone(tx, "us-east-1a", "up")
    assert await is_up(context.read(), "us-east-1a")
    assert await zones_down(context.read()) == []
    await again.close()


@told
async def test_there_is_no_zone_outside_a_region(world: World) -> None:
    for name in ("us-east-1g", "mars-1a", "us-east-1", ""):
        with pytest.raises(ValueError, match="is no Availability Zone"):
            async with world.cloud.root_context().write() as tx:
                set_zone(tx, name, "down")
    assert await world.cloud.root_context().read().list(ZoneState, limit=1) == []
