"""Policies: written, changed, seen and deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader, Tx
from doppio.services.organizations import limits, tree
from doppio.services.organizations.consequences import follow
from doppio.services.organizations.documents import check_content
from doppio.services.organizations.errors import (
    DuplicatePolicy,
    PolicyInUse,
    PolicyNotFound,
    PolicyTypeNotAvailable,
    invalid,
    violation,
)
from doppio.services.organizations.guarding import find_policy, guard
from doppio.services.organizations.policy_types import MANAGED, TYPES
from doppio.services.organizations.records import ALL, OF_TYPE, ON, Organization, Policy
from doppio.services.organizations.tagging import new_tags

if TYPE_CHECKING:
    from doppio._stubs import organizations as w


def policy_arn(organization: Organization, policy: Policy) -> str:
    """The ARN of a policy; AWS's are nobody's."""
    kind = policy.type.lower()
    if policy.managed:
        return f"arn:{organization.partition}:organizations::aws:policy/{kind}/{policy.id}"
    return organization.arn_of("policy", kind, policy.id)


def summary(organization: Organization, policy: Policy) -> dict[str, Any]:
    """A policy without its content."""
    return {
        "Id": policy.id,
        "Arn": policy_arn(organization, policy),
        "Name": policy.name,
        "Description": policy.description,
        "Type": policy.type,
        "AwsManaged": policy.managed,
    }


def to_wire(organization: Organization, policy: Policy) -> dict[str, Any]:
    """A policy as it is shown."""
    return {"Policy": {"PolicySummary": summary(organization, policy), "Content": policy.content}}


async def existing(reader: Reader, organization: Organization, name: str) -> Policy:
    """The policy of an id. Raises PolicyNotFound."""
    found = await find_policy(reader, organization, name)
    if found is None:
        raise PolicyNotFound()
    return found


async def _own(tx: Tx, organization: Organization, name: str) -> Policy:
    if name in MANAGED:
        raise invalid("IMMUTABLE_POLICY", "You can't modify or delete an AWS managed policy.")
    found = await tx.get(Policy, organization.id, name)
    if found is None:
        raise PolicyNotFound()
    return found


async def _of_type(reader: Reader, organization: Organization, kind: str) -> list[Policy]:
    return await reader.find(OF_TYPE, (organization.id, kind), limit=limits.ROWS_MAX)


async def _check_name(tx: Tx, organization: Organization, kind: str, name: str) -> int:
    """Raise DuplicatePolicy for a name that is taken; how many policies of the type there are."""
    rows = await _of_type(tx, organization, kind)
    taken = {row.name for row in rows} | {row.name for row in MANAGED.values() if row.type == kind}
    if name in taken:
        raise DuplicatePolicy()
    return len(rows)


class Policies:
    """The operations on policies themselves."""

    async def create_policy(
        self, ctx: Context, req: w.CreatePolicyRequest
    ) -> w.CreatePolicyResponse:
        """Write a policy; it counts for nobody until it hangs on something."""
        kind = req["Type"]
        async with ctx.write() as tx:
            organization = await tree.own(tx, ctx)
            if organization.features != ALL:
                raise PolicyTypeNotAvailable()
            check_content(kind, req["Content"])
            many = await _check_name(tx, organization, kind, req["Name"])
            if many >= TYPES[kind].policies_max:
                raise violation(
                    "POLICY_NUMBER_LIMIT_EXCEEDED",
                    "You have exceeded the allowed number of policies.",
                )
            policy = tx.add(
                Policy(
                    organization=organization.id, id=ctx.new_id("organization-policy"), type=kind,
                    name=req["Name"], description=req["Description"], content=req["Content"],
                    updated_at=ctx.now, tags=new_tags(req.get("Tags", ())),
                )
            )  # fmt: skip
        return to_wire(organization, policy)  # type: ignore[return-value]

    async def update_policy(
        self, ctx: Context, req: w.UpdatePolicyRequest
    ) -> w.UpdatePolicyResponse:
        """Change a policy, which counts at once wherever it hangs."""
        async with ctx.write() as tx:
            organization = await tree.own(tx, ctx)
            policy = await _own(tx, organization, req["PolicyId"])
            name, content = req.get("Name", policy.name), req.get("Content", policy.content)
            if name != policy.name:
                await _check_name(tx, organization, policy.type, name)
            if content != policy.content:
                check_content(policy.type, content)
            policy = tx.put(
                replace(
                    policy, name=name, content=content, updated_at=ctx.now,
                    description=req.get("Description", policy.description),
                )
            )  # fmt: skip
            for row in await tx.find(ON, (organization.id, policy.id), limit=limits.ROWS_MAX):
                await guard(tx, organization, row.target, policy.type)
                await follow(tx, organization, row.target, policy.type)
        return to_wire(organization, policy)  # type: ignore[return-value]

    async def describe_policy(
        self, ctx: Context, req: w.DescribePolicyRequest
    ) -> w.DescribePolicyResponse:
        """A policy and its content."""
        reader = ctx.read()
        organization = await tree.own(reader, ctx)
        policy = await existing(reader, organization, req["PolicyId"])
        return to_wire(organization, policy)  # type: ignore[return-value]

    async def delete_policy(self, ctx: Context, req: w.DeletePolicyRequest) -> None:
        """Delete a policy that hangs on nothing."""
        async with ctx.write() as tx:
            organization = await tree.own(tx, ctx)
            policy = await _own(tx, organization, req["PolicyId"])
            if await tx.find(ON, (organization.id, policy.id), limit=1):
                raise PolicyInUse()
            tx.delete(policy)

    async def list_policies(
        self, ctx: Context, req: w.ListPoliciesRequest
    ) -> w.ListPoliciesResponse:
        """The policies of a type, AWS's among them."""
        reader = ctx.read()
        organization = await tree.own(reader, ctx)
        kind = req["Filter"]
        rows = [policy for policy in MANAGED.values() if policy.type == kind]
        rows += await _of_type(reader, organization, kind)
        rows.sort(key=lambda row: row.id)
        named = [(row.id, summary(organization, row)) for row in rows]
        scope = f"policies/{organization.id}/{kind}"
        return tree.page(req, named, "Policies", scope)  # type: ignore[return-value]
