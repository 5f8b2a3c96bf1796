"""What no bucket here is set to: reading it answers that there is nothing, which is true.

Setting any of it means that S3 acts on it from then on. Those operations are absent until this
cloud does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from doppio.kernel.context import Context
from doppio.services.s3.errors import NoSuchConfiguration
from doppio.services.s3.lookup import existing_bucket
from doppio.services.s3.records import Bucket

if TYPE_CHECKING:
    from doppio._stubs import s3 as w


async def _read(ctx: Context, req: Mapping[str, Any]) -> Bucket:
    reader = ctx.read()
    bucket = await existing_bucket(reader, req)
    reader.meter("Requests-Tier2")
    return bucket


class Unset:
    """Reads of settings that nothing can set."""

    async def list_bucket_intelligent_tiering_configurations(
        self, ctx: Context, req: w.ListBucketIntelligentTieringConfigurationsRequest
    ) -> w.ListBucketIntelligentTieringConfigurationsOutput:
        """No archiving by access."""
        await _read(ctx, req)
        return {"IsTruncated": False}

    async def get_bucket_intelligent_tiering_configuration(
        self, ctx: Context, req: w.GetBucketIntelligentTieringConfigurationRequest
    ) -> w.GetBucketIntelligentTieringConfigurationOutput:
        """No archiving by access."""
        bucket = await _read(ctx, req)
        raise NoSuchConfiguration(BucketName=bucket.name)
