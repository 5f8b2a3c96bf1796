"""Replicas under KMS keys: each under one of its own Region, and changes sealed also under way."""

from __future__ import annotations

from typing import Any

from tests.services.world import World, refusal, told

from .helpers import item, make
from .regions import (
    HERE,
    STREAM,
    THERE,
    YONDER,
    everything,
    in_region,
    make_global,
    replicate,
    set_region,
    table_in,
    write_in,
)

SECRET = "a very secret word"
MANAGED = {"SSESpecification": {"Enabled": True, "SSEType": "KMS"}}


def lies_open(world: World) -> bool:
    """Whether the secret can be read on the disk, in rows or in logs."""
    return any(SECRET.encode() in raw for raw in world.memory.disk.values())


async def key_in(world: World, region: str) -> str:
    """A customer's key in a Region."""
    made = await world.call("kms", "create_key", region=region)
    arn: str = made["KeyMetadata"]["Arn"]
    return arn


async def update(world: World, **req: Any) -> None:
    """UpdateTable of the first replica."""
    await in_region(world, HERE, "update_table", TableName="orders", **req)
    await world.advance(1)


@told
async def test_each_replica_is_under_the_key_of_its_own_region(world: World) -> None:
    await make(world, StreamSpecification=STREAM, **MANAGED)
    await write_in(world, HERE, item(id="a", x=SECRET))
    await replicate(world, THERE)
    await set_region(world, THERE, "down")
    await write_in(world, HERE, item(id="b", x=SECRET))
    assert not lies_open(world), "neither in rows nor under way"
    await set_region(world, THERE, "up")
    await world.advance(10)
    assert len(await everything(world, THERE)) == 2
    assert await everything(world, THERE) == await everything(world, HERE)
    assert not lies_open(world)
    [replica] = (await table_in(world, HERE))["Replicas"]
    there = (await table_in(world, THERE))["SSEDescription"]["KMSMasterKeyArn"]
    assert replica["KMSMasterKeyId"] == there
    assert f":{THERE}:" in there


@told
async def test_a_key_of_ones_own_is_named_for_each_replica(world: World) -> None:
    here, there, other = (
        await key_in(world, HERE), await key_in(world, THERE), await key_in(world, THERE),
    )  # fmt: skip
    under = {"SSESpecification": {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": here}}
    await make(world, StreamSpecification=STREAM, **under)
    call = in_region(
        world, HERE, "update_table", TableName="orders",
        ReplicaUpdates=[{"Create": {"RegionName": THERE}}],
    )  # fmt: skip
    assert "must be specified for each replica" in (await refusal(call))[1]
    await replicate(world, THERE, KMSMasterKeyId=there)
    await write_in(world, THERE, item(id="a", x=SECRET))
    await world.advance(1)
    assert await everything(world, HERE) == [item(id="a", x=SECRET)]
    change = {"Update": {"RegionName": THERE, "KMSMasterKeyId": other}}
    await update(world, ReplicaUpdates=[change])
    assert (await table_in(world, THERE))["SSEDescription"]["KMSMasterKeyArn"] == other
    await world.advance(minutes=6)
    await world.call("kms", "disable_key", region=THERE, KeyId=other)
    await write_in(world, HERE, item(id="b", x=SECRET))
    await world.advance(minutes=1)
    code, text = await refusal(everything(world, THERE))
    assert (code, "is disabled" in text) == ("AccessDeniedException", True)
    assert not lies_open(world)
    await world.call("kms", "enable_key", region=THERE, KeyId=other)
    await world.advance(minutes=1)
    assert len(await everything(world, THERE)) == 2, "it has caught up"


@told
async def test_whether_there_is_a_key_is_the_same_for_all_replicas(world: World) -> None:
    await make_global(world, THERE, YONDER)
    await write_in(world, HERE, item(id="a", x=SECRET))
    await world.advance(1)
    await update(world, **MANAGED)
    for region in (HERE, THERE, YONDER):
        shown = await table_in(world, region)
        assert f":{region}:" in shown["SSEDescription"]["KMSMasterKeyArn"]
        await write_in(world, region, item(id=region, x=SECRET))
    await world.advance(1)
    for region in (HERE, THERE, YONDER):
        assert len(await everything(world, region)) == 4
    await update(world, SSESpecification={"Enabled": False})
    for region in (HERE, THERE, YONDER):
        assert "SSEDescription" not in await table_in(world, region)
        assert len(await everything(world, region)) == 4


@told
async def test_strong_consistency_seals_each_replica_under_its_own_key(world: World) -> None:
    await make(world, **MANAGED)
    regions = ("us-east-2", "us-west-2")
    await in_region(
        world, HERE, "update_table", TableName="orders", MultiRegionConsistency="STRONG",
        ReplicaUpdates=[{"Create": {"RegionName": one}} for one in regions],
    )  # fmt: skip
    await world.advance(1)
    await write_in(world, "us-east-2", item(id="a", x=SECRET))
    for region in (HERE, *regions):
        assert await everything(world, region) == [item(id="a", x=SECRET)]
    assert not lies_open(world)
