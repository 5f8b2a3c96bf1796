"""Lifecycle: rules that S3 carries out itself, once a day on the cloud's clock.

A durable job walks each bucket that has rules, page by page in key order, and leaves where it has
come in its arguments: a crash goes on from there. It judges by the time at which it looks, so a
clock that jumps over a month finds the month's work done.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import msgspec

from doppio.kernel.context import Context, Tx
from doppio.kernel.jobs import Job, JobHandler
from doppio.kernel.paging import every
from doppio.services.s3 import tiering_rules
from doppio.services.s3.errors import InvalidBucketState, NoSuchLifecycleConfiguration
from doppio.services.s3.happenings import happened
from doppio.services.s3.lifecycle_rules import (
    check,
    current_move,
    enabled,
    expiry,
    noncurrent_move,
    removes_lone_markers,
    upload_ends_at,
)
from doppio.services.s3.limits import LIFECYCLE_KEYS_A_STEP
from doppio.services.s3.locks import is_locked
from doppio.services.s3.lookup import existing_bucket, newest_older
from doppio.services.s3.reclaim import discard_upload
from doppio.services.s3.records import Bucket, Current, More, Older, Upload, Version
from doppio.services.s3.settings import drop_setting, put_setting, setting
from doppio.services.s3.stock import gone, request_type, stored
from doppio.services.s3.tiering import watch
from doppio.services.s3.versions import hide, remove
from doppio.services.s3.zones import moves_now

if TYPE_CHECKING:
    from doppio._stubs import s3 as w

KIND = "lifecycle"
RUN = "s3.lifecycle"
_DAY = timedelta(days=1)
_SIZES = "all_storage_classes_128K"


class Lifecycle:
    """The rules of a bucket."""

    async def put_bucket_lifecycle_configuration(
        self, ctx: Context, req: w.PutBucketLifecycleConfigurationRequest
    ) -> w.PutBucketLifecycleConfigurationOutput:
        """Set the rules; they are carried out from the next midnight on."""
        document = cast("dict[str, Any]", req.get("LifecycleConfiguration") or {})
        check(document)
        rules = [{**rule, "ID": rule.get("ID") or ctx.new_id()} for rule in document["Rules"]]
        sizes = req.get("TransitionDefaultMinimumObjectSize", _SIZES)
        async with ctx.write() as tx:
            bucket = await existing_bucket(tx, req)
            if bucket.mfa_delete == "Enabled":
                raise InvalidBucketState(
                    "Lifecycle configuration is not supported on MFA Delete enabled buckets."
                )
            put_setting(tx, bucket, KIND, {"Rules": _plain(rules), "Sizes": sizes})
            await tx.schedule(_midnight_after(ctx.now), RUN, bucket.id)
            tx.meter("Requests-Tier1")
        return {"TransitionDefaultMinimumObjectSize": sizes}

    async def get_bucket_lifecycle_configuration(
        self, ctx: Context, req: w.GetBucketLifecycleConfigurationRequest
    ) -> w.GetBucketLifecycleConfigurationOutput:
        """The rules, as they were put."""
        reader = ctx.read()
        bucket = await existing_bucket(reader, req)
        found = await setting(reader, bucket, KIND)
        reader.meter("Requests-Tier2")
        if found is None:
            raise NoSuchLifecycleConfiguration(BucketName=bucket.name)
        return {
            "Rules": cast("list[w.LifecycleRule]", dated(found["Rules"])),
            "TransitionDefaultMinimumObjectSize": found["Sizes"],
        }

    async def delete_bucket_lifecycle(
        self, ctx: Context, req: w.DeleteBucketLifecycleRequest
    ) -> None:
        """Forget the rules; none is no error."""
        async with ctx.write() as tx:
            bucket = await existing_bucket(tx, req)
            await drop_setting(tx, bucket, KIND)
            await tx.unschedule(RUN, bucket.id)


async def expiration_of(ctx: Context, bucket: Bucket, version: Version) -> str | None:
    """The x-amz-expiration header of a current version; None where no rule will end it."""
    if KIND not in bucket.kinds or not isinstance(version, Current):
        return None
    found = await setting(ctx.read(), bucket, KIND)
    ends = None if found is None else expiry(enabled({"Rules": dated(found["Rules"])}), version)
    if ends is None:
        return None
    at, rule = ends
    return f'expiry-date="{at.strftime("%a, %d %b %Y %H:%M:%S GMT")}", rule-id="{rule}"'


class Keeper:
    """The job that carries rules out."""

    def jobs(self) -> dict[str, JobHandler]:
        """The handler by the name under which it is scheduled."""
        return {RUN: self.run}

    async def run(self, ctx: Context, job: Job) -> None:
        """One bucket's day: current versions, hidden ones and markers, uploads."""
        now = ctx.clock.now()
        reader = ctx.read()
        bucket = await reader.get(Bucket, job.key)
        document = None if bucket is None else await setting(reader, bucket, KIND)
        if bucket is None or document is None:
            return
        rules = enabled({"Rules": dated(document["Rules"])})
        if rules:
            await self._currents(ctx, bucket, rules, document["Sizes"], now)
            await self._olders(ctx, bucket, rules, document["Sizes"], now)
            await self._uploads(ctx, bucket, rules, now)
        async with ctx.write() as tx:
            await tx.schedule(_midnight_after(now), RUN, bucket.id)

    async def _currents(
        self,
        ctx: Context,
        bucket: Bucket,
        rules: list[Mapping[str, Any]],
        sizes: str,
        now: datetime,
    ) -> None:
        after = ""
        while True:
            rows = await ctx.read().list(
                Current, (bucket.id,), since=after or None, limit=LIFECYCLE_KEYS_A_STEP
            )
            for seen in rows:
                if current_move(rules, seen, now, sizes) is not None:
                    await self._move_current(ctx, bucket, seen.key, rules, sizes, now)
            if len(rows) < LIFECYCLE_KEYS_A_STEP:
                return
            after = rows[-1].key + "\0"

    async def _move_current(
        self,
        ctx: Context,
        bucket: Bucket,
        key: str,
        rules: list[Mapping[str, Any]],
        sizes: str,
        now: datetime,
    ) -> None:
        async def move(tx: Tx) -> None:
            version = await tx.get(Current, bucket.id, key)
            wanted = None if version is None else current_move(rules, version, now, sizes)
            if version is None or wanted is None:
                return
            if wanted.storage_class is not None:
                await _transition(tx, bucket, version, wanted.storage_class)
                return
            marker = await hide(tx, bucket, key, version)
            if marker is None:
                happened(tx, bucket, version, "LifecycleExpiration:Delete")
            else:
                happened(tx, bucket, marker, "LifecycleExpiration:DeleteMarkerCreated")

        await ctx.transact(move)

    async def _olders(
        self,
        ctx: Context,
        bucket: Bucket,
        rules: list[Mapping[str, Any]],
        sizes: str,
        now: datetime,
    ) -> None:
        """Hidden versions, newest first for each key: what hides each is what stands before it."""
        if not bucket.versioning:
            return
        key, hidden_at, newer = "", now, 0
        async for row in every(ctx.read(), Older, (bucket.id,), step=LIFECYCLE_KEYS_A_STEP):
            if row.key != key:
                key, newer = row.key, 0
                current = await ctx.read().get(Current, bucket.id, key)
                if current is None:
                    # The newest of all: a marker, which hides the others.
                    hidden_at = row.modified
                    await self._lone_marker(ctx, bucket, row, rules, now)
                    if row.marker:
                        continue
                else:
                    hidden_at = current.modified
            if not row.marker:
                await self._move_older(ctx, bucket, row, hidden_at, newer, rules, sizes, now)
                newer += 1
            hidden_at = row.modified

    async def _move_older(
        self,
        ctx: Context,
        bucket: Bucket,
        seen: Older,
        hidden_at: datetime,
        newer: int,
        rules: list[Mapping[str, Any]],
        sizes: str,
        now: datetime,
    ) -> None:
        wanted = noncurrent_move(rules, seen, hidden_at, newer, now, sizes)
        if wanted is None:
            return

        async def move(tx: Tx) -> None:
            version = await tx.get(Older, bucket.id, seen.key, seen.newest_first)
            if version is None or is_locked(version, now):
                return
            if wanted.storage_class is not None:
                await _transition(tx, bucket, version, wanted.storage_class)
                return
            current = await tx.get(Current, bucket.id, seen.key)
            await remove(tx, bucket, seen.key, version.id, current)
            happened(tx, bucket, version, "LifecycleExpiration:Delete")

        await ctx.transact(move)

    async def _lone_marker(
        self,
        ctx: Context,
        bucket: Bucket,
        marker: Older,
        rules: list[Mapping[str, Any]],
        now: datetime,
    ) -> None:
        if not marker.marker or not removes_lone_markers(rules, marker, now):
            return

        async def drop(tx: Tx) -> None:
            if await tx.get(Current, bucket.id, marker.key) is not None:
                return
            left = await tx.list(Older, (bucket.id, marker.key), limit=2)
            newest = await newest_older(tx, bucket, marker.key)
            if len(left) == 1 and newest is not None and newest.id == marker.id:
                tx.delete(newest)
                happened(tx, bucket, newest, "LifecycleExpiration:Delete")

        await ctx.transact(drop)

    async def _uploads(
        self, ctx: Context, bucket: Bucket, rules: list[Mapping[str, Any]], now: datetime
    ) -> None:
        async for row in every(ctx.read(), Upload, (bucket.id,), step=LIFECYCLE_KEYS_A_STEP):
            ends = upload_ends_at(rules, row.key, row.started_at)
            if ends is not None and ends <= now:
                await self._abort(ctx, row)

    async def _abort(self, ctx: Context, seen: Upload) -> None:
        async def abort(tx: Tx) -> None:
            upload = await tx.get(Upload, seen.bucket, seen.key, seen.id)
            if upload is not None:
                tx.delete(upload)
                await discard_upload(tx, upload.id, None)

        await ctx.transact(abort)


