"""Handshakes: invitations, and the way to all features."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from doppio.kernel.identity import Caller
from tests.services.iam.helpers import document
from tests.services.organizations.helpers import (
    MASTER,
    OTHER,
    account,
    deny,
    enable,
    inside,
    organization,
    orgs,
    policy,
    unit,
)
from tests.services.world import World, refusal, refused, told

THIRD = "333333333333"
DENIED = ("AccessDeniedException", "You don't have permissions to access this resource.")


async def invite(world: World, name: str = OTHER, kind: str = "ACCOUNT", **req: Any) -> str:
    """An invitation; its id."""
    made = await orgs(
        world, "invite_account_to_organization", Target={"Id": name, "Type": kind}, **req
    )
    return str(made["Handshake"]["Id"])


async def accept(world: World, name: str, member: str = OTHER) -> dict[str, Any]:
    done = await orgs(world, "accept_handshake", account=member, HandshakeId=name)
    found: dict[str, Any] = done["Handshake"]
    return found


async def state(world: World, name: str) -> str:
    found = await orgs(world, "describe_handshake", HandshakeId=name)
    return str(found["Handshake"]["State"])


async def user(world: World, member: str, *actions: str) -> Caller:
    """A user of an account who may do some things."""
    await world.call("iam", "create_user", account=member, UserName="u")
    await world.call(
        "iam", "put_user_policy", account=member, UserName="u", PolicyName="p",
        PolicyDocument=document(*actions),
    )  # fmt: skip
    key = await world.call("iam", "create_access_key", account=member, UserName="u")
    return await world.who(key["AccessKey"])


@told
async def test_an_invited_account_joins_when_it_accepts(world: World) -> None:
    name, root = await organization(world)
    made = await orgs(
        world, "invite_account_to_organization", Target={"Id": OTHER, "Type": "ACCOUNT"},
        Notes="come in", Tags=[{"Key": "team", "Value": "bar"}],
    )  # fmt: skip
    handshake = made["Handshake"]
    key = handshake["Id"]
    assert handshake["Arn"] == (f"arn:aws:organizations::{MASTER}:handshake/{name}/invite/{key}")
    assert (handshake["Action"], handshake["State"]) == ("INVITE", "OPEN")
    assert handshake["ExpirationTimestamp"] == world.now + timedelta(days=15)
    assert handshake["Parties"] == [
        {"Id": name, "Type": "ORGANIZATION"}, {"Id": OTHER, "Type": "ACCOUNT"},
    ]  # fmt: skip
    assert [(one["Type"], one["Value"]) for one in handshake["Resources"]] == [
        ("ORGANIZATION", name), ("ACCOUNT", OTHER), ("NOTES", "come in"),
    ]  # fmt: skip
    assert [one["Type"] for one in handshake["Resources"][0]["Resources"]] == [
        "MASTER_EMAIL", "MASTER_NAME", "ORGANIZATION_FEATURE_SET",
    ]  # fmt: skip
    assert (await refusal(invite(world)))[0] == "DuplicateHandshakeException"
    asked = await orgs(world, "list_handshakes_for_account", account=OTHER)
    assert asked["Handshakes"] == [handshake]
    call = orgs(world, "accept_handshake", account=THIRD, HandshakeId=key)
    assert await refusal(call) == DENIED
    assert await refusal(orgs(world, "describe_handshake", account=THIRD, HandshakeId=key)) == (
        DENIED
    )
    assert (await accept(world, key))["State"] == "ACCEPTED"
    shown = (await orgs(world, "describe_account", AccountId=OTHER))["Account"]
    assert (shown["JoinedMethod"], shown["Paths"]) == ("INVITED", [f"{name}/{root}/{OTHER}/"])
    tags = await orgs(world, "list_tags_for_resource", ResourceId=OTHER)
    assert tags["Tags"] == [{"Key": "team", "Value": "bar"}]
    assert (await refusal(accept(world, key)))[0] == "HandshakeAlreadyInStateException"
    for method, who in (("decline_handshake", OTHER), ("cancel_handshake", MASTER)):
        call = orgs(world, method, account=who, HandshakeId=key)
        assert (await refusal(call))[0] == "InvalidHandshakeTransitionException"
    error = await refused(invite(world))
    assert error.fields == {"Reason": "ALREADY_IN_AN_ORGANIZATION"}
    # It was not made here, so it may go at once; and no role lets anybody in.
    assert (await refusal(inside(world, OTHER)))[0] == "AccessDenied"
    await orgs(world, "leave_organization", account=OTHER)
    await world.advance(days=31)
    assert (await refusal(state(world, key)))[0] == "HandshakeNotFoundException"


@told
async def test_policies_bind_an_account_from_the_moment_it_joins(world: World) -> None:
    _, root = await organization(world)
    await enable(world, root)
    await orgs(world, "attach_policy", PolicyId=await policy(world, deny("sqs:*")), TargetId=root)
    key = await invite(world)
    await world.call("sqs", "list_queues", account=OTHER)
    await accept(world, key)
    call = world.call("sqs", "list_queues", account=OTHER)
    assert "service control policy" in (await refusal(call))[1]


@told
async def test_an_address_is_as_good_as_an_id(world: World) -> None:
    await organization(world)
    await orgs(world, "create_organization", account=THIRD)
    member = await account(world, "till")
    await world.advance(days=5)
    await orgs(world, "remove_account_from_organization", AccountId=member)
    key = await invite(world, "till@example.com", "EMAIL")
    assert (await refusal(invite(world, member)))[0] == "DuplicateHandshakeException"
    await accept(world, key, member)
    own = await invite(world, f"{OTHER}@accounts.doppio.internal", "EMAIL")
    await accept(world, own)
    nobody = await invite(world, "nobody@example.com", "EMAIL")
    assert await state(world, nobody) == "OPEN"
    for kind, name, reason in (
        ("EMAIL", "somebody", "INVALID_EMAIL_ADDRESS_TARGET"),
        ("ACCOUNT", "12", "INVALID_PATTERN_TARGET_ID"),
        ("ORGANIZATION", "o-abcdefghij", "INVALID_PARTY_TYPE_TARGET"),
    ):
        error = await refused(invite(world, name, kind))
        assert (error.code, error.fields) == ("InvalidInputException", {"Reason": reason})


@told
async def test_an_invitation_is_declined_canceled_or_expires(world: World) -> None:
    await organization(world)
    declined = await invite(world)
    call = orgs(world, "decline_handshake", account=THIRD, HandshakeId=declined)
    assert await refusal(call) == DENIED
    await orgs(world, "decline_handshake", account=OTHER, HandshakeId=declined)
    assert (await refusal(accept(world, declined)))[0] == "InvalidHandshakeTransitionException"
    canceled = await invite(world)
    call = orgs(world, "cancel_handshake", account=OTHER, HandshakeId=canceled)
    assert await refusal(call) == DENIED
    await orgs(world, "cancel_handshake", HandshakeId=canceled)
    expired = await invite(world)
    await world.advance(days=14)
    assert await state(world, expired) == "OPEN"
    await world.advance(days=1)
    assert await state(world, expired) == "EXPIRED"
    assert (await refusal(accept(world, expired)))[0] == "InvalidHandshakeTransitionException"
    listed = await orgs(world, "list_handshakes_for_organization", Filter={"ActionType": "INVITE"})
    states = {one["Id"]: one["State"] for one in listed["Handshakes"]}
    assert states == {declined: "DECLINED", canceled: "CANCELED", expired: "EXPIRED"}
    await world.advance(days=31)
    assert (await orgs(world, "list_handshakes_for_organization"))["Handshakes"] == []


@told
async def test_an_organisation_invites_as_many_as_it_holds(world: World) -> None:
    await organization(world)
    for number in range(9):
        await invite(world, f"{400000000000 + number}")
    error = await refused(invite(world))
    assert (error.code, error.fields) == (
        "HandshakeConstraintViolationException", {"Reason": "ACCOUNT_NUMBER_LIMIT_EXCEEDED"},
    )  # fmt: skip


@told
async def test_twenty_invitations_go_out_a_day(world: World) -> None:
    await organization(world)
    for _ in range(20):
        await orgs(world, "cancel_handshake", HandshakeId=await invite(world))
    error = await refused(invite(world))
    assert error.fields == {"Reason": "HANDSHAKE_RATE_LIMIT_EXCEEDED"}
    await world.advance(days=1)
    await invite(world)


@told
async def test_a_member_goes_over_to_another_organisation_and_a_master_does_not(
    world: World,
) -> None:
    await organization(world)
    await accept(world, await invite(world))
    theirs = (await orgs(world, "create_organization", account=THIRD))["Organization"]["Id"]
    made = await orgs(
        world, "invite_account_to_organization", account=THIRD,
        Target={"Id": OTHER, "Type": "ACCOUNT"},
    )  # fmt: skip
    await accept(world, made["Handshake"]["Id"])
    found = await orgs(world, "describe_organization", account=OTHER)
    assert found["Organization"]["Id"] == theirs
    assert (await refusal(orgs(world, "describe_account", AccountId=OTHER)))[0] == (
        "AccountNotFoundException"
    )
    call = accept(world, await invite(world, THIRD), THIRD)
    assert (await refusal(call))[0] == "MasterCannotLeaveOrganizationException"


@told
async def test_who_accepts_may_have_the_service_linked_role_made(world: World) -> None:
    await organization(world)
    key = await invite(world)
    caller = await user(world, OTHER, "organizations:AcceptHandshake")
    call = orgs(world, "accept_handshake", caller=caller, HandshakeId=key)
    error = await refused(call)
    assert (error.code, error.fields) == (
        "AccessDeniedForDependencyException",
        {"Reason": "ACCESS_DENIED_DURING_CREATE_SERVICE_LINKED_ROLE"},
    )
    more = document("organizations:AcceptHandshake", "iam:CreateServiceLinkedRole")
    await world.call(
        "iam", "put_user_policy", account=OTHER, UserName="u", PolicyName="p", PolicyDocument=more
    )
    secret = await world.call("iam", "create_access_key", account=OTHER, UserName="u")
    caller = await world.who(secret["AccessKey"])
    await orgs(world, "accept_handshake", caller=caller, HandshakeId=key)
    await world.call("iam", "get_role", account=OTHER, RoleName="AWSServiceRoleForOrganizations")


@told
async def test_a_policy_names_the_handshakes_that_one_may_accept(world: World) -> None:
    await organization(world)
    key = await invite(world)
    caller = await user(world, OTHER, "sqs:*")
    call = orgs(world, "accept_handshake", caller=caller, HandshakeId=key)
    code, text = await refusal(call)
    assert (code, text.startswith(f"User: {caller.arn} is not authorized to perform: ")) == (
        "AccessDeniedException", True,
    )  # fmt: skip
    assert "handshake/o-" in text


@told
async def test_all_features_come_when_all_who_were_invited_agree(world: World) -> None:
    _, root = await organization(world, FeatureSet="CONSOLIDATED_BILLING")
    await account(world)
    for member in (OTHER, THIRD):
        await accept(world, await invite(world, member), member)
    whole = (await orgs(world, "enable_all_features"))["Handshake"]
    assert (whole["Action"], whole["State"]) == ("ENABLE_ALL_FEATURES", "REQUESTED")
    error = await refused(orgs(world, "enable_all_features"))
    assert error.fields == {"Reason": "ORGANIZATION_IS_ALREADY_PENDING_ALL_FEATURES_MIGRATION"}
    error = await refused(invite(world, "444444444444"))
    assert error.fields == {"Reason": "INVITE_DISABLED_DURING_ENABLE_ALL_FEATURES"}
    parts = await orgs(
        world, "list_handshakes_for_organization", Filter={"ParentHandshakeId": whole["Id"]}
    )
    keys = {one["Parties"][1]["Id"]: one["Id"] for one in parts["Handshakes"]}
    assert set(keys) == {OTHER, THIRD}
    assert (await refusal(accept(world, whole["Id"], MASTER)))[0] == (
        "InvalidHandshakeTransitionException"
    )
    await accept(world, keys[OTHER])
    assert await state(world, whole["Id"]) == "REQUESTED"
    await orgs(world, "remove_account_from_organization", AccountId=THIRD)
    assert await state(world, whole["Id"]) == "OPEN"
    await accept(world, whole["Id"], MASTER)
    found = (await orgs(world, "describe_organization"))["Organization"]
    assert found["FeatureSet"] == "ALL"
    await enable(world, root)
    await unit(world, root)
    await world.call("iam", "get_role", account=OTHER, RoleName="AWSServiceRoleForOrganizations")
    error = await refused(orgs(world, "enable_all_features"))
    assert error.fields == {"Reason": "ORGANIZATION_ALREADY_HAS_ALL_FEATURES"}


@told
async def test_one_who_declines_all_features_keeps_them_away(world: World) -> None:
    await organization(world, FeatureSet="CONSOLIDATED_BILLING")
    await accept(world, await invite(world))
    whole = (await orgs(world, "enable_all_features"))["Handshake"]["Id"]
    asked = await orgs(
        world, "list_handshakes_for_account", account=OTHER,
        Filter={"ActionType": "APPROVE_ALL_FEATURES"},
    )  # fmt: skip
    part = asked["Handshakes"][0]["Id"]
    await orgs(world, "decline_handshake", account=OTHER, HandshakeId=part)
    assert await state(world, whole) == "REQUESTED"
    await orgs(world, "cancel_handshake", HandshakeId=whole)
    again = (await orgs(world, "enable_all_features"))["Handshake"]
    assert again["State"] == "REQUESTED"
    await world.advance(days=90)
    assert await state(world, again["Id"]) == "EXPIRED"
    parts = await orgs(
        world, "list_handshakes_for_organization", Filter={"ParentHandshakeId": again["Id"]}
    )
    assert {one["State"] for one in parts["Handshakes"]} <= {"CANCELED", "EXPIRED"}


@told
async def test_an_organisation_that_is_gone_asks_nobody_any_more(world: World) -> None:
    await organization(world)
    key = await invite(world)
    await orgs(world, "delete_organization")
    assert (await refusal(accept(world, key)))[0] == "InvalidHandshakeTransitionException"
