"""Responsibility transfers between two organisations."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.services.organizations.helpers import MASTER, OTHER, account, organization, orgs
from tests.services.world import World, refusal, refused, told

THIRD = "333333333333"
START = datetime(2030, 3, 1, tzinfo=UTC)


async def two(world: World) -> None:
    """Two organisations, of MASTER and OTHER."""
    await organization(world)
    await orgs(world, "create_organization", account=OTHER)


async def ask(world: World, name: str = OTHER, **more: Any) -> dict[str, Any]:
    """The invitation that MASTER sends; the handshake."""
    req: dict[str, Any] = {
        "Type": "BILLING", "Target": {"Id": name, "Type": "ACCOUNT"}, "StartTimestamp": START,
        "SourceName": "tea", **more,
    }  # fmt: skip
    made = await orgs(world, "invite_organization_to_transfer_responsibility", **req)
    found: dict[str, Any] = made["Handshake"]
    return found


async def inbound(world: World) -> dict[str, Any]:
    found = await orgs(world, "list_inbound_responsibility_transfers", Type="BILLING")
    rows: list[dict[str, Any]] = found["ResponsibilityTransfers"]
    return next((one for one in rows if one["Status"] == "ACCEPTED"), rows[0])


@told
async def test_a_transfer_is_asked_for_accepted_named_and_ended(world: World) -> None:
    await two(world)
    handshake = await ask(world, Notes="please", Tags=[{"Key": "k", "Value": "v"}])
    assert (handshake["Action"], handshake["State"]) == ("TRANSFER_RESPONSIBILITY", "REQUESTED")
    asked = await inbound(world)
    name = asked["Id"]
    mine = (await orgs(world, "describe_organization"))["Organization"]["Id"]
    assert asked["Arn"] == (
        f"arn:aws:organizations::{MASTER}:transfer/{mine}/billing/inbound/{name}"
    )
    assert (asked["Status"], asked["ActiveHandshakeId"]) == ("REQUESTED", handshake["Id"])
    assert asked["Source"]["ManagementAccountId"] == OTHER
    assert asked["Target"]["ManagementAccountId"] == MASTER
    await orgs(world, "accept_handshake", account=OTHER, HandshakeId=handshake["Id"])
    outbound = await orgs(
        world, "list_outbound_responsibility_transfers", account=OTHER, Type="BILLING"
    )
    theirs = outbound["ResponsibilityTransfers"][0]
    assert theirs["Status"] == "ACCEPTED"
    assert "/billing/outbound/" in theirs["Arn"]
    for who in (MASTER, OTHER):
        error = await refused(orgs(world, "delete_organization", account=who))
        assert error.fields == {"Reason": "ACTIVE_RESPONSIBILITY_TRANSFER_PROCESS"}
    renamed = await orgs(world, "update_responsibility_transfer", Id=name, Name="coffee")
    assert renamed["ResponsibilityTransfer"]["Name"] == "coffee"
    tags = await orgs(world, "list_tags_for_resource", ResourceId=name)
    assert tags["Tags"] == [{"Key": "k", "Value": "v"}]
    ended = await orgs(world, "terminate_responsibility_transfer", account=OTHER, Id=name)
    ended = ended["ResponsibilityTransfer"]
    assert ended["Status"] == "WITHDRAWN"
    assert ended["EndTimestamp"] == datetime(2030, 3, 31, 23, 59, 59, tzinfo=UTC)
    again = orgs(world, "terminate_responsibility_transfer", Id=name)
    assert (await refusal(again))[0] == "ResponsibilityTransferAlreadyInStatusException"
    error = await refused(orgs(world, "update_responsibility_transfer", Id=name, Name="too late"))
    assert error.fields == {"Reason": "TRANSFER_RESPONSIBILITY_UPDATE_NOT_ALLOWED"}
    await world.advance(days=100)
    await orgs(world, "delete_organization", account=OTHER)


@told
async def test_what_is_refused_canceled_or_too_old_is_no_transfer(world: World) -> None:
    await two(world)
    for method, who, status in (
        ("decline_handshake", OTHER, "DECLINED"), ("cancel_handshake", MASTER, "CANCELED"),
    ):  # fmt: skip
        handshake = await ask(world)
        await orgs(world, method, account=who, HandshakeId=handshake["Id"])
        found = await orgs(world, "list_inbound_responsibility_transfers", Type="BILLING")
        states = {one["Id"]: one["Status"] for one in found["ResponsibilityTransfers"]}
        assert status in states.values()
    await ask(world)
    assert (await refusal(ask(world)))[0] == "DuplicateHandshakeException"
    await world.advance(days=15)
    found = await orgs(world, "list_inbound_responsibility_transfers", Type="BILLING")
    assert "EXPIRED" in {one["Status"] for one in found["ResponsibilityTransfers"]}
    call = orgs(
        world, "terminate_responsibility_transfer", Id=found["ResponsibilityTransfers"][0]["Id"]
    )
    assert (await refusal(call))[0] == "InvalidResponsibilityTransferTransitionException"


@told
async def test_only_a_management_account_lets_go_and_once(world: World) -> None:
    await two(world)
    handshake = await ask(world, THIRD)
    call = orgs(world, "accept_handshake", account=THIRD, HandshakeId=handshake["Id"])
    assert (await refusal(call))[0] == "AWSOrganizationsNotInUseException"
    member = await account(world)
    handshake = await ask(world, member)
    call = orgs(world, "accept_handshake", account=member, HandshakeId=handshake["Id"])
    assert (await refusal(call))[0] == "AccessDeniedException"
    error = await refused(ask(world, MASTER))
    assert error.fields == {"Reason": "SOURCE_AND_TARGET_CANNOT_MATCH"}
    for number in (1, 2):
        handshake = await ask(world)
        call = orgs(world, "accept_handshake", account=OTHER, HandshakeId=handshake["Id"])
        if number == 1:
            await call
        else:
            error = await refused(call)
            assert error.fields == {"Reason": "RESPONSIBILITY_TRANSFER_ALREADY_EXISTS"}
    name = (await inbound(world))["Id"]
    await orgs(world, "create_organization", account=THIRD)
    call = orgs(world, "describe_responsibility_transfer", account=THIRD, Id=name)
    assert (await refusal(call))[0] == "ResponsibilityTransferNotFoundException"
    call = orgs(world, "update_responsibility_transfer", account=OTHER, Id=name, Name="x")
    assert (await refusal(call))[0] == "AccessDeniedException"


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        (datetime(2030, 3, 1, 1, tzinfo=UTC), "START_DATE_NOT_BEGINNING_OF_DAY"),
        (datetime(2030, 3, 2, tzinfo=UTC), "START_DATE_NOT_BEGINNING_OF_MONTH"),
        (datetime(2030, 1, 1, tzinfo=UTC), "START_DATE_TOO_EARLY"),
    ],
)
def test_a_transfer_begins_with_a_month_to_come(start: datetime, reason: str) -> None:
    @told
    async def story(world: World) -> None:
        await two(world)
        error = await refused(ask(world, StartTimestamp=start))
        assert error.fields == {"Reason": reason}

    story()


@told
async def test_a_transfer_ends_with_a_month(world: World) -> None:
    await two(world)
    handshake = await ask(world)
    await orgs(world, "accept_handshake", account=OTHER, HandshakeId=handshake["Id"])
    name = (await inbound(world))["Id"]
    for end, reason in (
        (datetime(2030, 3, 30, 23, 59, 59, tzinfo=UTC), "END_DATE_NOT_END_OF_MONTH"),
        (datetime(2030, 2, 28, 23, 59, 59, tzinfo=UTC), "END_DATE_TOO_EARLY"),
    ):
        error = await refused(
            orgs(world, "terminate_responsibility_transfer", Id=name, EndTimestamp=end)
        )
        assert error.fields == {"Reason": reason}
    end = datetime(2030, 6, 30, 23, 59, 59, tzinfo=UTC)
    done = await orgs(world, "terminate_responsibility_transfer", Id=name, EndTimestamp=end)
    assert done["ResponsibilityTransfer"]["EndTimestamp"] == end
