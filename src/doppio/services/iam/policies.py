"""IAM managed policies and their versions."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel import tags
from doppio.kernel.context import Context, Reader
from doppio.services.iam import limits
from doppio.services.iam.attachments import KINDS, check_policy_arn, managed
from doppio.services.iam.aws_managed import AwsManaged, aws_managed
from doppio.services.iam.common import (
    changed,
    check_room,
    checked_document,
    checked_name,
    checked_path,
    document_chars,
    document_to_wire,
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
from doppio.services.iam.records import (
    BY_BOUNDARY_ROLE,
    BY_BOUNDARY_USER,
    BY_POLICY,
    Attachment,
    ManagedPolicy,
    Version,
    tags_to_wire,
)

if TYPE_CHECKING:
    from doppio._stubs import iam as w


class Policies:
    """The managed policy operations."""

    async def create_policy(
        self, ctx: Context, req: w.CreatePolicyRequest
    ) -> w.CreatePolicyResponse:
        """Create a managed policy with its first version."""
        name = checked_name(req["PolicyName"], "policyName", 128)
        document = _document(ctx, req["PolicyDocument"])
        async with ctx.write() as tx:
            if await tx.get(ManagedPolicy, ctx.account, name.lower()) is not None:
                raise EntityAlreadyExists(
                    f"A policy called {name} already exists. Duplicate names are not allowed."
                )
            quota, most = "PoliciesPerAccount", limits.POLICIES_MAX
            await check_room(tx, ctx.account, ManagedPolicy, quota, most)
            policy = ManagedPolicy(
                account=ctx.account, name=name, id=ctx.new_id("iam-policy"),
                path=checked_path(req), created_at=ctx.now, updated_at=ctx.now, default="v1",
                versions=(Version("v1", document, ctx.now),), description=req.get("Description"),
                tags=new_tags(req), partition=ctx.partition,
            )  # fmt: skip
            tx.put(policy)
            changed(tx, ctx)
            shown = await to_wire(tx, ctx, policy)
        return {"Policy": shown}  # type: ignore[typeddict-item]

    async def get_policy(self, ctx: Context, req: w.GetPolicyRequest) -> w.GetPolicyResponse:
        """A managed policy, the account's or AWS's."""
        reader = ctx.read()
        arn = req["PolicyArn"]
        found: AwsManaged | ManagedPolicy = aws_managed(ctx.partition).get(arn) or await existing(
            reader, arn
        )
        return {"Policy": await to_wire(reader, ctx, found)}  # type: ignore[typeddict-item]

    async def list_policies(
        self, ctx: Context, req: w.ListPoliciesRequest
    ) -> w.ListPoliciesResponse:
        """Managed policies by name: the account's, AWS's, or both."""
        reader = ctx.read()
        scope = req.get("Scope", "All")
        rows: list[Any] = []
        if scope in ("All", "Local"):
            rows += await reader.list(ManagedPolicy, (ctx.account,), limit=limits.ROWS_MAX)
        if scope in ("All", "AWS"):
            rows += sorted(aws_managed(ctx.partition).values(), key=lambda policy: policy.name)
        rows = under(req, rows)
        usage = req.get("PolicyUsageFilter")
        if req.get("OnlyAttached") or usage is not None:
            used = await _in_use(reader, ctx, usage)
            rows = [row for row in rows if row.arn in used]
        shown = page(req, rows, "Policies", lambda row: row, f"policies/{scope}/{usage}")
        shown["Policies"] = [
            await to_wire(reader, ctx, row, whole=False) for row in shown["Policies"]
        ]
        return shown  # type: ignore[return-value]

    async def delete_policy(self, ctx: Context, req: w.DeletePolicyRequest) -> None:
        """Delete a policy that is attached to nothing and has one version."""
        async with ctx.write() as tx:
            policy = await _own(tx, ctx, req["PolicyArn"])
            attached, bounds = await _uses(tx, ctx, policy.arn)
            if attached or bounds:
                raise DeleteConflict("Cannot delete a policy attached to entities.")
            if len(policy.versions) > 1:
                raise DeleteConflict(
                    "This policy has more than one version. Before you delete a policy, you must "
                    "delete the policy's versions. The default version is deleted with the policy."
                )
            tx.delete(policy)
            changed(tx, ctx)

    async def create_policy_version(
        self, ctx: Context, req: w.CreatePolicyVersionRequest
    ) -> w.CreatePolicyVersionResponse:
        """Add a version, at most five of them."""
        document = _document(ctx, req["PolicyDocument"])
        async with ctx.write() as tx:
            policy = await _own(tx, ctx, req["PolicyArn"])
            if len(policy.versions) >= limits.VERSIONS_A_POLICY_MAX:
                raise LimitExceeded(
                    "A managed policy can have up to 5 versions. Before you create a new version, "
                    "you must delete an existing version."
                )
            number = policy.last_version + 1
            version = Version(f"v{number}", document, ctx.now)
            default = version.id if req.get("SetAsDefault") else policy.default
            tx.put(
                replace(
                    policy,
                    versions=(*policy.versions, version),
                    last_version=number,
                    default=default,
                    updated_at=ctx.now,
                )
            )
            changed(tx, ctx)
        return {"PolicyVersion": version_to_wire(version, default, whole=False)}  # type: ignore[typeddict-item]

    async def get_policy_version(
        self, ctx: Context, req: w.GetPolicyVersionRequest
    ) -> w.GetPolicyVersionResponse:
        """A version with its document."""
        arn, version_id = req["PolicyArn"], req["VersionId"]
        builtin = aws_managed(ctx.partition).get(arn)
        if builtin is not None:
            versions, default = (builtin_version(builtin),), builtin.version
        else:
            policy = await existing(ctx.read(), arn)
            versions, default = policy.versions, policy.default  # type: ignore[assignment]
        for version in versions:
            if version.id == version_id:
                return {"PolicyVersion": version_to_wire(version, default)}  # type: ignore[typeddict-item]
        raise _no_version(arn, version_id)

    async def list_policy_versions(
        self, ctx: Context, req: w.ListPolicyVersionsRequest
    ) -> w.ListPolicyVersionsResponse:
        """The versions of a policy, newest first."""
        builtin = aws_managed(ctx.partition).get(req["PolicyArn"])
        if builtin is not None:
            versions, default = [builtin_version(builtin)], builtin.version
        else:
            policy = await existing(ctx.read(), req["PolicyArn"])
            versions, default = list(reversed(policy.versions)), policy.default
        return page(  # type: ignore[return-value]
            req, versions, "Versions", lambda one: version_to_wire(one, default, whole=False),
            f"versions/{req['PolicyArn']}",
        )  # fmt: skip

    async def set_default_policy_version(
        self, ctx: Context, req: w.SetDefaultPolicyVersionRequest
    ) -> None:
        """Choose the version that counts."""
        async with ctx.write() as tx:
            policy = await _own(tx, ctx, req["PolicyArn"])
            if policy.version(req["VersionId"]) is None:
                raise _no_version(policy.arn, req["VersionId"])
            tx.put(replace(policy, default=req["VersionId"], updated_at=ctx.now))
            changed(tx, ctx)

    async def delete_policy_version(self, ctx: Context, req: w.DeletePolicyVersionRequest) -> None:
        """Delete a version that is not the default."""
        async with ctx.write() as tx:
            policy = await _own(tx, ctx, req["PolicyArn"])
            if policy.version(req["VersionId"]) is None:
                raise _no_version(policy.arn, req["VersionId"])
            if policy.default == req["VersionId"]:
                raise DeleteConflict("Cannot delete the default version of a policy.")
            kept = tuple(one for one in policy.versions if one.id != req["VersionId"])
            tx.put(replace(policy, versions=kept, updated_at=ctx.now))

    async def list_entities_for_policy(
        self, ctx: Context, req: w.ListEntitiesForPolicyRequest
    ) -> w.ListEntitiesForPolicyResponse:
        """The users, groups and roles that a policy is attached to, or bounds."""
        reader = ctx.read()
        arn = req["PolicyArn"]
        if arn not in aws_managed(ctx.partition):
            await existing(reader, arn)
        wanted, prefix = req.get("EntityFilter"), req.get("PathPrefix", "/")
        found: list[tuple[str, Any]] = []
        for kind, name in await _entities(reader, ctx, arn, req.get("PolicyUsageFilter")):
            entity: Any = await named(reader, KINDS[kind], ctx.account, name)
            assert entity is not None, "what is attached to is there"
            if wanted in (None, kind) and entity.path.startswith(prefix):
                found.append((kind, entity))
        shown = page(req, found, "Found", lambda one: one, f"entities/{arn}")
        one_page: list[tuple[str, Any]] = shown.pop("Found")
        for kind in KINDS:
            shown[f"Policy{kind}s"] = [
                {f"{kind}Name": entity.name, f"{kind}Id": entity.id}
                for which, entity in one_page
                if which == kind
            ]
        return shown  # type: ignore[return-value]

    async def tag_policy(self, ctx: Context, req: w.TagPolicyRequest) -> None:
        """Put tags on a policy."""
        async with ctx.write() as tx:
            policy = await _own(tx, ctx, req["PolicyArn"])
            tx.put(replace(policy, tags=new_tags(req, policy.tags)))

    async def untag_policy(self, ctx: Context, req: w.UntagPolicyRequest) -> None:
        """Take tags off a policy."""
        async with ctx.write() as tx:
            policy = await _own(tx, ctx, req["PolicyArn"])
            tx.put(replace(policy, tags=tags.without(policy.tags, req["TagKeys"])))

    async def list_policy_tags(
        self, ctx: Context, req: w.ListPolicyTagsRequest
    ) -> w.ListPolicyTagsResponse:
        """The tags of a policy."""
        policy = await existing(ctx.read(), req["PolicyArn"])
        return page(req, tags_to_wire(policy.tags), "Tags", lambda tag: tag, f"tags/{policy.arn}")  # type: ignore[return-value]


async def existing(reader: Reader, arn: str) -> ManagedPolicy:
    """The customer managed policy of an ARN. Raises NoSuchEntity."""
    policy = await managed(reader, arn)
    if policy is None:
        raise NoSuchEntity(f"Policy {arn} was not found.")
    return policy


async def _own(reader: Reader, ctx: Context, arn: str) -> ManagedPolicy:
    """A policy that the account may change: not AWS's. Raises AccessDenied and NoSuchEntity."""
    check_policy_arn(ctx, arn)
    return await existing(reader, arn)


