"""Table buckets, namespaces and tables, from their making to their end."""

from __future__ import annotations

import json
from typing import Any

from tests.services.s3tables.helpers import BUCKET, METADATA, NAMED, lake, place, table
from tests.services.world import ACCOUNT, World, refusal, refused, told


async def content(world: World, location: str) -> dict[str, Any]:
    """The JSON at a location."""
    found = await world.call("s3", "get_object", **place(location))
    loaded: dict[str, Any] = json.loads(found["Body"])
    return loaded


@told
async def test_a_table_bucket_is_there_until_it_is_deleted(world: World) -> None:
    made = await world.call("s3tables", "create_table_bucket", name="lake")
    assert made == {"arn": BUCKET}
    shown = await world.call("s3tables", "get_table_bucket", tableBucketARN=BUCKET)
    assert shown["name"] == "lake"
    assert shown["ownerAccountId"] == ACCOUNT
    assert shown["type"] == "customer"
    assert (await world.call("s3tables", "list_table_buckets"))["tableBuckets"] == [shown]
    again = world.call("s3tables", "create_table_bucket", name="lake")
    assert await refusal(again) == (
        "ConflictException",
        "The bucket that you tried to create already exists, and you own it.",
    )
    await world.call("s3tables", "delete_table_bucket", tableBucketARN=BUCKET)
    gone = world.call("s3tables", "get_table_bucket", tableBucketARN=BUCKET)
    assert await refusal(gone) == ("NotFoundException", "The specified bucket does not exist.")


@told
async def test_only_what_is_empty_can_be_deleted(world: World) -> None:
    await lake(world)
    await table(world)
    code, text = await refusal(
        world.call("s3tables", "delete_namespace", tableBucketARN=BUCKET, namespace="ns")
    )
    assert (code, text) == (
        "ConflictException", "The namespace that you tried to delete is not empty.",
    )  # fmt: skip
    await world.call("s3tables", "delete_table", **NAMED)
    code, text = await refusal(world.call("s3tables", "delete_table_bucket", tableBucketARN=BUCKET))
    assert (code, text) == (
        "ConflictException", "The bucket that you tried to delete is not empty.",
    )  # fmt: skip
    await world.call("s3tables", "delete_namespace", tableBucketARN=BUCKET, namespace="ns")
    await world.call("s3tables", "delete_table_bucket", tableBucketARN=BUCKET)


@told
async def test_a_new_table_has_metadata_of_its_schema(world: World) -> None:
    await lake(world)
    shown = await table(world)
    warehouse = shown["warehouseLocation"]
    assert warehouse.endswith("--table-s3")
    metadata = await content(world, shown["metadataLocation"])
    assert metadata["location"] == warehouse
    assert metadata["format-version"] == 2
    assert metadata["schemas"][0]["fields"] == [
        {"id": 1, "name": "id", "type": "long", "required": True},
        {"id": 2, "name": "said", "type": "string", "required": False},
    ]
    assert metadata["last-updated-ms"] == int(world.now.timestamp() * 1000)
    where = await world.call("s3tables", "get_table_metadata_location", **NAMED)
    assert where["metadataLocation"] == shown["metadataLocation"]
    assert where["versionToken"] == shown["versionToken"]


@told
async def test_of_two_commits_on_one_version_one_wins(world: World) -> None:
    await lake(world)
    shown = await table(world)
    location = f"{shown['warehouseLocation']}/metadata/00001-a.metadata.json"
    early = world.call(
        "s3tables", "update_table_metadata_location",
        **NAMED, versionToken=shown["versionToken"], metadataLocation=location,
    )  # fmt: skip
    assert await refusal(early) == (
        "BadRequestException", "The specified metadata location does not exist.",
    )  # fmt: skip
    text = json.dumps(await content(world, shown["metadataLocation"])).encode()
    await world.call("s3", "put_object", **place(location), Body=text)
    moved = await world.call(
        "s3tables", "update_table_metadata_location",
        **NAMED, versionToken=shown["versionToken"], metadataLocation=location,
    )  # fmt: skip
    assert moved["metadataLocation"] == location
    late = world.call(
        "s3tables", "update_table_metadata_location",
        **NAMED, versionToken=shown["versionToken"], metadataLocation=location,
    )  # fmt: skip
    assert await refusal(late) == (
        "ConflictException",
        "Provided version token does not match the table version token.",
    )


