"""Grants: who may use a key although no policy says so, for what, and until when."""

from __future__ import annotations

from typing import Any

from doppio.kernel.identity import Caller
from doppio.wire.errors import AccessDenied
from tests.services.kms.helpers import allow, key, key_policy, user
from tests.services.world import ACCOUNT, OTHER, World, refusal, told

CONTEXT = {"shop": "corner", "till": "1"}


async def granted(world: World, made: dict[str, Any], who: Caller, **req: Any) -> dict[str, Any]:
    """Grant a caller something; GrantId and GrantToken."""
    found: dict[str, Any] = await world.call(
        "kms", "create_grant", KeyId=made["KeyId"], GranteePrincipal=who.arn, **req
    )
    return found


async def can_encrypt(world: World, who: Caller, made: dict[str, Any], **req: Any) -> bool:
    """Whether a caller may; any other refusal is a fault."""
    try:
        await world.call("kms", "encrypt", caller=who, KeyId=made["Arn"], Plaintext=b"x", **req)
    except AccessDenied:
        return False
    return True


@told
async def test_a_grant_lets_in_who_has_no_policy_until_it_is_revoked(world: World) -> None:
    made, barista = await key(world), await user(world, "barista")
    assert not await can_encrypt(world, barista, made)
    grant = await granted(world, made, barista, Operations=["Encrypt"])
    assert await can_encrypt(world, barista, made)
    denied = world.call("kms", "describe_key", caller=barista, KeyId=made["KeyId"])
    assert (await refusal(denied))[0] == "AccessDeniedException"
    await world.call("kms", "revoke_grant", KeyId=made["KeyId"], GrantId=grant["GrantId"])
    assert not await can_encrypt(world, barista, made)
    again = world.call("kms", "revoke_grant", KeyId=made["KeyId"], GrantId=grant["GrantId"])
    assert (await refusal(again))[0] == "NotFoundException"


@told
async def test_an_explicit_deny_is_stronger_than_a_grant(world: World) -> None:
    made = await key(world)
    barista = await user(world, "barista", {**allow("kms:Encrypt"), "Effect": "Deny"})
    await granted(world, made, barista, Operations=["Encrypt"])
    assert not await can_encrypt(world, barista, made)


@told
async def test_another_account_gets_in_by_a_grant_alone(world: World) -> None:
    made = await key(world)
    theirs = f"arn:aws:iam::{OTHER}:root"
    await world.call(
        "kms", "create_grant", KeyId=made["KeyId"], GranteePrincipal=theirs, Operations=["Encrypt"]
    )
    call = {"account": OTHER, "KeyId": made["Arn"], "Plaintext": b"x"}
    assert (await world.call("kms", "encrypt", **call))["KeyId"] == made["Arn"]


@told
async def test_a_constraint_holds_for_the_encryption_context(world: World) -> None:
    made, barista = await key(world), await user(world, "barista")
    cook = await user(world, "cook")
    await granted(
        world, made, barista, Operations=["Encrypt"],
        Constraints={"EncryptionContextSubset": {"shop": "corner"}},
    )  # fmt: skip
    await granted(
        world, made, cook, Operations=["Encrypt"],
        Constraints={"EncryptionContextEquals": {"shop": "corner"}},
    )  # fmt: skip
    assert await can_encrypt(world, barista, made, EncryptionContext=CONTEXT)
    assert not await can_encrypt(world, barista, made, EncryptionContext={"till": "1"})
    assert not await can_encrypt(world, barista, made)
    assert not await can_encrypt(world, cook, made, EncryptionContext=CONTEXT)
    assert await can_encrypt(world, cook, made, EncryptionContext={"shop": "corner"})


@told
async def test_who_makes_grants_by_a_grant_gives_no_more_than_it_has(world: World) -> None:
    made = await key(world)
    boss, barista = await user(world, "boss"), await user(world, "barista")
    await granted(
        world, made, boss, Operations=["CreateGrant", "Encrypt"],
        Constraints={"EncryptionContextSubset": {"shop": "corner"}},
    )  # fmt: skip

    async def give(**req: Any) -> Any:
        return await world.call(
            "kms", "create_grant", caller=boss, KeyId=made["Arn"], GranteePrincipal=barista.arn,
            **req,
        )  # fmt: skip

    narrow = {"EncryptionContextSubset": CONTEXT}
    assert (await refusal(give(Operations=["Encrypt"])))[0] == "AccessDeniedException"
    wide = give(Operations=["Encrypt", "Decrypt"], Constraints=narrow)
    assert (await refusal(wide))[0] == "AccessDeniedException"
    await give(Operations=["Encrypt"], Constraints=narrow)
    assert await can_encrypt(world, barista, made, EncryptionContext=CONTEXT)


@told
async def test_a_grant_is_retired_by_whom_it_names(world: World) -> None:
    made = await key(world, Policy=key_policy())
    barista, cleaner = await user(world, "barista"), await user(world, "cleaner")
    first = await granted(
        world, made, barista, Operations=["Encrypt"], RetiringPrincipal=cleaner.arn
    )
    second = await granted(world, made, barista, Operations=["Encrypt", "RetireGrant"])
    third = await granted(world, made, barista, Operations=["Encrypt"])
    found = await world.call("kms", "list_retirable_grants", RetiringPrincipal=cleaner.arn)
    assert [grant["GrantId"] for grant in found["Grants"]] == [first["GrantId"]]
    no = world.call("kms", "retire_grant", caller=barista, GrantToken=third["GrantToken"])
    assert (await refusal(no))[0] == "AccessDeniedException"
    await world.call("kms", "retire_grant", caller=cleaner, GrantToken=first["GrantToken"])
    await world.call(
        "kms", "retire_grant", caller=barista, KeyId=made["Arn"], GrantId=second["GrantId"]
    )
    left = (await world.call("kms", "list_grants", KeyId=made["KeyId"]))["Grants"]
    assert [grant["GrantId"] for grant in left] == [third["GrantId"]]


