"""How a bucket is set, counted for Storage Lens: 1 where it is so, 0 where it is not.

Source: "Amazon S3 Storage Lens metrics glossary".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from doppio.kernel.context import Context
from doppio.services.s3 import acceleration, lifecycle, notification_rules
from doppio.services.s3.records import Bucket
from doppio.services.s3.settings import setting
from doppio.services.s3.versions import ENABLED

_OWNERSHIPS = ("BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter")


async def counts_of(ctx: Context, name: str, *, rules: bool) -> dict[str, int]:
    """How a bucket is set; with `rules`, also how many rules its lifecycle has of each kind."""
    reader = ctx.read()
    bucket = await reader.get(Bucket, name)
    if bucket is None:
        return {}
    accelerated = await setting(reader, bucket, acceleration.KIND)
    ownership = bucket.ownership or "ObjectWriter"
    found = {
        "VersioningEnabledBucketCount": bucket.versioning == ENABLED,
        "MFADeleteEnabledBucketCount": bucket.mfa_delete == ENABLED,
        "SSEKMSEnabledBucketCount": _is_under_kms(bucket.encryption),
        "EventNotificationEnabledBucketCount": notification_rules.KIND in bucket.kinds,
        "TransferAccelerationEnabledBucketCount": (accelerated or {}).get("Status") == ENABLED,
        **{f"ObjectOwnership{one}BucketCount": ownership == one for one in _OWNERSHIPS},
    }
    counts = {name: int(is_so) for name, is_so in found.items()}
    if rules:
        document = await setting(reader, bucket, lifecycle.KIND)
        counts |= _rules([] if document is None else document["Rules"])
    return counts


def _is_under_kms(encryption: Mapping[str, Any] | None) -> bool:
    given = (encryption or {}).get("Rules") or []
    default = given[0].get("ApplyServerSideEncryptionByDefault") if given else None
    return str((default or {}).get("SSEAlgorithm", "")).startswith("aws:kms")


def _rules(rules: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """How many enabled rules do what; one may do several things."""
    kinds = {
        "TransitionLifecycleRuleCount": "Transitions",
        "NoncurrentVersionTransitionLifecycleRuleCount": "NoncurrentVersionTransitions",
        "NoncurrentVersionExpirationLifecycleRuleCount": "NoncurrentVersionExpiration",
        "AbortIncompleteMPULifecycleRuleCount": "AbortIncompleteMultipartUpload",
    }
    on = [one for one in rules if one["Status"] == ENABLED]
    counts = {name: sum(bool(one.get(member)) for one in on) for name, member in kinds.items()}
    expiring = [one["Expiration"] for one in on if one.get("Expiration")]
    markers = sum(bool(one.get("ExpiredObjectDeleteMarker")) for one in expiring)
    counts["ExpirationLifecycleRuleCount"] = len(expiring) - markers
    counts["ExpiredObjectDeleteMarkerLifecycleRuleCount"] = markers
    counts["TotalLifecycleRuleCount"] = len(on)
    return counts
