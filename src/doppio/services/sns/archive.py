"""FIFO topics' archives: what was published, kept for days, and told again to who asks.

A message is archived in the commit that numbers it, before it is delivered. A subscription that
replays hears the archive alone, in order; when it has caught up it hears what is published. Its
cursor is kept after each page, so a crash repeats a page at most, and the queue knows its messages.

Source: "Message archiving and replay for FIFO topics".
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader, Tx, row_key
from doppio.kernel.jobs import Job
from doppio.services.sns import limits
from doppio.services.sns.errors import InvalidParameter
from doppio.services.sns.records import Archived, Message, Replay, Sequence, Subscription, Topic

EXPIRE = "sns.expire"
REPLAY = "sns.replay"
_DAY = timedelta(days=1)


def archive_days(text: str) -> int | None:
    """For how many days a policy keeps messages; None: not at all. Raises InvalidParameter."""
    given = _object(text, "ArchivePolicy")
    if not given:
        return None
    days = given.get("MessageRetentionPeriod")
    if set(given) != {"MessageRetentionPeriod"} or not str(days).isdigit():
        raise InvalidParameter("ArchivePolicy: MessageRetentionPeriod is required")
    if not 1 <= int(str(days)) <= limits.ARCHIVE_DAYS_MAX:
        raise InvalidParameter(
            "ArchivePolicy: MessageRetentionPeriod must be between 1 and "
            f"{limits.ARCHIVE_DAYS_MAX} days"
        )
    return int(str(days))


def kept_since(topic: Topic, now: datetime) -> datetime | None:
    """The earliest moment from which a topic's messages can be replayed; None without archive."""
    policy = topic.attributes.get("ArchivePolicy")
    days = archive_days(policy) if policy else None
    if days is None or topic.archived_since is None:
        return None
    return max(topic.archived_since, now - timedelta(days=days))


async def with_archive(tx: Tx, topic: Topic, text: str) -> Topic:
    """The topic with an archive policy, or without one; its archive is emptied then."""
    attributes = {key: value for key, value in topic.attributes.items() if key != "ArchivePolicy"}
    now = tx.context.now
    await tx.schedule(now, EXPIRE, topic.arn)
    if archive_days(text) is None:
        return replace(topic, attributes=attributes, archived_since=None)
    return replace(
        topic,
        attributes={**attributes, "ArchivePolicy": text},
        archived_since=topic.archived_since or now,
    )


def archived(tx: Tx, last: Sequence | None, message: Message) -> datetime:
    """Keep a message that was just numbered; the moment of the archive at which it stands."""
    assert message.sequence is not None
    now = tx.context.now
    # Time may have been turned back; the archive's order may not.
    at = now if last is None or last.at is None else max(now, last.at)
    tx.add(Archived(topic=message.topic, at=at, sequence=message.sequence, message=message))
    return at


async def expire_job(ctx: Context, job: Job) -> None:
    """Forget what an archive has kept for long enough, all of one that is off; and come again."""
    parts = job.key.split(":")
    topic = await ctx.read().get(Topic, parts[4], parts[3], parts[5])
    since = None if topic is None else kept_since(topic, ctx.clock.now())
    before = since or ctx.clock.now()

    async def forget(tx: Tx) -> int:
        old = await tx.list(
            Archived,
            (job.key,),
            until=before - timedelta(microseconds=1) if since else before,
            limit=limits.ARCHIVED_A_READ,
        )
        for one in old:
            tx.delete(one)
        return len(old)

    while await ctx.transact(forget) == limits.ARCHIVED_A_READ:
        pass
    if since is None:
        return

    async def again(tx: Tx) -> None:
        await tx.schedule(ctx.clock.now() + _DAY, EXPIRE, job.key)

    await ctx.transact(again)


def checked_replay(text: str) -> tuple[datetime, datetime | None]:
    """From when, and until when, a policy replays. Raises InvalidParameter."""
    given = _object(text, "ReplayPolicy")
    if given.get("PointType") != "Timestamp" or set(given) - {
        "PointType", "StartingPoint", "EndingPoint",
    }:  # fmt: skip
        raise InvalidParameter("ReplayPolicy: PointType must be Timestamp")
    since = _moment(given.get("StartingPoint"), "StartingPoint")
    if "EndingPoint" not in given:
        return since, None
    until = _moment(given["EndingPoint"], "EndingPoint")
    if until <= since:
        raise InvalidParameter("ReplayPolicy: EndingPoint must be after StartingPoint")
    return since, until


async def with_replay(tx: Tx, topic: Topic, subscription: Subscription) -> Subscription:
    """The subscription as its replay policy, which was just set or taken off, wants it."""
    text = subscription.attributes.get("ReplayPolicy")
    if not text:
        return replace(subscription, replay=None)
    since, until = checked_replay(text)
    begins = kept_since(topic, tx.context.now)
    if begins is None:
        raise InvalidParameter("ReplayPolicy: the topic has no ArchivePolicy")
    if since < begins.replace(microsecond=begins.microsecond // 1000 * 1000):
        raise InvalidParameter("ReplayPolicy: StartingPoint is before the BeginningArchiveTime")
    replay = Replay(id=tx.context.new_id(), since=since, until=until)
    await tx.schedule(tx.context.now, REPLAY, subscription.arn, replay=replay.id)
    return replace(subscription, replay=replay)


def is_replaying(subscription: Subscription) -> bool:
    """Whether a subscription hears the archive alone. After an ending point it stays silent."""
    replay = subscription.replay
    return replay is not None and not (replay.status == "Completed" and replay.until is None)


async def next_page(reader: Reader, topic: Topic, replay: Replay, now: datetime) -> list[Archived]:
    """The messages that a replay has not told yet, in their order."""
    begins = kept_since(topic, now)
    if begins is None:
        return []
    after = replay.after
    return await reader.list(
        Archived,
        (topic.arn,),
        since=None if after is not None else max(replay.since, begins),
        until=replay.until,
        after=after,
        limit=limits.ARCHIVED_A_READ,
    )


async def told(ctx: Context, subscription: Subscription, last: Archived | None) -> bool:
    """Remember that a replay has come to a message, or has caught up; whether it still goes on."""
    replay = subscription.replay
    assert replay is not None

    async def keep(tx: Tx) -> bool:
        found = await tx.get(Subscription, subscription.topic, subscription.id)
        if found is None or found.replay is None or found.replay.id != replay.id:
            return False
        if last is not None:
            moved = replace(found.replay, after=row_key(last), status="In progress")
            tx.put(replace(found, replay=moved))
            return True
        parts = found.topic.split(":")
        topic = await tx.get(Topic, parts[4], parts[3], parts[5])
        if topic is not None and await next_page(tx, topic, found.replay, ctx.clock.now()):
            return True
        if replay.until is not None and replay.until > ctx.clock.now():
            # What is published until then is replayed when it is published.
            await tx.schedule(replay.until, REPLAY, found.arn)
            return False
        tx.put(replace(found, replay=replace(found.replay, status="Completed")))
        return False

    return await ctx.transact(keep)


def _moment(text: Any, name: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise InvalidParameter(f"ReplayPolicy: {name} must be a timestamp") from error
    if found.tzinfo is None:
        raise InvalidParameter(f"ReplayPolicy: {name} must be a timestamp in UTC")
    return found


def _object(text: str, name: str) -> dict[str, Any]:
    try:
        document = json.loads(text) if text else {}
    except ValueError as error:
        raise InvalidParameter(f"{name}: failed to parse JSON.") from error
    if not isinstance(document, dict):
        raise InvalidParameter(f"{name}: must be a JSON object")
    return document
