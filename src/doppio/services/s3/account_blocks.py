"""What an account blocks of public access in all its buckets.

It bounds each bucket and access point beside their own blocks. Requests must not pay for it: so each
holds a copy, which changes in the commit that changes the account's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from doppio.kernel.authorise import put_resource
from doppio.kernel.context import Reader, Tx, index_row_key, row_key
from doppio.kernel.policy.public import is_public
from doppio.services.s3.limits import MULTI_REGION_POINTS_MAX
from doppio.services.s3.policies import restricted, tell_policy
from doppio.services.s3.records import OWNED, AccessPoint, AccountBlock, MultiRegionPoint

BUCKETS_A_STEP = 500


async def account_block(reader: Reader, account: str) -> dict[str, bool] | None:
    """What an account blocks; None where it has said nothing."""
    found = await reader.get(AccountBlock, account)
    return None if found is None else found.settings


async def block_account(tx: Tx, account: str, settings: dict[str, bool] | None) -> None:
    """Let an account block public access, or nothing any more, in all the buckets it has."""
    if settings is None:
        tx.delete(AccountBlock(account=account, settings={}))
    else:
        tx.put(AccountBlock(account=account, settings=settings))
    after: bytes | None = None
    while buckets := await tx.find(OWNED, (account,), after=after, limit=BUCKETS_A_STEP):
        for bucket in buckets:
            tell_policy(tx, msgspec.structs.replace(bucket, account_block=settings))
        after = index_row_key(OWNED, buckets[-1])
    seen: bytes | None = None
    while points := await tx.list(AccessPoint, (account,), after=seen, limit=BUCKETS_A_STEP):
        for point in points:
            tell_point(tx, msgspec.structs.replace(point, account_block=settings))
        seen = row_key(points[-1])
    for wide in await tx.list(MultiRegionPoint, (account,), limit=MULTI_REGION_POINTS_MAX):
        tell_point(tx, msgspec.structs.replace(wide, account_block=settings))


def tell_point(tx: Tx, point: AccessPoint | MultiRegionPoint) -> None:
    """Keep an access point, and tell the authoriser what its policy grants."""
    tx.put(point)
    document = None if point.policy is None else json.loads(point.policy)
    if (
        document is not None
        and point.blocks("RestrictPublicBuckets")
        and point_is_public(point, document)
    ):
        document = restricted(document, point.arn, point.account)
    put_resource(tx, point.arn, point.account, None if document is None else json.dumps(document))


def point_is_public(point: AccessPoint | MultiRegionPoint, document: Mapping[str, Any]) -> bool:
    """Whether a policy lets the world in through an access point. A VPC is never the world."""
    return not point.vpc and is_public(document)
