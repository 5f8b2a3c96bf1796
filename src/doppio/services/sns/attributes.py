"""Attributes of topics and subscriptions: what may be set, to what, and what is shown. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from doppio.kernel.event_patterns import BadPattern, Pattern
from doppio.services.sns import limits
from doppio.services.sns.archive import archive_days, checked_replay, kept_since
from doppio.services.sns.errors import FilterPolicyLimitExceeded, InvalidParameter
from doppio.services.sns.records import Subscription, Topic
from doppio.services.sns.statuses import KINDS, NAMES, checked_feedback
from doppio.wire.errors import NotImplementedByDoppio
from doppio.wire.timestamps import format_iso8601_millis

DEFAULT_RETRIES: dict[str, Any] = {
    "minDelayTarget": 20,
    "maxDelayTarget": 20,
    "numRetries": 3,
    "numMaxDelayRetries": 0,
    "numNoDelayRetries": 0,
    "numMinDelayRetries": 0,
    "backoffFunction": "linear",
}
PLAIN_TEXT = "text/plain; charset=UTF-8"
_OF_TOPIC = {
    "defaultHealthyRetryPolicy": "retries",
    "defaultThrottlePolicy": "throttle",
    "defaultRequestPolicy": "request",
    "disableSubscriptionOverrides": "override",
}
_OF_SUBSCRIPTION = {
    "healthyRetryPolicy": "retries",
    "throttlePolicy": "throttle",
    "requestPolicy": "request",
    # The console writes them, and SNS does not act on them.
    "sicklyRetryPolicy": "sickly",
    "guaranteed": "guaranteed",
}
# Source: "Creating an Amazon SNS delivery policy".
_CONTENT_TYPES = frozenset(
    {
        "application/json", "application/octet-stream", "application/soap+xml",
        "application/x-www-form-urlencoded", "application/xml", "text/css", "text/csv",
        "text/html", "text/plain", "text/xml",
    }
)  # fmt: skip
_BACKOFFS = frozenset({"linear", "arithmetic", "geometric", "exponential"})
_FEEDBACK = frozenset(f"{protocol}{kind}" for protocol in NAMES.values() for kind in KINDS)


class DeliveryPolicy(NamedTuple):
    """How servers are told: retries, deliveries a second (None: any number), and the type."""

    retries: dict[str, Any]
    rate: float | None = None
    content_type: str = PLAIN_TEXT
    overrides_disabled: bool = False


_DEFAULT_POLICY = DeliveryPolicy(DEFAULT_RETRIES)
_TOPIC_ATTRIBUTES = frozenset(
    {
        "DeliveryPolicy", "DisplayName", "Policy", "TracingConfig", "KmsMasterKeyId",
        "SignatureVersion", "MaximumMessageSize", "ContentBasedDeduplication", "FifoTopic",
        "ArchivePolicy", "FifoThroughputScope",
    }
)  # fmt: skip
_FIFO_ONLY = frozenset({"ContentBasedDeduplication", "ArchivePolicy", "FifoThroughputScope"})
_SUBSCRIPTION_ATTRIBUTES = frozenset(
    {
        "DeliveryPolicy", "FilterPolicy", "FilterPolicyScope", "RawMessageDelivery",
        "RedrivePolicy", "SubscriptionRoleArn", "ReplayPolicy",
    }
)  # fmt: skip
_RAW = frozenset({"sqs", "http", "https", "firehose"})


def checked_topic_attribute(name: str, value: str, *, fifo: bool, creating: bool = False) -> None:
    """Raise InvalidParameter unless a topic's attribute may be set to this."""
    if name in _FEEDBACK:
        checked_feedback(name, value)
        return
    if name not in _TOPIC_ATTRIBUTES or (name == "FifoTopic" and not creating):
        raise InvalidParameter("AttributeName")
    if name in _FIFO_ONLY and not fifo:
        raise InvalidParameter(f"Attributes Reason: Unknown attribute: {name}")
    if name == "DeliveryPolicy" and value:
        checked_delivery_policy(value, of_topic=True)
    elif name == "DisplayName" and len(value) > limits.DISPLAY_NAME_CHARS_MAX:
        raise InvalidParameter("DisplayName Reason: DisplayName must be at most 100 characters")
    elif name == "SignatureVersion" and value not in {"1", "2"}:
        raise InvalidParameter("SignatureVersion")
    elif name == "TracingConfig" and value != "PassThrough":
        if value == "Active":
            raise NotImplementedByDoppio("sns: X-Ray exists in AWS and not yet in this cloud")
        raise InvalidParameter("TracingConfig")
    elif name == "MaximumMessageSize":
        if not value.isdigit() or not (
            limits.MESSAGE_BYTES_MIN <= int(value) <= limits.MESSAGE_BYTES_MAX
        ):
            raise InvalidParameter(
                "MaximumMessageSize Reason: must be between 1024 and 1048576 bytes"
            )
    elif name in {"ContentBasedDeduplication", "FifoTopic"}:
        if value.lower() not in {"true", "false"}:
            raise InvalidParameter(f"Attributes Reason: {name} must be true or false")
    elif name == "FifoThroughputScope" and value not in {"Topic", "MessageGroup"}:
        raise InvalidParameter("FifoThroughputScope")
    elif name == "ArchivePolicy":
        archive_days(value)


