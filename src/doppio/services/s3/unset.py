"""What no bucket here is set to: reading it answers that there is nothing, which is true.

Setting any of it means that S3 acts on it from then on. Those operations are absent until this
cloud does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doppio.kernel.context import Context
from doppio.services.s3.errors import (
    NoSuchLifecycleConfiguration,
    NoSuchWebsiteConfiguration,
    ObjectLockConfigurationNotFound,
    ReplicationConfigurationNotFound,
)
from doppio.services.s3.lookup import existing_bucket
from doppio.services.s3.records import Bucket


async def _read(ctx: Context, req: Mapping[str, Any]) -> Bucket:
    reader = ctx.read()
    bucket = await existing_bucket(reader, req)
    reader.meter("Requests-Tier2")
    return bucket


class Unset:
    """Reads of settings that nothing can set."""

    async def get_bucket_lifecycle_configuration(
        self, ctx: Context, req: Mapping[str, Any]
    ) -> dict[str, Any]:
        """No lifecycle rules: an error in S3."""
        bucket = await _read(ctx, req)
        raise NoSuchLifecycleConfiguration(BucketName=bucket.name)

    async def get_bucket_replication(self, ctx: Context, req: Mapping[str, Any]) -> dict[str, Any]:
        """No replication: an error in S3."""
        bucket = await _read(ctx, req)
        raise ReplicationConfigurationNotFound(BucketName=bucket.name)

    async def get_bucket_website(self, ctx: Context, req: Mapping[str, Any]) -> dict[str, Any]:
        """No website: an error in S3."""
        bucket = await _read(ctx, req)
        raise NoSuchWebsiteConfiguration(BucketName=bucket.name)

    async def get_object_lock_configuration(
        self, ctx: Context, req: Mapping[str, Any]
    ) -> dict[str, Any]:
        """No Object Lock: an error in S3."""
        bucket = await _read(ctx, req)
        raise ObjectLockConfigurationNotFound(BucketName=bucket.name)

    async def get_bucket_logging(self, ctx: Context, req: Mapping[str, Any]) -> dict[str, Any]:
        """No access logs: empty in S3."""
        await _read(ctx, req)
        return {}

    async def get_bucket_accelerate_configuration(
        self, ctx: Context, req: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Never accelerated: empty in S3."""
        await _read(ctx, req)
        return {}

    async def get_bucket_notification_configuration(
        self, ctx: Context, req: Mapping[str, Any]
    ) -> dict[str, Any]:
        """No notifications: empty in S3."""
        await _read(ctx, req)
        return {}

    async def get_bucket_request_payment(
        self, ctx: Context, req: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The owner pays."""
        await _read(ctx, req)
        return {"Payer": "BucketOwner"}
