"""Multi-Region Access Points: one name for buckets in several Regions.

Making, deleting and putting a policy are asked for and done later, by a job (`multi_region_work`);
AWS leads all of that to one Region, and here every Region will do. Routes count at once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader, Tx
from doppio.services.s3.ports import (
    MULTI_REGION_END,
    MULTI_REGION_POINTS_MAX,
    READY,
    MultiRegionPoint,
    Route,
    account_block,
    bucket_id,
    checked_policy,
    point_is_public,
    tell_point,
    wide_point_named,
)
from doppio.services.s3control.access_points import block_of
from doppio.services.s3control.errors import (
    IdempotencyConflict,
    InvalidRequest,
    MultiRegionAccessPointAlreadyOwnedByYou,
    NoSuchAsyncRequest,
    NoSuchMultiRegionAccessPoint,
    TooManyMultiRegionAccessPoints,
)
from doppio.services.s3control.limits import LISTED_POINTS_MAX, REGIONS_A_POINT_MAX
from doppio.services.s3control.multi_region_work import WORK
from doppio.services.s3control.pages import page
from doppio.services.s3control.points import check_policy
from doppio.services.s3control.records import TOKENS, AsyncRequest

if TYPE_CHECKING:
    from doppio._stubs import s3control as w

CREATE, DELETE = "CreateMultiRegionAccessPoint", "DeleteMultiRegionAccessPoint"
PUT_POLICY = "PutMultiRegionAccessPointPolicy"
_PATHS = {CREATE: "create", DELETE: "delete", PUT_POLICY: "put-policy"}
# Where AWS keeps account of such requests.
_HOME = "us-west-2"
_TOKEN_ARN = re.compile(r"arn:[^:/]+:s3:us-west-2:(\d{12}):async-request/mrap/[a-z-]+/([^/]+)")


class MultiRegionAccessPoints:
    """CreateMultiRegionAccessPoint and its like."""

    async def create_multi_region_access_point(
        self, ctx: Context, req: w.CreateMultiRegionAccessPointRequest
    ) -> w.CreateMultiRegionAccessPointResult:
        """Begin to make one. The name is taken at once; its buckets are looked at by the job."""
        details = req["Details"]
        regions = details["Regions"]
        names = [one["Bucket"] for one in regions]
        if not 1 <= len(names) <= REGIONS_A_POINT_MAX or len(set(names)) < len(names):
            raise InvalidRequest(
                f"A Multi-Region Access Point takes 1 to {REGIONS_A_POINT_MAX} different buckets"
            )
        async with ctx.write() as tx:
            asked = await _asked_before(tx, req, CREATE)
            if asked is None:
                if await tx.get(MultiRegionPoint, ctx.account, details["Name"]) is not None:
                    raise MultiRegionAccessPointAlreadyOwnedByYou
                have = await tx.list(
                    MultiRegionPoint, (ctx.account,), limit=MULTI_REGION_POINTS_MAX
                )
                if len(have) == MULTI_REGION_POINTS_MAX:
                    raise TooManyMultiRegionAccessPoints
                point = MultiRegionPoint(
                    partition=ctx.partition,
                    account=ctx.account,
                    name=details["Name"],
                    alias=f"{ctx.new_id('multi-region-alias')}{MULTI_REGION_END}",
                    created_at=ctx.now.replace(microsecond=0),
                    status="CREATING",
                    block=block_of(details.get("PublicAccessBlock")),
                    account_block=await account_block(tx, ctx.account),
                    routes=[
                        Route(
                            bucket_id(ctx, one["Bucket"]),
                            one["Bucket"],
                            one.get("BucketAccountId", ctx.account),
                            "",
                        )
                        for one in regions
                    ],
                )
                tell_point(tx, point)
                asked = await _ask(tx, req, CREATE)
        return {"RequestTokenARN": token_arn(ctx, asked)}

    async def delete_multi_region_access_point(
        self, ctx: Context, req: w.DeleteMultiRegionAccessPointRequest
    ) -> w.DeleteMultiRegionAccessPointResult:
        """Begin to delete one; its buckets stay. Nothing comes through it from now on."""
        async with ctx.write() as tx:
            asked = await _asked_before(tx, req, DELETE)
            if asked is None:
                point = await existing(tx, ctx, req["Details"]["Name"])
                tx.put(replace(point, status="DELETING"))
                asked = await _ask(tx, req, DELETE)
        return {"RequestTokenARN": token_arn(ctx, asked)}

    async def put_multi_region_access_point_policy(
        self, ctx: Context, req: w.PutMultiRegionAccessPointPolicyRequest
    ) -> w.PutMultiRegionAccessPointPolicyResult:
        """Propose a policy; the one before counts until it is established."""
        text = req["Details"]["Policy"]
        async with ctx.write() as tx:
            asked = await _asked_before(tx, req, PUT_POLICY)
            if asked is None:
                point = await existing(tx, ctx, req["Details"]["Name"])
                check_policy(ctx, point, text, PUT_POLICY)
                tx.put(replace(point, proposed=text))
                asked = await _ask(tx, req, PUT_POLICY)
        return {"RequestTokenARN": token_arn(ctx, asked)}

    async def describe_multi_region_access_point_operation(
        self, ctx: Context, req: w.DescribeMultiRegionAccessPointOperationRequest
    ) -> w.DescribeMultiRegionAccessPointOperationResult:
        """How far what was asked for is."""
        parts = _TOKEN_ARN.fullmatch(req["RequestTokenARN"])
        asked = None
        if parts is not None and parts[1] == ctx.account:
            asked = await ctx.read().get(AsyncRequest, ctx.account, parts[2])
        if asked is None:
            raise NoSuchAsyncRequest(RequestTokenARN=req["RequestTokenARN"])
        shown: dict[str, Any] = {
            "CreationTime": asked.created_at,
            "Operation": asked.operation,
            "RequestTokenARN": req["RequestTokenARN"],
            "RequestParameters": {f"{asked.operation}Request": asked.parameters},
            "RequestStatus": asked.status,
        }
        details: dict[str, Any] = {}
        if asked.regions:
            details["MultiRegionAccessPointDetails"] = {
                "Regions": [
                    {"Name": region, "RequestStatus": asked.status} for region in asked.regions
                ]
            }
        if asked.error is not None:
            code, text = asked.error
            details["ErrorDetails"] = {"Code": code, "Message": text, "Resource": asked.name}
        if details:
            shown["ResponseDetails"] = details
        return {"AsyncOperation": cast("w.AsyncOperation", shown)}

    async def get_multi_region_access_point(
        self, ctx: Context, req: w.GetMultiRegionAccessPointRequest
    ) -> w.GetMultiRegionAccessPointResult:
        """What one is."""
        return {"AccessPoint": _shown(await existing(ctx.read(), ctx, req["Name"]))}

    async def list_multi_region_access_points(
        self, ctx: Context, req: w.ListMultiRegionAccessPointsRequest
    ) -> w.ListMultiRegionAccessPointsResult:
        """The account's, by name."""
        at_most = req.get("MaxResults") or LISTED_POINTS_MAX
        scope = f"{ctx.account}/multi-region"
        shown, token = await page(
            ctx.read(), MultiRegionPoint, (ctx.account,), req, most=at_most, scope=scope
        )
        result: w.ListMultiRegionAccessPointsResult = {
            "AccessPoints": [_shown(row) for row in shown]
        }
        if token is not None:
            result["NextToken"] = token
        return result

    async def get_multi_region_access_point_policy(
        self, ctx: Context, req: w.GetMultiRegionAccessPointPolicyRequest
    ) -> w.GetMultiRegionAccessPointPolicyResult:
        """The policy that counts, and the one that was put last."""
        point = await existing(ctx.read(), ctx, req["Name"])
        shown: w.MultiRegionAccessPointPolicyDocument = {}
        if point.policy is not None:
            shown["Established"] = {"Policy": point.policy}
        if point.proposed is not None:
            shown["Proposed"] = {"Policy": point.proposed}
        return {"Policy": shown}

    async def get_multi_region_access_point_policy_status(
        self, ctx: Context, req: w.GetMultiRegionAccessPointPolicyStatusRequest
    ) -> w.GetMultiRegionAccessPointPolicyStatusResult:
        """Whether the policy that counts lets the world in."""
        point = await existing(ctx.read(), ctx, req["Name"])
        public = point.policy is not None and point_is_public(
            point, checked_policy(point.arn, point.policy)
        )
        return {"Established": {"IsPublic": public}}

    async def get_multi_region_access_point_routes(
        self, ctx: Context, req: w.GetMultiRegionAccessPointRoutesRequest
    ) -> w.GetMultiRegionAccessPointRoutesResult:
        """Which Regions are active (100) and which are passive (0)."""
        point = await _routed(ctx.read(), ctx, req["Mrap"])
        routes: list[w.MultiRegionAccessPointRoute] = [
            {"Bucket": one.bucket_name, "Region": one.region, "TrafficDialPercentage": one.dial}
            for one in point.routes
        ]
        return {"Mrap": point.arn.replace("/", ":"), "Routes": routes}

    async def submit_multi_region_access_point_routes(
        self, ctx: Context, req: w.SubmitMultiRegionAccessPointRoutesRequest
    ) -> w.SubmitMultiRegionAccessPointRoutesResult:
        """Make Regions active or passive; one must stay active."""
        async with ctx.write() as tx:
            point = await _routed(tx, ctx, req["Mrap"])
            routes = list(point.routes)
            for update in req["RouteUpdates"]:
                _update(routes, update)
            if not any(one.dial for one in routes):
                raise InvalidRequest("At least one Region must be active at all times")
            tx.put(replace(point, routes=routes))
        return {}


