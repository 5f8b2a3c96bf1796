"""SQS message move tasks: dead letters go back to where they came from, or elsewhere.

The task's record is what is wanted; how many are left is counted in the queue itself, so a crash
loses nothing: a message is in one queue or in the other.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.controller import Again, Controller, Key
from doppio.kernel.events import Event
from doppio.kernel.paging import BadToken, page_token, token_key
from doppio.services.sqs import fair, fifo, limits
from doppio.services.sqs.access import by_arn
from doppio.services.sqs.counting import change_count, total
from doppio.services.sqs.errors import (
    InvalidParameterValue,
    ResourceNotFound,
    UnsupportedOperation,
)
from doppio.services.sqs.messages import bury
from doppio.services.sqs.records import (
    BY_DEAD_LETTER,
    READY,
    FifoMessage,
    Message,
    MoveTask,
    Queue,
)
from doppio.services.sqs.rules import in_range
from doppio.services.sqs.upkeep import forget_forward
from doppio.services.sqs.views import millis

if TYPE_CHECKING:
    from doppio._stubs.sqs import (
        CancelMessageMoveTaskRequest,
        CancelMessageMoveTaskResult,
        ListMessageMoveTasksRequest,
        ListMessageMoveTasksResult,
        StartMessageMoveTaskRequest,
        StartMessageMoveTaskResult,
    )

# Without a rate AWS chooses; this is as fast as one commit at a time goes.
MOVED_A_STEP = 100
_SCOPE = "move-task"


class MoveTaskChanged(Event, frozen=True, kw_only=True):
    """A task was started or cancelled."""


class MoveTasks:
    """The move task operations."""

    async def start_message_move_task(
        self, ctx: Context, req: StartMessageMoveTaskRequest
    ) -> StartMessageMoveTaskResult:
        """Begin to move the messages of a dead-letter queue."""
        rate = req.get("MaxNumberOfMessagesPerSecond")
        if rate is not None:
            in_range("MaxNumberOfMessagesPerSecond", rate, 1, limits.MOVE_RATE_MAX)
        async with ctx.write() as tx:
            source = await _queue(tx, req["SourceArn"], "SourceArn")
            destination = req.get("DestinationArn")
            if destination is not None:
                await _queue(tx, destination, "DestinationArn")
            if not await tx.find(BY_DEAD_LETTER, (source.arn,), limit=1):
                raise InvalidParameterValue(
                    "Source queue must be configured as a Dead Letter Queue."
                )
            tasks = await _tasks(tx, source)
            if any(task.status == "RUNNING" for task in tasks):
                raise UnsupportedOperation(
                    "There is already a task running. Only one active task is allowed for a source "
                    "queue arn at a given time."
                )
            for old in tasks[limits.MOVE_TASKS_LISTED_MAX - 1 :]:
                tx.delete(old)
            task = MoveTask(
                account=source.account, region=source.region, source=source.arn, id=ctx.new_id(),
                started_at=ctx.now, destination=destination, rate=rate,
                to_move=await total(tx, source),
            )  # fmt: skip
            tx.put(task)
            tx.emit(MoveTaskChanged(key=(task.account, task.region, task.source, task.id)))
        return {"TaskHandle": _handle(task)}

    async def cancel_message_move_task(
        self, ctx: Context, req: CancelMessageMoveTaskRequest
    ) -> CancelMessageMoveTaskResult:
        """Stop a running task; what was moved stays moved."""
        async with ctx.write() as tx:
            task = await tx.get(MoveTask, *task_key(req["TaskHandle"]))
            if task is None:
                raise ResourceNotFound("Task does not exist.")
            if task.status != "RUNNING":
                raise UnsupportedOperation("Only active tasks can be cancelled.")
            tx.put(replace(task, status="CANCELLED"))
        return {"ApproximateNumberOfMessagesMoved": task.moved}

    async def list_message_move_tasks(
        self, ctx: Context, req: ListMessageMoveTasksRequest
    ) -> ListMessageMoveTasksResult:
        """The latest tasks of a source queue."""
        most = in_range("MaxResults", req.get("MaxResults", 1), 1, limits.MOVE_TASKS_LISTED_MAX)
        reader = ctx.read()
        source = await _queue(reader, req["SourceArn"], "SourceArn")
        shown: Any = [_to_wire(task) for task in (await _tasks(reader, source))[:most]]
        return {"Results": shown}


class Mover(Controller[MoveTask]):
    """Moves messages at the rate that was asked for, a second's worth in a commit."""

    record = MoveTask
    wakes_on = (MoveTaskChanged,)

    async def reconcile(self, ctx: Context, key: Key) -> Again | None:
        """Move the next few messages of a running task."""

        async def step(tx: Tx) -> MoveTask | None:
            task = await tx.get(MoveTask, *key)
            source = await by_arn(tx, task.source) if task is not None else None
            if task is None or source is None or task.status != "RUNNING":
                return None
            count = _allowance(task, ctx.clock.now())
            if count <= 0:
                return task
            moved, task = await _move(ctx, tx, source, task, count)
            if moved == 0 and task.status == "RUNNING":
                task = replace(task, status="COMPLETED")
            return tx.put(task)

        task = await ctx.transact(step)
        if task is None or task.status != "RUNNING":
            return None
        if task.rate is None:
            return Again(at=ctx.clock.now())
        return Again(at=task.started_at + timedelta(seconds=task.moved // task.rate))


def _allowance(task: MoveTask, now: datetime) -> int:
    """How many messages may be moved now."""
    if task.rate is None:
        return MOVED_A_STEP
    # Where time has leapt, all that would have been moved meanwhile is due.
    seconds = int((now - task.started_at).total_seconds()) + 1
    return min(MOVED_A_STEP, seconds * task.rate - task.moved)


async def _move(
    ctx: Context, tx: Tx, source: Queue, task: MoveTask, count: int
) -> tuple[int, MoveTask]:
    """Take the next few waiting messages out of the source; how many, and what the task has done.

    The task has failed where a message has nowhere to go; what stands before it is moved.
    """
    now = ctx.clock.now()
    expired_before = now - source.retention
    taken = 0
    for message in await _waiting(tx, source, now, count):
        arn = task.destination or message.dead_letter_source
        target = await by_arn(tx, arn) if arn is not None else None
        if target is None:
            failure = f"CouldNotDetermineMessageSource: {arn or 'no source is known'}"
            return taken, replace(task, status="FAILED", failure=failure)
        tx.delete(message)
        change_count(tx, source.id, -1)
        taken += 1
        if isinstance(message, FifoMessage):
            await fifo.settle(tx, source.id, message.group, now)
        else:
            fair.stands_no_more(tx, message)
            if message.forwarded:
                await forget_forward(tx, message)
        if message.body.sent_at >= expired_before:
            # What is moved back is a new message: new id, new age.
            anew = replace(message, id=ctx.new_id(), body=replace(message.body, sent_at=now))
            await bury(tx, target, anew, now, None)
            task = replace(task, moved=task.moved + 1)
    return taken, task


async def _waiting(
    tx: Tx, source: Queue, now: datetime, count: int
) -> Sequence[Message | FifoMessage]:
    if not source.fifo:
        return await tx.list(Message, (source.id,), until=now, limit=count)
    found: list[FifoMessage] = []
    for group in await tx.find(READY, (source.id,), until=now, limit=count):
        if len(found) == count:
            break
        page = await tx.list(FifoMessage, (source.id, group.group), limit=count - len(found))
        found += takewhile(lambda message: message.visible_at <= now, page)
    return found


async def _queue(reader: Reader, arn: str, member: str) -> Queue:
    queue = await by_arn(reader, arn)
    if queue is None:
        raise ResourceNotFound(
            f"The resource that you specified for the {member} parameter doesn't exist."
        )
    return queue


async def _tasks(reader: Reader, source: Queue) -> list[MoveTask]:
    """The tasks of a queue, latest first: no more are kept than can be listed."""
    prefix = (source.account, source.region, source.arn)
    found = await reader.list(MoveTask, prefix, limit=limits.MOVE_TASKS_LISTED_MAX)
    return sorted(found, key=lambda task: task.started_at, reverse=True)


async def forget_tasks(tx: Tx, source: Queue) -> None:
    """Forget the tasks of a deleted queue; one that is running finds nothing to do."""
    for task in await _tasks(tx, source):
        tx.delete(task)


def task_key(handle: str) -> list[str]:
    """The record's key of a task handle: account, region, source, id."""
    try:
        key: list[str] = json.loads(token_key(handle, _SCOPE))
    except BadToken as error:
        raise InvalidParameterValue("Value for parameter TaskHandle is invalid.") from error
    return key


def _handle(task: MoveTask) -> str:
    key = (task.account, task.region, task.source, task.id)
    return page_token(json.dumps(key).encode(), _SCOPE)


def _to_wire(task: MoveTask) -> dict[str, object]:
    shown: dict[str, object] = {
        "Status": task.status,
        "SourceArn": task.source,
        "ApproximateNumberOfMessagesMoved": task.moved,
        "ApproximateNumberOfMessagesToMove": task.to_move,
        "StartedTimestamp": int(millis(task.started_at)),
    }
    if task.status == "RUNNING":
        shown["TaskHandle"] = _handle(task)
    if task.destination is not None:
        shown["DestinationArn"] = task.destination
    if task.rate is not None:
        shown["MaxNumberOfMessagesPerSecond"] = task.rate
    if task.failure is not None:
        shown["FailureReason"] = task.failure
    return shown
