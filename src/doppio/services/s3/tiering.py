"""Intelligent-Tiering: objects that nobody accesses move to cheaper tiers, and back when somebody does.

A durable job walks the buckets that have such objects once a day, on the cloud's clock. An access is
written down at most once a day for each object, so reading costs no commit; objects of other
classes, and those that are too small to move, have nothing to do with it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.kernel.jobs import Job, JobHandler
from doppio.kernel.paging import every
from doppio.kernel.store import StoreFull
from doppio.services.s3.configurations import (
    check_id,
    delete_configuration,
    get_configuration,
    list_configurations,
    put_configuration,
)
from doppio.services.s3.happenings import happened
from doppio.services.s3.limits import LIFECYCLE_KEYS_A_STEP
from doppio.services.s3.lookup import numbered
from doppio.services.s3.records import Bucket, Current, More, Older, Version
from doppio.services.s3.settings import settings
from doppio.services.s3.stock import gone, stored
from doppio.services.s3.tiering_rules import (
    ACCESS_TIERS,
    CLASS,
    FREQUENT,
    Plan,
    check,
    due,
    is_news,
    moves,
    plans,
    tier_of,
)

if TYPE_CHECKING:
    from doppio._stubs import s3 as w

KIND = "intelligent-tiering"
RUN = "s3.tiering"


class Tiering:
    """A bucket's configurations of the archive tiers."""

    async def put_bucket_intelligent_tiering_configuration(
        self, ctx: Context, req: w.PutBucketIntelligentTieringConfigurationRequest
    ) -> None:
        """Let objects that nobody accesses for so many days be archived, from the next midnight on."""
        document = cast("dict[str, Any]", req["IntelligentTieringConfiguration"])
        check_id(req, document)
        check(document)
        async with ctx.write() as tx:
            await put_configuration(tx, req, KIND, document)

    async def get_bucket_intelligent_tiering_configuration(
        self, ctx: Context, req: w.GetBucketIntelligentTieringConfigurationRequest
    ) -> w.GetBucketIntelligentTieringConfigurationOutput:
        """A configuration, as it was put."""
        found = await get_configuration(ctx, req, KIND)
        told = cast("w.IntelligentTieringConfiguration", found)
        return {"IntelligentTieringConfiguration": told}

    async def list_bucket_intelligent_tiering_configurations(
        self, ctx: Context, req: w.ListBucketIntelligentTieringConfigurationsRequest
    ) -> w.ListBucketIntelligentTieringConfigurationsOutput:
        """All configurations, in pages of a hundred."""
        found = await list_configurations(ctx, req, KIND, "IntelligentTieringConfigurationList")
        return cast("w.ListBucketIntelligentTieringConfigurationsOutput", found)

    async def delete_bucket_intelligent_tiering_configuration(
        self, ctx: Context, req: w.DeleteBucketIntelligentTieringConfigurationRequest
    ) -> None:
        """Archive no more; what is archived stays so until it is restored."""
        async with ctx.write() as tx:
            await delete_configuration(tx, req, KIND)


def jobs() -> dict[str, JobHandler]:
    """The job that moves objects each midnight."""
    return {RUN: run}


async def watch(tx: Tx, bucket: Bucket) -> None:
    """See to it that a bucket which is given such an object is looked after."""
    job = await tx.get(Job, RUN, bucket.id)
    if job is None or job.at <= tx.context.now:
        await tx.schedule(_midnight_after(tx.context.now), RUN, bucket.id)


async def accessed(ctx: Context, bucket: Bucket, version: Version) -> None:
    """An access to a version of this class: its days begin anew, and it is back in the first tier.

    A cloud that cannot write goes on reading.
    """
    if not is_news(version, ctx.now):
        return

    async def commit(tx: Tx) -> None:
        current = await tx.get(Current, bucket.id, version.key)
        now = await numbered(tx, bucket, version.key, version.id, current)
        if now is not None and now.sequence == version.sequence and is_news(now, ctx.now):
            await move(tx, now, FREQUENT, ctx.now)

    try:
        await ctx.transact(commit)
    except StoreFull:
        return


async def move(tx: Tx, version: Version, tier: str, accessed_at: datetime | None = None) -> Version:
    """Put a version into a tier; `accessed_at` where that is since somebody accessed it."""
    more = replace(version.more or More(), tier=tier)
    if accessed_at is not None:
        more = replace(more, accessed=accessed_at, restored=None)
    moved = replace(version, more=more)
    if tier_of(version) != tier:
        gone(tx, version)
        stored(tx, moved)
    return tx.put(moved)


async def run(ctx: Context, job: Job) -> None:
    """One bucket's day."""
    now = ctx.clock.now()
    bucket = await ctx.read().get(Bucket, job.key)
    if bucket is None:
        return
    found = plans(one.document for one in await settings(ctx.read(), bucket, KIND))
    any_left = await _walk(ctx, bucket, Current, found, now)
    if bucket.versioning:
        any_left = await _walk(ctx, bucket, Older, found, now) or any_left
    if any_left:
        # Else the next object that comes begins it again.
        async with ctx.write() as tx:
            await tx.schedule(_midnight_after(now), RUN, bucket.id)


async def _walk(
    ctx: Context,
    bucket: Bucket,
    kind: type[Current | Older],
    found: list[Plan],
    now: datetime,
) -> bool:
    """Move what is due; whether there is anything of the class."""
    any_left = False
    async for row in every(ctx.read(), kind, (bucket.id,), step=LIFECYCLE_KEYS_A_STEP):
        any_left = any_left or row.storage_class == CLASS
        if moves(row) and due(row, found, now) != tier_of(row):
            await _move_down(ctx, bucket, row, found, now)
    return any_left


async def _move_down(
    ctx: Context, bucket: Bucket, seen: Version, found: list[Plan], now: datetime
) -> None:
    async def commit(tx: Tx) -> None:
        current = await tx.get(Current, bucket.id, seen.key)
        version = await numbered(tx, bucket, seen.key, seen.id, current)
        if version is None or version.sequence != seen.sequence or not moves(version):
            return
        tier = due(version, found, now)
        if tier == tier_of(version) or (version.more is not None and version.more.restored):
            return
        moved = await move(tx, version, tier)
        if tier in ACCESS_TIERS:
            told = {"destination-access-tier": ACCESS_TIERS[tier]}
            happened(tx, bucket, moved, "IntelligentTiering", told)

    await ctx.transact(commit)


def _midnight_after(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