@told
async def test_a_tables_files_can_be_read_and_written_and_nothing_else(world: World) -> None:
    await lake(world)
    shown = await table(world)
    here = place(shown["metadataLocation"])
    assert (await world.call("s3", "list_buckets"))["Buckets"] == []
    for method, more in (
        ("delete_object", here),
        ("list_objects_v2", {"Bucket": here["Bucket"]}),
        ("delete_bucket", {"Bucket": here["Bucket"]}),
        ("put_object_tagging", {**here, "Tagging": {"TagSet": []}}),
    ):
        error = await refused(world.call("s3", method, **more))
        assert (error.code, error.status) == ("MethodNotAllowed", 405), method
    await world.call("s3", "create_bucket", Bucket="other")
    source = f"{here['Bucket']}/{here['Key']}"
    copied = world.call("s3", "copy_object", Bucket="other", Key="k", CopySource=source)
    assert (await refused(copied)).code == "MethodNotAllowed"


@told
async def test_a_deleted_tables_files_are_cleared_away(world: World) -> None:
    await lake(world)
    shown = await table(world)
    here = place(shown["metadataLocation"])
    await world.call("s3tables", "delete_table", **NAMED)
    for _ in range(2):
        # At once, and when they are cleared away.
        gone = world.call("s3", "get_object", **here)
        assert (await refused(gone)).code == "NoSuchBucket"
        await world.settle()
    assert (await world.call("s3tables", "list_tables", tableBucketARN=BUCKET))["tables"] == []


@told
async def test_a_renamed_table_keeps_its_arn_and_its_files(world: World) -> None:
    await lake(world)
    shown = await table(world)
    await world.call("s3tables", "create_namespace", tableBucketARN=BUCKET, namespace=["two"])
    await world.call("s3tables", "rename_table", **NAMED, newName="u", newNamespaceName="two")
    moved = await world.call(
        "s3tables", "get_table", tableBucketARN=BUCKET, namespace="two", name="u"
    )
    assert moved["tableARN"] == shown["tableARN"]
    assert moved["metadataLocation"] == shown["metadataLocation"]
    assert await refusal(world.call("s3tables", "get_table", **NAMED)) == (
        "NotFoundException", "The specified table does not exist.",
    )  # fmt: skip
    assert await world.call("s3tables", "get_table", tableArn=shown["tableARN"]) == moved


@told
async def test_a_table_whose_metadata_is_refused_never_was(world: World) -> None:
    await lake(world)
    wrong = {"iceberg": {"schema": {"fields": [{"name": "a", "type": "nonsense"}]}}}
    code, _ = await refusal(
        world.call("s3tables", "create_table", **NAMED, format="ICEBERG", metadata=wrong)
    )
    assert code == "BadRequestException"
    await world.settle()
    await table(world, metadata=METADATA)


@told
async def test_lists_come_in_pages(world: World) -> None:
    await lake(world)
    for name in ("c", "a", "b"):
        await table(world, name, metadata=None)
    asked = {"tableBucketARN": BUCKET, "maxTables": 2}
    first = await world.call("s3tables", "list_tables", **asked)
    assert [one["name"] for one in first["tables"]] == ["a", "b"]
    token = first["continuationToken"]
    second = await world.call("s3tables", "list_tables", **asked, continuationToken=token)
    assert [one["name"] for one in second["tables"]] == ["c"]
    assert "continuationToken" not in second
    forged = world.call("s3tables", "list_tables", **asked, continuationToken="AAAA")
    assert (await refused(forged)).code == "BadRequestException"
