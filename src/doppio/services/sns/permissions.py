"""Which permissions an operation takes.

Source: "Actions, resources, and condition keys for Amazon SNS" in the Service Authorization
Reference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from doppio.kernel.context import Context
from doppio.kernel.service import Need

_ACTIONS = {"PublishBatch": "Publish"}
# Links in mails and messages lead to these; they know a secret, or are told by their ARN alone.
ANONYMOUS = frozenset({"ConfirmSubscription", "Unsubscribe"})
DATA_EVENTS = frozenset({"Publish", "PublishBatch"})


def needs(ctx: Context, operation: str, req: Mapping[str, Any]) -> Sequence[Need]:
    """The action and the topic, application or endpoint that an operation touches."""
    if operation in ANONYMOUS and ctx.caller.kind == "anonymous":
        return ()
    action = f"sns:{_ACTIONS.get(operation, operation)}"
    context: dict[str, Any] = {}
    if operation == "Subscribe":
        context = {"sns:protocol": req["Protocol"], "sns:endpoint": req.get("Endpoint", "")}
    for name in ("TopicArn", "TargetArn", "ResourceArn", "PlatformApplicationArn", "EndpointArn"):
        if req.get(name):
            return (Need(action, req[name], context),)
    if "SubscriptionArn" in req:
        # A subscription's permissions are its topic's.
        return (Need(action, req["SubscriptionArn"].rpartition(":")[0], context),)
    if operation == "CreateTopic":
        arn = f"arn:{ctx.partition}:sns:{ctx.region}:{ctx.account}:{req['Name']}"
        tags = {tag["Key"]: tag.get("Value", "") for tag in req.get("Tags") or []}
        context = {f"aws:requesttag/{key.lower()}": value for key, value in tags.items()}
        if tags:
            context["aws:tagkeys"] = list(tags)
            return (Need(action, arn, context), Need("sns:TagResource", arn, context))
        return (Need(action, arn, context),)
    return (Need(action),)
