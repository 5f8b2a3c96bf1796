"""SQS FIFO queues: exact order in each group, and each message once within five minutes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.services.sqs import limits
from doppio.services.sqs.access import fifo_handle
from doppio.services.sqs.counting import change_count
from doppio.services.sqs.errors import InvalidParameterValue, MessageNotInflight, MissingParameter
from doppio.services.sqs.records import (
    ATTEMPTED_UNTIL,
    READY,
    REMEMBERED_UNTIL,
    Attempt,
    Body,
    FifoMessage,
    Group,
    Message,
    Queue,
    Sent,
)
from doppio.services.sqs.rules import checked_token, content_deduplication
from doppio.services.sqs.views import sequence_number

# Each send forgets up to so many deduplication ids that have had their five minutes: no sweeper.
FORGOTTEN_A_SEND = 2
# A receipt takes at most ten messages of a group and locks it, so those in flight are among its
# first ten.
HEAD_COUNT_MAX = limits.RECEIVE_COUNT_MAX
# Microseconds, and a thousand numbers within each: below 2**63 for two centuries.
SEQUENCE_SCALE = 1_000


def deduplication_id(queue: Queue, entry: Mapping[str, Any], utf8: bytes) -> str | None:
    """What makes a message the same as another one; None on a standard queue."""
    given = entry.get("MessageDeduplicationId")
    if not queue.fifo:
        if given is not None:
            raise InvalidParameterValue(
                f"Value {given} for parameter MessageDeduplicationId is invalid. Reason: The "
                "request includes a parameter that is not valid for this queue type."
            )
        return None
    if entry.get("MessageGroupId") is None:
        raise MissingParameter("The request must contain the parameter MessageGroupId.")
    if given is not None:
        return checked_token("MessageDeduplicationId", given)
    if queue.content_deduplication:
        return content_deduplication(utf8)
    raise InvalidParameterValue(
        "The queue should either have ContentBasedDeduplication enabled or "
        "MessageDeduplicationId provided explicitly"
    )


async def accept(
    ctx: Context, tx: Tx, queue: Queue, body: Body, delay: timedelta
) -> dict[str, Any]:
    """Put a message at the end of its group, unless it was sent within the last five minutes."""
    group, deduplication = body.group, body.deduplication
    assert group is not None
    assert deduplication is not None
    scope = group if queue.deduplication_scope == "messageGroup" else ""
    await _forget(tx, queue, ctx.now)
    known = await tx.get(Sent, queue.id, scope, deduplication)
    if known is not None and known.until > ctx.now:
        return {"MessageId": known.message_id, "SequenceNumber": sequence_number(known.sequence)}
    message_id = ctx.new_id()
    sequence = await append(tx, queue, group, message_id, body, ctx.now, ctx.now + delay)
    until = ctx.now + limits.DEDUPLICATION
    tx.put(
        Sent(
            queue=queue.id, scope=scope, deduplication=deduplication, message_id=message_id,
            sequence=sequence, until=until,
        )
    )  # fmt: skip
    return {"MessageId": message_id, "SequenceNumber": sequence_number(sequence)}


async def append(
    tx: Tx,
    queue: Queue,
    group: str,
    message_id: str,
    body: Body,
    now: datetime,
    visible_at: datetime,
    source: str | None = None,
) -> int:
    """Put a message at the end of a group; its sequence number."""
    last = await tx.list(FifoMessage, (queue.id, group), limit=1, reverse=True)
    sequence = int(now.timestamp() * 1_000_000) * SEQUENCE_SCALE
    if last:
        # Time may stand still or have been turned back; the order may not.
        sequence = max(sequence, last[0].sequence + 1)
    tx.add(
        FifoMessage(
            queue=queue.id, group=group, sequence=sequence, visible_at=visible_at, id=message_id,
            body=body, dead_letter_source=source,
        )
    )  # fmt: skip
    if await tx.get(Group, queue.id, group) is None:
        tx.put(Group(queue=queue.id, group=group, ready_at=visible_at))
    change_count(tx, queue.id, 1)
    return sequence


async def receive(
    ctx: Context,
    tx: Tx,
    queue: Queue,
    now: datetime,
    count: int,
    hide: timedelta,
) -> list[FifoMessage]:
    """Take up to `count` messages, in order within each group, and lock their groups."""
    taken: list[FifoMessage] = []
    for group in await tx.find(READY, (queue.id,), until=now, limit=limits.RECEIVE_COUNT_MAX):
        if len(taken) == count:
            break
        taken += await _take(tx, queue, group, now, count - len(taken), hide)
    return taken


async def remember(
    tx: Tx, queue: Queue, attempt: str, given: Sequence[Message | FifoMessage], now: datetime
) -> None:
    """Keep what a receive request attempt was given, for the five minutes of its id."""
    rows = [(m.group, m.sequence, m.visible_at) for m in given if isinstance(m, FifoMessage)]
    await tx.get(Attempt, queue.id, attempt)
    until = now + limits.ATTEMPT
    tx.put(Attempt(queue=queue.id, attempt=attempt, given=rows, until=until))


async def _take(
    tx: Tx, queue: Queue, group: Group, now: datetime, count: int, hide: timedelta
) -> list[FifoMessage]:
    taken: list[FifoMessage] = []
    for message in await tx.list(FifoMessage, (queue.id, group.group), limit=count):
        if message.visible_at > now:
            break
        taken.append(
            replace(
                message,
                visible_at=now + hide,
                receives=message.receives + 1,
                first_received_at=message.first_received_at or now,
            )
        )
    for message in taken:
        tx.put(message)
    await settle(tx, queue.id, group.group, now)
    return taken


async def settle(tx: Tx, queue_id: str, group: str, now: datetime) -> None:
    """Make the group say when its head may be received, or forget it if it is empty."""
    known = await tx.get(Group, queue_id, group)
    head = await tx.list(FifoMessage, (queue_id, group), limit=HEAD_COUNT_MAX)
    if not head:
        if known is not None:
            tx.delete(known)
        return
    in_flight = [m.visible_at for m in head if m.receives > 0 and m.visible_at > now]
    ready_at = max(in_flight) if in_flight else head[0].visible_at
    tx.put(Group(queue=queue_id, group=group, ready_at=ready_at))


async def delete(tx: Tx, queue: Queue, handle: str, now: datetime) -> None:
    """Remove a received message; its group may go on. A handle serves while its receipt lasts."""
    queue_id, group, sequence, message_id, receives = fifo_handle(handle)
    if queue_id != queue.id:
        return
    message = await tx.get(FifoMessage, queue_id, group, sequence)
    # Where time stands still, a later message may have the number of one that is gone.
    if message is None or message.id != message_id:
        return
    if message.receives != receives or message.visible_at <= now:
        raise InvalidParameterValue(
            f"Value {handle} for parameter ReceiptHandle is invalid. "
            "Reason: The receipt handle has expired."
        )
    tx.delete(message)
    change_count(tx, queue_id, -1)
    await settle(tx, queue_id, group, now)


async def change_visibility(tx: Tx, queue: Queue, handle: str, now: datetime, seconds: int) -> None:
    """Hide a received message for longer, or less long."""
    queue_id, group, sequence, message_id, receives = fifo_handle(handle)
    message = await tx.get(FifoMessage, queue_id, group, sequence)
    if message is None or queue_id != queue.id or message.id != message_id:
        raise not_available(handle)
    if message.receives != receives or message.visible_at <= now:
        raise MessageNotInflight()
    tx.put(replace(message, visible_at=hidden_until(message, now, seconds)))
    await settle(tx, queue_id, group, now)


async def given_before(
    tx: Tx, queue: Queue, attempt: str, now: datetime, hide: timedelta
) -> list[FifoMessage]:
    """What an attempt was given, hidden anew; nothing if any of it was changed meanwhile."""
    for old in await tx.find(ATTEMPTED_UNTIL, (queue.id,), until=now, limit=FORGOTTEN_A_SEND):
        tx.delete(old)
    known = await tx.get(Attempt, queue.id, attempt)
    if known is None or known.until <= now:
        return []
    again: list[FifoMessage] = []
    for group, sequence, visible_at in known.given:
        message = await tx.get(FifoMessage, queue.id, group, sequence)
        if message is None or message.visible_at != visible_at or visible_at <= now:
            return []
        again.append(replace(message, visible_at=now + hide))
    for message in again:
        tx.put(message)
    for group in {message.group for message in again}:
        await settle(tx, queue.id, group, now)
    await remember(tx, queue, attempt, again, now)
    return again


def hidden_until(message: Message | FifoMessage, now: datetime, seconds: int) -> datetime:
    """The new end of a hiding. Raises InvalidParameterValue beyond twelve hours in all."""
    until = now + timedelta(seconds=seconds)
    first = message.first_received_at or now
    if until > first + timedelta(seconds=limits.VISIBILITY_SECONDS_MAX):
        raise InvalidParameterValue(
            f"Value {seconds} for parameter VisibilityTimeout is invalid. Reason: Total "
            "VisibilityTimeout for the message is beyond the limit [43200 seconds]."
        )
    return until


def not_available(handle: str) -> InvalidParameterValue:
    """What AWS says of a change of visibility for a message that is gone or was given again."""
    return InvalidParameterValue(
        f"Value {handle} for parameter ReceiptHandle is invalid. "
        "Reason: Message does not exist or is not available for visibility timeout change."
    )


async def _forget(tx: Tx, queue: Queue, now: datetime) -> None:
    for old in await tx.find(REMEMBERED_UNTIL, (queue.id,), until=now, limit=FORGOTTEN_A_SEND):
        tx.delete(old)
