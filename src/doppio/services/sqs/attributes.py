"""SQS queue attributes: from the wire into a record, and back.

Attributes travel as texts. Each is checked against AWS's range before anything is stored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec
from msgspec.structs import replace

from doppio.services.sqs import limits
from doppio.services.sqs.errors import (
    InvalidAttributeName,
    InvalidAttributeValue,
    InvalidParameterValue,
)
from doppio.services.sqs.records import Queue, RedrivePolicy

_INTEGER = re.compile(r"-?[0-9]{1,10}")
_SECONDS = {
    "DelaySeconds": ("delay", 0, limits.DELAY_SECONDS_MAX),
    "VisibilityTimeout": ("visibility", 0, limits.VISIBILITY_SECONDS_MAX),
    "MessageRetentionPeriod": (
        "retention", limits.RETENTION_SECONDS_MIN, limits.RETENTION_SECONDS_MAX,
    ),
    "ReceiveMessageWaitTimeSeconds": ("wait", 0, limits.WAIT_SECONDS_MAX),
}  # fmt: skip
_INTEGERS = {
    "MaximumMessageSize": (
        "message_bytes_max", limits.MESSAGE_BYTES_MIN, limits.MESSAGE_BYTES_MAX,
    ),
    "KmsDataKeyReusePeriodSeconds": (
        "kms_reuse_seconds", limits.KMS_REUSE_SECONDS_MIN, limits.KMS_REUSE_SECONDS_MAX,
    ),
}  # fmt: skip
_FIFO_CHOICES = {
    "DeduplicationScope": ("deduplication_scope", ("messageGroup", "queue")),
    "FifoThroughputLimit": ("throughput_limit", ("perQueue", "perMessageGroupId")),
}
# What a queue shows beside what is set.
_COMPUTED = frozenset({
    "All", "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed", "CreatedTimestamp", "LastModifiedTimestamp", "QueueArn",
})  # fmt: skip


def with_attributes(queue: Queue, attributes: Mapping[str, str]) -> Queue:
    """The queue with these attributes, `Policy` aside. Raises InvalidAttributeName or -Value."""
    changed: dict[str, Any] = {}
    for name, text in attributes.items():
        if name in _COMPUTED:
            raise InvalidAttributeName(f"Unknown Attribute {name}.")
        if name in _SECONDS:
            field, low, high = _SECONDS[name]
            changed[field] = timedelta(seconds=_integer(name, text, low, high))
        elif name in _INTEGERS:
            field, low, high = _INTEGERS[name]
            changed[field] = _integer(name, text, low, high)
        elif name == "RedrivePolicy":
            changed["redrive"] = redrive = redrive_policy(text)
            changed["dead_letter_arn"] = redrive.arn if redrive else None
        elif name == "RedriveAllowPolicy":
            changed["redrive_allow"] = _redrive_allow(text)
        elif name == "SqsManagedSseEnabled":
            changed["managed_encryption"] = changed["sealed_by_us"] = _boolean(name, text)
        elif name == "KmsMasterKeyId":
            changed["kms_key"] = text or None
        elif name != "Policy":
            changed.update(_fifo_attribute(queue, name, text))
    _check_encryption(changed)
    made = replace(queue, **changed)
    if made.throughput_limit == "perMessageGroupId" and made.deduplication_scope == "queue":
        # Its documentation: allowed only when the scope of deduplication is the message group.
        raise _invalid("FifoThroughputLimit")
    return made


def _check_encryption(changed: dict[str, Any]) -> None:
    """A queue is encrypted in one way at a time; the one that is asked for takes the other off."""
    if changed.get("kms_key"):
        if changed.get("managed_encryption"):
            raise InvalidAttributeValue(
                "You can use one type of server-side encryption (SSE) at one time. You can either "
                "enable KMS SSE or SQS SSE."
            )
        changed["managed_encryption"] = changed["sealed_by_us"] = False
    elif changed.get("managed_encryption"):
        changed["kms_key"] = None


def _fifo_attribute(queue: Queue, name: str, text: str) -> dict[str, Any]:
    if not queue.fifo or (name == "FifoQueue" and text != "true"):
        raise InvalidAttributeName(f"Unknown Attribute {name}.")
    if name == "FifoQueue":
        return {}
    if name == "ContentBasedDeduplication":
        return {"content_deduplication": _boolean(name, text)}
    if name in _FIFO_CHOICES:
        field, choices = _FIFO_CHOICES[name]
        if text not in choices:
            raise _invalid(name)
        return {field: text}
    raise InvalidAttributeName(f"Unknown Attribute {name}.")


def redrive_policy(text: str) -> RedrivePolicy | None:
    """A redrive policy; an empty one takes it away. Raises InvalidAttributeValue."""
    if not text:
        return None
    given = _json(text, "RedrivePolicy")
    if not given:
        return None
    try:
        arn = given["deadLetterTargetArn"]
        receives = int(given["maxReceiveCount"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        missing = "deadLetterTargetArn" if "deadLetterTargetArn" not in given else "maxReceiveCount"
        why = f"Redrive policy does not contain mandatory attribute: {missing}."
        raise bad_redrive(text, why) from error
    if not 1 <= receives <= limits.RECEIVES_MAX:
        raise bad_redrive(
            text,
            f"Invalid value for maxReceiveCount: {receives}, valid values are from 1 to "
            f"{limits.RECEIVES_MAX} both inclusive.",
        )
    if not isinstance(arn, str) or arn.count(":") != 5:
        raise bad_redrive(text, "Invalid value for deadLetterTargetArn.")
    return RedrivePolicy(arn=arn, receives_max=receives)


def bad_redrive(text: str, why: str) -> InvalidParameterValue:
    """What AWS says of a redrive policy that cannot be."""
    return InvalidParameterValue(
        f"Value {text} for parameter RedrivePolicy is invalid. Reason: {why}"
    )


def _redrive_allow(text: str) -> str | None:
    if not text:
        return None
    given = _json(text, "RedriveAllowPolicy")
    permission = given.get("redrivePermission")
    sources = given.get("sourceQueueArns")
    if permission not in {"allowAll", "denyAll", "byQueue"}:
        raise _invalid("RedriveAllowPolicy")
    if (permission == "byQueue") != bool(sources):
        raise _invalid("RedriveAllowPolicy")
    if not isinstance(sources, list | None) or len(sources or ()) > limits.REDRIVE_SOURCES_MAX:
        raise _invalid("RedriveAllowPolicy")
    if any(not isinstance(arn, str) or arn.count(":") != 5 for arn in sources or ()):
        raise _invalid("RedriveAllowPolicy")
    return text


def may_redrive(target: Queue, source_arn: str) -> bool:
    """Whether a dead-letter queue lets this queue use it."""
    if target.redrive_allow is None:
        return True
    given = json.loads(target.redrive_allow)
    permission = given["redrivePermission"]
    return permission == "allowAll" or source_arn in given.get("sourceQueueArns", [])


def known_names() -> frozenset[str]:
    """All attributes that a client may ask for."""
    return _COMPUTED | {
        *_SECONDS, *_INTEGERS, *_FIFO_CHOICES, "FifoQueue", "ContentBasedDeduplication",
        "RedrivePolicy", "RedriveAllowPolicy", "SqsManagedSseEnabled", "KmsMasterKeyId", "Policy",
    }  # fmt: skip


def to_wire(queue: Queue) -> dict[str, str]:
    """The attributes that stand in the record."""
    shown = {
        "QueueArn": queue.arn,
        "CreatedTimestamp": str(int(queue.created_at.timestamp())),
        "LastModifiedTimestamp": str(int(queue.modified_at.timestamp())),
        "SqsManagedSseEnabled": str(queue.managed_encryption).lower(),
    }
    for name, (field, _, _) in _SECONDS.items():
        shown[name] = str(int(getattr(queue, field).total_seconds()))
    shown["MaximumMessageSize"] = str(queue.message_bytes_max)
    if queue.redrive is not None:
        shown["RedrivePolicy"] = json.dumps(
            {
                "deadLetterTargetArn": queue.redrive.arn,
                "maxReceiveCount": queue.redrive.receives_max,
            },
            separators=(",", ":"),
        )
    if queue.redrive_allow is not None:
        shown["RedriveAllowPolicy"] = queue.redrive_allow
    if queue.kms_key is not None:
        shown["KmsMasterKeyId"] = queue.kms_key
        shown["KmsDataKeyReusePeriodSeconds"] = str(queue.kms_reuse_seconds)
    if queue.fifo:
        shown["FifoQueue"] = "true"
        shown["ContentBasedDeduplication"] = str(queue.content_deduplication).lower()
        shown["DeduplicationScope"] = queue.deduplication_scope
        shown["FifoThroughputLimit"] = queue.throughput_limit
    return shown


def _integer(name: str, text: str, low: int, high: int) -> int:
    if not _INTEGER.fullmatch(text) or not low <= int(text) <= high:
        raise _invalid(name)
    return int(text)


def _boolean(name: str, text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise _invalid(name)
    return text.lower() == "true"


def _json(text: str, name: str) -> dict[str, Any]:
    try:
        # Stricter than the standard library's: no NaN, and no halves of characters.
        given = msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeEncodeError) as error:
        raise _invalid(name) from error
    if not isinstance(given, dict):
        raise _invalid(name)
    return given


def _invalid(name: str) -> InvalidAttributeValue:
    return InvalidAttributeValue(f"Invalid value for the parameter {name}.")
