"""Invitations and answers: accounts that join, and all that is answered by a handshake."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.kernel.quotas import quota
from doppio.kernel.regions import home_of
from doppio.services.organizations import handshakes, limits, migration, tree
from doppio.services.organizations.accounts import check_may_go
from doppio.services.organizations.creation import check_room
from doppio.services.organizations.errors import (
    AccessDenied,
    ConstraintViolation,
    DuplicateHandshake,
    HandshakeNotFound,
    hindrance,
)
from doppio.services.organizations.handshakes import (
    ACCEPTED,
    APPROVE,
    CANCELED,
    DECLINED,
    ENABLE,
    GOING,
    INVITE,
    OPEN,
    TRANSFER,
    to_wire,
)
from doppio.services.organizations.membership import (
    admit,
    check_linked_role,
    dismiss,
)
from doppio.services.organizations.parties import account_named, checked_party
from doppio.services.organizations.records import (
    Account,
    Handshake,
    Organization,
    Thing,
)
from doppio.services.organizations.tagging import new_tags
from doppio.services.organizations.transfers import check_acceptable

if TYPE_CHECKING:
    from doppio._stubs import organizations as w


class Invitations:
    """The operations on handshakes."""

    async def invite_account_to_organization(
        self, ctx: Context, req: w.InviteAccountToOrganizationRequest
    ) -> w.InviteAccountToOrganizationResponse:
        """Ask an account, by its id or its address, to join."""
        party = checked_party(req["Target"]["Type"], req["Target"]["Id"])
        async with ctx.write() as tx:
            organization = await tree.own(tx, ctx)
            invited = await account_named(tx, party)
            await _check_invitable(tx, ctx, organization, party, invited)
            things = [await handshakes.sender(tx, organization), Thing(*party)]
            if "Notes" in req:
                things.append(Thing("NOTES", req["Notes"]))
            made = await handshakes.begin(
                tx, organization, INVITE, party, things, limits.INVITATION_LASTS,
                tags=new_tags(req.get("Tags", ())),
            )  # fmt: skip
        return {"Handshake": to_wire(made)}  # type: ignore[typeddict-item]

    async def accept_handshake(
        self, ctx: Context, req: w.AcceptHandshakeRequest
    ) -> w.AcceptHandshakeResponse:
        """Agree: to join, to all features, or to what all have agreed to."""
        async with ctx.write() as tx:
            handshake = await handshakes.existing(tx, req["HandshakeId"])
            await handshakes.check_recipient(tx, ctx, handshake)
            # What all must agree to first is only asked for.
            going = frozenset({OPEN}) if handshake.action == ENABLE else GOING
            handshakes.check_going(handshake, ACCEPTED, going)
            if handshake.action == INVITE:
                await _join(tx, ctx, handshake)
            elif handshake.action == TRANSFER:
                await check_acceptable(tx, ctx, handshake)
            done = await handshakes.end(tx, handshake, ACCEPTED)
            if handshake.action in (APPROVE, ENABLE):
                await migration.accepted(tx, done)
        return {"Handshake": to_wire(done)}  # type: ignore[typeddict-item]

    async def decline_handshake(
        self, ctx: Context, req: w.DeclineHandshakeRequest
    ) -> w.DeclineHandshakeResponse:
        """Refuse what one is asked for."""
        async with ctx.write() as tx:
            handshake = await handshakes.existing(tx, req["HandshakeId"])
            if handshake.kind == "ORGANIZATION":
                raise AccessDenied()
            await handshakes.check_recipient(tx, ctx, handshake)
            handshakes.check_going(handshake, DECLINED)
            done = await handshakes.end(tx, handshake, DECLINED)
        return {"Handshake": to_wire(done)}  # type: ignore[typeddict-item]

    async def cancel_handshake(
        self, ctx: Context, req: w.CancelHandshakeRequest
    ) -> w.CancelHandshakeResponse:
        """Take back what one has asked for."""
        async with ctx.write() as tx:
            handshake = await handshakes.existing(tx, req["HandshakeId"])
            if ctx.account != handshake.master:
                raise AccessDenied()
            handshakes.check_going(handshake, CANCELED)
            for part in await handshakes.parts_of(tx, handshake):
                if part.state in GOING:
                    await handshakes.end(tx, part, CANCELED)
            done = await handshakes.end(tx, handshake, CANCELED)
        return {"Handshake": to_wire(done)}  # type: ignore[typeddict-item]

    async def describe_handshake(
        self, ctx: Context, req: w.DescribeHandshakeRequest
    ) -> w.DescribeHandshakeResponse:
        """A handshake, for those who take part in it."""
        reader = ctx.read()
        handshake = await handshakes.existing(reader, req["HandshakeId"])
        if ctx.account != handshake.master:
            await handshakes.check_recipient(reader, ctx, handshake)
        return {"Handshake": to_wire(handshake)}  # type: ignore[typeddict-item]

    async def list_handshakes_for_account(
        self, ctx: Context, req: w.ListHandshakesForAccountRequest
    ) -> w.ListHandshakesForAccountResponse:
        """What the calling account was asked for."""
        reader = ctx.read()
        account = await tree.account_of(reader, ctx.account)
        rows = await handshakes.for_account(reader, account)
        return handshakes.page(req, rows, f"asked/{account.id}")  # type: ignore[return-value]

    async def list_handshakes_for_organization(
        self, ctx: Context, req: w.ListHandshakesForOrganizationRequest
    ) -> w.ListHandshakesForOrganizationResponse:
        """What the organisation has asked for."""
        reader = ctx.read()
        organization = await tree.own(reader, ctx)
        rows = await handshakes.of_organization(reader, organization.id)
        return handshakes.page(req, rows, f"asks/{organization.id}")  # type: ignore[return-value]


async def _check_invitable(
    tx: Tx,
    ctx: Context,
    organization: Organization,
    party: tuple[str, str],
    invited: Account | None,
) -> None:
    asked = await handshakes.of_organization(tx, organization.id)
    if any(one.action == ENABLE and one.state in GOING for one in asked):
        raise hindrance(
            "INVITE_DISABLED_DURING_ENABLE_ALL_FEATURES",
            "You can't invite accounts while the organization is enabling all features.",
        )
    if invited is not None and invited.organization == organization.id:
        raise hindrance(
            "ALREADY_IN_AN_ORGANIZATION", "The account is already a member of the organization."
        )
    invitations = [one for one in asked if one.action == INVITE]
    names = {party[1], *(() if invited is None else handshakes.names_of(invited))}
    if any(one.state in GOING and one.party in names for one in invitations):
        raise DuplicateHandshake()
    waiting = sum(one.state in GOING for one in invitations)
    try:
        await check_room(tx, organization, waiting)
    except ConstraintViolation as error:
        raise hindrance("ACCOUNT_NUMBER_LIMIT_EXCEEDED", error.message) from error
    region = home_of(tx.context.region)
    accounts = await quota(tx, limits.ACCOUNTS, account=organization.master, region=region)
    since = ctx.now - timedelta(days=1)
    today = sum(one.at > since and one.state != ACCEPTED for one in invitations)
    if today >= max(limits.INVITATIONS_A_DAY, accounts):
        raise hindrance(
            "HANDSHAKE_RATE_LIMIT_EXCEEDED",
            "You have exceeded the number of handshakes that you can send in one day.",
        )


async def _join(tx: Tx, ctx: Context, handshake: Handshake) -> None:
    """Take the calling account in, out of the organisation that it may be in."""
    organization = await tx.get(Organization, handshake.organization)
    if organization is None:
        raise HandshakeNotFound()
    account, left = await tree.membership(tx, ctx.account)
    if left is not None and account is not None:
        if left.id == organization.id:
            raise hindrance(
                "ALREADY_IN_AN_ORGANIZATION", "The account is already a member of an organization."
            )
        await check_may_go(tx, left, account)
        await dismiss(tx, left, account, "LEFT")
    try:
        await check_room(tx, organization)
    except ConstraintViolation as error:
        raise hindrance("ACCOUNT_NUMBER_LIMIT_EXCEEDED", error.message) from error
    await check_linked_role(tx, ctx, organization)
    account = await tree.account_of(tx, ctx.account)
    await admit(tx, organization, replace(account, joined="INVITED", tags=handshake.tags))
