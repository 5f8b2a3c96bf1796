"""Storage Lens groups: objects that are counted together, by what they are like.

A configuration of Storage Lens says which groups its exports tell of.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader
from doppio.services.s3control.errors import (
    GroupExists,
    InvalidRequest,
    NoSuchConfiguration,
    TooManyConfigurations,
)
from doppio.services.s3control.limits import LENS_GROUPS_MAX, LENS_LISTED_MAX
from doppio.services.s3control.pages import page
from doppio.services.s3control.records import LensGroup
from doppio.services.s3control.tagging import checked_tags

if TYPE_CHECKING:
    from doppio._stubs import s3control as w


class StorageLensGroups:
    """The operations on groups; each belongs to the Region in which it was made."""

    async def create_storage_lens_group(
        self, ctx: Context, req: w.CreateStorageLensGroupRequest
    ) -> None:
        """Make a group; a name is given once."""
        given = cast("dict[str, Any]", req["StorageLensGroup"])
        _check(given["Filter"])
        wanted = checked_tags(req.get("Tags") or [])
        async with ctx.write() as tx:
            if await tx.get(LensGroup, ctx.account, ctx.region, given["Name"]) is not None:
                raise GroupExists
            there = await tx.list(LensGroup, (ctx.account, ctx.region), limit=LENS_GROUPS_MAX)
            if len(there) >= LENS_GROUPS_MAX:
                raise TooManyConfigurations
            tx.put(
                LensGroup(
                    account=ctx.account,
                    region=ctx.region,
                    name=given["Name"],
                    partition=ctx.partition,
                    filter=given["Filter"],
                    tags=wanted,
                )
            )

    async def get_storage_lens_group(
        self, ctx: Context, req: w.GetStorageLensGroupRequest
    ) -> w.GetStorageLensGroupResult:
        """A group, with its ARN."""
        group = await _existing(ctx.read(), req["Name"])
        told = {"Name": group.name, "Filter": group.filter, "StorageLensGroupArn": group.arn}
        return {"StorageLensGroup": cast("w.StorageLensGroup", told)}

    async def list_storage_lens_groups(
        self, ctx: Context, req: w.ListStorageLensGroupsRequest
    ) -> w.ListStorageLensGroupsResult:
        """The groups of the Region, by their names."""
        scope = f"{ctx.account}/{ctx.region}/lens-groups"
        shown, token = await page(
            ctx.read(), LensGroup, (ctx.account, ctx.region), req, most=LENS_LISTED_MAX, scope=scope
        )
        answer: w.ListStorageLensGroupsResult = {
            "StorageLensGroupList": [
                {"Name": one.name, "StorageLensGroupArn": one.arn, "HomeRegion": one.region}
                for one in shown
            ]
        }
        if token is not None:
            answer["NextToken"] = token
        return answer

    async def update_storage_lens_group(
        self, ctx: Context, req: w.UpdateStorageLensGroupRequest
    ) -> None:
        """Change what a group holds; its name stays."""
        given = cast("dict[str, Any]", req["StorageLensGroup"])
        if given["Name"] != req["Name"]:
            raise InvalidRequest("The name in the request and the name in the group differ.")
        _check(given["Filter"])
        async with ctx.write() as tx:
            group = await _existing(tx, req["Name"])
            tx.put(replace(group, filter=given["Filter"]))

    async def delete_storage_lens_group(
        self, ctx: Context, req: w.DeleteStorageLensGroupRequest
    ) -> None:
        """Forget a group; its objects stay."""
        async with ctx.write() as tx:
            tx.delete(await _existing(tx, req["Name"]))


async def _existing(reader: Reader, name: str) -> LensGroup:
    ctx = reader.context
    group = await reader.get(LensGroup, ctx.account, ctx.region, name)
    if group is None:
        raise NoSuchConfiguration
    return group


def _check(given: Mapping[str, Any]) -> None:
    """A filter has one condition, or several under And or Or."""
    if len(given) != 1:
        raise InvalidRequest("A filter must have exactly one condition, And, or Or.")
    for both in ("And", "Or"):
        if both in given and len(given[both]) < 2:
            raise InvalidRequest(f"{both} must have at least two conditions.")


def holds(
    given: Mapping[str, Any],
    now: datetime,
    key: str,
    tags: Mapping[str, str],
    modified: datetime,
    size: int,
) -> bool:
    """Whether a group's filter lets an object through."""
    conditions = given.get("And") or given.get("Or") or given
    fits = (
        _fits(name, wanted, key, tags, now - modified, size) for name, wanted in conditions.items()
    )
    return any(fits) if "Or" in given else all(fits)


def _fits(
    name: str, wanted: Any, key: str, tags: Mapping[str, str], age: timedelta, size: int
) -> bool:
    if name == "MatchAnyPrefix":
        return key.startswith(tuple(wanted))
    if name == "MatchAnySuffix":
        return key.endswith(tuple(wanted))
    if name == "MatchAnyTag":
        return any(tags.get(tag["Key"]) == tag["Value"] for tag in wanted)
    if name == "MatchObjectAge":
        return _between(age.days, wanted.get("DaysGreaterThan"), wanted.get("DaysLessThan"))
    return _between(size, wanted.get("BytesGreaterThan"), wanted.get("BytesLessThan"))


def _between(value: int, above: int | None, below: int | None) -> bool:
    return (above is None or value > above) and (below is None or value < below)
