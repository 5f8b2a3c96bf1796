"""Tags of functions and event source mappings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec.structs import replace

from doppio.kernel import tags
from doppio.kernel.context import Context, Reader
from doppio.services.lambda_.errors import InvalidParameterValue, ResourceNotFound
from doppio.services.lambda_.names import function_of, named
from doppio.services.lambda_.records import Function
from doppio.services.lambda_.records import Mapping as EventSource

if TYPE_CHECKING:
    from doppio._stubs import lambda_ as w


class Tagging:
    """The operations on tags."""

    async def tag_resource(self, ctx: Context, req: w.TagResourceRequest) -> None:
        """Put tags on a resource, over those of the same keys."""
        async with ctx.write() as tx:
            found = await _tagged(tx, ctx, req["Resource"])
            tx.put(replace(found, tags=merged(found.tags, req["Tags"])))

    async def untag_resource(self, ctx: Context, req: w.UntagResourceRequest) -> None:
        """Take tags off a resource."""
        async with ctx.write() as tx:
            found = await _tagged(tx, ctx, req["Resource"])
            tx.put(replace(found, tags=tags.without(found.tags, req["TagKeys"])))

    async def list_tags(self, ctx: Context, req: w.ListTagsRequest) -> w.ListTagsResponse:
        """The tags of a resource."""
        return {"Tags": (await _tagged(ctx.read(), ctx, req["Resource"])).tags}


async def _tagged(reader: Reader, ctx: Context, arn: str) -> Function | EventSource:
    if ":event-source-mapping:" in arn:
        mapping = await reader.get(
            EventSource, ctx.account, ctx.region, arn.rsplit(":", maxsplit=1)[-1]
        )
        if mapping is None or mapping.arn != arn:
            raise ResourceNotFound("The resource you requested does not exist.")
        return mapping
    which = named(ctx, {"FunctionName": arn})
    if which.qualifier is not None:
        raise InvalidParameterValue(
            "Tags on function aliases and versions are not supported. Please specify either a "
            "function ARN."
        )
    return await function_of(reader, which)


def merged(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str]:
    """Old tags with new ones put over them. Raises InvalidParameterValueException."""
    try:
        return tags.merged(old, new)
    except tags.BadTags as error:
        raise InvalidParameterValue(str(error)) from error
