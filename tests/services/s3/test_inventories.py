"""Inventories: reports that are really written, when they are due, by S3's own principal."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import csv
import gzip
import hashlib
import io
import json
from typing import Any

import pytest

from doppio.kernel.memory_store import MemoryStore
from doppio.kernel.store import StoreClosed
from doppio.services.s3 import census, inventories, inventory_files
from tests.services.world import ACCOUNT, World, refusal, told

HOME = "lists/source/all"
FIELDS = ["Size", "LastModifiedDate", "ETag", "StorageClass", "IsMultipartUploaded",
          "EncryptionStatus", "ObjectOwner", "ChecksumAlgorithm", "LifecycleExpirationDate"]  # fmt: skip


def crashing(store: MemoryStore, number: int) -> None:
    """Let the disk be lost at the commit of that number from here."""
    last = store.groups + number
    store._reaches_disk = lambda group: group < last


async def s3(world: World, method: str, /, **req: Any) -> Any:
    return await world.call("s3", method, **req)


async def put(world: World, key: str, body: bytes = b"x", bucket: str = "source") -> None:
    await s3(world, "put_object", Bucket=bucket, Key=key, Body=body)


async def body(world: World, key: str, bucket: str = "target") -> bytes:
    found = (await s3(world, "get_object", Bucket=bucket, Key=key))["Body"]
    if isinstance(found, bytes):
        return found
    if hasattr(found, "path"):
        raw: bytes = found.path.read_bytes()
        return raw[found.offset : found.offset + found.length]
    return b"".join([chunk async for chunk in found])


async def keys(world: World, bucket: str = "target") -> list[str]:
    found = await s3(world, "list_objects_v2", Bucket=bucket)
    return [one["Key"] for one in found["Contents"]]


def configuration(**more: Any) -> dict[str, Any]:
    destination = {"Bucket": "arn:aws:s3:::target", "Format": "CSV", "Prefix": "lists"}
    destination |= more.pop("destination", {})
    return {
        "Id": "all",
        "IsEnabled": True,
        "IncludedObjectVersions": "Current",
        "Schedule": {"Frequency": "Daily"},
        "Destination": {"S3BucketDestination": destination},
        **more,
    }


async def inventory(world: World, **more: Any) -> None:
    document = configuration(**more)
    await s3(
        world, "put_bucket_inventory_configuration", Bucket="source", Id=document["Id"],
        InventoryConfiguration=document,
    )  # fmt: skip


async def buckets(world: World, *, policy: bool = True, account: str = ACCOUNT) -> None:
    await s3(world, "create_bucket", Bucket="source")
    await s3(world, "create_bucket", Bucket="target")
    if policy:
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "s3.amazonaws.com"},
            "Action": "s3:PutObject",
            "Resource": "arn:aws:s3:::target/*",
            "Condition": {
                "ArnLike": {"aws:SourceArn": "arn:aws:s3:::source"},
                "StringEquals": {
                    "aws:SourceAccount": account,
                    "s3:x-amz-acl": "bucket-owner-full-control",
                },
            },
        }
        text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        await s3(world, "put_bucket_policy", Bucket="target", Policy=text)


async def manifest(world: World) -> dict[str, Any]:
    """The newest manifest; its checksum is right, and so are its files'."""
    name = [key for key in await keys(world) if key.endswith("/manifest.json")][-1]
    text = await body(world, name)
    checksum = (await body(world, name.replace(".json", ".checksum"))).decode().strip()
    assert checksum == hashlib.md5(text).hexdigest()
    told: dict[str, Any] = json.loads(text)
    return told


async def rows(world: World) -> list[list[str]]:
    found: list[list[str]] = []
    for one in (await manifest(world))["files"]:
        raw = await body(world, one["key"])
        assert (len(raw), hashlib.md5(raw).hexdigest()) == (one["size"], one["MD5checksum"])
        found += csv.reader(io.StringIO(gzip.decompress(raw).decode()))
    return found


