"""SQS message move tasks: dead letters go back to where they came from, or elsewhere.

The task's record is what is wanted; how many are left is counted in the queue itself, so a crash
loses nothing: a message is in one queue or in the other.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.controller import Again, Controller, Key
from doppio.kernel.events import Event
from doppio.kernel.paging import BadToken, page_token, token_key
from doppio.services.sqs import fifo, limits
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
TASKS_READ_MAX = 1_000
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
            running = await _tasks(tx, source)
            if any(task.status == "RUNNING" for task in running):
                raise UnsupportedOperation(
                    "There is already a task running. Only one active task is allowed for a source "
                    "queue arn at a given time."
                )
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
        tasks = await reader.list(
            MoveTask, (source.account, source.region, source.arn), limit=TASKS_READ_MAX
        )
        latest = sorted(tasks, key=lambda task: task.started_at, reverse=True)[:most]
        shown: Any = [_to_wire(task) for task in latest]
        return {"Results": shown}


class Mover(Controller[MoveTask]):
    """Moves messages at the rate that was asked for, a second's worth in a commit."""

    record = MoveTask
    wakes_on = (MoveTaskChanged,)

    async def reconcile(self, ctx: Context, key: Key) -> Again | None:
        """Move the next few messages of a running task."""

        async def step(tx: Tx) -> MoveTask | None:
            task = await tx.get(MoveTask, *key)
            if task is None or task.status != "RUNNING":
                return None
            source = await by_arn(tx, task.source)
            if source is None:
                tx.put(
                    replace(
                        task, status="FAILED", failure="AWS.SimpleQueueService.NonExistentQueue"
                    )
                )
                return None
            try:
                moved = await _move(ctx, tx, source, task)
            except ResourceNotFound as error:
                tx.put(replace(task, status="FAILED", failure=error.message))
                return None
            if moved is None:
                return task
            status = "RUNNING" if moved else "COMPLETED"
            task = replace(task, moved=task.moved + moved, status=status)
            tx.put(task)
            return task

        task = await ctx.transact(step)
        if task is None or task.status != "RUNNING":
            return None
        if task.rate is None:
            return Again(at=ctx.clock.now())
        return Again(at=task.started_at + timedelta(seconds=task.moved // task.rate))


async def _move(ctx: Context, tx: Tx, source: Queue, task: MoveTask) -> int | None:
    """Move the next few waiting messages; how many, or None while the rate allows no more."""
    now = ctx.clock.now()
    count = MOVED_A_STEP
    if task.rate is not None:
        # Where time has leapt, all that would have been moved meanwhile is due.
        seconds = int((now - task.started_at).total_seconds()) + 1
        count = min(count, seconds * task.rate - task.moved)
        if count <= 0:
            return None
    if source.fifo:
        found: list[Message | FifoMessage] = []
        for group in await tx.find(READY, (source.id,), until=now, limit=count):
            left = count - len(found)
            found += (
                await tx.list(FifoMessage, (source.id, group.group), limit=left) if left else []
            )
    else:
        found = list(await tx.list(Message, (source.id,), until=now, limit=count))
    for message in found:
        arn = task.destination or message.dead_letter_source
        target = await by_arn(tx, arn) if arn is not None else None
        if target is None:
            raise ResourceNotFound(f"CouldNotDetermineMessageSource: {arn or 'no source is known'}")
        tx.delete(message)
        change_count(tx, source.id, -1)
        if isinstance(message, FifoMessage):
            await fifo.settle(tx, source.id, message.group, now)
        # What is moved back is a new message: new id, new age.
        anew = replace(message, id=ctx.new_id(), body=replace(message.body, sent_at=now))
        await bury(tx, target, anew, now, None)
    return len(found)


async def _queue(reader: Reader, arn: str, member: str) -> Queue:
    queue = await by_arn(reader, arn)
    if queue is None:
        raise ResourceNotFound(
            f"The resource that you specified for the {member} parameter doesn't exist."
        )
    return queue


async def _tasks(tx: Tx, source: Queue) -> list[MoveTask]:
    prefix = (source.account, source.region, source.arn)
    return await tx.list(MoveTask, prefix, limit=TASKS_READ_MAX)


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
