"""Directory buckets: what they have, and how they differ."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from doppio.kernel.identity import root_of
from doppio.wire import model
from tests.services.kms.helpers import allow, key, user
from tests.services.world import OTHER, World, refusal, refused, told

from .directories import BUCKET, NOT_THERE, get, make, of, put, s3

FIVE = 5 * 1024 * 1024


@pytest.mark.parametrize(
    ("name", "zone", "expected"),
    [
        ("shop--use1-az9--x-s3", "use1-az9", "InvalidRequest"),
        ("shop--use1-az1--x-s3", "use1-az2", "InvalidBucketName"),
        ("Shop--use1-az1--x-s3", "use1-az1", "InvalidBucketName"),
        ("--use1-az1--x-s3", "use1-az1", "InvalidBucketName"),
        (f"{'s' * 48}--use1-az1--x-s3", "use1-az1", "InvalidBucketName"),
        ("shop", "use1-az1", "InvalidBucketName"),
        (f"{'s' * 47}--use1-az1--x-s3", "use1-az1", None),
        ("a--use1-az1--x-s3", "use1-az1", None),
    ],
)
def test_names_say_the_zone(name: str, zone: str, expected: str | None) -> None:
    @told
    async def story(world: World) -> None:
        configuration = {
            "Location": {"Type": "AvailabilityZone", "Name": zone},
            "Bucket": {"Type": "Directory"},
        }
        call = s3(world, "create_bucket", Bucket=name, CreateBucketConfiguration=configuration)
        if expected is not None:
            assert (await refused(call)).code == expected
            return
        made = await call
        assert made["BucketArn"].endswith(f":bucket/{name}")
        assert made["Location"] == f"https://{name}.s3express-{zone}.us-east-1.amazonaws.com/"

    story()


@told
async def test_an_account_has_a_hundred_in_a_region(world: World) -> None:
    for number in range(100):
        await make(world, f"b{number}--use1-az1--x-s3")
    assert (await refused(make(world))).code == "TooManyBuckets"
    assert (await world.call("s3", "list_buckets"))["Buckets"] == []
    names: list[str] = []
    token: dict[str, Any] = {}
    while True:
        page = await world.call("s3", "list_directory_buckets", MaxDirectoryBuckets=30, **token)
        names += [one["Name"] for one in page["Buckets"]]
        if "ContinuationToken" not in page:
            break
        token = {"ContinuationToken": page["ContinuationToken"]}
    assert len(set(names)) == len(names) == 100
    await s3(world, "delete_bucket", Bucket=names[0])
    await make(world)
    there = await world.call("s3", "list_directory_buckets", account=OTHER)
    assert there["Buckets"] == []
    call = make(world, caller=root_of(OTHER))
    assert await of(world, call) == ("BucketAlreadyExists", 409)


@told
async def test_what_general_buckets_have_more_is_refused(world: World) -> None:
    await make(world)
    await put(world, "k", b"milk")
    methods = model.load("s3").operations
    for name in (
        "PutBucketVersioning", "GetBucketVersioning", "GetBucketAcl", "PutBucketCors",
        "PutBucketReplication", "GetObjectTagging", "PutObjectTagging", "ListObjectVersions",
        "ListObjects", "PutBucketWebsite", "GetObjectTorrent", "PutPublicAccessBlock",
        "UpdateObjectEncryption", "PutBucketNotificationConfiguration", "GetObjectAcl",
    ):  # fmt: skip
        operation = methods[name]
        req: dict[str, Any] = {"Key": "k"} if "Key" in operation.input.members else {}  # type: ignore[union-attr]
        for member in operation.input.required if operation.input else ():
            if member not in {"Bucket", "Key"}:
                req[member] = _SAMPLES[member]
        assert await of(world, s3(world, operation.method, **req)) == ("MethodNotAllowed", 405)
    annotate = s3(
        world, "put_object_annotation", Key="k", AnnotationName="n", AnnotationPayload=b"t"
    )
    assert await of(world, annotate) == NOT_THERE
    for more in (
        {"Tagging": "a=b"},
        {"SSECustomerAlgorithm": "AES256"},
        {"ObjectLockLegalHoldStatus": "ON"},
        {"WebsiteRedirectLocation": "/x"},
    ):
        assert await of(world, put(world, "k", **more)) == NOT_THERE
    assert (await refused(put(world, "k", StorageClass="STANDARD"))).code == "InvalidStorageClass"
    await world.call("s3", "create_bucket", Bucket="general")
    for method, req in (
        ("rename_object", {"Key": "k", "RenameSource": "j"}),
        ("create_session", {}),
    ):
        call = s3(world, method, Bucket="general", **req)
        assert await of(world, call) == ("MethodNotAllowed", 405)
    call = put(world, "k", Bucket="general", StorageClass="EXPRESS_ONEZONE")
    assert (await refused(call)).code == "InvalidStorageClass"
    call = put(world, "k", b"x", Bucket="general", WriteOffsetBytes=0)
    assert await of(world, call) == NOT_THERE


_SAMPLES: dict[str, Any] = {
    "VersioningConfiguration": {"Status": "Enabled"},
    "CORSConfiguration": {"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]},
    "ReplicationConfiguration": {
        "Role": "arn:aws:iam::000000000000:role/r",
        "Rules": [{"Status": "Enabled", "Destination": {"Bucket": "arn:aws:s3:::b"}}],
    },
    "Tagging": {"TagSet": []},
    "WebsiteConfiguration": {"IndexDocument": {"Suffix": "index.html"}},
    "PublicAccessBlockConfiguration": {},
    "ObjectEncryption": {},
    "NotificationConfiguration": {},
}


@told
async def test_listings_have_no_order_and_lose_nothing(world: World) -> None:
    await make(world)
    keys = [f"{folder}/{number:02}" for folder in "abc" for number in range(12)] + ["top"]
    for name in keys:
        await put(world, name, b"x")
    await s3(world, "create_multipart_upload", Key="under/way")
    await s3(world, "create_multipart_upload", Key="a/way")
    found: list[str] = []
    token: dict[str, Any] = {}
    while True:
        page = await s3(world, "list_objects_v2", MaxKeys=10, **token)
        found += [one["Key"] for one in page["Contents"]]
        if not page["IsTruncated"]:
            break
        token = {"ContinuationToken": page["NextContinuationToken"]}
    assert sorted(found) == sorted(keys)
    assert found != sorted(keys)
    page = await s3(world, "list_objects_v2", Delimiter="/")
    assert {one["Prefix"] for one in page["CommonPrefixes"]} == {"a/", "b/", "c/", "under/"}
    assert [one["Key"] for one in page["Contents"]] == ["top"]
    prefixes: set[str] = set()
    token = {}
    while True:
        page = await s3(world, "list_objects_v2", Delimiter="/", MaxKeys=1, **token)
        prefixes |= {one["Prefix"] for one in page["CommonPrefixes"]}
        if not page["IsTruncated"]:
            break
        token = {"ContinuationToken": page["NextContinuationToken"]}
    assert prefixes == {"a/", "b/", "c/", "under/"}
    entry = (await s3(world, "list_objects_v2", Prefix="c/"))["Contents"][0]
    assert entry["StorageClass"] == "EXPRESS_ONEZONE"
    for more in ({"Delimiter": "-"}, {"Prefix": "a"}):
        call = s3(world, "list_objects_v2", **more)
        assert (await refused(call)).code == "InvalidArgument"
    assert await of(world, s3(world, "list_objects_v2", StartAfter="a")) == NOT_THERE


@told
async def test_uploads_are_listed_behind_markers_that_say_nothing(world: World) -> None:
    await make(world)
    for name in ("a", "b", "c"):
        await s3(world, "create_multipart_upload", Key=name)
    found: list[str] = []
    marker: dict[str, str] = {}
    while True:
        page = await s3(world, "list_multipart_uploads", MaxUploads=1, **marker)
        assert "NextUploadIdMarker" not in page
        found += [one["Key"] for one in page["Uploads"]]
        if not page["IsTruncated"]:
            break
        marker = {"KeyMarker": page["NextKeyMarker"]}
    assert found == ["a", "b", "c"]
    assert (await refused(s3(world, "delete_bucket"))).code == "BucketNotEmpty"


@told
async def test_parts_are_numbered_without_gaps(world: World) -> None:
    await make(world)
    begun = await s3(world, "create_multipart_upload", Key="k")
    where = {"Key": "k", "UploadId": begun["UploadId"]}
    parts = []
    for number in (1, 2, 3):
        part = await s3(
            world, "upload_part", **where, PartNumber=number, Body=bytes([64 + number]) * FIVE
        )
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    gap = {"Parts": [parts[0], parts[2]]}
    call = s3(world, "complete_multipart_upload", **where, MultipartUpload=gap)
    assert await of(world, call) == ("InvalidPartOrder", 400)
    await s3(world, "complete_multipart_upload", **where, MultipartUpload={"Parts": parts})
    appended = await put(world, "k", b"end", WriteOffsetBytes=3 * FIVE)
    assert appended["Size"] == 3 * FIVE + 3
    assert await get(world, "k", PartNumber=4) == b"end"
    assert await get(world, "k", Range=f"bytes={3 * FIVE - 2}-") == b"CCend"


@told
async def test_deletions_may_depend_on_time_and_size(world: World) -> None:
    await make(world)
    await put(world, "k", b"milk")
    at = (await s3(world, "head_object", Key="k"))["LastModified"]
    for more in ({"IfMatchSize": 5}, {"IfMatchLastModifiedTime": at + timedelta(seconds=1)}):
        call = s3(world, "delete_object", Key="k", **more)
        assert await of(world, call) == ("PreconditionFailed", 412)
    wanted = {"Objects": [{"Key": "k", "Size": 5}]}
    (error,) = (await s3(world, "delete_objects", Delete=wanted))["Errors"]
    assert error["Code"] == "PreconditionFailed"
    await s3(world, "delete_object", Key="k", IfMatchSize=4, IfMatchLastModifiedTime=at)
    await s3(world, "delete_object", Key="k", IfMatchSize=9)
    assert (await refused(get(world, "k"))).code == "NoSuchKey"


@told
async def test_a_bucket_has_one_key_for_all_its_life(world: World) -> None:
    await make(world)
    first, second = await key(world), await key(world)

    async def default(kind: str, arn: str | None = None) -> None:
        applied = {"SSEAlgorithm": kind, **({"KMSMasterKeyID": arn} if arn else {})}
        rule = {"ApplyServerSideEncryptionByDefault": applied}
        configuration = {"Rules": [rule]}
        await s3(world, "put_bucket_encryption", ServerSideEncryptionConfiguration=configuration)

    await put(world, "before", b"milk")
    assert (await refused(default("aws:kms"))).code == "InvalidArgument"
    assert (await refused(default("aws:kms", "alias/aws/s3"))).code == "InvalidArgument"
    assert (await refused(default("aws:kms:dsse", first["Arn"]))).code == "InvalidArgument"
    missing = first["Arn"][:-4] + "0000"
    assert (await refused(default("aws:kms", missing))).code == "KMS.NotFoundException"
    await default("aws:kms", first["KeyId"])
    told_of = await put(world, "k", b"milk")
    assert (told_of["SSEKMSKeyId"], told_of["BucketKeyEnabled"]) == (first["Arn"], True)
    assert await get(world, "k") == b"milk"
    assert (await refused(default("aws:kms", second["Arn"]))).code == "InvalidRequest"
    await default("AES256")
    assert (await refused(default("aws:kms", second["Arn"]))).code == "InvalidRequest"
    await default("aws:kms", first["Arn"])
    wrong = put(world, "k", b"x", ServerSideEncryption="AES256")
    assert (await refused(wrong)).code == "InvalidRequest"
    right = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": first["KeyId"]}
    await put(world, "k", b"x", **right)
    mismatch = put(world, "before", b"x", WriteOffsetBytes=4)
    assert await of(world, mismatch) == ("EncryptionTypeMismatch", 400)
    await put(world, "k", b"yz" * 50_000, WriteOffsetBytes=1)
    assert await get(world, "k") == b"x" + b"yz" * 50_000
    await world.call("kms", "disable_key", KeyId=first["KeyId"])
    assert (await refusal(get(world, "k")))[0] == "KMS.DisabledException"
    for blob in world.cloud.blobs.ids():
        assert b"yzyzyzyz" not in world.cloud.blobs.path(blob).read_bytes()


@told
async def test_rules_of_lifecycle_expire_objects_and_give_uploads_up(world: World) -> None:
    await make(world)
    await put(world, "log/1", b"x")
    await put(world, "kept", b"x")
    await s3(world, "create_multipart_upload", Key="log/2")

    async def rules(**more: Any) -> None:
        rule = {"ID": "one", "Status": "Enabled", "Filter": {"Prefix": "log/"}, **more}
        await s3(
            world, "put_bucket_lifecycle_configuration", LifecycleConfiguration={"Rules": [rule]}
        )

    moves = [{"Days": 1, "StorageClass": "GLACIER"}]
    assert await of(world, rules(Transitions=moves)) == NOT_THERE
    tagged = {"Filter": {"Tag": {"Key": "a", "Value": "b"}}, "Expiration": {"Days": 1}}
    assert await of(world, rules(**tagged)) == NOT_THERE
    await rules(Expiration={"Days": 1}, AbortIncompleteMultipartUpload={"DaysAfterInitiation": 1})
    await world.advance(days=3)
    listed = await s3(world, "list_objects_v2")
    assert [one["Key"] for one in listed["Contents"]] == ["kept"]
    assert (await s3(world, "list_multipart_uploads"))["Uploads"] == []


@told
async def test_requests_and_storage_are_billed_as_of_one_zone(world: World) -> None:
    await make(world)
    await put(world, "k", b"x" * 1000)
    await get(world, "k")
    assert await world.used("Requests-XZ-Tier1") == 1
    assert await world.used("Requests-XZ-Tier2") == 1
    assert await world.used("Retrieval-XZ") == 1000
    await world.advance(days=1)
    assert await world.used("TimedStorage-XZ-ByteHrs") == pytest.approx(24_000)


@told
async def test_annotations_stay_behind_when_an_object_is_copied_here(world: World) -> None:
    await make(world)
    await world.call("s3", "create_bucket", Bucket="general")
    await put(world, "k", b"milk", Bucket="general")
    copy = {"Key": "k", "CopySource": "general/k"}
    assert (
        await of(world, s3(world, "copy_object", **copy, AnnotationDirective="COPY")) == NOT_THERE
    )
    await s3(world, "copy_object", **copy)
    await world.call(
        "s3",
        "put_object_annotation",
        Bucket="general",
        Key="k",
        AnnotationName="n",
        AnnotationPayload=b"text",
    )
    assert await of(world, s3(world, "copy_object", **copy)) == NOT_THERE
    await s3(world, "copy_object", **copy, AnnotationDirective="EXCLUDE")
    assert await get(world, "k") == b"milk"


@told
async def test_parts_are_copied_here_from_either_kind_of_bucket(world: World) -> None:
    await make(world)
    await world.call("s3", "create_bucket", Bucket="general")
    await put(world, "k", b"g" * FIVE, Bucket="general")
    await put(world, "k", b"d" * FIVE)
    begun = await s3(world, "create_multipart_upload", Key="both")
    where = {"Key": "both", "UploadId": begun["UploadId"]}
    parts = []
    for number, source in ((1, "general/k"), (2, f"{BUCKET}/k")):
        copied = await s3(world, "upload_part_copy", **where, PartNumber=number, CopySource=source)
        parts.append({"PartNumber": number, "ETag": copied["CopyPartResult"]["ETag"]})
    await s3(world, "complete_multipart_upload", **where, MultipartUpload={"Parts": parts})
    assert await get(world, "both") == b"g" * FIVE + b"d" * FIVE
    await put(world, "both", b"end", WriteOffsetBytes=2 * FIVE)
    found = await s3(
        world,
        "get_object_attributes",
        Key="both",
        ObjectAttributes=["ETag", "ObjectSize", "StorageClass", "ObjectParts"],
    )
    assert (found["ObjectSize"], found["StorageClass"]) == (2 * FIVE + 3, "EXPRESS_ONEZONE")
    assert found["ObjectParts"]["TotalPartsCount"] == 3
    reader = await user(world, "reader", allow("s3:*"))
    call = s3(
        world, "copy_object", Bucket="general", Key="x", CopySource=f"{BUCKET}/k", caller=reader
    )
    assert (await refused(call)).status == 403
    wide = await user(world, "wide", allow("s3:*"), allow("s3express:CreateSession"))
    await s3(world, "copy_object", Bucket="general", Key="x", CopySource=f"{BUCKET}/k", caller=wide)
    head = await s3(world, "head_object", Bucket="general", Key="x")
    assert (head["ContentLength"], head.get("StorageClass")) == (FIVE, None)
