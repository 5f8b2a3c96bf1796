"""What buckets hold, metered and told to CloudWatch once a day: bytes by storage class, and objects.

All versions count, and delete markers as objects; `stock` knows the sums. Source: "Amazon S3 CloudWatch daily storage metrics
for buckets".
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from doppio.kernel.context import Context
from doppio.kernel.identity import service_caller
from doppio.kernel.jobs import Job, JobHandler
from doppio.services.s3 import stock
from doppio.services.s3.records import Bucket
from doppio.wire.errors import AwsError

_log = logging.getLogger("doppio.s3.storage_metrics")


def jobs() -> dict[str, JobHandler]:
    """The job that measures a bucket each midnight: for the bill, and for CloudWatch."""
    return {stock.MEASURE: _measure}


async def _measure(ctx: Context, job: Job) -> None:
    bucket = await ctx.read().get(Bucket, job.key)
    if bucket is None:
        return
    async with ctx.derive(ctx.caller, region=bucket.region).write() as tx:
        await stock.measure(tx, bucket)
        await stock.keep_measuring(tx, bucket)
    if not bucket.table:
        await _tell(ctx, bucket)


async def _tell(ctx: Context, bucket: Bucket) -> None:
    sizes, count = await stock.statistics(ctx.read(), bucket.id)
    at = ctx.clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    data = [_datum(bucket, "NumberOfObjects", "AllStorageTypes", "Count", count, at)]
    data += [
        _datum(bucket, "BucketSizeBytes", kind, "Bytes", size, at)
        for kind, size in sorted(sizes.items())
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
