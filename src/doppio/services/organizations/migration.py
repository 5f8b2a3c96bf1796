"""From consolidated billing to all features: asked of those who came by invitation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.services.iam.ports import make_linked_role
from doppio.services.organizations import handshakes, limits, tree
from doppio.services.organizations.errors import hindrance
from doppio.services.organizations.handshakes import (
    ACCEPTED,
    APPROVE,
    CANCELED,
    ENABLE,
    GOING,
    OPEN,
    REQUESTED,
    to_wire,
)
from doppio.services.organizations.records import (
    ALL,
    MEMBERS,
    Account,
    Handshake,
    Organization,
    Thing,
)

if TYPE_CHECKING:
    from doppio._stubs import organizations as w

LINKED = "organizations.amazonaws.com"


class Migrations:
    """The operation that begins it."""

    async def enable_all_features(
        self, ctx: Context, req: w.EnableAllFeaturesRequest
    ) -> w.EnableAllFeaturesResponse:
        """Ask all accounts that were invited; when all agree, the management account finishes it."""
        async with ctx.write() as tx:
            organization = await tree.own(tx, ctx)
            if organization.features == ALL:
                raise hindrance(
                    "ORGANIZATION_ALREADY_HAS_ALL_FEATURES",
                    "The organization already has all features enabled.",
                )
            if await _going(tx, organization.id) is not None:
                raise hindrance(
                    "ORGANIZATION_IS_ALREADY_PENDING_ALL_FEATURES_MIGRATION",
                    "The organization is already in the process of enabling all features.",
                )
            about = Thing("ORGANIZATION", organization.id)
            asked = [
                account
                for account in await tx.find(MEMBERS, (organization.id,), limit=limits.ROWS_MAX)
                if account.joined == "INVITED" and account.id != organization.master
            ]
            whole = await handshakes.begin(
                tx, organization, ENABLE, ("ORGANIZATION", organization.id), [about],
                limits.MIGRATION_LASTS, state=REQUESTED if asked else OPEN,
            )  # fmt: skip
            for account in asked:
                things = [await handshakes.sender(tx, organization), Thing("ACCOUNT", account.id)]
                things.append(Thing("PARENT_HANDSHAKE", whole.id))
                await handshakes.begin(
                    tx, organization, APPROVE, ("ACCOUNT", account.id), things,
                    limits.MIGRATION_LASTS, parent=whole.id,
                )  # fmt: skip
        return {"Handshake": to_wire(whole)}  # type: ignore[typeddict-item]


async def accepted(tx: Tx, handshake: Handshake) -> None:
    """Go on after an account, or the management account, has agreed."""
    if handshake.action == APPROVE:
        await _look(tx, handshake.organization)
        return
    organization = await tx.get(Organization, handshake.organization)
    assert organization is not None, "its handshakes end with it"
    tx.put(replace(organization, features=ALL))
    for account in await tx.find(MEMBERS, (organization.id,), limit=limits.ROWS_MAX):
        await make_linked_role(tx, account.id, LINKED)


async def gone(tx: Tx, organization: Organization, account: Account) -> None:
    """Ask an account no longer that has left: the others may have agreed already."""
    if organization.features == ALL:
        return
    whole = await _going(tx, organization.id)
    if whole is None:
        return
    for part in await handshakes.parts_of(tx, whole):
        if part.party == account.id and part.state in GOING | {"DECLINED"}:
            await handshakes.end(tx, part, CANCELED)
    await _look(tx, organization.id)


async def _going(tx: Tx, organization: str) -> Handshake | None:
    found = await handshakes.of_organization(tx, organization)
    return next((one for one in found if one.action == ENABLE and one.state in GOING), None)


async def _look(tx: Tx, organization: str) -> None:
    """Let the management account finish where all have agreed who are still there."""
    whole = await _going(tx, organization)
    if whole is None or whole.state != REQUESTED:
        return
    parts = await handshakes.parts_of(tx, whole)
    if all(part.state in (ACCEPTED, CANCELED) for part in parts):
        tx.put(replace(whole, state=OPEN))
