"""Data: encrypted, decrypted, re-encrypted; bound to its context; and who may."""

from __future__ import annotations

from typing import Any

import pytest

from tests.services.kms.helpers import allow, key, key_policy, user
from tests.services.world import ACCOUNT, OTHER, World, refusal, run, told


@told
async def test_a_ciphertext_is_bound_to_its_context(world: World) -> None:
    name = {"KeyId": (await key(world))["KeyId"]}
    context = {"shop": "north", "till": "2"}
    blob = (
        await world.call("kms", "encrypt", **name, Plaintext=b"secret", EncryptionContext=context)
    )["CiphertextBlob"]
    assert b"secret" not in blob
    turned = {"till": "2", "shop": "north"}
    found = await world.call("kms", "decrypt", CiphertextBlob=blob, EncryptionContext=turned)
    assert found["Plaintext"] == b"secret"
    for wrong in ({}, {"shop": "south", "till": "2"}):
        call = world.call("kms", "decrypt", CiphertextBlob=blob, EncryptionContext=wrong)
        assert (await refusal(call))[0] == "InvalidCiphertextException"
    for touched in (blob[:-1] + bytes([blob[-1] ^ 1]), b"nothing", blob[:20]):
        call = world.call("kms", "decrypt", CiphertextBlob=touched, EncryptionContext=context)
        assert (await refusal(call))[0] == "InvalidCiphertextException"
    other = await key(world)
    call = world.call(
        "kms", "decrypt", CiphertextBlob=blob, EncryptionContext=context, KeyId=other["KeyId"]
    )
    assert (await refusal(call))[0] == "IncorrectKeyException"


@told
async def test_data_keys_come_in_clear_and_sealed(world: World) -> None:
    name = {"KeyId": (await key(world))["KeyId"]}
    made = await world.call("kms", "generate_data_key", **name, KeySpec="AES_256")
    assert len(made["Plaintext"]) == 32
    found = await world.call("kms", "decrypt", CiphertextBlob=made["CiphertextBlob"])
    assert found["Plaintext"] == made["Plaintext"]
    later = await world.call("kms", "generate_data_key_without_plaintext", **name, NumberOfBytes=16)
    assert "Plaintext" not in later
    found = await world.call("kms", "decrypt", CiphertextBlob=later["CiphertextBlob"])
    assert len(found["Plaintext"]) == 16
    call = world.call("kms", "generate_data_key", **name)
    assert (await refusal(call))[0] == "ValidationException"
    pair = await world.call("kms", "generate_data_key_pair", **name, KeyPairSpec="ECC_NIST_P256")
    found = await world.call("kms", "decrypt", CiphertextBlob=pair["PrivateKeyCiphertextBlob"])
    assert found["Plaintext"] == pair["PrivateKeyPlaintext"]
    random = await world.call("kms", "generate_random", NumberOfBytes=20)
    assert len(random["Plaintext"]) == 20


@told
async def test_re_encrypting_changes_key_and_context(world: World) -> None:
    one, two = await key(world), await key(world)
    blob = (
        await world.call(
            "kms", "encrypt", KeyId=one["KeyId"], Plaintext=b"x", EncryptionContext={"a": "1"}
        )
    )["CiphertextBlob"]
    moved = await world.call(
        "kms",
        "re_encrypt",
        CiphertextBlob=blob,
        SourceEncryptionContext={"a": "1"},
        DestinationKeyId=two["KeyId"],
        DestinationEncryptionContext={"b": "2"},
    )
    assert (moved["SourceKeyId"], moved["KeyId"]) == (one["Arn"], two["Arn"])
    found = await world.call(
        "kms", "decrypt", CiphertextBlob=moved["CiphertextBlob"], EncryptionContext={"b": "2"}
    )
    assert found == {
        "Plaintext": b"x",
        "KeyId": two["Arn"],
        "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
        "KeyMaterialId": moved["DestinationKeyMaterialId"],
    }


@told
async def test_four_kibibytes_are_the_most(world: World) -> None:
    name = {"KeyId": (await key(world))["KeyId"]}
    await world.call("kms", "encrypt", **name, Plaintext=b"x" * 4096)
    call = world.call("kms", "encrypt", **name, Plaintext=b"x" * 4097)
    assert (await refusal(call))[0] == "ValidationException"


