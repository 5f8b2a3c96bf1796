"""Tags of clusters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel import tags
from doppio.kernel.context import Context, Reader
from doppio.services.dax.errors import (
    ClusterNotFound,
    InvalidARN,
    InvalidParameterValue,
    TagNotFound,
    TagQuotaPerResource,
)
from doppio.services.dax.records import Cluster

if TYPE_CHECKING:
    from doppio._stubs import dax as w


class Tagging:
    """The operations on tags."""

    async def tag_resource(self, ctx: Context, req: w.TagResourceRequest) -> w.TagResourceResponse:
        """Put tags on a cluster, over those of the same keys."""
        async with ctx.write() as tx:
            cluster = await _of_arn(tx, ctx, req["ResourceName"])
            cluster = replace(cluster, tags=merged(cluster.tags, req["Tags"]))
            tx.put(cluster)
        return {"Tags": tags.to_list(cluster.tags)}  # type: ignore[typeddict-item]

    async def untag_resource(
        self, ctx: Context, req: w.UntagResourceRequest
    ) -> w.UntagResourceResponse:
        """Take tags off a cluster; each of them must be there."""
        async with ctx.write() as tx:
            cluster = await _of_arn(tx, ctx, req["ResourceName"])
            for key in req["TagKeys"]:
                if key not in cluster.tags:
                    raise TagNotFound(f"Tag {key} does not exist.")
            cluster = replace(cluster, tags=tags.without(cluster.tags, req["TagKeys"]))
            tx.put(cluster)
        return {"Tags": tags.to_list(cluster.tags)}  # type: ignore[typeddict-item]

    async def list_tags(self, ctx: Context, req: w.ListTagsRequest) -> w.ListTagsResponse:
        """The tags of a cluster."""
        if req.get("NextToken"):
            # There are never more than a page has.
            raise InvalidParameterValue("Invalid NextToken.")
        cluster = await _of_arn(ctx.read(), ctx, req["ResourceName"])
        return {"Tags": tags.to_list(cluster.tags)}  # type: ignore[typeddict-item]


def merged(old: Mapping[str, str], given: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Tags with new ones over them. Raises InvalidParameterValueException, TagQuotaPerResource…"""
    try:
        new = tags.checked(tags.from_list(given))
    except tags.BadTags as error:
        raise InvalidParameterValue(str(error)) from error
    try:
        return tags.merged(old, new)
    except tags.BadTags as error:
        raise TagQuotaPerResource() from error


async def _of_arn(reader: Reader, ctx: Context, arn: str) -> Cluster:
    parts = arn.split(":", 5)
    kind, _, name = parts[-1].partition("/")
    if len(parts) != 6 or parts[:1] + parts[2:3] != ["arn", "dax"] or kind != "cache" or not name:
        raise InvalidARN(f"Invalid ARN: {arn}")
    found = await reader.get(Cluster, ctx.account, ctx.region, name.lower())
    if found is None or found.arn != arn:
        raise ClusterNotFound(f"Cluster {arn} not found.")
    return found
