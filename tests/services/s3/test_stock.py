"""What lies in buckets is counted in each commit, and metered by class and time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from doppio.services.s3.stock import Statistics, statistics
from doppio.testing import Cloud
from tests.services.world import World, told

DAY = 24.0


async def world_with(world: World, *, versioning: str = "") -> None:
    await world.call("s3", "create_bucket", Bucket="bucket")
    if versioning:
        await world.call(
            "s3",
            "put_bucket_versioning",
            Bucket="bucket",
            VersioningConfiguration={"Status": versioning},
        )


async def put(world: World, key: str, size: int, **req: Any) -> None:
    from doppio.wire.http import Whole

    await world.call("s3", "put_object", Bucket="bucket", Key=key, Body=Whole(b"x" * size), **req)


async def now_in(world: World) -> Statistics:
    reader = world.cloud.context_for("000000000000", "us-east-1").read()
    return await statistics(reader, "bucket")


@told
async def test_the_counters_are_what_a_walk_would_count(world: World) -> None:
    await world_with(world)
    await put(world, "a", 1000)
    await put(world, "a", 3000)
    await put(world, "b", 70_000)
    await put(world, "c", 0)
    await world.call("s3", "copy_object", Bucket="bucket", Key="d", CopySource="bucket/b")
    assert await now_in(world) == Statistics({"StandardStorage": 143_000}, 4)
    await world.call(
        "s3", "put_bucket_versioning", Bucket="bucket",
        VersioningConfiguration={"Status": "Enabled"},
    )  # fmt: skip
    await put(world, "a", 5000)
    gone = await world.call("s3", "delete_object", Bucket="bucket", Key="a")
    assert await now_in(world) == Statistics({"StandardStorage": 148_000}, 6)
    for version in ("null", gone["VersionId"]):
        await world.call("s3", "delete_object", Bucket="bucket", Key="a", VersionId=version)
    assert await now_in(world) == Statistics({"StandardStorage": 145_000}, 4)
    found = await world.call("s3", "list_object_versions", Bucket="bucket")
    assert sum(one["Size"] for one in found["Versions"]) == 145_000
    for one in found["Versions"]:
        await world.call(
            "s3", "delete_object", Bucket="bucket", Key=one["Key"], VersionId=one["VersionId"]
        )
    assert await now_in(world) == Statistics({}, 0)


@told
async def test_storage_is_metered_for_as_long_as_it_lay_there(world: World) -> None:
    await world_with(world)
    await put(world, "stays", 10_000)
    await world.advance(hours=6)
    await put(world, "goes", 1000)
    await world.advance(hours=3)
    await world.call("s3", "delete_object", Bucket="bucket", Key="goes")
    assert await world.used("TimedStorage-ByteHrs") == 0
    await world.advance(hours=15)
    assert await world.used("TimedStorage-ByteHrs") == pytest.approx(10_000 * DAY + 3000, rel=1e-6)
    # However far the clock jumps, and when the bucket goes.
    await world.advance(days=40, hours=1)
    assert await world.used("TimedStorage-ByteHrs") == pytest.approx(
        10_000 * (41 * DAY + 1) + 3000, rel=1e-3
    )
    await world.advance(hours=5)
    await world.call("s3", "delete_object", Bucket="bucket", Key="stays")
    await world.call("s3", "delete_bucket", Bucket="bucket")
    assert await world.used("TimedStorage-ByteHrs") == pytest.approx(
        10_000 * (41 * DAY + 6) + 3000, rel=1e-6
    )


@told
async def test_a_crash_neither_loses_nor_doubles_what_was_stored(world: World) -> None:
    await world_with(world)
    await put(world, "a", 10_000)
    await world.advance(days=1)
    after = world.again()
    await after.start()
    try:
        await after.advance(days=1)
        assert await after.used("TimedStorage-ByteHrs") == pytest.approx(20_000 * DAY, rel=1e-6)
        assert await now_in(after) == Statistics({"StandardStorage": 10_000}, 1)
    finally:
        await after.close()


@told
async def test_small_objects_and_short_stays_cost_what_aws_says(world: World) -> None:
    await world_with(world)
    await put(world, "ia", 28 * 1024, StorageClass="STANDARD_IA")
    await put(world, "cold", 1000, StorageClass="GLACIER")
    assert await now_in(world) == Statistics(
        {
            "StandardIAStorage": 28 * 1024,
            "StandardIASizeOverhead": 100 * 1024,
            "GlacierStorage": 1000,
            "GlacierObjectOverhead": 32 * 1024,
            "GlacierS3ObjectOverhead": 8 * 1024,
        },
        2,
    )
    await world.call("s3", "get_object", Bucket="bucket", Key="ia")
    assert await world.used("Requests-SIA-Tier1") == 1
    assert await world.used("Requests-SIA-Tier2") == 1
    assert await world.used("Retrieval-SIA") == 28 * 1024
    await world.advance(days=10)
    assert await world.used("TimedStorage-SIA-ByteHrs") == pytest.approx(28 * 1024 * 10 * DAY)
    assert await world.used("TimedStorage-SIA-SmObjects") == pytest.approx(100 * 1024 * 10 * DAY)
    assert await world.used("TimedStorage-GlacierByteHrs") == pytest.approx(
        (1000 + 32 * 1024) * 10 * DAY
    )
    assert await world.used("TimedStorage-ByteHrs") == pytest.approx(8 * 1024 * 10 * DAY)
    for key in ("ia", "cold"):
        await world.call("s3", "delete_object", Bucket="bucket", Key=key)
    assert await world.used("EarlyDelete-SIA") == pytest.approx(128 * 1024 * 20 * DAY)
    assert await world.used("EarlyDelete-ByteHrs") == pytest.approx((1000 + 32 * 1024) * 80 * DAY)


@told
async def test_a_transition_changes_the_class_that_is_metered(world: World) -> None:
    await world_with(world)
    await put(world, "a", 200_000)
    rule = {
        "Status": "Enabled",
        "Filter": {},
        "Transitions": [{"Days": 30, "StorageClass": "STANDARD_IA"}],
    }
    await world.call(
        "s3", "put_bucket_lifecycle_configuration", Bucket="bucket",
        LifecycleConfiguration={"Rules": [rule]},
    )  # fmt: skip
    await world.advance(days=32)
    assert (await now_in(world)).size_bytes == {"StandardIAStorage": 200_000}
    before = await world.used("TimedStorage-ByteHrs")
    await world.advance(days=10)
    standard = await world.used("TimedStorage-ByteHrs")
    cold = await world.used("TimedStorage-SIA-ByteHrs")
    assert standard == pytest.approx(200_000 * 32 * DAY, rel=0.01)
    assert before <= standard
    assert cold == pytest.approx(200_000 * 10 * DAY, rel=0.01)
    # It was moved ten days ago, however old it is.
    await world.call("s3", "delete_object", Bucket="bucket", Key="a")
    assert await world.used("EarlyDelete-SIA") == pytest.approx(200_000 * 20 * DAY, rel=0.01)
    assert world.now > datetime(2030, 1, 1, tzinfo=UTC) + timedelta(days=41)


def test_boto3_puts_objects_that_are_counted_and_reads_their_class() -> None:
    with Cloud() as cloud:
        s3 = cloud.account().client("s3")
        s3.create_bucket(Bucket="box")
        s3.put_object(Bucket="box", Key="k", Body=b"x" * 1000, StorageClass="ONEZONE_IA")
        assert s3.head_object(Bucket="box", Key="k")["StorageClass"] == "ONEZONE_IA"
        s3.delete_object(Bucket="box", Key="k")
        s3.delete_bucket(Bucket="box")