@told
async def test_a_daily_report_lists_what_is_there_at_midnight(world: World) -> None:
    await buckets(world)
    await put(world, "a b/ü", b"12345")
    await put(world, "other")
    await inventory(world, Filter={"Prefix": "a"}, OptionalFields=FIELDS)
    await world.advance(hours=23)
    assert await keys(world) == []
    await world.advance(hours=1)
    told = await manifest(world)
    assert told["sourceBucket"] == "source"
    assert told["destinationBucket"] == "arn:aws:s3:::target"
    assert (told["version"], told["fileFormat"]) == ("2016-11-30", "CSV")
    assert told["creationTimestamp"] == "1893542400000"
    assert told["fileSchema"] == (
        "Bucket, Key, Size, LastModifiedDate, ETag, StorageClass, IsMultipartUploaded, "
        "EncryptionStatus, ChecksumAlgorithm, ObjectOwner, LifecycleExpirationDate"
    )
    [row] = await rows(world)
    assert row[:4] == ["source", "a+b/%C3%BC", "5", "2030-01-01T00:00:00.000Z"]
    assert row[4:9] == [hashlib.md5(b"12345").hexdigest(), "STANDARD", "false", "SSE-S3",
                        "CRC64NVME"]  # fmt: skip
    assert (len(row[9]), row[10]) == (64, "")
    assert [key for key in await keys(world) if "manifest" in key] == [
        f"{HOME}/2030-01-02T00-00Z/manifest.checksum",
        f"{HOME}/2030-01-02T00-00Z/manifest.json",
    ]
    links = (await body(world, f"{HOME}/hive/dt=2030-01-02-00-00/symlink.txt")).decode()
    assert links == f"s3://target/{told['files'][0]['key']}"
    await world.advance(days=1)
    assert f"{HOME}/2030-01-03T00-00Z/manifest.json" in await keys(world)


@told
async def test_all_versions_are_told_newest_first_with_their_markers(world: World) -> None:
    await buckets(world)
    on = {"Status": "Enabled"}
    await put(world, "before")
    await s3(world, "put_bucket_versioning", Bucket="source", VersioningConfiguration=on)
    for key in ("k", "k", "gone"):
        await put(world, key)
    await s3(world, "delete_object", Bucket="source", Key="gone")
    await inventory(world, IncludedObjectVersions="All", OptionalFields=["Size"])
    await world.advance(days=1)
    found = await rows(world)
    assert [(row[1], *row[3:]) for row in found] == [
        ("before", "true", "false", "1"),
        ("gone", "true", "true", ""),
        ("gone", "false", "false", "1"),
        ("k", "true", "false", "1"),
        ("k", "false", "false", "1"),
    ]
    assert found[0][2] == ""
    assert len(found[1][2]) == 32


@told
async def test_a_weekly_report_comes_on_sundays(world: World) -> None:
    await buckets(world)
    await inventory(world, Schedule={"Frequency": "Weekly"})
    # The first of January 2030 is a Tuesday.
    await world.advance(days=4)
    assert await keys(world) == []
    await world.advance(days=1)
    assert f"{HOME}/2030-01-06T00-00Z/manifest.json" in await keys(world)


@told
async def test_where_the_destination_does_not_let_s3_in_nothing_is_written(world: World) -> None:
    await buckets(world, policy=False)
    await put(world, "k")
    await inventory(world)
    await world.advance(days=1)
    assert await keys(world) == []
    await s3(world, "delete_bucket", Bucket="target")
    await buckets_again(world, "111111111111")
    await world.advance(days=1)
    assert await keys(world) == []
    await s3(world, "delete_bucket", Bucket="target")
    await buckets_again(world, ACCOUNT)
    await world.advance(days=1)
    assert await rows(world) == [["source", "k"]]


async def buckets_again(world: World, account: str) -> None:
    await s3(world, "delete_object", Bucket="source", Key="k")
    await s3(world, "delete_bucket", Bucket="source")
    await buckets(world, account=account)
    await put(world, "k")
    await inventory(world)


@told
async def test_a_report_is_encrypted_as_the_destination_says(world: World) -> None:
    await buckets(world)
    await put(world, "k")
    await inventory(world, destination={"Encryption": {"SSES3": {}}})
    await world.advance(days=1)
    for key in await keys(world):
        found = await s3(world, "head_object", Bucket="target", Key=key)
        assert found["ServerSideEncryption"] == "AES256"
    key_id = (await world.call("kms", "create_key"))["KeyMetadata"]["Arn"]
    await inventory(world, destination={"Encryption": {"SSEKMS": {"KeyId": key_id}}})
    before = await keys(world)
    await world.advance(days=1)
    # The key's policy does not let S3 in: no report.
    assert await keys(world) == before
    statement = {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"},
                 "Action": "kms:GenerateDataKey", "Resource": "*"}  # fmt: skip
    root = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
            "Action": "kms:*", "Resource": "*"}  # fmt: skip
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement, root]})
    await world.call("kms", "put_key_policy", KeyId=key_id, Policy=text)
    await world.advance(days=1)
    name = f"{HOME}/2030-01-04T00-00Z/manifest.json"
    found = await s3(world, "head_object", Bucket="target", Key=name)
    assert (found["ServerSideEncryption"], found["SSEKMSKeyId"]) == ("aws:kms", key_id)