async def _in_use(reader: Reader, ctx: Context, usage: str | None) -> set[str | None]:
    """The ARNs of policies that are attached, or are boundaries."""
    where = (ctx.account,)
    used: set[str | None] = set()
    if usage != "PermissionsBoundary":
        attached = await reader.list(Attachment, where, limit=limits.ATTACHMENTS_MAX)
        used.update(row.policy for row in attached)
    if usage != "PermissionsPolicy":
        users = await reader.find(BY_BOUNDARY_USER, where, limit=limits.ROWS_MAX)
        roles = await reader.find(BY_BOUNDARY_ROLE, where, limit=limits.ROWS_MAX)
        used.update(user.boundary for user in users)
        used.update(role.boundary for role in roles)
    return used


async def _entities(
    reader: Reader, ctx: Context, arn: str, usage: str | None
) -> list[tuple[str, str]]:
    """Kind and name of what a policy is attached to, or bounds."""
    where = (ctx.account, arn)
    found: set[tuple[str, str]] = set()
    if usage != "PermissionsBoundary":
        rows = await reader.find(BY_POLICY, where, limit=limits.ROWS_MAX)
        found.update((row.kind, row.holder) for row in rows)
    if usage != "PermissionsPolicy":
        users = await reader.find(BY_BOUNDARY_USER, where, limit=limits.ROWS_MAX)
        roles = await reader.find(BY_BOUNDARY_ROLE, where, limit=limits.ROWS_MAX)
        found.update(("User", user.name) for user in users)
        found.update(("Role", role.name) for role in roles)
    return sorted(found)


