"""SQS: the table of contents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from doppio.kernel.context import Context
from doppio.kernel.service import Need, Service
from doppio.services.sqs.access import account_and_name
from doppio.services.sqs.messages import Messages
from doppio.services.sqs.move_tasks import Mover, MoveTasks, task_key
from doppio.services.sqs.queues import Queues
from doppio.services.sqs.records import queue_arn
from doppio.services.sqs.upkeep import EMPTY, EXPIRE, empty_job, expire_job

# A batch is granted by the permission for its single operation.
_ACTIONS = {
    "SendMessageBatch": "SendMessage",
    "DeleteMessageBatch": "DeleteMessage",
    "ChangeMessageVisibilityBatch": "ChangeMessageVisibility",
}


def needs(ctx: Context, operation: str, req: Mapping[str, Any]) -> Sequence[Need]:
    """The action and the queue that an operation touches."""
    action = f"sqs:{_ACTIONS.get(operation, operation)}"
    if "QueueUrl" in req:
        account, name = account_and_name(req["QueueUrl"])
        return (Need(action, queue_arn(account or ctx.account, ctx.region, name)),)
    if "QueueName" in req:
        account = req.get("QueueOwnerAWSAccountId") or ctx.account
        return (Need(action, queue_arn(account, ctx.region, req["QueueName"])),)
    if operation == "StartMessageMoveTask":
        moved = [action, "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
        found = [Need(one, req["SourceArn"]) for one in moved]
        if "DestinationArn" in req:
            found.append(Need("sqs:SendMessage", req["DestinationArn"]))
        return found
    if "SourceArn" in req:
        return (Need(action, req["SourceArn"]),)
    if "TaskHandle" in req:
        return (Need(action, task_key(req["TaskHandle"])[2]),)
    return (Need(action),)


SERVICE = Service(
    "sqs",
    groups=[Queues(), Messages(), MoveTasks()],
    needs=needs,
    data_events=[
        "SendMessage", "SendMessageBatch", "ReceiveMessage", "DeleteMessage", "DeleteMessageBatch",
        "ChangeMessageVisibility", "ChangeMessageVisibilityBatch",
    ],
    jobs={EXPIRE: expire_job, EMPTY: empty_job},
    controllers=[Mover()],
)  # fmt: skip
