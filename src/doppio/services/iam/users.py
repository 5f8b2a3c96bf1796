"""IAM users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel import tags
from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.uses import forget_uses
from doppio.services.iam import attachments, limits
from doppio.services.iam.attachments import boundary_to_wire, checked_boundary, holder
from doppio.services.iam.common import (
    changed,
    check_room,
    checked_name,
    checked_path,
    entity_to_wire,
    founded_at,
    named,
    new_tags,
    page,
    under,
)
from doppio.services.iam.errors import DeleteConflict, ValidationError, taken
from doppio.services.iam.records import (
    BY_USER,
    DEVICES_OF,
    OF_USER,
    Belonging,
    Group,
    LoginProfile,
    User,
    tags_to_wire,
)

if TYPE_CHECKING:
    from doppio._stubs import iam as w


def to_wire(
    user: User, *, whole: bool = True, profile: LoginProfile | None = None
) -> dict[str, Any]:
    """A user; lists leave tags and boundary out."""
    shown = entity_to_wire("User", user)
    if profile is not None and profile.used_at is not None:
        shown["PasswordLastUsed"] = profile.used_at
    if whole:
        shown.update(boundary_to_wire(user.boundary))
        if user.tags:
            shown["Tags"] = tags_to_wire(user.tags)
    return shown


class Users:
    """The user operations."""

    async def create_user(self, ctx: Context, req: w.CreateUserRequest) -> w.CreateUserResponse:
        """Create a user; it may do nothing yet."""
        name = checked_name(req["UserName"], "userName")
        async with ctx.write() as tx:
            if await tx.get(User, ctx.account, name.lower()) is not None:
                raise taken("User", name)
            await check_room(tx, ctx.account, User, "UsersPerAccount", limits.USERS_MAX)
            user = User(
                account=ctx.account, name=name, id=ctx.new_id("iam-user"), path=checked_path(req),
                created_at=ctx.now, tags=new_tags(req),
                boundary=await checked_boundary(tx, ctx, req.get("PermissionsBoundary")),
                partition=ctx.partition,
            )  # fmt: skip
            tx.put(user)
            changed(tx, ctx)
        return {"User": to_wire(user)}  # type: ignore[typeddict-item]

    async def get_user(self, ctx: Context, req: w.GetUserRequest) -> w.GetUserResponse:
        """A user; without a name, the caller."""
        name = req.get("UserName")
        if name is None:
            if ctx.caller.kind == "root":
                return {"User": await _root(ctx.read(), ctx)}  # type: ignore[typeddict-item]
            if ctx.caller.kind != "user":
                raise ValidationError(
                    "Must specify userName when calling with non-User credentials"
                )
            name = ctx.caller.arn.rpartition("/")[2]
        reader = ctx.read()
        user = await holder(reader, ctx, "User", name)
        profile = await reader.get(LoginProfile, ctx.account, user.name)
        return {"User": to_wire(user, profile=profile)}  # type: ignore[typeddict-item]

    async def list_users(self, ctx: Context, req: w.ListUsersRequest) -> w.ListUsersResponse:
        """The account's users by name."""
        reader, where = ctx.read(), (ctx.account,)
        rows = await reader.list(User, where, limit=limits.ROWS_MAX)
        found = await reader.list(LoginProfile, where, limit=limits.ROWS_MAX)
        profiles = {profile.user: profile for profile in found}
        return page(  # type: ignore[return-value]
            req, under(req, rows), "Users",
            lambda row: to_wire(row, whole=False, profile=profiles.get(row.name)), "users",
        )  # fmt: skip

    async def update_user(self, ctx: Context, req: w.UpdateUserRequest) -> None:
        """Give a user another name or path; its id and what it holds stay."""
        async with ctx.write() as tx:
            user = await holder(tx, ctx, "User", req["UserName"])
            name = checked_name(req.get("NewUserName", user.name), "newUserName")
            path = checked_path(req, "NewPath", user.path)
            renamed = replace(user, name=name, path=path)
            if name != user.name:
                there = await tx.get(User, ctx.account, name.lower())
                if there is not None and there.id != user.id:
                    raise taken("User", name)
                tx.delete(user)
                await attachments.rename(tx, ctx.account, "User", user.name, name)
                await _rename(tx, ctx.account, user.name, name)
            tx.put(renamed)
            changed(tx, ctx)

    async def delete_user(self, ctx: Context, req: w.DeleteUserRequest) -> None:
        """Delete a user that holds nothing any more."""
        async with ctx.write() as tx:
            user = await holder(tx, ctx, "User", req["UserName"])
            if await tx.find(OF_USER, (ctx.account, user.name), limit=1):
                raise DeleteConflict("Cannot delete entity, must remove users from group first.")
            if await tx.find(BY_USER, (ctx.account, user.name), limit=1):
                raise DeleteConflict("Cannot delete entity, must delete access keys first.")
            if await tx.get(LoginProfile, ctx.account, user.name) is not None:
                raise DeleteConflict("Cannot delete entity, must delete login profile first.")
            if await tx.find(DEVICES_OF, (ctx.account, user.name), limit=1):
                raise DeleteConflict("Cannot delete entity, must delete MFA device first.")
            if await tx.list(Belonging, (ctx.account, user.name), limit=1):
                raise DeleteConflict("Cannot delete entity, must remove referenced objects first.")
            await attachments.check_empty_handed(tx, ctx, "User", user.name)
            tx.delete(user)
            await forget_uses(tx, user.id)
            changed(tx, ctx)

    async def tag_user(self, ctx: Context, req: w.TagUserRequest) -> None:
        """Put tags on a user."""
        async with ctx.write() as tx:
            user = await holder(tx, ctx, "User", req["UserName"])
            tx.put(replace(user, tags=new_tags(req, user.tags)))
            changed(tx, ctx)

    async def untag_user(self, ctx: Context, req: w.UntagUserRequest) -> None:
        """Take tags off a user."""
        async with ctx.write() as tx:
            user = await holder(tx, ctx, "User", req["UserName"])
            tx.put(replace(user, tags=tags.without(user.tags, req["TagKeys"])))
            changed(tx, ctx)

    async def list_user_tags(
        self, ctx: Context, req: w.ListUserTagsRequest
    ) -> w.ListUserTagsResponse:
        """The tags of a user."""
        user = await holder(ctx.read(), ctx, "User", req["UserName"])
        return page(req, tags_to_wire(user.tags), "Tags", lambda tag: tag, f"tags/{user.arn}")  # type: ignore[return-value]

    async def put_user_policy(self, ctx: Context, req: w.PutUserPolicyRequest) -> None:
        """Write an inline policy of a user."""
        await attachments.put_inline(ctx, "User", req)

    async def get_user_policy(
        self, ctx: Context, req: w.GetUserPolicyRequest
    ) -> w.GetUserPolicyResponse:
        """Read an inline policy of a user."""
        return await attachments.get_inline(ctx, "User", req)  # type: ignore[return-value]

    async def delete_user_policy(self, ctx: Context, req: w.DeleteUserPolicyRequest) -> None:
        """Remove an inline policy of a user."""
        await attachments.delete_inline(ctx, "User", req)

    async def list_user_policies(
        self, ctx: Context, req: w.ListUserPoliciesRequest
    ) -> w.ListUserPoliciesResponse:
        """The names of a user's inline policies."""
        return await attachments.list_inline(ctx, "User", req)  # type: ignore[return-value]

    async def attach_user_policy(self, ctx: Context, req: w.AttachUserPolicyRequest) -> None:
        """Put a managed policy on a user."""
        await attachments.attach(ctx, "User", req)

    async def detach_user_policy(self, ctx: Context, req: w.DetachUserPolicyRequest) -> None:
        """Take a managed policy off a user."""
        await attachments.detach(ctx, "User", req)

    async def list_attached_user_policies(
        self, ctx: Context, req: w.ListAttachedUserPoliciesRequest
    ) -> w.ListAttachedUserPoliciesResponse:
        """The managed policies on a user."""
        return await attachments.list_attached(ctx, "User", req)  # type: ignore[return-value]

    async def put_user_permissions_boundary(
        self, ctx: Context, req: w.PutUserPermissionsBoundaryRequest
    ) -> None:
        """Bound what a user's policies can grant."""
        await attachments.put_boundary(ctx, "User", req)

    async def delete_user_permissions_boundary(
        self, ctx: Context, req: w.DeleteUserPermissionsBoundaryRequest
    ) -> None:
        """Take a user's boundary away."""
        await attachments.delete_boundary(ctx, "User", req)

    async def list_groups_for_user(
        self, ctx: Context, req: w.ListGroupsForUserRequest
    ) -> w.ListGroupsForUserResponse:
        """The groups a user is in."""
        reader = ctx.read()
        user = await holder(reader, ctx, "User", req["UserName"])
        rows = await reader.find(OF_USER, (ctx.account, user.name), limit=limits.ROWS_MAX)
        groups = [await named(reader, Group, ctx.account, row.group) for row in rows]
        return page(  # type: ignore[return-value]
            req, [one for one in groups if one is not None], "Groups",
            lambda group: entity_to_wire("Group", group), f"groups/{user.arn}",
        )  # fmt: skip


async def _rename(tx: Tx, account: str, old: str, new: str) -> None:
    """Carry what a user has over to its new name."""
    where, most = (account, old), limits.ROWS_MAX
    for key in await tx.find(BY_USER, where, limit=most):
        tx.put(replace(key, user=new))
    for device in await tx.find(DEVICES_OF, where, limit=most):
        tx.put(replace(device, user=new))
    for membership in await tx.find(OF_USER, where, limit=most):
        tx.delete(membership)
        tx.add(replace(membership, user=new))
    for belonging in await tx.list(Belonging, where, limit=most):
        tx.delete(belonging)
        tx.add(replace(belonging, user=new))
    profile = await tx.get(LoginProfile, *where)
    if profile is not None:
        tx.delete(profile)
        tx.add(replace(profile, user=new))


async def _root(reader: Reader, ctx: Context) -> dict[str, Any]:
    arn = f"arn:{ctx.partition}:iam::{ctx.account}:root"
    return {
        "Path": "/",
        "UserName": "root",
        "UserId": ctx.account,
        "Arn": arn,
        "CreateDate": await founded_at(reader, ctx.account),
    }
