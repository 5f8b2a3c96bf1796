"""Annotations: texts that hang on versions, go along with copies, and go with what they hang on."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from doppio.kernel.identity import root_of
from doppio.services.s3.records import Annotation, Content
from doppio.testing import Cloud
from tests.services.kms.helpers import key as kms_key
from tests.services.world import World as Whole
from tests.services.world import refusal
from tests.services.world import told as told_whole

from .world import OTHER, Chunks, World, content, refused, told

KIB = 1024
SIZES = (1, 4 * KIB, 5 * KIB, 64 * KIB + 1, 1024 * KIB)


async def annotate(world: World, name: str, text: bytes, key: str = "latte", **req: Any) -> Any:
    """PutObjectAnnotation."""
    req = {"Bucket": "bucket", **req, "AnnotationPayload": world.body(text)}
    return await world.s3("put_object_annotation", Key=key, AnnotationName=name, **req)


async def text_of(world: World, name: str, key: str = "latte", **req: Any) -> bytes:
    """The text of GetObjectAnnotation's answer."""
    req = {"Bucket": "bucket", **req}
    got = await world.s3("get_object_annotation", Key=key, AnnotationName=name, **req)
    return await content(got["AnnotationPayload"])


async def names_of(world: World, key: str = "latte", **req: Any) -> list[str]:
    """The names in ListObjectAnnotations' answer."""
    found = await world.s3("list_object_annotations", **{"Bucket": "bucket", **req, "Key": key})
    return [one["AnnotationName"] for one in found["Annotations"]]


@told
async def test_texts_of_all_sizes_come_back_as_they_were(world: World) -> None:
    await world.bucket()
    await world.put("latte", b"milk")
    for size in SIZES:
        put = await annotate(world, f"n{size}", b"t" * size)
        assert (put["Key"], put["AnnotationName"]) == ("latte", f"n{size}")
        assert await text_of(world, f"n{size}") == b"t" * size
    got = await world.s3(
        "get_object_annotation",
        Bucket="bucket",
        Key="latte",
        AnnotationName="n1",
        ChecksumMode="ENABLED",
    )
    assert (got["ContentLength"], got["ServerSideEncryption"]) == (1, "AES256")
    assert got["ChecksumCRC64NVME"]
    assert "ObjectVersionId" not in got
    streamed = Chunks([b"a" * 70_000, b"b" * 70_000])
    await world.s3(
        "put_object_annotation",
        Bucket="bucket",
        Key="latte",
        AnnotationName="n1",
        AnnotationPayload=streamed,
    )
    assert await text_of(world, "n1") == b"a" * 70_000 + b"b" * 70_000
    head = await world.s3("head_object", Bucket="bucket", Key="latte")
    assert await world.get("latte") == b"milk", "and the object is as it was"
    assert head["ETag"] == got["ETag"] or head["ContentLength"] == 4


@told
async def test_what_is_no_annotation_is_refused(world: World) -> None:
    await world.bucket()
    missing = await refused(annotate(world, "n", b"t"))
    assert (missing.code, missing.status) == ("NoSuchKey", 404)
    await world.put("latte", b"milk")
    for name, text, code, status in (
        ("n" * 512, b"", "InvalidRequest", 400),
        ("n" * 513, b"t", "AnnotationNameTooLong", 400),
        ("ü" * 257, b"t", "AnnotationNameTooLong", 400),
        ("a\nb", b"t", "InvalidAnnotationName", 400),
        ("n", b"t" * (1024 * KIB + 1), "EntityTooLarge", 400),
        ("n", b"\xff\xfe", "UnsupportedMediaType", 415),
    ):
        error = await refused(annotate(world, name, text))
        assert (error.code, error.status) == (code, status), name[:9]
    long = Chunks([b"t" * 700_000] * 2, length=None)
    late = world.s3(
        "put_object_annotation",
        Bucket="bucket",
        Key="latte",
        AnnotationName="n",
        AnnotationPayload=long,
    )
    assert (await refused(late)).code == "EntityTooLarge"
    error = await refused(annotate(world, "n", b"t", ChecksumCRC32="AAAAAA=="))
    assert error.code == "BadDigest"
    error = await refused(annotate(world, "n", b"t", ObjectIfMatch='"other"'))
    assert (error.code, error.status) == ("PreconditionFailed", 412)
    assert await names_of(world) == []
    await annotate(world, "n" * 512, b"t")
    error = await refused(text_of(world, "n"))
    assert (error.code, error.status) == ("NoSuchAnnotation", 404)
    assert error.message == "The specified annotation does not exist on this object."
    error = await refused(names_of(world, AnnotationPrefix="p" * 513))
    assert (error.code, error.status) == ("InvalidPrefix", 400)
    assert world.files() == set(), "and no file is left of what was refused"