def checked_subscription_attribute(
    name: str, value: str, *, protocol: str, fifo: bool, scope: str
) -> None:
    """Raise InvalidParameter unless a subscription's attribute may be set to this."""
    if name not in _SUBSCRIPTION_ATTRIBUTES:
        raise InvalidParameter("AttributeName")
    if name == "ReplayPolicy" and value:
        if not fifo:
            raise InvalidParameter("ReplayPolicy: only FIFO topics have archives")
        checked_replay(value)
    if name == "RawMessageDelivery":
        if value.lower() not in {"true", "false"}:
            raise InvalidParameter(
                "Attributes Reason: RawMessageDelivery: Invalid value "
                f"[{value}]. Must be true or false."
            )
        if value.lower() == "true" and protocol not in _RAW:
            raise InvalidParameter(
                "Attributes Reason: RawMessageDelivery: Delivery protocol "
                f"[{protocol}] does not support raw message delivery."
            )
    elif name == "FilterPolicyScope":
        if value not in {"MessageAttributes", "MessageBody"}:
            raise InvalidParameter(
                "FilterPolicyScope: Invalid value "
                f"[{value}]. Please use either MessageBody or MessageAttributes"
            )
    elif name == "FilterPolicy" and value:
        filter_of(value, scope)
    elif name == "RedrivePolicy" and value:
        checked_redrive(value, fifo=fifo)
    elif name == "DeliveryPolicy" and value:
        if protocol not in {"http", "https"}:
            raise InvalidParameter("DeliveryPolicy: protocol does not support delivery policies")
        checked_delivery_policy(value, of_topic=False)


def checked_redrive(text: str, *, fifo: bool) -> str:
    """The ARN of the queue for what cannot be delivered."""
    document = _object(text, "RedrivePolicy")
    arn = document.get("deadLetterTargetArn", "")
    if not isinstance(arn, str) or len(arn.split(":")) != 6 or arn.split(":")[2] != "sqs":
        raise InvalidParameter("RedrivePolicy: deadLetterTargetArn is an invalid arn")
    if fifo and not arn.endswith(".fifo"):
        raise InvalidParameter(
            "RedrivePolicy: must use a FIFO queue as DLQ for a FIFO Subscription to a FIFO Topic."
        )
    return arn


@lru_cache(maxsize=4_096)
def filter_of(text: str, scope: str) -> Pattern | None:
    """The compiled filter policy; None where it is empty. Raises SNS's refusals."""
    if len(text.encode()) > limits.FILTER_BYTES_MAX:
        raise InvalidParameter("FilterPolicy: Filter policy is too large")
    try:
        document = json.loads(text)
    except ValueError as error:
        raise InvalidParameter("FilterPolicy: failed to parse JSON.") from error
    if not isinstance(document, dict):
        raise InvalidParameter("FilterPolicy: Filter is not an object")
    if not document:
        return None
    try:
        pattern = Pattern(document)
    except BadPattern as error:
        raise InvalidParameter(f"FilterPolicy: {error}") from error
    if scope == "MessageAttributes" and any(isinstance(one, dict) for one in document.values()):
        raise InvalidParameter(
            "FilterPolicy: Filter policy scope MessageAttributes does not support nested filter "
            "policy"
        )
    if pattern.names > limits.FILTER_KEYS_MAX:
        raise FilterPolicyLimitExceeded(
            "Invalid parameter: FilterPolicy: Filter policy can not have more than "
            f"{limits.FILTER_KEYS_MAX} keys"
        )
    if pattern.combinations > limits.FILTER_COMBINATIONS_MAX:
        raise InvalidParameter("FilterPolicy: Filter policy is too complex")
    return pattern


def checked_delivery_policy(text: str, *, of_topic: bool) -> DeliveryPolicy:
    """What a delivery policy says, with what it leaves out. Raises InvalidParameter."""
    document = _object(text, "DeliveryPolicy")
    names = _OF_TOPIC if of_topic else _OF_SUBSCRIPTION
    if of_topic:
        document = document.get("http") or {}
    unknown = set(document) - set(names)
    if unknown:
        raise InvalidParameter(f"DeliveryPolicy: Unexpected JSON member: {min(unknown)}")
    given = {names[name]: value for name, value in document.items()}
    return DeliveryPolicy(
        _retries(given.get("retries") or {}),
        _throttle(given.get("throttle") or {}),
        _content_type(given.get("request") or {}),
        bool(given.get("override", False)),
    )


