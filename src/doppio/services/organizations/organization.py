"""The organisation itself and its root."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel.authorise import forget_resource
from doppio.kernel.context import Context, Tx
from doppio.services.organizations import limits, tree
from doppio.services.organizations.errors import AlreadyInOrganization, OrganizationNotEmpty
from doppio.services.organizations.guarding import end
from doppio.services.organizations.handshakes import CANCELED, GOING, of_organization
from doppio.services.organizations.handshakes import end as end_handshake
from doppio.services.organizations.membership import admit, check_linked_role, dismiss
from doppio.services.organizations.records import (
    ALL,
    BY_ROOT,
    MEMBERS,
    SUB_UNITS,
    Creation,
    Delegate,
    Organization,
    Policy,
    ResourcePolicy,
    Trusted,
    Unit,
)
from doppio.services.organizations.transfers import check_none
from doppio.services.organizations.tree import arn_of

if TYPE_CHECKING:
    from doppio._stubs import organizations as w


def root_to_wire(organization: Organization) -> dict[str, Any]:
    """The root with the policy types that are enabled in it."""
    return {
        "Id": organization.root,
        "Arn": arn_of(organization, organization.root),
        "Name": "Root",
        "PolicyTypes": [{"Type": kind, "Status": "ENABLED"} for kind in organization.enabled],
    }


def to_wire(organization: Organization, email: str) -> dict[str, Any]:
    """An organisation; AWS tells of one available policy type, whatever there is."""
    available = [{"Type": "SERVICE_CONTROL_POLICY", "Status": "ENABLED"}]
    return {
        "Id": organization.id,
        "Arn": organization.arn,
        "FeatureSet": organization.features,
        "MasterAccountArn": arn_of(organization, organization.master),
        "MasterAccountId": organization.master,
        "MasterAccountEmail": email,
        "AvailablePolicyTypes": available if organization.features == ALL else [],
    }


class Organizations:
    """The operations on the organisation."""

    async def create_organization(
        self, ctx: Context, req: w.CreateOrganizationRequest
    ) -> w.CreateOrganizationResponse:
        """Make an organisation; the calling account is its management account."""
        async with ctx.write() as tx:
            account, present = await tree.membership(tx, ctx.account)
            if present is not None:
                raise AlreadyInOrganization()
            organization = Organization(
                id=ctx.new_id("organization"), master=ctx.account, root=await _new_root(tx, ctx),
                features=req.get("FeatureSet", ALL), created_at=ctx.now, partition=ctx.partition,
            )  # fmt: skip
            await check_linked_role(tx, ctx, organization)
            tx.add(organization)
            account = await tree.account_of(tx, ctx.account)
            await admit(tx, organization, replace(account, joined="INVITED"))
        return {"Organization": to_wire(organization, account.email)}  # type: ignore[typeddict-item]

    async def describe_organization(
        self, ctx: Context, req: dict[str, Any]
    ) -> w.DescribeOrganizationResponse:
        """The organisation of the calling account, which any member may see."""
        reader = ctx.read()
        organization = await tree.own(reader, ctx)
        master = await tree.account_of(reader, organization.master)
        return {"Organization": to_wire(organization, master.email)}  # type: ignore[typeddict-item]

    async def delete_organization(self, ctx: Context, req: dict[str, Any]) -> None:
        """Delete an organisation that has no member but the management account, and no unit."""
        async with ctx.write() as tx:
            organization = await tree.own(tx, ctx)
            if len(await tx.find(MEMBERS, (organization.id,), limit=2)) > 1:
                raise OrganizationNotEmpty()
            if await tx.find(SUB_UNITS, (organization.id, organization.root), limit=1):
                raise OrganizationNotEmpty(
                    "To delete an organization you must first delete all organizational units."
                )
            await check_none(tx, organization.master)
            await dismiss(tx, organization, await tree.account_of(tx, organization.master))
            await _forget(tx, organization)

    async def list_roots(self, ctx: Context, req: w.ListRootsRequest) -> w.ListRootsResponse:
        """The one root."""
        organization = await tree.own(ctx.read(), ctx)
        rows = [(organization.root, root_to_wire(organization))]
        return tree.page(req, rows, "Roots", f"roots/{organization.id}")  # type: ignore[return-value]


async def _new_root(tx: Tx, ctx: Context) -> str:
    """An id that no other organisation's root has: it is short."""
    while True:
        name = ctx.new_id("organization-root")
        if not await tx.find(BY_ROOT, (name,), limit=1):
            return name


async def _forget(tx: Tx, organization: Organization) -> None:
    """Remove all that hangs on an organisation."""
    await tx.get(Organization, organization.id)
    await end(tx, organization, organization.root)
    for cls in (Unit, Creation, Policy, Trusted, Delegate, ResourcePolicy):
        rows: list[Any] = await tx.list(cls, (organization.id,), limit=limits.ROWS_MAX)
        for row in rows:
            tx.delete(row)
    for handshake in await of_organization(tx, organization.id):
        if handshake.state in GOING:
            await end_handshake(tx, handshake, CANCELED)
    forget_resource(tx, organization.arn)
    tx.delete(organization)
