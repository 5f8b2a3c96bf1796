"""Tags of everything that has an id: TagResource and its like, and tags given at the making."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel import tags
from doppio.kernel.context import Context, Reader, Tx
from doppio.services.organizations import limits, tree
from doppio.services.organizations.errors import TargetNotFound, invalid, violation
from doppio.services.organizations.records import Organization, Policy, ResourcePolicy, Transfer

if TYPE_CHECKING:
    from doppio._stubs import organizations as w


def new_tags(
    given: Iterable[Mapping[str, Any]], old: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Tags over the old ones. Raises InvalidInput and ConstraintViolation."""
    try:
        new = tags.from_list(given)
    except tags.BadTags as error:
        raise invalid(
            "DUPLICATE_TAG_KEY", "You provided a tag key more than once in the same request."
        ) from error
    if any(key.lower().startswith("aws:") for key in new):
        raise invalid(
            "INVALID_SYSTEM_TAGS_PARAMETER",
            "You can't add, edit, or delete system tag keys because they're reserved for AWS use. "
            "System tags don't count against your tags per resource limit.",
        )
    both = {**(old or {}), **new}
    if len(both) > limits.TAGS_MAX:
        raise violation(
            "MAX_TAG_LIMIT_EXCEEDED",
            "You have exceeded the number of tags allowed on this resource.",
        )
    return both


async def tagged(reader: Reader, organization: Organization, name: str) -> Any:
    """What has an id and tags. Raises TargetNotFound."""
    if name == organization.root:
        return organization
    if name.startswith("p-"):
        policy = await reader.get(Policy, organization.id, name)
        if policy is None:
            raise TargetNotFound()
        return policy
    if name.startswith("rt-"):
        transfer = await reader.get(Transfer, name)
        if transfer is None or transfer.target != organization.master:
            raise TargetNotFound()
        return transfer
    if name.startswith("rp-"):
        found = await reader.get(ResourcePolicy, organization.id)
        if found is None or found.id != name:
            raise TargetNotFound()
        return found
    return await tree.target(reader, organization, name)


def tags_of(row: Any) -> dict[str, str]:
    """The tags of what `tagged` has found."""
    found: dict[str, str] = row.root_tags if isinstance(row, Organization) else row.tags
    return found


def _put(tx: Tx, row: Any, new: dict[str, str]) -> None:
    member = "root_tags" if isinstance(row, Organization) else "tags"
    tx.put(replace(row, **{member: new}))


class Tagging:
    """The tag operations."""

    async def tag_resource(self, ctx: Context, req: w.TagResourceRequest) -> None:
        """Put tags on a root, unit, account or policy, over those of the same keys."""
        async with ctx.write() as tx:
            row = await tagged(tx, await tree.own(tx, ctx), req["ResourceId"])
            _put(tx, row, new_tags(req["Tags"], tags_of(row)))

    async def untag_resource(self, ctx: Context, req: w.UntagResourceRequest) -> None:
        """Take tags off; keys that are not there are no error."""
        async with ctx.write() as tx:
            row = await tagged(tx, await tree.own(tx, ctx), req["ResourceId"])
            _put(tx, row, tags.without(tags_of(row), req["TagKeys"]))

    async def list_tags_for_resource(
        self, ctx: Context, req: w.ListTagsForResourceRequest
    ) -> w.ListTagsForResourceResponse:
        """The tags of a root, unit, account or policy, by key."""
        reader = ctx.read()
        name = req["ResourceId"]
        row = await tagged(reader, await tree.own(reader, ctx), name)
        rows = [(tag["Key"], tag) for tag in tags.to_list(dict(sorted(tags_of(row).items())))]
        most = {**req, "MaxResults": limits.TAGS_A_PAGE}
        return tree.page(most, rows, "Tags", f"tags/{name}")  # type: ignore[return-value]