@told
async def test_the_same_named_grant_is_made_once(world: World) -> None:
    made, barista = await key(world), await user(world, "barista")
    one = await granted(world, made, barista, Operations=["Encrypt"], Name="beans")
    two = await granted(world, made, barista, Operations=["Encrypt"], Name="beans")
    other = await granted(world, made, barista, Operations=["Decrypt"], Name="beans")
    nameless = await granted(world, made, barista, Operations=["Encrypt"])
    assert one["GrantId"] == two["GrantId"]
    assert len({one["GrantId"], other["GrantId"], nameless["GrantId"]}) == 3


@told
async def test_grants_are_listed_by_pages_and_by_principal(world: World) -> None:
    made, barista = await key(world), await user(world, "barista")
    cook = await user(world, "cook")
    ids = {
        (await granted(world, made, who, Operations=["Encrypt"]))["GrantId"]
        for who in (barista, barista, cook)
    }
    seen: set[str] = set()
    more: dict[str, Any] = {}
    while True:
        page = await world.call("kms", "list_grants", KeyId=made["KeyId"], Limit=2, **more)
        seen |= {grant["GrantId"] for grant in page["Grants"]}
        if not page["Truncated"]:
            break
        more = {"Marker": page["NextMarker"]}
    assert seen == ids
    page = await world.call("kms", "list_grants", KeyId=made["KeyId"], GranteePrincipal=cook.arn)
    (grant,) = page["Grants"]
    assert grant["GranteePrincipal"] == cook.arn
    assert (grant["Operations"], grant["KeyId"]) == (["Encrypt"], made["Arn"])


@told
async def test_what_cannot_be_granted_is_refused(world: World) -> None:
    made = await key(world)
    pair = await key(world, KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    barista = await user(world, "barista")
    base = {"KeyId": made["KeyId"], "GranteePrincipal": barista.arn, "Operations": ["Encrypt"]}
    for change, code in (
        ({"GranteePrincipal": "barista"}, "InvalidArnException"),
        ({"Operations": ["Sign"]}, "ValidationException"),
        ({"KeyId": pair["KeyId"]}, "ValidationException"),
        ({"GrantTokens": ["bm9uZQ=="]}, "InvalidGrantTokenException"),
        ({"DryRun": True}, "DryRunOperationException"),
    ):
        call = world.call("kms", "create_grant", **{**base, **change})
        assert (await refusal(call))[0] == code, change
    assert (await world.call("kms", "list_grants", KeyId=made["KeyId"]))["Grants"] == []
    for method in ("revoke_grant", "retire_grant"):
        call = world.call("kms", method, KeyId=made["Arn"], GrantId="x")
        assert (await refusal(call))[0] == "InvalidGrantIdException"


@told
async def test_a_deleted_key_takes_its_grants_along(world: World) -> None:
    made, barista = await key(world), await user(world, "barista")
    await granted(world, made, barista, Operations=["Encrypt"], RetiringPrincipal=barista.arn)
    await world.call("kms", "schedule_key_deletion", KeyId=made["KeyId"], PendingWindowInDays=7)
    await world.advance(days=8)
    found = await world.call("kms", "list_retirable_grants", RetiringPrincipal=barista.arn)
    assert found["Grants"] == []


@told
async def test_an_empty_context_constrains_nothing(world: World) -> None:
    made = await key(world)
    let = await world.call(
        "kms", "create_grant", KeyId=made["KeyId"], Operations=["Encrypt"],
        GranteePrincipal=f"arn:aws:iam::{ACCOUNT}:root",
        Constraints={"EncryptionContextEquals": CONTEXT, "EncryptionContextSubset": {}},
    )  # fmt: skip
    found = await world.call("kms", "list_grants", KeyId=made["KeyId"], GrantId=let["GrantId"])
    assert found["Grants"][0]["Constraints"] == {"EncryptionContextEquals": CONTEXT}


@told
async def test_a_grant_token_that_nobody_was_given_is_refused(world: World) -> None:
    made = await key(world)
    name = {"KeyId": made["KeyId"]}
    let = await world.call(
        "kms", "create_grant", **name, Operations=["Encrypt"],
        GranteePrincipal=f"arn:aws:iam::{ACCOUNT}:root",
    )  # fmt: skip
    right = {**name, "GrantTokens": [let["GrantToken"]]}
    blob = (await world.call("kms", "encrypt", **right, Plaintext=b"x"))["CiphertextBlob"]
    wrong = {"GrantTokens": ["forged"]}
    for call in (
        world.call("kms", "encrypt", **name, **wrong, Plaintext=b"x"),
        world.call("kms", "decrypt", CiphertextBlob=blob, **wrong),
        world.call("kms", "describe_key", **name, **wrong),
    ):
        assert (await refusal(call))[0] == "InvalidGrantTokenException"
