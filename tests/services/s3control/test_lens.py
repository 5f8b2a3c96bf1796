"""Storage Lens: every midnight it is counted what lies in an account's buckets, and told."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import hashlib
import io
import json
from typing import Any

from doppio.kernel.store import StoreClosed
from doppio.wire.errors import ServiceUnavailable
from tests.services.s3.test_inventories import crashing

from ..world import ACCOUNT, World, refusal, told
from .helpers import control, policy, s3, text

ARN = f"arn:aws:s3:us-east-1:{ACCOUNT}:storage-lens/all"
HOME = f"out/StorageLens/{ACCOUNT}/all/V_1"


def configuration(**more: Any) -> dict[str, Any]:
    destination = {
        "Format": "CSV", "OutputSchemaVersion": "V_1", "AccountId": ACCOUNT,
        "Arn": "arn:aws:s3:::lens", "Prefix": "out", **more.pop("destination", {}),
    }  # fmt: skip
    export = {"S3BucketDestination": destination, **more.pop("export", {})}
    level = {"BucketLevel": more.pop("bucket_level", {}), **more.pop("account_level", {})}
    return {"Id": "all", "AccountLevel": level, "IsEnabled": True, "DataExport": export, **more}


async def put(world: World, name: str = "all", tags: Any = None, **more: Any) -> None:
    req: dict[str, Any] = {} if tags is None else {"Tags": tags}
    await control(
        world, "put_storage_lens_configuration", ConfigId=name,
        StorageLensConfiguration={**configuration(**more), "Id": name}, **req,
    )  # fmt: skip


async def prepared(world: World) -> None:
    """Two buckets with things in them, and one that Storage Lens may write to."""
    for name in ("beans", "cups", "lens"):
        await s3(world, "create_bucket", Bucket=name)
    allow = {
        "Effect": "Allow", "Principal": {"Service": "storage-lens.s3.amazonaws.com"},
        "Action": "s3:PutObject", "Resource": "arn:aws:s3:::lens/*",
        "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT},
                      "ArnEquals": {"aws:SourceArn": ARN}},
    }  # fmt: skip
    await s3(world, "put_bucket_policy", Bucket="lens", Policy=policy(allow))
    await s3(
        world,
        "put_bucket_versioning",
        Bucket="beans",
        VersioningConfiguration={"Status": "Enabled"},
    )
    await s3(world, "put_object", Bucket="beans", Key="a", Body=b"12345")
    await s3(world, "put_object", Bucket="beans", Key="a", Body=b"123")
    await s3(world, "put_object", Bucket="beans", Key="b", Body=b"1", StorageClass="STANDARD_IA")
    await s3(world, "delete_object", Bucket="beans", Key="b")
    await s3(world, "put_object", Bucket="cups", Key="c", Body=b"1234567")
    upload = await s3(world, "create_multipart_upload", Bucket="cups", Key="d")
    await s3(
        world, "upload_part", Bucket="cups", Key="d", PartNumber=1, Body=b"part",
        UploadId=upload["UploadId"],
    )  # fmt: skip


async def rows(world: World, day: str, home: str = HOME) -> list[dict[str, str]]:
    """The rows of a day's export, as its manifest names them."""
    name = f"{home}/manifests/dt={day}/manifest.json"
    for _ in range(200):
        # A large file is written by a thread, for which no simulated time passes.
        listed = await s3(world, "list_objects_v2", Bucket="lens", Prefix=name)
        if listed["KeyCount"]:
            break
        await asyncio.sleep(0.01)
        await world.settle()
    found = json.loads(await text(world, "lens", name))
    lines: list[dict[str, str]] = []
    for file in found["reportFiles"]:
        body = await text(world, "lens", file["key"])
        assert (file["size"], file["md5Checksum"]) == (len(body), hashlib.md5(body).hexdigest())
        assert file["key"].startswith(f"{home}/reports/dt={day}/")
        read = csv.DictReader(io.StringIO(body.decode()))
        lines += list(read)
        assert ",".join(read.fieldnames or ()) == found["reportSchema"]
    return lines


