"""Signatures and MACs: right ones are right everywhere, wrong ones are errors."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from tests.services.kms.helpers import key
from tests.services.world import World, refusal, run, told


@pytest.mark.parametrize(
    ("spec", "algorithm"),
    [
        ("ECC_NIST_P256", "ECDSA_SHA_256"),
        ("ECC_NIST_P384", "ECDSA_SHA_384"),
        ("ECC_NIST_P521", "ECDSA_SHA_512"),
        ("ECC_SECG_P256K1", "ECDSA_SHA_256"),
        ("RSA_2048", "RSASSA_PSS_SHA_256"),
        ("RSA_2048", "RSASSA_PKCS1_V1_5_SHA_512"),
    ],
)
def test_a_signature_is_verified_and_a_wrong_one_is_not(spec: str, algorithm: str) -> None:
    async def story(world: World) -> None:
        name = {"KeyId": (await key(world, KeySpec=spec, KeyUsage="SIGN_VERIFY"))["KeyId"]}
        asked = {**name, "SigningAlgorithm": algorithm}
        made = await world.call("kms", "sign", **asked, Message=b"one espresso")
        found = await world.call(
            "kms", "verify", **asked, Message=b"one espresso", Signature=made["Signature"]
        )
        assert found["SignatureValid"] is True
        call = world.call(
            "kms", "verify", **asked, Message=b"two espressi", Signature=made["Signature"]
        )
        assert (await refusal(call))[0] == "KMSInvalidSignatureException"
        digest = hashlib.new(f"sha{algorithm[-3:]}", b"one espresso").digest()
        found = await world.call(
            "kms",
            "verify",
            **asked,
            Message=digest,
            MessageType="DIGEST",
            Signature=made["Signature"],
        )
        assert found["SignatureValid"] is True
        call = world.call("kms", "sign", **asked, Message=b"short", MessageType="DIGEST")
        assert (await refusal(call))[0] == "ValidationException"

    run(story)


@told
async def test_the_public_half_verifies_outside(world: World) -> None:
    pair = await key(world, KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    name = {"KeyId": pair["KeyId"]}
    made = await world.call("kms", "sign", **name, Message=b"x", SigningAlgorithm="ECDSA_SHA_256")
    told_key = await world.call("kms", "get_public_key", **name)
    public = serialization.load_der_public_key(told_key["PublicKey"])
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(made["Signature"], b"x", ec.ECDSA(hashes.SHA256()))
    pair = await key(world, KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")
    name = {"KeyId": pair["KeyId"]}
    told_key = await world.call("kms", "get_public_key", **name)
    rsa_key = serialization.load_der_public_key(told_key["PublicKey"])
    assert isinstance(rsa_key, rsa.RSAPublicKey)
    mgf = padding.MGF1(hashes.SHA256())
    blob = rsa_key.encrypt(b"x", padding.OAEP(mgf, hashes.SHA256(), None))
    found = await world.call(
        "kms",
        "decrypt",
        **name,
        CiphertextBlob=blob,
        EncryptionAlgorithm="RSAES_OAEP_SHA_256",
    )
    assert found["Plaintext"] == b"x"


@told
async def test_macs_are_made_and_checked(world: World) -> None:
    name = {
        "KeyId": (await key(world, KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC"))["KeyId"]
    }
    asked = {**name, "MacAlgorithm": "HMAC_SHA_256", "Message": b"x"}
    made = await world.call("kms", "generate_mac", **asked)
    assert len(made["Mac"]) == 32
    assert (await world.call("kms", "verify_mac", **asked, Mac=made["Mac"]))["MacValid"] is True
    call = world.call("kms", "verify_mac", **asked, Mac=b"y" * 32)
    assert (await refusal(call))[0] == "KMSInvalidMacException"
    call = world.call("kms", "generate_mac", **{**asked, "MacAlgorithm": "HMAC_SHA_512"})
    assert (await refusal(call))[0] == "InvalidKeyUsageException"
    call = world.call("kms", "encrypt", **name, Plaintext=b"x")
    assert (await refusal(call))[0] == "InvalidKeyUsageException"
