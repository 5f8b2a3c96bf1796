"""What users, groups and roles hold: inline policies, attached policies, boundaries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader, Tx
from doppio.services.iam import limits
from doppio.services.iam.aws_managed import aws_managed
from doppio.services.iam.common import (
    changed,
    checked_document,
    checked_name,
    document_chars,
    document_to_wire,
    named,
    page,
)
from doppio.services.iam.errors import (
    DeleteConflict,
    InvalidInput,
    LimitExceeded,
    NoSuchEntity,
    PolicyNotAttachable,
    UnmodifiableEntity,
    missing,
)
from doppio.services.iam.records import (
    Attachment,
    Group,
    Inline,
    ManagedPolicy,
    Role,
    User,
)
from doppio.wire.errors import AccessDenied

KINDS: dict[str, type[User | Group | Role]] = {"User": User, "Group": Group, "Role": Role}
# The policies of services' own roles.
OF_SERVICES = ":iam::aws:policy/aws-service-role/"
_INLINE_MAX = {
    "User": limits.INLINE_USER_CHARS_MAX,
    "Group": limits.INLINE_GROUP_CHARS_MAX,
    "Role": limits.INLINE_ROLE_CHARS_MAX,
}


async def holder(reader: Reader, ctx: Context, kind: str, name: str) -> Any:
    """The user, group or role of a name. Raises NoSuchEntity."""
    found: Any = await named(reader, KINDS[kind], ctx.account, name)
    if found is None:
        raise missing(kind.lower(), name)
    return found


async def changeable(reader: Reader, ctx: Context, kind: str, name: str) -> Any:
    """The user, group or role of a name, to be changed. Raises UnmodifiableEntity for services' own."""
    found = await holder(reader, ctx, kind, name)
    check_changeable(found)
    return found


def check_changeable(found: User | Group | Role) -> None:
    """Raise UnmodifiableEntity for a role that is a service's own."""
    if isinstance(found, Role) and found.linked:
        raise UnmodifiableEntity(
            f"Cannot perform the operation on the protected role '{found.name}' - this role is only "
            "modifiable by AWS"
        )


def check_policy_arn(ctx: Context, arn: str) -> None:
    """Raise InvalidInput for what is no policy's ARN, AccessDenied for another account's."""
    parts = arn.split(":", 5)
    if len(parts) != 6 or parts[2] != "iam" or not parts[5].startswith("policy/"):
        raise InvalidInput(f"ARN {arn} is not valid.")
    if parts[1] != ctx.partition:
        raise InvalidInput(f"ARN {arn} is not valid.")
    if parts[4] != ctx.account:
        raise AccessDenied("Policy is outside your own account.")


async def policy_exists(reader: Reader, ctx: Context, arn: str) -> bool:
    """Whether a managed policy is there for this account: its own, or AWS's."""
    if arn in aws_managed(ctx.partition):
        return True
    if not arn.startswith(f"arn:{ctx.partition}:iam::aws:policy/"):
        check_policy_arn(ctx, arn)
    return await managed(reader, arn) is not None


async def managed(reader: Reader, arn: str) -> ManagedPolicy | None:
    """The customer managed policy of an ARN."""
    parts = arn.split(":", 5)
    if len(parts) != 6 or not parts[5].startswith("policy/"):
        return None
    policy = await named(reader, ManagedPolicy, parts[4], parts[5].rpartition("/")[2])
    return policy if policy is not None and policy.arn == arn else None


async def put_inline(ctx: Context, kind: str, req: Mapping[str, Any]) -> None:
    """Write an inline policy."""
    name = checked_name(req["PolicyName"], "policyName", 128)
    document = checked_document(ctx, req["PolicyDocument"])
    async with ctx.write() as tx:
        owner = await changeable(tx, ctx, kind, req[f"{kind}Name"])
        others = await inline_of(tx, ctx.account, kind, owner.name)
        size = sum(document_chars(one.document) for one in others if one.name != name)
        if size + document_chars(document) > _INLINE_MAX[kind]:
            raise LimitExceeded(
                f"Maximum policy size of {_INLINE_MAX[kind]} bytes exceeded for "
                f"{kind.lower()} {owner.name}"
            )
        tx.put(
            Inline(
                account=ctx.account, kind=kind, holder=owner.name, name=name,
                document=document,
            )
        )  # fmt: skip
        changed(tx, ctx)


async def get_inline(ctx: Context, kind: str, req: Mapping[str, Any]) -> dict[str, Any]:
    """Read an inline policy."""
    reader = ctx.read()
    owner = await holder(reader, ctx, kind, req[f"{kind}Name"])
    found = await reader.get(Inline, ctx.account, kind, owner.name, req["PolicyName"])
    if found is None:
        raise _no_inline(kind, req["PolicyName"])
    return {
        f"{kind}Name": owner.name,
        "PolicyName": found.name,
        "PolicyDocument": document_to_wire(found.document),
    }


async def delete_inline(ctx: Context, kind: str, req: Mapping[str, Any]) -> None:
    """Remove an inline policy."""
    async with ctx.write() as tx:
        owner = await changeable(tx, ctx, kind, req[f"{kind}Name"])
        found = await tx.get(Inline, ctx.account, kind, owner.name, req["PolicyName"])
        if found is None:
            raise _no_inline(kind, req["PolicyName"])
        tx.delete(found)
        changed(tx, ctx)


