"""How SQS's records look on the wire."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from doppio.services.sqs.records import FifoMessage, Message
from doppio.services.sqs.rules import attributes_md5, body_md5


def message_to_wire(
    message: Message | FifoMessage, handle: str, req: Mapping[str, Any]
) -> dict[str, Any]:
    """A message as ReceiveMessage hands it out, with the attributes that were asked for."""
    body = message.body
    shown: dict[str, Any] = {
        "MessageId": message.id,
        "ReceiptHandle": handle,
        "MD5OfBody": body_md5(body.text.encode()),
        "Body": body.text,
    }
    if "AttributeNames" in req or "MessageSystemAttributeNames" in req:
        wanted = {*req.get("AttributeNames", ()), *req.get("MessageSystemAttributeNames", ())}
        system = system_attributes(message)
        if "All" not in wanted:
            system = {name: value for name, value in system.items() if name in wanted}
        if system:
            shown["Attributes"] = system
    if body.attributes and req.get("MessageAttributeNames"):
        chosen = choose(body.attributes, req["MessageAttributeNames"])
        if chosen:
            shown["MessageAttributes"] = chosen
            shown["MD5OfMessageAttributes"] = attributes_md5(chosen)
    return shown


def sequence_number(sequence: int) -> str:
    """A sequence number as AWS shows it: twenty digits, none of them a leading zero."""
    return str(10**19 + sequence)


def system_attributes(message: Message | FifoMessage) -> dict[str, str]:
    """What SQS itself knows of a message."""
    body = message.body
    system = {
        "SenderId": body.sender,
        "SentTimestamp": millis(body.sent_at),
        "ApproximateReceiveCount": str(message.receives),
        "ApproximateFirstReceiveTimestamp": millis(message.first_received_at or body.sent_at),
    }
    if isinstance(message, FifoMessage):
        system["SequenceNumber"] = sequence_number(message.sequence)
    further = {
        "MessageGroupId": body.group,
        "MessageDeduplicationId": body.deduplication,
        "AWSTraceHeader": body.trace,
        "DeadLetterQueueSourceArn": message.dead_letter_source,
    }
    return {**system, **{name: value for name, value in further.items() if value is not None}}


def choose(attributes: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The message attributes that were asked for by name, by `prefix.*`, or all."""
    exact = set(names)
    if exact & {"All", ".*"}:
        return dict(attributes)
    prefixes = tuple(name[:-2] for name in exact if name.endswith(".*"))
    return {
        name: value
        for name, value in attributes.items()
        if name in exact or (prefixes and name.startswith(prefixes))
    }


def millis(moment: datetime) -> str:
    """A moment as SQS shows it: milliseconds since 1970."""
    return str(int(moment.timestamp() * 1000))
