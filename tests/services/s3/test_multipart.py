"""Multipart uploads: parts in any order, completed without copying, or given up."""

from __future__ import annotations

import base64
import hashlib
import zlib
from datetime import timedelta
from typing import Any

from .world import Chunks, World, content, refused, told

FIVE = 5 * 1024 * 1024


async def begin(world: World, key: str = "key", **req: Any) -> str:
    upload = await world.s3("create_multipart_upload", Bucket="bucket", Key=key, **req)
    upload_id: str = upload["UploadId"]
    return upload_id


async def part(world: World, upload: str, number: int, body: bytes, **req: Any) -> Any:
    return await world.s3(
        "upload_part",
        Bucket="bucket",
        Key="key",
        UploadId=upload,
        PartNumber=number,
        Body=body,
        **req,
    )


async def complete(world: World, upload: str, parts: list[tuple[int, str]], **req: Any) -> Any:
    listed = [{"PartNumber": number, "ETag": etag} for number, etag in parts]
    return await world.s3(
        "complete_multipart_upload",
        Bucket="bucket",
        Key="key",
        UploadId=upload,
        MultipartUpload={"Parts": listed},
        **req,
    )


async def three(world: World, upload: str) -> tuple[list[tuple[int, str]], bytes]:
    """Upload three parts, the last one small and first of all."""
    bodies = {1: b"a" * FIVE, 2: b"b" * (FIVE + 1), 7: b"c" * 10}
    etags = {}
    for number in (7, 2, 1):
        etags[number] = (await part(world, upload, number, bodies[number]))["ETag"]
    return sorted(etags.items()), bodies[1] + bodies[2] + bodies[7]


@told
async def test_parts_become_one_object_without_being_copied(world: World) -> None:
    await world.bucket()
    upload = await begin(world, Metadata={"a": "b"}, ContentType="text/x", Tagging="t=1")
    parts, body = await three(world, upload)
    before = world.files()
    done = await complete(world, upload, parts)
    digests = b"".join(bytes.fromhex(etag.strip('"')) for _, etag in parts)
    assert done["ETag"] == f'"{hashlib.md5(digests).hexdigest()}-3"'
    assert done["Location"] == "http://localhost:4566/bucket/key"
    assert world.files() == before
    got = await world.s3("get_object", Bucket="bucket", Key="key")
    assert got["ContentLength"] == len(body)
    assert got["Metadata"] == {"a": "b"}
    assert got["ContentType"] == "text/x"
    assert got["TagCount"] == 1
    assert await content(got["Body"]) == body
    asked = f"bytes={FIVE - 2}-{2 * FIVE + 3}"
    assert await world.get("key", Range=asked) == body[FIVE - 2 : 2 * FIVE + 4]
    await world.settle()
    assert world.files() == before
    # Who missed the answer may ask again, for a day; another list of parts is another question.
    assert await complete(world, upload, parts) == done
    error = await refused(complete(world, upload, parts[:2]))
    assert (error.code, error.status) == ("NoSuchUpload", 404)
    await world.s3("delete_object", Bucket="bucket", Key="key")
    await world.advance(timedelta(minutes=6))
    assert world.files() == set()
    await world.advance(timedelta(days=1))
    error = await refused(complete(world, upload, parts))
    assert (error.code, error.status) == ("NoSuchUpload", 404)


@told
async def test_a_part_can_be_read_by_its_number(world: World) -> None:
    await world.bucket()
    upload = await begin(world)
    parts, body = await three(world, upload)
    await complete(world, upload, parts)
    got = await world.s3("get_object", Bucket="bucket", Key="key", PartNumber=2)
    assert got["PartsCount"] == 3
    assert got["ContentRange"] == f"bytes {FIVE}-{2 * FIVE}/{len(body)}"
    assert await content(got["Body"]) == body[FIVE : 2 * FIVE + 1]
    head = await world.s3("head_object", Bucket="bucket", Key="key", PartNumber=3)
    assert head["ContentLength"] == 10
    error = await refused(world.get("key", PartNumber=4))
    assert (error.code, error.status) == ("InvalidPartNumber", 416)
    await world.put("plain", b"whole")
    assert await world.get("plain", PartNumber=1) == b"whole"
    assert (await refused(world.get("plain", PartNumber=2))).code == "InvalidPartNumber"


