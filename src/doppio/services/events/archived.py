"""Events in archives: kept as they pass, counted, metered, and forgotten when their time is over.

How many there are, and their bytes, are counters that ride in the commits that keep and forget.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from doppio.kernel.context import Context, Tx
from doppio.kernel.jobs import Job
from doppio.kernel.keys import pack, prefix_range, unpack
from doppio.services.events.records import KEPT, Archive, Archived, Kept

FORGET = "events.forget"
A_COMMIT = 500
_SUMS = "events.archived"
_HOUR = timedelta(hours=1)


async def keep(tx: Tx, arn: str, text: str, at: datetime) -> None:
    """Keep an event in an archive, in the commit that took it."""
    parts = arn.split(":", 5)
    archive = await tx.get(Archive, parts[4], parts[3], parts[5].partition("/")[2])
    if archive is None:
        return
    event_id = json.loads(text)["id"]
    if await tx.get(Archived, archive.id, at, event_id) is None:
        _count(tx, archive.id, [text], 1)
    tx.put(Archived(archive=archive.id, at=at, id=event_id, event=text))
    # Also where there is no retention: one may be given later, and counts for what is there.
    now = tx.context.clock.now()
    await tx.get(Kept, archive.id, event_id)
    tx.put(Kept(archive=archive.id, id=event_id, at=now, event_at=at))


async def forget(ctx: Context, job: Job) -> None:
    """Forget what is older than an archive's retention, each hour; and all of a deleted one."""
    reader = ctx.read()
    where = job.arguments
    archive = await reader.get(Archive, where["account"], where["region"], where["archive"])
    if archive is None or archive.id != job.key:
        await _forget_all(ctx, job.key)
        return
    if archive.days:
        until = ctx.clock.now() - timedelta(days=archive.days)
        while found := await ctx.read().find(KEPT, (archive.id,), until=until, limit=A_COMMIT):
            async with ctx.write() as tx:
                for one in found:
                    old = await tx.get(Kept, one.archive, one.id)
                    if old is not None:
                        tx.delete(old)
                    event = await tx.get(Archived, one.archive, one.event_at, one.id)
                    if event is not None:
                        _count(tx, archive.id, [event.event], -1)
                        tx.delete(event)
    _, size = await counted(ctx, archive)
    hours = (ctx.clock.now() - job.at) / _HOUR + 1
    async with ctx.write() as tx:
        # In the commit that plans the next hour, so that each hour is metered once.
        if await tx.get(Job, job.name, job.key) == job:
            tx.meter("Archive-ByteHrs", size * hours)
            await plan_forgetting(tx, archive)


async def plan_forgetting(tx: Tx, archive: Archive) -> None:
    """Look an hour from now for what is too old."""
    at = tx.context.clock.now() + _HOUR
    await tx.schedule(
        at, FORGET, archive.id,
        account=archive.account, region=archive.region, archive=archive.name,
    )  # fmt: skip


async def _forget_all(ctx: Context, archive: str) -> None:
    while True:
        async with ctx.write() as tx:
            found = await tx.list(Archived, (archive,), limit=A_COMMIT)
            kept = await tx.list(Kept, (archive,), limit=A_COMMIT)
            for one in (*found, *kept):
                tx.delete(one)
            _count(tx, archive, [one.event for one in found], -1)
        if not found and not kept:
            return


async def counted(ctx: Context, archive: Archive) -> tuple[int, int]:
    """How many events an archive holds, and their bytes."""
    lo, hi = prefix_range(_SUMS, archive.id)
    sums = await ctx.read().raw.counters(lo, hi, limit=2)
    found = {unpack(key)[2]: int(amount) for key, amount in sums}
    return found.get("events", 0), found.get("bytes", 0)


def _count(tx: Tx, archive: str, texts: Sequence[str], by: int) -> None:
    """Count events that come into an archive or go."""
    tx.raw.add(pack(_SUMS, archive, "events"), by * len(texts))
    tx.raw.add(pack(_SUMS, archive, "bytes"), by * sum(len(text.encode()) for text in texts))
