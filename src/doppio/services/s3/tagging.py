"""Tags of objects and buckets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypedDict

import msgspec

from doppio.kernel.context import Context, Tx
from doppio.services.s3.errors import InvalidRequest, NoSuchTagSet
from doppio.services.s3.happenings import happened
from doppio.services.s3.limits import BUCKET_TAGS_MAX, OBJECT_TAGS_MAX
from doppio.services.s3.lookup import existing_bucket, version_of
from doppio.services.s3.records import Bucket, Version
from doppio.services.s3.tags import tags_of_set

if TYPE_CHECKING:
    from doppio._stubs import s3 as w


class _Id(TypedDict, total=False):
    """The version whose tags these are, in buckets that keep versions."""

    VersionId: str


class Tagging:
    """The tag sets of objects and of buckets; each put replaces the whole set."""

    async def put_object_tagging(
        self, ctx: Context, req: w.PutObjectTaggingRequest
    ) -> w.PutObjectTaggingOutput:
        """Replace the tags of a version."""
        tags = tags_of_set(req["Tagging"].get("TagSet") or [], OBJECT_TAGS_MAX, "Object")
        async with ctx.write() as tx:
            return await _tag(tx, req, tags, "ObjectTagging:Put")

    async def get_object_tagging(
        self, ctx: Context, req: w.GetObjectTaggingRequest
    ) -> w.GetObjectTaggingOutput:
        """The tags of a version; none is an empty set."""
        reader = ctx.read()
        bucket, version = await version_of(reader, req)
        reader.meter("Requests-Tier2")
        return {"TagSet": _tag_set(version.tags), **_id(bucket, version)}

    async def delete_object_tagging(
        self, ctx: Context, req: w.DeleteObjectTaggingRequest
    ) -> w.DeleteObjectTaggingOutput:
        """Take all tags off a version."""
        async with ctx.write() as tx:
            return await _tag(tx, req, {}, "ObjectTagging:Delete")

    async def put_bucket_tagging(self, ctx: Context, req: w.PutBucketTaggingRequest) -> None:
        """Replace the tags of a bucket."""
        tags = tags_of_set(req["Tagging"].get("TagSet") or [], BUCKET_TAGS_MAX, "Bucket")
        async with ctx.write() as tx:
            bucket = await existing_bucket(tx, req)
            _check_counts(bucket)
            tx.put(msgspec.structs.replace(bucket, tags=tags))
            tx.meter("Requests-Tier1")

    async def get_bucket_tagging(
        self, ctx: Context, req: w.GetBucketTaggingRequest
    ) -> w.GetBucketTaggingOutput:
        """The tags of a bucket; none is an error."""
        reader = ctx.read()
        bucket = await existing_bucket(reader, req)
        reader.meter("Requests-Tier2")
        if not bucket.tags:
            raise NoSuchTagSet(BucketName=bucket.name)
        return {"TagSet": _tag_set(bucket.tags)}

    async def delete_bucket_tagging(self, ctx: Context, req: w.DeleteBucketTaggingRequest) -> None:
        """Take all tags off a bucket."""
        async with ctx.write() as tx:
            bucket = await existing_bucket(tx, req)
            _check_counts(bucket)
            tx.put(msgspec.structs.replace(bucket, tags={}))


def _check_counts(bucket: Bucket) -> None:
    """Raise InvalidRequest where tags count in policies: then they are S3 Control's to change."""
    if bucket.abac:
        raise InvalidRequest(
            "Attribute-based access control is enabled for this bucket: use TagResource and "
            "UntagResource to manage its tags."
        )


def _tag_set(tags: Mapping[str, str]) -> list[w.Tag]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


async def _tag(tx: Tx, req: Mapping[str, Any], tags: dict[str, str], name: str) -> _Id:
    bucket, version = await version_of(tx, req)
    version = tx.put(msgspec.structs.replace(version, tags=tags))
    happened(tx, bucket, version, name)
    tx.meter("Requests-Tier1")
    return _id(bucket, version)


def _id(bucket: Bucket, version: Version) -> _Id:
    return {"VersionId": version.id} if bucket.versioning else {}
