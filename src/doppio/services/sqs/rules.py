"""SQS's decisions, pure: digests, checks of what users may send, receipt handles, billing."""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Iterable, Mapping
from typing import Any

from doppio.services.sqs import limits
from doppio.services.sqs.errors import (
    BatchEntryIdsNotDistinct,
    BatchRequestTooLong,
    EmptyBatchRequest,
    InvalidBatchEntryId,
    InvalidMessageContents,
    InvalidParameterValue,
    MissingParameter,
    TooManyEntriesInBatchRequest,
)

_FORBIDDEN = re.compile("[^\x09\x0a\x0d\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ALLOWED_ASCII = b"\t\n\r" + bytes(range(0x20, 0x80))
_BAD_CHARACTERS = (
    "Invalid characters found. Valid unicode characters are "
    "#x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF"
)
_ATTRIBUTE_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_BATCH_ID = re.compile(r"[A-Za-z0-9_-]{1,80}")
_QUEUE_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")
_FIFO_NAME = re.compile(r"[A-Za-z0-9_-]{1,75}\.fifo")
_TOKEN = re.compile(r"[A-Za-z0-9!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]{1,128}")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_TYPE = re.compile(r"(String|Number|Binary)(\.[\x21-\x7e]+)?")
_ACCOUNT = re.compile(r"[0-9]{12}")


def queue_name_ok(name: str, *, fifo: bool) -> bool:
    """Whether a queue may have this name."""
    return bool((_FIFO_NAME if fifo else _QUEUE_NAME).fullmatch(name))


# Other accounts may be allowed these, and never the owner's.
_GRANTABLE = frozenset({
    "*", "SendMessage", "ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility",
    "GetQueueAttributes", "GetQueueUrl", "ListDeadLetterSourceQueues", "PurgeQueue",
})  # fmt: skip
OWNERS = frozenset({
    "AddPermission", "CancelMessageMoveTask", "CreateQueue", "DeleteQueue",
    "ListMessageMoveTasks", "ListQueues", "ListQueueTags", "RemovePermission",
    "SetQueueAttributes", "StartMessageMoveTask", "TagQueue", "UntagQueue",
})  # fmt: skip


def check_actions(actions: Iterable[str]) -> None:
    """Raises InvalidParameterValue for an action that AddPermission cannot give."""
    for action in actions:
        if action in _GRANTABLE:
            continue
        why = (
            "Only the queue owner is allowed to invoke this action."
            if action in OWNERS
            else "Please refer to the appropriate WSDL for a list of valid actions."
        )
        raise InvalidParameterValue(
            f"Value SQS:{action} for parameter ActionName is invalid. Reason: {why}"
        )


def check_accounts(accounts: Iterable[str]) -> None:
    """Raises InvalidParameterValue for what cannot be an account."""
    for account in accounts:
        if not _ACCOUNT.fullmatch(account):
            raise InvalidParameterValue(
                f"Value [{account}] for parameter PrincipalId is invalid. Reason: Unable to verify."
            )


def body_md5(text: bytes) -> str:
    """The digest of a body."""
    return hashlib.md5(text, usedforsecurity=False).hexdigest()


def attributes_md5(attributes: Mapping[str, Mapping[str, Any]]) -> str:
    """The digest of message attributes ("Calculating the MD5 message digest" in the guide)."""
    digest = hashlib.md5(usedforsecurity=False)
    for name in sorted(attributes):
        attribute = attributes[name]
        kind = attribute["DataType"]
        for part in (name, kind):
            _add(digest, part.encode())
        if kind.startswith("Binary"):
            digest.update(b"\x02")
            _add(digest, attribute["BinaryValue"])
        else:
            digest.update(b"\x01")
            _add(digest, attribute["StringValue"].encode())
    return digest.hexdigest()


def _add(digest: Any, part: bytes) -> None:
    digest.update(struct.pack(">I", len(part)))
    digest.update(part)


def checked_body(text: str) -> bytes:
    """A body as UTF-8. Raises MissingParameter and InvalidMessageContents."""
    if not text:
        raise MissingParameter("The request must contain the parameter MessageBody.")
    if text.isascii():
        utf8 = text.encode()
        # A fifth of the time that the expression takes.
        if utf8.translate(None, _ALLOWED_ASCII):
            raise InvalidMessageContents(_BAD_CHARACTERS)
        return utf8
    if _FORBIDDEN.search(text):
        raise InvalidMessageContents(_BAD_CHARACTERS)
    return text.encode()


def checked_attributes(attributes: Mapping[str, Mapping[str, Any]]) -> int:
    """The bytes that message attributes add to a message. Raises InvalidParameterValue."""
    if len(attributes) > limits.ATTRIBUTE_COUNT_MAX:
        raise InvalidParameterValue(
            f"Number of message attributes [{len(attributes)}] exceeds the allowed maximum [10]."
        )
    return sum(_attribute_bytes(name, attribute) for name, attribute in attributes.items())


def _attribute_bytes(name: str, attribute: Mapping[str, Any]) -> int:
    if not 1 <= len(name) <= limits.ATTRIBUTE_NAME_CHARS_MAX or not _ATTRIBUTE_NAME.fullmatch(name):
        raise InvalidParameterValue(
            "Message (user) attribute name can contain only alphanumeric characters and the "
            "underscore (_), hyphen (-), and period (.), and is at most 256 characters long."
        )
    lowered = name.lower()
    if lowered.startswith(("aws.", "amazon.")) or name[0] == "." or name[-1] == "." or ".." in name:
        raise InvalidParameterValue(
            f"Message (user) attribute name '{name}' is reserved or has a misplaced period."
        )
    kind = attribute.get("DataType", "")
    if not _TYPE.fullmatch(kind) or len(kind) > limits.ATTRIBUTE_TYPE_CHARS_MAX:
        raise InvalidParameterValue(
            f"The type of message (user) attribute '{name}' is invalid. You must use only the "
            "following supported type prefixes: Binary, Number, String."
        )
    base = kind.partition(".")[0]
    member = "BinaryValue" if base == "Binary" else "StringValue"
    value = attribute.get(member)
    if not value:
        raise InvalidParameterValue(
            f"Message (user) attribute '{name}' must contain a non-empty value of type '{base}'."
        )
    if base == "Number" and not _NUMBER.fullmatch(value):
        raise InvalidParameterValue(
            f"Can't cast the value of message (user) attribute '{name}' to a number."
        )
    if base == "String" and _FORBIDDEN.search(value):
        raise InvalidParameterValue(_BAD_CHARACTERS)
    size = len(value) if base == "Binary" else len(value.encode())
    return len(name) + len(kind) + size


def checked_trace(system: Mapping[str, Mapping[str, Any]]) -> str:
    """The trace header, the one system attribute there is. Raises InvalidParameterValue."""
    for name in system:
        if name != "AWSTraceHeader":
            raise InvalidParameterValue(
                f"Message system attribute name '{name}' is invalid. "
                "The only supported name is AWSTraceHeader."
            )
    attribute = system["AWSTraceHeader"]
    value: str = attribute.get("StringValue") or ""
    if attribute["DataType"] != "String" or not value or _FORBIDDEN.search(value):
        raise InvalidParameterValue(
            "Message system attribute 'AWSTraceHeader' must contain a non-empty string value."
        )
    return value


def checked_size(size: int, most: int) -> None:
    """Raises InvalidParameterValue for a message that is too long."""
    if size > most:
        raise InvalidParameterValue(
            f"One or more parameters are invalid. Reason: Message must be shorter than {most} bytes."
        )


def checked_token(name: str, value: str) -> str:
    """A group, deduplication or attempt id. Raises InvalidParameterValue."""
    if not _TOKEN.fullmatch(value):
        raise InvalidParameterValue(
            f"Value {value} for parameter {name} is invalid. Reason: {name} can only include "
            "alphanumeric and punctuation characters. 1 to 128 in length."
        )
    return value


def in_range(name: str, value: int, low: int, high: int, reason: str = "") -> int:
    """A number of a request. Raises InvalidParameterValue with AWS's text."""
    if not low <= value <= high:
        reason = reason or f"Must be between {low} and {high}, if provided."
        raise InvalidParameterValue(
            f"Value {value} for parameter {name} is invalid. Reason: {reason}"
        )
    return value


def checked_batch(entries: Iterable[Mapping[str, Any]]) -> None:
    """Raises what is wrong with a batch as a whole."""
    ids = [entry["Id"] for entry in entries]
    if not ids:
        raise EmptyBatchRequest("There should be at least one entry in the request.")
    if len(ids) > limits.BATCH_COUNT_MAX:
        raise TooManyEntriesInBatchRequest(
            "Maximum number of entries per request are "
            f"{limits.BATCH_COUNT_MAX}. You have sent {len(ids)}."
        )
    for given in ids:
        if not _BATCH_ID.fullmatch(given):
            raise InvalidBatchEntryId()
    if len(set(ids)) < len(ids):
        twice = next(given for number, given in enumerate(ids) if given in ids[:number])
        raise BatchEntryIdsNotDistinct(f"Id {twice} repeated.")


def checked_batch_size(size: int) -> None:
    """Raises BatchRequestTooLong."""
    if size > limits.BATCH_BYTES_MAX:
        raise BatchRequestTooLong(
            "Batch requests cannot be longer than "
            f"{limits.BATCH_BYTES_MAX} bytes. You have sent {size} bytes."
        )


def payload_size(entry: Mapping[str, Any]) -> int:
    """The bytes of a message that may be a bad one: body and attributes."""
    size = len(entry["MessageBody"].encode(errors="replace"))
    for name, attribute in entry.get("MessageAttributes", {}).items():
        texts = (name, attribute.get("DataType", ""), attribute.get("StringValue", ""))
        size += sum(len(text.encode(errors="replace")) for text in texts)
        size += len(attribute.get("BinaryValue", b""))
    return size


def billed_requests(size: int) -> int:
    """Requests billed for a payload of so many bytes."""
    return max(1, -(-size // limits.BILLED_CHUNK_BYTES))


def content_deduplication(text: bytes) -> str:
    """The deduplication id of a queue that takes the content for it."""
    return hashlib.sha256(text).hexdigest()
