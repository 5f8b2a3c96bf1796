"""Lanes: events on their way to one target of one rule.

Each lane is looked at for itself, so a target that is slow or down holds up nobody. What is due is
tried, many at once; who cannot take it now is asked again, later and later, on the cloud's clock;
then the target's dead-letter queue gets the event. Everything comes at least once.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import ClassVar

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.kernel.controller import Again, Controller, Key
from doppio.services.events import limits, measures
from doppio.services.events.measures import count_of
from doppio.services.events.outcomes import Done, Failed, Later, Outcome
from doppio.services.events.putting import LANES
from doppio.services.events.records import DUE, Delivery, Lane, Rule
from doppio.services.events.rules import exhausted, wait_before
from doppio.services.events.ways import dead_letter, deliver

_log = logging.getLogger("doppio.events")
DEAD_LETTER_WAIT = timedelta(minutes=1)


class Lanes(Controller[Lane]):
    """Empties lanes."""

    record: ClassVar[type[Lane]] = Lane
    family: ClassVar[str] = LANES
    keys_at_once: ClassVar[int] = 1_000
    resync: ClassVar[timedelta | None] = timedelta(hours=1)

    async def reconcile(self, ctx: Context, key: Key) -> Again | None:
        """Deliver what is due; look again when the next is."""
        lane: str = key[0]
        while due := await ctx.read().find(
            DUE, (lane,), until=ctx.clock.now(), limit=limits.DELIVERIES_AT_ONCE
        ):
            if ":api-destination/" in due[0].target["Arn"]:
                due = due[: limits.SERVER_DELIVERIES_AT_ONCE]
            if len(due) == 1:
                outcomes = [await deliver(ctx, due[0])]
            else:
                outcomes = await asyncio.gather(*(deliver(ctx, one) for one in due))
            kept = [
                await _decide(ctx, one, outcome) for one, outcome in zip(due, outcomes, strict=True)
            ]
            await _settle(ctx, due, kept)
            for one, outcome, left in zip(due, outcomes, kept, strict=True):
                _count(ctx, one, outcome, ended=left is None)
        following = await ctx.read().find(DUE, (lane,), limit=1)
        if following:
            return Again(following[0].at)
        await _forget_unused(ctx, lane)
        return None


async def _decide(ctx: Context, delivery: Delivery, outcome: Outcome) -> Delivery | None:
    """The delivery as it is to be kept; None: it is over."""
    if isinstance(outcome, Done):
        return None
    now = ctx.clock.now()
    if isinstance(outcome, Later):
        if exhausted(delivery.target, 0, delivery.first_at, outcome.at) is None:
            return replace(delivery, at=outcome.at)
        outcome = Failed("THROTTLING", "The rate limit of the API destination was reached.", True)
    limit = None
    tries = delivery.tries + 1
    if outcome.again:
        at = now + max(wait_before(delivery.tries, ctx.random()), outcome.pause)
        limit = exhausted(delivery.target, tries, delivery.first_at, at)
        if limit is None:
            return replace(delivery, tries=tries, at=at)
    if await dead_letter(ctx, delivery, outcome, limit):
        return None
    return replace(delivery, at=now + DEAD_LETTER_WAIT)


def _count(ctx: Context, delivery: Delivery, outcome: Outcome, *, ended: bool) -> None:
    """Measure what became of a try, for the delivery's rule."""
    if isinstance(outcome, Later) and not ended:
        return
    rule = delivery.rule
    count_of(ctx, measures.ATTEMPTS, rule)
    if delivery.tries:
        count_of(ctx, measures.ATTEMPTS_AGAIN, rule)
    if isinstance(outcome, Done):
        count_of(ctx, measures.ATTEMPTS_GOOD, rule)
        waited = ctx.clock.now() - delivery.first_at
        count_of(ctx, measures.LATENCY, rule, waited.total_seconds() * 1000)
    elif ended:
        count_of(ctx, measures.FAILED, rule)
    if ended:
        count_of(ctx, measures.INVOCATIONS, rule)


async def _settle(ctx: Context, due: list[Delivery], kept: list[Delivery | None]) -> None:
    async def settle(tx: Tx) -> None:
        for was, now in zip(due, kept, strict=True):
            if await tx.get(Delivery, was.id) is None:
                continue
            if now is None:
                tx.delete(was)
            else:
                tx.put(now)
        tx.meter("Invocations", sum(1 for one in kept if one is None))

    await ctx.transact(settle)


async def _forget_unused(ctx: Context, lane: str) -> None:
    """A lane ends with its target; what was on its way there has arrived."""

    async def forget(tx: Tx) -> None:
        row = await tx.get(Lane, lane)
        if row is None:
            return
        rule = await tx.get(Rule, row.account, row.region, row.bus, row.rule)
        used = rule is not None and row.target in rule.targets
        if not used and not await tx.find(DUE, (lane,), limit=1):
            tx.delete(row)

    await ctx.transact(forget)