@told
async def test_configurations_are_kept_listed_and_forgotten(world: World) -> None:
    await buckets(world)
    none = s3(world, "get_bucket_inventory_configuration", Bucket="source", Id="all")
    assert await refusal(none) == (
        "NoSuchConfiguration", "The specified configuration does not exist."
    )  # fmt: skip
    for number in range(101):
        await inventory(world, Id=f"c{number:03}", OptionalFields=["Size"])
    found = await s3(world, "get_bucket_inventory_configuration", Bucket="source", Id="c007")
    assert found["InventoryConfiguration"] == configuration(Id="c007", OptionalFields=["Size"])
    page = await s3(world, "list_bucket_inventory_configurations", Bucket="source")
    assert (len(page["InventoryConfigurationList"]), page["IsTruncated"]) == (100, True)
    rest = await s3(
        world, "list_bucket_inventory_configurations", Bucket="source",
        ContinuationToken=page["NextContinuationToken"],
    )  # fmt: skip
    assert [one["Id"] for one in rest["InventoryConfigurationList"]] == ["c100"]
    assert not rest["IsTruncated"]
    forged = s3(
        world, "list_bucket_inventory_configurations", Bucket="source", ContinuationToken="x"
    )
    assert (await refusal(forged))[0] == "InvalidArgument"
    for number in range(101):
        where = {"Bucket": "source", "Id": f"c{number:03}"}
        await s3(world, "delete_bucket_inventory_configuration", **where)
    await world.advance(days=1)
    assert await keys(world) == []
    gone = s3(world, "delete_bucket_inventory_configuration", Bucket="source", Id="c000")
    assert (await refusal(gone))[0] == "NoSuchConfiguration"


@told
async def test_configurations_that_cannot_be_are_refused(world: World) -> None:
    await buckets(world)

    async def says(**more: Any) -> str:
        return (await refusal(inventory(world, **more)))[0]

    assert await says(IncludedObjectVersions="Some") == "MalformedXML"
    assert await says(Schedule={"Frequency": "Hourly"}) == "MalformedXML"
    assert await says(destination={"Format": "TSV"}) == "MalformedXML"
    assert await says(destination={"Bucket": "target"}) == "InvalidS3DestinationBucket"
    assert await says(OptionalFields=["Colour"]) == "MalformedXML"
    assert await says(Id="a/b") == "InvalidConfigurationId"
    assert await says(Id="a" * 65) == "InvalidConfigurationId"
    await inventory(world, Id="a" * 64)


@told
async def test_one_that_is_off_makes_no_reports(world: World) -> None:
    await buckets(world)
    await inventory(world)
    await inventory(world, IsEnabled=False)
    await world.advance(days=2)
    assert await keys(world) == []


@pytest.mark.parametrize("name", ["Parquet", "ORC"])
def test_reports_with_types_hold_what_csv_holds(name: str) -> None:
    async def story() -> None:
        world = World()
        await world.start()
        try:
            await typed(world, name)
        finally:
            await world.close()

    asyncio.run(story())


async def typed(world: World, name: str) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    orc, parquet = pytest.importorskip("pyarrow.orc"), pytest.importorskip("pyarrow.parquet")
    await buckets(world)
    on = {"Status": "Enabled"}
    await s3(world, "put_bucket_versioning", Bucket="source", VersioningConfiguration=on)
    await put(world, "a b/ü", b"12345")
    await put(world, "gone")
    await s3(world, "delete_object", Bucket="source", Key="gone")
    await inventory(
        world, IncludedObjectVersions="All", destination={"Format": name},
        OptionalFields=["Size", "LastModifiedDate", "ETag", "IsMultipartUploaded"],
    )  # fmt: skip
    await world.advance(days=1)
    told = await manifest(world)
    assert told["fileFormat"] == name
    if name == "ORC":
        assert told["fileSchema"] == (
            "struct<bucket:string,key:string,version_id:string,is_latest:boolean,"
            "is_delete_marker:boolean,size:bigint,last_modified_date:timestamp,e_tag:string,"
            "is_multipart_uploaded:boolean>"
        )
    else:
        assert told["fileSchema"] == (
            "message s3.inventory { required binary bucket (UTF8);  required binary key (UTF8);  "
            "optional binary version_id (UTF8);  optional boolean is_latest;  "
            "optional boolean is_delete_marker;  optional int64 size;  "
            "optional int64 last_modified_date (TIMESTAMP_MILLIS);  optional binary e_tag (UTF8);  "
            "optional boolean is_multipart_uploaded;}"
        )
    [file] = told["files"]
    assert file["key"].endswith(f".{name.lower()}")
    read = orc.read_table if name == "ORC" else parquet.read_table
    rows = read(pyarrow.BufferReader(await body(world, file["key"]))).to_pylist()
    assert [(one["key"], one["size"], one["is_delete_marker"]) for one in rows] == [
        ("a b/ü", 5, False), ("gone", None, True), ("gone", 1, False),
    ]  # fmt: skip
    assert rows[0]["last_modified_date"].isoformat()[:19] == "2030-01-01T00:00:00"
    assert rows[0]["e_tag"] == hashlib.md5(b"12345").hexdigest()
    assert rows[0]["is_latest"] is True
    assert rows[1]["e_tag"] is None


