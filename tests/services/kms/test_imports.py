"""Imported material: brought, expired, taken away and brought again."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from doppio.services.kms import pairs
from tests.services.events.test_heeding import events, listens
from tests.services.kms.helpers import allow, key, user
from tests.services.world import REGION, World, refusal, run, told

SECRET = bytes(range(32))
OTHER_SECRET = bytes(range(32, 64))
FOR_EVER = {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}
_AES = b"k" * 32


def wrapped(public: bytes, algorithm: str, material: bytes) -> bytes:
    """Material as somebody outside wraps it."""
    half: Any = serialization.load_der_public_key(public)
    digest = hashes.SHA256() if algorithm.endswith("256") else hashes.SHA1()
    oaep = padding.OAEP(padding.MGF1(digest), digest, None)
    if algorithm.startswith("RSA_AES"):
        sealed: bytes = half.encrypt(_AES, oaep)
        return sealed + keywrap.aes_key_wrap_with_padding(_AES, material)
    direct: bytes = half.encrypt(material, oaep)
    return direct


async def parameters(
    world: World, key_id: str, algorithm: str = "RSAES_OAEP_SHA_256", **more: Any
) -> Any:
    """A wrapping key and its token."""
    asked = {"KeyId": key_id, "WrappingAlgorithm": algorithm, "WrappingKeySpec": "RSA_2048"}
    return await world.call("kms", "get_parameters_for_import", **{**asked, **more})


async def bring(
    world: World,
    key_id: str,
    material: bytes = SECRET,
    algorithm: str = "RSAES_OAEP_SHA_256",
    region: str = REGION,
    **req: Any,
) -> Any:
    """Import material, for ever if nothing else is said."""
    found = await parameters(world, key_id, algorithm, region=region)
    return await world.call(
        "kms",
        "import_key_material",
        region=region,
        KeyId=key_id,
        ImportToken=found["ImportToken"],
        EncryptedKeyMaterial=wrapped(found["PublicKey"], algorithm, material),
        **(req if "ValidTo" in req else {**FOR_EVER, **req}),
    )


async def state(world: World, key_id: str, region: str = REGION) -> str:
    """A key's state."""
    found = await world.call("kms", "describe_key", KeyId=key_id, region=region)
    said: str = found["KeyMetadata"]["KeyState"]
    return said


@pytest.mark.parametrize(
    "algorithm",
    [
        "RSAES_OAEP_SHA_1",
        "RSAES_OAEP_SHA_256",
        "RSA_AES_KEY_WRAP_SHA_1",
        "RSA_AES_KEY_WRAP_SHA_256",
    ],
)
def test_material_comes_wrapped_in_each_way(algorithm: str) -> None:
    async def story(world: World) -> None:
        made = await key(world, Origin="EXTERNAL")
        assert (made["KeyState"], made["Origin"]) == ("PendingImport", "EXTERNAL")
        name = made["KeyId"]
        early = world.call("kms", "encrypt", KeyId=name, Plaintext=b"x")
        assert await refusal(early) == (
            "KMSInvalidStateException",
            f"{made['Arn']} is pending import.",
        )
        await bring(world, name, algorithm=algorithm)
        found = (await world.call("kms", "describe_key", KeyId=name))["KeyMetadata"]
        assert found["KeyState"] == "Enabled"
        assert found["ExpirationModel"] == "KEY_MATERIAL_DOES_NOT_EXPIRE"
        blob = (await world.call("kms", "encrypt", KeyId=name, Plaintext=b"x"))["CiphertextBlob"]
        assert (await world.call("kms", "decrypt", CiphertextBlob=blob))["Plaintext"] == b"x"

    run(story)


@pytest.mark.parametrize(
    ("spec", "usage"),
    [
        ("HMAC_256", "GENERATE_VERIFY_MAC"),
        ("ECC_NIST_P384", "SIGN_VERIFY"),
        ("RSA_2048", "SIGN_VERIFY"),
        ("ECC_NIST_EDWARDS25519", "SIGN_VERIFY"),
        ("ML_DSA_44", "SIGN_VERIFY"),
        ("ML_KEM_768", "ENCAPSULATE_DECAPSULATE"),
    ],
)
def test_other_kinds_of_keys_are_imported_once_and_for_all(spec: str, usage: str) -> None:
    async def story(world: World) -> None:
        made = await key(world, Origin="EXTERNAL", KeySpec=spec, KeyUsage=usage)
        name = made["KeyId"]
        pair = None if spec.startswith("HMAC") else pairs.new_pair(spec)
        material = SECRET if pair is None else pair.private
        told_of = await bring(world, name, material, "RSA_AES_KEY_WRAP_SHA_256")
        assert "KeyMaterialId" not in told_of
        if pair is not None:
            half = (await world.call("kms", "get_public_key", KeyId=name))["PublicKey"]
            assert half == pair.public
        await world.call("kms", "delete_imported_key_material", KeyId=name)
        assert await state(world, name) == "PendingImport"
        other = OTHER_SECRET if pair is None else pairs.new_pair(spec).private
        wrong = bring(world, name, other, "RSA_AES_KEY_WRAP_SHA_256")
        assert (await refusal(wrong))[0] == "IncorrectKeyMaterialException"
        await bring(world, name, material, "RSA_AES_KEY_WRAP_SHA_256")
        assert await state(world, name) == "Enabled"

    run(story)


