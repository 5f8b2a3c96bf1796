"""What subscribers get: the text for their protocol, in SNS's envelope or raw. Pure."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from doppio.services.sns.records import Message, Subscription
from doppio.wire.timestamps import format_iso8601_millis

# A line of the text that is signed: which fields, in which order. Source: "Verifying the
# signatures of Amazon SNS messages".
_SIGNED = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_SIGNED_CONFIRMATION = (
    "Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type",
)  # fmt: skip

Sign = Callable[[bytes], str]


def text_for(message: Message, protocol: str) -> str:
    """The text of a message for a protocol: its own where the message has one."""
    if message.structure is None:
        return message.text
    found = message.structure.get(protocol)
    return message.structure["default"] if found is None else found


def unsubscribe_url(endpoint: str, arn: str) -> str:
    """The link that ends a subscription."""
    return f"{endpoint}/?Action=Unsubscribe&SubscriptionArn={arn}&Version=2010-03-31"


def subscribe_url(endpoint: str, topic: str, token: str) -> str:
    """The link that confirms a subscription."""
    return (
        f"{endpoint}/?Action=ConfirmSubscription&TopicArn={topic}&Token={token}&Version=2010-03-31"
    )


def envelope(
    message: Message,
    subscription: Subscription,
    *,
    endpoint: str,
    certificate_url: str,
    version: str,
    sign: Sign,
) -> dict[str, Any]:
    """The JSON object that tells a subscriber of a message, signed."""
    told: dict[str, Any] = {"Type": message.kind, "MessageId": message.id}
    if message.sequence is not None:
        told["SequenceNumber"] = sequence_text(message.sequence)
    if message.token is not None:
        told["Token"] = message.token
    told["TopicArn"] = message.topic
    if message.subject is not None:
        told["Subject"] = message.subject
    told["Message"] = text_for(message, subscription.protocol)
    if message.token is not None:
        told["SubscribeURL"] = subscribe_url(endpoint, message.topic, message.token)
    told["Timestamp"] = format_iso8601_millis(message.published_at)
    told["SignatureVersion"] = version
    told["Signature"] = sign(signed_text(told).encode())
    told["SigningCertURL"] = certificate_url
    if message.kind == "Notification":
        told["UnsubscribeURL"] = unsubscribe_url(endpoint, subscription.arn)
    if message.attributes:
        told["MessageAttributes"] = {
            name: {"Type": one["DataType"], "Value": _value(one)}
            for name, one in message.attributes.items()
        }
    if message.replayed:
        told["Replayed"] = "true"
    return told


def signed_text(told: Mapping[str, Any]) -> str:
    """The text over which an envelope's signature is made."""
    names = _SIGNED if told["Type"] == "Notification" else _SIGNED_CONFIRMATION
    return "".join([f"{name}\n{told[name]}\n" for name in names if name in told])


def as_json(told: Mapping[str, Any]) -> str:
    """An envelope as it is sent: indented, as SNS does it."""
    try:
        return orjson.dumps(told, option=orjson.OPT_INDENT_2).decode()
    except orjson.JSONEncodeError:
        # It has no numbers of more than 64 bits.
        return json.dumps(told, indent=2, ensure_ascii=False)


def sequence_text(sequence: int) -> str:
    """A sequence number as SNS writes it."""
    return f"1{sequence:019d}"


def filtered(message: Message, scope: str) -> Any:
    """What a filter policy looks at: the attributes' values, or the body where it is JSON."""
    if scope == "MessageBody":
        try:
            return json.loads(message.text)
        except ValueError:
            return None
    found: dict[str, Any] = {}
    for name, one in message.attributes.items():
        kind, text = one["DataType"], one.get("StringValue")
        if text is None:
            continue
        try:
            if kind.startswith("Number"):
                found[name] = _number(text)
            elif kind.startswith("String.Array"):
                found[name] = json.loads(text)
            else:
                found[name] = text
        except ValueError:
            continue
    return found


def why_filtered(message: Message, scope: str) -> str:
    """Why a filter policy did not want a message, in the words of CloudWatch's metrics."""
    if scope == "MessageBody":
        return "InvalidMessageBody" if filtered(message, scope) is None else "MessageBody"
    if not message.attributes:
        return "NoMessageAttributes"
    readable = sum(1 for one in message.attributes.values() if one.get("StringValue") is not None)
    valid = len(filtered(message, scope)) == readable
    return "MessageAttributes" if valid else "InvalidAttributes"


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _value(one: Mapping[str, Any]) -> str:
    if "BinaryValue" in one:
        return base64.b64encode(one["BinaryValue"]).decode()
    text: str = one.get("StringValue", "")
    return text
