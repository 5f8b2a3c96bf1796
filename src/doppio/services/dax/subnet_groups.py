"""Subnet groups. There is no network here: what a subnet's id looks like is all that is known of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader
from doppio.services.dax import limits, rules
from doppio.services.dax.errors import (
    SubnetGroupAlreadyExists,
    SubnetGroupInUse,
    SubnetGroupNotFound,
    SubnetGroupQuotaExceeded,
    SubnetInUse,
)
from doppio.services.dax.listing import listed
from doppio.services.dax.parameter_groups import clusters_of
from doppio.services.dax.records import SubnetGroup

if TYPE_CHECKING:
    from doppio._stubs import dax as w

DEFAULT_DESCRIPTION = "Default CacheSubnetGroup"


class SubnetGroups:
    """The operations on subnet groups."""

    async def create_subnet_group(
        self, ctx: Context, req: w.CreateSubnetGroupRequest
    ) -> w.CreateSubnetGroupResponse:
        """Make a group of subnets."""
        name = rules.group_name(req["SubnetGroupName"])
        subnets = rules.subnets(req["SubnetIds"])
        async with ctx.write() as tx:
            old = await tx.get(SubnetGroup, ctx.account, ctx.region, name)
            if name == rules.DEFAULT_SUBNETS or old is not None:
                raise SubnetGroupAlreadyExists(f"Subnet group {name} already exists.")
            most = limits.SUBNET_GROUPS_MAX
            if len(await tx.list(SubnetGroup, (ctx.account, ctx.region), limit=most)) >= most:
                raise SubnetGroupQuotaExceeded()
            group = SubnetGroup(
                account=ctx.account, region=ctx.region, name=name, subnets=subnets,
                description=req.get("Description"),
            )  # fmt: skip
            tx.put(group)
        return {"SubnetGroup": _shown(group)}  # type: ignore[typeddict-item]

    async def update_subnet_group(
        self, ctx: Context, req: w.UpdateSubnetGroupRequest
    ) -> w.UpdateSubnetGroupResponse:
        """Change a group's description and subnets; while a cluster uses it, none may leave it."""
        name = req["SubnetGroupName"]
        async with ctx.write() as tx:
            group = await existing_subnets(tx, ctx, name)
            if name == rules.DEFAULT_SUBNETS:
                raise SubnetInUse("The default subnet group cannot be modified.")
            if "SubnetIds" in req:
                subnets = rules.subnets(req["SubnetIds"])
                if set(group.subnets) - set(subnets) and await _user_of(tx, ctx, name):
                    raise SubnetInUse("The requested subnet is being used by a cluster.")
                group = replace(group, subnets=subnets)
            if "Description" in req:
                group = replace(group, description=req["Description"])
            tx.put(group)
        return {"SubnetGroup": _shown(group)}  # type: ignore[typeddict-item]

    async def delete_subnet_group(
        self, ctx: Context, req: w.DeleteSubnetGroupRequest
    ) -> w.DeleteSubnetGroupResponse:
        """Delete a group that no cluster uses."""
        name = req["SubnetGroupName"]
        async with ctx.write() as tx:
            group = await existing_subnets(tx, ctx, name)
            used_by = await _user_of(tx, ctx, name)
            if name == rules.DEFAULT_SUBNETS or used_by is not None:
                raise SubnetGroupInUse(
                    f"Subnet group {name} cannot be deleted: it is in use"
                    + (f" by cluster {used_by}." if used_by else " by default.")
                )
            tx.delete(group)
        return {"DeletionMessage": f"Subnet group {name} has been deleted."}

    async def describe_subnet_groups(
        self, ctx: Context, req: w.DescribeSubnetGroupsRequest
    ) -> w.DescribeSubnetGroupsResponse:
        """The groups that are named, or all of them: the default one first."""
        names = req.get("SubnetGroupNames")
        if names:
            reader = ctx.read()
            found = [await existing_subnets(reader, ctx, one) for one in names]
            return {"SubnetGroups": [_shown(one) for one in found]}  # type: ignore[misc]
        page = await listed(ctx, req, SubnetGroup, "SubnetGroups", _shown)
        if not req.get("NextToken"):
            page["SubnetGroups"].insert(0, _shown(_default(ctx)))
        return page  # type: ignore[return-value]


async def existing_subnets(reader: Reader, ctx: Context, name: str) -> SubnetGroup:
    """A group by its name. Raises SubnetGroupNotFoundFault."""
    if name == rules.DEFAULT_SUBNETS:
        return _default(ctx)
    found = await reader.get(SubnetGroup, ctx.account, ctx.region, name)
    if found is None:
        raise SubnetGroupNotFound(f"Subnet group {name} not found.")
    return found


async def _user_of(reader: Reader, ctx: Context, name: str) -> str | None:
    users = [one.name for one in await clusters_of(reader, ctx) if one.subnet_group == name]
    return users[0] if users else None


def _default(ctx: Context) -> SubnetGroup:
    return SubnetGroup(
        account=ctx.account, region=ctx.region, name=rules.DEFAULT_SUBNETS, subnets=[],
        description=DEFAULT_DESCRIPTION,
    )  # fmt: skip


def _shown(group: SubnetGroup) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "SubnetGroupName": group.name,
        "Subnets": [
            {"SubnetIdentifier": one, "SupportedNetworkTypes": ["ipv4"]} for one in group.subnets
        ],
        "SupportedNetworkTypes": ["ipv4"],
    }
    if group.description is not None:
        shown["Description"] = group.description
    return shown
