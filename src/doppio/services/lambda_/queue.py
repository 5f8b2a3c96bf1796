"""Asynchronous events: accepted once they are on disk, run until they succeed or are given up.

An event is a row that a controller looks at: it runs the function, and the row goes when all is said.
A cloud that dies in between finds the row again, so a function may run twice for an event, as AWS
says. Retries and ages follow the cloud's time.
Source: "How Lambda handles errors and retries with asynchronous invocation".
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar, NamedTuple

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.controller import Again, Controller, Key
from doppio.services.lambda_ import limits, measures
from doppio.services.lambda_.destinations import Ended, report
from doppio.services.lambda_.errors import (
    ResourceConflict,
    ResourceNotFound,
    ServiceException,
    TooManyRequests,
)
from doppio.services.lambda_.invocations import UNHANDLED, Asked, invoked, request_id_of
from doppio.services.lambda_.records import LATEST, EventInvoke, Queued
from doppio.services.lambda_.running import Outcome
from doppio.services.lambda_.specs import Target, target_of
from doppio.services.lambda_.workers import Workers
from doppio.wire.errors import AwsError
from doppio.wire.json_write import dumps

_FAMILY = "lambda.queued"


class Rules(NamedTuple):
    """How often a failed event is tried again, and how old it may become."""

    retries: int
    age: timedelta
    on_success: str | None = None
    on_failure: str | None = None


async def accept(ctx: Context, target: Target, payload: bytes, client_context: str) -> str:
    """Take an event for a function; once this returns, it will be run. Its request's id."""
    function = target.function
    queued = Queued(
        id=request_id_of(ctx), account=function.account, region=function.region,
        function=function.name, arn=target.arn, qualifier=target.qualifier, payload=payload,
        received_at=ctx.now, due_at=ctx.now, client_context=client_context,
    )  # fmt: skip

    async def add(tx: Tx) -> None:
        # A call may cause two, which bear its id.
        known = await tx.get(Queued, queued.id)
        row = queued if known is None else replace(queued, id=ctx.new_id())
        tx.add(row)
        tx.wake(f"{_FAMILY}/{row.id}")

    await ctx.transact(add)
    where = (function.account, function.region, (function.name,))
    ctx.count(measures.ASYNC_RECEIVED, *where)
    return queued.id


class Runner(Controller[Queued]):
    """Runs the events that were accepted."""

    record = Queued
    family: ClassVar[str] = _FAMILY
    keys_at_once: ClassVar[int] = limits.ASYNC_AT_ONCE_MAX

    async def reconcile(self, ctx: Context, key: Key) -> Again | None:
        """Run an event that is due, and settle what comes of it."""
        queued = await ctx.read().get(Queued, *key)
        if queued is None:
            return None
        now = ctx.clock.now()
        if queued.due_at > now:
            return Again(at=queued.due_at)
        try:
            target = await target_of(ctx.read(), ctx, _request(queued))
        except ResourceNotFound:
            # Its function, version or alias is gone: nobody is left to tell.
            return await _settled(ctx, queued, None)
        except ResourceConflict:
            return await _settled(ctx, queued, _throttled(queued, now))
        rules = await rules_of(ctx.read(), queued)
        if now - queued.received_at >= rules.age:
            return await _given_up(ctx, queued, target, rules, None, "EventAgeExceeded")
        if target.function.reserved == 0:
            # "Lambda immediately sends new events to the dead-letter queue [...] without any retries."
            return await _given_up(ctx, queued, target, rules, None, "ZeroReservedConcurrency")
        spec = await Workers.of(ctx).spec_of(ctx, target)
        age = (now - queued.received_at) / _MILLISECOND
        ctx.count(measures.ASYNC_AGE, spec.account, spec.region, (spec.name,), age)
        asked = Asked(queued.id, queued.payload, queued.arn, queued.client_context)
        try:
            outcome = await invoked(ctx, spec, asked)
        except AwsError as error:
            if _comes_again(error):
                return await _settled(ctx, queued, _throttled(queued, ctx.clock.now()))
            told = {"errorType": error.code, "errorMessage": error.message}
            outcome = Outcome(payload=dumps(told), error=UNHANDLED, status=error.status)
        return await _after(ctx, queued, target, rules, outcome)


def _comes_again(error: AwsError) -> bool:
    """Whether an invocation could not begin just now, and may later."""
    return isinstance(error, TooManyRequests | ServiceException) or error.status == 503


async def _after(
    ctx: Context, queued: Queued, target: Target, rules: Rules, outcome: Outcome
) -> Again | None:
    tried = replace(queued, attempts=queued.attempts + 1)
    if outcome.error is None:
        if rules.on_success is not None:
            ended = Ended(tried, target, outcome, "Success", rules.on_success)
            await report(ctx, ended)
        return await _settled(ctx, queued, None)
    if tried.attempts <= rules.retries:
        pauses = limits.RETRY_PAUSES
        pause = pauses[min(tried.attempts, len(pauses)) - 1]
        due = ctx.clock.now() + pause
        if due - queued.received_at < rules.age:
            return await _settled(ctx, queued, replace(tried, due_at=due))
        condition = "EventAgeExceeded"
    else:
        condition = "RetriesExhausted"
    return await _given_up(ctx, tried, target, rules, outcome, condition)


async def _given_up(
    ctx: Context, queued: Queued, target: Target, rules: Rules, outcome: Outcome | None,
    condition: str,
) -> Again | None:  # fmt: skip
    """An event that will not be tried again: whoever was to hear of it hears, and it is gone."""
    function = target.function
    ctx.count(measures.ASYNC_DROPPED, function.account, function.region, (function.name,))
    await report(ctx, Ended(queued, target, outcome, condition, rules.on_failure))
    return await _settled(ctx, queued, None)


async def _settled(ctx: Context, queued: Queued, then: Queued | None) -> Again | None:
    """Store what becomes of an event; None lets it go."""

    async def settle(tx: Tx) -> None:
        there = await tx.get(Queued, queued.id)
        if there is None:
            return
        if then is None:
            tx.delete(there)
        else:
            tx.put(then)

    await ctx.transact(settle)
    return None if then is None else Again(at=then.due_at)


def _throttled(queued: Queued, now: datetime) -> Queued:
    """An event that could not begin: it is tried again, and that does not count."""
    pause = limits.THROTTLE_PAUSE_FIRST * 2 ** min(queued.throttles, 16)
    due = now + min(pause, limits.THROTTLE_PAUSE_MAX)
    return replace(queued, throttles=queued.throttles + 1, due_at=due)


async def rules_of(reader: Reader, queued: Queued) -> Rules:
    """What is configured for the asynchronous events of what was called."""
    found = await reader.get(
        EventInvoke, queued.account, queued.region, queued.function, queued.qualifier or LATEST
    )
    if found is None:
        return Rules(limits.RETRIES_DEFAULT, limits.EVENT_AGE_DEFAULT)
    age = limits.EVENT_AGE_DEFAULT
    if found.age_seconds is not None:
        age = timedelta(seconds=found.age_seconds)
    retries = limits.RETRIES_DEFAULT if found.retries is None else found.retries
    return Rules(retries, age, found.on_success, found.on_failure)


def _request(queued: Queued) -> dict[str, str]:
    where = f"{queued.account}:function:{queued.function}"
    req = {"FunctionName": where}
    if queued.qualifier is not None:
        req["Qualifier"] = queued.qualifier
    return req


_MILLISECOND = timedelta(milliseconds=1)
