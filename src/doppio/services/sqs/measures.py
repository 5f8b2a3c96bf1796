"""What CloudWatch is told of queues. Source: "Available CloudWatch metrics for Amazon SQS"."""

from __future__ import annotations

from doppio.kernel.metrics import Measure

_QUEUE = "QueueName"
NAMESPACE = "AWS/SQS"
# Each message has a size, so that the sizes count the messages.
SENT = Measure("sqs", NAMESPACE, "SentMessageSize", "Bytes", _QUEUE, tally="NumberOfMessagesSent")
RECEIVED = Measure("sqs", NAMESPACE, "NumberOfMessagesReceived", "Count", _QUEUE)
EMPTY_RECEIVES = Measure("sqs", NAMESPACE, "NumberOfEmptyReceives", "Count", _QUEUE)
DELETED = Measure("sqs", NAMESPACE, "NumberOfMessagesDeleted", "Count", _QUEUE)
