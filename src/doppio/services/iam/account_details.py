"""The whole of an account's permissions in one answer: who there is, and which policies bear on whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from doppio.kernel.context import Context, Reader
from doppio.kernel.uses import uses_of
from doppio.services.iam import limits
from doppio.services.iam.attachments import attached_to, boundary_to_wire, inline_of
from doppio.services.iam.aws_managed import AwsManaged, aws_managed
from doppio.services.iam.common import (
    document_to_wire,
    entity_to_wire,
    page,
)
from doppio.services.iam.instance_profiles import to_wire as profile_to_wire
from doppio.services.iam.policies import builtin_version, version_to_wire
from doppio.services.iam.policies import to_wire as policy_to_wire
from doppio.services.iam.records import (
    BY_BOUNDARY_ROLE,
    BY_BOUNDARY_USER,
    OF_USER,
    Attachment,
    Group,
    InstanceProfile,
    ManagedPolicy,
    Role,
    User,
    tags_to_wire,
)
from doppio.services.iam.trust import shown_trust

if TYPE_CHECKING:
    from doppio._stubs import iam as w

_KINDS: dict[str, type] = {
    "User": User, "Group": Group, "Role": Role, "LocalManagedPolicy": ManagedPolicy,
}  # fmt: skip
_LISTS: dict[type, str] = {
    User: "UserDetailList", Group: "GroupDetailList", Role: "RoleDetailList",
    ManagedPolicy: "Policies", AwsManaged: "Policies",
}  # fmt: skip


class _Seen(NamedTuple):
    """What the details are told from."""

    ctx: Context
    reader: Reader
    profiles: list[InstanceProfile]


class AccountDetails:
    """The operation that tells of everything."""

    async def get_account_authorization_details(
        self, ctx: Context, req: w.GetAccountAuthorizationDetailsRequest
    ) -> w.GetAccountAuthorizationDetailsResponse:
        """Users, groups, roles and policies with all that binds them, page by page.

        Of AWS's own policies those are told that the account uses.
        """
        reader, where = ctx.read(), (ctx.account,)
        asked = req.get("Filter") or [*_KINDS, "AWSManagedPolicy"]
        rows: list[Any] = []
        for name, cls in _KINDS.items():
            if name in asked:
                rows += await reader.list(cls, where, limit=limits.ROWS_MAX)
        if "AWSManagedPolicy" in asked:
            rows += await _aws_managed_in_use(reader, ctx.account)
        scope = f"details/{','.join(sorted(asked))}"
        found = page(req, rows, "rows", lambda row: row, scope)
        await ctx.kernel.uses.flush()
        profiles = await reader.list(InstanceProfile, where, limit=limits.ROWS_MAX)
        seen = _Seen(ctx, reader, profiles)
        shown: dict[str, Any] = {name: [] for name in _LISTS.values()}
        for row in found.pop("rows"):
            shown[_LISTS[type(row)]].append(await _detail(seen, row))
        shown.update(found)
        return shown  # type: ignore[return-value]


async def _detail(seen: _Seen, row: Any) -> dict[str, Any]:
    if isinstance(row, ManagedPolicy | AwsManaged):
        return await _policy(seen, row)
    kind = type(row).__name__
    shown = entity_to_wire(kind, row)
    inline = await inline_of(seen.reader, row.account, kind, row.name)
    shown[f"{kind}PolicyList"] = [
        {"PolicyName": one.name, "PolicyDocument": document_to_wire(one.document)} for one in inline
    ]
    attached = await attached_to(seen.reader, row.account, kind, row.name)
    shown["AttachedManagedPolicies"] = [
        {"PolicyName": one.policy.rpartition("/")[2], "PolicyArn": one.policy} for one in attached
    ]
    if isinstance(row, User | Role):
        shown.update(boundary_to_wire(row.boundary))
        if row.tags:
            shown["Tags"] = tags_to_wire(row.tags)
    if isinstance(row, User):
        where = (row.account, row.name)
        groups = await seen.reader.find(OF_USER, where, limit=limits.ROWS_MAX)
        shown["GroupList"] = [one.group for one in groups]
    elif isinstance(row, Role):
        await _add_role(seen, row, shown)
    return shown


async def _add_role(seen: _Seen, role: Role, shown: dict[str, Any]) -> None:
    shown["AssumeRolePolicyDocument"] = document_to_wire(await shown_trust(seen.reader, role))
    shown["InstanceProfileList"] = [
        await profile_to_wire(seen.reader, profile)
        for profile in seen.profiles
        if role.name in profile.roles
    ]
    shown["RoleLastUsed"] = {}
    used = max(await uses_of(seen.reader, role.id), key=lambda one: one.at, default=None)
    if used is not None:
        shown["RoleLastUsed"] = {"LastUsedDate": used.at, "Region": used.region}


async def _policy(seen: _Seen, policy: ManagedPolicy | AwsManaged) -> dict[str, Any]:
    shown = await policy_to_wire(seen.reader, seen.ctx, policy, whole=False)
    if isinstance(policy, AwsManaged):
        shown["PolicyVersionList"] = [version_to_wire(builtin_version(policy), policy.version)]
        return shown
    if policy.description is not None:
        shown["Description"] = policy.description
    shown["PolicyVersionList"] = [
        version_to_wire(version, policy.default) for version in reversed(policy.versions)
    ]
    return shown


async def _aws_managed_in_use(reader: Reader, account: str) -> list[AwsManaged]:
    where, most = (account,), limits.ROWS_MAX
    used: set[str | None] = {
        row.policy for row in await reader.list(Attachment, where, limit=limits.ATTACHMENTS_MAX)
    }
    used |= {user.boundary for user in await reader.find(BY_BOUNDARY_USER, where, limit=most)}
    used |= {role.boundary for role in await reader.find(BY_BOUNDARY_ROLE, where, limit=most)}
    known = aws_managed(reader.context.partition)
    return [known[arn] for arn in sorted(arn for arn in used if arn in known)]
