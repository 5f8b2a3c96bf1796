"""Access points: their making, what they are, and their policies. S3 lets requests through them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.kernel.quotas import quota
from doppio.services.s3.ports import (
    ALIAS_END,
    POINTS_OF,
    SETTINGS,
    AccessPoint,
    Bucket,
    account_block,
    bucket_id,
    tell_point,
)
from doppio.services.s3control import points
from doppio.services.s3control.errors import (
    AccessDenied,
    InvalidRequest,
    NoSuchBucket,
    TooManyAccessPoints,
)
from doppio.services.s3control.limits import LISTED_POINTS_MAX, POINTS
from doppio.services.s3control.pages import page
from doppio.services.s3control.rules import alias_of
from doppio.services.s3control.tagging import checked_tags

if TYPE_CHECKING:
    from doppio._stubs import s3control as w


class AccessPoints:
    """CreateAccessPoint and its like."""

    async def create_access_point(
        self, ctx: Context, req: w.CreateAccessPointRequest
    ) -> w.CreateAccessPointResult:
        """Make another way to a bucket. What it leads to, and from where, stays as it is."""
        name = req["Name"]
        points.check_name(name)
        if req.get("Scope"):
            raise InvalidRequest("Scope is supported for directory buckets alone")
        tags = checked_tags(req.get("Tags") or [])
        async with ctx.write() as tx:
            bucket = await _bucket_of(tx, req)
            await points.check_free(tx, AccessPoint, name)
            await _count(tx, 1)
            point = AccessPoint(
                partition=ctx.partition,
                account=ctx.account,
                region=ctx.region,
                name=name,
                alias=alias_of(name, ALIAS_END, ctx.new_id("point-alias")),
                bucket=bucket.id,
                bucket_name=bucket.name,
                bucket_account=bucket.account,
                created_at=ctx.now.replace(microsecond=0),
                block=block_of(req.get("PublicAccessBlockConfiguration")),
                account_block=await account_block(tx, ctx.account),
                vpc=(req.get("VpcConfiguration") or {}).get("VpcId", ""),
                tags=tags,
            )
            tell_point(tx, point)
        return {"AccessPointArn": point.arn, "Alias": point.alias}

    async def get_access_point(
        self, ctx: Context, req: w.GetAccessPointRequest
    ) -> w.GetAccessPointResult:
        """What an access point is."""
        point = await points.existing(ctx.read(), AccessPoint, req["Name"])
        return {
            **_listed(point),  # type: ignore[typeddict-item]
            "PublicAccessBlockConfiguration": cast("w.PublicAccessBlockConfiguration", point.block),
            "CreationDate": point.created_at,
            "Endpoints": _endpoints(point),
        }

    async def list_access_points(
        self, ctx: Context, req: w.ListAccessPointsRequest
    ) -> w.ListAccessPointsResult:
        """The account's access points in this Region, of all buckets or one, by name."""
        at_most = req.get("MaxResults", LISTED_POINTS_MAX)
        bucket = req.get("Bucket")
        if req.get("DataSourceId") or req.get("DataSourceType"):
            # Sources are file systems, and none is here.
            return {"AccessPointList": []}
        scope = f"{ctx.account}/{ctx.region}/{bucket}"
        where = (ctx.account, ctx.region)
        shown, token = await page(
            ctx.read(),
            AccessPoint if bucket is None else POINTS_OF,
            where if bucket is None else (bucket_id(ctx, bucket), *where),
            req,
            most=at_most,
            scope=scope,
        )
        result: w.ListAccessPointsResult = {
            "AccessPointList": [cast("w.AccessPoint", _listed(row)) for row in shown]
        }
        if token is not None:
            result["NextToken"] = token
        return result

    async def delete_access_point(self, ctx: Context, req: w.DeleteAccessPointRequest) -> None:
        """Close a way; the bucket stays."""
        async with ctx.write() as tx:
            point = await points.existing(tx, AccessPoint, req["Name"])
            await _count(tx, -1)
            points.close(tx, point)

    async def put_access_point_policy(
        self, ctx: Context, req: w.PutAccessPointPolicyRequest
    ) -> None:
        """Hang a policy on the access point; it counts for the next request."""
        async with ctx.write() as tx:
            operation = "PutAccessPointPolicy"
            await points.put_policy(tx, AccessPoint, req["Name"], req["Policy"], operation)

    async def get_access_point_policy(
        self, ctx: Context, req: w.GetAccessPointPolicyRequest
    ) -> w.GetAccessPointPolicyResult:
        """The policy, as it was put."""
        return {"Policy": await points.policy_of(ctx.read(), AccessPoint, req["Name"])}

    async def get_access_point_policy_status(
        self, ctx: Context, req: w.GetAccessPointPolicyStatusRequest
    ) -> w.GetAccessPointPolicyStatusResult:
        """Whether the policy lets the world in."""
        public = await points.is_public(ctx.read(), AccessPoint, req["Name"])
        return {"PolicyStatus": {"IsPublic": public}}

    async def delete_access_point_policy(
        self, ctx: Context, req: w.DeleteAccessPointPolicyRequest
    ) -> None:
        """Take the policy off; no policy is no error."""
        async with ctx.write() as tx:
            await points.drop_policy(tx, AccessPoint, req["Name"])


def block_of(wanted: Mapping[str, Any] | None) -> dict[str, bool]:
    """What an access point is to block: all where nothing is said, else what is named."""
    if wanted is None:
        return dict.fromkeys(SETTINGS, True)
    return {name: bool(wanted.get(name)) for name in SETTINGS}


async def _bucket_of(tx: Tx, req: w.CreateAccessPointRequest) -> Bucket:
    """The bucket to lead to. Another account's must be said to be that, and lets in whom it will."""
    ctx = tx.context
    bucket = await tx.get(Bucket, bucket_id(ctx, req["Bucket"]))
    if bucket is None:
        raise NoSuchBucket(BucketName=req["Bucket"])
    if bucket.account != req.get("BucketAccountId", ctx.account):
        raise AccessDenied
    if bucket.region != ctx.region:
        raise InvalidRequest(
            "The access point must be in the Region of its bucket", BucketRegion=bucket.region
        )
    return bucket


async def _count(tx: Tx, by: int) -> None:
    held = await points.points_held(tx)
    count = held.points + by
    if by > 0 and count > await quota(tx, POINTS):
        raise TooManyAccessPoints
    tx.put(replace(held, points=count))


def _listed(point: AccessPoint) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "Name": point.name,
        "NetworkOrigin": point.origin,
        "Bucket": point.bucket_name,
        "AccessPointArn": point.arn,
        "Alias": point.alias,
        "BucketAccountId": point.bucket_account,
    }
    if point.vpc:
        shown["VpcConfiguration"] = {"VpcId": point.vpc}
    return shown


def _endpoints(point: AccessPoint) -> dict[str, str]:
    end = f"{point.region}.amazonaws.com" + (".cn" if point.partition == "aws-cn" else "")
    return {
        "ipv4": f"s3-accesspoint.{end}",
        "dualstack": f"s3-accesspoint.dualstack.{end}",
        "fips": f"s3-accesspoint-fips.{end}",
        "fips_dualstack": f"s3-accesspoint-fips.dualstack.{end}",
    }
