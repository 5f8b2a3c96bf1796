"""From a published message to all its subscribers.

A message for queues is brought to them before the publisher is answered, so it is stored nowhere
else, and a crash in between loses nothing that was acknowledged. Who cannot take it at once, or is
outside this cloud, gets a `Delivery` with a timer: those are tried on their own, so that no
subscriber holds up another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader, Tx, row_key
from doppio.kernel.jobs import Job, JobHandler
from doppio.kernel.paging import steps
from doppio.services.sns import limits
from doppio.services.sns.archive import REPLAY, is_replaying, next_page, told
from doppio.services.sns.attributes import (
    checked_redrive,
    delivery_policy_of,
    filter_of,
    retries_of,
)
from doppio.services.sns.lookup import existing_topic, subscription_of
from doppio.services.sns.measures import (
    FAILED,
    FILTERED,
    NOT_REDRIVEN,
    REASONS,
    REDRIVEN,
    count_of,
)
from doppio.services.sns.notification import filtered, why_filtered
from doppio.services.sns.protection import delivered
from doppio.services.sns.records import Delivery, Message, Pace, Subscription, Topic
from doppio.services.sns.retries import delay_before, service_delay
from doppio.services.sns.sealing import opened, sealed
from doppio.services.sns.subscribers import Subscribers
from doppio.services.sns.topics import FORGET
from doppio.services.sns.ways import Outcome, Ways
from doppio.wire.errors import AwsError

DELIVER = "sns.deliver"
# A subscriber that is a service of this cloud answers at once.
_INSIDE = frozenset({"sqs"})


class Courier:
    """Delivers messages, now or by its job."""

    def __init__(self) -> None:
        self._ways = Ways()
        self._subscribers = Subscribers()

    def jobs(self) -> dict[str, JobHandler]:
        """The handlers by the names under which they are scheduled."""
        return {DELIVER: self._job, FORGET: forget_subscriptions, REPLAY: self._replay}

    async def publish(self, ctx: Context, topic: Topic, message: Message) -> None:
        """Bring a message to all who want it, or see to it that it will be."""
        after = None
        while True:
            found = await self._subscribers.page(ctx, topic.arn, after)
            wanting = [one for one in found if wants(one, message)]
            if len(wanting) < len(found):
                _count_filtered(ctx, topic, message, found)
            if topic.archived_since is not None:
                wanting = await _without_replays(ctx, message, wanting)
            if wanting and topic.data_protection is None:
                await self._round(ctx, topic, message, wanting)
            elif wanting:
                for changed, some in delivered(topic, message, wanting):
                    await self._round(ctx, topic, changed, some)
            if len(found) < limits.SUBSCRIPTIONS_A_READ:
                return
            after = row_key(found[-1])

    async def _round(
        self, ctx: Context, topic: Topic, message: Message, wanting: list[Subscription]
    ) -> None:
        inside = [one for one in wanting if one.protocol in _INSIDE]
        later = [one for one in wanting if one.protocol not in _INSIDE]
        if len(inside) == 1:
            outcomes = [await self._ways.deliver(ctx, topic, inside[0], message)]
        else:
            outcomes = await asyncio.gather(
                *(self._ways.deliver(ctx, topic, one, message) for one in inside)
            )
        failed = [
            (one, outcome)
            for one, outcome in zip(inside, outcomes, strict=True)
            if outcome is not Outcome.DONE
        ]
        for one, outcome in failed:
            if outcome is Outcome.REFUSED:
                await self._give_up(ctx, topic, one, message)
            else:
                later.append(one)
        if later:
            await keep_deliveries(ctx, await sealed(ctx, topic, message), later)

    async def _job(self, ctx: Context, job: Job) -> None:
        """Try one delivery again; when all tries are used up it is a dead letter."""
        reader = ctx.read()
        delivery = await reader.get(Delivery, job.key)
        if delivery is None:
            return None
        subscription = await reader.get(Subscription, *delivery.subscription)
        message = await opened(ctx, delivery.message)
        if subscription is None or (subscription.pending and message.token is None):
            return await _done(ctx, delivery)
        topic = await _topic(reader, message.topic)
        if not job.arguments.get("paced") and await _paced(ctx, topic, subscription, job):
            return None
        wait = _wait(topic, subscription, delivery)
        # Who is within this cloud was tried once before there was a delivery.
        earlier = delivery.tries + (subscription.protocol in _INSIDE)
        outcome = await self._ways.deliver(
            ctx, topic, subscription, message, earlier=earlier, last=wait is None
        )
        if outcome is Outcome.AGAIN and wait is not None:
            return await _again(ctx, delivery, wait)
        if outcome is Outcome.REFUSED:
            await self._give_up(ctx, topic, subscription, message)
        return await _done(ctx, delivery)

    async def _replay(self, ctx: Context, job: Job) -> None:
        """Tell a subscription the archive, page by page, until it has caught up."""
        reader = ctx.read()
        while True:
            subscription = await subscription_of(reader, job.key)
            if subscription is None or subscription.replay is None:
                return None
            topic = await _topic(reader, subscription.topic)
            if topic is None:
                return None
            page = await next_page(reader, topic, subscription.replay, ctx.clock.now())
            last = None
            for one in page:
                message = await opened(ctx, one.message)
                if not await self._replayed(ctx, topic, subscription, message):
                    # It cannot take it now: on from here in a while, in order.
                    if last is not None:
                        await told(ctx, subscription, last)
                    return await _look_later(ctx, job)
                last = one
            if not await told(ctx, subscription, last):
                return None

    async def _replayed(
        self, ctx: Context, topic: Topic, subscription: Subscription, message: Message
    ) -> bool:
        if not wants(subscription, message):
            return True
        message = replace(message, replayed=True)
        if topic.data_protection is not None:
            changed = delivered(topic, message, [subscription])
            if not changed:
                return True
            message = changed[0][0]
        outcome = await self._ways.deliver(ctx, topic, subscription, message)
        if outcome is Outcome.REFUSED:
            await self._give_up(ctx, topic, subscription, message)
        return outcome is not Outcome.AGAIN

    async def _give_up(
        self, ctx: Context, topic: Topic | None, subscription: Subscription, message: Message
    ) -> None:
        ctx.read().meter("NotificationsFailed")
        count_of(ctx, FAILED, subscription.topic)
        policy = subscription.attributes.get("RedrivePolicy")
        if not policy or message.token is not None:
            return
        arn = checked_redrive(policy, fifo=False)
        outcome = await self._ways.dead_letter(ctx, topic, subscription, message, arn)
        count_of(ctx, REDRIVEN if outcome is Outcome.DONE else NOT_REDRIVEN, subscription.topic)


def wants(subscription: Subscription, message: Message) -> bool:
    """Whether a message is for a subscriber, as its filter policy says."""
    if subscription.pending:
        return False
    text = subscription.attributes.get("FilterPolicy")
    if not text:
        return True
    scope = subscription.attributes.get("FilterPolicyScope", "MessageAttributes")
    pattern = filter_of(text, scope)
    return pattern is None or pattern.matches(filtered(message, scope))


def _count_filtered(
    ctx: Context, topic: Topic, message: Message, found: Sequence[Subscription]
) -> None:
    """Count who did not want a message, and why."""
    for one in found:
        if not one.pending and not wants(one, message):
            scope = one.attributes.get("FilterPolicyScope", "MessageAttributes")
            count_of(ctx, FILTERED, topic.arn)
            count_of(ctx, REASONS[why_filtered(message, scope)], topic.arn)


async def _topic(reader: Reader, arn: str) -> Topic | None:
    try:
        return await existing_topic(reader, arn)
    except AwsError:
        return None


async def _look_later(ctx: Context, job: Job) -> None:
    async def later(tx: Tx) -> None:
        await tx.schedule(ctx.clock.now() + limits.REPLAY_PAUSE, REPLAY, job.key)

    await ctx.transact(later)


async def _without_replays(
    ctx: Context, message: Message, wanting: list[Subscription]
) -> list[Subscription]:
    """Those that hear what is published; who replays the archive is told of the news in it."""
    replaying = [one for one in wanting if is_replaying(one)]
    if replaying:

        async def look(tx: Tx) -> None:
            for one in replaying:
                if one.replay is not None and one.replay.status != "Completed":
                    await tx.schedule(ctx.clock.now(), REPLAY, one.arn, message=message.id)

        await ctx.transact(look)
    return [one for one in wanting if not is_replaying(one)]


async def keep_deliveries(ctx: Context, message: Message, to: list[Subscription]) -> None:
    """Deliver soon, in the background and as often as it takes."""

    async def keep(tx: Tx) -> None:
        await add_deliveries(tx, message, to)

    await ctx.transact(keep)


async def add_deliveries(tx: Tx, message: Message, to: list[Subscription]) -> None:
    """The same within a transaction."""
    now = tx.context.clock.now()
    for one in to:
        delivery = Delivery(
            id=tx.context.new_id(),
            subscription=(one.topic, one.id),
            message=message,
            first_at=now,
        )
        tx.add(delivery)
        await tx.schedule(now, DELIVER, delivery.id)


def _wait(topic: Topic | None, subscription: Subscription, delivery: Delivery) -> timedelta | None:
    """How long to wait before the next try; None: there is none."""
    if subscription.protocol in {"http", "https"}:
        return delay_before(retries_of(topic, subscription), delivery.tries)
    if subscription.protocol not in {"email", "email-json", "sms", "application"}:
        return service_delay(delivery.tries)
    waits = limits.MAIL_TRIES
    return waits[delivery.tries] if delivery.tries < len(waits) else None


async def _paced(ctx: Context, topic: Topic | None, subscription: Subscription, job: Job) -> bool:
    """Whether a delivery has to wait for its turn, where a server is told so often at most."""
    if subscription.protocol not in {"http", "https"}:
        return False
    rate = delivery_policy_of(topic, subscription).rate
    if rate is None:
        return False

    async def take(tx: Tx) -> bool:
        now = ctx.clock.now()
        old = await tx.get(Pace, subscription.topic, subscription.id)
        at = now if old is None else max(now, old.free_at)
        free_at = at + timedelta(seconds=1 / rate)
        tx.put(Pace(topic=subscription.topic, subscription=subscription.id, free_at=free_at))
        if at > now:
            await tx.schedule(at, DELIVER, job.key, paced=True)
        return at > now

    return await ctx.transact(take)


async def _again(ctx: Context, delivery: Delivery, wait: timedelta) -> None:
    async with ctx.write() as tx:
        tx.put(replace(delivery, tries=delivery.tries + 1))
        await tx.schedule(ctx.clock.now() + wait, DELIVER, delivery.id)


async def _done(ctx: Context, delivery: Delivery) -> None:
    async with ctx.write() as tx:
        tx.delete(delivery)


async def forget(tx: Tx, subscription: Subscription) -> None:
    """Remove a subscription and what hangs on it."""
    tx.delete(subscription)
    pace = await tx.get(Pace, subscription.topic, subscription.id)
    if pace is not None:
        tx.delete(pace)


async def forget_subscriptions(ctx: Context, job: Job) -> None:
    """Clear away the subscriptions of a deleted topic, not those of a new one of its name."""
    deleted_at = datetime.fromisoformat(job.arguments["deleted_at"])
    step = limits.SUBSCRIPTIONS_A_READ
    async for found in steps(ctx.read(), Subscription, (job.key,), step=step):
        async with ctx.write() as tx:
            for one in found:
                old = await tx.get(Subscription, one.topic, one.id)
                if old is not None and old.created_at <= deleted_at:
                    await forget(tx, old)
