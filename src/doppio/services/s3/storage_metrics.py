"""What buckets hold, told to CloudWatch once a day, as in AWS: bytes by storage class, and objects.

All versions count, and delete markers as objects. Source: "Amazon S3 CloudWatch daily storage metrics
for buckets".
"""

from __future__ import annotations

import logging
from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

from doppio.kernel.context import Context, Tx, row_key
from doppio.kernel.identity import service_caller
from doppio.kernel.jobs import Job
from doppio.services.s3.census import census
from doppio.services.s3.records import Bucket
from doppio.wire.errors import AwsError

MEASURE = "s3.measure"
BUCKETS_A_STEP = 100
_TYPES = {
    "STANDARD": "StandardStorage",
    "REDUCED_REDUNDANCY": "ReducedRedundancyStorage",
    "STANDARD_IA": "StandardIAStorage",
    "ONEZONE_IA": "OneZoneIAStorage",
    "INTELLIGENT_TIERING": "IntelligentTieringFAStorage",
    "GLACIER": "GlacierStorage",
    "GLACIER_IR": "GlacierInstantRetrievalStorage",
    "DEEP_ARCHIVE": "DeepArchiveStorage",
}
_log = logging.getLogger("doppio.s3.storage_metrics")


async def keep_measuring(tx: Tx) -> None:
    """See to it that buckets are measured each midnight."""
    if await tx.get(Job, MEASURE, "") is None:
        await tx.schedule(_midnight_after(tx.context.now), MEASURE, "")


async def measure(ctx: Context, job: Job) -> None:
    """Measure every bucket, and come again while there are some."""
    reader = ctx.read()
    after: bytes | None = None
    while True:
        buckets = await reader.list(Bucket, after=after, limit=BUCKETS_A_STEP)
        for bucket in buckets:
            await _tell(ctx, bucket)
        if len(buckets) < BUCKETS_A_STEP:
            break
        after = row_key(buckets[-1])

    async def again(tx: Tx) -> None:
        if await tx.list(Bucket, limit=1):
            await tx.schedule(_midnight_after(ctx.clock.now()), MEASURE, "")

    await ctx.transact(again)


def _midnight_after(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


async def _tell(ctx: Context, bucket: Bucket) -> None:
    sizes: dict[str, int] = defaultdict(int)
    count = 0
    async for page in census(ctx, bucket, versions=True):
        for seen in page:
            count += 1
            if not seen.version.marker:
                sizes[seen.version.storage_class] += seen.version.size
    at = ctx.clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    data = [_datum(bucket, "NumberOfObjects", "AllStorageTypes", "Count", count, at)]
    data += [
        _datum(bucket, "BucketSizeBytes", _TYPES[name], "Bytes", size, at)
        for name, size in sorted(sizes.items())
        if name in _TYPES
    ]
    # Its numbers are its owner's, in its Region.
    service = ctx.derive(service_caller("s3", bucket.account, bucket.arn), region=bucket.region)
    service.account = bucket.account
    try:
        await service.call(
            "cloudwatch", "put_metric_data", {"Namespace": "AWS/S3", "MetricData": data}
        )
    except AwsError as error:
        _log.warning("what %s holds is not told: %s", bucket.name, error)


def _datum(
    bucket: Bucket, name: str, kind: str, unit: str, value: int, at: datetime
) -> dict[str, Any]:
    return {
        "MetricName": name,
        "Dimensions": [
            {"Name": "BucketName", "Value": bucket.name},
            {"Name": "StorageType", "Value": kind},
        ],
        "Timestamp": at,
        "Unit": unit,
        "Value": float(value),
    }
