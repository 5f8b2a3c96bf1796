"""What S3 does for Batch Operations where it has no public operation: list, and replicate what is there.

Both are the job's role's to do, so its policies and the bucket's decide.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, NamedTuple

from doppio.kernel.context import Context
from doppio.services.s3 import replication_rules
from doppio.services.s3.census import Place, Seen, census
from doppio.services.s3.lookup import existing_bucket, no_such_key
from doppio.services.s3.records import Bucket, Current
from doppio.services.s3.settings import setting

_S3 = "AES256"


class Entry(NamedTuple):
    """A version as a manifest's generator sees it. `version` is empty in a bucket without them.

    `sealed` is how it is encrypted, by the header's word or `customer`; `eligible` says whether the
    bucket's rules replicate it.
    """

    key: str
    version: str
    marker: bool
    modified: datetime
    size: int
    storage_class: str
    replication: str
    sealed: str
    kms_key: str
    bucket_key: bool
    eligible: bool
    place: tuple[str, int]


async def entries(
    acting: Context,
    name: str,
    *,
    owner: str | None,
    versions: bool,
    replicated: bool,
    after: tuple[str, int] | None,
) -> AsyncIterator[list[Entry]]:
    """What a bucket has, page by page in key order, from behind a place."""
    asked = {"Bucket": name} if owner is None else {"Bucket": name, "ExpectedBucketOwner": owner}
    bucket = await existing_bucket(acting.read(), asked)
    # Source: "Granting permissions for Batch Operations", manifest generation.
    await acting.authorise("s3:PutInventoryConfiguration", bucket.arn, policy=bucket.arn)
    document = None
    if replicated:
        await acting.authorise("s3:GetReplicationConfiguration", bucket.arn, policy=bucket.arn)
        document = await setting(acting.read(), bucket, replication_rules.KIND)
    place = None if after is None else Place(*after)
    async for page in census(acting, bucket, versions=versions, after=place):
        yield [_entry(bucket, seen, document) for seen in page]


def _entry(bucket: Bucket, seen: Seen, document: dict[str, Any] | None) -> Entry:
    version, more = seen.version, seen.version.more
    sealed = None if more is None else more.sealed
    return Entry(
        version.key,
        version.id if bucket.versioning else "",
        version.marker,
        version.modified,
        version.size,
        version.storage_class,
        "" if more is None else more.replication,
        _S3 if sealed is None else sealed.kind,
        "" if sealed is None else sealed.key_id,
        sealed is not None and sealed.bucket_key,
        document is not None and bool(replication_rules.chosen(document, version)),
        (version.key, version.sequence),
    )


async def replicate(acting: Context, name: str, key: str, version: str) -> None:
    """Replicate a version (the current one, if none is named). Raises why it cannot be."""
    # The service's own table holds who replicates, and needs this module's neighbours first.
    from doppio.services.s3.service import REPLICAS

    reader = acting.read()
    bucket = await existing_bucket(reader, {"Bucket": name})
    target = f"{bucket.arn}/{key}"
    await acting.authorise("s3:InitiateReplication", target, policy=bucket.arn)
    if not version:
        current = await reader.get(Current, bucket.id, key)
        if current is None:
            raise await no_such_key(reader, bucket, key)
        version = current.id
    await REPLICAS.existing(acting, bucket, key, version)