@told
async def test_completion_checks_what_it_is_told(world: World) -> None:
    await world.bucket()
    upload = await begin(world)
    small = (await part(world, upload, 1, b"small"))["ETag"]
    last = (await part(world, upload, 2, b"last"))["ETag"]
    assert (await refused(complete(world, upload, []))).code == "MalformedXML"
    error = await refused(complete(world, upload, [(2, last), (1, small)]))
    assert error.code == "InvalidPartOrder"
    error = await refused(complete(world, upload, [(1, last)]))
    assert error.code == "InvalidPart"
    assert error.fields["PartNumber"] == "1"
    assert (await refused(complete(world, upload, [(3, small)]))).code == "InvalidPart"
    error = await refused(complete(world, upload, [(1, small), (2, last)]))
    assert error.code == "EntityTooSmall"
    assert error.fields["MinSizeAllowed"] == str(FIVE)
    error = await refused(complete(world, upload, [(2, last)], MpuObjectSize=5))
    assert error.code == "InvalidRequest"
    await world.put("key", b"there")
    error = await refused(complete(world, upload, [(2, last)], IfNoneMatch="*"))
    assert error.status == 412
    await complete(world, upload, [(2, last)])
    assert await world.get("key") == b"last"
    await world.settle()
    await world.advance(timedelta(minutes=6))
    assert len(world.files()) == 1


@told
async def test_a_part_sent_again_replaces_the_first(world: World) -> None:
    await world.bucket()
    upload = await begin(world)
    await part(world, upload, 1, b"first")
    second = (await part(world, upload, 1, b"second"))["ETag"]
    await complete(world, upload, [(1, second)])
    assert await world.get("key") == b"second"
    await world.advance(timedelta(minutes=6))
    assert len(world.files()) == 1


@told
async def test_an_aborted_upload_leaves_nothing(world: World) -> None:
    await world.bucket()
    upload = await begin(world)
    await three(world, upload)
    await world.s3("abort_multipart_upload", Bucket="bucket", Key="key", UploadId=upload)
    await world.settle()
    assert world.files() == set()
    for method in ("abort_multipart_upload", "list_parts"):
        error = await refused(world.s3(method, Bucket="bucket", Key="key", UploadId=upload))
        assert error.code == "NoSuchUpload"
    assert (await refused(part(world, upload, 1, b""))).code == "NoSuchUpload"


@told
async def test_an_upload_of_one_empty_part_is_an_empty_object(world: World) -> None:
    await world.bucket()
    upload = await begin(world)
    etag = (await part(world, upload, 1, b""))["ETag"]
    await complete(world, upload, [(1, etag)])
    assert await world.get("key") == b""
    await world.s3("delete_object", Bucket="bucket", Key="key")
    await world.advance(timedelta(minutes=6))
    assert world.files() == set()


@told
async def test_parts_and_uploads_are_listed_in_pages(world: World) -> None:
    await world.bucket()
    ids = {key: [await begin(world, key) for _ in range(2)] for key in ("b/1", "a", "key")}
    upload = ids["key"][0]
    for number in (3, 1, 2):
        await part(world, upload, number, b"x" * number)
    listed = await world.s3("list_parts", Bucket="bucket", Key="key", UploadId=upload, MaxParts=2)
    assert [(entry["PartNumber"], entry["Size"]) for entry in listed["Parts"]] == [(1, 1), (2, 2)]
    assert (listed["IsTruncated"], listed["NextPartNumberMarker"]) == (True, 2)
    rest = await world.s3(
        "list_parts", Bucket="bucket", Key="key", UploadId=upload, PartNumberMarker=2
    )
    assert [entry["PartNumber"] for entry in rest["Parts"]] == [3]
    assert rest["IsTruncated"] is False
    found = []
    marker: dict[str, Any] = {}
    while True:
        page = await world.s3("list_multipart_uploads", Bucket="bucket", MaxUploads=2, **marker)
        found += [(entry["Key"], entry["UploadId"]) for entry in page["Uploads"]]
        if not page["IsTruncated"]:
            break
        marker = {
            "KeyMarker": page["NextKeyMarker"],
            "UploadIdMarker": page["NextUploadIdMarker"],
        }
    assert found == [(key, one) for key in ("a", "b/1", "key") for one in sorted(ids[key])]
    grouped = await world.s3("list_multipart_uploads", Bucket="bucket", Delimiter="/")
    assert [entry["Prefix"] for entry in grouped["CommonPrefixes"]] == ["b/"]


