"""Copies of objects and of ranges of them."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta
from typing import Any

import pytest

from .test_multipart import FIVE, begin, complete, part, three
from .world import World, refused, told


async def copy(world: World, source: str, key: str, bucket: str = "bucket", **req: Any) -> Any:
    return await world.s3("copy_object", Bucket=bucket, Key=key, CopySource=source, **req)


@pytest.mark.parametrize("size", [0, 100, 5000, 100_000])
def test_a_copy_outlives_its_source(size: int) -> None:
    body = b"q" * size

    @told
    async def story(world: World) -> None:
        await world.bucket()
        await world.bucket("other")
        put = await world.put("a key+", body, Metadata={"a": "b"}, Tagging="t=1")
        before = world.files()
        done = await copy(world, "/bucket/a%20key%2B", "copy", "other")
        assert done["CopyObjectResult"]["ETag"] == put["ETag"]
        assert world.files() == before
        await world.s3("delete_object", Bucket="bucket", Key="a key+")
        await world.advance(timedelta(minutes=6))
        assert await world.get("copy", "other") == body
        head = await world.s3("head_object", Bucket="other", Key="copy")
        assert head["Metadata"] == {"a": "b"}
        assert head["TagCount"] == 1
        await world.s3("delete_object", Bucket="other", Key="copy")
        await world.advance(timedelta(minutes=6))
        assert world.files() == set()

    story()


@told
async def test_directives_say_what_a_copy_is_stored_with(world: World) -> None:
    await world.bucket()
    await world.put("key", b"x", Metadata={"a": "b"}, Tagging="t=1", ContentType="text/a")
    await copy(
        world, "bucket/key", "new", MetadataDirective="REPLACE", Metadata={"c": "d"},
        ContentType="text/b", TaggingDirective="REPLACE", Tagging="u=2", StorageClass="STANDARD_IA",
    )  # fmt: skip
    head = await world.s3("head_object", Bucket="bucket", Key="new")
    assert (head["Metadata"], head["ContentType"]) == ({"c": "d"}, "text/b")
    assert head["StorageClass"] == "STANDARD_IA"
    tags = await world.s3("get_object_tagging", Bucket="bucket", Key="new")
    assert tags["TagSet"] == [{"Key": "u", "Value": "2"}]
    await copy(world, "bucket/key", "plain", TaggingDirective="REPLACE")
    tags = await world.s3("get_object_tagging", Bucket="bucket", Key="plain")
    assert tags["TagSet"] == []
    error = await refused(copy(world, "bucket/key", "new", MetadataDirective="MERGE"))
    assert error.code == "InvalidArgument"


@told
async def test_copying_onto_itself_must_change_something(world: World) -> None:
    await world.bucket()
    await world.put("key", b"y" * 80_000, Metadata={"a": "b"})
    error = await refused(copy(world, "bucket/key", "key"))
    assert error.code == "InvalidRequest"
    await copy(world, "bucket/key", "key", MetadataDirective="REPLACE", Metadata={"c": "d"})
    head = await world.s3("head_object", Bucket="bucket", Key="key")
    assert head["Metadata"] == {"c": "d"}
    await world.advance(timedelta(minutes=6))
    assert await world.get("key") == b"y" * 80_000


@told
async def test_copies_hold_to_conditions_on_both_sides(world: World) -> None:
    await world.bucket()
    etag = (await world.put("key", b"x"))["ETag"]
    error = await refused(copy(world, "bucket/key", "new", CopySourceIfMatch='"0"'))
    assert (error.code, error.status) == ("PreconditionFailed", 412)
    assert error.fields == {"Condition": "x-amz-copy-source-If-Match"}
    error = await refused(copy(world, "bucket/key", "new", CopySourceIfNoneMatch=etag))
    assert error.status == 412
    await copy(world, "bucket/key", "new", CopySourceIfMatch=etag, IfNoneMatch="*")
    assert (await refused(copy(world, "bucket/key", "new", IfNoneMatch="*"))).status == 412
    assert (await refused(copy(world, "bucket/none", "new"))).code == "NoSuchKey"
    assert (await refused(copy(world, "nothing", "new"))).code == "InvalidArgument"


@told
async def test_an_old_version_can_be_copied(world: World) -> None:
    await world.bucket(versioning="Enabled")
    first = (await world.put("key", b"first" * 1000))["VersionId"]
    await world.put("key", b"second")
    done = await copy(world, f"bucket/key?versionId={first}", "key")
    assert done["CopySourceVersionId"] == first
    assert await world.get("key") == b"first" * 1000
    marker = (await world.s3("delete_object", Bucket="bucket", Key="key"))["VersionId"]
    error = await refused(copy(world, f"bucket/key?versionId={marker}", "new"))
    assert error.code == "InvalidRequest"


@told
async def test_a_copy_of_an_object_of_parts_is_whole(world: World) -> None:
    await world.bucket()
    upload = await begin(world)
    parts, body = await three(world, upload)
    await complete(world, upload, parts)
    before = world.files()
    done = await copy(world, "bucket/key", "copy", ChecksumAlgorithm="SHA256")
    assert done["CopyObjectResult"]["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    sha = base64.b64encode(hashlib.sha256(body).digest()).decode()
    assert done["CopyObjectResult"]["ChecksumSHA256"] == sha
    assert world.files() == before
    await world.s3("delete_object", Bucket="bucket", Key="key")
    await world.advance(timedelta(minutes=6))
    assert await world.get("copy", Range=f"bytes={FIVE - 1}-{FIVE}") == b"ab"
    assert (await refused(world.get("copy", PartNumber=2))).code == "InvalidPartNumber"


@told
async def test_ranges_of_objects_become_parts(world: World) -> None:
    await world.bucket()
    body = b"0123456789" * 60_000
    await world.put("source", body)
    await world.put("small", b"tail")
    upload = await begin(world)

    async def part_copy(number: int, source: str, **req: Any) -> Any:
        result = await world.s3(
            "upload_part_copy",
            Bucket="bucket",
            Key="key",
            UploadId=upload,
            PartNumber=number,
            CopySource=source,
            **req,
        )
        return result["CopyPartResult"]

    middle = await part_copy(1, "bucket/source", CopySourceRange="bytes=5-14")
    assert middle["ETag"] == f'"{hashlib.md5(b"5678901234").hexdigest()}"'
    for wrong in ("bytes=0-600000", "bytes=-5", "bytes=5-", "5-10"):
        error = await refused(part_copy(1, "bucket/source", CopySourceRange=wrong))
        assert error.code == "InvalidArgument", wrong
    await part_copy(1, "bucket/small")
    whole = await part_copy(2, "bucket/source")
    await complete(world, upload, [(2, whole["ETag"])])
    assert await world.get("key") == body
    await part(world, await begin(world), 1, b"x")


@told
async def test_sources_of_other_owners_must_be_expected(world: World) -> None:
    await world.bucket()
    await world.put("key", b"x")
    error = await refused(
        copy(world, "bucket/key", "new", ExpectedSourceBucketOwner="999999999999")
    )
    assert error.code == "AccessDenied"
