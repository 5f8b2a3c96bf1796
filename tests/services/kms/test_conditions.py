"""Condition keys: what a key's policy and the account's own can ask of a call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from doppio.kernel.policy.reference import prefixes
from tests.services.kms.helpers import allow, key, user
from tests.services.world import World, refusal, run, told

# Asked of attested enclaves, which nobody has here.
_NEVER = "kms:RecipientAttestation:"


def _when(test: str, name: str, value: Any, action: str = "kms:*") -> dict[str, Any]:
    return allow(action, Condition={test: {name: value}})


@pytest.mark.parametrize(
    ("method", "req", "name", "right", "wrong"),
    [
        ("encrypt", {"Plaintext": b"x"}, "kms:EncryptionAlgorithm", "SYMMETRIC_DEFAULT", "SM2PKE"),
        ("encrypt", {"Plaintext": b"x"}, "kms:KeySpec", "SYMMETRIC_DEFAULT", "RSA_2048"),
        ("encrypt", {"Plaintext": b"x"}, "kms:KeyUsage", "ENCRYPT_DECRYPT", "SIGN_VERIFY"),
        ("encrypt", {"Plaintext": b"x"}, "kms:KeyOrigin", "AWS_KMS", "EXTERNAL"),
        ("encrypt", {"Plaintext": b"x"}, "kms:MultiRegion", "false", "true"),
        ("encrypt", {"Plaintext": b"x"}, "kms:CallerAccount", "000000000000", "111111111111"),
        (
            "encrypt",
            {"Plaintext": b"x", "EncryptionContext": {"team": "bar"}},
            "kms:EncryptionContext:team",
            "bar",
            "kitchen",
        ),
        ("describe_key", {}, "aws:ResourceTag/team", "bar", "kitchen"),
        (
            "schedule_key_deletion",
            {"PendingWindowInDays": 30},
            "kms:ScheduleKeyDeletionPendingWindowInDays",
            "30",
            "7",
        ),
        ("schedule_key_deletion", {}, "kms:ScheduleKeyDeletionPendingWindowInDays", "30", "7"),
        (
            "enable_key_rotation",
            {"RotationPeriodInDays": 100},
            "kms:RotationPeriodInDays",
            "100",
            "90",
        ),
        (
            "generate_data_key_pair",
            {"KeyPairSpec": "ECC_NIST_P256"},
            "kms:DataKeyPairSpec",
            "ECC_NIST_P256",
            "RSA_4096",
        ),
        (
            "tag_resource",
            {"Tags": [{"TagKey": "shop", "TagValue": "one"}]},
            "aws:RequestTag/shop",
            "one",
            "two",
        ),
    ],
)
def test_a_policy_may_ask_for(
    method: str, req: dict[str, Any], name: str, right: str, wrong: str
) -> None:
    async def story(world: World) -> None:
        made = await key(world, Tags=[{"TagKey": "team", "TagValue": "bar"}])
        let = await user(world, "let", _when("StringEquals", name, right))
        kept = await user(world, "kept", _when("StringEquals", name, wrong))
        call = world.call("kms", method, caller=kept, KeyId=made["KeyId"], **req)
        assert (await refusal(call))[0] == "AccessDeniedException"
        await world.call("kms", method, caller=let, KeyId=made["KeyId"], **req)

    run(story)


@told
async def test_a_policy_may_ask_for_the_names_of_a_key(world: World) -> None:
    made = await key(world)
    await world.call("kms", "create_alias", AliasName="alias/beans", TargetKeyId=made["KeyId"])
    named = await user(world, "named", _when("StringEquals", "kms:RequestAlias", "alias/beans"))
    owner = await user(
        world, "owner", _when("ForAnyValue:StringEquals", "kms:ResourceAliases", "alias/beans")
    )
    for name, caller, allowed in (
        ("alias/beans", named, True),
        (made["KeyId"], named, False),
        ("alias/beans", owner, True),
        (made["KeyId"], owner, True),
    ):
        call = world.call("kms", "encrypt", caller=caller, KeyId=name, Plaintext=b"x")
        if allowed:
            await call
        else:
            assert (await refusal(call))[0] == "AccessDeniedException"
    await world.call("kms", "delete_alias", AliasName="alias/beans")
    call = world.call("kms", "encrypt", caller=owner, KeyId=made["KeyId"], Plaintext=b"x")
    assert (await refusal(call))[0] == "AccessDeniedException"


@told
async def test_re_encrypting_under_the_same_key_can_be_told_from_another(world: World) -> None:
    one, two = await key(world), await key(world)
    same = await user(world, "same", _when("Bool", "kms:ReEncryptOnSameKey", "true"))
    blob = (await world.call("kms", "encrypt", KeyId=one["KeyId"], Plaintext=b"x"))[
        "CiphertextBlob"
    ]
    asked = {"CiphertextBlob": blob, "caller": same}
    await world.call("kms", "re_encrypt", **asked, DestinationKeyId=one["KeyId"])
    call = world.call("kms", "re_encrypt", **asked, DestinationKeyId=two["KeyId"])
    assert (await refusal(call))[0] == "AccessDeniedException"


@told
async def test_new_keys_are_asked_what_they_will_be(world: World) -> None:
    small = await user(
        world, "small", _when("StringEquals", "kms:KeySpec", "ECC_NIST_P256", "kms:CreateKey")
    )
    made = {"caller": small, "KeyUsage": "SIGN_VERIFY"}
    await world.call("kms", "create_key", **made, KeySpec="ECC_NIST_P256")
    for req in (
        {**made, "KeySpec": "ECC_NIST_P384"},
        {**made, "KeySpec": "ECC_NIST_P256", "Tags": [{"TagKey": "a", "TagValue": "b"}]},
    ):
        assert (await refusal(world.call("kms", "create_key", **req)))[0] == (
            "AccessDeniedException"
        )


def test_each_condition_key_of_the_reference_is_known_here() -> None:
    root = Path(__file__).parents[3] / "src" / "doppio"
    files = [*(root / "services" / "kms").glob("*.py"), root / "kernel" / "context.py"]
    source = " ".join(path.read_text().lower() for path in files)
    names = {name for action in prefixes()["kms"].actions.values() for name in action.keys}
    assert len(names) > 80
    for name in names:
        if not name.startswith(_NEVER):
            assert name.lower().partition("${")[0].rstrip(":/") in source, name
