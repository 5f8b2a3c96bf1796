"""One-zone classes are not to be had while their Availability Zone is down; all others are."""

from __future__ import annotations

from typing import Any, Literal

from doppio.kernel.regions import set_zone, zone_for, zones
from tests.services.s3.test_replication import prepared, rule, status
from tests.services.world import REGION, World, refused, told


async def mark(world: World, zone: str, state: Literal["up", "down"]) -> None:
    """Take a zone down, or up again."""
    async with world.cloud.root_context().write() as tx:
        set_zone(tx, zone, state)


async def put(world: World, key: str, storage_class: str = "ONEZONE_IA") -> Any:
    return await world.call(
        "s3", "put_object", Bucket="bucket", Key=key, Body=b"x", StorageClass=storage_class
    )


async def unavailable(world: World, method: str, **req: Any) -> None:
    """The call is answered as S3 does when it cannot."""
    error = await refused(world.call("s3", method, **{"Bucket": "bucket", **req}))
    assert (error.code, error.status) == ("ServiceUnavailable", 503), method
    assert error.message == "Service is unable to handle request."


@told
async def test_what_lies_in_a_zone_that_is_down_cannot_be_had(world: World) -> None:
    await world.call("s3", "create_bucket", Bucket="bucket")
    await put(world, "one")
    await put(world, "many", "STANDARD_IA")
    zone = zone_for(REGION, "bucket")
    for other in zones(REGION):
        if other != zone:
            await mark(world, other, "down")
    await world.call("s3", "get_object", Bucket="bucket", Key="one")
    await mark(world, zone, "down")
    for method in ("get_object", "head_object", "get_object_tagging"):
        await unavailable(world, method, Key="one")
        await world.call("s3", method, Bucket="bucket", Key="many")
    await unavailable(world, "copy_object", Key="copy", CopySource="bucket/one")
    await unavailable(world, "put_object", Key="new", Body=b"x", StorageClass="ONEZONE_IA")
    await put(world, "new", "STANDARD")
    listed = await world.call("s3", "list_objects_v2", Bucket="bucket")
    assert [one["Key"] for one in listed["Contents"]] == ["many", "new", "one"]
    await mark(world, zone, "up")
    assert (await world.call("s3", "get_object", Bucket="bucket", Key="one"))["Body"] == b"x"


@told
async def test_a_version_in_a_zone_that_is_down_can_be_deleted(world: World) -> None:
    await world.call("s3", "create_bucket", Bucket="bucket")
    await put(world, "one")
    await mark(world, zone_for(REGION, "bucket"), "down")
    await world.call("s3", "delete_object", Bucket="bucket", Key="one")
    assert (await world.call("s3", "list_objects_v2", Bucket="bucket"))["KeyCount"] == 0


@told
async def test_lifecycle_waits_for_the_zone(world: World) -> None:
    await world.call("s3", "create_bucket", Bucket="bucket")
    size = b"x" * 200_000
    await world.call("s3", "put_object", Bucket="bucket", Key="k", Body=size)
    rules = [{"ID": "r", "Status": "Enabled", "Filter": {},
              "Transitions": [{"Days": 30, "StorageClass": "ONEZONE_IA"}]}]  # fmt: skip
    await world.call(
        "s3", "put_bucket_lifecycle_configuration", Bucket="bucket",
        LifecycleConfiguration={"Rules": rules},
    )  # fmt: skip

    async def storage_class() -> str:
        found = await world.call("s3", "list_objects_v2", Bucket="bucket")
        return str(found["Contents"][0]["StorageClass"])

    await mark(world, zone_for(REGION, "bucket"), "down")
    await world.advance(days=40)
    assert await storage_class() == "STANDARD"
    await mark(world, zone_for(REGION, "bucket"), "up")
    await world.advance(days=1)
    assert await storage_class() == "ONEZONE_IA"


@told
async def test_replicas_wait_for_the_zone_of_their_class(world: World) -> None:
    await prepared(world, rule(Destination={"StorageClass": "ONEZONE_IA"}))
    await mark(world, zone_for(REGION, "copy"), "down")
    await put(world, "a", "STANDARD")
    await world.settle()
    assert await status(world, "a") == "PENDING"
    await mark(world, zone_for(REGION, "copy"), "up")
    await world.advance(minutes=10)
    assert await status(world, "a") == "COMPLETED"
    head = await world.call("s3", "head_object", Bucket="copy", Key="a")
    assert head["StorageClass"] == "ONEZONE_IA"
