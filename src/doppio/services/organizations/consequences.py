"""What follows from management policies: those that act in services of this cloud.

Tag policies are the kernel's to enforce, and S3 policies are S3's. What counts for an account is told
to them in the commit that changes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doppio.kernel.context import Tx
from doppio.kernel.tag_rules import TagRule, put_tag_rules
from doppio.services.organizations import limits, tree
from doppio.services.organizations.computed import effective
from doppio.services.organizations.records import CHILDREN, SUB_UNITS, Organization

TAGS, S3 = "TAG_POLICY", "S3_POLICY"
ACTING = frozenset({TAGS, S3})


async def follow(tx: Tx, organization: Organization, target: str, kind: str) -> None:
    """Let count what has changed on a target, in all accounts at or below it."""
    if kind in ACTING:
        for account in await _accounts(tx, organization, target):
            await _settle(tx, organization, account, kind)


async def follow_account(tx: Tx, organization: Organization, account: str) -> None:
    """Let count for an account what hangs above it, where it has come or moved to."""
    for kind in ACTING.intersection(organization.enabled):
        await _settle(tx, organization, account, kind)


async def release(tx: Tx, organization: Organization, account: str) -> None:
    """Let nothing count any more for an account that goes."""
    for kind in ACTING.intersection(organization.enabled):
        await _act(tx, account, kind, {})


async def _settle(tx: Tx, organization: Organization, account: str, kind: str) -> None:
    found = await effective(tx, organization, account, kind)
    await _act(tx, account, kind, {} if found is None else found[0].document)


async def _act(tx: Tx, account: str, kind: str, document: Mapping[str, Any]) -> None:
    if kind == TAGS:
        await put_tag_rules(tx, account, rules_of(document))
        return
    # S3 is not imported by clouds that only have an organisation.
    from doppio.services.s3.ports import hold_block

    said = document.get("s3_attributes", {}).get("public_access_block_configuration")
    await hold_block(tx, account, on=said == "all")


def rules_of(document: Mapping[str, Any]) -> list[TagRule]:
    """What an effective tag policy enforces; keys that are enforced for nothing are not among it."""
    found = []
    for said in document.get("tags", {}).values():
        types = said.get("enforced_for", [])
        if types and "tag_key" in said:
            values = said.get("tag_value")
            found.append(
                TagRule(
                    str(said["tag_key"]),
                    None if values is None else tuple(map(str, values)),
                    tuple(map(str, types)),
                )
            )
    return found


async def _accounts(tx: Tx, organization: Organization, target: str) -> list[str]:
    """The accounts at or below a target."""
    if tree.is_account(target):
        return [target]
    place = (organization.id, target)
    found = [row.id for row in await tx.find(CHILDREN, place, limit=limits.ROWS_MAX)]
    for unit in await tx.find(SUB_UNITS, place, limit=limits.ROWS_MAX):
        found += await _accounts(tx, organization, unit.id)
    return found
