"""Request metrics: what is asked of a bucket, for CloudWatch, minute by minute.

A bucket has them once somebody configures them, each configuration for the requests that its filter
lets through. The gateway tells of each request to such a bucket; nobody else's requests cost anything.
Like S3's they are best effort: what a crash finds in memory is not counted. Source: "Amazon S3
CloudWatch request metrics".
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import parse_qs

import msgspec

from doppio.kernel.context import Context, Tx, row_key
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
from doppio.services.s3.lookup import bucket_id, numbered
from doppio.services.s3.records import Bucket, Current, Version
from doppio.services.s3.request_metrics_rules import Filter, check, filter_of, measured
from doppio.services.s3.settings import settings
from doppio.wire.errors import AwsError

if TYPE_CHECKING:
    from doppio._stubs import s3 as w

KIND = "metrics"
TOPIC = "s3.metrics"
_A_STEP = 500


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
            tx.put(Counted(bucket=bucket.id, name=bucket.name))
            tx.wake(TOPIC)

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
            if not await settings(tx, bucket, KIND):
                forget(tx, bucket)
            tx.wake(TOPIC)


def forget(tx: Tx, bucket: Bucket) -> None:
    """Count a bucket's requests no more; `bucket` is as it was with its configurations."""
    if KIND in bucket.kinds:
        tx.delete(Counted(bucket=bucket.id, name=bucket.name))
        tx.wake(TOPIC)


class _Watched(NamedTuple):
    """Whose numbers a bucket's are, and what is counted."""

    bucket: Bucket
    filters: list[tuple[str, Filter]]


class Counter:
    """One process's witness of requests to buckets that have request metrics."""

    label = "Bucket"

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.watched: frozenset[str] | None = None
        self._changes = 0
        self._buckets: dict[str, _Watched] = {}
        self._looking: set[asyncio.Task[None]] = set()
        kernel.wakers.on(TOPIC, self._heard)

    def _heard(self, topic: str) -> None:
        self._changes += 1
        self.watched = None

    async def look(self, ctx: Context) -> None:
        """Find out which buckets have metrics, and for which requests."""
        changes, names, found = self._changes, set[str](), dict[str, _Watched]()
        after: bytes | None = None
        reader = ctx.read()
        while True:
            rows = await reader.list(Counted, after=after, limit=_A_STEP)
            for row in rows:
                bucket = await reader.get(Bucket, row.bucket)
                if bucket is not None:
                    there = await settings(reader, bucket, KIND)
                    filters = [(one.id, filter_of(one.document)) for one in there]
                    found[row.bucket] = _Watched(bucket, filters)
                    names.add(row.name)
            if len(rows) < _A_STEP:
                break
            after = row_key(rows[-1])
        if changes == self._changes:
            self.watched, self._buckets = frozenset(names), found

    def saw(self, ctx: Context, exchange: Exchange) -> None:
        """Count an exchange for each configuration whose filter lets it through."""
        watched = self._buckets.get(bucket_id(ctx, exchange.labels["Bucket"]))
        if watched is None:
            return
        asked = [(name, one) for name, one in watched.filters if one.may_want(exchange.labels)]
        if not any(one.tags for _, one in asked):
            self._count(ctx, watched.bucket, exchange, [name for name, _ in asked])
            return
        task = asyncio.ensure_future(self._look_and_count(ctx, watched.bucket, exchange, asked))
        self._looking.add(task)
        task.add_done_callback(self._looking.discard)

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
        await asyncio.gather(*self._looking, return_exceptions=True)


async def _tags_of(ctx: Context, bucket: Bucket, exchange: Exchange) -> Mapping[str, str]:
    version = await version_meant(ctx, bucket, exchange)
    return {} if version is None else version.tags


async def version_meant(ctx: Context, bucket: Bucket, exchange: Exchange) -> Version | None:
    """The version of an object that a request was about, as it is after it."""
    reader = ctx.read()
    key = exchange.labels["Key"]
    current = await reader.get(Current, bucket.id, key)
    wanted = parse_qs(exchange.request.query).get("versionId", [""])[0]
    if not wanted:
        return current
    try:
        return await numbered(reader, bucket, key, wanted, current)
    except AwsError:
        return None
