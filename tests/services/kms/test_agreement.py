"""Secrets that two sides share, and for what a key was used last."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.services.kms.helpers import key
from tests.services.world import START, World, refusal, run, told


@pytest.mark.parametrize(
    ("spec", "curve"), [("ECC_NIST_P256", ec.SECP256R1()), ("ECC_NIST_P521", ec.SECP521R1())]
)
def test_both_sides_agree_on_one_secret(spec: str, curve: ec.EllipticCurve) -> None:
    async def story(world: World) -> None:
        made = await key(world, KeySpec=spec, KeyUsage="KEY_AGREEMENT")
        assert made["KeyAgreementAlgorithms"] == ["ECDH"]
        name = {"KeyId": made["KeyId"]}
        ours: Any = serialization.load_der_public_key(
            (await world.call("kms", "get_public_key", **name))["PublicKey"]
        )
        theirs = ec.generate_private_key(curve)
        half = theirs.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        asked = {**name, "KeyAgreementAlgorithm": "ECDH"}
        found = await world.call("kms", "derive_shared_secret", **asked, PublicKey=half)
        assert found["SharedSecret"] == theirs.exchange(ec.ECDH(), ours)
        assert found["KeyOrigin"] == "AWS_KMS"
        for wrong in (b"no key", _half(ec.SECP384R1())):
            call = world.call("kms", "derive_shared_secret", **asked, PublicKey=wrong)
            assert (await refusal(call))[0] == "ValidationException"
        call = world.call("kms", "derive_shared_secret", **asked, PublicKey=half, DryRun=True)
        assert (await refusal(call))[0] == "DryRunOperationException"
        signing = await key(world, KeySpec=spec, KeyUsage="SIGN_VERIFY")
        call = world.call(
            "kms", "derive_shared_secret", **{**asked, "KeyId": signing["KeyId"]}, PublicKey=half
        )
        assert (await refusal(call))[0] == "InvalidKeyUsageException"

    run(story)


@pytest.mark.parametrize(("spec", "length"), [("ML_KEM_768", 1088), ("ML_KEM_1024", 1568)])
def test_an_encapsulated_secret_is_read_by_its_key_alone(spec: str, length: int) -> None:
    async def story(world: World) -> None:
        made = await key(world, KeySpec=spec, KeyUsage="ENCAPSULATE_DECAPSULATE")
        asked = {"KeyId": made["KeyId"], "EncapsulationAlgorithm": "ML_KEM"}
        sent = await world.call("kms", "encapsulate", **asked)
        blob = sent["SharedSecretCiphertextBlob"]
        assert (len(blob), len(sent["SharedSecret"])) == (length, 32)
        found = await world.call("kms", "decapsulate", **asked, SharedSecretCiphertextBlob=blob)
        assert found["SharedSecret"] == sent["SharedSecret"]
        # What somebody outside sends with the public half is read as well.
        half = (await world.call("kms", "get_public_key", KeyId=made["KeyId"]))["PublicKey"]
        public: Any = serialization.load_der_public_key(half)
        secret, sealed = public.encapsulate()
        found = await world.call("kms", "decapsulate", **asked, SharedSecretCiphertextBlob=sealed)
        assert found["SharedSecret"] == secret
        # Another one of the right length is another secret, and no error.
        touched = bytes([blob[0] ^ 1]) + blob[1:]
        found = await world.call("kms", "decapsulate", **asked, SharedSecretCiphertextBlob=touched)
        assert found["SharedSecret"] != sent["SharedSecret"]
        call = world.call("kms", "decapsulate", **asked, SharedSecretCiphertextBlob=b"short")
        assert (await refusal(call))[0] == "InvalidCiphertextException"

    run(story)


@told
async def test_a_key_says_for_what_it_was_used_last(world: World) -> None:
    made = await key(world)
    name = {"KeyId": made["KeyId"]}
    found = await world.call("kms", "get_key_last_usage", **name)
    assert found == {
        "KeyId": made["KeyId"],
        "KeyLastUsage": {},
        "TrackingStartDate": START,
        "KeyCreationDate": START,
    }
    await world.advance(days=1)
    blob = (await world.call("kms", "encrypt", **name, Plaintext=b"x"))["CiphertextBlob"]
    await world.advance(days=1)
    await world.call("kms", "decrypt", CiphertextBlob=blob)
    at = world.now
    await world.advance(days=1)
    # Neither a look at the key nor a use that fails is a use.
    await world.call("kms", "describe_key", **name)
    await refusal(world.call("kms", "encrypt", **name, Plaintext=b"x", DryRun=True))
    await refusal(
        world.call("kms", "decrypt", CiphertextBlob=blob, EncryptionContext={"other": "one"})
    )
    found = (await world.call("kms", "get_key_last_usage", **name))["KeyLastUsage"]
    assert (found["Operation"], found["Timestamp"]) == ("Decrypt", at)
    after = world.again()
    await after.start()
    assert (await after.call("kms", "get_key_last_usage", **name))["KeyLastUsage"] == found
    await after.close()


@told
async def test_both_keys_of_a_re_encryption_are_used(world: World) -> None:
    one, two = await key(world), await key(world)
    blob = (await world.call("kms", "encrypt", KeyId=one["KeyId"], Plaintext=b"x"))[
        "CiphertextBlob"
    ]
    await world.call("kms", "re_encrypt", CiphertextBlob=blob, DestinationKeyId=two["KeyId"])
    for made in (one, two):
        found = await world.call("kms", "get_key_last_usage", KeyId=made["KeyId"])
        assert found["KeyLastUsage"]["Operation"] == "ReEncrypt"
    call = world.call("kms", "get_key_last_usage", KeyId="alias/beans")
    assert (await refusal(call))[0] == "InvalidArnException"


def _half(curve: ec.EllipticCurve) -> bytes:
    return (
        ec.generate_private_key(curve)
        .public_key()
        .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
