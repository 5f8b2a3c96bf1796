"""Versions: how a new one pushes the last one down, and how taking one away lifts the next.

In a bucket that was never versioned, a key has one version and a new one replaces it. With
versioning on, what was current is kept below. Suspended, new versions are called `null` and
replace only the version of that name. A delete without a version only puts a marker on top.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from doppio.kernel.context import Context, Tx
from doppio.services.s3 import locks, mfa
from doppio.services.s3.errors import InvalidBucketState, MalformedXML
from doppio.services.s3.glimpses import Known
from doppio.services.s3.lookup import (
    NULL,
    existing_bucket,
    newest_older,
    numbered,
    version_id,
)
from doppio.services.s3.reclaim import let_go, release
from doppio.services.s3.records import NULLS, Bucket, Current, Older, Version
from doppio.services.s3.seconds import second_of
from doppio.services.s3.stock import stored

if TYPE_CHECKING:
    from doppio._stubs import s3 as w

ENABLED = "Enabled"
SUSPENDED = "Suspended"
DISABLED = "Disabled"


class Versioning:
    """Whether a bucket keeps versions."""

    async def put_bucket_versioning(self, ctx: Context, req: w.PutBucketVersioningRequest) -> None:
        """Turn versioning on or suspend it; a bucket once versioned never forgets it was."""
        wanted = req["VersioningConfiguration"]
        status = wanted.get("Status")
        mfa_delete = wanted.get("MFADelete")
        if status not in {ENABLED, SUSPENDED} or mfa_delete not in {None, ENABLED, DISABLED}:
            raise MalformedXML
        proven = await mfa.proven(ctx, req)

        async def change(tx: Tx) -> None:
            bucket = await existing_bucket(tx, req)
            mfa.check_change(ctx, bucket, mfa_delete, proven=proven)
            if status != ENABLED and locks.KIND in bucket.kinds:
                raise InvalidBucketState(
                    "An Object Lock configuration is present on this bucket, so the versioning "
                    "state cannot be changed."
                )
            if status != ENABLED and "replication" in bucket.kinds:
                raise InvalidBucketState(
                    "A replication configuration is present on this bucket, so the versioning "
                    "state cannot be changed."
                )
            if mfa_delete == ENABLED and "lifecycle" in bucket.kinds:
                raise InvalidBucketState(
                    "A lifecycle configuration is present on this bucket, so MFA Delete cannot be "
                    "enabled."
                )
            tx.put(
                msgspec.structs.replace(
                    bucket, versioning=status, mfa_delete=mfa_delete or bucket.mfa_delete
                )
            )
            tx.meter("Requests-Tier1")

        await ctx.transact(change)

    async def get_bucket_versioning(
        self, ctx: Context, req: w.GetBucketVersioningRequest
    ) -> w.GetBucketVersioningOutput:
        """The state of versioning; empty while it was never set."""
        reader = ctx.read()
        bucket = await existing_bucket(reader, req)
        reader.meter("Requests-Tier2")
        result: w.GetBucketVersioningOutput = {}
        if bucket.versioning:
            result["Status"] = bucket.versioning
        if bucket.mfa_delete:
            result["MFADelete"] = bucket.mfa_delete
        return result


class Place(msgspec.Struct, frozen=True, gc=False):
    """Where a new newest version goes: its sequence number and id, its second, and whom it replaces.

    Who was replaced has let go of its bytes, and is measured together with who comes (`stored`).
    """

    sequence: int
    id: str
    modified: datetime
    replaced: Known | None = None


def instead_of(now: datetime, old: Known | None) -> Place:
    """Where a version goes in a bucket that was never versioned: it replaces the one there is."""
    second = second_of(now)
    number = second.microseconds + now.microsecond
    if old is not None and number <= old.sequence:
        number = old.sequence + 1
    return Place(number, NULL, second.start, old)


async def make_way(tx: Tx, bucket: Bucket, key: str, old: Known | None) -> Place:
    """Make room for a new newest version of `key`.

    `old` is the current version, as read in this transaction.
    """
    if not bucket.versioning:
        if old is not None:
            await let_go(tx, old)
        return instead_of(tx.context.now, old)
    now = tx.context.now
    second = second_of(now)
    sequence = second.microseconds + now.microsecond
    below = old or await newest_older(tx, bucket, key)
    if below is not None and sequence <= below.sequence:
        sequence = below.sequence + 1
    replaced: Known | None = None
    if old is not None:
        if bucket.versioning == ENABLED or old.id != NULL:
            assert isinstance(old, Current), "where versions are kept, they are read whole"
            tx.add(Older(**msgspec.structs.asdict(old)))
        else:
            replaced = old
    if bucket.versioning == ENABLED:
        return Place(sequence, version_id(tx.context, sequence), second.start)
    if old is None or old.id != NULL:
        for null in await tx.find(NULLS, (bucket.id, key), limit=1):
            tx.delete(null)
            replaced = null
    if replaced is not None:
        await let_go(tx, replaced)
    return Place(sequence, NULL, second.start, replaced)


async def hide(tx: Tx, bucket: Bucket, key: str, current: Current | None) -> Older | None:
    """Delete a key without naming a version: the marker, where the bucket keeps versions."""
    if not bucket.versioning:
        if current is not None:
            tx.delete(current)
            await release(tx, current)
        return None
    place = await make_way(tx, bucket, key, current)
    if current is not None:
        tx.delete(current)
    marker = tx.add(
        Older(
            bucket=bucket.id,
            key=key,
            sequence=place.sequence,
            id=place.id,
            modified=place.modified,
            marker=True,
        )
    )
    stored(tx, marker, place.replaced)
    return marker


async def remove(
    tx: Tx,
    bucket: Bucket,
    key: str,
    wanted: str,
    current: Current | None,
    *,
    bypasses: bool = False,
) -> Version | None:
    """Delete one version for good; the newest that is left becomes current if it is no marker."""
    version = await numbered(tx, bucket, key, wanted, current)
    if version is None:
        return None
    if version.more is not None:
        await locks.check_may_go(tx.context, bucket, version, bypasses=bypasses)
    tx.delete(version)
    await release(tx, version)
    if version is current or current is None:
        newest = await newest_older(tx, bucket, key)
        if newest is not None and not newest.marker:
            tx.delete(newest)
            tx.put(Current(**msgspec.structs.asdict(newest)))
    return version