def value(
    found: list[dict[str, str]], name: str, kind: str = "STANDARD", bucket: str = ""
) -> int | None:
    """A metric's value for a class, of a bucket or of the account."""
    [*rest] = [
        int(one["metric_value"])
        for one in found
        if (one["metric_name"], one["storage_class"], one["bucket_name"]) == (name, kind, bucket)
    ]
    assert len(rest) <= 1
    return rest[0] if rest else None


@told
async def test_what_lies_in_the_buckets_is_written_for_the_day_before(world: World) -> None:
    await prepared(world)
    await put(world, Include={"Buckets": ["arn:aws:s3:::beans", "arn:aws:s3:::cups"]})
    await world.advance(hours=23)
    assert (await s3(world, "list_objects_v2", Bucket="lens"))["KeyCount"] == 0
    await world.advance(hours=1)
    found = await rows(world, "2030-01-01")
    first = found[0]
    assert (first["version_number"], first["configuration_id"]) == ("V_1", "all")
    assert (first["report_date"], first["aws_account_number"]) == ("2030-01-01", ACCOUNT)
    assert first["aws_region"] == "us-east-1"
    assert {one["record_type"] for one in found} == {"ACCOUNT", "BUCKET"}
    beans = {
        "StorageBytes": 8, "ObjectCount": 3, "CurrentVersionStorageBytes": 3,
        "CurrentVersionObjectCount": 1, "NonCurrentVersionStorageBytes": 5,
        "NonCurrentVersionObjectCount": 1, "DeleteMarkerObjectCount": 1,
        "EncryptedStorageBytes": 8, "UnencryptedStorageBytes": 0,
    }  # fmt: skip
    assert {name: value(found, name, bucket="beans") for name in beans} == beans
    assert value(found, "NonCurrentVersionStorageBytes", "STANDARD_IA", "beans") == 1
    assert value(found, "StorageBytes", bucket="cups") == 11
    assert value(found, "IncompleteMultipartUploadStorageBytes", bucket="cups") == 4
    assert value(found, "IncompleteMPUStorageBytesOlderThan7Days", bucket="cups") == 0
    assert value(found, "StorageBytes") == 19
    assert value(found, "StorageBytes", bucket="lens") is None
    await world.advance(days=8)
    later = await rows(world, "2030-01-09")
    assert value(later, "IncompleteMPUStorageBytesOlderThan7Days", bucket="cups") == 4


@told
async def test_locks_and_replicas_are_counted(world: World) -> None:
    await prepared(world)
    await s3(world, "create_bucket", Bucket="vault", ObjectLockEnabledForBucket=True)
    await s3(
        world, "put_object", Bucket="vault", Key="k", Body=b"12", ObjectLockLegalHoldStatus="ON"
    )
    await s3(world, "put_object", Bucket="vault", Key="free", Body=b"1")
    await put(world, Exclude={"Buckets": ["arn:aws:s3:::lens"]})
    await world.advance(days=1)
    found = await rows(world, "2030-01-01")
    assert value(found, "ObjectLockEnabledStorageBytes", bucket="vault") == 2
    assert value(found, "ObjectLockEnabledObjectCount", bucket="vault") == 1
    assert value(found, "StorageBytes", bucket="beans") == 8
    assert value(found, "StorageBytes", bucket="lens") is None


@told
async def test_buckets_are_chosen_by_region_too(world: World) -> None:
    await prepared(world)
    await world.call(
        "s3", "create_bucket", Bucket="far", region="eu-west-1",
        CreateBucketConfiguration={"LocationConstraint": "eu-west-1"},
    )  # fmt: skip
    await world.call("s3", "put_object", Bucket="far", Key="k", Body=b"1", region="eu-west-1")
    await put(world, Include={"Regions": ["eu-west-1"]})
    await world.advance(days=1)
    found = await rows(world, "2030-01-01")
    assert {one["bucket_name"] for one in found} == {"far", ""}
    assert {one["aws_region"] for one in found} == {"eu-west-1"}


@told
async def test_an_export_that_the_destination_does_not_let_in_is_not_there(world: World) -> None:
    await prepared(world)
    await s3(world, "delete_bucket_policy", Bucket="lens")
    await put(world)
    await world.advance(days=1)
    assert (await s3(world, "list_objects_v2", Bucket="lens"))["KeyCount"] == 0


