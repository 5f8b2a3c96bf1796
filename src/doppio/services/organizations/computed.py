"""What of a management policy type counts for an account, computed from all that hangs above it."""

from __future__ import annotations

import json
from datetime import datetime

from doppio.kernel.context import Reader
from doppio.services.organizations import tree
from doppio.services.organizations.guarding import attached, find_policy
from doppio.services.organizations.inheritance import Effective, Source, inherit
from doppio.services.organizations.records import Organization


async def effective(
    reader: Reader, organization: Organization, account: str, kind: str
) -> tuple[Effective, datetime] | None:
    """What counts for an account, and since when; None where no policy of the type does."""
    if kind not in organization.enabled:
        return None
    levels: list[list[Source]] = []
    updated_at: datetime | None = None
    for target in await tree.chain(reader, organization, account):
        rows = await attached(reader, organization, target, kind)
        rows.sort(key=lambda row: (row.at, row.policy))
        level = []
        for row in rows:
            policy = await find_policy(reader, organization, row.policy)
            assert policy is not None, "a policy in use is not deleted"
            level.append(Source(policy.id, json.loads(policy.content)))
            updated_at = max(updated_at or row.at, row.at, policy.updated_at)
        levels.append(level)
    return None if updated_at is None else (inherit(levels), updated_at)
