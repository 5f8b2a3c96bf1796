"""What of a bucket is replicated, and as whom S3 does it."""

from __future__ import annotations

from typing import Any, NamedTuple

from doppio.kernel.context import Context
from doppio.services.s3.lookup import numbered
from doppio.services.s3.records import Bucket, Current, Version
from doppio.services.s3.replication_rules import KIND
from doppio.services.s3.settings import setting

SESSION = "s3-replication"


class Source(NamedTuple):
    """A version whose bucket is replicated: `home` is its owner's place, `document` the rules."""

    home: Context
    bucket: Bucket
    version: Version
    document: dict[str, Any]


async def source_of(ctx: Context, key: tuple[str, ...]) -> Source | None:
    """A version by bucket, key and id, if it is still there and its bucket replicated at all."""
    reader = ctx.read()
    bucket = await reader.get(Bucket, key[0])
    document = None if bucket is None else await setting(reader, bucket, KIND)
    if bucket is None or document is None:
        return None
    current = await reader.get(Current, bucket.id, key[1])
    version = await numbered(reader, bucket, key[1], key[2], current)
    if version is None:
        return None
    home = ctx.derive(ctx.caller, region=bucket.region)
    home.account = bucket.account
    return Source(home, bucket, version, document)


async def acting_for(source: Source) -> Context:
    """The role of the bucket's configuration. Raises AccessDenied where S3 may not be it."""
    return await source.home.as_role(
        source.document["Role"], "s3", source=source.bucket.arn, session=SESSION
    )


def status_of(version: Version) -> str:
    """How far the replication of a version is, or that it is a replica."""
    return "" if version.more is None else version.more.replication