@told
async def test_one_that_is_off_or_gone_exports_nothing(world: World) -> None:
    await prepared(world)
    await put(world)
    await put(world, IsEnabled=False)
    await world.advance(days=2)
    assert (await s3(world, "list_objects_v2", Bucket="lens"))["KeyCount"] == 0
    await put(world)
    await control(world, "delete_storage_lens_configuration", ConfigId="all")
    await world.advance(days=2)
    assert (await s3(world, "list_objects_v2", Bucket="lens"))["KeyCount"] == 0
    await put(world)
    await world.advance(days=1)
    assert (await s3(world, "list_objects_v2", Bucket="lens"))["KeyCount"] == 2


@told
async def test_cloudwatch_is_told_where_that_is_wanted(world: World) -> None:
    await prepared(world)
    await put(world, export={"CloudWatchMetrics": {"IsEnabled": True}})
    await world.advance(days=1)
    listed = await world.call(
        "cloudwatch", "list_metrics", Namespace="AWS/S3/Storage-Lens", MetricName="StorageBytes",
        Dimensions=[{"Name": "record_type", "Value": "ACCOUNT"},
                    {"Name": "storage_class", "Value": "STANDARD"}],
    )  # fmt: skip
    [metric] = listed["Metrics"]
    names = {one["Name"]: one["Value"] for one in metric["Dimensions"]}
    assert names == {
        "configuration_id": "all", "metrics_version": "1.0", "aws_account_number": ACCOUNT,
        "aws_region": "us-east-1", "storage_class": "STANDARD", "record_type": "ACCOUNT",
    }  # fmt: skip
    answer = await world.call(
        "cloudwatch", "get_metric_statistics", StartTime=world.now.replace(year=2029),
        EndTime=world.now.replace(year=2031), Period=86_400, Statistics=["Sum"], **metric,
    )  # fmt: skip
    assert [one["Sum"] for one in answer["Datapoints"]] == [19.0]


@told
async def test_configurations_are_put_listed_and_forgotten(world: World) -> None:
    await put(world, "b")
    await put(world, "a", tags=[{"Key": "team", "Value": "beans"}], IsEnabled=False)
    found = (await control(world, "get_storage_lens_configuration", ConfigId="b"))[
        "StorageLensConfiguration"
    ]
    assert found["StorageLensArn"] == f"arn:aws:s3:us-east-1:{ACCOUNT}:storage-lens/b"
    assert found["DataExport"] == configuration()["DataExport"]
    listed = (await control(world, "list_storage_lens_configurations"))[
        "StorageLensConfigurationList"
    ]
    assert [(one["Id"], one["IsEnabled"], one["HomeRegion"]) for one in listed] == [
        ("a", False, "us-east-1"), ("b", True, "us-east-1"),
    ]  # fmt: skip
    tagging = "storage_lens_configuration_tagging"
    assert (await control(world, f"get_{tagging}", ConfigId="a"))["Tags"] == [
        {"Key": "team", "Value": "beans"}
    ]
    wanted = [{"Key": "x", "Value": "y"}]
    await control(world, f"put_{tagging}", ConfigId="a", Tags=wanted)
    assert (await control(world, f"get_{tagging}", ConfigId="a"))["Tags"] == wanted
    await control(world, f"delete_{tagging}", ConfigId="a")
    assert (await control(world, f"get_{tagging}", ConfigId="a"))["Tags"] == []
    await control(world, "delete_storage_lens_configuration", ConfigId="a")
    for method in ("get_storage_lens_configuration", f"get_{tagging}",
                   "delete_storage_lens_configuration"):  # fmt: skip
        assert await refusal(control(world, method, ConfigId="a")) == (
            "NoSuchConfiguration", "The specified configuration does not exist.",
        )  # fmt: skip


@told
async def test_a_region_has_fifty_configurations_at_most(world: World) -> None:
    for number in range(50):
        await put(world, f"c{number}")
    assert (await refusal(put(world, "more")))[0] == "TooManyConfigurations"
    await put(world, "c0")


