"""Tags of log groups, in today's form and in the one before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from doppio.kernel import tags
from doppio.kernel.context import Context, Reader
from doppio.services.logs.errors import InvalidParameter, NotFound
from doppio.services.logs.groups import checked_tags
from doppio.services.logs.lookup import existing
from doppio.services.logs.records import Group

if TYPE_CHECKING:
    from doppio._stubs import logs as w


class Tagging:
    """The operations on tags."""

    async def tag_resource(self, ctx: Context, req: w.TagResourceRequest) -> None:
        """Put tags on a group, over those of the same keys."""
        async with ctx.write() as tx:
            group = await _by_arn(tx, req["resourceArn"])
            tx.put(replace(group, tags=checked_tags(group.tags, req["tags"])))

    async def untag_resource(self, ctx: Context, req: w.UntagResourceRequest) -> None:
        """Take tags off a group."""
        async with ctx.write() as tx:
            group = await _by_arn(tx, req["resourceArn"])
            tx.put(replace(group, tags=tags.without(group.tags, req["tagKeys"])))

    async def list_tags_for_resource(
        self, ctx: Context, req: w.ListTagsForResourceRequest
    ) -> w.ListTagsForResourceResponse:
        """The tags of a group."""
        return {"tags": (await _by_arn(ctx.read(), req["resourceArn"])).tags}

    async def tag_log_group(self, ctx: Context, req: w.TagLogGroupRequest) -> None:
        """TagResource as it was before."""
        async with ctx.write() as tx:
            group = await existing(tx, req["logGroupName"])
            tx.put(replace(group, tags=checked_tags(group.tags, req["tags"])))

    async def untag_log_group(self, ctx: Context, req: w.UntagLogGroupRequest) -> None:
        """UntagResource as it was before."""
        async with ctx.write() as tx:
            group = await existing(tx, req["logGroupName"])
            tx.put(replace(group, tags=tags.without(group.tags, req["tags"])))

    async def list_tags_log_group(
        self, ctx: Context, req: w.ListTagsLogGroupRequest
    ) -> w.ListTagsLogGroupResponse:
        """ListTagsForResource as it was before."""
        return {"tags": (await existing(ctx.read(), req["logGroupName"])).tags}


async def _by_arn(reader: Reader, arn: str) -> Group:
    parts = arn.removesuffix(":*").split(":", 6)
    if len(parts) != 7 or parts[2] != "logs" or parts[5] != "log-group":
        raise InvalidParameter("The specified resource ARN is invalid.")
    ctx = reader.context
    if (parts[3], parts[4]) != (ctx.region, ctx.account):
        raise NotFound
    group = await reader.get(Group, ctx.account, ctx.region, parts[6])
    if group is None:
        raise NotFound
    return group
