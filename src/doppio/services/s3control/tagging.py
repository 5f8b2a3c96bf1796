"""Tags of what S3 Control has, by ARN: policies may ask for those of access points, and of buckets that
let theirs count."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from doppio.kernel import tags
from doppio.kernel.context import Context, Reader, Tx
from doppio.services.s3.ports import AccessPoint, Bucket, bucket_id, tell_point
from doppio.services.s3control.errors import (
    AccessDenied,
    InvalidRequest,
    InvalidTag,
    NoSuchResource,
)
from doppio.services.s3control.records import LensGroup
from doppio.wire.errors import NotImplementedByDoppio

if TYPE_CHECKING:
    from doppio._stubs import s3control as w

_BUCKET = re.compile(r"arn:[^:/]+:s3:::([^:/]+)")
_TAGGED = re.compile(r"arn:[^:/]+:s3:([^:/]+):(\d{12}):(accesspoint|storage-lens-group)/([^:/]+)")


class Tagging:
    """TagResource, UntagResource and ListTagsForResource."""

    async def tag_resource(self, ctx: Context, req: w.TagResourceRequest) -> w.TagResourceResult:
        """Put tags over those that are there."""
        async with ctx.write() as tx:
            found = await _tagged(tx, req["ResourceArn"])
            try:
                both = tags.merged(found.tags, checked_tags(req["Tags"]))
            except tags.BadTags as error:
                raise InvalidTag(str(error)) from error
            _put(tx, found, both)
        return {}

    async def untag_resource(
        self, ctx: Context, req: w.UntagResourceRequest
    ) -> w.UntagResourceResult:
        """Take tags off; one that is not there is no error."""
        async with ctx.write() as tx:
            found = await _tagged(tx, req["ResourceArn"])
            _put(tx, found, tags.without(found.tags, req["TagKeys"]))
        return {}

    async def list_tags_for_resource(
        self, ctx: Context, req: w.ListTagsForResourceRequest
    ) -> w.ListTagsForResourceResult:
        """The tags of a resource."""
        found = await _tagged(ctx.read(), req["ResourceArn"])
        return {"Tags": cast("list[w.Tag]", tags.to_list(found.tags))}


def checked_tags(given: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Tags of a request. Raises InvalidTag."""
    try:
        return tags.merged({}, tags.from_list(given))
    except tags.BadTags as error:
        raise InvalidTag(str(error)) from error


def _put(tx: Tx, found: AccessPoint | Bucket | LensGroup, wanted: dict[str, str]) -> None:
    if isinstance(found, AccessPoint):
        tell_point(tx, replace(found, tags=wanted))
    else:
        tx.put(replace(found, tags=wanted))


async def _tagged(reader: Reader, arn: str) -> AccessPoint | Bucket | LensGroup:
    ctx = reader.context
    bucket = _BUCKET.fullmatch(arn)
    if bucket is not None:
        return await _bucket_of(reader, bucket[1], arn)
    found = _TAGGED.fullmatch(arn)
    if found is None:
        raise NotImplementedByDoppio(f"Tags of {arn} exist in AWS and not yet in this cloud")
    region, account, kind, name = found.groups()
    tagged: AccessPoint | LensGroup | None = None
    if account == ctx.account and kind == "accesspoint":
        tagged = await reader.get(AccessPoint, account, region, name)
    elif account == ctx.account:
        tagged = await reader.get(LensGroup, account, region, name)
    if tagged is None:
        raise NoSuchResource(ResourceArn=arn)
    return tagged


async def _bucket_of(reader: Reader, name: str, arn: str) -> Bucket:
    """A bucket of the account's own, in this Region."""
    ctx = reader.context
    bucket = await reader.get(Bucket, bucket_id(ctx, name))
    if bucket is None:
        raise NoSuchResource(ResourceArn=arn)
    if bucket.account != ctx.account:
        raise AccessDenied
    if bucket.region != ctx.region:
        raise InvalidRequest("The bucket is in another Region", BucketRegion=bucket.region)
    return bucket
