"""Which permissions an operation takes, and the condition keys that tags add to them.

Source: "Actions, resources, and condition keys for Amazon SQS", and "Basic examples of Amazon SQS
policies" for what other accounts cannot be allowed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from doppio.kernel.context import Context, Reader
from doppio.kernel.service import Need
from doppio.kernel.tags import ResourceTags
from doppio.services.sqs.access import REMEMBERED_MAX, account_and_name, by_arn
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
_TAGGING = frozenset({"TagQueue", "UntagQueue"})
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
    if "QueueUrl" in req:
        found = _of_url(ctx.account, ctx.region, operation, req["QueueUrl"])
        if operation in _TAGGING:
            return (found[0]._replace(context=_keys(req)),)
        return found
    action = f"sqs:{operation}"
    if "QueueName" in req:
        account = req.get("QueueOwnerAWSAccountId") or ctx.account
        keys = _keys(req) if operation == "CreateQueue" else _NO_KEYS
        need = _need(ctx.account, ctx.region, operation, action, account, req["QueueName"], keys)
        if req.get("tags"):
            return [need, Need("sqs:TagQueue", need.resource, keys, beyond=_TAGS)]
        return [need]
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


@lru_cache(REMEMBERED_MAX)
def _of_url(caller: str, region: str, operation: str, queue_url: str) -> tuple[Need]:
    """What an operation of an account's caller needs of a queue. Raises InvalidAddress."""
    action = _ACTIONS.get(operation) or f"sqs:{operation}"
    account, name = account_and_name(queue_url)
    return (_need(caller, region, operation, action, account or caller, name, _NO_KEYS),)


def _need(
    caller: str, region: str, operation: str, action: str, account: str, name: str,
    keys: Mapping[str, Any],
) -> Need:  # fmt: skip
    arn = queue_arn(account, region, name)
    if account != caller and operation in OWNERS:
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
