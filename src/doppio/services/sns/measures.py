"""What CloudWatch is told of topics. Source: "Metrics and dimensions for Amazon SNS"."""

from __future__ import annotations

from functools import lru_cache

from doppio.kernel.context import Context
from doppio.kernel.metrics import Measure

_NAMESPACE, _TOPIC = "AWS/SNS", "TopicName"
# Each message has a size, so that the sizes count the messages.
PUBLISHED = Measure(
    "sns", _NAMESPACE, "PublishSize", "Bytes", _TOPIC, tally="NumberOfMessagesPublished"
)
DELIVERED = Measure("sns", _NAMESPACE, "NumberOfNotificationsDelivered", "Count", _TOPIC)
FAILED = Measure("sns", _NAMESPACE, "NumberOfNotificationsFailed", "Count", _TOPIC)
FILTERED = Measure("sns", _NAMESPACE, "NumberOfNotificationsFilteredOut", "Count", _TOPIC)
# Why: beside the sum of all, each reason has a metric of its own.
REASONS = {
    reason: Measure("sns", _NAMESPACE, f"NumberOfNotificationsFilteredOut-{reason}", "Count", _TOPIC)
    for reason in (
        "NoMessageAttributes", "InvalidAttributes", "MessageAttributes", "InvalidMessageBody",
        "MessageBody",
    )
}  # fmt: skip
SPENT = Measure("sns", _NAMESPACE, "SMSMonthToDateSpentUSD", "None")
REDRIVEN = Measure("sns", _NAMESPACE, "NumberOfNotificationsRedrivenToDlq", "Count", _TOPIC)
NOT_REDRIVEN = Measure(
    "sns", _NAMESPACE, "NumberOfNotificationsFailedToRedriveToDlq", "Count", _TOPIC
)


def count_of(ctx: Context, measure: Measure, topic: str, amount: float = 1.0) -> None:
    """Measure something of the topic with this ARN."""
    account, region, names = _where(topic)
    ctx.count(measure, account, region, names, amount)


@lru_cache(4_096)
def _where(topic: str) -> tuple[str, str, tuple[str]]:
    parts = topic.split(":")
    return parts[4], parts[3], (parts[5],)