@told
async def test_checksums_of_parts_make_the_checksum_of_the_object(world: World) -> None:
    await world.bucket()
    bodies = [b"a" * FIVE, b"b" * 1000]
    whole = zlib.crc32(b"".join(bodies)).to_bytes(4, "big")
    upload = await begin(world, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
    parts = [(n, (await part(world, upload, n, body))["ETag"]) for n, body in enumerate(bodies, 1)]
    wrong = base64.b64encode(b"0000").decode()
    error = await refused(complete(world, upload, parts, ChecksumCRC32=wrong))
    assert error.code == "BadDigest"
    done = await complete(world, upload, parts)
    assert done["ChecksumCRC32"] == base64.b64encode(whole).decode()
    assert done["ChecksumType"] == "FULL_OBJECT"
    upload = await begin(world, ChecksumAlgorithm="SHA256")
    parts = [(n, (await part(world, upload, n, body))["ETag"]) for n, body in enumerate(bodies, 1)]
    done = await complete(world, upload, parts)
    together = hashlib.sha256(b"".join(hashlib.sha256(body).digest() for body in bodies))
    value = base64.b64encode(together.digest()).decode()
    assert done["ChecksumSHA256"] == f"{value}-2"
    assert done["ChecksumType"] == "COMPOSITE"
    seen = await world.s3(
        "get_object_attributes",
        Bucket="bucket",
        Key="key",
        ObjectAttributes=["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"],
        MaxParts=1,
    )
    assert seen["ETag"] == done["ETag"].strip('"')
    assert seen["Checksum"] == {"ChecksumSHA256": value, "ChecksumType": "COMPOSITE"}
    assert seen["ObjectSize"] == FIVE + 1000
    assert seen["ObjectParts"]["TotalPartsCount"] == 2
    assert seen["ObjectParts"]["IsTruncated"] is True
    assert [entry["PartNumber"] for entry in seen["ObjectParts"]["Parts"]] == [1]
    error = await refused(begin(world, ChecksumAlgorithm="SHA256", ChecksumType="FULL_OBJECT"))
    assert error.code == "InvalidRequest"


@told
async def test_the_default_checksum_is_of_the_whole_object(world: World) -> None:
    await world.bucket()
    bodies = [b"a" * FIVE, b"b" * 1000]
    upload = await begin(world)
    parts = [(n, (await part(world, upload, n, body))["ETag"]) for n, body in enumerate(bodies, 1)]
    done = await complete(world, upload, parts)
    single = await world.put("single", b"".join(bodies))
    assert done["ChecksumCRC64NVME"] == single["ChecksumCRC64NVME"]


@told
async def test_a_part_of_another_checksum_is_refused(world: World) -> None:
    await world.bucket()
    upload = await begin(world, ChecksumAlgorithm="CRC32")
    value = base64.b64encode(hashlib.sha1(b"x").digest()).decode()
    error = await refused(part(world, upload, 1, b"x", ChecksumSHA1=value))
    assert error.message == (
        "Checksum Type mismatch occurred, expected checksum Type: crc32, actual checksum Type: sha1"
    )
    for number in (0, 10_001):
        assert (await refused(part(world, upload, number, b"x"))).code == "InvalidArgument"


@told
async def test_deleting_a_bucket_discards_its_uploads(world: World) -> None:
    await world.bucket()
    upload = await begin(world)
    await world.s3(
        "upload_part",
        Bucket="bucket",
        Key="key",
        UploadId=upload,
        PartNumber=1,
        Body=Chunks([b"x" * 100]),
    )
    assert len(world.files()) == 1
    await world.s3("delete_bucket", Bucket="bucket")
    await world.settle()
    assert world.files() == set()
