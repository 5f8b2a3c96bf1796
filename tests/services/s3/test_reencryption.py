"""UpdateObjectEncryption: another key, and nothing else that shows."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

import pytest

from doppio.testing import Cloud
from tests.services.kms.helpers import allow, key, user
from tests.services.world import OTHER, World, refusal, told

from .world import content

FIVE = 5 * 1024 * 1024
BODIES = (b"", b"milk", b"m" * 5000, b"m" * 100_000)


async def call(world: World, method: str, **req: Any) -> Any:
    """A call that concerns object `latte`, where no other is named."""
    return await world.call("s3", method, **{"Bucket": "bucket", "Key": "latte", **req})


async def update(world: World, arn: str, **req: Any) -> Any:
    """UpdateObjectEncryption."""
    bucket_key = req.pop("BucketKeyEnabled", False)
    wanted = {"SSEKMS": {"KMSKeyArn": arn, "BucketKeyEnabled": bucket_key}}
    return await call(world, "update_object_encryption", ObjectEncryption=wanted, **req)


async def read(world: World, **req: Any) -> bytes:
    """The bytes of the object."""
    return await content((await call(world, "get_object", **req))["Body"])


async def unchanged(head: dict[str, Any]) -> dict[str, Any]:
    """What must not change in a HEAD's answer."""
    encryption = {"ServerSideEncryption", "SSEKMSKeyId", "BucketKeyEnabled"}
    return {name: value for name, value in head.items() if name not in encryption}


@pytest.mark.parametrize("before", ["plain", "AES256", "aws:kms"])
def test_the_key_changes_and_nothing_else(before: str) -> None:
    @told
    async def story(world: World) -> None:
        await world.call("s3", "create_bucket", Bucket="bucket")
        first, second = await key(world), await key(world)
        asked = {} if before == "plain" else {"ServerSideEncryption": before}
        if before == "aws:kms":
            asked["SSEKMSKeyId"] = first["Arn"]
        for body in BODIES:
            await call(world, "put_object", Body=body, StorageClass="STANDARD_IA", **asked)
            await call(
                world, "put_object_annotation", AnnotationName="n", AnnotationPayload=body or b"t"
            )
            head = await call(world, "head_object")
            await world.advance(hours=1)
            await update(world, second["Arn"], BucketKeyEnabled=True)
            again = await call(world, "head_object")
            assert await unchanged(again) == await unchanged(head)
            assert (again["ServerSideEncryption"], again["SSEKMSKeyId"]) == (
                "aws:kms",
                second["Arn"],
            )
            assert again["BucketKeyEnabled"] is True
            assert await read(world) == body
            await world.call("kms", "disable_key", KeyId=first["KeyId"])
            await world.advance(hours=1)
            assert await read(world) == body, "the old key is not needed any more"
            got = await call(world, "get_object_annotation", AnnotationName="n")
            assert await content(got["AnnotationPayload"]) == (body or b"t")
            await world.call("kms", "enable_key", KeyId=first["KeyId"])
            await world.call("kms", "disable_key", KeyId=second["KeyId"])
            if body:
                assert (await refusal(read(world)))[0] == "KMS.DisabledException"
            await world.call("kms", "enable_key", KeyId=second["KeyId"])

    story()


@told
async def test_parts_stay_parts(world: World) -> None:
    await world.call("s3", "create_bucket", Bucket="bucket")
    made = await key(world)
    begun = await call(world, "create_multipart_upload")
    parts = []
    for number, body in enumerate((b"a" * FIVE, b"b" * 10), 1):
        part = await call(
            world, "upload_part", UploadId=begun["UploadId"], PartNumber=number, Body=body
        )
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    done = await call(
        world,
        "complete_multipart_upload",
        UploadId=begun["UploadId"],
        MultipartUpload={"Parts": parts},
    )
    await update(world, made["Arn"])
    await world.advance(hours=1)
    assert await read(world, PartNumber=2) == b"b" * 10
    assert await read(world, Range=f"bytes={FIVE - 2}-{FIVE + 1}") == b"aabb"
    assert (await call(world, "head_object"))["ETag"] == done["ETag"]
    for blob in world.cloud.blobs.ids():
        assert b"aaaaaaaaaaaaaaaa" not in world.cloud.blobs.path(blob).read_bytes()


