"""What moves: a controller that brings each pipe to the state its user wants, and lets it flow.

Everything is in the source until the target has it: a message is deleted when it has arrived, or
was not wanted. What the target does not take appears again after its visibility timeout, and the
queue's own redrive policy ends that. So a crash at any point brings a message twice at worst.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.kernel.controller import Again, Controller, Key
from doppio.services.pipes import limits, stream_flow
from doppio.services.pipes.delivery import acting_for, bring
from doppio.services.pipes.events import passes
from doppio.services.pipes.records import Checkpoint, Pipe, PipeChanged
from doppio.services.sqs.ports import delete, event_of, received
from doppio.wire.errors import AwsError

_SETTLED = {"RUNNING": "RUNNING", "STOPPED": "STOPPED"}
_FAILED = {
    "CREATING": "CREATE_FAILED",
    "UPDATING": "UPDATE_FAILED",
    "STARTING": "START_FAILED",
}


def changed(arn: str) -> str:
    """What rings when a pipe is changed."""
    return f"pipe-changed/{arn}"


class Flow(Controller[Pipe]):
    """Lets pipes flow."""

    record = Pipe
    wakes_on = (PipeChanged,)
    keys_at_once = limits.RUNNING_MAX

    async def reconcile(self, ctx: Context, key: Key) -> Again | None:
        """One step of a pipe: to its wanted state, or a batch from its source to its target."""
        pipe = await ctx.read().get(Pipe, *key)
        if pipe is None:
            return None
        ticket = ctx.ticket(changed(pipe.arn))
        if pipe.desired == "DELETED":
            await _gone(ctx, pipe)
            return None
        if pipe.current != _SETTLED[pipe.desired]:
            return await _settle(ctx, pipe)
        if pipe.desired == "STOPPED":
            return None
        flowing = asyncio.ensure_future(_flow(ctx, pipe))
        ends = asyncio.ensure_future(ticket.wait(ctx.clock, ctx.clock.now() + timedelta(days=1)))
        try:
            # Who stops or changes a pipe does not wait until its long poll is over.
            await asyncio.wait({flowing, ends}, return_when=asyncio.FIRST_COMPLETED)
            at = flowing.result() if flowing.done() else None
            return Again(at=ctx.clock.now() + (at or timedelta(0)))
        finally:
            for one in (flowing, ends):
                one.cancel()
            await asyncio.gather(flowing, ends, return_exceptions=True)


async def _settle(ctx: Context, pipe: Pipe) -> Again | None:
    """Reach the wanted state, or say why not: a running pipe's role must be there."""
    current, reason = _SETTLED[pipe.desired], None
    begun: list[Checkpoint] = []
    if pipe.desired == "RUNNING":
        try:
            await acting_for(ctx, pipe, pipe.given["Source"])
            if _is_stream(pipe):
                begun = await stream_flow.begin(ctx, pipe)
        except AwsError as error:
            failed = pipe.current if pipe.current.endswith("_FAILED") else "START_FAILED"
            current = _FAILED.get(pipe.current, failed)
            reason = error.message[: limits.STATE_REASON_CHARS_MAX]
    if (pipe.current, pipe.reason) == (current, reason):
        return None

    async def settle(tx: Tx) -> None:
        now = await tx.get(Pipe, pipe.account, pipe.region, pipe.name)
        if now == pipe:
            tx.put(replace(pipe, current=current, reason=reason))
            for checkpoint in begun:
                tx.put(checkpoint)

    await ctx.transact(settle)
    return Again(at=ctx.clock.now()) if reason is None else None


def _is_stream(pipe: Pipe) -> bool:
    found: bool = pipe.given["Source"].split(":")[2] == "dynamodb"
    return found


async def _gone(ctx: Context, pipe: Pipe) -> None:
    async def remove(tx: Tx) -> None:
        now = await tx.get(Pipe, pipe.account, pipe.region, pipe.name)
        if now is None or now.desired != "DELETED":
            return
        tx.delete(now)
        key = (pipe.account, pipe.region, pipe.name)
        for checkpoint in await tx.list(Checkpoint, key, limit=limits.SHARDS_MAX):
            tx.delete(checkpoint)

    await ctx.transact(remove)


async def _flow(ctx: Context, pipe: Pipe) -> timedelta | None:
    """Bring one batch from the source to the target; how long to rest before the next."""
    source = pipe.given["Source"]
    if _is_stream(pipe):
        return await stream_flow.flow(ctx, pipe)
    try:
        acting = await acting_for(ctx, pipe, source)
        given = (pipe.given.get("SourceParameters") or {}).get("SqsQueueParameters") or {}
        size = given.get("BatchSize", limits.BATCH_DEFAULT)
        window = timedelta(seconds=given.get("MaximumBatchingWindowInSeconds", 0))
        messages = await received(acting, source, size, window)
        if not messages:
            return None
        done, wanted = _sorted(messages, pipe)
        if wanted:
            failed = await bring(ctx, pipe, [event for event, _ in wanted])
            done += [handle for at, (_, handle) in enumerate(wanted) if at not in failed]
        await delete(acting, source, done)
    except AwsError:
        # The queue is gone, or the role may not any more: look again in a while.
        return limits.PAUSE
    return None


def _sorted(
    messages: Sequence[Mapping[str, Any]], pipe: Pipe
) -> tuple[list[str], list[tuple[Mapping[str, Any], str]]]:
    """The handles of what nobody wants, and the events that go on, with theirs."""
    done: list[str] = []
    wanted: list[tuple[Mapping[str, Any], str]] = []
    for message in messages:
        event = event_of(message, pipe.given["Source"])
        if passes(event, pipe.given):
            wanted.append((event, message["ReceiptHandle"]))
        else:
            done.append(message["ReceiptHandle"])
    return done, wanted
