"""Subscription filters: lines that fit are brought to a function or a stream of Kinesis.

How they are brought is in `bringing`. Source: "Log group-level subscription filters" in the CloudWatch
Logs user guide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from doppio.kernel.context import Context
from doppio.kernel.paging import begins, page_of
from doppio.services.logs import limits
from doppio.services.logs.bringing import FOLLOWERS, kind_of, send
from doppio.services.logs.errors import InvalidParameter, LimitExceeded, NotFound
from doppio.services.logs.groups import position
from doppio.services.logs.lookup import existing, milliseconds
from doppio.services.logs.patterns import BadPattern, compiled
from doppio.services.logs.records import Group, SubscriptionFilter
from doppio.wire.errors import AwsError, NotImplementedByDoppio

if TYPE_CHECKING:
    from doppio._stubs import logs as w

_LATER = ("applyOnTransformedLogs", "fieldSelectionCriteria", "emitSystemFields")
_CANNOT = (
    "Could not execute the lambda function. Make sure you have given CloudWatch Logs permission to "
    "execute your function."
)
_CANNOT_PUT = (
    "Could not deliver test message to specified Kinesis stream. Check if the given kinesis stream "
    "is in ACTIVE state."
)
_CHECK = "CWL CONTROL MESSAGE: Checking health of destination Kinesis stream."


class SubscriptionFilters:
    """The operations on subscription filters."""

    async def put_subscription_filter(
        self, ctx: Context, req: w.PutSubscriptionFilterRequest
    ) -> None:
        """Bring what fits from now on to a destination, which is tried first."""
        for member in _LATER:
            if req.get(member):
                raise NotImplementedByDoppio(f"logs: {member} exists in AWS and not yet here")
        try:
            compiled(req["filterPattern"])
        except BadPattern as error:
            raise InvalidParameter("Invalid filter pattern") from error
        group = await existing(ctx.read(), req["logGroupName"])
        wanted = SubscriptionFilter(
            group=group.id,
            group_name=group.name,
            name=req["filterName"],
            pattern=req["filterPattern"],
            destination=req["destinationArn"],
            role=req.get("roleArn") or "",
            distribution=req.get("distribution") or "ByLogStream",
            created_at=milliseconds(ctx.now),
        )
        await _try(ctx, group, wanted)
        async with ctx.write() as tx:
            group = await existing(tx, req["logGroupName"])
            old = await tx.get(SubscriptionFilter, group.id, wanted.name)
            if old is None:
                if group.subscriptions >= limits.SUBSCRIPTION_FILTERS_MAX:
                    raise LimitExceeded
                tx.put(replace(group, subscriptions=group.subscriptions + 1))
            follower = "" if old is None else old.follower
            tx.put(replace(wanted, group=group.id, follower=follower))

    async def delete_subscription_filter(
        self, ctx: Context, req: w.DeleteSubscriptionFilterRequest
    ) -> None:
        """Bring nothing more."""
        async with ctx.write() as tx:
            group = await existing(tx, req["logGroupName"])
            old = await tx.get(SubscriptionFilter, group.id, req["filterName"])
            if old is None:
                raise NotFound("The specified subscription filter does not exist.")
            tx.delete(old)
            tx.put(replace(group, subscriptions=group.subscriptions - 1))
            tx.wake(f"{FOLLOWERS}/{old.follower}")

    async def describe_subscription_filters(
        self, ctx: Context, req: w.DescribeSubscriptionFiltersRequest
    ) -> w.DescribeSubscriptionFiltersResponse:
        """The filters of a group, by pages in the order of names."""
        reader = ctx.read()
        group = await existing(reader, req["logGroupName"])
        prefix = req.get("filterNamePrefix") or ""
        scope = f"subscriptions/{group.id}/{prefix}"
        shown, token = await page_of(
            reader, SubscriptionFilter, (group.id,), most=req.get("limit", limits.PAGE_MAX),
            scope=scope, after=position(req, scope), **begins(prefix),
        )  # fmt: skip
        told: dict[str, Any] = {"subscriptionFilters": [_shown(one) for one in shown]}
        if token is not None:
            told["nextToken"] = token
        return cast("w.DescribeSubscriptionFiltersResponse", told)


async def _try(ctx: Context, group: Group, wanted: SubscriptionFilter) -> None:
    """Raise InvalidParameter where a destination does not take what comes."""
    kind = kind_of(wanted)
    try:
        if kind == "lambda":
            asked = {"FunctionName": wanted.destination, "InvocationType": "DryRun"}
            await ctx.as_service("logs", source=f"{group.arn}:*").call("lambda", "invoke", asked)
            return
        check = {"id": "", "timestamp": milliseconds(ctx.now), "message": _CHECK}
        told = {
            "messageType": "CONTROL_MESSAGE", "owner": "CloudwatchLogs", "logGroup": "",
            "logStream": "", "subscriptionFilters": [], "logEvents": [check],
        }  # fmt: skip
        await send(ctx, group, wanted, told, "check")
    except AwsError as error:
        if error.status >= 500:
            raise
        raise InvalidParameter(_CANNOT if kind == "lambda" else _CANNOT_PUT) from error


def _shown(one: SubscriptionFilter) -> dict[str, Any]:
    told: dict[str, Any] = {
        "filterName": one.name,
        "logGroupName": one.group_name,
        "filterPattern": one.pattern,
        "destinationArn": one.destination,
        "distribution": one.distribution,
        "creationTime": one.created_at,
    }
    if one.role:
        told["roleArn"] = one.role
    return told
