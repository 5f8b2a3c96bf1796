"""What lies in a bucket, counted version by version, by storage class: for Storage Lens.

The names are those of Storage Lens's metrics. Source: "Amazon S3 Storage Lens metrics glossary".
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from doppio.kernel.context import Context, Reader
from doppio.kernel.paging import every
from doppio.services.s3.census import census
from doppio.services.s3.lens_prefixes import Prefixes, PrefixScope, Sums
from doppio.services.s3.limits import CENSUS_KEYS_A_STEP
from doppio.services.s3.records import OWNED, Bucket, Part, Upload, Version
from doppio.services.s3.replication_rules import COMPLETED, REPLICA

_OLD = timedelta(days=7)
NAMES = (
    "StorageBytes", "ObjectCount", "CurrentVersionStorageBytes", "CurrentVersionObjectCount",
    "NonCurrentVersionStorageBytes", "NonCurrentVersionObjectCount", "DeleteMarkerObjectCount",
    "EncryptedStorageBytes", "EncryptedObjectCount", "UnencryptedStorageBytes",
    "UnencryptedObjectCount", "ReplicatedStorageBytes", "ReplicatedObjectCount",
    "ReplicatedStorageBytesSource", "ReplicatedObjectCountSource",
    "ObjectLockEnabledStorageBytes", "ObjectLockEnabledObjectCount",
    "IncompleteMultipartUploadStorageBytes", "IncompleteMultipartUploadObjectCount",
    "IncompleteMPUStorageBytesOlderThan7Days", "IncompleteMPUObjectCountOlderThan7Days",
)  # fmt: skip

# Whether a group holds an object, by its key, tags, time and size.
Holds = Callable[[str, Mapping[str, str], datetime, int], bool]


class Owned(NamedTuple):
    """A bucket as Storage Lens knows it."""

    name: str
    arn: str
    region: str
    id: str


async def owned(ctx: Context, account: str) -> AsyncIterator[Owned]:
    """All buckets of an account, by name."""
    after = ""
    while True:
        rows = await ctx.read().find(
            OWNED, (account,), since=after or None, limit=CENSUS_KEYS_A_STEP
        )
        for one in rows:
            if one.table:
                continue
            yield Owned(one.name, one.arn, one.region, one.id)
        if len(rows) < CENSUS_KEYS_A_STEP:
            return
        after = rows[-1].name + "\0"


class Counted(NamedTuple):
    """What lies in a bucket: all of it, what each group holds of it, and each large prefix."""

    whole: Sums
    groups: dict[str, Sums]
    prefixes: dict[str, Sums]


async def sums_of(
    ctx: Context,
    name: str,
    now: datetime,
    groups: Mapping[str, Holds],
    scope: PrefixScope | None = None,
) -> Counted:
    """What lies in a bucket; prefixes where `scope` says which."""
    bucket = await ctx.read().get(Bucket, name)
    found = Counted({}, {group: {} for group in groups}, {})
    if bucket is None:
        return found
    prefixes = None if scope is None else Prefixes(scope, _count)
    async for page in census(ctx, bucket, versions=bool(bucket.versioning)):
        for seen in page:
            one = seen.version
            _count(found.whole, one, seen.is_latest)
            if prefixes is not None:
                prefixes.see(one, is_current=seen.is_latest)
            for group, holds in groups.items():
                if not one.marker and holds(one.key, one.tags, one.modified, one.size):
                    _count(found.groups[group], one, seen.is_latest)
    await _add_uploads(ctx, bucket, found.whole, now)
    return found if prefixes is None else found._replace(prefixes=prefixes.found())


def _count(sums: Sums, version: Version, is_current: bool) -> None:
    found = _of_class(sums, version.storage_class)
    if version.marker:
        found["ObjectCount"] += 1
        found["DeleteMarkerObjectCount"] += 1
        return
    kinds = ["", "CurrentVersion" if is_current else "NonCurrentVersion", "Encrypted"]
    more = version.more
    if more is not None:
        if more.replication == REPLICA:
            kinds.append("Replicated")
        if more.retention is not None or more.held == "ON":
            kinds.append("ObjectLockEnabled")
        if more.replication == COMPLETED:
            found["ReplicatedStorageBytesSource"] += version.size
            found["ReplicatedObjectCountSource"] += 1
    for kind in kinds:
        found[f"{kind}StorageBytes"] += version.size
        found[f"{kind}ObjectCount"] += 1


async def _add_uploads(ctx: Context, bucket: Bucket, sums: Sums, now: datetime) -> None:
    reader = ctx.read()
    async for upload in every(reader, Upload, (bucket.id,), step=CENSUS_KEYS_A_STEP):
        found = _of_class(sums, upload.storage_class)
        size = await _uploaded(reader, upload)
        found["StorageBytes"] += size
        found["IncompleteMultipartUploadStorageBytes"] += size
        found["IncompleteMultipartUploadObjectCount"] += 1
        if now - upload.started_at > _OLD:
            found["IncompleteMPUStorageBytesOlderThan7Days"] += size
            found["IncompleteMPUObjectCountOlderThan7Days"] += 1


async def _uploaded(reader: Reader, upload: Upload) -> int:
    size = 0
    async for part in every(reader, Part, (upload.id,), step=CENSUS_KEYS_A_STEP):
        size += part.size
    return size


def _of_class(sums: Sums, storage_class: str) -> dict[str, int]:
    return sums.setdefault(storage_class, dict.fromkeys(NAMES, 0))
