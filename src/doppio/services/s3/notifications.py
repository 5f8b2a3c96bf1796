"""Notification configurations: which queues, topics and functions hear of which events."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Any, cast

from doppio.kernel.context import Context
from doppio.services.s3.errors import InvalidArgument, InvalidDestination
from doppio.services.s3.limits import NOTIFICATIONS_MAX
from doppio.services.s3.lookup import existing_bucket
from doppio.services.s3.notices import send
from doppio.services.s3.notification_rules import (
    EVENTS,
    KIND,
    LISTS,
    SERVICES,
    WORDS,
    overlap,
    rules_of,
)
from doppio.services.s3.records import Bucket
from doppio.services.s3.settings import drop_setting, put_setting, setting
from doppio.wire.errors import AccessDenied, AwsError, NotImplementedByDoppio
from doppio.wire.faults import host_id
from doppio.wire.timestamps import format_iso8601_millis

if TYPE_CHECKING:
    from doppio._stubs import s3 as w


class Notifications:
    """Who hears of what happens in a bucket."""

    async def put_bucket_notification_configuration(
        self, ctx: Context, req: w.PutBucketNotificationConfigurationRequest
    ) -> None:
        """Set who hears; each new destination is sent a test event first."""
        document = _with_ids(ctx, cast("dict[str, Any]", req["NotificationConfiguration"]))
        bucket = await existing_bucket(ctx.read(), req)
        _check(ctx, bucket, document)
        if not req.get("SkipDestinationValidation"):
            await _try_destinations(ctx, bucket, document)
        async with ctx.write() as tx:
            bucket = await existing_bucket(tx, req)
            if document:
                put_setting(tx, bucket, KIND, document)
            else:
                await drop_setting(tx, bucket, KIND)
            tx.meter("Requests-Tier1")

    async def get_bucket_notification_configuration(
        self, ctx: Context, req: w.GetBucketNotificationConfigurationRequest
    ) -> w.NotificationConfiguration:
        """Who hears; empty where nobody does."""
        reader = ctx.read()
        bucket = await existing_bucket(reader, req)
        reader.meter("Requests-Tier2")
        return cast("w.NotificationConfiguration", await setting(reader, bucket, KIND) or {})


def _with_ids(ctx: Context, document: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in LISTS:
        if document.get(name):
            found[name] = [{"Id": ctx.new_id(), **one} for one in document[name]]
    if "EventBridgeConfiguration" in document:
        found["EventBridgeConfiguration"] = {}
    return found


def _check(ctx: Context, bucket: Bucket, document: Mapping[str, Any]) -> None:
    """Raise InvalidArgument where a configuration means nothing."""
    for name, member in LISTS.items():
        for one in document.get(name) or []:
            _check_filter(one)
            _check_arn(bucket, member, one[member])
            for event in one["Events"]:
                if event not in EVENTS:
                    raise InvalidArgument(
                        "A specified event is not supported for notifications.",
                        ArgumentName="Event",
                        ArgumentValue=event,
                    )
    rules = list(rules_of(document))
    if len(rules) > NOTIFICATIONS_MAX:
        raise InvalidArgument("The number of notification configurations exceeds the limit of 100")
    if len({rule.id for rule in rules}) < len(rules):
        raise InvalidArgument("Same ID used for multiple configurations. IDs must be unique")
    for one, other in combinations(rules, 2):
        if overlap(one, other):
            raise InvalidArgument(
                "Configuration is ambiguously defined. Cannot have overlapping suffixes in two "
                "rules if the prefixes are overlapping for the same event type."
            )


def _check_filter(one: Mapping[str, Any]) -> None:
    rules = ((one.get("Filter") or {}).get("Key") or {}).get("FilterRules") or []
    names = [rule.get("Name", "").lower() for rule in rules]
    for name in names:
        if name not in {"prefix", "suffix"}:
            raise InvalidArgument(
                "filter rule name must be either prefix or suffix",
                ArgumentName="FilterRule.Name",
                ArgumentValue=name,
            )
        if names.count(name) > 1:
            raise InvalidArgument(
                f"Cannot specify more than one {name} rule in a filter.",
                ArgumentName=f"FilterRule.Name.{name}",
                ArgumentValue=name,
            )


def _check_arn(bucket: Bucket, member: str, arn: str) -> None:
    parts = arn.split(":")
    if len(parts) < 6 or parts[0] != "arn" or parts[2] != SERVICES[member]:
        raise InvalidArgument("The ARN could not be parsed", ArgumentName=member, ArgumentValue=arn)
    if parts[3] != bucket.region:
        raise InvalidDestination(
            ArgumentName1=arn,
            ArgumentValue1="The notification destination service region is not valid for the "
            "bucket location constraint",
        )
    if arn.endswith(".fifo"):
        raise InvalidArgument(
            f"FIFO {WORDS[member]}s are not supported as notification destinations",
            ArgumentName=member,
            ArgumentValue=arn,
        )


async def _try_destinations(ctx: Context, bucket: Bucket, document: Mapping[str, Any]) -> None:
    """Send each destination a test event, as S3 does before it takes a configuration."""
    if "EventBridgeConfiguration" in document:
        await ctx.call("events", "describe_event_bus", {"Name": "default"})
    reasons: dict[str, str] = {}
    for name, member in LISTS.items():
        for arn in {one[member] for one in document.get(name) or []}:
            try:
                await send(ctx, bucket, arn, first_event(ctx, bucket))
            except NotImplementedByDoppio:
                raise
            except AccessDenied:
                reasons[arn] = (
                    f"Not authorized to invoke function [{arn}]"
                    if member == "LambdaFunctionArn"
                    else f"Permissions on the destination {WORDS[member]} do not allow S3 to publish "
                    "notifications from this bucket"
                )
            except AwsError:
                reasons[arn] = f"The destination {WORDS[member]} does not exist"
    if reasons:
        fields: dict[str, Any] = {}
        for number, (arn, reason) in enumerate(sorted(reasons.items()), 1):
            fields[f"ArgumentName{number}"] = arn
            fields[f"ArgumentValue{number}"] = reason
        raise InvalidDestination(None, **fields)


def first_event(ctx: Context, bucket: Bucket) -> dict[str, Any]:
    """What a new destination gets first."""

    return {
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Time": format_iso8601_millis(ctx.now),
        "Bucket": bucket.name,
        "RequestId": ctx.request_id,
        "HostId": host_id(ctx.request_id),
    }
