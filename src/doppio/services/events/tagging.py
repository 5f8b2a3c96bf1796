"""Tags of buses and rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from doppio.kernel import tags
from doppio.kernel.context import Context, Reader
from doppio.services.events.bus_rules import check_managed
from doppio.services.events.errors import Validation
from doppio.services.events.lookup import Place, existing_bus, existing_rule, merged_tags
from doppio.services.events.records import DEFAULT, Bus, Rule
from doppio.wire.arn import is_arn, parse

if TYPE_CHECKING:
    from doppio._stubs import events as w


class Tagging:
    """The operations on tags."""

    async def tag_resource(self, ctx: Context, req: w.TagResourceRequest) -> None:
        """Put tags on a bus or rule, over those of the same keys."""
        async with ctx.write() as tx:
            found = await _tagged(tx, req["ResourceARN"])
            _check(ctx, found)
            given = cast("list[dict[str, Any]]", req["Tags"])
            tx.put(replace(found, tags=merged_tags(found.tags, given)))

    async def untag_resource(self, ctx: Context, req: w.UntagResourceRequest) -> None:
        """Take tags off a bus or rule."""
        async with ctx.write() as tx:
            found = await _tagged(tx, req["ResourceARN"])
            _check(ctx, found)
            tx.put(replace(found, tags=tags.without(found.tags, req["TagKeys"])))

    async def list_tags_for_resource(
        self, ctx: Context, req: w.ListTagsForResourceRequest
    ) -> w.ListTagsForResourceResponse:
        """The tags of a bus or rule."""
        found = await _tagged(ctx.read(), req["ResourceARN"])
        return cast("w.ListTagsForResourceResponse", {"Tags": tags.to_list(found.tags)})


def _check(ctx: Context, found: Bus | Rule) -> None:
    if isinstance(found, Rule):
        check_managed(ctx, found, force=False)


async def _tagged(reader: Reader, arn: str) -> Any:
    if not is_arn(arn):
        raise Validation(
            f"Parameter {arn} is not valid. Reason: Provided Arn is not in correct format."
        )
    found = parse(arn)
    kind, _, rest = found.resource.partition("/")
    if kind == "event-bus":
        return await existing_bus(reader, Place(found.account, found.region, rest))
    if kind == "rule":
        bus, _, name = rest.rpartition("/")
        place = Place(found.account, found.region, bus or DEFAULT)
        return await existing_rule(reader, place, name)
    raise Validation(
        f"Parameter {arn} is not valid. Reason: Provided Arn is not in correct format."
    )
