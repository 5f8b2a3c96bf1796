"""IAM groups: users that hold policies together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from doppio.kernel.context import Context
from doppio.services.iam import attachments, limits
from doppio.services.iam.attachments import holder
from doppio.services.iam.common import (
    changed,
    check_room,
    checked_name,
    checked_path,
    entity_to_wire,
    named,
    page,
    under,
)
from doppio.services.iam.errors import DeleteConflict, LimitExceeded, NoSuchEntity, taken
from doppio.services.iam.records import OF_USER, Group, Membership, User
from doppio.services.iam.users import to_wire

if TYPE_CHECKING:
    from doppio._stubs import iam as w


class Groups:
    """The group operations."""

    async def create_group(self, ctx: Context, req: w.CreateGroupRequest) -> w.CreateGroupResponse:
        """Create a group."""
        name = checked_name(req["GroupName"], "groupName", 128)
        async with ctx.write() as tx:
            if await tx.get(Group, ctx.account, name.lower()) is not None:
                raise taken("Group", name)
            await check_room(tx, ctx.account, Group, "GroupsPerAccount", limits.GROUPS_MAX)
            group = Group(
                account=ctx.account, name=name, id=ctx.new_id("iam-group"),
                path=checked_path(req), created_at=ctx.now, partition=ctx.partition,
            )  # fmt: skip
            tx.put(group)
        return {"Group": entity_to_wire("Group", group)}  # type: ignore[typeddict-item]

    async def get_group(self, ctx: Context, req: w.GetGroupRequest) -> w.GetGroupResponse:
        """A group and its users."""
        reader = ctx.read()
        group = await holder(reader, ctx, "Group", req["GroupName"])
        rows = await reader.list(Membership, (ctx.account, group.name), limit=limits.ROWS_MAX)
        users = [await named(reader, User, ctx.account, row.user) for row in rows]
        shown = page(
            req, [one for one in users if one is not None], "Users",
            lambda user: to_wire(user, whole=False), f"users/{group.arn}",
        )  # fmt: skip
        return {"Group": entity_to_wire("Group", group), **shown}  # type: ignore[typeddict-item]

    async def list_groups(self, ctx: Context, req: w.ListGroupsRequest) -> w.ListGroupsResponse:
        """The account's groups by name."""
        rows = under(req, await ctx.read().list(Group, (ctx.account,), limit=limits.ROWS_MAX))
        return page(req, rows, "Groups", lambda row: entity_to_wire("Group", row), "groups")  # type: ignore[return-value]

    async def update_group(self, ctx: Context, req: w.UpdateGroupRequest) -> None:
        """Give a group another name or path."""
        async with ctx.write() as tx:
            group = await holder(tx, ctx, "Group", req["GroupName"])
            name = checked_name(req.get("NewGroupName", group.name), "newGroupName", 128)
            path = checked_path(req, "NewPath", group.path)
            if name != group.name:
                there = await tx.get(Group, ctx.account, name.lower())
                if there is not None and there.id != group.id:
                    raise taken("Group", name)
                tx.delete(group)
                await attachments.rename(tx, ctx.account, "Group", group.name, name)
                rows = await tx.list(Membership, (ctx.account, group.name), limit=limits.ROWS_MAX)
                for row in rows:
                    tx.delete(row)
                    tx.add(replace(row, group=name))
            tx.put(replace(group, name=name, path=path))
            changed(tx, ctx)

    async def delete_group(self, ctx: Context, req: w.DeleteGroupRequest) -> None:
        """Delete a group that is empty and holds nothing."""
        async with ctx.write() as tx:
            group = await holder(tx, ctx, "Group", req["GroupName"])
            if await tx.list(Membership, (ctx.account, group.name), limit=1):
                raise DeleteConflict("Cannot delete entity, must remove users from group first.")
            await attachments.check_empty_handed(tx, ctx, "Group", group.name)
            tx.delete(group)

    async def add_user_to_group(self, ctx: Context, req: w.AddUserToGroupRequest) -> None:
        """Put a user into a group; one that is in it is no error."""
        async with ctx.write() as tx:
            group = await holder(tx, ctx, "Group", req["GroupName"])
            user = await holder(tx, ctx, "User", req["UserName"])
            row = Membership(account=ctx.account, group=group.name, user=user.name)
            if await tx.get(Membership, ctx.account, group.name, user.name) is not None:
                return
            most = limits.GROUPS_A_USER_MAX
            if len(await tx.find(OF_USER, (ctx.account, user.name), limit=most)) >= most:
                raise LimitExceeded(f"Cannot exceed quota for GroupsPerUser: {most}")
            tx.add(row)
            changed(tx, ctx)

    async def remove_user_from_group(self, ctx: Context, req: w.RemoveUserFromGroupRequest) -> None:
        """Take a user out of a group."""
        async with ctx.write() as tx:
            group = await holder(tx, ctx, "Group", req["GroupName"])
            await holder(tx, ctx, "User", req["UserName"])
            row = await tx.get(Membership, ctx.account, group.name, req["UserName"])
            if row is None:
                raise NoSuchEntity(f"User {req['UserName']} is not in group {req['GroupName']}.")
            tx.delete(row)
            changed(tx, ctx)

    async def put_group_policy(self, ctx: Context, req: w.PutGroupPolicyRequest) -> None:
        """Write an inline policy of a group."""
        await attachments.put_inline(ctx, "Group", req)

    async def get_group_policy(
        self, ctx: Context, req: w.GetGroupPolicyRequest
    ) -> w.GetGroupPolicyResponse:
        """Read an inline policy of a group."""
        return await attachments.get_inline(ctx, "Group", req)  # type: ignore[return-value]

    async def delete_group_policy(self, ctx: Context, req: w.DeleteGroupPolicyRequest) -> None:
        """Remove an inline policy of a group."""
        await attachments.delete_inline(ctx, "Group", req)

    async def list_group_policies(
        self, ctx: Context, req: w.ListGroupPoliciesRequest
    ) -> w.ListGroupPoliciesResponse:
        """The names of a group's inline policies."""
        return await attachments.list_inline(ctx, "Group", req)  # type: ignore[return-value]

    async def attach_group_policy(self, ctx: Context, req: w.AttachGroupPolicyRequest) -> None:
        """Put a managed policy on a group."""
        await attachments.attach(ctx, "Group", req)

    async def detach_group_policy(self, ctx: Context, req: w.DetachGroupPolicyRequest) -> None:
        """Take a managed policy off a group."""
        await attachments.detach(ctx, "Group", req)

    async def list_attached_group_policies(
        self, ctx: Context, req: w.ListAttachedGroupPoliciesRequest
    ) -> w.ListAttachedGroupPoliciesResponse:
        """The managed policies on a group."""
        return await attachments.list_attached(ctx, "Group", req)  # type: ignore[return-value]
