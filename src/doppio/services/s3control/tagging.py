"""Tags of what S3 Control has, by ARN: policies may ask for an access point's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from doppio.kernel import tags
from doppio.kernel.context import Context, Reader
from doppio.services.s3.ports import AccessPoint, tell_point
from doppio.services.s3control.errors import InvalidTag, NoSuchResource
from doppio.wire.errors import NotImplementedByDoppio

if TYPE_CHECKING:
    from doppio._stubs import s3control as w

_POINT = re.compile(r"arn:[^:/]+:s3:([^:/]+):(\d{12}):accesspoint/([^:/]+)")


class Tagging:
    """TagResource, UntagResource and ListTagsForResource."""

    async def tag_resource(self, ctx: Context, req: w.TagResourceRequest) -> w.TagResourceResult:
        """Put tags over those that are there."""
        async with ctx.write() as tx:
            point = await _tagged(tx, req["ResourceArn"])
            try:
                both = tags.merged(point.tags, checked_tags(req["Tags"]))
            except tags.BadTags as error:
                raise InvalidTag(str(error)) from error
            tell_point(tx, replace(point, tags=both))
        return {}

    async def untag_resource(
        self, ctx: Context, req: w.UntagResourceRequest
    ) -> w.UntagResourceResult:
        """Take tags off; one that is not there is no error."""
        async with ctx.write() as tx:
            point = await _tagged(tx, req["ResourceArn"])
            tell_point(tx, replace(point, tags=tags.without(point.tags, req["TagKeys"])))
        return {}

    async def list_tags_for_resource(
        self, ctx: Context, req: w.ListTagsForResourceRequest
    ) -> w.ListTagsForResourceResult:
        """The tags of a resource."""
        point = await _tagged(ctx.read(), req["ResourceArn"])
        return {"Tags": cast("list[w.Tag]", tags.to_list(point.tags))}


def checked_tags(given: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Tags of a request. Raises InvalidTag."""
    try:
        return tags.merged({}, tags.from_list(given))
    except tags.BadTags as error:
        raise InvalidTag(str(error)) from error


async def _tagged(reader: Reader, arn: str) -> AccessPoint:
    ctx = reader.context
    found = _POINT.fullmatch(arn)
    if found is None:
        raise NotImplementedByDoppio(f"Tags of {arn} exist in AWS and not yet in this cloud")
    region, account, name = found.groups()
    point = None
    if account == ctx.account:
        point = await reader.get(AccessPoint, account, region, name)
    if point is None:
        raise NoSuchResource(ResourceArn=arn)
    return point