@told
async def test_what_cannot_be_counted_here_is_refused(world: World) -> None:
    on: dict[str, Any] = {"IsEnabled": True}
    absent: list[dict[str, Any]] = [
        {"account_level": {"ActivityMetrics": on}},
        {"bucket_level": {"DetailedStatusCodesMetrics": on}},
        {"IntAccessTiers": on},
        {"AwsOrg": {"Arn": "arn:aws:organizations::000000000000:organization/o-abcdefghij"}},
    ]
    for more in absent:
        assert (await refusal(put(world, **more)))[0] == "NotImplemented", more
    for chosen, code in (
        ({"Delimiter": ""}, "InvalidRequest"),
        ({"MaxDepth": 0}, "ValidationException"),
        ({"MaxDepth": 11}, "ValidationException"),
        ({"MinStorageBytesPercentage": 0.05}, "ValidationException"),
        ({"MinStorageBytesPercentage": 100.5}, "ValidationException"),
    ):
        level = {"PrefixLevel": {"StorageMetrics": {**on, "SelectionCriteria": chosen}}}
        assert (await refusal(put(world, bucket_level=level)))[0] == code, chosen
    both = {"Include": {"Buckets": []}, "Exclude": {"Regions": []}}
    assert (await refusal(put(world, **both)))[0] == "InvalidRequest"
    wrong = control(
        world, "put_storage_lens_configuration", ConfigId="one",
        StorageLensConfiguration=configuration(),
    )  # fmt: skip
    assert (await refusal(wrong))[0] == "InvalidRequest"
    listed = await control(world, "list_storage_lens_configurations")
    assert listed["StorageLensConfigurationList"] == []


async def group(world: World, name: str, method: str = "create", **conditions: Any) -> str:
    """A group; its ARN."""
    req = {} if method == "create" else {"Name": name}
    await control(
        world, f"{method}_storage_lens_group", **req,
        StorageLensGroup={"Name": name, "Filter": conditions},
    )  # fmt: skip
    return f"arn:aws:s3:us-east-1:{ACCOUNT}:storage-lens-group/{name}"


def grouped(found: list[dict[str, str]], arn: str, name: str = "StorageBytes") -> dict[str, int]:
    """A metric of a group by bucket, of all classes; the account's under an empty name."""
    rows = [one for one in found if (one["record_value"], one["metric_name"]) == (arn, name)]
    kinds = {"": "STORAGE_LENS_GROUP_ACCOUNT"}
    sums: dict[str, int] = {}
    for one in rows:
        bucket = one["bucket_name"]
        assert one["record_type"] == kinds.get(bucket, "STORAGE_LENS_GROUP_BUCKET")
        sums[bucket] = sums.get(bucket, 0) + int(one["metric_value"])
    return sums


@told
async def test_groups_are_counted_by_what_objects_are_like(world: World) -> None:
    await prepared(world)
    await s3(world, "put_object", Bucket="cups", Key="logs/x.txt", Body=b"1", Tagging="a=b")
    await s3(world, "put_object", Bucket="cups", Key="logs/y", Body=b"12", Tagging="a=c&d=e")
    await s3(world, "put_object", Bucket="cups", Key="z.txt", Body=b"123456789")
    wanted = {
        "prefix": ({"MatchAnyPrefix": ["logs/", "q"]}, {"cups": 3, "": 3}),
        "suffix": ({"MatchAnySuffix": [".txt"]}, {"cups": 10, "": 10}),
        "tag": ({"MatchAnyTag": [{"Key": "d", "Value": "e"}, {"Key": "a", "Value": "x"}]},
                {"cups": 2, "": 2}),
        "size": ({"MatchObjectSize": {"BytesGreaterThan": 2, "BytesLessThan": 6}},
                 {"beans": 8, "": 8}),
        "both": ({"And": {"MatchAnyPrefix": ["logs/"], "MatchAnySuffix": [".txt"]}},
                 {"cups": 1, "": 1}),
        "either": ({"Or": {"MatchAnyPrefix": ["logs/"], "MatchAnySuffix": [".txt"]}},
                   {"cups": 12, "": 12}),
        "old": ({"MatchObjectAge": {"DaysGreaterThan": 1}}, {}),
    }  # fmt: skip
    arns = {name: await group(world, name, **given) for name, (given, _) in wanted.items()}
    await put(world, Exclude={"Buckets": ["arn:aws:s3:::lens"]},
              account_level={"StorageLensGroupLevel": {}})  # fmt: skip
    await world.advance(days=1)
    found = await rows(world, "2030-01-01")
    for name, (_, sums) in wanted.items():
        assert grouped(found, arns[name]) == sums, name
    assert value([one for one in found if not one["record_value"]], "StorageBytes") == 31
    await world.advance(days=1)
    old = grouped(await rows(world, "2030-01-02"), arns["old"], "ObjectCount")
    assert old == {"beans": 3, "cups": 4, "": 7}


