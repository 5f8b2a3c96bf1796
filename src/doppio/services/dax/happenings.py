"""What happens to clusters: kept for DescribeEvents, and told to the topic that a cluster names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from doppio.kernel.context import Context, Tx
from doppio.kernel.identity import service_caller
from doppio.kernel.jobs import Job
from doppio.kernel.paging import page_of
from doppio.services.dax import limits
from doppio.services.dax.errors import InvalidParameterCombination, InvalidParameterValue
from doppio.services.dax.listing import page_size, position
from doppio.services.dax.records import Cluster, Happening
from doppio.wire.errors import AwsError

if TYPE_CHECKING:
    from doppio._stubs import dax as w

NOTIFY = "dax.notify"


async def happened(tx: Tx, cluster: Cluster, *messages: str) -> None:
    """Keep what happened to a cluster, in order, and tell its topic once that is durable."""
    ctx = tx.context
    where = (cluster.account, cluster.region)
    before = ctx.now - limits.EVENTS_KEPT
    for old in await tx.list(Happening, where, until=before, limit=limits.EVENTS_FORGOTTEN_A_TIME):
        tx.delete(old)
    for place, message in enumerate(messages):
        one = Happening(
            account=cluster.account,
            region=cluster.region,
            at=ctx.now,
            id=f"{place:03}-{ctx.new_id()}",
            source=cluster.name,
            kind="CLUSTER",
            message=message,
        )
        tx.put(one)
        if cluster.topic is not None and cluster.topic_status == "active":
            told = {
                "SourceName": one.source,
                "SourceType": one.kind,
                "Message": one.message,
                "Date": one.at.isoformat(),
            }
            given = {"topic": cluster.topic, "source": cluster.arn, "message": json.dumps(told)}
            await tx.schedule(ctx.now, NOTIFY, one.id, **given)


async def notify(ctx: Context, job: Job) -> None:
    """Tell a topic what happened; one that does not take it does not hear of it."""
    given = job.arguments
    # By this key a topic's first policy lets in what its own account's clusters tell.
    service = service_caller("dax", ctx.account, given["source"])
    teller = ctx.derive(replace(service, session={"aws:sourceowner": ctx.account}))
    req = {"TopicArn": given["topic"], "Subject": "DAX", "Message": given["message"]}
    try:
        await teller.call("sns", "publish", req)
    except AwsError as error:
        # A topic that is gone or does not let DAX publish is its owner's to mend.
        if error.status >= 500:
            raise


class Happenings:
    """The operation that looks back."""

    async def describe_events(
        self, ctx: Context, req: w.DescribeEventsRequest
    ) -> w.DescribeEventsResponse:
        """What happened, the latest first: in the last day, unless a time or duration is given."""
        begin, end = _span(ctx, req)
        if "SourceName" in req and "SourceType" not in req:
            raise InvalidParameterCombination("SourceType is required with SourceName.")
        scope = f"dax/events/{ctx.account}/{ctx.region}"
        shown, token = await page_of(
            ctx.read(), Happening, (ctx.account, ctx.region), most=page_size(req), scope=scope,
            after=position(req, scope), since=begin, until=end, reverse=True,
            fits=lambda one: _wanted(one, req), step=limits.LISTED_MAX,
        )  # fmt: skip
        result: dict[str, Any] = {
            "Events": [
                {
                    "SourceName": one.source, "SourceType": one.kind, "Message": one.message,
                    "Date": one.at,
                }
                for one in shown
            ]
        }  # fmt: skip
        if token is not None:
            result["NextToken"] = token
        return result  # type: ignore[return-value]


def _span(ctx: Context, req: Mapping[str, Any]) -> tuple[Any, Any]:
    duration = req.get("Duration")
    if duration is not None and ("StartTime" in req or "EndTime" in req):
        raise InvalidParameterCombination("Duration may not be given with StartTime or EndTime.")
    if duration is not None and duration <= 0:
        raise InvalidParameterValue("Duration must be positive.")
    length = timedelta(minutes=duration) if duration else limits.EVENTS_DURATION_DEFAULT
    end = req.get("EndTime", ctx.now)
    try:
        begin = req.get("StartTime", end - length)
    except OverflowError as error:
        raise InvalidParameterValue("Duration is too long.") from error
    if begin > end:
        raise InvalidParameterCombination("StartTime must be before EndTime.")
    return max(begin, ctx.now - limits.EVENTS_KEPT), end


def _wanted(one: Happening, req: Mapping[str, Any]) -> bool:
    return req.get("SourceType") in {None, one.kind} and req.get("SourceName", "").lower() in {
        "", one.source,
    }  # fmt: skip