@told
async def test_wrappings_that_cannot_be_are_refused(world: World) -> None:
    secret = (await key(world, Origin="EXTERNAL"))["KeyId"]
    pair = (await key(world, Origin="EXTERNAL", KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY"))[
        "KeyId"
    ]
    curve = (await key(world, Origin="EXTERNAL", KeySpec="ECC_NIST_P521", KeyUsage="SIGN_VERIFY"))[
        "KeyId"
    ]
    own = (await key(world))["KeyId"]
    for name, algorithm in (
        (secret, "RSAES_PKCS1_V1_5"),
        (secret, "SM2PKE"),
        (pair, "RSAES_OAEP_SHA_256"),
        (curve, "RSAES_OAEP_SHA_256"),
        (own, "RSAES_OAEP_SHA_256"),
    ):
        assert (await refusal(parameters(world, name, algorithm)))[0] == (
            "UnsupportedOperationException"
        )
    for size in (16, 31, 33):
        wrong = bring(world, secret, b"x" * size)
        assert (await refusal(wrong))[0] == "IncorrectKeyMaterialException"


@told
async def test_a_token_is_for_its_key_and_for_a_day(world: World) -> None:
    one, two = [(await key(world, Origin="EXTERNAL"))["KeyId"] for _ in "12"]
    found = await parameters(world, one)
    assert (found["ParametersValidTo"] - world.now).total_seconds() == 24 * 3600
    blob = wrapped(found["PublicKey"], "RSAES_OAEP_SHA_256", SECRET)
    asked = {"KeyId": one, "EncryptedKeyMaterial": blob, "ImportToken": found["ImportToken"]}

    async def code(**changed: Any) -> str:
        call = world.call("kms", "import_key_material", **{**asked, **FOR_EVER, **changed})
        return (await refusal(call))[0]

    assert await code(KeyId=two) == "InvalidImportTokenException"
    assert await code(ImportToken=b"forged" * 10) == "InvalidImportTokenException"
    assert await code(EncryptedKeyMaterial=blob[:-1] + b"x") == "InvalidCiphertextException"
    assert await code(ExpirationModel="KEY_MATERIAL_EXPIRES") == "ValidationException"
    assert await code(ValidTo=world.now) == "ValidationException"
    await world.advance(hours=24)
    assert await code() == "ExpiredImportTokenException"


@told
async def test_material_expires_on_the_clock_and_the_same_comes_back(world: World) -> None:
    name = (await key(world, Origin="EXTERNAL"))["KeyId"]
    until = world.now.replace(year=2030, month=3)
    await bring(world, name, ValidTo=until)
    found = (await world.call("kms", "describe_key", KeyId=name))["KeyMetadata"]
    assert (found["ExpirationModel"], found["ValidTo"]) == ("KEY_MATERIAL_EXPIRES", until)
    blob = (await world.call("kms", "encrypt", KeyId=name, Plaintext=b"x"))["CiphertextBlob"]
    await world.advance(days=58)
    assert await state(world, name) == "Enabled"
    await world.advance(days=2)
    assert await state(world, name) == "PendingImport"
    call = world.call("kms", "decrypt", CiphertextBlob=blob)
    assert (await refusal(call))[0] == "KMSInvalidStateException"
    assert (await refusal(bring(world, name, OTHER_SECRET)))[0] == ("IncorrectKeyMaterialException")
    await bring(world, name)
    assert (await world.call("kms", "decrypt", CiphertextBlob=blob))["Plaintext"] == b"x"
    # Brought again for ever, it stays.
    await world.advance(days=1000)
    assert await state(world, name) == "Enabled"


@told
async def test_new_material_waits_for_a_rotation(world: World) -> None:
    name = (await key(world, Origin="EXTERNAL"))["KeyId"]
    call = world.call("kms", "rotate_key_on_demand", KeyId=name)
    assert (await refusal(call))[0] == "KMSInvalidStateException"
    first = (await bring(world, name, KeyMaterialDescription="one"))["KeyMaterialId"]
    old = (await world.call("kms", "encrypt", KeyId=name, Plaintext=b"old"))["CiphertextBlob"]
    assert (await refusal(bring(world, name, ImportType="NEW_KEY_MATERIAL")))[0] == (
        "IncorrectKeyMaterialException"
    )
    second = (await bring(world, name, OTHER_SECRET, ImportType="NEW_KEY_MATERIAL"))[
        "KeyMaterialId"
    ]
    third = bring(world, name, b"3" * 32, ImportType="NEW_KEY_MATERIAL")
    assert (await refusal(third))[0] == "KMSInvalidStateException"
    asked = {"KeyId": name, "IncludeKeyMaterial": "ALL_KEY_MATERIAL"}
    rotations = (await world.call("kms", "list_key_rotations", **asked))["Rotations"]
    assert [(one["KeyMaterialId"], one["KeyMaterialState"]) for one in rotations] == [
        (first, "CURRENT"),
        (second, "PENDING_ROTATION"),
    ]
    assert rotations[0]["KeyMaterialDescription"] == "one"
    assert (await world.call("kms", "encrypt", KeyId=name, Plaintext=b"x"))["CiphertextBlob"]
    await world.call("kms", "rotate_key_on_demand", KeyId=name)
    new = (await world.call("kms", "encrypt", KeyId=name, Plaintext=b"new"))["CiphertextBlob"]
    for blob, material, plaintext in ((old, first, b"old"), (new, second, b"new")):
        found = await world.call("kms", "decrypt", CiphertextBlob=blob)
        assert (found["KeyMaterialId"], found["Plaintext"]) == (material, plaintext)
    # One of two is gone: the key is of no use until it is back.
    await world.call("kms", "delete_imported_key_material", KeyId=name, KeyMaterialId=first)
    rotations = (await world.call("kms", "list_key_rotations", **asked))["Rotations"]
    assert [one["ImportState"] for one in rotations] == ["PENDING_IMPORT", "IMPORTED"]
    assert await state(world, name) == "PendingImport"
    await bring(world, name, KeyMaterialId=first)
    assert await state(world, name) == "Enabled"
    call = world.call("kms", "enable_key_rotation", KeyId=name)
    assert (await refusal(call))[0] == "UnsupportedOperationException"


@told
async def test_material_of_a_key_that_waits_for_its_deletion_may_go(world: World) -> None:
    name = (await key(world, Origin="EXTERNAL"))["KeyId"]
    await bring(world, name)
    await world.call("kms", "schedule_key_deletion", KeyId=name, PendingWindowInDays=7)
    await world.call("kms", "delete_imported_key_material", KeyId=name)
    assert await state(world, name) == "PendingDeletion"
    assert (await refusal(bring(world, name)))[0] == "KMSInvalidStateException"
    await world.call("kms", "cancel_key_deletion", KeyId=name)
    assert await state(world, name) == "PendingImport"


@told
async def test_a_policy_says_how_material_may_come(world: World) -> None:
    name = (await key(world, Origin="EXTERNAL"))["KeyId"]
    right = {"kms:WrappingAlgorithm": "RSAES_OAEP_SHA_256", "kms:WrappingKeySpec": "RSA_3072"}
    ann = await user(world, "ann", allow("kms:*", Condition={"StringEquals": right}))
    call = parameters(world, name, caller=ann)
    assert (await refusal(call))[0] == "AccessDeniedException"
    await parameters(world, name, caller=ann, WrappingKeySpec="RSA_3072")
    short = {"DateLessThan": {"kms:ValidTo": "2030-02-01T00:00:00Z"}}
    bob = await user(world, "bob", allow("kms:*", Condition=short))
    far = bring(world, name, caller=bob, ValidTo=world.now.replace(month=3))
    assert (await refusal(far))[0] == "AccessDeniedException"


@told
async def test_material_outlives_a_crash(world: World) -> None:
    name = (await key(world, Origin="EXTERNAL"))["KeyId"]
    found = await parameters(world, name)
    await bring(world, name, ValidTo=world.now.replace(month=2))
    blob = (await world.call("kms", "encrypt", KeyId=name, Plaintext=b"x"))["CiphertextBlob"]
    after = world.again()
    await after.start()
    assert (await after.call("kms", "decrypt", CiphertextBlob=blob))["Plaintext"] == b"x"
    # The token of before is as good as it was: nothing of it was kept.
    await after.call(
        "kms", "import_key_material", KeyId=name, ImportToken=found["ImportToken"],
        EncryptedKeyMaterial=wrapped(found["PublicKey"], "RSAES_OAEP_SHA_256", SECRET),
        ValidTo=after.now.replace(month=2),
    )  # fmt: skip
    await after.advance(days=32)
    assert await state(after, name) == "PendingImport"
    await after.close()


@told
async def test_material_that_expires_is_told_of(world: World) -> None:
    to = await listens(world, **{"source": ["aws.kms"], "detail-type": [{"prefix": "KMS"}]})
    name = (await key(world, Origin="EXTERNAL"))["KeyId"]
    await bring(world, name, ValidTo=world.now.replace(month=2))
    assert await events(world, to) == []
    await world.advance(days=32)
    (event,) = await events(world, to)
    assert event["detail-type"] == "KMS Imported Key Material Expiration"
    assert event["detail"] == {"key-id": name}
