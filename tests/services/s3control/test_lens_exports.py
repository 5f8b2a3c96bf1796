"""What Storage Lens exports beside sums: settings of buckets, rules, prefixes; and as Parquet."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json

from doppio.kernel.bodies import pieces

from ..world import World, told
from .helpers import s3, text
from .test_lens import HOME, prepared, put, rows, value


@told
async def test_buckets_are_counted_by_how_they_are_set(world: World) -> None:
    await prepared(world)
    made = (await world.call("kms", "create_key"))["KeyMetadata"]
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": made["Arn"]}
    await s3(
        world, "put_bucket_encryption", Bucket="cups",
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": default}]
        },
    )  # fmt: skip
    await s3(
        world, "put_bucket_accelerate_configuration", Bucket="cups",
        AccelerateConfiguration={"Status": "Enabled"},
    )  # fmt: skip
    rules = [
        {"ID": "a", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 9}},
        {"ID": "b", "Status": "Enabled", "Filter": {"Prefix": "x"},
         "Expiration": {"ExpiredObjectDeleteMarker": True},
         "NoncurrentVersionExpiration": {"NoncurrentDays": 3}},
        {"ID": "c", "Status": "Disabled", "Filter": {"Prefix": "y"}, "Expiration": {"Days": 9}},
    ]  # fmt: skip
    await s3(
        world, "put_bucket_lifecycle_configuration", Bucket="beans",
        LifecycleConfiguration={"Rules": rules},
    )  # fmt: skip
    await put(world)
    await world.advance(days=1)
    found = await rows(world, "2030-01-01")
    assert value(found, "VersioningEnabledBucketCount", "", "beans") == 1
    assert value(found, "VersioningEnabledBucketCount", "", "cups") == 0
    assert value(found, "VersioningEnabledBucketCount", "") == 1
    assert value(found, "SSEKMSEnabledBucketCount", "", "cups") == 1
    assert value(found, "TransferAccelerationEnabledBucketCount", "") == 1
    assert value(found, "EventNotificationEnabledBucketCount", "") == 0
    assert value(found, "ObjectOwnershipBucketOwnerEnforcedBucketCount", "") == 3
    assert value(found, "TotalLifecycleRuleCount", "", "beans") is None
    await put(world, account_level={"AdvancedCostOptimizationMetrics": {"IsEnabled": True}})
    await world.advance(days=1)
    found = await rows(world, "2030-01-02")
    counts = {
        "TotalLifecycleRuleCount": 2, "ExpirationLifecycleRuleCount": 1,
        "ExpiredObjectDeleteMarkerLifecycleRuleCount": 1, "TransitionLifecycleRuleCount": 0,
        "NoncurrentVersionExpirationLifecycleRuleCount": 1,
    }  # fmt: skip
    assert {name: value(found, name, "", "beans") for name in counts} == counts
    assert value(found, "TotalLifecycleRuleCount", "") == 2


@told
async def test_prefixes_are_told_of_that_hold_their_share(world: World) -> None:
    await prepared(world)
    sizes = {"a/b/1": 30, "a/b/2": 20, "a/c/1": 40, "a/c/d/1": 1, "z/1": 9, "top": 100}
    for key, size in sizes.items():
        await s3(world, "put_object", Bucket="lens", Key=key, Body=b"x" * size)
    chosen = {"Delimiter": "/", "MaxDepth": 2, "MinStorageBytesPercentage": 5.0}
    level = {"PrefixLevel": {"StorageMetrics": {"IsEnabled": True, "SelectionCriteria": chosen}}}
    await put(world, bucket_level=level, Include={"Buckets": ["arn:aws:s3:::lens"]})
    await world.advance(days=1)
    told = await rows(world, "2030-01-01")
    found = {
        one["record_value"]: int(one["metric_value"])
        for one in told
        if (one["record_type"], one["metric_name"]) == ("PREFIX", "StorageBytes")
    }
    assert found == {"a/": 91, "a/b/": 50, "a/c/": 41}
    assert {one["bucket_name"] for one in told if one["record_type"] == "PREFIX"} == {"lens"}
    assert value([one for one in told if one["record_type"] == "BUCKET"], "StorageBytes",
                 bucket="lens") == 200  # fmt: skip


@told
async def test_an_export_as_parquet_has_the_same_rows(world: World) -> None:
    from pyarrow import parquet

    await prepared(world)
    await put(world, destination={"Format": "Parquet"})
    await world.advance(days=1)
    name = f"{HOME}/manifests/dt=2030-01-01/manifest.json"
    for _ in range(500):
        if (await s3(world, "list_objects_v2", Bucket="lens", Prefix=name))["KeyCount"]:
            break
        await asyncio.sleep(0.01)
        await world.settle()
    told = json.loads(await text(world, "lens", name))
    assert told["reportFormat"] == "Parquet"
    assert told["reportSchema"].startswith(
        "message s3.storage.lens { required string version_number; required string configuration_id;"
    )
    [file] = told["reportFiles"]
    assert file["key"].endswith(".par")
    answer = await s3(world, "get_object", Bucket="lens", Key=file["key"])
    body = b"".join([part async for part in pieces(answer["Body"])])
    assert file["md5Checksum"] == hashlib.md5(body).hexdigest()
    found = parquet.read_table(io.BytesIO(body)).to_pylist()
    [beans] = [
        one["metric_value"]
        for one in found
        if (one["metric_name"], one["storage_class"], one["bucket_name"])
        == ("StorageBytes", "STANDARD", "beans")
    ]
    assert beans == 8
