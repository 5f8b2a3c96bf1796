"""Annotations of replicated versions: replicas bear the same, and say so."""

from __future__ import annotations

import asyncio

import pytest

from tests.services.kms.helpers import allow, key
from tests.services.world import World, told

from .test_replication import FROM, TO, _document, prepared, put, role, rule, status
from .world import content

LARGE = b"t" * 100_000


async def annotate(world: World, name: str, text: bytes, bucket: str = "bucket") -> None:
    """PutObjectAnnotation of object `a`."""
    await world.call(
        "s3",
        "put_object_annotation",
        Bucket=bucket,
        Key="a",
        AnnotationName=name,
        AnnotationPayload=text,
    )
    for _ in range(10):
        # Files are written by threads, which take their time.
        await asyncio.sleep(0.01)
        await world.settle()


async def text_of(world: World, name: str, bucket: str = "copy") -> tuple[bytes, str]:
    """An annotation's text, and how far its replication is."""
    got = await world.call(
        "s3", "get_object_annotation", Bucket=bucket, Key="a", AnnotationName=name
    )
    return await content(got["AnnotationPayload"]), got.get("ReplicationStatus", "")


async def names_of(world: World, bucket: str = "copy", key: str = "a") -> dict[str, str]:
    """The annotations of an object, and how far their replication is."""
    found = await world.call("s3", "list_object_annotations", Bucket=bucket, Key=key)
    listed = found["Annotations"]
    return {one["AnnotationName"]: one.get("ReplicationStatus", "") for one in listed}


async def drop(world: World, name: str, bucket: str = "bucket") -> None:
    """DeleteObjectAnnotation of object `a`."""
    await world.call("s3", "delete_object_annotation", Bucket=bucket, Key="a", AnnotationName=name)
    await world.settle()


@told
async def test_what_is_put_changed_and_deleted_follows(world: World) -> None:
    await prepared(world)
    await put(world, "a")
    await world.settle()
    await annotate(world, "small", b"one")
    await annotate(world, "large", LARGE)
    assert await text_of(world, "small") == (b"one", "REPLICA")
    assert await text_of(world, "large") == (LARGE, "REPLICA")
    assert await names_of(world, "bucket") == {"large": "COMPLETED", "small": "COMPLETED"}
    await annotate(world, "small", b"two")
    assert await text_of(world, "small") == (b"two", "REPLICA")
    await annotate(world, "own", b"of the replica", "copy")
    await drop(world, "large")
    assert await names_of(world) == {"own": "", "small": "REPLICA"}
    assert await text_of(world, "own") == (b"of the replica", "")


@told
async def test_annotations_of_a_copy_go_along_with_it(world: World) -> None:
    await prepared(world)
    await world.call("s3", "create_bucket", Bucket="elsewhere")
    await world.call("s3", "put_object", Bucket="elsewhere", Key="a", Body=b"beans")
    await annotate(world, "note", b"text", "elsewhere")
    await world.call("s3", "copy_object", Bucket="bucket", Key="a", CopySource="elsewhere/a")
    await world.settle()
    assert await text_of(world, "note") == (b"text", "REPLICA")
    assert await names_of(world, "bucket") == {"note": "COMPLETED"}


@told
async def test_what_was_there_before_the_rules_stays_alone(world: World) -> None:
    from .test_replication import buckets, replicate

    await buckets(world, "bucket", "copy")
    await put(world, "a")
    await role(world, *FROM, *TO)
    await replicate(world, rule())
    await annotate(world, "note", b"text")
    assert await names_of(world, "bucket") == {"note": ""}
    assert (
        "Contents" not in await world.call("s3", "list_objects_v2", Bucket="copy")
        or not (await world.call("s3", "list_objects_v2", Bucket="copy"))["Contents"]
    )


@told
async def test_who_may_not_any_more_leaves_the_version_and_fails_for_them(world: World) -> None:
    await prepared(world)
    await put(world, "a")
    await world.settle()
    assert await status(world, "a") == "COMPLETED"
    await world.call(
        "iam",
        "put_role_policy",
        RoleName="copier",
        PolicyName="own",
        PolicyDocument=_document({**allow(""), "Action": list(FROM)}),
    )
    await annotate(world, "note", b"text")
    assert await names_of(world, "bucket") == {"note": "FAILED"}
    assert await names_of(world) == {}
    assert await status(world, "a") == "COMPLETED"


@pytest.mark.parametrize("both", [True, False])
def test_they_are_sealed_as_the_replica_is(both: bool) -> None:
    @told
    async def story(world: World) -> None:
        made = await key(world)
        destination = {"EncryptionConfiguration": {"ReplicaKmsKeyID": made["Arn"]}}
        sealed = {"SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}}}
        await prepared(world, rule(Destination=destination, **sealed))
        allowed = [*FROM, *TO, "kms:GenerateDataKey", "kms:Encrypt"]
        if both:
            allowed.append("kms:Decrypt")
        await world.call(
            "iam",
            "put_role_policy",
            RoleName="copier",
            PolicyName="own",
            PolicyDocument=_document({**allow(""), "Action": allowed}),
        )
        await put(world, "a", ServerSideEncryption="aws:kms", SSEKMSKeyId=made["Arn"])
        await world.settle()
        await annotate(world, "note", LARGE)
        if both:
            assert await status(world, "a") == "COMPLETED"
            assert await text_of(world, "note") == (LARGE, "REPLICA")
            for blob in world.cloud.blobs.ids():
                assert LARGE[:100] not in world.cloud.blobs.path(blob).read_bytes()
        else:
            assert await status(world, "a") == "FAILED"
            assert await names_of(world, "bucket") == {"note": "FAILED"}

    story()