async def to_wire(
    reader: Reader, ctx: Context, policy: ManagedPolicy | AwsManaged, *, whole: bool = True
) -> dict[str, Any]:
    """A policy with its counts; lists leave description and tags out."""
    attached, bounds = await _uses(reader, ctx, policy.arn)
    shown: dict[str, Any] = {
        "PolicyName": policy.name,
        "PolicyId": policy.id,
        "Arn": policy.arn,
        "Path": policy.path,
        "AttachmentCount": attached,
        "PermissionsBoundaryUsageCount": bounds,
        "IsAttachable": True,
    }
    if isinstance(policy, AwsManaged):
        shown["DefaultVersionId"] = policy.version
        shown["CreateDate"] = datetime.fromisoformat(policy.created)
        shown["UpdateDate"] = datetime.fromisoformat(policy.updated)
        return shown
    shown["DefaultVersionId"] = policy.default
    shown["CreateDate"] = policy.created_at
    shown["UpdateDate"] = policy.updated_at
    if whole and policy.description is not None:
        shown["Description"] = policy.description
    if whole and policy.tags:
        shown["Tags"] = tags_to_wire(policy.tags)
    return shown


async def _uses(reader: Reader, ctx: Context, arn: str) -> tuple[int, int]:
    where = (ctx.account, arn)
    attached = len(await reader.find(BY_POLICY, where, limit=limits.ROWS_MAX))
    users = len(await reader.find(BY_BOUNDARY_USER, where, limit=limits.ROWS_MAX))
    roles = len(await reader.find(BY_BOUNDARY_ROLE, where, limit=limits.ROWS_MAX))
    return attached, users + roles


def builtin_version(policy: AwsManaged) -> Version:
    """The one version that is known of a policy of AWS's own."""
    return Version(policy.version, policy.document, datetime.fromisoformat(policy.updated))


def version_to_wire(version: Version, default: str, *, whole: bool = True) -> dict[str, Any]:
    """A version; lists leave the document out."""
    shown: dict[str, Any] = {
        "VersionId": version.id,
        "IsDefaultVersion": version.id == default,
        "CreateDate": version.created_at,
    }
    if whole:
        shown["Document"] = document_to_wire(version.document)
    return shown


def _document(ctx: Context, document: str) -> str:
    checked_document(ctx, document, current=True)
    if document_chars(document) > limits.MANAGED_POLICY_CHARS_MAX:
        raise LimitExceeded(
            f"Cannot exceed quota for PolicySize: {limits.MANAGED_POLICY_CHARS_MAX}"
        )
    return document


def _no_version(arn: str, version_id: str) -> NoSuchEntity:
    return NoSuchEntity(f"Policy {arn} version {version_id} does not exist or is not attachable.")
