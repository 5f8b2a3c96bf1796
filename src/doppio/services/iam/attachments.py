"""What users, groups and roles hold: inline policies, attached policies, boundaries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader, Tx
from doppio.services.iam import limits
from doppio.services.iam.aws_managed import aws_managed
from doppio.services.iam.common import changed, checked_document, checked_name, page
from doppio.services.iam.errors import DeleteConflict, LimitExceeded, NoSuchEntity, missing
from doppio.services.iam.records import (
    Attachment,
    Group,
    Inline,
    ManagedPolicy,
    Role,
    User,
)

KINDS: dict[str, type[User | Group | Role]] = {"User": User, "Group": Group, "Role": Role}
_INLINE_MAX = {
    "User": limits.INLINE_USER_CHARS_MAX,
    "Group": limits.INLINE_GROUP_CHARS_MAX,
    "Role": limits.INLINE_ROLE_CHARS_MAX,
}


async def holder(reader: Reader, ctx: Context, kind: str, name: str) -> Any:
    """The user, group or role of a name. Raises NoSuchEntity."""
    found = await reader.get(KINDS[kind], ctx.account, name)
    if found is None:
        raise missing(kind.lower(), name)
    return found


async def policy_exists(reader: Reader, arn: str) -> bool:
    """Whether an ARN is a managed policy's, ours or AWS's."""
    if arn in aws_managed():
        return True
    return await managed(reader, arn) is not None


async def managed(reader: Reader, arn: str) -> ManagedPolicy | None:
    """The customer managed policy of an ARN."""
    parts = arn.split(":", 5)
    if len(parts) != 6 or not parts[5].startswith("policy/"):
        return None
    policy = await reader.get(ManagedPolicy, parts[4], parts[5].rpartition("/")[2])
    return policy if policy is not None and policy.arn == arn else None


async def put_inline(ctx: Context, kind: str, req: Mapping[str, Any]) -> None:
    """Write an inline policy."""
    name = checked_name(req["PolicyName"], "policyName", 128)
    checked_document(req["PolicyDocument"], most=_INLINE_MAX[kind])
    async with ctx.write() as tx:
        owner = await holder(tx, ctx, kind, req[f"{kind}Name"])
        tx.put(
            Inline(
                account=ctx.account, kind=kind, holder=owner.name, name=name,
                document=req["PolicyDocument"],
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
        "PolicyDocument": found.document,
    }


async def delete_inline(ctx: Context, kind: str, req: Mapping[str, Any]) -> None:
    """Remove an inline policy."""
    async with ctx.write() as tx:
        owner = await holder(tx, ctx, kind, req[f"{kind}Name"])
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
        owner = await holder(tx, ctx, kind, req[f"{kind}Name"])
        if not await policy_exists(tx, arn):
            raise NoSuchEntity(f"Policy {arn} does not exist or is not attachable.")
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
        owner = await holder(tx, ctx, kind, req[f"{kind}Name"])
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
    shown = [{"PolicyName": r.policy.rpartition("/")[2], "PolicyArn": r.policy} for r in rows]
    shown.sort(key=lambda one: one["PolicyName"])
    return page(req, shown, "AttachedPolicies", lambda row: row, f"attached/{owner.arn}")


async def put_boundary(ctx: Context, kind: str, req: Mapping[str, Any]) -> None:
    """Bound what the policies of a user or role can grant."""
    async with ctx.write() as tx:
        owner = await holder(tx, ctx, kind, req[f"{kind}Name"])
        boundary = await checked_boundary(tx, req["PermissionsBoundary"])
        tx.put(replace(owner, boundary=boundary))
        changed(tx, ctx)


async def delete_boundary(ctx: Context, kind: str, req: Mapping[str, Any]) -> None:
    """Take a boundary away."""
    async with ctx.write() as tx:
        owner = await holder(tx, ctx, kind, req[f"{kind}Name"])
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


async def checked_boundary(reader: Reader, arn: str | None) -> str | None:
    """The ARN of a boundary that exists. Raises NoSuchEntity."""
    if arn is not None and not await policy_exists(reader, arn):
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
