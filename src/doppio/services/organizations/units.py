"""Organizational units, and what stands below what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.paging import page_of
from doppio.services.organizations import limits, tree
from doppio.services.organizations.errors import (
    ChildNotFound,
    DuplicateUnit,
    UnitNotEmpty,
    UnitNotFound,
    violation,
)
from doppio.services.organizations.guarding import begin, end
from doppio.services.organizations.records import (
    CHILDREN,
    SUB_UNITS,
    Account,
    Organization,
    Unit,
)
from doppio.services.organizations.tagging import new_tags

if TYPE_CHECKING:
    from doppio._stubs import organizations as w


async def to_wire(reader: Reader, organization: Organization, unit: Unit) -> dict[str, Any]:
    """A unit as it is shown."""
    return {
        "Id": unit.id,
        "Arn": organization.arn_of("ou", unit.id),
        "Name": unit.name,
        "Path": await tree.path(reader, organization, unit.id),
    }


async def existing(reader: Reader, organization: Organization, name: str) -> Unit:
    """The unit of an id. Raises UnitNotFound."""
    found = await reader.get(Unit, organization.id, name)
    if found is None:
        raise UnitNotFound()
    return found


async def _check_name(tx: Tx, organization: Organization, above: str, name: str) -> None:
    """Raise DuplicateUnit where a parent has a unit of this name already."""
    beside = await tx.find(SUB_UNITS, (organization.id, above), limit=limits.ROWS_MAX)
    if any(unit.name == name for unit in beside):
        raise DuplicateUnit()


class Units:
    """The operations on units and on the tree."""

    async def create_organizational_unit(
        self, ctx: Context, req: w.CreateOrganizationalUnitRequest
    ) -> w.CreateOrganizationalUnitResponse:
        """Make a unit below the root or another unit, up to five levels deep."""
        async with ctx.write() as tx:
            organization = await tree.own(tx, ctx)
            above = req["ParentId"]
            await tree.parent(tx, organization, above)
            if len(await tree.chain(tx, organization, above)) > limits.UNIT_DEPTH_MAX:
                raise violation(
                    "OU_DEPTH_LIMIT_EXCEEDED",
                    "You have exceeded the maximum nesting depth of organizational units.",
                )
            await _check_name(tx, organization, above, req["Name"])
            units = await tx.list(Unit, (organization.id,), limit=limits.UNITS_MAX)
            if len(units) >= limits.UNITS_MAX:
                raise violation(
                    "OU_NUMBER_LIMIT_EXCEEDED",
                    "You have exceeded the allowed number of organizational units.",
                )
            name = f"ou-{organization.root.removeprefix('r-')}-{ctx.new_id('organizational-unit')}"
            unit = tx.add(
                Unit(
                    organization=organization.id, id=name, parent=above, name=req["Name"],
                    tags=new_tags(req.get("Tags", ())),
                )
            )  # fmt: skip
            await begin(tx, organization, unit.id)
            shown = await to_wire(tx, organization, unit)
        return {"OrganizationalUnit": shown}  # type: ignore[typeddict-item]

    async def describe_organizational_unit(
        self, ctx: Context, req: w.DescribeOrganizationalUnitRequest
    ) -> w.DescribeOrganizationalUnitResponse:
        """A unit and its path."""
        reader = ctx.read()
        organization = await tree.own(reader, ctx)
        unit = await existing(reader, organization, req["OrganizationalUnitId"])
        shown = await to_wire(reader, organization, unit)
        return {"OrganizationalUnit": shown}  # type: ignore[typeddict-item]

    async def update_organizational_unit(
        self, ctx: Context, req: w.UpdateOrganizationalUnitRequest
    ) -> w.UpdateOrganizationalUnitResponse:
        """Give a unit another name; its id and what is below it stay."""
        async with ctx.write() as tx:
            organization = await tree.own(tx, ctx)
            unit = await existing(tx, organization, req["OrganizationalUnitId"])
            name = req.get("Name", unit.name)
            if name != unit.name:
                await _check_name(tx, organization, unit.parent, name)
            unit = tx.put(replace(unit, name=name))
            shown = await to_wire(tx, organization, unit)
        return {"OrganizationalUnit": shown}  # type: ignore[typeddict-item]

    async def delete_organizational_unit(
        self, ctx: Context, req: w.DeleteOrganizationalUnitRequest
    ) -> None:
        """Delete a unit in which nothing is."""
        async with ctx.write() as tx:
            organization = await tree.own(tx, ctx)
            unit = await existing(tx, organization, req["OrganizationalUnitId"])
            below = (organization.id, unit.id)
            if await tx.find(SUB_UNITS, below, limit=1):
                raise UnitNotEmpty()
            if await tx.find(CHILDREN, below, limit=1):
                raise UnitNotEmpty()
            await end(tx, organization, unit.id)
            tx.delete(unit)

    async def list_organizational_units_for_parent(
        self, ctx: Context, req: w.ListOrganizationalUnitsForParentRequest
    ) -> w.ListOrganizationalUnitsForParentResponse:
        """The units directly below the root or a unit."""
        reader = ctx.read()
        organization = await tree.own(reader, ctx)
        await tree.parent(reader, organization, req["ParentId"])
        units, token = await _below(reader, organization, req)
        shown = [await to_wire(reader, organization, unit) for unit in units]
        return {"OrganizationalUnits": shown, **token}  # type: ignore[typeddict-item]

    async def list_children(
        self, ctx: Context, req: w.ListChildrenRequest
    ) -> w.ListChildrenResponse:
        """The ids of the units, or the accounts, directly below the root or a unit."""
        reader = ctx.read()
        organization = await tree.own(reader, ctx)
        await tree.parent(reader, organization, req["ParentId"])
        if req["ChildType"] == "ORGANIZATIONAL_UNIT":
            units, token = await _below(reader, organization, req)
            names = [unit.id for unit in units]
        else:
            accounts, token = await accounts_below(reader, organization, req)
            names = [account.id for account in accounts]
        shown = [{"Id": name, "Type": req["ChildType"]} for name in names]
        return {"Children": shown, **token}  # type: ignore[typeddict-item]

    async def list_parents(self, ctx: Context, req: w.ListParentsRequest) -> w.ListParentsResponse:
        """What a unit or account stands below: always one."""
        reader = ctx.read()
        organization = await tree.own(reader, ctx)
        name = req["ChildId"]
        found: Account | Unit | None
        if tree.is_account(name):
            found = await reader.get(Account, name)
        else:
            found = await reader.get(Unit, organization.id, name)
        if found is None or found.organization != organization.id or found.parent is None:
            raise ChildNotFound()
        return {"Parents": [{"Id": found.parent, "Type": tree.kind_of(found.parent)}]}


async def _below(
    reader: Reader, organization: Organization, req: Any
) -> tuple[list[Unit], dict[str, Any]]:
    scope = f"units/{req['ParentId']}"
    shown, token = await page_of(
        reader, SUB_UNITS, (organization.id, req["ParentId"]), most=tree.size(req), scope=scope,
        after=tree.after(req, scope),
    )  # fmt: skip
    return shown, tree.next_token(token)


async def accounts_below(
    reader: Reader, organization: Organization, req: Any
) -> tuple[list[Account], dict[str, Any]]:
    """A page of the accounts directly below the root or a unit."""
    scope = f"accounts/{req['ParentId']}"
    shown, token = await page_of(
        reader, CHILDREN, (organization.id, req["ParentId"]), most=tree.size(req), scope=scope,
        after=tree.after(req, scope),
    )  # fmt: skip
    return shown, tree.next_token(token)
