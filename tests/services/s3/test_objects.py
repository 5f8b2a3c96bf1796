"""Objects: put, get, head, delete, and what makes them refuse."""

from __future__ import annotations

import base64
import hashlib
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from doppio.wire.errors import AwsError
from doppio.wire.http import FileRange

from .world import OTHER, Chunks, World, content, refused, told

SIZES = [0, 1, 4096, 4097, 64 * 1024, 64 * 1024 + 1, 3 * 1024 * 1024 + 17]


def crc32(body: bytes) -> str:
    return base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()


@pytest.mark.parametrize("size", SIZES)
def test_what_was_put_is_what_one_gets(size: int) -> None:
    body = bytes(range(251)) * (size // 251 + 1)
    body = body[:size]

    @told
    async def story(world: World) -> None:
        await world.bucket()
        put = await world.put("a key/ä\0", body)
        assert put["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
        got = await world.s3("get_object", Bucket="bucket", Key="a key/ä\0")
        assert got["ContentLength"] == size
        assert got["ETag"] == put["ETag"]
        assert await content(got["Body"]) == body
        head = await world.s3("head_object", Bucket="bucket", Key="a key/ä\0")
        assert "Body" not in head
        assert {**got, "Body": None} == {**head, "Body": None}

    story()


@pytest.mark.parametrize("size", SIZES[1:])
def test_ranges_select_bytes_wherever_they_lie(size: int) -> None:
    body = bytes(index * 7 % 256 for index in range(min(size, 70_000))) * (size // 70_000 + 1)
    body = body[:size]

    @told
    async def story(world: World) -> None:
        await world.bucket()
        await world.put("key", body)
        for asked, first, last in [
            ("bytes=0-0", 0, 0),
            (f"bytes={size - 1}-", size - 1, size - 1),
            ("bytes=-1", size - 1, size - 1),
            (f"bytes=-{size + 5}", 0, size - 1),
            (f"bytes={size // 2}-{size + 100}", size // 2, size - 1),
        ]:
            got = await world.s3("get_object", Bucket="bucket", Key="key", Range=asked)
            assert got["ContentRange"] == f"bytes {first}-{last}/{size}"
            assert got["ContentLength"] == last - first + 1
            assert await content(got["Body"]) == body[first : last + 1]
        error = await refused(
            world.s3("get_object", Bucket="bucket", Key="key", Range=f"bytes={size}-")
        )
        assert (error.code, error.status) == ("InvalidRange", 416)
        assert error.fields == {
            "RangeRequested": f"bytes={size}-",
            "ActualObjectSize": str(size),
        }
        whole = await world.s3("get_object", Bucket="bucket", Key="key", Range="bytes=0-0,2-3")
        assert "ContentRange" not in whole
        assert whole["ContentLength"] == size

    story()


@told
async def test_headers_metadata_and_class_come_back(world: World) -> None:
    await world.bucket()
    expires = datetime(2030, 1, 2, tzinfo=UTC)
    await world.put(
        "key",
        b"coffee",
        ContentType="text/plain",
        CacheControl="no-store",
        ContentDisposition="inline",
        ContentEncoding="gzip",
        ContentLanguage="it",
        Expires=expires,
        WebsiteRedirectLocation="/elsewhere",
        Metadata={"Roast": "dark"},
        StorageClass="STANDARD_IA",
        Tagging="bean=arabica&origin=",
    )
    head = await world.s3("head_object", Bucket="bucket", Key="key")
    assert head["ContentType"] == "text/plain"
    assert head["CacheControl"] == "no-store"
    assert head["ContentDisposition"] == "inline"
    assert head["ContentEncoding"] == "gzip"
    assert head["ContentLanguage"] == "it"
    assert head["Expires"] == expires
    assert head["WebsiteRedirectLocation"] == "/elsewhere"
    assert head["Metadata"] == {"roast": "dark"}
    assert head["StorageClass"] == "STANDARD_IA"
    assert head["TagCount"] == 2
    assert head["ServerSideEncryption"] == "AES256"
    assert head["LastModified"].microsecond == 0
    plain = await world.put("plain", b"")
    assert "VersionId" not in plain
    head = await world.s3("head_object", Bucket="bucket", Key="plain")
    assert head["ContentType"] == "binary/octet-stream"
    assert "StorageClass" not in head
    got = await world.s3(
        "get_object", Bucket="bucket", Key="key", ResponseContentType="text/x", ResponseExpires=None
    )
    assert got["ContentType"] == "text/x"


@told
async def test_a_missing_bucket_and_a_missing_key_have_their_own_errors(world: World) -> None:
    error = await refused(world.put("key"))
    assert (error.code, error.status) == ("NoSuchBucket", 404)
    assert error.fields == {"BucketName": "bucket"}
    await world.bucket()
    error = await refused(world.get("key"))
    assert (error.code, error.status, error.fields) == ("NoSuchKey", 404, {"Key": "key"})
    error = await refused(world.s3("head_object", Bucket="bucket", Key="key"))
    assert error.status == 404


@told
async def test_reads_hold_to_their_preconditions(world: World) -> None:
    await world.bucket()
    etag = (await world.put("key", b"x"))["ETag"]
    modified = (await world.s3("head_object", Bucket="bucket", Key="key"))["LastModified"]
    hour = timedelta(hours=1)

    async def status(**conditions: Any) -> int:
        try:
            await world.s3("get_object", Bucket="bucket", Key="key", **conditions)
        except AwsError as error:
            return error.status
        return 200

    assert await status(IfMatch=etag) == 200
    assert await status(IfMatch='"other"') == 412
    assert await status(IfMatch='"other", ' + etag) == 200
    assert await status(IfNoneMatch=etag) == 304
    assert await status(IfNoneMatch="*") == 304
    assert await status(IfNoneMatch='"other"') == 200
    assert await status(IfModifiedSince=modified) == 304
    assert await status(IfModifiedSince=modified - hour) == 200
    assert await status(IfUnmodifiedSince=modified) == 200
    assert await status(IfUnmodifiedSince=modified - hour) == 412
    assert await status(IfMatch=etag, IfUnmodifiedSince=modified - hour) == 200
    assert await status(IfNoneMatch='"other"', IfModifiedSince=modified + hour) == 200
    error = await refused(world.s3("get_object", Bucket="bucket", Key="key", IfNoneMatch=etag))
    assert error.headers["etag"] == etag  # type: ignore[attr-defined]


@told
async def test_conditional_writes_let_one_writer_win(world: World) -> None:
    await world.bucket()
    await world.put("key", b"first", IfNoneMatch="*")
    error = await refused(world.put("key", b"second", IfNoneMatch="*"))
    assert (error.code, error.status) == ("PreconditionFailed", 412)
    assert error.fields == {"Condition": "If-None-Match"}
    etag = (await world.put("key", b"second", IfMatch=f'"{hashlib.md5(b"first").hexdigest()}"'))[
        "ETag"
    ]
    assert (await refused(world.put("key", b"third", IfMatch='"0"'))).status == 412
    assert (await refused(world.put("none", b"third", IfMatch=etag))).code == "NoSuchKey"
    assert await world.get("key") == b"second"
    error = await refused(world.s3("delete_object", Bucket="bucket", Key="key", IfMatch='"0"'))
    assert error.status == 412
    await world.s3("delete_object", Bucket="bucket", Key="key", IfMatch=etag)
    assert (await refused(world.get("key"))).code == "NoSuchKey"


@told
async def test_a_refused_write_leaves_no_file_behind(world: World) -> None:
    await world.bucket()
    await world.put("key", b"small")
    error = await refused(world.put("key", b"x" * 100_000, IfNoneMatch="*"))
    assert error.status == 412
    assert world.files() == set()
    error = await refused(
        world.s3("put_object", Bucket="none-such", Key="key", Body=Chunks([b"x" * 100_000]))
    )
    assert error.code == "NoSuchBucket"
    assert world.files() == set()


@told
async def test_checksums_are_checked_kept_and_shown_on_request(world: World) -> None:
    await world.bucket()
    body = b"espresso" * 1000
    for given in (body, Chunks([body[:5000], body[5000:]])):
        put = await world.s3(
            "put_object", Bucket="bucket", Key="key", Body=given, ChecksumCRC32=crc32(body)
        )
        assert put["ChecksumCRC32"] == crc32(body)
        assert put["ChecksumType"] == "FULL_OBJECT"
    sha = base64.b64encode(hashlib.sha256(body).digest()).decode()
    await world.put("sha", body, ChecksumAlgorithm="SHA256")
    head = await world.s3("head_object", Bucket="bucket", Key="sha", ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"] == sha
    assert "ChecksumSHA256" not in await world.s3("head_object", Bucket="bucket", Key="sha")
    part = await world.s3(
        "get_object", Bucket="bucket", Key="sha", ChecksumMode="ENABLED", Range="bytes=0-1"
    )
    assert "ChecksumSHA256" not in part
    default = await world.put("default", b"123456789")
    # The check value of CRC-64/NVME in the catalogue of CRC algorithms.
    assert (
        default["ChecksumCRC64NVME"] == base64.b64encode(bytes.fromhex("ae8b14860a799888")).decode()
    )


@told
async def test_a_wrong_digest_keeps_nothing(world: World) -> None:
    await world.bucket()
    wrong = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    for body in (b"x", b"x" * 100_000):
        error = await refused(world.put("key", body, ContentMD5=wrong))
        assert error.code == "BadDigest"
        error = await refused(world.put("key", body, ChecksumCRC32=crc32(b"other")))
        assert error.code == "BadDigest"
        assert error.message == ("The CRC32 you specified did not match the calculated checksum.")
        late = Chunks([body], trailers={"x-amz-checksum-crc32": crc32(b"other")})
        error = await refused(world.s3("put_object", Bucket="bucket", Key="key", Body=late))
        assert error.code == "BadDigest"
    right = Chunks([b"x" * 100_000], trailers={"x-amz-checksum-crc32": crc32(b"x" * 100_000)})
    put = await world.s3("put_object", Bucket="bucket", Key="late", Body=right)
    assert put["ChecksumCRC32"] == crc32(b"x" * 100_000)
    assert (await refused(world.put("key", b"", ContentMD5="nonsense"))).code == "InvalidDigest"
    error = await refused(world.put("key", b"", ChecksumCRC32="nonsense"))
    assert error.message == "Value for x-amz-checksum-crc32 header is invalid."
    error = await refused(world.put("key", b"", ChecksumCRC32=crc32(b""), ChecksumSHA1="x"))
    assert error.code == "InvalidRequest"
    assert (await refused(world.get("key"))).code == "NoSuchKey"
    assert len(world.files()) == 1


@told
async def test_bodies_must_be_as_long_as_they_say_and_say_it(world: World) -> None:
    await world.bucket()
    short = Chunks([b"x" * 70_000], length=90_000)
    error = await refused(world.s3("put_object", Bucket="bucket", Key="key", Body=short))
    assert error.code == "IncompleteBody"
    unknown = Chunks([b"x"], length=None)
    error = await refused(world.s3("put_object", Bucket="bucket", Key="key", Body=unknown))
    assert (error.code, error.status) == ("MissingContentLength", 411)
    huge = Chunks([], length=5 * 1024**3 + 1)
    error = await refused(world.s3("put_object", Bucket="bucket", Key="key", Body=huge))
    assert error.code == "EntityTooLarge"
    assert world.files() == set()


@told
async def test_limits_of_keys_metadata_tags_and_classes(world: World) -> None:
    await world.bucket()
    await world.put("ü" * 512)
    error = await refused(world.put("ü" * 513))
    assert error.code == "KeyTooLongError"
    await world.put("key", Metadata={"k": "v" * 2047})
    error = await refused(world.put("key", Metadata={"k": "v" * 2048}))
    assert error.code == "MetadataTooLarge"
    assert (await refused(world.put("key", StorageClass="SNOW"))).code == "InvalidStorageClass"
    many = "&".join(f"t{number}=v" for number in range(11))
    assert (await refused(world.put("key", Tagging=many))).code == "InvalidTag"
    assert (await refused(world.put("key", Tagging="a=1&a=2"))).code == "InvalidArgument"
    assert (await refused(world.put("key", ACL="public-read"))).code == (
        "AccessControlListNotSupported"
    )
    await world.put("key", ACL="bucket-owner-full-control", ServerSideEncryption="AES256")
    error = await refused(world.put("key", ObjectLockLegalHoldStatus="ON"))
    assert error.message == "Bucket is missing Object Lock Configuration"
    error = await refused(world.put("key", ServerSideEncryption="aws:kms"))
    assert (error.code, error.status) == ("NotImplemented", 501)


@told
async def test_large_files_are_sent_from_disk_and_replaced_ones_removed_later(
    world: World,
) -> None:
    await world.bucket()
    await world.put("key", b"a" * 100_000)
    got = await world.s3("get_object", Bucket="bucket", Key="key", Range="bytes=10-19")
    assert isinstance(got["Body"], FileRange)
    await world.put("key", b"b")
    await world.settle()
    assert await content(got["Body"]) == b"a" * 10
    await world.advance(timedelta(minutes=6))
    assert world.files() == set()


@told
async def test_deleting_is_twice_safe(world: World) -> None:
    await world.bucket()
    await world.put("key", b"x" * 5000)
    assert await world.s3("delete_object", Bucket="bucket", Key="key") == {}
    assert await world.s3("delete_object", Bucket="bucket", Key="key") == {}
    assert (await refused(world.get("key"))).code == "NoSuchKey"


@told
async def test_many_keys_go_at_once_and_failures_are_told_apart(world: World) -> None:
    await world.bucket()
    for key in ("a", "b", "c"):
        await world.put(key, b"x")
    result = await world.s3(
        "delete_objects",
        Bucket="bucket",
        Delete={"Objects": [{"Key": "a"}, {"Key": "none"}, {"Key": "b", "ETag": '"0"'}]},
    )
    assert result["Deleted"] == [{"Key": "a"}, {"Key": "none"}]
    (failed,) = result["Errors"]
    assert (failed["Key"], failed["Code"]) == ("b", "PreconditionFailed")
    quiet = await world.s3(
        "delete_objects", Bucket="bucket", Delete={"Objects": [{"Key": "b"}], "Quiet": True}
    )
    assert quiet == {}
    listed = await world.s3("list_objects_v2", Bucket="bucket")
    assert [entry["Key"] for entry in listed["Contents"]] == ["c"]
    for count in (0, 1001):
        error = await refused(
            world.s3(
                "delete_objects",
                Bucket="bucket",
                Delete={"Objects": [{"Key": str(number)} for number in range(count)]},
            )
        )
        assert error.code == "MalformedXML"


@told
async def test_the_wrong_owner_and_the_wrong_region_are_told(world: World) -> None:
    await world.bucket()
    error = await refused(world.put("key", ExpectedBucketOwner=OTHER))
    assert (error.code, error.status) == ("AccessDenied", 403)
    error = await refused(world.s3("get_object", Bucket="bucket", Key="key", region="eu-west-1"))
    assert (error.code, error.status) == ("PermanentRedirect", 301)
    assert error.headers == {"x-amz-bucket-region": "us-east-1"}  # type: ignore[attr-defined]


@told
async def test_requests_are_counted_by_tier(world: World) -> None:
    await world.bucket()
    await world.put("key", b"x")
    before = await world.used("Requests-Tier1")
    await world.put("key", b"x")
    await world.get("key")
    await world.get("key")
    assert await world.used("Requests-Tier1") == before + 1
    assert await world.used("Requests-Tier2") == 2
