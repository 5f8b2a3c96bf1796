"""Who in S3 is told of requests: access logs, request metrics and analyses, each
of those to its own buckets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from doppio.kernel.context import Context
from doppio.kernel.kernel import Kernel
from doppio.kernel.witness import Exchange
from doppio.services.s3 import access_logs, analyses, points, request_metrics
from doppio.services.s3.access_logs import AccessLog
from doppio.services.s3.analyses import Analyst
from doppio.services.s3.request_metrics import Counter
from doppio.services.s3.rules import copy_source
from doppio.wire.http import Request


class Witness:
    """One process's witness of requests to S3.

    `watched` are the buckets that any is about; None where one has to look first.
    """

    label = "Bucket"

    def __init__(self, kernel: Kernel) -> None:
        self._log = AccessLog(kernel)
        self._counter = Counter(kernel)
        self._analyst = Analyst(kernel)
        self.watched: frozenset[str] | None = None
        for topic in (access_logs.TOPIC, request_metrics.TOPIC, analyses.TOPIC):
            kernel.wakers.on(topic, self._heard)

    def _heard(self, topic: str) -> None:
        self.watched = None

    async def look(self, ctx: Context) -> None:
        """Find out what is watched."""
        for one in (self._log, self._counter, self._analyst):
            if one.watched is None:
                await one.look(ctx)
        log, counter, analyst = self._log.watched, self._counter.watched, self._analyst.watched
        if log is not None and counter is not None and analyst is not None:
            self.watched = log | counter | analyst

    def leads(self, name: str) -> bool:
        """Whether a name may be an access point's."""
        return points.is_point(name) or points.is_like_point(name)

    async def meant(self, ctx: Context, labels: Mapping[str, str]) -> Mapping[str, str]:
        """The labels with the bucket to which an access point leads, and its ARN."""
        name = await points.meant_by_host(ctx, labels["Bucket"])
        point = await points.point_named(ctx, name) if points.is_point(name) else None
        if point is None:
            return labels
        return {**labels, "Bucket": point.bucket_name, "AccessPoint": point.arn}

    def beside(self, request: Request) -> Sequence[tuple[Mapping[str, str], str]]:
        """A copy reads its source: S3 tells the source's bucket of that."""
        given = request.headers.get("x-amz-copy-source")
        source = None if given is None else copy_source(given)
        if source is None:
            return ()
        bucket, key, version = source
        labels = {"Bucket": bucket, "Key": key, **({"VersionId": version} if version else {})}
        part = "PART" if "partNumber=" in request.query else "OBJECT"
        return ((labels, f"REST.COPY.{part}_GET"),)

    def saw(self, ctx: Context, exchange: Exchange) -> None:
        """Tell of an exchange who watches its bucket; parts of one are no requests to be counted."""
        name = exchange.labels["Bucket"]
        whole = (self._log, self._counter, self._analyst)
        for one in (self._log,) if exchange.part else whole:
            if one.watched and name in one.watched:
                one.saw(ctx, exchange)

    async def close(self) -> None:
        """Put away what is in hand."""
        await self._counter.close()
        await self._analyst.close()
        await self._log.close()
