"""Archived objects: not to be read until a copy is restored, and the copy ends.

Times of retrieval are AWS's, on the cloud's clock: Flexible Retrieval in minutes to hours, Deep
Archive in half a day to two. Source: "Archive retrieval options" in the S3 user guide.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import msgspec

from doppio.kernel.context import Context, Tx
from doppio.kernel.jobs import Job, JobHandler
from doppio.services.s3.errors import (
    InvalidArgument,
    InvalidObjectState,
    MalformedXML,
    RestoreAlreadyInProgress,
    RestoreNotArchived,
)
from doppio.services.s3.happenings import happened
from doppio.services.s3.lookup import numbered, version_of
from doppio.services.s3.records import Bucket, Current, More, Restored, Version
from doppio.services.s3.tiering import move
from doppio.services.s3.tiering_rules import ACCESS_TIERS, AS_CLASS, CLASS, FREQUENT, tier_of
from doppio.wire.errors import NotImplementedByDoppio

if TYPE_CHECKING:
    from doppio._stubs import s3 as w

ARCHIVED = frozenset({"GLACIER", "DEEP_ARCHIVE"})
READY = "s3.restored"
OVER = "s3.restore_over"
_WAITS = {
    ("GLACIER", "Expedited"): timedelta(minutes=5),
    ("GLACIER", "Standard"): timedelta(hours=4),
    ("GLACIER", "Bulk"): timedelta(hours=9),
    ("DEEP_ARCHIVE", "Standard"): timedelta(hours=12),
    ("DEEP_ARCHIVE", "Bulk"): timedelta(hours=48),
}


class Archives:
    """RestoreObject."""

    async def restore_object(
        self, ctx: Context, req: w.RestoreObjectRequest
    ) -> w.RestoreObjectOutput:
        """Bring a readable copy of an archived version, for some days; 202 when it is to come."""
        asked = req.get("RestoreRequest") or {}
        if asked.get("Type") == "SELECT" or "OutputLocation" in asked:
            raise NotImplementedByDoppio("s3: restoring by a query exists in AWS and not here")
        days = asked.get("Days")
        if days is not None and days < 1:
            raise InvalidArgument("restoration days should be at least 1")
        tier = (asked.get("GlacierJobParameters") or {}).get("Tier") or asked.get("Tier")
        async with ctx.write() as tx:
            bucket, version = await version_of(tx, req)
            lies_as = _archive_of(version)
            if lies_as is None:
                raise RestoreNotArchived
            # What leaves a tier is back for good; copies of the archived classes are for some days.
            if (days is None) != (version.storage_class == CLASS):
                raise MalformedXML
            wait = _wait(lies_as, tier)
            old = restored_of(version)
            if days is None:
                await _leave_tier(tx, bucket, version, ctx.now + wait, tier)
                return cast("w.RestoreObjectOutput", {"@status": 202})
            if old is not None and ctx.now < old.ready_at:
                raise RestoreAlreadyInProgress
            again = old is not None and ctx.now < old.ends_at
            ready = old.ready_at if old is not None and again else ctx.now + wait
            ends = _end(max(ready, ctx.now), days)
            more = msgspec.structs.replace(
                version.more or More(), restored=Restored(ready_at=ready, ends_at=ends)
            )
            tx.put(msgspec.structs.replace(version, more=more))
            where = _key(bucket, version)
            if not again:
                told = {"source-storage-class": version.storage_class}
                happened(tx, bucket, version, "ObjectRestore:Post", told)
                await tx.schedule(ready, READY, where, **_arguments(bucket, version))
            await tx.schedule(ends, OVER, where, **_arguments(bucket, version))
            tx.meter("Requests-Tier3")
            tx.meter(f"{tier or 'Standard'}-Retrieval-Bytes", version.size)
        return cast("w.RestoreObjectOutput", {"@status": 200 if again else 202})


def check_readable(version: Version, now: datetime) -> None:
    """Raise InvalidObjectState for an archived version without a copy that is ready."""
    if version.storage_class not in ARCHIVED:
        if version.storage_class == CLASS:
            _check_tier(version, now)
        return
    restored = restored_of(version)
    if restored is None or not restored.ready_at <= now < restored.ends_at:
        raise InvalidObjectState(StorageClass=version.storage_class)


def restore_header(version: Version, now: datetime) -> str | None:
    """The x-amz-restore header; None where nothing was restored, or it is over."""
    restored = restored_of(version)
    if restored is None or now >= restored.ends_at:
        return None
    if now < restored.ready_at:
        return 'ongoing-request="true"'
    ends = restored.ends_at.strftime("%a, %d %b %Y %H:%M:%S GMT")
    return f'ongoing-request="false", expiry-date="{ends}"'


def restored_of(version: Version) -> Restored | None:
    """What was restored of a version, if anything."""
    return None if version.more is None else version.more.restored


def jobs() -> dict[str, JobHandler]:
    """The jobs that tell when a copy is there, and when it is gone."""
    return {READY: _ready, OVER: _over}


async def _ready(ctx: Context, job: Job) -> None:
    await _tell(ctx, job, "ObjectRestore:Completed", over=False)


async def _over(ctx: Context, job: Job) -> None:
    await _tell(ctx, job, "ObjectRestore:Delete", over=True)


async def _tell(ctx: Context, job: Job, name: str, *, over: bool) -> None:
    said: dict[str, Any] = job.arguments
    now = ctx.clock.now()
    async with ctx.write() as tx:
        bucket = await tx.get(Bucket, said["bucket"])
        if bucket is None:
            return
        current = await tx.get(Current, bucket.id, said["object"])
        version = await numbered(tx, bucket, said["object"], said["version"], current)
        restored = None if version is None else restored_of(version)
        if version is None or restored is None:
            return
        if version.storage_class == CLASS:
            await move(tx, version, FREQUENT, now)
            happened(tx, bucket, version, name, {"source-storage-class": CLASS})
            return
        if over:
            if restored.ends_at > now:
                return
            assert version.more is not None
            more = msgspec.structs.replace(version.more, restored=None)
            tx.put(msgspec.structs.replace(version, more=more))
        told = {"source-storage-class": version.storage_class}
        if not over:
            told["restore-expiry-time"] = restored.ends_at.strftime("%Y-%m-%dT%H:%M:%SZ")
        happened(tx, bucket, version, name, told)


def _archive_of(version: Version) -> str | None:
    """As of which archived class a version must be restored; None where it need not be."""
    if version.storage_class == CLASS:
        return AS_CLASS.get(tier_of(version))
    return version.storage_class if version.storage_class in ARCHIVED else None


def _check_tier(version: Version, now: datetime) -> None:
    tier = tier_of(version)
    restored = restored_of(version)
    if tier in ACCESS_TIERS and (restored is None or now < restored.ready_at):
        raise InvalidObjectState(StorageClass=CLASS, AccessTier=ACCESS_TIERS[tier])


def _wait(lies_as: str, tier: str | None) -> timedelta:
    wait = _WAITS.get((lies_as, tier or "Standard"))
    if wait is None:
        raise InvalidArgument(
            "The retrieval tier is not supported for this storage class",
            ArgumentName="Tier",
            ArgumentValue=tier or "",
        )
    return wait


async def _leave_tier(
    tx: Tx, bucket: Bucket, version: Version, ready: datetime, tier: str | None
) -> None:
    """Bring a version out of an archive tier of Intelligent-Tiering, when its time has come."""
    if restored_of(version) is not None:
        raise RestoreAlreadyInProgress
    more = msgspec.structs.replace(
        version.more or More(), restored=Restored(ready_at=ready, ends_at=ready)
    )
    tx.put(msgspec.structs.replace(version, more=more))
    happened(tx, bucket, version, "ObjectRestore:Post", {"source-storage-class": CLASS})
    await tx.schedule(ready, READY, _key(bucket, version), **_arguments(bucket, version))
    tx.meter("Requests-Tier3")
    if tier == "Expedited":
        # The others cost nothing in this class.
        tx.meter("Expedited-Retrieval-Bytes", version.size)


def _end(since: datetime, days: int) -> datetime:
    """A copy ends at the midnight after its days."""
    end = since + timedelta(days=days)
    midnight = end.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight if midnight == end else midnight + timedelta(days=1)


def _key(bucket: Bucket, version: Version) -> str:
    return f"{bucket.id}/{version.sequence}/{version.key}"


def _arguments(bucket: Bucket, version: Version) -> dict[str, str]:
    return {"bucket": bucket.id, "object": version.key, "version": version.id}
