"""Events in archives: kept as they pass, counted by reading, and forgotten when their time is over."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

from doppio.kernel.context import Context, Tx, row_key
from doppio.kernel.jobs import Job
from doppio.services.events.records import KEPT, Archive, Archived, Kept

FORGET = "events.forget"
A_COMMIT = 500


async def keep(tx: Tx, arn: str, text: str, at: datetime) -> None:
    """Keep an event in an archive, in the commit that took it."""
    parts = arn.split(":", 5)
    archive = await tx.get(Archive, parts[4], parts[3], parts[5].partition("/")[2])
    if archive is None:
        return
    event_id = json.loads(text)["id"]
    tx.put(Archived(archive=archive.id, at=at, id=event_id, event=text))
    if archive.days:
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
                    tx.delete(Archived(archive=one.archive, at=one.event_at, id=one.id, event=""))
    async with ctx.write() as tx:
        await plan_forgetting(tx, archive)


async def plan_forgetting(tx: Tx, archive: Archive) -> None:
    """Look an hour from now for what is too old."""
    at = tx.context.clock.now() + timedelta(hours=1)
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
        if not found and not kept:
            return


async def counted(ctx: Context, archive: Archive) -> tuple[int, int]:
    """How many events an archive holds, and their bytes."""
    reader = ctx.read()
    count = size = 0
    after = None
    while found := await reader.list(Archived, (archive.id,), after=after, limit=A_COMMIT):
        count += len(found)
        size += sum(len(one.event.encode()) for one in found)
        after = row_key(found[-1])
    return count, size
