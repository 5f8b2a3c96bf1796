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
from doppio.kernel.context import Reader, Tx
from doppio.kernel.paging import every
from doppio.kernel.policy.public import is_public
from doppio.services.s3.errors import BlockHeld
from doppio.services.s3.lambda_points import LambdaPoint
from doppio.services.s3.limits import MULTI_REGION_POINTS_MAX
from doppio.services.s3.point_records import AccessPoint, MultiRegionPoint
from doppio.services.s3.policies import SETTINGS, restricted, tell_policy
from doppio.services.s3.records import OWNED, AccountBlock

BUCKETS_A_STEP = 500


async def account_block(reader: Reader, account: str) -> dict[str, bool] | None:
    """What an account blocks; None where it has said nothing."""
    found = await reader.get(AccountBlock, account)
    return None if found is None else found.settings


async def block_account(tx: Tx, account: str, settings: dict[str, bool] | None) -> None:
    """Let an account block public access, or nothing any more, in all the buckets it has.

    Raises BlockHeld where its organisation says what is blocked.
    """
    found = await tx.get(AccountBlock, account)
    if found is not None and found.held:
        raise BlockHeld()
    if settings is None:
        tx.delete(AccountBlock(account=account, settings={}))
    else:
        tx.put(AccountBlock(account=account, settings=settings))
    await _tell(tx, account, settings)


async def hold_block(tx: Tx, account: str, *, on: bool) -> None:
    """Block all public access in an account, whatever it says itself; or leave it to it again."""
    found = await tx.get(AccountBlock, account)
    if on == (found is not None and found.held):
        return
    if on:
        settings: dict[str, bool] | None = dict.fromkeys(SETTINGS, True)
        own = None if found is None else found.settings
        tx.put(AccountBlock(account=account, settings=dict(settings or {}), held=True, own=own))
    else:
        assert found is not None, "it was held"
        settings = found.own
        if settings is None:
            tx.delete(found)
        else:
            tx.put(AccountBlock(account=account, settings=settings))
    await _tell(tx, account, settings)


async def _tell(tx: Tx, account: str, settings: dict[str, bool] | None) -> None:
    """Copy what an account blocks to all through which the public might come."""
    async for bucket in every(tx, OWNED, (account,), step=BUCKETS_A_STEP):
        tell_policy(tx, msgspec.structs.replace(bucket, account_block=settings))
    async for point in every(tx, AccessPoint, (account,), step=BUCKETS_A_STEP):
        tell_point(tx, msgspec.structs.replace(point, account_block=settings))
    for wide in await tx.list(MultiRegionPoint, (account,), limit=MULTI_REGION_POINTS_MAX):
        tell_point(tx, msgspec.structs.replace(wide, account_block=settings))


def tell_point(tx: Tx, point: AccessPoint | MultiRegionPoint | LambdaPoint) -> None:
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


def point_is_public(
    point: AccessPoint | MultiRegionPoint | LambdaPoint, document: Mapping[str, Any]
) -> bool:
    """Whether a policy lets the world in through an access point. A VPC is never the world."""
    return not point.vpc and is_public(document)
