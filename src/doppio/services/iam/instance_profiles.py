"""IAM instance profiles: what hands a role to an instance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel import tags
from doppio.kernel.context import Context, Reader
from doppio.services.iam import limits
from doppio.services.iam.attachments import changeable, holder
from doppio.services.iam.common import (
    check_room,
    checked_name,
    checked_path,
    entity_to_wire,
    named,
    new_tags,
    page,
    under,
)
from doppio.services.iam.errors import (
    DeleteConflict,
    EntityAlreadyExists,
    LimitExceeded,
    NoSuchEntity,
)
from doppio.services.iam.records import InstanceProfile, Role, tags_to_wire
from doppio.services.iam.roles import shown_role

if TYPE_CHECKING:
    from doppio._stubs import iam as w


class InstanceProfiles:
    """The instance profile operations."""

    async def create_instance_profile(
        self, ctx: Context, req: w.CreateInstanceProfileRequest
    ) -> w.CreateInstanceProfileResponse:
        """Create an instance profile, without a role yet."""
        name = checked_name(req["InstanceProfileName"], "instanceProfileName", 128)
        async with ctx.write() as tx:
            if await tx.get(InstanceProfile, ctx.account, name.lower()) is not None:
                raise EntityAlreadyExists(f"Instance Profile {name} already exists.")
            quota, most = "InstanceProfilesPerAccount", limits.INSTANCE_PROFILES_MAX
            await check_room(tx, ctx.account, InstanceProfile, quota, most)
            profile = InstanceProfile(
                account=ctx.account, name=name, id=ctx.new_id("instance-profile"),
                path=checked_path(req), created_at=ctx.now, tags=new_tags(req),
                partition=ctx.partition,
            )  # fmt: skip
            tx.put(profile)
            shown = await to_wire(tx, profile)
        return {"InstanceProfile": shown}  # type: ignore[typeddict-item]

    async def get_instance_profile(
        self, ctx: Context, req: w.GetInstanceProfileRequest
    ) -> w.GetInstanceProfileResponse:
        """An instance profile with its role."""
        reader = ctx.read()
        profile = await _existing(reader, ctx, req["InstanceProfileName"])
        return {"InstanceProfile": await to_wire(reader, profile)}  # type: ignore[typeddict-item]

    async def list_instance_profiles(
        self, ctx: Context, req: w.ListInstanceProfilesRequest
    ) -> w.ListInstanceProfilesResponse:
        """The account's instance profiles by name."""
        reader = ctx.read()
        rows = await reader.list(InstanceProfile, (ctx.account,), limit=limits.ROWS_MAX)
        shown = [await to_wire(reader, row) for row in under(req, rows)]
        return page(req, shown, "InstanceProfiles", lambda row: row, "profiles")  # type: ignore[return-value]

    async def list_instance_profiles_for_role(
        self, ctx: Context, req: w.ListInstanceProfilesForRoleRequest
    ) -> w.ListInstanceProfilesForRoleResponse:
        """The instance profiles that hold a role."""
        reader = ctx.read()
        role: Role = await holder(reader, ctx, "Role", req["RoleName"])
        rows = await reader.list(InstanceProfile, (ctx.account,), limit=limits.ROWS_MAX)
        shown = [await to_wire(reader, row) for row in rows if role.name in row.roles]
        return page(req, shown, "InstanceProfiles", lambda row: row, f"profiles/{role.name}")  # type: ignore[return-value]

    async def delete_instance_profile(
        self, ctx: Context, req: w.DeleteInstanceProfileRequest
    ) -> None:
        """Delete an instance profile that holds no role."""
        async with ctx.write() as tx:
            profile = await _existing(tx, ctx, req["InstanceProfileName"])
            if profile.roles:
                raise DeleteConflict(
                    "Cannot delete entity, must remove roles from instance profile first."
                )
            tx.delete(profile)

    async def add_role_to_instance_profile(
        self, ctx: Context, req: w.AddRoleToInstanceProfileRequest
    ) -> None:
        """Put a role into an instance profile; there is room for one."""
        async with ctx.write() as tx:
            profile = await _existing(tx, ctx, req["InstanceProfileName"])
            role: Role = await changeable(tx, ctx, "Role", req["RoleName"])
            if len(profile.roles) >= limits.INSTANCE_PROFILE_ROLES_MAX:
                raise LimitExceeded("Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1")
            tx.put(replace(profile, roles=(*profile.roles, role.name)))

    async def remove_role_from_instance_profile(
        self, ctx: Context, req: w.RemoveRoleFromInstanceProfileRequest
    ) -> None:
        """Take a role out of an instance profile."""
        async with ctx.write() as tx:
            profile = await _existing(tx, ctx, req["InstanceProfileName"])
            if req["RoleName"] not in profile.roles:
                raise NoSuchEntity(f"The role with name {req['RoleName']} cannot be found.")
            left = tuple(name for name in profile.roles if name != req["RoleName"])
            tx.put(replace(profile, roles=left))

    async def tag_instance_profile(self, ctx: Context, req: w.TagInstanceProfileRequest) -> None:
        """Put tags on an instance profile."""
        async with ctx.write() as tx:
            profile = await _existing(tx, ctx, req["InstanceProfileName"])
            tx.put(replace(profile, tags=new_tags(req, profile.tags)))

    async def untag_instance_profile(
        self, ctx: Context, req: w.UntagInstanceProfileRequest
    ) -> None:
        """Take tags off an instance profile."""
        async with ctx.write() as tx:
            profile = await _existing(tx, ctx, req["InstanceProfileName"])
            tx.put(replace(profile, tags=tags.without(profile.tags, req["TagKeys"])))

    async def list_instance_profile_tags(
        self, ctx: Context, req: w.ListInstanceProfileTagsRequest
    ) -> w.ListInstanceProfileTagsResponse:
        """The tags of an instance profile."""
        profile = await _existing(ctx.read(), ctx, req["InstanceProfileName"])
        return page(req, tags_to_wire(profile.tags), "Tags", lambda tag: tag, profile.arn)  # type: ignore[return-value]


async def _existing(reader: Reader, ctx: Context, name: str) -> InstanceProfile:
    profile = await named(reader, InstanceProfile, ctx.account, name)
    if profile is None:
        raise NoSuchEntity(f"Instance Profile {name} cannot be found.")
    return profile


async def to_wire(reader: Reader, profile: InstanceProfile) -> dict[str, Any]:
    """A profile with its role."""
    shown = entity_to_wire("InstanceProfile", profile)
    roles = [await named(reader, Role, profile.account, name) for name in profile.roles]
    shown["Roles"] = [
        await shown_role(reader, role, whole=False) for role in roles if role is not None
    ]
    if profile.tags:
        shown["Tags"] = tags_to_wire(profile.tags)
    return shown
