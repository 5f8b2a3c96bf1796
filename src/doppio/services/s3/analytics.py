"""Analytics: which objects a bucket's storage class analysis is to look at.

An analysis that is not exported shows only in S3's console; `analyses` makes those that are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from doppio.kernel.context import Context
from doppio.services.s3 import analyses, analysis_rules
from doppio.services.s3.analyses import KIND
from doppio.services.s3.configurations import (
    check_id,
    delete_configuration,
    get_configuration,
    list_configurations,
    put_configuration,
)
from doppio.services.s3.errors import MalformedXML

if TYPE_CHECKING:
    from doppio._stubs import s3 as w


class Analytics:
    """A bucket's analytics configurations."""

    async def put_bucket_analytics_configuration(
        self, ctx: Context, req: w.PutBucketAnalyticsConfigurationRequest
    ) -> None:
        """Set what is to be analysed."""
        document = cast("dict[str, Any]", req["AnalyticsConfiguration"])
        check_id(req, document)
        _check(document, ctx.partition)
        async with ctx.write() as tx:
            bucket = await put_configuration(tx, req, KIND, document)
            if analysis_rules.export_of(document) is None:
                await analyses.end(tx, bucket, req["Id"])
            else:
                await analyses.begin(tx, bucket, document)

    async def get_bucket_analytics_configuration(
        self, ctx: Context, req: w.GetBucketAnalyticsConfigurationRequest
    ) -> w.GetBucketAnalyticsConfigurationOutput:
        """A configuration, as it was put."""
        found = await get_configuration(ctx, req, KIND)
        return {"AnalyticsConfiguration": cast("w.AnalyticsConfiguration", found)}

    async def list_bucket_analytics_configurations(
        self, ctx: Context, req: w.ListBucketAnalyticsConfigurationsRequest
    ) -> w.ListBucketAnalyticsConfigurationsOutput:
        """All configurations, in pages of a hundred."""
        found = await list_configurations(ctx, req, KIND, "AnalyticsConfigurationList")
        return cast("w.ListBucketAnalyticsConfigurationsOutput", found)

    async def delete_bucket_analytics_configuration(
        self, ctx: Context, req: w.DeleteBucketAnalyticsConfigurationRequest
    ) -> None:
        """Forget a configuration."""
        async with ctx.write() as tx:
            bucket = await delete_configuration(tx, req, KIND)
            await analyses.end(tx, bucket, req["Id"])


def _check(document: Mapping[str, Any], partition: str) -> None:
    given = document.get("Filter")
    if given is not None and len(given) != 1:
        raise MalformedXML
    analysis_rules.check_export(document, partition)
