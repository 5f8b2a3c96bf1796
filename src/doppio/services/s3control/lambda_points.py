"""Object Lambda access points: their making, their configuration and policies.

S3 lets requests through them and has the functions run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.services.s3.ports import (
    LAMBDA_END,
    SETTINGS,
    AccessPoint,
    LambdaPoint,
    tell_point,
)
from doppio.services.s3control import points
from doppio.services.s3control.errors import (
    InvalidRequest,
    NoSuchAccessPoint,
    TooManyAccessPoints,
)
from doppio.services.s3control.lambda_rules import configuration_problem
from doppio.services.s3control.limits import LAMBDA_POINTS_MAX, LISTED_POINTS_MAX
from doppio.services.s3control.pages import page
from doppio.services.s3control.rules import alias_of
from doppio.wire.errors import NotImplementedByDoppio

if TYPE_CHECKING:
    from doppio._stubs import s3control as w


class LambdaPoints:
    """CreateAccessPointForObjectLambda and its like."""

    async def create_access_point_for_object_lambda(
        self, ctx: Context, req: w.CreateAccessPointForObjectLambdaRequest
    ) -> w.CreateAccessPointForObjectLambdaResult:
        """Make a way to an access point on which functions answer. Public access is blocked."""
        name = req["Name"]
        points.check_name(name)
        async with ctx.write() as tx:
            configuration = await _checked(tx, req["Configuration"])
            await points.check_free(tx, LambdaPoint, name)
            await _count(tx, 1)
            point = LambdaPoint(
                partition=ctx.partition,
                account=ctx.account,
                region=ctx.region,
                name=name,
                alias=alias_of(name, LAMBDA_END, ctx.new_id("point-alias")),
                created_at=ctx.now.replace(microsecond=0),
                configuration=configuration,
                block=dict.fromkeys(SETTINGS, True),
            )
            tell_point(tx, point)
        return {"ObjectLambdaAccessPointArn": point.arn, "Alias": _alias(point)}

    async def get_access_point_for_object_lambda(
        self, ctx: Context, req: w.GetAccessPointForObjectLambdaRequest
    ) -> w.GetAccessPointForObjectLambdaResult:
        """What it is, beside its configuration."""
        point = await points.existing(ctx.read(), LambdaPoint, req["Name"])
        return {
            "Name": point.name,
            "PublicAccessBlockConfiguration": cast("w.PublicAccessBlockConfiguration", point.block),
            "CreationDate": point.created_at,
            "Alias": _alias(point),
        }

    async def list_access_points_for_object_lambda(
        self, ctx: Context, req: w.ListAccessPointsForObjectLambdaRequest
    ) -> w.ListAccessPointsForObjectLambdaResult:
        """The account's in this Region, by name."""
        at_most = req.get("MaxResults", LISTED_POINTS_MAX)
        scope = f"{ctx.account}/{ctx.region}/object-lambda"
        shown, token = await page(
            ctx.read(), LambdaPoint, (ctx.account, ctx.region), req, most=at_most, scope=scope
        )
        result: w.ListAccessPointsForObjectLambdaResult = {
            "ObjectLambdaAccessPointList": [
                {"Name": row.name, "ObjectLambdaAccessPointArn": row.arn, "Alias": _alias(row)}
                for row in shown
            ]
        }
        if token is not None:
            result["NextToken"] = token
        return result

    async def delete_access_point_for_object_lambda(
        self, ctx: Context, req: w.DeleteAccessPointForObjectLambdaRequest
    ) -> None:
        """Close a way; the supporting access point stays."""
        async with ctx.write() as tx:
            point = await points.existing(tx, LambdaPoint, req["Name"])
            await _count(tx, -1)
            points.close(tx, point)

    async def put_access_point_configuration_for_object_lambda(
        self, ctx: Context, req: w.PutAccessPointConfigurationForObjectLambdaRequest
    ) -> None:
        """Let other functions answer, or lead elsewhere; it counts for the next request."""
        async with ctx.write() as tx:
            point = await points.existing(tx, LambdaPoint, req["Name"])
            configuration = await _checked(tx, req["Configuration"])
            tx.put(replace(point, configuration=configuration))

    async def get_access_point_configuration_for_object_lambda(
        self, ctx: Context, req: w.GetAccessPointConfigurationForObjectLambdaRequest
    ) -> w.GetAccessPointConfigurationForObjectLambdaResult:
        """The configuration, as it was put."""
        point = await points.existing(ctx.read(), LambdaPoint, req["Name"])
        return {"Configuration": cast("w.ObjectLambdaConfiguration", point.configuration)}

    async def put_access_point_policy_for_object_lambda(
        self, ctx: Context, req: w.PutAccessPointPolicyForObjectLambdaRequest
    ) -> None:
        """Hang a policy on it. One that lets the world in is refused: public access is blocked."""
        async with ctx.write() as tx:
            operation = "PutAccessPointPolicyForObjectLambda"
            await points.put_policy(tx, LambdaPoint, req["Name"], req["Policy"], operation)

    async def get_access_point_policy_for_object_lambda(
        self, ctx: Context, req: w.GetAccessPointPolicyForObjectLambdaRequest
    ) -> w.GetAccessPointPolicyForObjectLambdaResult:
        """The policy, as it was put."""
        return {"Policy": await points.policy_of(ctx.read(), LambdaPoint, req["Name"])}

    async def get_access_point_policy_status_for_object_lambda(
        self, ctx: Context, req: w.GetAccessPointPolicyStatusForObjectLambdaRequest
    ) -> w.GetAccessPointPolicyStatusForObjectLambdaResult:
        """Whether the policy lets the world in."""
        public = await points.is_public(ctx.read(), LambdaPoint, req["Name"])
        return {"PolicyStatus": {"IsPublic": public}}

    async def delete_access_point_policy_for_object_lambda(
        self, ctx: Context, req: w.DeleteAccessPointPolicyForObjectLambdaRequest
    ) -> None:
        """Take the policy off; no policy is no error."""
        async with ctx.write() as tx:
            await points.drop_policy(tx, LambdaPoint, req["Name"])


async def _checked(tx: Tx, given: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration that can be: its supporting access point is there, in account and Region."""
    ctx = tx.context
    place = f":{ctx.region}:{ctx.account}:"
    problem = configuration_problem(given, place)
    if problem is not None:
        raise InvalidRequest(problem)
    if given.get("CloudWatchMetricsEnabled"):
        raise NotImplementedByDoppio(
            "Request metrics of Object Lambda access points exist in AWS and not yet here"
        )
    name = given["SupportingAccessPoint"].rpartition("/")[2]
    if await tx.get(AccessPoint, ctx.account, ctx.region, name) is None:
        raise NoSuchAccessPoint(AccessPointName=name)
    return dict(given)


async def _count(tx: Tx, by: int) -> None:
    held = await points.points_held(tx)
    count = held.lambda_points + by
    if by > 0 and count > LAMBDA_POINTS_MAX:
        raise TooManyAccessPoints
    tx.put(replace(held, lambda_points=count))


def _alias(point: LambdaPoint) -> w.ObjectLambdaAccessPointAlias:
    return {"Value": point.alias, "Status": "READY"}
