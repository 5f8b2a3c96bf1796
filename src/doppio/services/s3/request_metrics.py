"""Request metrics: what is asked of a bucket, for CloudWatch, minute by minute.

A bucket has them once somebody configures them, each configuration for the requests that its filter
lets through. The gateway tells of each request to such a bucket; nobody else's requests cost anything.
Like S3's they are best effort: what a crash finds in memory is not counted. Source: "Amazon S3
CloudWatch request metrics".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import msgspec

from doppio.kernel.context import Context
from doppio.kernel.kernel import Kernel
from doppio.kernel.records import record
from doppio.kernel.witness import Exchange
from doppio.services.s3.configurations import (
    check_id,
    delete_configuration,
    get_configuration,
    list_configurations,
    put_configuration,
)
from doppio.services.s3.records import Bucket
from doppio.services.s3.request_metrics_rules import Filter, check, measured
from doppio.services.s3.settings import settings
from doppio.services.s3.watches import Cause, Filtered, Watch, filtered, version_meant

if TYPE_CHECKING:
    from doppio._stubs import s3 as w

KIND = "metrics"
TOPIC = "s3.metrics"


@record("s3.counted", key=("bucket",))
class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """A bucket that has request metrics: so that all of them are found at once."""

    bucket: str
    name: str


class RequestMetrics:
    """A bucket's metrics configurations."""

    async def put_bucket_metrics_configuration(
        self, ctx: Context, req: w.PutBucketMetricsConfigurationRequest
    ) -> None:
        """Begin to count requests, those that the filter lets through."""
        document = cast("dict[str, Any]", req["MetricsConfiguration"])
        check_id(req, document)
        check(document)
        async with ctx.write() as tx:
            bucket = await put_configuration(tx, req, KIND, document)
            WATCHED.begin(tx, bucket)

    async def get_bucket_metrics_configuration(
        self, ctx: Context, req: w.GetBucketMetricsConfigurationRequest
    ) -> w.GetBucketMetricsConfigurationOutput:
        """A configuration, as it was put."""
        found = await get_configuration(ctx, req, KIND)
        return {"MetricsConfiguration": cast("w.MetricsConfiguration", found)}

    async def list_bucket_metrics_configurations(
        self, ctx: Context, req: w.ListBucketMetricsConfigurationsRequest
    ) -> w.ListBucketMetricsConfigurationsOutput:
        """All configurations, in pages of a hundred."""
        found = await list_configurations(ctx, req, KIND, "MetricsConfigurationList")
        return cast("w.ListBucketMetricsConfigurationsOutput", found)

    async def delete_bucket_metrics_configuration(
        self, ctx: Context, req: w.DeleteBucketMetricsConfigurationRequest
    ) -> None:
        """Count no more for a configuration; what was counted stays in CloudWatch."""
        async with ctx.write() as tx:
            bucket = await delete_configuration(tx, req, KIND)
            WATCHED.end(tx, bucket, left=bool(await settings(tx, bucket, KIND)))


WATCHED = Cause(KIND, TOPIC, Counted)


class Counter(Watch[Filtered]):
    """One process's witness of requests to buckets that have request metrics."""

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(kernel, WATCHED, filtered(KIND))

    def saw(self, ctx: Context, exchange: Exchange) -> None:
        """Count an exchange for each configuration whose filter lets it through."""
        watched = self._of(ctx, exchange)
        if watched is None:
            return
        asked = [(name, one) for name, one in watched.filters if one.may_want(exchange.labels)]
        if not any(one.tags for _, one in asked):
            self._count(ctx, watched.bucket, exchange, [name for name, _ in asked])
            return
        self._work(self._look_and_count(ctx, watched.bucket, exchange, asked))

    async def _look_and_count(
        self, ctx: Context, bucket: Bucket, exchange: Exchange, asked: list[tuple[str, Filter]]
    ) -> None:
        """Count where an object's tags have to be seen first."""
        tags = await _tags_of(ctx, bucket, exchange)
        self._count(ctx, bucket, exchange, [name for name, one in asked if one.has(tags)])

    def _count(self, ctx: Context, bucket: Bucket, exchange: Exchange, names: list[str]) -> None:
        if not names:
            return
        values = measured(exchange)
        for name in names:
            for measure, amount in values:
                ctx.count(measure, bucket.account, bucket.region, (bucket.name, name), amount)

    async def close(self) -> None:
        """Count what is still being looked at."""
        await self._finish()


async def _tags_of(ctx: Context, bucket: Bucket, exchange: Exchange) -> Mapping[str, str]:
    version = await version_meant(ctx, bucket, exchange)
    return {} if version is None else version.tags
