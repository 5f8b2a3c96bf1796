"""What CloudWatch is told of queues. Source: "Available CloudWatch metrics for Amazon SQS"."""

from __future__ import annotations

from doppio.kernel.context import Context
from doppio.kernel.metrics import Measure
from doppio.services.sqs.records import Queue

_QUEUE = "QueueName"
NAMESPACE = "AWS/SQS"
SENT = Measure("sqs", NAMESPACE, "NumberOfMessagesSent", "Count", _QUEUE)
SENT_SIZE = Measure("sqs", NAMESPACE, "SentMessageSize", "Bytes", _QUEUE)
RECEIVED = Measure("sqs", NAMESPACE, "NumberOfMessagesReceived", "Count", _QUEUE)
EMPTY_RECEIVES = Measure("sqs", NAMESPACE, "NumberOfEmptyReceives", "Count", _QUEUE)
DELETED = Measure("sqs", NAMESPACE, "NumberOfMessagesDeleted", "Count", _QUEUE)


def counted_sent(ctx: Context, queue: Queue, size: int) -> None:
    """A message has come."""
    names = (queue.name,)
    ctx.count(SENT, queue.account, queue.region, names)
    ctx.count(SENT_SIZE, queue.account, queue.region, names, size)
