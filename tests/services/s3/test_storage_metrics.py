"""What CloudWatch hears of buckets each day."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from doppio.wire.http import Whole
from tests.services.world import START, World, told


@told
async def test_buckets_are_measured_each_midnight(world: World) -> None:
    await world.call("s3", "create_bucket", Bucket="menu")
    await world.call(
        "s3", "put_bucket_versioning", Bucket="menu", VersioningConfiguration={"Status": "Enabled"}
    )
    for key, body, kind in (("a", b"123", "STANDARD"), ("a", b"12", "STANDARD"),
                            ("b", b"1234", "STANDARD_IA")):  # fmt: skip
        await world.call(
            "s3", "put_object", Bucket="menu", Key=key, Body=Whole(body), StorageClass=kind
        )
    await world.call("s3", "delete_object", Bucket="menu", Key="b")
    await world.advance(days=1)
    assert await held(world) == {
        ("NumberOfObjects", "AllStorageTypes"): [4.0],
        ("BucketSizeBytes", "StandardStorage"): [5.0],
        ("BucketSizeBytes", "StandardIAStorage"): [4.0],
        ("BucketSizeBytes", "StandardIASizeOverhead"): [131_068.0],
    }
    await world.advance(days=1)
    assert (await held(world))[("NumberOfObjects", "AllStorageTypes")] == [4.0, 4.0]


async def held(world: World) -> dict[tuple[str, str], list[float]]:
    listed = await world.call("cloudwatch", "list_metrics", Namespace="AWS/S3")
    found: dict[tuple[str, str], list[float]] = {}
    for metric in listed["Metrics"]:
        bucket, kind = (one["Value"] for one in metric["Dimensions"])
        assert bucket == "menu"
        req: dict[str, Any] = {**metric, "Period": 86_400, "Statistics": ["Average"]}
        answer = await world.call(
            "cloudwatch", "get_metric_statistics", StartTime=START,
            EndTime=START + timedelta(days=5), **req,
        )  # fmt: skip
        found[(metric["MetricName"], kind)] = [one["Average"] for one in answer["Datapoints"]]
    return found
