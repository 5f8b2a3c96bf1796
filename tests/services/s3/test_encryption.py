"""Objects that are ciphertext on disk: with S3's keys and with customers'."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from doppio.services.s3.limits import PART_BYTES_MIN
from doppio.wire.errors import AwsError
from tests.services.s3.world import World, content, refused, told

KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))
LARGE = b"a recipe that nobody may read " * 10_000


def customer(key: bytes = KEY, of: str = "") -> dict[str, str]:
    """The members that bring a customer's key."""
    return {
        f"{of}SSECustomerAlgorithm": "AES256",
        f"{of}SSECustomerKey": base64.b64encode(key).decode(),
        f"{of}SSECustomerKeyMD5": base64.b64encode(hashlib.md5(key).digest()).decode(),
    }


def on_disk(world: World) -> bytes:
    """All that files and rows hold."""
    files = [world.blobs.path(blob).read_bytes() for blob in world.files()]
    return b"".join([*files, *(value for value in world.memory.disk.values() if value)])


async def default(world: World, algorithm: str = "AES256", **rule: Any) -> None:
    """Set the bucket's default encryption."""
    applied = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": algorithm}, **rule}
    await world.s3(
        "put_bucket_encryption",
        Bucket="bucket",
        ServerSideEncryptionConfiguration={"Rules": [applied]},
    )


async def get(world: World, key: str = "k", **req: Any) -> Any:
    """GetObject's result, with the bytes read."""
    result = dict(await world.s3("get_object", Bucket="bucket", Key=key, **req))
    result["Body"] = await content(result["Body"])
    return result


def code_and_text(error: AwsError) -> tuple[str, str]:
    return error.code, error.message