def token_arn(ctx: Context, asked: AsyncRequest) -> str:
    """By what a client asks how far a request is."""
    path = _PATHS[asked.operation]
    return f"arn:{ctx.partition}:s3:{_HOME}:{asked.account}:async-request/mrap/{path}/{asked.id}"


async def existing(reader: Reader, ctx: Context, name: str) -> MultiRegionPoint:
    """The Multi-Region Access Point of a name, if the caller may do this with it."""
    point = await reader.get(MultiRegionPoint, ctx.account, name)
    here = f"arn:{ctx.partition}:s3::{ctx.account}:accesspoint/{name}"
    await ctx.authorise(f"s3:{ctx.operation}", here if point is None else point.arn)
    if point is None:
        raise NoSuchMultiRegionAccessPoint
    return point


async def _asked_before(tx: Tx, req: Any, operation: str) -> AsyncRequest | None:
    """The request that was made with the same client token. Raises IdempotencyConflict."""
    account, token = tx.context.account, req["ClientToken"]
    found = await tx.find(TOKENS, (account, token), limit=1)
    if not found:
        return None
    if found[0].operation != operation or found[0].parameters != dict(req["Details"]):
        raise IdempotencyConflict
    return found[0]


async def _ask(tx: Tx, req: Any, operation: str) -> AsyncRequest:
    ctx = tx.context
    asked = AsyncRequest(
        account=ctx.account,
        id=ctx.new_id("hex32"),
        operation=operation,
        created_at=ctx.now.replace(microsecond=0),
        token=req["ClientToken"],
        parameters=dict(req["Details"]),
    )
    tx.add(asked)
    await tx.schedule(ctx.now, WORK, f"{asked.account}/{asked.id}")
    return asked