@told
async def test_a_version_has_a_thousand_annotations_and_no_more(world: World) -> None:
    await world.bucket()
    await world.put("latte", b"milk")
    for number in range(1000):
        await annotate(world, f"n{number:04}", b"t")
    error = await refused(annotate(world, "one-more", b"t"))
    assert (error.code, error.status) == ("AnnotationLimitExceeded", 400)
    await annotate(world, "n0000", b"changed")
    assert len(await names_of(world)) == 1000
    await world.s3("delete_object_annotation", Bucket="bucket", Key="latte", AnnotationName="n0001")
    await annotate(world, "one-more", b"t")
    await world.put("latte", b"oat")
    assert await names_of(world) == []
    await world.settle()
    assert await world.context_for("", "").read().list(Annotation, limit=10) == []


@told
async def test_listings_are_by_name_in_pages(world: World) -> None:
    await world.bucket()
    await world.put("latte", b"milk")
    wanted = ["a", "a/1", "a/2", "a/ü", "b"]
    for name in reversed(wanted):
        await annotate(world, name, b"text")
    assert await names_of(world) == wanted
    assert await names_of(world, AnnotationPrefix="a/") == ["a/1", "a/2", "a/ü"]
    found: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = await world.s3(
            "list_object_annotations", Bucket="bucket", Key="latte", MaxAnnotationResults=2, **token
        )
        found += [one["AnnotationName"] for one in page["Annotations"]]
        assert page["AnnotationCount"] == len(page["Annotations"])
        if "NextContinuationToken" not in page:
            break
        token = {"ContinuationToken": page["NextContinuationToken"]}
    assert found == wanted
    entry = page["Annotations"][0]
    assert (entry["Size"], entry["ChecksumAlgorithm"]) == (4, ["CRC64NVME"])
    error = await refused(names_of(world, AnnotationPrefix="a/", **token))
    assert error.code == "InvalidArgument", "a token counts for its own list alone"


@told
async def test_each_version_has_its_own(world: World) -> None:
    await world.bucket(versioning="Enabled")
    first = (await world.put("latte", b"milk"))["VersionId"]
    put = await annotate(world, "n", b"one")
    assert put["ObjectVersionId"] == first
    second = (await world.put("latte", b"oat"))["VersionId"]
    assert await names_of(world) == []
    await annotate(world, "n", b"two")
    await annotate(world, "late", b"three", VersionId=first)
    assert await text_of(world, "n", VersionId=first) == b"one"
    assert await names_of(world, VersionId=first) == ["late", "n"]
    await world.s3("delete_object", Bucket="bucket", Key="latte")
    assert (await refused(text_of(world, "n"))).code == "NoSuchKey"
    assert await text_of(world, "n", VersionId=second) == b"two"
    await world.s3("delete_object", Bucket="bucket", Key="latte", VersionId=first)
    await world.settle()
    left = await world.context_for("", "").read().list(Annotation, limit=10)
    assert [one.name for one in left] == ["n"]


@told
async def test_an_annotation_that_is_deleted_is_gone_and_again_is_no_error(world: World) -> None:
    await world.bucket()
    etag = (await world.put("latte", b"milk"))["ETag"]
    await annotate(world, "n", b"t" * 100_000)
    where = {"Bucket": "bucket", "Key": "latte", "AnnotationName": "n"}
    error = await refused(world.s3("delete_object_annotation", **where, ObjectIfMatch='"x"'))
    assert error.code == "PreconditionFailed"
    for _ in range(2):
        assert await world.s3("delete_object_annotation", **where, ObjectIfMatch=etag) == {}
    assert await names_of(world) == []
    assert (await refused(text_of(world, "n"))).code == "NoSuchAnnotation"
    await world.advance(timedelta(minutes=6))
    assert world.files() == set()


