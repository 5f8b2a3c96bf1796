"""Which permissions an operation takes.

Source: "Actions, resources, and condition keys for Amazon SNS" in the Service Authorization
Reference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from doppio.kernel.context import Context, Reader
from doppio.kernel.service import Need
from doppio.kernel.tags import ResourceTags
from doppio.services.sns.records import Topic

_TOPIC_PARTS = 6
_ACTIONS = {"PublishBatch": "Publish"}
# Links in mails and messages lead to these; they know a secret, or are told by their ARN alone.
ANONYMOUS = frozenset({"ConfirmSubscription", "Unsubscribe"})
DATA_EVENTS = frozenset({"Publish", "PublishBatch"})


async def _tags(reader: Reader, arn: str) -> Mapping[str, str] | None:
    parts = arn.split(":")
    if len(parts) != _TOPIC_PARTS:
        return None
    topic = await reader.get(Topic, parts[4], parts[3], parts[5])
    return None if topic is None else topic.tags


# A topic's own tags are read where a policy asks for one.
_TAGS = ResourceTags(_tags)


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
            return (Need(action, req[name], context, beyond=_TAGS),)
    if "SubscriptionArn" in req:
        # A subscription's permissions are its topic's.
        topic = req["SubscriptionArn"].rpartition(":")[0]
        return (Need(action, topic, context, beyond=_TAGS),)
    if operation == "CreateTopic":
        arn = f"arn:{ctx.partition}:sns:{ctx.region}:{ctx.account}:{req['Name']}"
        tags = {tag["Key"]: tag.get("Value", "") for tag in req.get("Tags") or []}
        context = {f"aws:requesttag/{key.lower()}": value for key, value in tags.items()}
        if tags:
            context["aws:tagkeys"] = list(tags)
            return (Need(action, arn, context), Need("sns:TagResource", arn, context))
        return (Need(action, arn, context),)
    return (Need(action),)
