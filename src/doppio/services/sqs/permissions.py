"""Which permissions an operation takes, and the condition keys that tags add to them.

Source: "Actions, resources, and condition keys for Amazon SQS", and "Basic examples of Amazon SQS
policies" for what other accounts cannot be allowed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from doppio.kernel.context import Context, Reader
from doppio.kernel.service import Need
from doppio.kernel.tags import ResourceTags
from doppio.services.sqs.access import account_and_name, by_arn
from doppio.services.sqs.move_tasks import task_key
from doppio.services.sqs.records import queue_arn
from doppio.services.sqs.rules import OWNERS

# A batch is granted by the permission for its single operation.
_ACTIONS = {
    "SendMessageBatch": "sqs:SendMessage",
    "DeleteMessageBatch": "sqs:DeleteMessage",
    "ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
}
_MOVING = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
_NO_KEYS: Mapping[str, Any] = {}


async def _tags(reader: Reader, arn: str) -> Mapping[str, str] | None:
    queue = await by_arn(reader, arn)
    return None if queue is None else queue.tags


# A queue's own tags are read where a policy asks for one.
_TAGS = ResourceTags(_tags)

# The root user of a queue's account may always do these.
_UNLOCKING = frozenset({"GetQueueAttributes", "GetQueueUrl", "SetQueueAttributes"})


def needs(ctx: Context, operation: str, req: Mapping[str, Any]) -> Sequence[Need]:
    """The action and the queue that an operation touches."""
    action = _ACTIONS.get(operation) or f"sqs:{operation}"
    if "QueueUrl" in req:
        account, name = account_and_name(req["QueueUrl"])
        keys = _keys(req) if operation in {"TagQueue", "UntagQueue"} else _NO_KEYS
        return (_need(ctx, operation, action, account or ctx.account, name, keys),)
    if "QueueName" in req:
        account = req.get("QueueOwnerAWSAccountId") or ctx.account
        keys = _keys(req) if operation == "CreateQueue" else _NO_KEYS
        found = [_need(ctx, operation, action, account, req["QueueName"], keys)]
        if req.get("tags"):
            found.append(Need("sqs:TagQueue", found[0].resource, keys, beyond=_TAGS))
        return found
    if operation == "StartMessageMoveTask":
        moved = [_of_arn(ctx, operation, action, req["SourceArn"])]
        moved += [Need(one, req["SourceArn"], beyond=_TAGS) for one in _MOVING]
        if "DestinationArn" in req:
            moved.append(Need("sqs:SendMessage", req["DestinationArn"], beyond=_TAGS))
        return moved
    if "SourceArn" in req:
        return (_of_arn(ctx, operation, action, req["SourceArn"]),)
    if "TaskHandle" in req:
        return (_of_arn(ctx, operation, action, task_key(req["TaskHandle"])[2]),)
    return (Need(action),)


def _need(
    ctx: Context, operation: str, action: str, account: str, name: str, keys: Mapping[str, Any]
) -> Need:
    arn = queue_arn(account, ctx.region, name)
    if account != ctx.account and operation in OWNERS:
        # A queue's policy cannot give these to other accounts: there is none where it would hang.
        return Need(action, arn, keys, policy=f"{arn}/owner", beyond=_TAGS)
    return Need(action, arn, keys, beyond=_TAGS, unlocks=operation in _UNLOCKING)


def _of_arn(ctx: Context, operation: str, action: str, arn: str) -> Need:
    parts = arn.split(":", 5)
    if len(parts) == 6 and parts[4] != ctx.account and operation in OWNERS:
        return Need(action, arn, _NO_KEYS, policy=f"{arn}/owner", beyond=_TAGS)
    return Need(action, arn, beyond=_TAGS)


def _keys(req: Mapping[str, Any]) -> Mapping[str, Any]:
    given: dict[str, Any] = {}
    tags: Mapping[str, str] = req.get("Tags") or req.get("tags") or {}
    for key, value in tags.items():
        given[f"aws:requesttag/{key.lower()}"] = value
    names = [*tags, *req.get("TagKeys", ())]
    if names:
        given["aws:tagkeys"] = names
    return given
