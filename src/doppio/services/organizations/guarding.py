"""What hangs on targets, and what the kernel is told of it so that it counts for the next call."""

from __future__ import annotations

from doppio.kernel.context import Reader, Tx
from doppio.kernel.guardrails import Guardrail, forget_guardrail, put_guardrail
from doppio.services.organizations import limits
from doppio.services.organizations.policy_types import BY_DEFAULT, MANAGED, TYPES
from doppio.services.organizations.records import Attachment, Organization, Policy


async def find_policy(reader: Reader, organization: Organization, name: str) -> Policy | None:
    """The policy of an id: the organisation's own, or AWS's."""
    return MANAGED.get(name) or await reader.get(Policy, organization.id, name)


async def attached(
    reader: Reader, organization: Organization, target: str, kind: str
) -> list[Attachment]:
    """What hangs on a target itself, of one type."""
    return await reader.list(Attachment, (organization.id, target, kind), limit=limits.ROWS_MAX)


async def hang(tx: Tx, organization: Organization, target: str, policy: Policy) -> None:
    """Put a policy on a target; it is no error if it hangs there."""
    key = (organization.id, target, policy.type, policy.id)
    if await tx.get(Attachment, *key) is None:
        tx.put(
            Attachment(
                organization=organization.id, target=target, type=policy.type, policy=policy.id,
                at=tx.context.now,
            )
        )  # fmt: skip
    await guard(tx, organization, target, policy.type)


async def guard(tx: Tx, organization: Organization, target: str, kind: str) -> None:
    """Tell the kernel what of an enforced type hangs on a target."""
    guards = TYPES[kind].guards
    if guards is None:
        return
    found = []
    for row in await attached(tx, organization, target, kind):
        policy = await find_policy(tx, organization, row.policy)
        assert policy is not None, "a policy in use is not deleted"
        found.append((policy.name, policy.content))
    put_guardrail(tx, Guardrail(target=target, kind=guards, policies=tuple(found)))


async def begin(tx: Tx, organization: Organization, target: str) -> None:
    """Put on a new unit or account what hangs on everything."""
    for kind in organization.enabled:
        policy = BY_DEFAULT.get(kind)
        if policy is not None:
            await hang(tx, organization, target, policy)


async def end(tx: Tx, organization: Organization, target: str, kind: str | None = None) -> None:
    """Take everything off a target, or all of one type."""
    prefix = (organization.id, target) if kind is None else (organization.id, target, kind)
    for row in await tx.list(Attachment, prefix, limit=limits.ROWS_MAX):
        tx.delete(row)
    for name in TYPES if kind is None else (kind,):
        guards = TYPES[name].guards
        if guards is not None:
            forget_guardrail(tx, target, guards)