@told
async def test_annotations_go_along_with_copies(world: World) -> None:
    await world.bucket()
    await world.put("latte", b"milk")
    for size in SIZES:
        await annotate(world, f"n{size}", b"t" * size)
    before = await world.used("Requests-Tier1")
    await world.s3("copy_object", Bucket="bucket", Key="copy", CopySource="bucket/latte")
    assert await world.used("Requests-Tier1") - before == 1 + len(SIZES)
    copy = {"Bucket": "bucket", "Key": "bare", "CopySource": "bucket/latte"}
    await world.s3("copy_object", **copy, AnnotationDirective="EXCLUDE")
    assert await names_of(world, "bare") == []
    error = await refused(world.s3("copy_object", **copy, AnnotationDirective="REPLACE"))
    assert error.code == "InvalidArgument"
    await annotate(world, "n1", b"changed")
    await world.s3("delete_object", Bucket="bucket", Key="latte")
    await world.advance(timedelta(minutes=6))
    for size in SIZES:
        assert await text_of(world, f"n{size}", "copy") == b"t" * size
    # Onto itself, into another class and an encryption of its own: they stay.
    await world.s3(
        "copy_object",
        Bucket="bucket",
        Key="copy",
        CopySource="bucket/copy",
        StorageClass="STANDARD_IA",
        ServerSideEncryption="AES256",
    )
    await world.settle()
    await world.advance(timedelta(minutes=6))
    for size in SIZES:
        assert await text_of(world, f"n{size}", "copy") == b"t" * size
    for file in world.files():
        assert b"ttttttttttttttttttttttttttttttt" not in world.blobs.path(file).read_bytes()
    await world.s3("delete_object", Bucket="bucket", Key="copy")
    await world.s3("delete_object", Bucket="bucket", Key="bare")
    await world.settle()
    await world.advance(timedelta(minutes=6))
    assert world.files() == set()
    reader = world.context_for("", "").read()
    assert await reader.list(Annotation, limit=10) == []
    assert await reader.list(Content, limit=10) == []


@told
async def test_who_may_copy_but_not_annotate_copies_without(world: World) -> None:
    await world.bucket()
    await world.put("latte", b"milk")
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": OTHER},
        "Action": ["s3:GetObject", "s3:PutObject"],
        "Resource": "arn:aws:s3:::bucket/*",
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    await world.s3("put_bucket_policy", Bucket="bucket", Policy=json.dumps(policy))
    copy = {"Bucket": "bucket", "Key": "copy", "CopySource": "bucket/latte"}
    other = root_of(OTHER)
    await world.s3("copy_object", caller=other, **copy)
    await annotate(world, "n", b"t")
    error = await refused(world.s3("copy_object", caller=other, **copy))
    assert error.code in {"AccessDenied", "AccessDeniedException"}
    assert await names_of(world, "copy") == []
    await world.s3("copy_object", caller=other, **copy, AnnotationDirective="EXCLUDE")
    error = await refused(text_of(world, "n", caller=other))
    assert error.code in {"AccessDenied", "AccessDeniedException"}
    statement["Action"] = ["s3:*"]
    await world.s3("put_bucket_policy", Bucket="bucket", Policy=json.dumps(policy))
    await world.s3("copy_object", caller=other, **copy)
    assert await names_of(world, "copy") == ["n"]


@told
async def test_locked_versions_keep_their_annotations(world: World) -> None:
    await world.s3("create_bucket", Bucket="bucket", ObjectLockEnabledForBucket=True)
    until = world.clock.now() + timedelta(days=1)
    lock = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": until}
    await world.put("latte", b"milk", **lock)
    await annotate(world, "n", b"t")
    where = {"Bucket": "bucket", "Key": "latte", "AnnotationName": "n"}
    error = await refused(world.s3("delete_object_annotation", **where))
    assert (error.code, error.status) == ("AccessDenied", 403)
    assert await names_of(world) == ["n"]
    await world.s3("delete_object_annotation", **where, BypassGovernanceRetention=True)
    assert await names_of(world) == []


@told
async def test_texts_are_billed_as_storage_while_they_are_there(world: World) -> None:
    await world.bucket()
    await world.put("latte", b"")
    await annotate(world, "n", b"t" * 1000)
    await annotate(world, "n", b"t" * 2000)
    await world.advance(timedelta(days=2))
    first = await world.used("TimedStorage-ByteHrs")
    assert first == pytest.approx(2000 * 48, rel=0.001)
    await world.s3("delete_object", Bucket="bucket", Key="latte")
    await world.advance(timedelta(days=2))
    rest = await world.used("TimedStorage-ByteHrs")
    await world.advance(timedelta(days=2))
    assert await world.used("TimedStorage-ByteHrs") == rest


async def call(world: Whole, method: str, **req: Any) -> Any:
    """A call that concerns the one object of a story."""
    return await world.call("s3", method, Bucket="bucket", Key="latte", **req)


