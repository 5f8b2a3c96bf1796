"""How other services send and take messages for their users, by SQS's operations (and SNS's).

Who asks does so as a role of its user's, through the door. A message is deleted by its handle once it
has arrived where it was to go; what is not appears again after its visibility timeout.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from doppio.kernel.context import Context

RECEIVE_COUNT_MAX = 10
POLL_SECONDS = 20


def url_of(ctx: Context, arn: str) -> str:
    """A queue's URL, by its ARN."""
    parts = arn.split(":")
    return f"{ctx.kernel.endpoint}/{parts[4]}/{parts[5]}"


async def post(acting: Context, arn: str, text: str, **more: Any) -> None:
    """Send a text to a queue, or to a topic, by its ARN; `more` are members that both know."""
    if arn.split(":")[2] == "sns":
        await acting.call("sns", "publish", {"TopicArn": arn, "Message": text, **more})
    else:
        req = {"QueueUrl": url_of(acting, arn), "MessageBody": text, **more}
        await acting.call("sqs", "send_message", req)


async def received(
    acting: Context, arn: str, size: int, window: timedelta
) -> list[Mapping[str, Any]]:
    """A batch of a queue's messages: it ends when it is full, or `window` after its first message.

    Where none comes within a long poll, it is empty. Without a window it is what one receipt gives.
    """
    found: list[Mapping[str, Any]] = []
    until = None
    while len(found) < size:
        now = acting.clock.now()
        wait = POLL_SECONDS
        if until is not None:
            wait = min(wait, int((until - now).total_seconds()))
            if wait <= 0 and now >= until:
                break
        answer = await acting.call(
            "sqs",
            "receive_message",
            {
                "QueueUrl": url_of(acting, arn),
                "MaxNumberOfMessages": min(RECEIVE_COUNT_MAX, size - len(found)),
                "WaitTimeSeconds": max(wait, 0),
                "MessageAttributeNames": ["All"],
                "MessageSystemAttributeNames": ["All"],
            },
        )
        page = answer.get("Messages", [])
        found += page
        if not window or (not page and until is None) or wait <= 0:
            break
        until = until or acting.clock.now() + window
    return found


async def delete(acting: Context, arn: str, handles: Sequence[str]) -> None:
    """Delete messages by their handles."""
    for first in range(0, len(handles), RECEIVE_COUNT_MAX):
        part = handles[first : first + RECEIVE_COUNT_MAX]
        entries = [{"Id": str(at), "ReceiptHandle": one} for at, one in enumerate(part)]
        req = {"QueueUrl": url_of(acting, arn), "Entries": entries}
        await acting.call("sqs", "delete_message_batch", req)


def event_of(message: Mapping[str, Any], queue: str) -> dict[str, Any]:
    """A message as an event, as functions and pipes are told it: bytes are in Base64."""
    attributes: dict[str, Any] = {}
    for name, one in (message.get("MessageAttributes") or {}).items():
        told: dict[str, Any] = {
            "stringListValues": [],
            "binaryListValues": [],
            "dataType": one["DataType"],
        }
        if one.get("StringValue") is not None:
            told["stringValue"] = one["StringValue"]
        if one.get("BinaryValue") is not None:
            told["binaryValue"] = base64.b64encode(one["BinaryValue"]).decode()
        attributes[name] = told
    event = {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": dict(message.get("Attributes") or {}),
        "messageAttributes": attributes,
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": queue,
        "awsRegion": queue.split(":")[3],
    }
    if message.get("MD5OfMessageAttributes"):
        event["md5OfMessageAttributes"] = message["MD5OfMessageAttributes"]
    return event