@told
async def test_rsa_keys_encrypt_too(world: World) -> None:
    name = {"KeyId": (await key(world, KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT"))["KeyId"]}
    algorithm = {"EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}
    blob = (await world.call("kms", "encrypt", **name, **algorithm, Plaintext=b"x"))[
        "CiphertextBlob"
    ]
    found = await world.call("kms", "decrypt", **name, **algorithm, CiphertextBlob=blob)
    assert found["Plaintext"] == b"x"
    call = world.call("kms", "generate_data_key", **name, KeySpec="AES_256")
    assert (await refusal(call))[0] == "InvalidKeyUsageException"


@told
async def test_a_dry_run_says_what_would_have_been(world: World) -> None:
    name = {"KeyId": (await key(world))["KeyId"]}
    call = world.call("kms", "generate_data_key", **name, KeySpec="AES_256", DryRun=True)
    assert (await refusal(call))[0] == "DryRunOperationException"


@told
async def test_an_iam_policy_counts_where_the_key_lets_the_account_in(world: World) -> None:
    barista = await user(world, "barista", allow("kms:Encrypt"))
    opened = await key(world)
    await world.call("kms", "encrypt", caller=barista, KeyId=opened["KeyId"], Plaintext=b"x")
    call = world.call("kms", "decrypt", caller=barista, CiphertextBlob=b"x" * 40)
    assert (await refusal(call))[0] == "InvalidCiphertextException"
    manager = f"arn:aws:iam::{ACCOUNT}:user/manager"
    await user(world, "manager")
    closed = await key(
        world,
        Policy=key_policy(allow("kms:*", Principal={"AWS": manager}), root=False),
        BypassPolicyLockoutSafetyCheck=True,
    )
    for caller in (barista, None):
        call = world.call("kms", "encrypt", caller=caller, KeyId=closed["KeyId"], Plaintext=b"x")
        assert (await refusal(call))[0] == "AccessDeniedException"


@told
async def test_a_key_policy_may_name_a_user_and_a_context(world: World) -> None:
    barista = await user(world, "barista")
    statement = allow(
        "kms:Decrypt",
        Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:user/barista"},
        Condition={"StringEquals": {"kms:EncryptionContext:shop": "north"}},
    )
    made = await key(world, Policy=key_policy(statement))
    for shop, allowed in (("north", True), ("south", False)):
        blob = (
            await world.call(
                "kms",
                "encrypt",
                KeyId=made["KeyId"],
                Plaintext=b"x",
                EncryptionContext={"shop": shop},
            )
        )["CiphertextBlob"]
        call = world.call(
            "kms",
            "decrypt",
            caller=barista,
            CiphertextBlob=blob,
            EncryptionContext={"shop": shop},
        )
        if allowed:
            assert (await call)["Plaintext"] == b"x"
        else:
            assert (await refusal(call))[0] == "AccessDeniedException"


@told
async def test_another_account_needs_the_key_and_its_own_consent(world: World) -> None:
    made = await key(world)
    call = world.call("kms", "encrypt", account=OTHER, KeyId=made["Arn"], Plaintext=b"x")
    assert (await refusal(call))[0] == "AccessDeniedException"
    statement = allow("kms:Encrypt", Principal={"AWS": f"arn:aws:iam::{OTHER}:root"})
    await world.call(
        "kms",
        "put_key_policy",
        KeyId=made["KeyId"],
        PolicyName="default",
        Policy=key_policy(statement),
    )
    await world.call("kms", "encrypt", account=OTHER, KeyId=made["Arn"], Plaintext=b"x")
    wrong = world.call("kms", "put_key_policy", KeyId=made["KeyId"], Policy="{}")
    assert (await refusal(wrong))[0] == "MalformedPolicyDocumentException"


@pytest.mark.parametrize(
    ("method", "made", "req"),
    [
        ("encrypt", {}, {"Plaintext": b"x"}),
        ("generate_data_key", {}, {"KeySpec": "AES_256"}),
        ("generate_data_key_without_plaintext", {}, {"KeySpec": "AES_256"}),
        ("generate_data_key_pair", {}, {"KeyPairSpec": "ECC_NIST_P256"}),
        ("generate_data_key_pair_without_plaintext", {}, {"KeyPairSpec": "ECC_NIST_P256"}),
        ("decrypt", {}, {"DryRunModifiers": ["IGNORE_CIPHERTEXT"]}),
        (
            "generate_mac",
            {"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"},
            {"MacAlgorithm": "HMAC_SHA_256", "Message": b"x"},
        ),
        (
            "verify_mac",
            {"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"},
            {"MacAlgorithm": "HMAC_SHA_256", "Message": b"x", "Mac": b"y"},
        ),
        (
            "sign",
            {"KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY"},
            {"SigningAlgorithm": "ECDSA_SHA_256", "Message": b"x"},
        ),
        (
            "verify",
            {"KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY"},
            {"SigningAlgorithm": "ECDSA_SHA_256", "Message": b"x", "Signature": b"y"},
        ),
        (
            "encapsulate",
            {"KeySpec": "ML_KEM_768", "KeyUsage": "ENCAPSULATE_DECAPSULATE"},
            {"EncapsulationAlgorithm": "ML_KEM"},
        ),
        (
            "decapsulate",
            {"KeySpec": "ML_KEM_768", "KeyUsage": "ENCAPSULATE_DECAPSULATE"},
            {"EncapsulationAlgorithm": "ML_KEM", "SharedSecretCiphertextBlob": b"y"},
        ),
    ],
)
def test_a_dry_run_says_whether_it_would_be_allowed(
    method: str, made: dict[str, Any], req: dict[str, Any]
) -> None:
    async def story(world: World) -> None:
        name = (await key(world, **made))["KeyId"]
        asked = {"KeyId": name, "DryRun": True, **req}
        assert (await refusal(world.call("kms", method, **asked)))[0] == (
            "DryRunOperationException"
        )
        nobody = await user(world, "nobody")
        denied = await refusal(world.call("kms", method, caller=nobody, **asked))
        assert denied[0] == "AccessDeniedException"
        used = await world.call("kms", "get_key_last_usage", KeyId=name)
        assert used["KeyLastUsage"] == {}

    run(story)
