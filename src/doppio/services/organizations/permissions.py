"""Who may call what, and on which resource it is judged.

Some operations are for any account, some for members; most are the management account's alone.
Those that read are also for delegated administrators, and those on policies for whom the
organisation's resource policy names. Members are judged by what hangs on the organisation, for whose
resources they come from another account; all by their own policies first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doppio.kernel.authorise import resource_policy
from doppio.kernel.context import Context, Reader
from doppio.kernel.service import Operation
from doppio.kernel.tags import ResourceTags
from doppio.services.organizations import tree
from doppio.services.organizations.errors import AccessDenied, NotInUse, TargetNotFound
from doppio.services.organizations.guarding import find_policy
from doppio.services.organizations.policies import policy_arn
from doppio.services.organizations.records import Handshake, Organization, ResourcePolicy, Transfer
from doppio.services.organizations.tagging import tagged, tags_of
from doppio.services.organizations.who import WHO

# The members of requests that name what an operation acts on.
_NAMES = (
    "ParentId", "OrganizationalUnitId", "AccountId", "RootId", "TargetId", "ResourceId", "ChildId",
    "SourceParentId", "DestinationParentId", "PolicyId", "Id",
)  # fmt: skip

_TYPE = "organizations:policytype"


def guarded(operation: Operation) -> Operation:
    """The operation, behind the question whether the caller may."""

    async def run(ctx: Context, req: Mapping[str, Any]) -> Mapping[str, Any] | None:
        await check(ctx, req)
        return await operation(ctx, req)

    return run


async def check(ctx: Context, req: Mapping[str, Any]) -> None:
    """Raise AccessDenied, or NotInUse, where the caller may not do this."""
    action = f"organizations:{ctx.operation}"
    who = WHO.get(ctx.operation, "master")
    if ctx.operation == "DescribeEffectivePolicy" and ctx.account == req.get(
        "TargetId", ctx.account
    ):
        who = "member"
    reader = ctx.read()
    organization = (await tree.membership(reader, ctx.account))[1]
    keys = _request_keys(ctx, req)
    if who in ("anybody", "member") or organization is None:
        # Judged as the caller's own, whoever's the ARN is.
        await ctx.authorise(action, await _own(ctx, organization, req), keys, policy="*")
        if organization is None and who != "anybody":
            raise NotInUse()
        return
    arns = await _resources(reader, organization, req, keys)
    if organization.master == ctx.account:
        for arn in arns:
            await ctx.authorise(action, arn, keys, beyond=_TAGS)
        if req.get("Tags") and ctx.operation != "TagResource":
            await ctx.authorise("organizations:TagResource", "*", keys)
        return
    if who == "master" or not await _lets_in(reader, organization, who):
        await ctx.authorise(action, "*", keys)
        raise AccessDenied()
    for arn in arns:
        await ctx.authorise(action, arn, keys, policy=organization.arn, beyond=_TAGS)


async def _lets_in(reader: Reader, organization: Organization, who: str) -> bool:
    """Whether anything lets members read, or do more, at all."""
    if who == "manager":
        return await reader.get(ResourcePolicy, organization.id) is not None
    return await resource_policy(reader, organization.arn) is not None


async def _own(ctx: Context, organization: Organization | None, req: Mapping[str, Any]) -> str:
    """The ARN of a handshake that is spoken of, or of the account itself; else `*`."""
    if organization is not None and ctx.operation == "DescribeEffectivePolicy":
        return tree.arn_of(organization, ctx.account)
    found = await ctx.read().get(Handshake, req["HandshakeId"]) if "HandshakeId" in req else None
    return "*" if found is None else found.arn


async def _resources(
    reader: Reader, organization: Organization, req: Mapping[str, Any], keys: dict[str, Any]
) -> list[str]:
    """The ARNs of what an operation acts on, `*` where it is nothing that has a name.

    The type of a policy among them goes into the condition keys.
    """
    found = []
    for name in _NAMES:
        one = req.get(name)
        if one is None:
            continue
        if one.startswith("rt-"):
            transfer = await reader.get(Transfer, one)
            inbound = transfer is None or transfer.target == organization.master
            way = "inbound" if inbound else "outbound"
            keys.update(_transferring(way))
            found.append(organization.arn_of("transfer", "billing", way, one))
        elif one.startswith("rp-"):
            found.append(organization.arn_of("resourcepolicy", one))
        elif one.startswith("p-"):
            policy = await find_policy(reader, organization, one)
            if policy is None:
                found.append(organization.arn_of("policy", "*", one))
            else:
                keys[_TYPE] = policy.type
                found.append(policy_arn(organization, policy))
        else:
            found.append(tree.arn_of(organization, one))
    invited = req.get("Target", {})
    if invited.get("Type") == "ACCOUNT" and tree.is_account(invited["Id"]):
        found.append(organization.arn_of("account", invited["Id"]))
    return found or ["*"]


def _transferring(way: str) -> dict[str, str]:
    return {
        "organizations:transferdirection": way, "organizations:transfertype": "billing",
    }  # fmt: skip


def _request_keys(ctx: Context, req: Mapping[str, Any]) -> dict[str, Any]:
    given = req.get("Tags", ())
    keys: dict[str, Any] = {f"aws:requesttag/{tag['Key'].lower()}": tag["Value"] for tag in given}
    names = [tag["Key"] for tag in given] or list(req.get("TagKeys", ()))
    if names:
        keys["aws:tagkeys"] = names
    if req.get("Type") == "BILLING":
        inbound = "SourceName" in req or ctx.operation == "ListInboundResponsibilityTransfers"
        keys.update(_transferring("inbound" if inbound else "outbound"))
        return keys
    if "ServicePrincipal" in req:
        keys["organizations:serviceprincipal"] = req["ServicePrincipal"]
    kind = req.get("PolicyType") or req.get("Filter") or req.get("Type")
    if isinstance(kind, str):
        keys[_TYPE] = kind
    return keys


async def _tags(reader: Reader, arn: str) -> Mapping[str, str] | None:
    organization = (await tree.membership(reader, reader.context.account))[1]
    if organization is None:
        return None
    try:
        return tags_of(await tagged(reader, organization, arn.rpartition("/")[2]))
    except TargetNotFound:
        return None


_TAGS = ResourceTags(_tags)