@told
async def test_what_asks_for_encryption_is_ciphertext_on_disk(world: World) -> None:
    await world.bucket()
    for name, body in (("small", b"a recipe"), ("row", LARGE[:20_000]), ("file", LARGE)):
        put = await world.put(name, body, ServerSideEncryption="AES256")
        assert put["ServerSideEncryption"] == "AES256"
        assert put["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
        got = await get(world, name)
        assert got["Body"] == body
        assert got["ServerSideEncryption"] == "AES256"
        assert got["ContentLength"] == len(body)
    assert b"recipe" not in on_disk(world)
    await world.put("plain", b"a recipe")
    assert b"recipe" in on_disk(world)


@told
async def test_the_default_of_a_bucket_seals_what_comes_after(world: World) -> None:
    await world.bucket()
    await default(world)
    await world.put("small", b"a recipe")
    await world.put("file", LARGE)
    assert b"recipe" not in on_disk(world)
    assert (await get(world, "small"))["Body"] == b"a recipe"
    assert (await get(world, "file"))["Body"] == LARGE


@told
async def test_a_range_of_a_sealed_object_is_that_range(world: World) -> None:
    await world.bucket()
    await world.put("k", LARGE, ServerSideEncryption="AES256")
    for first, last in ((0, 0), (65_530, 65_550), (131_072, 299_999), (299_999, 299_999)):
        got = await get(world, Range=f"bytes={first}-{last}")
        assert got["Body"] == LARGE[first : last + 1]
        assert got["ContentRange"] == f"bytes {first}-{last}/{len(LARGE)}"


@told
async def test_a_customers_key_opens_its_object_and_no_other_does(world: World) -> None:
    await world.bucket()
    put = await world.put("k", LARGE, **customer())
    assert put["SSECustomerKeyMD5"] == customer()["SSECustomerKeyMD5"]
    assert "ServerSideEncryption" not in put
    assert put["ETag"] != f'"{hashlib.md5(LARGE).hexdigest()}"'
    got = await get(world, **customer())
    assert got["Body"] == LARGE
    assert got["SSECustomerAlgorithm"] == "AES256"
    wrong = await refused(get(world, **customer(OTHER_KEY)))
    assert (wrong.code, wrong.status) == ("AccessDenied", 403)
    for method in ("get_object", "head_object"):
        none = await refused(world.s3(method, Bucket="bucket", Key="k"))
        assert code_and_text(none) == (
            "InvalidRequest",
            (
                "The object was stored using a form of Server Side Encryption. The correct "
                "parameters must be provided to retrieve the object."
            ),
        )
    head = await world.s3("head_object", Bucket="bucket", Key="k", **customer())
    assert head["ContentLength"] == len(LARGE)
    assert KEY not in on_disk(world)
    assert b"recipe" not in on_disk(world)


@told
async def test_a_key_for_what_is_not_a_customers_is_refused(world: World) -> None:
    await world.bucket()
    await world.put("plain", b"x")
    await world.put("own", b"x", ServerSideEncryption="AES256")
    for key in ("plain", "own"):
        error = await refused(get(world, key, **customer()))
        assert code_and_text(error) == (
            "InvalidRequest",
            "The encryption parameters are not applicable to this object.",
        )


@told
async def test_half_a_customers_key_is_refused(world: World) -> None:
    await world.bucket()
    whole = customer()
    cases = {
        "SSECustomerAlgorithm": "Requests specifying Server Side Encryption with Customer provided "
        "keys must provide a valid encryption algorithm.",
        "SSECustomerKey": "Requests specifying Server Side Encryption with Customer provided keys "
        "must provide an appropriate secret key.",
        "SSECustomerKeyMD5": "Requests specifying Server Side Encryption with Customer provided "
        "keys must provide the client calculated MD5 of the secret key.",
    }
    for missing, text in cases.items():
        rest = {name: value for name, value in whole.items() if name != missing}
        error = await refused(world.put("k", b"x", **rest))
        assert code_and_text(error) == ("InvalidArgument", text)
    error = await refused(world.put("k", b"x", **{**whole, "SSECustomerKey": "AAAA"}))
    assert error.message == "The secret key was invalid for the specified algorithm."
    md5 = customer(OTHER_KEY)["SSECustomerKeyMD5"]
    error = await refused(world.put("k", b"x", **{**whole, "SSECustomerKeyMD5": md5}))
    assert error.message == (
        "The calculated MD5 hash of the key did not match the hash that was provided."
    )
    error = await refused(world.put("k", b"x", **{**whole, "SSECustomerAlgorithm": "AES128"}))
    assert error.code == "InvalidEncryptionAlgorithmError"
    error = await refused(world.put("k", b"x", **whole, ServerSideEncryption="AES256"))
    assert error.message == (
        "Server Side Encryption with Customer provided key is incompatible with the encryption "
        "method specified"
    )
    assert not world.files()


@told
async def test_an_unknown_method_of_encryption_is_refused(world: World) -> None:
    await world.bucket()
    error = await refused(world.put("k", b"x", ServerSideEncryption="ROT13"))
    assert code_and_text(error) == (
        "InvalidArgument",
        "The encryption method specified is not supported",
    )
    error = await refused(world.put("k", b"x", SSEKMSKeyId="alias/mine"))
    assert error.message == (
        "Server Side Encryption with AWS KMS managed key requires HTTP header "
        "x-amz-server-side-encryption : aws:kms"
    )


@told
async def test_a_bucket_may_block_customers_keys(world: World) -> None:
    await world.bucket()
    await default(world, BlockedEncryptionTypes={"EncryptionType": ["SSE-C"]})
    assert (await refused(world.put("k", b"x", **customer()))).code == "AccessDenied"
    await world.put("k", b"x")


@told
async def test_parts_of_an_upload_are_sealed_as_it_began(world: World) -> None:
    await world.bucket()
    begun = await world.s3("create_multipart_upload", Bucket="bucket", Key="k", **customer())
    assert begun["SSECustomerAlgorithm"] == "AES256"
    same = {"Bucket": "bucket", "Key": "k", "UploadId": begun["UploadId"]}
    bodies = [b"a recipe" * (PART_BYTES_MIN // 8), b"the end"]
    error = await refused(world.s3("upload_part", **same, PartNumber=1, Body=bodies[0]))
    assert error.message.startswith("The multipart upload initiate requested encryption.")
    error = await refused(
        world.s3("upload_part", **same, PartNumber=1, Body=bodies[0], **customer(OTHER_KEY))
    )
    assert error.message == (
        "The provided encryption parameters did not match the ones used originally."
    )
    parts = [
        {
            "PartNumber": number,
            "ETag": (
                await world.s3("upload_part", **same, PartNumber=number, Body=body, **customer())
            )["ETag"],
        }
        for number, body in enumerate(bodies, 1)
    ]
    done = await world.s3("complete_multipart_upload", **same, MultipartUpload={"Parts": parts})
    assert done["SSECustomerAlgorithm"] == "AES256"
    whole = b"".join(bodies)
    assert (await get(world, **customer()))["Body"] == whole
    edge = PART_BYTES_MIN
    got = await get(world, Range=f"bytes={edge - 3}-{edge + 2}", **customer())
    assert got["Body"] == whole[edge - 3 : edge + 3]
    assert (await get(world, PartNumber=2, **customer()))["Body"] == b"the end"
    assert b"recipe" not in on_disk(world)


@told
async def test_a_copy_takes_its_own_encryption(world: World) -> None:
    await world.bucket()
    await world.put("plain", LARGE, Metadata={"a": "b"})
    await world.put("mine", LARGE, **customer(), ContentType="text/plain")

    async def copy(source: str, to: str, **req: Any) -> Any:
        return await world.s3(
            "copy_object", Bucket="bucket", Key=to, CopySource=f"bucket/{source}", **req
        )

    error = await refused(copy("mine", "open"))
    assert error.message.startswith("The object was stored using a form of Server Side Encryption")
    await copy("mine", "open", **customer(of="CopySource"))
    opened = await get(world, "open")
    assert opened["Body"] == LARGE
    assert opened["ContentType"] == "text/plain"
    assert opened["ETag"] == f'"{hashlib.md5(LARGE).hexdigest()}"'
    await copy("mine", "rekeyed", **customer(of="CopySource"), **customer(OTHER_KEY))
    assert (await get(world, "rekeyed", **customer(OTHER_KEY)))["Body"] == LARGE
    await copy("plain", "closed", ServerSideEncryption="AES256")
    closed = await get(world, "closed")
    assert (closed["Body"], closed["Metadata"]) == (LARGE, {"a": "b"})
    # An object may be copied onto itself to be sealed.
    await copy("plain", "plain", ServerSideEncryption="AES256")
    await world.s3("delete_object", Bucket="bucket", Key="open")
    assert (await get(world, "plain"))["Body"] == LARGE


@told
async def test_parts_may_be_copied_from_sealed_objects(world: World) -> None:
    await world.bucket()
    await world.put("mine", LARGE, **customer())
    begun = await world.s3(
        "create_multipart_upload", Bucket="bucket", Key="k", ServerSideEncryption="AES256"
    )
    same = {"Bucket": "bucket", "Key": "k", "UploadId": begun["UploadId"]}
    part = await world.s3(
        "upload_part_copy",
        **same,
        PartNumber=1,
        CopySource="bucket/mine",
        CopySourceRange="bytes=100-199999",
        **customer(of="CopySource"),
    )
    await world.s3(
        "complete_multipart_upload",
        **same,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["CopyPartResult"]["ETag"]}]},
    )
    assert (await get(world))["Body"] == LARGE[100:200_000]


@told
async def test_attributes_of_a_customers_object_take_its_key(world: World) -> None:
    await world.bucket()
    await world.put("k", b"x", **customer())
    asked = {"Bucket": "bucket", "Key": "k", "ObjectAttributes": ["ObjectSize"]}
    assert (await refused(world.s3("get_object_attributes", **asked))).code == "InvalidRequest"
    assert (await world.s3("get_object_attributes", **asked, **customer()))["ObjectSize"] == 1
