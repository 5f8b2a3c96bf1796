"""Parameter groups: how long items and queries stay in the caches of the clusters that use them.

AWS lets nobody change a group that a cluster uses: one makes another and gives it to the cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader
from doppio.services.dax import limits, rules
from doppio.services.dax.errors import (
    InvalidParameterGroupState,
    InvalidParameterValue,
    ParameterGroupAlreadyExists,
    ParameterGroupNotFound,
    ParameterGroupQuotaExceeded,
)
from doppio.services.dax.listing import listed, page_size
from doppio.services.dax.records import Cluster, ParameterGroup

if TYPE_CHECKING:
    from doppio._stubs import dax as w

DEFAULT_DESCRIPTION = "Default parameter group for dax1.0"


class ParameterGroups:
    """The operations on parameter groups."""

    async def create_parameter_group(
        self, ctx: Context, req: w.CreateParameterGroupRequest
    ) -> w.CreateParameterGroupResponse:
        """Make a group, whose parameters are DAX's own until they are changed."""
        name = rules.group_name(req["ParameterGroupName"])
        async with ctx.write() as tx:
            old = await tx.get(ParameterGroup, ctx.account, ctx.region, name)
            if name == rules.DEFAULT_PARAMETERS or old is not None:
                raise ParameterGroupAlreadyExists(f"Parameter group {name} already exists.")
            most = limits.PARAMETER_GROUPS_MAX
            if len(await tx.list(ParameterGroup, (ctx.account, ctx.region), limit=most)) >= most:
                raise ParameterGroupQuotaExceeded()
            group = ParameterGroup(
                account=ctx.account, region=ctx.region, name=name,
                description=req.get("Description"),
            )  # fmt: skip
            tx.put(group)
        return {"ParameterGroup": _shown(group)}  # type: ignore[typeddict-item]

    async def update_parameter_group(
        self, ctx: Context, req: w.UpdateParameterGroupRequest
    ) -> w.UpdateParameterGroupResponse:
        """Change parameters of a group that no cluster uses."""
        name = req["ParameterGroupName"]
        if len(req["ParameterNameValues"]) > limits.PARAMETERS_A_REQUEST_MAX:
            raise InvalidParameterValue(
                f"At most {limits.PARAMETERS_A_REQUEST_MAX} parameters may be given at once."
            )
        values = rules.parameters(req["ParameterNameValues"])  # type: ignore[arg-type]
        if name == rules.DEFAULT_PARAMETERS:
            raise InvalidParameterGroupState("The default parameter group cannot be modified.")
        async with ctx.write() as tx:
            group = await existing_parameters(tx, ctx, name)
            await _check_unused(tx, ctx, name, "modified")
            group = replace(group, values={**group.values, **values})
            tx.put(group)
        return {"ParameterGroup": _shown(group)}  # type: ignore[typeddict-item]

    async def delete_parameter_group(
        self, ctx: Context, req: w.DeleteParameterGroupRequest
    ) -> w.DeleteParameterGroupResponse:
        """Delete a group that no cluster uses."""
        name = req["ParameterGroupName"]
        if name == rules.DEFAULT_PARAMETERS:
            raise InvalidParameterGroupState("The default parameter group cannot be deleted.")
        async with ctx.write() as tx:
            group = await existing_parameters(tx, ctx, name)
            await _check_unused(tx, ctx, name, "deleted")
            tx.delete(group)
        return {"DeletionMessage": f"Parameter group {name} has been deleted."}

    async def describe_parameter_groups(
        self, ctx: Context, req: w.DescribeParameterGroupsRequest
    ) -> w.DescribeParameterGroupsResponse:
        """The groups that are named, or all of them: the default one first."""
        names = req.get("ParameterGroupNames")
        if names:
            reader = ctx.read()
            found = [await existing_parameters(reader, ctx, one) for one in names]
            return {"ParameterGroups": [_shown(one) for one in found]}  # type: ignore[misc]
        page = await listed(ctx, req, ParameterGroup, "ParameterGroups", _shown)
        if not req.get("NextToken"):
            page["ParameterGroups"].insert(0, _shown(_default(ctx)))
        return page  # type: ignore[return-value]

    async def describe_parameters(
        self, ctx: Context, req: w.DescribeParametersRequest
    ) -> w.DescribeParametersResponse:
        """The parameters of a group, by name; `Source` chooses whose values are shown."""
        page_size(req)
        group = await existing_parameters(ctx.read(), ctx, req["ParameterGroupName"])
        shown = _parameters(group.values)
        if "Source" in req:
            shown = [one for one in shown if one["Source"] == req["Source"]]
        return {"Parameters": shown}  # type: ignore[typeddict-item]

    async def describe_default_parameters(
        self, ctx: Context, req: w.DescribeDefaultParametersRequest
    ) -> w.DescribeDefaultParametersResponse:
        """The parameters of a new group."""
        page_size(req)
        return {"Parameters": _parameters({})}  # type: ignore[typeddict-item]


async def existing_parameters(reader: Reader, ctx: Context, name: str) -> ParameterGroup:
    """A group by its name. Raises ParameterGroupNotFoundFault."""
    if name == rules.DEFAULT_PARAMETERS:
        return _default(ctx)
    found = await reader.get(ParameterGroup, ctx.account, ctx.region, name)
    if found is None:
        raise ParameterGroupNotFound(f"Parameter group {name} not found.")
    return found


async def clusters_of(reader: Reader, ctx: Context) -> list[Cluster]:
    """The account's clusters; there are no more than nodes."""
    return await reader.list(Cluster, (ctx.account, ctx.region), limit=limits.NODES_AN_ACCOUNT_MAX)


async def _check_unused(reader: Reader, ctx: Context, name: str, what: str) -> None:
    for one in await clusters_of(reader, ctx):
        if one.parameter_group == name:
            raise InvalidParameterGroupState(
                f"Parameter group {name} cannot be {what}: it is in use by cluster {one.name}."
            )


def _default(ctx: Context) -> ParameterGroup:
    return ParameterGroup(
        account=ctx.account, region=ctx.region, name=rules.DEFAULT_PARAMETERS,
        description=DEFAULT_DESCRIPTION,
    )  # fmt: skip


def _shown(group: ParameterGroup) -> dict[str, Any]:
    shown = {"ParameterGroupName": group.name}
    if group.description is not None:
        shown["Description"] = group.description
    return shown


def _parameters(values: Mapping[str, int]) -> list[dict[str, Any]]:
    return [
        {
            "ParameterName": name,
            "ParameterType": "DEFAULT",
            "ParameterValue": str(values.get(name, limits.TTL_MILLIS_DEFAULT)),
            "NodeTypeSpecificValues": [],
            "Description": text,
            "Source": "user",
            "DataType": "integer",
            "AllowedValues": "0-",
            "IsModifiable": "TRUE",
            "ChangeType": "IMMEDIATE",
        }
        for name, text in rules.PARAMETERS.items()
    ]