@told
async def test_a_destination_of_another_account_than_was_said_gets_nothing(world: World) -> None:
    await buckets(world)
    await put(world, "k")
    await inventory(world, destination={"AccountId": "222222222222"})
    await world.advance(days=1)
    assert await keys(world) == []
    await inventory(world, destination={"AccountId": ACCOUNT})
    await world.advance(days=1)
    assert await rows(world) == [["source", "k"]]


@told
async def test_a_typed_report_of_nothing_has_columns(world: World) -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    orc = pytest.importorskip("pyarrow.orc")
    await buckets(world)
    for name, read in (("Parquet", parquet.read_table), ("ORC", orc.read_table)):
        await inventory(world, destination={"Format": name}, OptionalFields=["Size"])
        await world.advance(days=1)
        [file] = (await manifest(world))["files"]
        table = read(pyarrow.BufferReader(await body(world, file["key"])))
        assert table.column_names == ["bucket", "key", "size"]
        assert table.num_rows == 0


@told
async def test_lists_of_access_and_owners_are_told(world: World) -> None:
    await buckets(world)
    rule = {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    await s3(world, "put_bucket_ownership_controls", Bucket="source", OwnershipControls=rule)
    await s3(world, "delete_public_access_block", Bucket="source")
    await s3(world, "put_object", Bucket="source", Key="open", Body=b"x", ACL="public-read")
    await put(world, "plain")
    await inventory(world, OptionalFields=["ObjectAccessControlList", "ObjectOwner"])
    await world.advance(days=1)
    (_, _, shown, owner), (_, _, plain, _) = await rows(world)
    told = json.loads(base64.b64decode(shown))
    assert told == {
        "version": "2022-11-10",
        "status": "AVAILABLE",
        "grants": [
            {"canonicalId": owner, "type": "CanonicalUser", "permission": "FULL_CONTROL"},
            {
                "uri": "http://acs.amazonaws.com/groups/global/AllUsers",
                "type": "Group",
                "permission": "READ",
            },
        ],
    }
    assert len(json.loads(base64.b64decode(plain))["grants"]) == 1


@told
async def test_a_format_whose_writer_is_not_installed_is_refused(world: World) -> None:
    await buckets(world)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inventory_files.importlib.util, "find_spec", lambda name: None)
        code, text = await refusal(inventory(world, destination={"Format": "ORC"}))
        await inventory(world)
    assert code == "NotImplemented"
    assert "doppio-cloud[inventory]" in text


@pytest.mark.parametrize("crash_at", range(1, 9))
def test_a_crash_at_any_commit_ends_in_the_same_report(
    crash_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(census, "CENSUS_KEYS_A_STEP", 2)
    monkeypatch.setattr(inventories, "REPORT_FILE_BYTES", 1)

    async def story() -> None:
        world = World()
        await world.start()
        await buckets(world)
        for number in range(5):
            await put(world, f"k{number}")
        await inventory(world)
        crashing(world.memory, crash_at)
        with contextlib.suppress(StoreClosed):
            await world.advance(days=1)
        again = world.again()
        await world.close()
        await again.start()
        try:
            await again.advance(days=1)
            assert [row[1] for row in await rows(again)] == [f"k{number}" for number in range(5)]
            named = [key for key in await keys(again) if "/data/" in key]
            assert len(named) % 3 == 0, "a file that no manifest names"
        finally:
            await again.close()

    asyncio.run(story())
