"""Which rules a notification configuration holds, and what they are about. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

KIND = "notification"
LISTS = {
    "QueueConfigurations": "QueueArn",
    "TopicConfigurations": "TopicArn",
    "LambdaFunctionConfigurations": "LambdaFunctionArn",
}
SERVICES = {"QueueArn": "sqs", "TopicArn": "sns", "LambdaFunctionArn": "lambda"}
WORDS = {"QueueArn": "queue", "TopicArn": "topic", "LambdaFunctionArn": "Lambda"}
EVENTS = frozenset(
    f"s3:{name}"
    for name in (
        "ReducedRedundancyLostObject", "ObjectCreated:*", "ObjectCreated:Put", "ObjectCreated:Post",
        "ObjectCreated:Copy", "ObjectCreated:CompleteMultipartUpload", "ObjectRemoved:*",
        "ObjectRemoved:Delete", "ObjectRemoved:DeleteMarkerCreated", "ObjectRestore:*",
        "ObjectRestore:Post", "ObjectRestore:Completed", "ObjectRestore:Delete", "Replication:*",
        "Replication:OperationFailedReplication", "Replication:OperationNotTracked",
        "Replication:OperationMissedThreshold", "Replication:OperationReplicatedAfterThreshold",
        "LifecycleTransition", "IntelligentTiering", "ObjectAcl:Put", "LifecycleExpiration:*",
        "LifecycleExpiration:Delete", "LifecycleExpiration:DeleteMarkerCreated",
        "ObjectTagging:*", "ObjectTagging:Put", "ObjectTagging:Delete",
        "ObjectAnnotation:*", "ObjectAnnotation:Put", "ObjectAnnotation:Delete",
    )
)  # fmt: skip


class Rule(NamedTuple):
    """One configuration: who hears of which events of which keys."""

    id: str
    arn: str
    events: tuple[str, ...]
    prefix: str
    suffix: str


def rules_of(document: Mapping[str, Any]) -> Iterator[Rule]:
    """The rules of a configuration."""
    for name, member in LISTS.items():
        for one in document.get(name) or []:
            filters = ((one.get("Filter") or {}).get("Key") or {}).get("FilterRules") or []
            said = {rule["Name"].lower(): rule.get("Value", "") for rule in filters}
            yield Rule(
                one["Id"],
                one[member],
                tuple(one["Events"]),
                said.get("prefix", ""),
                said.get("suffix", ""),
            )


def wants(rule: Rule, name: str, key: str) -> bool:
    """Whether a rule is about this event (without `s3:`) of this key."""
    if not key.startswith(rule.prefix) or not key.endswith(rule.suffix):
        return False
    name = f"s3:{name}"
    return any(
        name.startswith(one[:-1]) if one.endswith("*") else name == one for one in rule.events
    )


def overlap(one: Rule, other: Rule) -> bool:
    """Whether two rules could both be about one event, which S3 does not allow. Pure."""
    events = any(
        a == b or a.rstrip("*") in b or b.rstrip("*") in a
        for a in one.events
        for b in other.events
        if a == b or a.endswith("*") or b.endswith("*")
    )
    return (
        events
        and (one.prefix.startswith(other.prefix) or other.prefix.startswith(one.prefix))
        and (one.suffix.endswith(other.suffix) or other.suffix.endswith(one.suffix))
    )