def _retries(given: Mapping[str, Any]) -> dict[str, Any]:
    found = {**DEFAULT_RETRIES, **given}
    try:
        numbers = {name: int(found[name]) for name in DEFAULT_RETRIES if name != "backoffFunction"}
    except (TypeError, ValueError) as error:
        raise InvalidParameter("DeliveryPolicy: values must be whole numbers") from error
    phases = sum(numbers[f"num{name}Retries"] for name in ("NoDelay", "MinDelay", "MaxDelay"))
    problem = (
        not 0 <= numbers["numRetries"] <= limits.CUSTOMER_RETRIES_MAX
        or not 1 <= numbers["minDelayTarget"] <= numbers["maxDelayTarget"] <= 3600
        or phases > numbers["numRetries"]
        or found["backoffFunction"] not in _BACKOFFS
    )
    if problem:
        raise InvalidParameter("DeliveryPolicy: healthyRetryPolicy is not valid")
    return {**numbers, "backoffFunction": found["backoffFunction"]}


def _throttle(given: Mapping[str, Any]) -> float | None:
    rate = given.get("maxReceivesPerSecond")
    if rate is None:
        return None
    if isinstance(rate, bool) or not isinstance(rate, int) or rate < 1:
        raise InvalidParameter(
            "DeliveryPolicy: throttlePolicy.maxReceivesPerSecond must be an integer greater than 0"
        )
    return float(rate)


def _content_type(given: Mapping[str, Any]) -> str:
    kind = given.get("headerContentType", PLAIN_TEXT)
    if not isinstance(kind, str) or kind.partition(";")[0].strip() not in _CONTENT_TYPES:
        raise InvalidParameter("DeliveryPolicy: requestPolicy.headerContentType is not supported")
    return kind


def delivery_policy_of(topic: Topic | None, subscription: Subscription) -> DeliveryPolicy:
    """What counts for a subscription by HTTP: its own policy, else its topic's."""
    text = topic.attributes.get("DeliveryPolicy") if topic is not None else None
    shared = checked_delivery_policy(text, of_topic=True) if text else _DEFAULT_POLICY
    own = subscription.attributes.get("DeliveryPolicy")
    if not own or shared.overrides_disabled:
        return shared
    return checked_delivery_policy(own, of_topic=False)


def retries_of(topic: Topic | None, subscription: Subscription) -> dict[str, Any]:
    """The retry settings that count for a subscription by HTTP."""
    return delivery_policy_of(topic, subscription).retries


def _object(text: str, name: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise InvalidParameter(f"{name}: failed to parse JSON.") from error
    if not isinstance(document, dict):
        raise InvalidParameter(f"{name}: must be a JSON object")
    return document


def shown_topic(
    topic: Topic, policy: str, confirmed: int, pending: int, now: datetime
) -> Mapping[str, str]:
    """A topic's attributes as GetTopicAttributes answers them."""
    own = topic.attributes.get("DeliveryPolicy")
    policy_of = checked_delivery_policy(own, of_topic=True) if own else _DEFAULT_POLICY
    http: dict[str, Any] = {
        "defaultHealthyRetryPolicy": policy_of.retries,
        "disableSubscriptionOverrides": policy_of.overrides_disabled,
        "defaultRequestPolicy": {"headerContentType": policy_of.content_type},
    }
    if policy_of.rate is not None:
        http["defaultThrottlePolicy"] = {"maxReceivesPerSecond": int(policy_of.rate)}
    effective = {"http": http}
    shown = {
        "TopicArn": topic.arn,
        "Owner": topic.account,
        "Policy": policy,
        "DisplayName": "",
        "SubscriptionsConfirmed": str(confirmed),
        "SubscriptionsPending": str(pending),
        "SubscriptionsDeleted": str(topic.deleted_subscriptions),
        "EffectiveDeliveryPolicy": json.dumps(effective),
        **topic.attributes,
    }
    if topic.fifo:
        shown["FifoTopic"] = "true"
        shown.setdefault("ContentBasedDeduplication", "false")
        begins = kept_since(topic, now)
        if begins is not None:
            shown["BeginningArchiveTime"] = format_iso8601_millis(begins)
    return shown


def shown_subscription(topic: Topic | None, subscription: Subscription) -> Mapping[str, str]:
    """A subscription's attributes as GetSubscriptionAttributes answers them."""
    shown = {
        "SubscriptionArn": subscription.arn,
        "TopicArn": subscription.topic,
        "Owner": subscription.account,
        "Protocol": subscription.protocol,
        "Endpoint": subscription.endpoint,
        "RawMessageDelivery": "false",
        "PendingConfirmation": str(subscription.pending).lower(),
        "ConfirmationWasAuthenticated": str(subscription.authenticated).lower(),
        **subscription.attributes,
    }
    if subscription.protocol in {"http", "https"}:
        counts = delivery_policy_of(topic, subscription)
        effective: dict[str, Any] = {
            "healthyRetryPolicy": counts.retries,
            "requestPolicy": {"headerContentType": counts.content_type},
        }
        if counts.rate is not None:
            effective["throttlePolicy"] = {"maxReceivesPerSecond": int(counts.rate)}
        shown["EffectiveDeliveryPolicy"] = json.dumps(effective)
    if subscription.replay is not None:
        shown["ReplayStatus"] = subscription.replay.status
    if "FilterPolicy" in shown:
        shown.setdefault("FilterPolicyScope", "MessageAttributes")
    return shown
