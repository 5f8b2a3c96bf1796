"""SQS messages: send, receive, delete, change visibility, and their batches.

Receiving only moves a message later, and the clock does the rest: there is no sweeper to forget.
What must be remembered about a message is in its row; memory holds only who waits for one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx, row_key
from doppio.kernel.keys import pack
from doppio.kernel.metrics import Measure
from doppio.kernel.records import table_of
from doppio.services.sqs import fair, fifo, limits
from doppio.services.sqs.access import (
    by_arn,
    handle_at,
    handle_of,
    in_use,
    line_of,
    message_id_in,
    standard_handle,
)
from doppio.services.sqs.counting import Crowds, change_count
from doppio.services.sqs.errors import (
    MessageNotInflight,
    OverLimit,
)
from doppio.services.sqs.heads import Heads
from doppio.services.sqs.measures import DELETED, EMPTY_RECEIVES, RECEIVED, SENT
from doppio.services.sqs.records import READY, FifoMessage, Forward, Message, Queue
from doppio.services.sqs.rules import (
    billed_requests,
    checked_batch,
    checked_batch_size,
    checked_token,
    in_range,
    payload_size,
)
from doppio.services.sqs.sealing import DataKeys
from doppio.services.sqs.sending import accept, draft, request_type, stand
from doppio.services.sqs.upkeep import forget_forward
from doppio.services.sqs.views import message_to_wire
from doppio.wire.errors import AwsError

if TYPE_CHECKING:
    from doppio._stubs.sqs import (
        ChangeMessageVisibilityBatchRequest,
        ChangeMessageVisibilityBatchResult,
        ChangeMessageVisibilityRequest,
        DeleteMessageBatchRequest,
        DeleteMessageBatchResult,
        DeleteMessageRequest,
        ReceiveMessageRequest,
        ReceiveMessageResult,
        SendMessageBatchRequest,
        SendMessageBatchResult,
        SendMessageRequest,
        SendMessageResult,
    )


_MESSAGES = table_of(Message)
# What is handed out, by receipt handles.
Taken = list[tuple[str, Message | FifoMessage]]
# The store's clock ticks in microseconds.
MOMENT = timedelta(microseconds=1)
# So often a receipt looks in one transaction, where all it finds has expired or is dead.
LOOKS_MAX = 100


class Messages:
    """The message operations."""

    def __init__(self) -> None:
        self._crowds = Crowds()
        self._heads = Heads()
        self._keys = DataKeys()

    async def send_message(self, ctx: Context, req: SendMessageRequest) -> SendMessageResult:
        """Accept a message: durable before the answer, visible after its delay."""
        async with ctx.write() as tx:
            queue = await in_use(tx, ctx, req["QueueUrl"])
            sent = draft(ctx, queue, req)
            if queue.seals:
                sent = await self._keys.sealed(ctx, queue, sent)
            tx.meter(request_type(queue), billed_requests(sent.size))
            told = await accept(ctx, tx, queue, sent) if queue.fifo else stand(ctx, tx, queue, sent)
        ctx.count(SENT, queue.account, queue.region, (queue.name,), sent.size)
        return told  # type: ignore[return-value]

    async def send_message_batch(
        self, ctx: Context, req: SendMessageBatchRequest
    ) -> SendMessageBatchResult:
        """Accept up to ten messages; each succeeds or fails for itself."""
        checked_batch(req["Entries"])
        outcome = Outcome()
        async with ctx.write() as tx:
            queue = await in_use(tx, ctx, req["QueueUrl"])
            drafts = []
            for entry in req["Entries"]:
                with outcome.of(entry["Id"]):
                    drafts.append((entry["Id"], draft(ctx, queue, entry)))
            size = sum(one.size for _, one in drafts)
            if outcome.bad:
                # A batch is too long whether or not all of its messages could be sent.
                size = sum(payload_size(entry) for entry in req["Entries"])
            checked_batch_size(size)
            for entry_id, one in drafts:
                if queue.seals:
                    one = await self._keys.sealed(ctx, queue, one)
                outcome.good.append({"Id": entry_id, **await accept(ctx, tx, queue, one)})
            tx.meter(request_type(queue), billed_requests(sum(one.size for _, one in drafts)))
        for _, one in drafts:
            ctx.count(SENT, queue.account, queue.region, (queue.name,), one.size)
        return outcome.to_wire()  # type: ignore[return-value]

    async def receive_message(
        self, ctx: Context, req: ReceiveMessageRequest
    ) -> ReceiveMessageResult:
        """Hide up to ten due messages and hand them out; wait for the first if asked to."""
        count = in_range(
            "MaxNumberOfMessages", req.get("MaxNumberOfMessages", 1), 1, limits.RECEIVE_COUNT_MAX
        )
        attempt = req.get("ReceiveRequestAttemptId")
        if attempt is not None:
            checked_token("ReceiveRequestAttemptId", attempt)
        deadline: datetime | None = None
        while True:
            now = ctx.clock.now()
            async with ctx.write() as tx:
                queue = await in_use(tx, ctx, req["QueueUrl"])
                arrival = ctx.ticket(queue.topic)  # drawn before looking: no arrival slips between
                hide = _visibility(req, queue)
                if deadline is None:
                    deadline = ctx.now + _wait(req, queue)
                    tx.meter(request_type(queue))
                most = limits.IN_FLIGHT_FIFO_MAX if queue.fifo else limits.IN_FLIGHT_STANDARD_MAX
                full = await self._crowds.full(ctx, tx, queue, now, most)
                if queue.fifo:
                    heads = await _receive_fifo(
                        ctx, tx, queue, now, 0 if full else count, hide, attempt
                    )
                    taken = [(handle_of(message), message) for message in heads]
                elif not full:
                    taken = await self._receive_standard(ctx, tx, queue, now, count, hide)
                elif deadline > ctx.now:
                    # Who waits for messages is not told why there are none.
                    taken = []
                else:
                    raise OverLimit(
                        "Too many messages in flight: a queue can have at most "
                        f"{most} of them at a time."
                    )
                if any(message.body.seal is not None for _, message in taken):
                    # Within the transaction: what cannot be opened is not received.
                    taken = [
                        (handle, await self._keys.opened(ctx, queue, message))
                        for handle, message in taken
                    ]
                # Of a full queue, only what is hidden now can make room.
                since = now + MOMENT if full else None
                due = None if taken else await _next_due(tx, queue, since)
            if taken:
                self._crowds.took(ctx, queue, len(taken))
                ctx.count(RECEIVED, queue.account, queue.region, (queue.name,), len(taken))
                shown: Any = [message_to_wire(message, handle, req) for handle, message in taken]
                return {"Messages": shown}
            if due is not None and due <= now:
                continue  # There was more to clear away than one transaction takes.
            if now >= deadline:
                ctx.count(EMPTY_RECEIVES, queue.account, queue.region, (queue.name,))
                return {}
            await arrival.wait(ctx.clock, until=min(deadline, due or deadline))

    async def delete_message(self, ctx: Context, req: DeleteMessageRequest) -> None:
        """Remove a message by the handle of its latest receipt; one that is gone is no error."""
        async with ctx.write() as tx:
            queue = await in_use(tx, ctx, req["QueueUrl"])
            await self._delete(ctx, tx, queue, req["ReceiptHandle"])
            tx.meter(request_type(queue))
        ctx.count(DELETED, queue.account, queue.region, (queue.name,))

    async def delete_message_batch(
        self, ctx: Context, req: DeleteMessageBatchRequest
    ) -> DeleteMessageBatchResult:
        """Remove up to ten messages; each succeeds or fails for itself."""

        async def one(tx: Tx, queue: Queue, entry: Mapping[str, Any]) -> None:
            await self._delete(ctx, tx, queue, entry["ReceiptHandle"])

        return await _batch(ctx, req, one, DELETED)  # type: ignore[return-value]

    async def change_message_visibility(
        self, ctx: Context, req: ChangeMessageVisibilityRequest
    ) -> None:
        """Hide a received message until `VisibilityTimeout` seconds from now."""
        async with ctx.write() as tx:
            queue = await in_use(tx, ctx, req["QueueUrl"])
            await _change(ctx, tx, queue, req["ReceiptHandle"], req["VisibilityTimeout"])
            tx.meter(request_type(queue))

    async def change_message_visibility_batch(
        self, ctx: Context, req: ChangeMessageVisibilityBatchRequest
    ) -> ChangeMessageVisibilityBatchResult:
        """Change up to ten visibilities; each succeeds or fails for itself."""

        async def one(tx: Tx, queue: Queue, entry: Mapping[str, Any]) -> None:
            seconds = entry.get("VisibilityTimeout", 0)
            await _change(ctx, tx, queue, entry["ReceiptHandle"], seconds)

        return await _batch(ctx, req, one)  # type: ignore[return-value]

    async def _receive_standard(
        self, ctx: Context, tx: Tx, queue: Queue, now: datetime, count: int, hide: timedelta
    ) -> Taken:
        taken: Taken = []
        expired_before = now - queue.retention
        line = line_of(queue.id)
        for _ in range(LOOKS_MAX):
            looked_for = count - len(taken)
            due = await self._heads.due(ctx, tx, queue, now, looked_for)
            if any(message.body.group is not None for _, message in due):
                seen = [message for _, message in due]
                chosen = await fair.chosen(ctx, tx, queue, now, seen, looked_for)
                rest = [row for row, message in due if message not in chosen]
                self._heads.put_back(ctx, queue, rest)
                due = [(row_key(message), message) for message in chosen]
            for row, message in due:
                body = message.body
                tx.raw.delete(row)
                if body.group is not None:
                    fair.stands_no_more(tx, message)
                if message.forwarded:
                    await forget_forward(tx, message)
                if body.sent_at < expired_before:
                    change_count(tx, queue.id, -1)
                elif queue.redrive is None or not await _dead(ctx, tx, queue, message, now):
                    moved = replace(
                        message,
                        visible_at=now + hide,
                        receives=message.receives + 1,
                        first_received_at=message.first_received_at or now,
                        forwarded=False,
                    )
                    if body.group is not None:
                        fair.stands(tx, moved)
                    row = line + pack(moved.visible_at, moved.id)
                    tx.raw.put(row, _MESSAGES.encode(moved))
                    taken.append((handle_at(row, moved.receives), moved))
            if not due or len(taken) == count or hide == timedelta(0):
                # Hidden for no time at all, a message is due again at once: one look must do.
                break
        return taken

    async def _delete(self, ctx: Context, tx: Tx, queue: Queue, handle: str) -> None:
        self._crowds.left(ctx, tx, queue)
        if queue.fifo:
            return await fifo.delete(tx, queue, handle, ctx.now)
        found = await _received(tx, queue, handle)
        if found is None:
            return None
        row, message = found
        tx.raw.delete(row)
        if message.body.group is not None:
            fair.stands_no_more(tx, message)
        if message.forwarded:
            await forget_forward(tx, message)
        change_count(tx, queue.id, -1)
        return None


class Outcome:
    """What became of each entry of a batch."""

    def __init__(self) -> None:
        self.good: list[dict[str, Any]] = []
        self.bad: list[dict[str, Any]] = []
        self._entry = ""

    def of(self, entry_id: str) -> Outcome:
        """`with outcome.of(id):` an AwsError in the block is that entry's failure."""
        self._entry = entry_id
        return self

    def __enter__(self) -> None:
        """Begin an entry."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, AwsError):
            return False
        code = error.query_code or error.code
        self.bad.append(
            {"Id": self._entry, "SenderFault": True, "Code": code, "Message": error.message}
        )
        return True

    def to_wire(self) -> dict[str, Any]:
        """The result of a batch operation."""
        return (
            {"Successful": self.good, "Failed": self.bad} if self.bad else {"Successful": self.good}
        )


async def _batch(
    ctx: Context,
    req: Any,
    one: Callable[[Tx, Queue, Mapping[str, Any]], Awaitable[None]],
    measure: Measure | None = None,
) -> dict[str, Any]:
    checked_batch(req["Entries"])
    outcome = Outcome()
    async with ctx.write() as tx:
        queue = await in_use(tx, ctx, req["QueueUrl"])
        for entry in req["Entries"]:
            with outcome.of(entry["Id"]):
                await one(tx, queue, entry)
                outcome.good.append({"Id": entry["Id"]})
        tx.meter(request_type(queue))
    if measure is not None and outcome.good:
        ctx.count(measure, queue.account, queue.region, (queue.name,), len(outcome.good))
    return outcome.to_wire()


def _visibility(req: Mapping[str, Any], queue: Queue) -> timedelta:
    seconds = req.get("VisibilityTimeout")
    if seconds is None:
        return queue.visibility
    in_range("VisibilityTimeout", seconds, 0, limits.VISIBILITY_SECONDS_MAX)
    return timedelta(seconds=seconds)


def _wait(req: Mapping[str, Any], queue: Queue) -> timedelta:
    seconds = req.get("WaitTimeSeconds")
    if seconds is None:
        return queue.wait
    in_range(
        "WaitTimeSeconds", seconds, 0, limits.WAIT_SECONDS_MAX,
        f"Must be >= 0 and <= {limits.WAIT_SECONDS_MAX}, if provided.",
    )  # fmt: skip
    return timedelta(seconds=seconds)


async def _next_due(tx: Tx, queue: Queue, since: datetime | None) -> datetime | None:
    """When the soonest message appears, of those that are not due before `since`."""
    if queue.fifo:
        groups = await tx.find(READY, (queue.id,), since=since, limit=1)
        return groups[0].ready_at if groups else None
    soonest = await tx.list(Message, (queue.id,), since=since, limit=1)
    return soonest[0].visible_at if soonest else None


async def _receive_fifo(
    ctx: Context, tx: Tx, queue: Queue, now: datetime, count: int, hide: timedelta,
    attempt: str | None,
) -> list[Message | FifoMessage]:  # fmt: skip
    if attempt is not None:
        again = await fifo.given_before(tx, queue, attempt, now, hide)
        if again:
            return [*again]
    expired_before = now - queue.retention
    taken: list[Message | FifoMessage] = []
    for _ in range(LOOKS_MAX if count else 0):
        found = await fifo.receive(ctx, tx, queue, now, count, hide)
        for message in found:
            if message.body.sent_at < expired_before:
                tx.delete(message)
                change_count(tx, queue.id, -1)
                await fifo.settle(tx, queue.id, message.group, now)
            elif await _dead(ctx, tx, queue, replace(message, receives=message.receives - 1), now):
                tx.delete(message)
                await fifo.settle(tx, queue.id, message.group, now)
            else:
                taken.append(message)
        if taken or not found:
            break
    if attempt is not None and taken:
        await fifo.remember(tx, queue, attempt, taken, now)
    return taken


async def _dead(
    ctx: Context, tx: Tx, queue: Queue, message: Message | FifoMessage, now: datetime
) -> bool:
    """Move a message to the dead-letter queue if it has been received as often as it may."""
    redrive = queue.redrive
    if redrive is None or message.receives < redrive.receives_max:
        return False
    target = await by_arn(tx, redrive.arn)
    if target is None:
        return False
    change_count(tx, queue.id, -1)
    await bury(tx, target, message, now, queue.arn)
    return True


async def bury(
    tx: Tx, target: Queue, message: Message | FifoMessage, now: datetime, source: str | None
) -> None:
    """Put a message into another queue with its id, and on a standard queue with its age."""
    if target.fifo:
        group = message.body.group or message.id
        body = replace(message.body, sent_at=now)
        await fifo.append(tx, target, group, message.id, body, now, now, source)
    else:
        moved = Message(
            queue=target.id, visible_at=now, id=message.id, body=message.body,
            dead_letter_source=source,
        )  # fmt: skip
        tx.add(moved)
        fair.stands(tx, moved)
        change_count(tx, target.id, 1)
    tx.wake(target.topic)


async def _received(tx: Tx, queue: Queue, handle: str) -> tuple[bytes, Message] | None:
    """The message of a receipt and its row, wherever a change of visibility has moved it."""
    row, receives = standard_handle(handle)
    if not row.startswith(line_of(queue.id)):
        return None
    stored = await tx.raw.get(row)
    if stored is None:
        forward = await tx.get(Forward, queue.id, message_id_in(row, handle))
        if forward is not None and forward.receives == receives:
            row = line_of(queue.id) + pack(forward.visible_at, forward.id)
            stored = await tx.raw.get(row)
    if stored is None:
        return None
    message = _MESSAGES.decode(stored)
    return (row, message) if message.receives == receives else None


async def _change(ctx: Context, tx: Tx, queue: Queue, handle: str, seconds: int) -> None:
    in_range("VisibilityTimeout", seconds, 0, limits.VISIBILITY_SECONDS_MAX)
    if queue.fifo:
        await fifo.change_visibility(tx, queue, handle, ctx.now, seconds)
    else:
        found = await _received(tx, queue, handle)
        if found is None:
            raise fifo.not_available(handle)
        _, message = found
        if message.visible_at <= ctx.now:
            raise MessageNotInflight()
        until = fifo.hidden_until(message, ctx.now, seconds)
        tx.delete(message)
        fair.stands_no_more(tx, message)
        fair.stands(tx, tx.put(replace(message, visible_at=until, forwarded=True)))
        tx.put(Forward(queue=queue.id, id=message.id, receives=message.receives, visible_at=until))
    if seconds == 0:
        tx.wake(queue.topic)
