"""Doors to S3 where AWS has no public operation: what S3 Control needs to act in S3."""

from __future__ import annotations

from doppio.services.s3.account_blocks import (
    account_block,
    block_account,
    hold_block,
    point_is_public,
    tell_point,
)
from doppio.services.s3.batches import Entry, entries, replicate
from doppio.services.s3.beyond import RECORDS
from doppio.services.s3.lambda_points import LAMBDA_END, LambdaPoint
from doppio.services.s3.lens_sums import Holds, Owned, owned, sums_of
from doppio.services.s3.limits import MULTI_REGION_POINTS_MAX
from doppio.services.s3.lookup import bucket_id
from doppio.services.s3.points import (
    ALIAS_END,
    MULTI_REGION_END,
    READY,
    point_named,
    wide_point_named,
)
from doppio.services.s3.policies import SETTINGS, checked_policy
from doppio.services.s3.records import (
    POINTS_OF,
    AccessPoint,
    Bucket,
    MultiRegionPoint,
    PointsHeld,
    Route,
)

__all__ = [
    "ALIAS_END", "LAMBDA_END", "MULTI_REGION_END", "MULTI_REGION_POINTS_MAX", "POINTS_OF", "READY", "RECORDS", "SETTINGS",
    "AccessPoint", "Bucket", "Entry", "Holds", "LambdaPoint", "MultiRegionPoint", "Owned", "PointsHeld", "Route",
    "account_block", "block_account", "bucket_id", "checked_policy", "entries", "hold_block",
    "owned",
    "point_is_public", "point_named", "replicate", "sums_of", "tell_point", "wide_point_named",
]  # fmt: skip
