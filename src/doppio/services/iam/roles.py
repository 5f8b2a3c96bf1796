"""IAM roles: what others may become, and whom each trusts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel import tags
from doppio.kernel.context import Context, Reader
from doppio.kernel.uses import forget_uses, uses_of
from doppio.services.iam import attachments, limits
from doppio.services.iam.attachments import (
    boundary_to_wire,
    changeable,
    check_changeable,
    checked_boundary,
    holder,
)
from doppio.services.iam.common import (
    changed,
    check_room,
    checked_name,
    checked_path,
    document_to_wire,
    entity_to_wire,
    new_tags,
    page,
    under,
)
from doppio.services.iam.errors import DeleteConflict, InvalidInput, taken
from doppio.services.iam.records import (
    LINKED_PATH,
    InstanceProfile,
    Role,
    tags_to_wire,
)
from doppio.services.iam.trust import checked_trust, shown_trust
from doppio.wire.errors import NotImplementedByDoppio

if TYPE_CHECKING:
    from doppio._stubs import iam as w


def to_wire(role: Role, *, whole: bool = True) -> dict[str, Any]:
    """A role; lists leave tags and boundary out."""
    shown = entity_to_wire("Role", role)
    shown["AssumeRolePolicyDocument"] = document_to_wire(role.trust)
    shown["MaxSessionDuration"] = role.session_seconds_max
    if role.description is not None:
        shown["Description"] = role.description
    if whole:
        shown.update(boundary_to_wire(role.boundary))
        shown["RoleLastUsed"] = {}
        if role.tags:
            shown["Tags"] = tags_to_wire(role.tags)
    return shown


async def shown_role(reader: Reader, role: Role, *, whole: bool = True) -> dict[str, Any]:
    """A role as it is at this moment: whom it trusts may be gone."""
    shown = to_wire(role, whole=whole)
    if role.bound:
        shown["AssumeRolePolicyDocument"] = document_to_wire(await shown_trust(reader, role))
    return shown


class Roles:
    """The role operations."""

    async def create_role(self, ctx: Context, req: w.CreateRoleRequest) -> w.CreateRoleResponse:
        """Create a role that trusts the principals of its document."""
        name = checked_name(req["RoleName"], "roleName")
        path = checked_path(req)
        _check_sign_in(req)
        if path.startswith(LINKED_PATH):
            raise InvalidInput(f"The path {LINKED_PATH} is reserved for service-linked roles.")
        async with ctx.write() as tx:
            trust, bound = await checked_trust(tx, req["AssumeRolePolicyDocument"])
            if await tx.get(Role, ctx.account, name.lower()) is not None:
                raise taken("Role", name)
            await check_room(tx, ctx.account, Role, "RolesPerAccount", limits.ROLES_MAX)
            role = Role(
                account=ctx.account, name=name, id=ctx.new_id("iam-role"), path=path,
                created_at=ctx.now, trust=trust, bound=bound, description=req.get("Description"),
                session_seconds_max=req.get("MaxSessionDuration", 3_600),
                boundary=await checked_boundary(tx, ctx, req.get("PermissionsBoundary")),
                tags=new_tags(req), partition=ctx.partition,
            )  # fmt: skip
            tx.put(role)
            changed(tx, ctx)
        return {"Role": to_wire(role)}  # type: ignore[typeddict-item]

    async def get_role(self, ctx: Context, req: w.GetRoleRequest) -> w.GetRoleResponse:
        """A role, and when it was used last."""
        reader = ctx.read()
        role = await holder(reader, ctx, "Role", req["RoleName"])
        await ctx.kernel.uses.flush()
        used = max(await uses_of(reader, role.id), key=lambda one: one.at, default=None)
        shown = await shown_role(reader, role)
        if used is not None:
            shown["RoleLastUsed"] = {"LastUsedDate": used.at, "Region": used.region}
        return {"Role": shown}  # type: ignore[typeddict-item]

    async def list_roles(self, ctx: Context, req: w.ListRolesRequest) -> w.ListRolesResponse:
        """The account's roles by name."""
        reader = ctx.read()
        rows = under(req, await reader.list(Role, (ctx.account,), limit=limits.ROWS_MAX))
        shown = page(req, rows, "Roles", lambda row: row, "roles")
        shown["Roles"] = [await shown_role(reader, row, whole=False) for row in shown["Roles"]]
        return shown  # type: ignore[return-value]

    async def update_role(self, ctx: Context, req: w.UpdateRoleRequest) -> w.UpdateRoleResponse:
        """Change a role's description and how long its sessions may last."""
        _check_sign_in(req)
        async with ctx.write() as tx:
            role = await holder(tx, ctx, "Role", req["RoleName"])
            if "MaxSessionDuration" in req:
                check_changeable(role)
            seconds = req.get("MaxSessionDuration", role.session_seconds_max)
            tx.put(
                replace(
                    role,
                    session_seconds_max=seconds,
                    description=req.get("Description", role.description),
                )
            )
            changed(tx, ctx)
        return {}

    async def update_role_description(
        self, ctx: Context, req: w.UpdateRoleDescriptionRequest
    ) -> w.UpdateRoleDescriptionResponse:
        """Change a role's description."""
        async with ctx.write() as tx:
            role = await holder(tx, ctx, "Role", req["RoleName"])
            role = tx.put(replace(role, description=req["Description"]))
            shown = await shown_role(tx, role)
        return {"Role": shown}  # type: ignore[typeddict-item]

    async def update_assume_role_policy(
        self, ctx: Context, req: w.UpdateAssumeRolePolicyRequest
    ) -> None:
        """Change whom a role trusts."""
        async with ctx.write() as tx:
            trust, bound = await checked_trust(tx, req["PolicyDocument"])
            role = await changeable(tx, ctx, "Role", req["RoleName"])
            tx.put(replace(role, trust=trust, bound=bound))
            changed(tx, ctx)

    async def delete_role(self, ctx: Context, req: w.DeleteRoleRequest) -> None:
        """Delete a role that holds nothing and is in no instance profile."""
        async with ctx.write() as tx:
            role = await changeable(tx, ctx, "Role", req["RoleName"])
            profiles = await tx.list(InstanceProfile, (ctx.account,), limit=limits.ROWS_MAX)
            if any(role.name in profile.roles for profile in profiles):
                raise DeleteConflict(
                    "Cannot delete entity, must remove roles from instance profile first."
                )
            await attachments.check_empty_handed(tx, ctx, "Role", role.name)
            tx.delete(role)
            await forget_uses(tx, role.id)
            changed(tx, ctx)

    async def tag_role(self, ctx: Context, req: w.TagRoleRequest) -> None:
        """Put tags on a role."""
        async with ctx.write() as tx:
            role = await holder(tx, ctx, "Role", req["RoleName"])
            tx.put(replace(role, tags=new_tags(req, role.tags)))
            changed(tx, ctx)

    async def untag_role(self, ctx: Context, req: w.UntagRoleRequest) -> None:
        """Take tags off a role."""
        async with ctx.write() as tx:
            role = await holder(tx, ctx, "Role", req["RoleName"])
            tx.put(replace(role, tags=tags.without(role.tags, req["TagKeys"])))
            changed(tx, ctx)

    async def list_role_tags(
        self, ctx: Context, req: w.ListRoleTagsRequest
    ) -> w.ListRoleTagsResponse:
        """The tags of a role."""
        role = await holder(ctx.read(), ctx, "Role", req["RoleName"])
        return page(req, tags_to_wire(role.tags), "Tags", lambda tag: tag, f"tags/{role.arn}")  # type: ignore[return-value]

    async def put_role_policy(self, ctx: Context, req: w.PutRolePolicyRequest) -> None:
        """Write an inline policy of a role."""
        await attachments.put_inline(ctx, "Role", req)

    async def get_role_policy(
        self, ctx: Context, req: w.GetRolePolicyRequest
    ) -> w.GetRolePolicyResponse:
        """Read an inline policy of a role."""
        return await attachments.get_inline(ctx, "Role", req)  # type: ignore[return-value]

    async def delete_role_policy(self, ctx: Context, req: w.DeleteRolePolicyRequest) -> None:
        """Remove an inline policy of a role."""
        await attachments.delete_inline(ctx, "Role", req)

    async def list_role_policies(
        self, ctx: Context, req: w.ListRolePoliciesRequest
    ) -> w.ListRolePoliciesResponse:
        """The names of a role's inline policies."""
        return await attachments.list_inline(ctx, "Role", req)  # type: ignore[return-value]

    async def attach_role_policy(self, ctx: Context, req: w.AttachRolePolicyRequest) -> None:
        """Put a managed policy on a role."""
        await attachments.attach(ctx, "Role", req)

    async def detach_role_policy(self, ctx: Context, req: w.DetachRolePolicyRequest) -> None:
        """Take a managed policy off a role."""
        await attachments.detach(ctx, "Role", req)

    async def list_attached_role_policies(
        self, ctx: Context, req: w.ListAttachedRolePoliciesRequest
    ) -> w.ListAttachedRolePoliciesResponse:
        """The managed policies on a role."""
        return await attachments.list_attached(ctx, "Role", req)  # type: ignore[return-value]

    async def put_role_permissions_boundary(
        self, ctx: Context, req: w.PutRolePermissionsBoundaryRequest
    ) -> None:
        """Bound what a role's policies can grant."""
        await attachments.put_boundary(ctx, "Role", req)

    async def delete_role_permissions_boundary(
        self, ctx: Context, req: w.DeleteRolePermissionsBoundaryRequest
    ) -> None:
        """Take a role's boundary away."""
        await attachments.delete_boundary(ctx, "Role", req)


def _check_sign_in(req: Mapping[str, Any]) -> None:
    """Refuse to say how long sign-ins last: users sign in here, and nobody with a role."""
    if "MaxSigninSessionDuration" in req:
        raise NotImplementedByDoppio(
            "MaxSigninSessionDuration of roles exists in AWS and not yet here"
        )
