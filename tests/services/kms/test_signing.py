"""Signatures and MACs: right ones are right everywhere, wrong ones are errors."""

from __future__ import annotations

import hashlib
from typing import Any

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


@told
async def test_lattice_and_edwards_signatures_verify_outside(world: World) -> None:
    for spec, algorithm in (
        ("ML_DSA_44", "ML_DSA_SHAKE_256"),
        ("ML_DSA_87", "ML_DSA_SHAKE_256"),
        ("ECC_NIST_EDWARDS25519", "ED25519_SHA_512"),
    ):
        made = await key(world, KeySpec=spec, KeyUsage="SIGN_VERIFY")
        assert algorithm in made["SigningAlgorithms"]
        asked = {"KeyId": made["KeyId"], "SigningAlgorithm": algorithm}
        signature = (await world.call("kms", "sign", **asked, Message=b"beans"))["Signature"]
        half = (await world.call("kms", "get_public_key", KeyId=made["KeyId"]))["PublicKey"]
        public: Any = serialization.load_der_public_key(half)
        public.verify(signature, b"beans")
        right = {**asked, "Message": b"beans", "Signature": signature}
        assert (await world.call("kms", "verify", **right))["SignatureValid"] is True
        wrong = world.call("kms", "verify", **{**right, "Message": b"tea"})
        assert (await refusal(wrong))[0] == "KMSInvalidSignatureException"
        digest = world.call("kms", "sign", **asked, Message=b"x" * 64, MessageType="DIGEST")
        assert (await refusal(digest))[0] == "ValidationException"


@told
async def test_an_external_mu_is_signed_as_its_message(world: World) -> None:
    made = await key(world, KeySpec="ML_DSA_65", KeyUsage="SIGN_VERIFY")
    asked = {"KeyId": made["KeyId"], "SigningAlgorithm": "ML_DSA_SHAKE_256"}
    half = (await world.call("kms", "get_public_key", KeyId=made["KeyId"]))["PublicKey"]
    public: Any = serialization.load_der_public_key(half)
    # FIPS 204, section 6.2: mu is of the hash of the public key, a context of no bytes, the message.
    hashed = hashlib.shake_256(public.public_bytes_raw()).digest(64)
    mu = hashlib.shake_256(hashed + b"\x00\x00" + b"beans").digest(64)
    signed = await world.call("kms", "sign", **asked, Message=mu, MessageType="EXTERNAL_MU")
    public.verify(signed["Signature"], b"beans")
    call = world.call("kms", "sign", **asked, Message=b"short", MessageType="EXTERNAL_MU")
    assert (await refusal(call))[0] == "ValidationException"
    prehashed = await key(world, KeySpec="ECC_NIST_EDWARDS25519", KeyUsage="SIGN_VERIFY")
    call = world.call(
        "kms", "sign", KeyId=prehashed["KeyId"], Message=b"x" * 64, MessageType="DIGEST",
        SigningAlgorithm="ED25519_PH_SHA_512",
    )  # fmt: skip
    assert (await refusal(call))[0] == "NotImplemented"
