"""Doors to S3 where AWS has no public operation: what S3 Control and S3 Tables need to act in S3."""

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
from doppio.services.s3.lens_prefixes import PrefixScope
from doppio.services.s3.lens_settings import counts_of
from doppio.services.s3.lens_sums import Holds, Owned, owned, sums_of
from doppio.services.s3.limits import MULTI_REGION_POINTS_MAX
from doppio.services.s3.lookup import bucket_id
from doppio.services.s3.point_records import (
    POINTS_OF,
    AccessPoint,
    MultiRegionPoint,
    PointsHeld,
    Route,
)
from doppio.services.s3.points import (
    ALIAS_END,
    MULTI_REGION_END,
    READY,
    point_named,
    wide_point_named,
)
from doppio.services.s3.policies import SETTINGS, checked_policy
from doppio.services.s3.records import Bucket
from doppio.services.s3.warehouses import (
    SUFFIX as WAREHOUSE_END,
)
from doppio.services.s3.warehouses import (
    Lying,
    close,
    lying,
    open_warehouse,
    remove_hidden,
    set_aside,
)

__all__ = [
    "ALIAS_END", "LAMBDA_END", "MULTI_REGION_END", "MULTI_REGION_POINTS_MAX", "POINTS_OF", "READY", "RECORDS", "SETTINGS",
    "WAREHOUSE_END",
    "AccessPoint", "Bucket", "Entry", "Holds", "LambdaPoint", "Lying", "MultiRegionPoint", "Owned", "PointsHeld", "PrefixScope", "Route",
    "account_block", "block_account", "bucket_id", "checked_policy", "close", "counts_of", "entries", "hold_block",
    "lying", "open_warehouse", "owned",
    "point_is_public", "point_named", "remove_hidden", "replicate", "set_aside", "sums_of", "tell_point", "wide_point_named",
]  # fmt: skip