async def _transition(tx: Tx, bucket: Bucket, version: Version, storage_class: str) -> None:
    if not await moves_now(tx, bucket, version.storage_class, storage_class):
        # Tomorrow is another day.
        return
    more = msgspec.structs.replace(
        version.more or More(), moved=tx.context.now, tier="", accessed=None
    )
    if storage_class == tiering_rules.CLASS:
        await watch(tx, bucket)
    moved = msgspec.structs.replace(version, storage_class=storage_class, more=more)
    gone(tx, version)
    tx.put(moved)
    stored(tx, moved)
    archives = storage_class in {"GLACIER", "DEEP_ARCHIVE"}
    tx.meter("Requests-Tier3" if archives else request_type(1, storage_class))
    happened(tx, bucket, moved, "LifecycleTransition", {"destination-storage-class": storage_class})


def _midnight_after(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0) + _DAY


def _plain(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rules as they are stored: with dates as text, since documents hold no moments."""
    found = msgspec.json.decode(msgspec.json.encode(rules))
    return cast("list[dict[str, Any]]", found)


def dated(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Stored rules with their dates as moments again."""

    def moment(action: Mapping[str, Any]) -> dict[str, Any]:
        if "Date" not in action:
            return dict(action)
        return {**action, "Date": datetime.fromisoformat(action["Date"])}

    found = []
    for rule in rules:
        one = dict(rule)
        if one.get("Expiration"):
            one["Expiration"] = moment(one["Expiration"])
        if one.get("Transitions"):
            one["Transitions"] = [moment(each) for each in one["Transitions"]]
        found.append(one)
    return found
