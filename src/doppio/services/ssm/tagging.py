"""Tags of parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from doppio.kernel import tags
from doppio.kernel.context import Context, Reader
from doppio.services.ssm.errors import InvalidResourceId, TooManyTags
from doppio.services.ssm.records import Parameter
from doppio.wire.errors import NotImplementedByDoppio

if TYPE_CHECKING:
    from doppio._stubs import ssm as w


class Tagging:
    """The operations on tags."""

    async def add_tags_to_resource(
        self, ctx: Context, req: w.AddTagsToResourceRequest
    ) -> dict[str, Any]:
        """Put tags on a parameter, over those of the same keys."""
        async with ctx.write() as tx:
            parameter = await _found(tx, req["ResourceType"], req["ResourceId"])
            try:
                both = tags.merged(parameter.tags, tags.from_list(cast("list[Any]", req["Tags"])))
            except tags.BadTags as error:
                raise TooManyTags(str(error)) from error
            tx.put(replace(parameter, tags=both))
        return {}

    async def remove_tags_from_resource(
        self, ctx: Context, req: w.RemoveTagsFromResourceRequest
    ) -> dict[str, Any]:
        """Take tags off a parameter."""
        async with ctx.write() as tx:
            parameter = await _found(tx, req["ResourceType"], req["ResourceId"])
            tx.put(replace(parameter, tags=tags.without(parameter.tags, req["TagKeys"])))
        return {}

    async def list_tags_for_resource(
        self, ctx: Context, req: w.ListTagsForResourceRequest
    ) -> w.ListTagsForResourceResult:
        """The tags of a parameter."""
        parameter = await _found(ctx.read(), req["ResourceType"], req["ResourceId"])
        return {"TagList": cast("list[w.Tag]", tags.to_list(parameter.tags))}


async def _found(reader: Reader, kind: str, name: str) -> Parameter:
    if kind != "Parameter":
        raise NotImplementedByDoppio(f"ssm: a {kind} exists in AWS and not yet here")
    ctx = reader.context
    parameter = await reader.get(Parameter, ctx.account, ctx.region, name)
    if parameter is None:
        raise InvalidResourceId(
            "The resource ID is not valid. Verify that you entered the correct ID and try again."
        )
    return parameter
