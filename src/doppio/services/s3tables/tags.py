"""Tags of table buckets and tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec.structs import replace

from doppio.kernel import tags
from doppio.kernel.context import Context, Reader
from doppio.services.s3tables.errors import BadRequest
from doppio.services.s3tables.lookup import bucket_of, table_of
from doppio.services.s3tables.records import Table, TableBucket

if TYPE_CHECKING:
    from doppio._stubs import s3tables as w


class Tagging:
    """The operations on tags."""

    async def tag_resource(self, ctx: Context, req: w.TagResourceRequest) -> w.TagResourceResponse:
        """Put tags on a bucket or a table, over those of the same keys."""
        async with ctx.write() as tx:
            found = await _tagged(tx, req["resourceArn"])
            tx.put(replace(found, tags=checked_tags(found.tags, req["tags"])))
        return {}

    async def untag_resource(
        self, ctx: Context, req: w.UntagResourceRequest
    ) -> w.UntagResourceResponse:
        """Take tags off; a key that is not there is no error."""
        async with ctx.write() as tx:
            found = await _tagged(tx, req["resourceArn"])
            tx.put(replace(found, tags=tags.without(found.tags, req["tagKeys"])))
        return {}

    async def list_tags_for_resource(
        self, ctx: Context, req: w.ListTagsForResourceRequest
    ) -> w.ListTagsForResourceResponse:
        """The tags of a bucket or a table."""
        return {"tags": (await _tagged(ctx.read(), req["resourceArn"])).tags}


def checked_tags(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str]:
    """Old tags with new ones over them. Raises BadRequestException."""
    try:
        return tags.merged(old, new)
    except tags.BadTags as error:
        raise BadRequest(str(error)) from error


async def _tagged(reader: Reader, arn: str) -> TableBucket | Table:
    if "/table/" in arn:
        _, table = await table_of(reader, {"resourceArn": arn})
        return table
    return await bucket_of(reader, arn)
