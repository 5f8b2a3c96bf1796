"""Doors to S3 where AWS has no public operation: what S3 Control needs to act in S3."""

from __future__ import annotations

from doppio.services.s3.account_blocks import (
    account_block,
    block_account,
    point_is_public,
    tell_point,
)
from doppio.services.s3.batches import Entry, entries, replicate
from doppio.services.s3.lookup import bucket_id
from doppio.services.s3.points import ALIAS_END
from doppio.services.s3.policies import SETTINGS, checked_policy
from doppio.services.s3.records import POINTS_OF, AccessPoint, Bucket, PointsHeld

__all__ = [
    "ALIAS_END", "POINTS_OF", "SETTINGS", "AccessPoint", "Bucket", "Entry", "PointsHeld",
    "account_block", "block_account", "bucket_id", "checked_policy", "entries", "point_is_public",
    "replicate", "tell_point",
]  # fmt: skip
