"""Objects under KMS's keys: who may not use the key may not read the object."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from tests.services.kms.helpers import allow, key, key_policy, user
from tests.services.world import ACCOUNT, World, refusal, told

LARGE = b"a recipe that nobody may read " * 10_000


async def put(world: World, name: str, body: bytes = LARGE, **req: Any) -> dict[str, Any]:
    """PutObject."""
    answer: dict[str, Any] = await world.call(
        "s3", "put_object", Bucket="bucket", Key=name, Body=body, **req
    )
    return answer


async def body_of(world: World, name: str, **req: Any) -> bytes:
    """The bytes of GetObject's answer."""
    body = (await world.call("s3", "get_object", Bucket="bucket", Key=name, **req))["Body"]
    if isinstance(body, bytes):
        return body
    return b"".join([bytes(chunk) async for chunk in body])


@told
async def test_an_object_under_a_key_says_so_and_is_read_by_it(world: World) -> None:
    await world.call("s3", "create_bucket", Bucket="bucket")
    made = await key(world)
    for kind in ("aws:kms", "aws:kms:dsse"):
        answer = await put(world, "k", ServerSideEncryption=kind, SSEKMSKeyId=made["KeyId"])
        assert (answer["ServerSideEncryption"], answer["SSEKMSKeyId"]) == (kind, made["Arn"])
        assert answer["ETag"] != f'"{hashlib.md5(LARGE).hexdigest()}"'
        assert await body_of(world, "k") == LARGE
        assert await body_of(world, "k", Range="bytes=70000-70009") == LARGE[70000:70010]
    await world.call("kms", "disable_key", KeyId=made["KeyId"])
    head = await world.call("s3", "head_object", Bucket="bucket", Key="k")
    assert head["SSEKMSKeyId"] == made["Arn"]
    assert await refusal(body_of(world, "k")) == (
        "KMS.DisabledException",
        f"{made['Arn']} is disabled.",
    )
    call = put(world, "k", ServerSideEncryption="aws:kms", SSEKMSKeyId="alias/none")
    assert (await refusal(call))[0] == "KMS.NotFoundException"


@told
async def test_the_bucket_may_ask_for_keys_by_default(world: World) -> None:
    await world.call("s3", "create_bucket", Bucket="bucket")
    made = await key(world)
    rule = {
        "ApplyServerSideEncryptionByDefault": {
            "SSEAlgorithm": "aws:kms",
            "KMSMasterKeyID": made["Arn"],
        },
        "BucketKeyEnabled": True,
    }
    await world.call(
        "s3",
        "put_bucket_encryption",
        Bucket="bucket",
        ServerSideEncryptionConfiguration={"Rules": [rule]},
    )
    answer = await put(world, "small", b"a recipe")
    assert (answer["SSEKMSKeyId"], answer["BucketKeyEnabled"]) == (made["Arn"], True)
    assert await body_of(world, "small") == b"a recipe"


@told
async def test_without_a_key_named_it_is_the_one_that_aws_manages(world: World) -> None:
    await world.call("s3", "create_bucket", Bucket="bucket")
    answer = await put(world, "k", b"x", ServerSideEncryption="aws:kms")
    found = await world.call("kms", "describe_key", KeyId="alias/aws/s3")
    assert found["KeyMetadata"]["Arn"] == answer["SSEKMSKeyId"]
    assert found["KeyMetadata"]["KeyManager"] == "AWS"
    assert await body_of(world, "k") == b"x"
    # By itself nobody may use it: it is S3's.
    call = world.call("kms", "encrypt", KeyId="alias/aws/s3", Plaintext=b"x")
    assert (await refusal(call))[0] == "AccessDeniedException"


@told
async def test_who_may_not_use_the_key_may_not_read_the_object(world: World) -> None:
    await world.call("s3", "create_bucket", Bucket="bucket")
    through = allow(
        "kms:*",
        Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:user/trusted"},
        Condition={"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}},
    )
    barista = await user(world, "barista", allow("s3:*"))
    trusted = await user(world, "trusted", allow("s3:*"))
    made = await key(world, Policy=key_policy(through))
    await put(world, "k", b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=made["Arn"])
    assert (await refusal(body_of(world, "k", caller=barista)))[0] == "AccessDeniedException"
    assert await body_of(world, "k", caller=trusted) == b"x"
    call = world.call(
        "kms", "generate_data_key", caller=trusted, KeyId=made["Arn"], KeySpec="AES_256"
    )
    assert (await refusal(call))[0] == "AccessDeniedException"


@told
async def test_key_policies_see_which_object_it_is(world: World) -> None:
    await world.call("s3", "create_bucket", Bucket="bucket")
    only = allow(
        "kms:Decrypt",
        Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:user/barista"},
        Condition={
            "StringEquals": {"kms:EncryptionContext:aws:s3:arn": "arn:aws:s3:::bucket/menu"}
        },
    )
    barista = await user(world, "barista", allow("s3:*"))
    made = await key(world, Policy=key_policy(only))
    given = base64.b64encode(json.dumps({"shop": "north"}).encode()).decode()
    for name in ("menu", "till"):
        answer = await put(
            world,
            name,
            b"x",
            ServerSideEncryption="aws:kms",
            SSEKMSKeyId=made["Arn"],
            SSEKMSEncryptionContext=given,
        )
        assert answer["SSEKMSEncryptionContext"] == given
    assert await body_of(world, "menu", caller=barista) == b"x"
    assert (await refusal(body_of(world, "till", caller=barista)))[0] == "AccessDeniedException"


@told
async def test_a_copy_is_sealed_anew_under_its_own_key(world: World) -> None:
    await world.call("s3", "create_bucket", Bucket="bucket")
    one, two = await key(world), await key(world)
    await put(world, "k", ServerSideEncryption="aws:kms", SSEKMSKeyId=one["Arn"])
    await world.call(
        "s3",
        "copy_object",
        Bucket="bucket",
        Key="c",
        CopySource="bucket/k",
        ServerSideEncryption="aws:kms",
        SSEKMSKeyId=two["Arn"],
    )
    await world.call("kms", "disable_key", KeyId=one["KeyId"])
    assert await body_of(world, "c") == LARGE