async def list_inline(ctx: Context, kind: str, req: Mapping[str, Any]) -> dict[str, Any]:
    """The names of the inline policies."""
    reader = ctx.read()
    owner = await holder(reader, ctx, kind, req[f"{kind}Name"])
    rows = await inline_of(reader, ctx.account, kind, owner.name)
    return page(req, rows, "PolicyNames", lambda row: row.name, f"inline/{owner.arn}")


async def inline_of(reader: Reader, account: str, kind: str, name: str) -> list[Inline]:
    """The inline policies of a user, group or role."""
    return await reader.list(Inline, (account, kind, name), limit=limits.ROWS_MAX)


async def attached_to(reader: Reader, account: str, kind: str, name: str) -> list[Attachment]:
    """The managed policies on a user, group or role."""
    return await reader.list(Attachment, (account, kind, name), limit=limits.ROWS_MAX)


async def attach(ctx: Context, kind: str, req: Mapping[str, Any]) -> None:
    """Put a managed policy on; one that is on already is no error."""
    arn = req["PolicyArn"]
    async with ctx.write() as tx:
        owner = await changeable(tx, ctx, kind, req[f"{kind}Name"])
        if not await policy_exists(tx, ctx, arn):
            raise NoSuchEntity(f"Policy {arn} does not exist or is not attachable.")
        if OF_SERVICES in arn:
            raise PolicyNotAttachable("Cannot attach a Service Role Policy to a Customer Role.")
        old = await attached_to(tx, ctx.account, kind, owner.name)
        if arn not in [one.policy for one in old] and len(old) >= limits.MANAGED_POLICIES_MAX:
            raise LimitExceeded(
                f"Cannot exceed quota for PoliciesPer{kind}: {limits.MANAGED_POLICIES_MAX}"
            )
        await tx.get(Attachment, ctx.account, kind, owner.name, arn)
        tx.put(Attachment(account=ctx.account, kind=kind, holder=owner.name, policy=arn))
        changed(tx, ctx)


async def detach(ctx: Context, kind: str, req: Mapping[str, Any]) -> None:
    """Take a managed policy off."""
    async with ctx.write() as tx:
        owner = await changeable(tx, ctx, kind, req[f"{kind}Name"])
        found = await tx.get(Attachment, ctx.account, kind, owner.name, req["PolicyArn"])
        if found is None:
            raise NoSuchEntity(f"Policy {req['PolicyArn']} was not found.")
        tx.delete(found)
        changed(tx, ctx)


async def list_attached(ctx: Context, kind: str, req: Mapping[str, Any]) -> dict[str, Any]:
    """The managed policies on a user, group or role."""
    reader = ctx.read()
    owner = await holder(reader, ctx, kind, req[f"{kind}Name"])
    rows = await attached_to(reader, ctx.account, kind, owner.name)
    prefix = req.get("PathPrefix", "/")
    shown = [
        {"PolicyName": row.policy.rpartition("/")[2], "PolicyArn": row.policy}
        for row in rows
        if row.policy.partition(":policy")[2].startswith(prefix)
    ]
    shown.sort(key=lambda one: one["PolicyName"])
    return page(req, shown, "AttachedPolicies", lambda row: row, f"attached/{owner.arn}")


async def put_boundary(ctx: Context, kind: str, req: Mapping[str, Any]) -> None:
    """Bound what the policies of a user or role can grant."""
    async with ctx.write() as tx:
        owner = await changeable(tx, ctx, kind, req[f"{kind}Name"])
        boundary = await checked_boundary(tx, ctx, req["PermissionsBoundary"])
        tx.put(replace(owner, boundary=boundary))
        changed(tx, ctx)


async def delete_boundary(ctx: Context, kind: str, req: Mapping[str, Any]) -> None:
    """Take a boundary away."""
    async with ctx.write() as tx:
        owner = await changeable(tx, ctx, kind, req[f"{kind}Name"])
        if owner.boundary is None:
            raise missing(f"{kind.lower()} permissions boundary", owner.name)
        tx.put(replace(owner, boundary=None))
        changed(tx, ctx)


async def rename(tx: Tx, account: str, kind: str, old: str, new: str) -> None:
    """Carry what a user or group holds over to its new name."""
    for row in await tx.list(Inline, (account, kind, old), limit=limits.ROWS_MAX):
        tx.delete(row)
        tx.put(replace(row, holder=new))
    for attachment in await tx.list(Attachment, (account, kind, old), limit=limits.ROWS_MAX):
        tx.delete(attachment)
        tx.add(replace(attachment, holder=new))


async def check_empty_handed(tx: Tx, ctx: Context, kind: str, name: str) -> None:
    """Raise DeleteConflict while a user, group or role still holds policies."""
    if await tx.list(Attachment, (ctx.account, kind, name), limit=1):
        raise DeleteConflict("Cannot delete entity, must detach all policies first.")
    if await tx.list(Inline, (ctx.account, kind, name), limit=1):
        raise DeleteConflict("Cannot delete entity, must delete policies first.")


async def checked_boundary(reader: Reader, ctx: Context, arn: str | None) -> str | None:
    """The ARN of a boundary that exists. Raises NoSuchEntity."""
    if arn is not None and not await policy_exists(reader, ctx, arn):
        raise NoSuchEntity(f"Scope ARN: {arn} does not exist or is not attachable.")
    return arn


def boundary_to_wire(arn: str | None) -> dict[str, Any]:
    """A boundary as IAM shows it; nothing where there is none."""
    if arn is None:
        return {}
    shown = {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn}
    return {"PermissionsBoundary": shown}


def _no_inline(kind: str, name: str) -> NoSuchEntity:
    return NoSuchEntity(f"The {kind.lower()} policy with name {name} cannot be found.")
