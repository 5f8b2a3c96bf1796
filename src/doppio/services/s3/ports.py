"""Doors to S3 where AWS has no public operation: what S3 Control needs to act in S3."""

from __future__ import annotations

from doppio.services.s3.account_blocks import account_block, block_account
from doppio.services.s3.batches import Entry, entries, replicate
from doppio.services.s3.policies import SETTINGS

__all__ = ["SETTINGS", "Entry", "account_block", "block_account", "entries", "replicate"]