async def _routed(reader: Reader, ctx: Context, named: str) -> MultiRegionPoint:
    found = await wide_point_named(ctx, named)
    if found is None or found.account != ctx.account:
        here = named if named.startswith("arn:") else f"arn:{ctx.partition}:s3:::{named}"
        await ctx.authorise(f"s3:{ctx.operation}", here)
        raise NoSuchMultiRegionAccessPoint
    point = await existing(reader, ctx, found.name)
    if point.status != READY:
        raise NoSuchMultiRegionAccessPoint
    return point


def _update(routes: list[Route], update: Mapping[str, Any]) -> None:
    dial = update["TrafficDialPercentage"]
    if dial not in {0, 100}:
        raise InvalidRequest("TrafficDialPercentage must be 0 or 100")
    if "Bucket" not in update and "Region" not in update:
        raise InvalidRequest("A route names a bucket or a Region")
    for number, one in enumerate(routes):
        if (
            update.get("Bucket", one.bucket_name) == one.bucket_name
            and update.get("Region", one.region) == one.region
        ):
            routes[number] = Route(
                one.bucket, one.bucket_name, one.bucket_account, one.region, dial
            )
            return
    raise InvalidRequest("The Multi-Region Access Point has no such route")


def _shown(point: MultiRegionPoint) -> w.MultiRegionAccessPointReport:
    regions: list[Any] = []
    for one in point.routes:
        row = {"Bucket": one.bucket_name, "BucketAccountId": one.bucket_account}
        regions.append(row | ({"Region": one.region} if one.region else {}))
    return {
        "Name": point.name,
        "Alias": point.alias,
        "CreatedAt": point.created_at,
        "PublicAccessBlock": cast("w.PublicAccessBlockConfiguration", point.block),
        "Status": cast("Any", point.status),
        "Regions": regions,
    }