@told
async def test_what_may_not_be_updated_is_refused_in_s3s_words(world: World) -> None:
    await world.call("s3", "create_bucket", Bucket="bucket", ObjectLockEnabledForBucket=True)
    made = await key(world)
    assert (await refusal(update(world, made["Arn"])))[0] == "NoSuchKey"
    secret = b"k" * 32
    customer = {
        "SSECustomerAlgorithm": "AES256",
        "SSECustomerKey": base64.b64encode(secret).decode(),
        "SSECustomerKeyMD5": base64.b64encode(hashlib.md5(secret).digest()).decode(),
    }
    text = (
        "The UpdateObjectEncryption operation doesn't support source objects with the encryption "
        "type DSSE-KMS or SSE-C. Only source objects encrypted with SSE-S3 or SSE-KMS are "
        "supported."
    )
    for asked in (customer, {"ServerSideEncryption": "aws:kms:dsse"}):
        await call(world, "put_object", Body=b"milk", **asked)
        assert await refusal(update(world, made["Arn"])) == ("InvalidRequest", text)
    await call(world, "put_object", Body=b"milk")
    elsewhere = made["Arn"].replace(":000000000000:", f":{OTHER}:")
    code, text = await refusal(update(world, elsewhere))
    assert code == "AccessDenied"
    assert text.startswith("The Amazon Web Services KMS key in the request must be owned by")
    code, text = await refusal(call(world, "update_object_encryption", ObjectEncryption={}))
    assert (code, "Valid values are SSEKMS" in text) == ("InvalidRequest", True)
    await call(world, "put_object_legal_hold", LegalHold={"Status": "ON"})
    code, text = await refusal(update(world, made["Arn"]))
    assert (code, "S3 Object Lock" in text) == ("AccessDenied", True)
    assert (await call(world, "head_object"))["ServerSideEncryption"] == "AES256"


@told
async def test_both_the_action_and_the_keys_must_be_allowed(world: World) -> None:
    await world.call("s3", "create_bucket", Bucket="bucket")
    made, other = await key(world), await key(world)
    await call(
        world,
        "put_object",
        Body=b"milk",
        ServerSideEncryption="aws:kms",
        SSEKMSKeyId=made["Arn"],
    )
    keys = [made["Arn"], other["Arn"]]
    everything_else = await user(world, "one", allow("kms:*", keys), allow("s3:PutObject"))
    assert (await refusal(update(world, other["Arn"], caller=everything_else)))[0].startswith(
        "AccessDenied"
    )
    only_new = await user(
        world, "two", allow("s3:UpdateObjectEncryption"), allow("kms:*", other["Arn"])
    )
    assert (await refusal(update(world, other["Arn"], caller=only_new)))[0].startswith(
        "AccessDenied"
    )
    both = await user(world, "three", allow("s3:UpdateObjectEncryption"), allow("kms:*", keys))
    await update(world, other["Arn"], caller=both)
    assert (await call(world, "head_object"))["SSEKMSKeyId"] == other["Arn"]


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with Cloud() as running:
        yield running


def test_a_real_client_updates_an_older_version(cloud: Cloud) -> None:
    from botocore.config import Config

    account = cloud.account()
    s3 = account.client("s3", config=Config(s3={"addressing_style": "path"}))
    arn = account.client("kms").create_key()["KeyMetadata"]["Arn"]
    s3.create_bucket(Bucket="keys")
    s3.put_bucket_versioning(Bucket="keys", VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket="keys", Key="k", Body=b"one")["VersionId"]
    s3.put_object(Bucket="keys", Key="k", Body=b"two")
    s3.update_object_encryption(
        Bucket="keys",
        Key="k",
        VersionId=first,
        ObjectEncryption={"SSEKMS": {"KMSKeyArn": arn}},
    )
    old = s3.get_object(Bucket="keys", Key="k", VersionId=first)
    assert (old["SSEKMSKeyId"], old["Body"].read()) == (arn, b"one")
    assert "SSEKMSKeyId" not in s3.head_object(Bucket="keys", Key="k")
