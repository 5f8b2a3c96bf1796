"""SQS: how a message gets into a queue."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec

from doppio.kernel.context import Context, Tx
from doppio.kernel.keys import pack
from doppio.kernel.records import table_of
from doppio.services.sqs import fair, fifo, limits
from doppio.services.sqs.access import line_of
from doppio.services.sqs.counting import count_key
from doppio.services.sqs.errors import InvalidParameterValue
from doppio.services.sqs.records import Body, Message, Queue
from doppio.services.sqs.rules import (
    attributes_md5,
    body_md5,
    checked_attributes,
    checked_body,
    checked_size,
    checked_token,
    checked_trace,
    in_range,
)

_encode = table_of(Message).encode


# What is said of a message beside its text.
_EXTRAS = frozenset(
    {"DelaySeconds", "MessageAttributes", "MessageDeduplicationId", "MessageGroupId",
     "MessageSystemAttributes"}
)  # fmt: skip


class Draft(msgspec.Struct, frozen=True):
    """A message that may be sent: checked, measured, and with its digests."""

    body: Body
    utf8: bytes
    size: int
    delay: timedelta
    digests: dict[str, str]


def draft(ctx: Context, queue: Queue, entry: Mapping[str, Any]) -> Draft:
    """Check one message of a request. Raises what AWS says of a bad one."""
    text: str = entry["MessageBody"]
    utf8 = checked_body(text)
    size = len(utf8)
    digests = {"MD5OfMessageBody": body_md5(utf8)}
    if not queue.fifo and _EXTRAS.isdisjoint(entry):
        if size > queue.message_bytes_max:
            checked_size(size, queue.message_bytes_max)
        body = Body(text=text, sender=ctx.caller.id, sent_at=ctx.now)
        return Draft(body, utf8, size, queue.delay, digests)
    attributes = entry.get("MessageAttributes")
    if attributes:
        size += checked_attributes(attributes)
        digests["MD5OfMessageAttributes"] = attributes_md5(attributes)
    trace = _trace(entry, digests)
    checked_size(size, queue.message_bytes_max)
    delay = queue.delay
    if "DelaySeconds" in entry:
        # Zero seconds say nothing, and are let pass.
        if queue.fifo and entry["DelaySeconds"]:
            raise InvalidParameterValue(
                f"Value {entry['DelaySeconds']} for parameter DelaySeconds is invalid. Reason: The "
                "request include parameter that is not valid for this queue type."
            )
        seconds = in_range(
            "DelaySeconds", entry["DelaySeconds"], 0, limits.DELAY_SECONDS_MAX,
            f"DelaySeconds must be >= 0 and <= {limits.DELAY_SECONDS_MAX}.",
        )  # fmt: skip
        if not queue.fifo:
            delay = timedelta(seconds=seconds)
    group = entry.get("MessageGroupId")
    if group is not None:
        checked_token("MessageGroupId", group)
    body = Body(
        text=text,
        sender=ctx.caller.id,
        sent_at=ctx.now,
        attributes=attributes or None,
        trace=trace,
        group=group,
        deduplication=fifo.deduplication_id(queue, entry, utf8),
    )
    return Draft(body, utf8, size, delay, digests)


def _trace(entry: Mapping[str, Any], digests: dict[str, str]) -> str | None:
    system = entry.get("MessageSystemAttributes")
    if not system:
        return None
    trace = checked_trace(system)
    digests["MD5OfMessageSystemAttributes"] = attributes_md5(system)
    return trace


def request_type(queue: Queue) -> str:
    """The usage type of a request."""
    return "Requests-FIFO-Tier1" if queue.fifo else "Requests-Tier1"


async def accept(ctx: Context, tx: Tx, queue: Queue, sent: Draft) -> dict[str, Any]:
    """Put a message into its queue; what the sender is told."""
    if not queue.fifo:
        return stand(ctx, tx, queue, sent)
    told = await fifo.accept(ctx, tx, queue, sent.body, sent.delay)
    tx.wake(queue.topic)
    return {**told, **sent.digests}


def stand(ctx: Context, tx: Tx, queue: Queue, sent: Draft) -> dict[str, Any]:
    """Put a message into a standard queue; what the sender is told."""
    body, message_id = sent.body, ctx.new_id()
    visible_at = ctx.now + sent.delay
    message = Message(queue=queue.id, visible_at=visible_at, id=message_id, body=body)
    raw = tx.raw
    raw.put(line_of(queue.id) + pack(visible_at, message_id), _encode(message))
    if body.group is not None:
        fair.stands(tx, message)
    raw.add(count_key(queue.id), 1.0)
    raw.notify(queue.topic)
    return {"MessageId": message_id, **sent.digests}
