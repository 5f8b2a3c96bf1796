"""Delivery status logging: what became of deliveries, as lines in the owner's CloudWatch Logs.

A line is a fact in the outbox, committed after its delivery, and a durable subscription writes it:
a log that is slow, gone or closed to SNS holds up no delivery. SNS writes as the role that the
topic, app or account names, so the role's policies decide; what they refuse is nobody's error. A
line may be there twice after a crash.

Source: "Amazon SNS message delivery status" and "Viewing Amazon CloudWatch metrics and logs for SMS
deliveries".
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from doppio.kernel.context import Context, Tx
from doppio.kernel.events import Event, Subscription
from doppio.kernel.identity import service_caller
from doppio.services.sns.errors import InvalidParameter
from doppio.services.sns.records import Message
from doppio.wire.errors import AwsError

_log = logging.getLogger("doppio.sns")
SESSION = "sns"
# The beginning of an attribute's name, by the protocol of the subscription.
NAMES = {
    "http": "HTTP",
    "https": "HTTP",
    "sqs": "SQS",
    "lambda": "Lambda",
    "firehose": "Firehose",
    "application": "Application",
}
KINDS = ("SuccessFeedbackRoleArn", "SuccessFeedbackSampleRate", "FailureFeedbackRoleArn")
DIRECT_TO_PHONE = "DirectPublishToPhoneNumber"
_EVERY = "100"


class Reported(Event, frozen=True, kw_only=True):
    """What became of a delivery: a line for the group of the key, written as the role behind it."""

    source: str
    line: str


def checked_feedback(name: str, value: str) -> None:
    """Raise InvalidParameter unless a feedback attribute may be set to this."""
    if not value:
        return
    if name.endswith("RoleArn"):
        checked_role(value)
    elif not (value.isdigit() and int(value) <= 100):
        raise InvalidParameter(f"{name} Reason: must be a whole number from 0 to 100")


def checked_role(arn: str) -> None:
    """Raise InvalidParameter for what is not the ARN of a role."""
    parts = arn.split(":")
    if len(parts) != 6 or parts[2] != "iam" or not parts[5].startswith("role/"):
        raise InvalidParameter(
            f"{arn} is not a valid role to allow SNS to write to Cloudwatch Logs"
        )


async def may_pass(ctx: Context, attributes: Mapping[str, str]) -> None:
    """Who names roles for SNS must be allowed to pass them. Raises AccessDenied."""
    roles = {
        value
        for name, value in attributes.items()
        if value and name.endswith(("FeedbackRoleArn", "DeliveryStatusIAMRole"))
    }
    for role in sorted(roles):
        await ctx.authorise("iam:PassRole", role, {"iam:passedtoservice": "sns.amazonaws.com"})


def logs_with(
    ctx: Context, attributes: Mapping[str, str], prefix: str, *, good: bool
) -> str | None:
    """The role with which the status of a delivery is logged; None: it is not."""
    if not good:
        return attributes.get(f"{prefix}FailureFeedbackRoleArn")
    role = attributes.get(f"{prefix}SuccessFeedbackRoleArn")
    if not role:
        return None
    rate = int(attributes.get(f"{prefix}SuccessFeedbackSampleRate") or _EVERY)
    return role if ctx.random() * 100 < rate else None


def report(
    tx: Tx, arn: str, role: str, message: Message, delivery: Mapping[str, Any], *, good: bool
) -> None:
    """Say what became of a delivery, for the log of a topic or an app."""
    parts = arn.split(":", 5)
    group = group_of(parts[3], parts[4], parts[5], good=good)
    told = {"messageId": message.id, "timestamp": _moment(message.published_at)}
    if message.topic == arn:
        digest = hashlib.md5(message.text.encode(), usedforsecurity=False)
        told = {"messageMD5Sum": digest.hexdigest(), **told, "topicArn": arn}
    _emit(tx, group, role, arn, {"notification": told, "delivery": delivery, "status": _word(good)})


def report_text(
    tx: Tx, where: tuple[str, str], role: str, message: Message, delivery: Mapping[str, Any], *,
    good: bool,
) -> None:  # fmt: skip
    """Say what became of a text to a phone."""
    account, region = where
    name = message.topic.rpartition(":")[2] or DIRECT_TO_PHONE
    told = {"messageId": message.id, "timestamp": _moment(message.published_at)}
    if message.topic:
        told["topicArn"] = message.topic
    source = f"arn:{tx.context.partition}:sns:{region}:{account}:{name}"
    line = {"notification": told, "delivery": delivery, "status": _word(good)}
    _emit(tx, group_of(region, account, name, good=good), role, source, line)


def group_of(region: str, account: str, name: str, *, good: bool) -> str:
    """The log group in which the statuses of a topic or an app stand."""
    group = f"sns/{region}/{account}/{name}"
    return group if good else f"{group}/Failure"


def dwell(ctx: Context, message: Message) -> int:
    """For how many milliseconds SNS had a message."""
    return max(0, (ctx.clock.now() - message.published_at) // timedelta(milliseconds=1))


def _word(good: bool) -> str:
    return "SUCCESS" if good else "FAILURE"


def _emit(tx: Tx, group: str, role: str, source: str, line: Mapping[str, Any]) -> None:
    text = json.dumps(line, separators=(",", ":"), ensure_ascii=False)
    tx.emit(Reported(key=(group, role), source=source, line=text))


async def write(ctx: Context, event: Event) -> None:
    """Write a line into its group, as the role. Raises only what another try may mend."""
    assert isinstance(event, Reported)
    group, role = event.key
    region, account = event.source.split(":")[3:5]
    # The publisher may be of another account; the log is the topic's.
    home = ctx.derive(service_caller("sns", account, event.source), region=region)
    home.account = account
    try:
        acting = await home.as_role(role, "sns", source=event.source, session=SESSION)
        await _put(acting, group, event.line)
    except AwsError as error:
        if error.status >= 500 and error.status != 501:
            raise
        _log.info("no delivery status in %s: %s", group, error)


async def _put(ctx: Context, group: str, line: str) -> None:
    now = ctx.clock.now()
    stream = _stream(group, now)
    req = {
        "logGroupName": group,
        "logStreamName": stream,
        "logEvents": [{"timestamp": int(now.timestamp() * 1000), "message": line}],
    }
    try:
        await ctx.call("logs", "put_log_events", req)
    except AwsError as error:
        if error.code != "ResourceNotFoundException":
            raise
        await _made(ctx, "create_log_group", {"logGroupName": group})
        await _made(ctx, "create_log_stream", {"logGroupName": group, "logStreamName": stream})
        await ctx.call("logs", "put_log_events", req)


async def _made(ctx: Context, method: str, req: Mapping[str, Any]) -> None:
    try:
        await ctx.call("logs", method, req)
    except AwsError as error:
        if error.code != "ResourceAlreadyExistsException":
            raise


def _stream(group: str, now: datetime) -> str:
    """A stream a day for each group, of a name that every try finds again."""
    seed = f"{group}/{now:%Y-%m-%d}".encode()
    return str(UUID(bytes=hashlib.sha256(seed).digest()[:16]))


def _moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S.") + f"{at.microsecond // 1000:03d}"


SUBSCRIPTION = Subscription("sns.statuses", (Reported,), write)