@told
async def test_a_configuration_chooses_among_groups(world: World) -> None:
    await prepared(world)
    one = await group(world, "one", MatchAnyPrefix=["a"])
    two = await group(world, "two", MatchAnyPrefix=["a"])
    for criteria, told_of in (({"Include": [one]}, one), ({"Exclude": [one]}, two)):
        level = {"StorageLensGroupLevel": {"SelectionCriteria": criteria}}
        await put(world, account_level=level)
        await world.advance(days=1)
        day = (world.now - world.now.resolution).date().isoformat()
        found = await rows(world, day)
        assert {row["record_value"] for row in found} == {"", told_of}


@told
async def test_groups_are_made_changed_tagged_and_forgotten(world: World) -> None:
    arn = await group(world, "g", MatchAnyPrefix=["a"])
    again = group(world, "g", MatchAnyPrefix=["b"])
    assert (await refusal(again))[0] == "ResourceAlreadyExists"
    await group(world, "g", "update", MatchAnySuffix=[".x"])
    found = (await control(world, "get_storage_lens_group", Name="g"))["StorageLensGroup"]
    assert found == {
        "Name": "g", "Filter": {"MatchAnySuffix": [".x"]}, "StorageLensGroupArn": arn,
    }  # fmt: skip
    listed = (await control(world, "list_storage_lens_groups"))["StorageLensGroupList"]
    assert listed == [{"Name": "g", "StorageLensGroupArn": arn, "HomeRegion": "us-east-1"}]
    await control(world, "tag_resource", ResourceArn=arn, Tags=[{"Key": "a", "Value": "b"}])
    tags = await control(world, "list_tags_for_resource", ResourceArn=arn)
    assert tags["Tags"] == [{"Key": "a", "Value": "b"}]
    await control(world, "untag_resource", ResourceArn=arn, TagKeys=["a"])
    assert (await control(world, "list_tags_for_resource", ResourceArn=arn))["Tags"] == []
    for bad in ({}, {"MatchAnyPrefix": ["a"], "MatchAnySuffix": ["b"]},
                {"And": {"MatchAnyPrefix": ["a"]}}):  # fmt: skip
        assert (await refusal(group(world, "bad", **bad)))[0] == "InvalidRequest"
    await control(world, "delete_storage_lens_group", Name="g")
    for method in ("get", "delete"):
        gone = control(world, f"{method}_storage_lens_group", Name="g")
        assert (await refusal(gone))[0] == "NoSuchConfiguration"


def test_a_crash_at_any_commit_ends_in_the_same_export() -> None:
    async def story(crash_at: int) -> bool:
        world = World()
        await world.start()
        await prepared(world)
        await put(world, Exclude={"Buckets": ["arn:aws:s3:::lens"]})
        begun = world.memory.groups
        crashing(world.memory, crash_at)
        with contextlib.suppress(StoreClosed, ServiceUnavailable):
            await world.advance(days=1)
        crashed = world.memory.groups - begun >= crash_at
        again = world.again()
        await world.close()
        await again.start()
        try:
            await again.advance(seconds=1 if crash_at > 1 else 86_400)
            found = await rows(again, "2030-01-01")
            assert value(found, "StorageBytes") == 19
            listed = await s3(again, "list_objects_v2", Bucket="lens")
            assert listed["KeyCount"] == 2
            await again.advance(days=1)
            assert value(await rows(again, "2030-01-02"), "StorageBytes") == 19
        finally:
            await again.close()
        return crashed

    async def all_of_them() -> None:
        commits = 1
        while await story(commits):
            commits += 1
        assert commits > 4

    asyncio.run(all_of_them())