async def read(world: Whole) -> bytes:
    """The text of annotation `n`."""
    got = await call(world, "get_object_annotation", AnnotationName="n")
    return await content(got["AnnotationPayload"])


@told_whole
async def test_annotations_are_encrypted_as_their_object_is(world: Whole) -> None:
    await world.call("s3", "create_bucket", Bucket="bucket")
    made = await kms_key(world)
    await call(
        world,
        "put_object",
        Body=b"milk",
        ServerSideEncryption="aws:kms",
        SSEKMSKeyId=made["Arn"],
    )
    text = b"nobody may read this " * 10_000
    put = await call(world, "put_object_annotation", AnnotationName="n", AnnotationPayload=text)
    assert put["ServerSideEncryption"] == "aws:kms"
    assert await read(world) == text
    await world.call("kms", "disable_key", KeyId=made["KeyId"])
    assert (await refusal(read(world)))[0] == "KMS.DisabledException"
    refused_put = call(world, "put_object_annotation", AnnotationName="m", AnnotationPayload=b"t")
    assert (await refusal(refused_put))[0] == "KMS.DisabledException"
    await world.call("kms", "enable_key", KeyId=made["KeyId"])
    # A copy into the open takes its annotations into the open.
    await world.call("s3", "copy_object", Bucket="bucket", Key="open", CopySource="bucket/latte")
    await world.call("kms", "disable_key", KeyId=made["KeyId"])
    got = await world.call(
        "s3", "get_object_annotation", Bucket="bucket", Key="open", AnnotationName="n"
    )
    assert await content(got["AnnotationPayload"]) == text
    assert got["ServerSideEncryption"] == "AES256"


@told_whole
async def test_objects_under_a_customers_key_take_none(world: Whole) -> None:
    await world.call("s3", "create_bucket", Bucket="bucket")
    secret = b"k" * 32
    await call(
        world,
        "put_object",
        Body=b"milk",
        SSECustomerAlgorithm="AES256",
        SSECustomerKey=base64.b64encode(secret).decode(),
        SSECustomerKeyMD5=base64.b64encode(hashlib.md5(secret).digest()).decode(),
    )
    put = call(world, "put_object_annotation", AnnotationName="n", AnnotationPayload=b"t")
    assert (await refusal(put))[0] == "InvalidRequest"


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with Cloud() as running:
        yield running


def test_a_real_client_puts_lists_reads_and_deletes_them(cloud: Cloud) -> None:
    from botocore.config import Config

    account = cloud.account()
    s3 = account.client("s3", config=Config(s3={"addressing_style": "path"}))
    sqs = account.client("sqs")
    s3.create_bucket(Bucket="notes")
    url = sqs.create_queue(QueueName="noted")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    queue = {"QueueArn": arn, "Events": ["s3:ObjectAnnotation:*"]}
    s3.put_bucket_notification_configuration(
        Bucket="notes", NotificationConfiguration={"QueueConfigurations": [queue]}
    )
    s3.put_object(Bucket="notes", Key="a b/ü", Body=b"milk")
    where = {"Bucket": "notes", "Key": "a b/ü", "AnnotationName": "größe & so"}
    for algorithm in ("CRC32", "SHA256", "XXHASH3"):
        s3.put_object_annotation(
            **where, AnnotationPayload="Größe L".encode(), ChecksumAlgorithm=algorithm
        )
        got = s3.get_object_annotation(**where, ChecksumMode="ENABLED")
        assert got["AnnotationPayload"].read() == "Größe L".encode()
        assert got[f"Checksum{algorithm}"]
    (entry,) = s3.list_object_annotations(Bucket="notes", Key="a b/ü")["Annotations"]
    assert (entry["AnnotationName"], entry["Size"]) == ("größe & so", 9)
    with pytest.raises(s3.exceptions.UnsupportedMediaType):
        s3.put_object_annotation(**where, AnnotationPayload=b"\xff")
    assert s3.delete_object_annotation(**where)["ResponseMetadata"]["HTTPStatusCode"] == 204
    with pytest.raises(s3.exceptions.NoSuchAnnotation):
        s3.get_object_annotation(**where)
    names: list[str] = []
    while len(names) < 4:
        for message in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=2).get("Messages", []):
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            records = json.loads(message["Body"]).get("Records", [])
            names += [record["eventName"] for record in records]
    assert sorted(names) == ["ObjectAnnotation:Delete", *["ObjectAnnotation:Put"] * 3]
