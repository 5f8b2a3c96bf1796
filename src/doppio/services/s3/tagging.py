"""Tags of objects and buckets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from doppio.kernel.context import Context, Tx
from doppio.kernel.tags import to_list
from doppio.services.s3.errors import NoSuchTagSet
from doppio.services.s3.limits import BUCKET_TAGS_MAX, OBJECT_TAGS_MAX
from doppio.services.s3.lookup import existing_bucket, version_of
from doppio.services.s3.records import Bucket, Version
from doppio.services.s3.tags import tags_of_set


class Tagging:
    """The tag sets of objects and of buckets; each put replaces the whole set."""

    async def put_object_tagging(self, ctx: Context, req: Mapping[str, Any]) -> dict[str, Any]:
        """Replace the tags of a version."""
        tags = tags_of_set(req["Tagging"].get("TagSet") or [], OBJECT_TAGS_MAX, "Object")
        async with ctx.write() as tx:
            return await _tag(tx, req, tags)

    async def get_object_tagging(self, ctx: Context, req: Mapping[str, Any]) -> dict[str, Any]:
        """The tags of a version; none is an empty set."""
        reader = ctx.read()
        bucket, version = await version_of(reader, req)
        reader.meter("Requests-Tier2")
        return {"TagSet": to_list(version.tags), **_id(bucket, version)}

    async def delete_object_tagging(self, ctx: Context, req: Mapping[str, Any]) -> dict[str, Any]:
        """Take all tags off a version."""
        async with ctx.write() as tx:
            return await _tag(tx, req, {})

    async def put_bucket_tagging(self, ctx: Context, req: Mapping[str, Any]) -> None:
        """Replace the tags of a bucket."""
        tags = tags_of_set(req["Tagging"].get("TagSet") or [], BUCKET_TAGS_MAX, "Bucket")
        async with ctx.write() as tx:
            bucket = await existing_bucket(tx, req)
            tx.put(msgspec.structs.replace(bucket, tags=tags))
            tx.meter("Requests-Tier1")

    async def get_bucket_tagging(self, ctx: Context, req: Mapping[str, Any]) -> dict[str, Any]:
        """The tags of a bucket; none is an error."""
        reader = ctx.read()
        bucket = await existing_bucket(reader, req)
        reader.meter("Requests-Tier2")
        if not bucket.tags:
            raise NoSuchTagSet(BucketName=bucket.name)
        return {"TagSet": to_list(bucket.tags)}

    async def delete_bucket_tagging(self, ctx: Context, req: Mapping[str, Any]) -> None:
        """Take all tags off a bucket."""
        async with ctx.write() as tx:
            bucket = await existing_bucket(tx, req)
            tx.put(msgspec.structs.replace(bucket, tags={}))


async def _tag(tx: Tx, req: Mapping[str, Any], tags: dict[str, str]) -> dict[str, Any]:
    bucket, version = await version_of(tx, req)
    tx.put(msgspec.structs.replace(version, tags=tags))
    tx.meter("Requests-Tier1")
    return _id(bucket, version)


def _id(bucket: Bucket, version: Version) -> dict[str, Any]:
    return {"VersionId": version.id} if bucket.versioning else {}
