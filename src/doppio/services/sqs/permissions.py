"""Which permissions an operation takes, and the condition keys that tags add to them.

Source: "Actions, resources, and condition keys for Amazon SQS", and "Basic examples of Amazon SQS
policies" for what other accounts cannot be allowed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from doppio.kernel.context import Context
from doppio.kernel.service import Need
from doppio.services.sqs.access import account_and_name
from doppio.services.sqs.move_tasks import task_key
from doppio.services.sqs.records import queue_arn
from doppio.services.sqs.rules import OWNERS
from doppio.wire.errors import NotImplementedByDoppio

# A batch is granted by the permission for its single operation.
_ACTIONS = {
    "SendMessageBatch": "sqs:SendMessage",
    "DeleteMessageBatch": "sqs:DeleteMessage",
    "ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
}
_MOVING = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
_RESOURCE_TAG = "aws:resourcetag/"


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
            found.append(Need("sqs:TagQueue", found[0].resource, keys))
        return found
    if operation == "StartMessageMoveTask":
        moved = [_of_arn(ctx, operation, action, req["SourceArn"])]
        moved += [Need(one, req["SourceArn"], _NO_KEYS) for one in _MOVING]
        if "DestinationArn" in req:
            moved.append(Need("sqs:SendMessage", req["DestinationArn"], _NO_KEYS))
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
        return Need(action, arn, keys, policy=f"{arn}/owner")
    return Need(action, arn, keys)


def _of_arn(ctx: Context, operation: str, action: str, arn: str) -> Need:
    parts = arn.split(":", 5)
    if len(parts) == 6 and parts[4] != ctx.account and operation in OWNERS:
        return Need(action, arn, _NO_KEYS, policy=f"{arn}/owner")
    return Need(action, arn, _NO_KEYS)


class _Keys(Mapping[str, Any]):
    """Condition keys of a request; those of the queue's own tags are not known before it is read."""

    __slots__ = ("_given",)

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given

    def __getitem__(self, key: str) -> Any:
        if key.startswith(_RESOURCE_TAG):
            raise NotImplementedByDoppio(
                "sqs: policies with the condition key aws:ResourceTag exist in AWS and not yet in "
                "this cloud; nothing is allowed by them"
            )
        return self._given[key]

    def __contains__(self, key: object) -> bool:
        return key in self._given or (isinstance(key, str) and key.startswith(_RESOURCE_TAG))

    def __iter__(self) -> Iterator[str]:
        return iter(self._given)

    def __len__(self) -> int:
        return len(self._given)


_NO_KEYS = _Keys({})


def _keys(req: Mapping[str, Any]) -> _Keys:
    given: dict[str, Any] = {}
    tags: Mapping[str, str] = req.get("Tags") or req.get("tags") or {}
    for key, value in tags.items():
        given[f"aws:requesttag/{key.lower()}"] = value
    names = [*tags, *req.get("TagKeys", ())]
    if names:
        given["aws:tagkeys"] = names
    return _Keys(given)
