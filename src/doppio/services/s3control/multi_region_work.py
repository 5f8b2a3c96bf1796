"""What is done of Multi-Region Access Points after it was asked for: one commit a request.

The job may run twice: a request that has come to an end is left as it is.
"""

from __future__ import annotations

from datetime import timedelta

from msgspec.structs import replace

from doppio.kernel.authorise import forget_resource
from doppio.kernel.context import Context, Tx
from doppio.kernel.jobs import Job, JobHandler
from doppio.services.s3.ports import READY, Bucket, MultiRegionPoint, Route, tell_point
from doppio.services.s3control.limits import ASYNC_REQUESTS_KEPT_DAYS
from doppio.services.s3control.records import AsyncRequest

WORK = "s3control.multi_region"
FORGET = "s3control.forget_request"
_SUCCEEDED, _FAILED = "SUCCEEDED", "FAILED"
_KEPT = timedelta(days=ASYNC_REQUESTS_KEPT_DAYS)


def jobs() -> dict[str, JobHandler]:
    """The jobs: to do what was asked, and to forget it when nobody may ask any more."""
    return {WORK: _work, FORGET: _forget}


async def _work(ctx: Context, job: Job) -> None:
    async with ctx.write() as tx:
        asked = await tx.get(AsyncRequest, *job.key.split("/"))
        if asked is None or asked.status in {_SUCCEEDED, _FAILED}:
            return
        point = await tx.get(MultiRegionPoint, asked.account, asked.name)
        error: tuple[str, str] | None = None
        regions: list[str] = []
        if point is None:
            error = ("NoSuchMultiRegionAccessPoint", "The Multi-Region Access Point is gone")
        elif asked.operation == "CreateMultiRegionAccessPoint":
            regions, error = await _create(tx, point)
        elif asked.operation == "DeleteMultiRegionAccessPoint":
            regions = [one.region for one in point.routes]
            tx.delete(point)
            forget_resource(tx, point.arn)
        else:
            regions = [one.region for one in point.routes]
            # Where another policy has been put since, that one's own request establishes it.
            if point.proposed == asked.parameters["Policy"]:
                tell_point(tx, replace(point, policy=point.proposed))
        status = _SUCCEEDED if error is None else _FAILED
        tx.put(replace(asked, status=status, regions=regions, error=error))
        await tx.schedule(ctx.now + _KEPT, FORGET, job.key)


async def _create(tx: Tx, point: MultiRegionPoint) -> tuple[list[str], tuple[str, str] | None]:
    """Find the buckets; nothing is left where one is not there, or two are in one Region."""
    routes: list[Route] = []
    for one in point.routes:
        bucket = await tx.get(Bucket, one.bucket)
        error = None
        if bucket is None:
            error = ("NoSuchBucket", f"The specified bucket does not exist: {one.bucket_name}")
        elif bucket.account != one.bucket_account:
            error = ("AccessDenied", f"The bucket is not the account's: {one.bucket_name}")
        elif any(bucket.region == route.region for route in routes):
            error = ("InvalidRequest", f"Two buckets are in the Region {bucket.region}")
        if bucket is None or error is not None:
            tx.delete(point)
            forget_resource(tx, point.arn)
            return [], error
        routes.append(Route(one.bucket, one.bucket_name, one.bucket_account, bucket.region))
    tell_point(tx, replace(point, status=READY, routes=routes))
    return [one.region for one in routes], None


async def _forget(ctx: Context, job: Job) -> None:
    async with ctx.write() as tx:
        asked = await tx.get(AsyncRequest, *job.key.split("/"))
        if asked is not None:
            tx.delete(asked)
