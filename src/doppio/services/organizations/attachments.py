"""Policy types in the root, and policies on targets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader, Tx
from doppio.services.organizations import limits, tree
from doppio.services.organizations.consequences import follow
from doppio.services.organizations.errors import (
    DuplicatePolicyAttachment,
    PolicyNotAttached,
    PolicyTypeAlreadyEnabled,
    PolicyTypeNotAvailable,
    PolicyTypeNotEnabled,
    RootNotFound,
    invalid,
    violation,
)
from doppio.services.organizations.guarding import attached, end, guard, hang
from doppio.services.organizations.organization import root_to_wire
from doppio.services.organizations.policies import existing, summary
from doppio.services.organizations.policy_types import BY_DEFAULT, RCP_FULL_ACCESS, SCP, TYPES
from doppio.services.organizations.records import (
    ALL,
    MEMBERS,
    ON,
    Attachment,
    Organization,
    Trusted,
    Unit,
)

if TYPE_CHECKING:
    from doppio._stubs import organizations as w


class Attachments:
    """The operations that make policies count."""

    async def enable_policy_type(
        self, ctx: Context, req: w.EnablePolicyTypeRequest
    ) -> w.EnablePolicyTypeResponse:
        """Let policies of a type count; those that allow everything hang everywhere from then on."""
        kind = req["PolicyType"]
        async with ctx.write() as tx:
            organization = await _rooted(tx, ctx, req["RootId"])
            if organization.features != ALL:
                raise PolicyTypeNotAvailable()
            if kind in organization.enabled:
                raise PolicyTypeAlreadyEnabled()
            await check_access(tx, organization, kind)
            organization = tx.put(replace(organization, enabled=(*organization.enabled, kind)))
            if kind in BY_DEFAULT:
                for name in await _targets(tx, organization):
                    await hang(tx, organization, name, BY_DEFAULT[kind])
        return {"Root": root_to_wire(organization)}  # type: ignore[typeddict-item]

    async def disable_policy_type(
        self, ctx: Context, req: w.DisablePolicyTypeRequest
    ) -> w.DisablePolicyTypeResponse:
        """Let no policy of a type count; all of them are taken off, and stay so."""
        kind = req["PolicyType"]
        async with ctx.write() as tx:
            organization = await _rooted(tx, ctx, req["RootId"])
            if kind not in organization.enabled:
                raise PolicyTypeNotEnabled()
            enabled = tuple(name for name in organization.enabled if name != kind)
            organization = tx.put(replace(organization, enabled=enabled))
            for name in await _targets(tx, organization):
                await end(tx, organization, name, kind)
            await follow(tx, organization, organization.root, kind)
        return {"Root": root_to_wire(organization)}  # type: ignore[typeddict-item]

    async def attach_policy(self, ctx: Context, req: w.AttachPolicyRequest) -> None:
        """Hang a policy on the root, a unit or an account; it counts for the next call."""
        async with ctx.write() as tx:
            organization = await tree.own(tx, ctx)
            policy = await existing(tx, organization, req["PolicyId"])
            name = req["TargetId"]
            await tree.target(tx, organization, name)
            if policy.type not in organization.enabled:
                raise PolicyTypeNotEnabled()
            rows = await attached(tx, organization, name, policy.type)
            if any(row.policy == policy.id for row in rows):
                raise DuplicatePolicyAttachment()
            if len(rows) >= TYPES[policy.type].attached_max:
                raise violation(
                    "MAX_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED",
                    "You have exceeded the number of policies of this type that can be attached "
                    "to the specified target.",
                )
            await hang(tx, organization, name, policy)
            await follow(tx, organization, name, policy.type)

    async def detach_policy(self, ctx: Context, req: w.DetachPolicyRequest) -> None:
        """Take a policy off; the last service control policy must stay."""
        async with ctx.write() as tx:
            organization = await tree.own(tx, ctx)
            policy = await existing(tx, organization, req["PolicyId"])
            name = req["TargetId"]
            await tree.target(tx, organization, name)
            rows = await attached(tx, organization, name, policy.type)
            row = next((one for one in rows if one.policy == policy.id), None)
            if row is None:
                raise PolicyNotAttached()
            if policy.id == RCP_FULL_ACCESS.id:
                raise invalid(
                    "NON_DETACHABLE_POLICY", "You can't detach the RCPFullAWSAccess policy."
                )
            if policy.type == SCP and len(rows) == 1:
                raise violation(
                    "MIN_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED",
                    "You cannot remove the last policy attached to the specified target. You "
                    "should have at least one policy attached.",
                )
            tx.delete(row)
            await guard(tx, organization, name, policy.type)
            await follow(tx, organization, name, policy.type)

    async def list_policies_for_target(
        self, ctx: Context, req: w.ListPoliciesForTargetRequest
    ) -> w.ListPoliciesForTargetResponse:
        """The policies of a type that hang on a target itself."""
        reader = ctx.read()
        organization = await tree.own(reader, ctx)
        name, kind = req["TargetId"], req["Filter"]
        await tree.target(reader, organization, name)
        shown = []
        for row in await attached(reader, organization, name, kind):
            policy = await existing(reader, organization, row.policy)
            shown.append((policy.id, summary(organization, policy)))
        return tree.page(req, shown, "Policies", f"on/{name}/{kind}")  # type: ignore[return-value]

    async def list_targets_for_policy(
        self, ctx: Context, req: w.ListTargetsForPolicyRequest
    ) -> w.ListTargetsForPolicyResponse:
        """What a policy hangs on."""
        reader = ctx.read()
        organization = await tree.own(reader, ctx)
        policy = await existing(reader, organization, req["PolicyId"])
        rows = await reader.find(ON, (organization.id, policy.id), limit=limits.ROWS_MAX)
        rows.sort(key=lambda row: row.target)
        shown = [(row.target, await _target_to_wire(reader, organization, row)) for row in rows]
        scope = f"targets/{organization.id}/{policy.id}"
        return tree.page(req, shown, "Targets", scope)  # type: ignore[return-value]


async def check_access(tx: Tx, organization: Organization, kind: str) -> None:
    """Raise where a type's service has no access to the organisation yet."""
    service = TYPES[kind].service
    if service is not None and await tx.get(Trusted, organization.id, service) is None:
        raise violation(
            "SERVICE_ACCESS_NOT_ENABLED",
            "You must enable access of the service to your organization first.",
        )


async def _rooted(tx: Tx, ctx: Context, root: str) -> Organization:
    organization = await tree.own(tx, ctx)
    if root != organization.root:
        raise RootNotFound()
    return organization


async def _targets(tx: Tx, organization: Organization) -> list[str]:
    """The root, all units and all accounts."""
    units = await tx.list(Unit, (organization.id,), limit=limits.ROWS_MAX)
    accounts = await tx.find(MEMBERS, (organization.id,), limit=limits.ROWS_MAX)
    return [organization.root, *(one.id for one in units), *(one.id for one in accounts)]


async def _target_to_wire(
    reader: Reader, organization: Organization, row: Attachment
) -> dict[str, Any]:
    found = await tree.target(reader, organization, row.target)
    return {
        "TargetId": row.target,
        "Arn": tree.arn_of(organization, row.target),
        "Name": "Root" if found is None else found.name,
        "Type": tree.kind_of(row.target),
    }
