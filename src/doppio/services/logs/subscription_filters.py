"""Subscription filters: lines that fit are brought to a function or a stream of Kinesis.

A group that has filters says of each row that came that it is there; a subscriber reads the row and
brings what fits. At least once, as metric filters count. What a destination refuses is lost; where it
fails, the row is brought again, and what comes behind waits. Source: "Log group-level subscription
filters" in the CloudWatch Logs user guide.
"""

from __future__ import annotations

import base64
import gzip
import json
import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from doppio.kernel.context import Context
from doppio.kernel.events import Event
from doppio.kernel.paging import begins, page_of
from doppio.services.logs import limits
from doppio.services.logs.errors import InvalidParameter, LimitExceeded, NotFound
from doppio.services.logs.groups import position
from doppio.services.logs.lines import Event as Line
from doppio.services.logs.lines import events_of
from doppio.services.logs.lookup import existing, milliseconds
from doppio.services.logs.patterns import BadPattern, compiled
from doppio.services.logs.records import Batch, Group, SubscriptionFilter
from doppio.wire.errors import AwsError, NotImplementedByDoppio

if TYPE_CHECKING:
    from doppio._stubs import logs as w

_log = logging.getLogger("doppio.logs")
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
_Told = dict[str, Any]


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
            tx.put(replace(wanted, group=group.id))

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
        told: _Told = {"subscriptionFilters": [_shown(one) for one in shown]}
        if token is not None:
            told["nextToken"] = token
        return cast("w.DescribeSubscriptionFiltersResponse", told)


async def bring(ctx: Context, event: Event) -> None:
    """Bring a row's lines to the destinations whose filters they fit."""
    name, group_id, slot, stream, number = event.key
    reader = ctx.read()
    group = await reader.get(Group, ctx.account, ctx.region, name)
    batch = await reader.get(Batch, group_id, int(slot), stream, int(number))
    if group is None or batch is None or group.id != group_id or not group.subscriptions:
        return
    filters = await reader.list(
        SubscriptionFilter, (group_id,), limit=limits.SUBSCRIPTION_FILTERS_MAX
    )
    lines = events_of(batch)
    for one in filters:
        for part in _parts(one, lines):
            told = {
                "messageType": "DATA_MESSAGE",
                "owner": group.account,
                "logGroup": group.name,
                "logStream": batch.stream_name,
                "subscriptionFilters": [one.name],
                "logEvents": part,
            }
            try:
                await _send(ctx, group, one, told, batch.stream_name)
            except AwsError as error:
                if error.status >= 500 and error.status != NotImplementedByDoppio.status:
                    raise
                _log.warning("lines of %s for %s were lost: %s", name, one.destination, error)


def _parts(one: SubscriptionFilter, lines: Sequence[Line]) -> Iterator[list[_Told]]:
    """What fits, in pieces that a destination takes."""
    fits = compiled(one.pattern)
    part: list[_Told] = []
    size = 0
    for line in lines:
        values = fits(line.text)
        if values is None:
            continue
        told: _Told = {"id": f"{line.id:056d}", "timestamp": line.at, "message": line.text}
        if values:
            told["extractedFields"] = {key.removeprefix("$"): text for key, text in values.items()}
        weight = len(line.text.encode()) + limits.EVENT_OVERHEAD_BYTES
        if part and size + weight > limits.BROUGHT_BYTES_MAX:
            yield part
            part, size = [], 0
        part.append(told)
        size += weight
    if part:
        yield part


async def _try(ctx: Context, group: Group, wanted: SubscriptionFilter) -> None:
    """Raise InvalidParameter where a destination does not take what comes."""
    kind = _kind_of(wanted)
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
        await _send(ctx, group, wanted, told, "check")
    except AwsError as error:
        if error.status >= 500:
            raise
        raise InvalidParameter(_CANNOT if kind == "lambda" else _CANNOT_PUT) from error


def _kind_of(one: SubscriptionFilter) -> str:
    parts = one.destination.split(":")
    kind = parts[2] if len(parts) > 5 else ""
    if kind in {"firehose", "logs", "es"}:
        raise NotImplementedByDoppio(f"logs: subscriptions to {kind} exist in AWS, not yet here")
    if kind not in {"lambda", "kinesis"}:
        raise InvalidParameter("destinationArn is not valid")
    if kind == "kinesis" and not one.role:
        raise InvalidParameter("destinationArn for vendor kinesis must have a roleArn")
    if kind == "lambda" and one.role:
        raise InvalidParameter("destinationArn for vendor lambda cannot be used with roleArn")
    return kind


async def _send(
    ctx: Context, group: Group, one: SubscriptionFilter, told: _Told, stream: str
) -> None:
    data = gzip.compress(json.dumps(told).encode(), mtime=0)
    source = f"{group.arn}:*"
    if _kind_of(one) == "lambda":
        payload = {"awslogs": {"data": base64.b64encode(data).decode()}}
        req = {
            "FunctionName": one.destination,
            "InvocationType": "Event",
            "Payload": json.dumps(payload).encode(),
        }
        await ctx.as_service("logs", source=source).call("lambda", "invoke", req)
        return
    region = one.destination.split(":")[3]
    acting = await ctx.as_role(
        one.role, "logs", source=source, session="CloudWatchLogs", region=region
    )
    key = stream if one.distribution == "ByLogStream" else ctx.new_id()
    record = {"StreamARN": one.destination, "Data": data, "PartitionKey": key[:256]}
    await acting.call("kinesis", "put_record", record)


def _shown(one: SubscriptionFilter) -> _Told:
    told: _Told = {
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
