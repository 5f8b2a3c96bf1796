"""What a directory bucket's new objects are encrypted with, where nothing else is said.

S3's own keys, or one customer managed key of KMS for the bucket's whole life.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from doppio.kernel.context import Context
from doppio.services.s3.directory_rules import KMS
from doppio.services.s3.encryption import AES256, under_kms
from doppio.services.s3.errors import InvalidArgument, InvalidRequest, MalformedXML
from doppio.services.s3.lookup import existing_bucket
from doppio.services.s3.records import Bucket


async def put_encryption(ctx: Context, bucket: Bucket, req: Mapping[str, Any]) -> None:
    """PutBucketEncryption: KMS is asked whether the key can be used for the caller."""
    rules = req["ServerSideEncryptionConfiguration"].get("Rules") or []
    if len(rules) != 1:
        raise MalformedXML
    default = rules[0].get("ApplyServerSideEncryptionByDefault") or {}
    kind = default.get("SSEAlgorithm", AES256)
    named = default.get("KMSMasterKeyID")
    if kind not in {AES256, KMS}:
        raise InvalidArgument(
            "Directory buckets are encrypted with AES256 or aws:kms alone.",
            ArgumentName="ApplyServerSideEncryptionByDefault",
        )
    key = ""
    if kind == KMS:
        key = await _checked_key(ctx, bucket, named)
    elif named is not None:
        raise InvalidArgument(
            "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms",
            ArgumentName="ApplyServerSideEncryptionByDefault",
        )
    applied = {"SSEAlgorithm": kind, **({"KMSMasterKeyID": key} if key else {})}
    rule = {"ApplyServerSideEncryptionByDefault": applied, "BucketKeyEnabled": True}
    async with ctx.write() as tx:
        bucket = await existing_bucket(tx, req)
        if key and bucket.kms_key not in {"", key}:
            raise _one_key()
        changed = {"encryption": {"Rules": [rule]}, "kms_key": bucket.kms_key or key}
        tx.put(msgspec.structs.replace(bucket, **changed))
        tx.meter("Requests-Tier1")


async def _checked_key(ctx: Context, bucket: Bucket, named: str | None) -> str:
    if not named or "alias/" in named:
        raise InvalidArgument(
            "Directory buckets take the id or the ARN of a customer managed key.",
            ArgumentName="KMSMasterKeyID",
            ArgumentValue=named or "",
        )
    if bucket.kms_key and named not in {bucket.kms_key, bucket.kms_key.rpartition("/")[2]}:
        raise _one_key()
    sealing = await under_kms(ctx, bucket, "", named, bucket_key=True)
    return sealing.sealed.key_id


def _one_key() -> InvalidRequest:
    return InvalidRequest(
        "A directory bucket supports one customer managed key during its lifetime."
    )
