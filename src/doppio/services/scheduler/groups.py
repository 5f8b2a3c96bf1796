"""Groups of schedules, and their tags. Every account has the group `default`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel import paging, tags
from doppio.kernel.context import Context, Tx
from doppio.kernel.jobs import Job
from doppio.kernel.paging import begins, page_of
from doppio.services.scheduler import limits
from doppio.services.scheduler.counting import count
from doppio.services.scheduler.errors import Conflict, NotFound, QuotaExceeded, Validation
from doppio.services.scheduler.firing import FIRE
from doppio.services.scheduler.records import Group, Schedule

if TYPE_CHECKING:
    from doppio._stubs import scheduler as w

DEFAULT = "default"
EMPTY = "scheduler.empty"


class Groups:
    """The operations on groups and tags."""

    async def create_schedule_group(
        self, ctx: Context, req: w.CreateScheduleGroupInput
    ) -> w.CreateScheduleGroupOutput:
        """Make a group; the same again with the same token is no error."""
        name = req["Name"]
        async with ctx.write() as tx:
            old = await tx.get(Group, ctx.account, ctx.region, name)
            if old is not None or name == DEFAULT:
                if old is not None and old.token and old.token == req.get("ClientToken"):
                    return {"ScheduleGroupArn": old.arn}
                raise Conflict(f"Schedule group {name} already exists.")
            there = await tx.list(Group, (ctx.account, ctx.region), limit=limits.GROUPS_MAX)
            if len(there) >= limits.GROUPS_MAX:
                raise QuotaExceeded(
                    f"You have exceeded the quota of {limits.GROUPS_MAX} schedule groups."
                )
            group = _new(ctx, name)
            group = replace(
                group, token=req.get("ClientToken"), tags=_merged({}, _listed(req.get("Tags")))
            )
            tx.put(group)
        return {"ScheduleGroupArn": group.arn}

    async def get_schedule_group(
        self, ctx: Context, req: w.GetScheduleGroupInput
    ) -> w.GetScheduleGroupOutput:
        """A group."""
        async with ctx.write() as tx:
            group = await existing_group(tx, ctx, req["Name"])
        return _shown(group)  # type: ignore[return-value]

    async def list_schedule_groups(
        self, ctx: Context, req: w.ListScheduleGroupsInput
    ) -> w.ListScheduleGroupsOutput:
        """The account's groups, by name."""
        prefix = req.get("NamePrefix", "")
        scope = f"groups/{ctx.account}/{ctx.region}/{prefix}"
        most = req.get("MaxResults", limits.LISTED_MAX)
        async with ctx.write() as tx:
            await existing_group(tx, ctx, DEFAULT)
            page, token = await page_of(
                tx, Group, (ctx.account, ctx.region), most=most, scope=scope,
                after=position(req, scope), **begins(prefix),
            )  # fmt: skip
        shown: dict[str, Any] = {"ScheduleGroups": [_shown(one) for one in page]}
        if token is not None:
            shown["NextToken"] = token
        return shown  # type: ignore[return-value]

    async def delete_schedule_group(self, ctx: Context, req: w.DeleteScheduleGroupInput) -> None:
        """Delete a group with its schedules; none of them comes due any more."""
        if req["Name"] == DEFAULT:
            raise Validation("Cannot delete the default schedule group.")
        async with ctx.write() as tx:
            group = await existing_group(tx, ctx, req["Name"])
            if group.state == "DELETING":
                return
            tx.put(replace(group, state="DELETING", modified_at=ctx.now))
            await tx.schedule(ctx.now, EMPTY, group.arn)

    async def tag_resource(self, ctx: Context, req: w.TagResourceInput) -> None:
        """Put tags on a group, over those of the same keys."""
        async with ctx.write() as tx:
            group = await _of_arn(tx, ctx, req["ResourceArn"])
            tx.put(replace(group, tags=_merged(group.tags, _listed(req["Tags"]))))

    async def untag_resource(self, ctx: Context, req: w.UntagResourceInput) -> None:
        """Take tags off a group."""
        async with ctx.write() as tx:
            group = await _of_arn(tx, ctx, req["ResourceArn"])
            tx.put(replace(group, tags=tags.without(group.tags, req["TagKeys"])))

    async def list_tags_for_resource(
        self, ctx: Context, req: w.ListTagsForResourceInput
    ) -> w.ListTagsForResourceOutput:
        """The tags of a group."""
        async with ctx.write() as tx:
            group = await _of_arn(tx, ctx, req["ResourceArn"])
        return {"Tags": tags.to_list(group.tags)}  # type: ignore[typeddict-item]


async def existing_group(tx: Tx, ctx: Context, name: str) -> Group:
    """A group by its name. Raises ResourceNotFoundException."""
    found = await tx.get(Group, ctx.account, ctx.region, name)
    if found is None and name == DEFAULT:
        return tx.put(_new(ctx, name))
    if found is None:
        raise NotFound(f"Schedule group {name} does not exist.")
    return found


async def empty(ctx: Context, job: Job) -> None:
    """Clear away the schedules of a deleted group, and then the group."""
    parts = job.key.split(":", 5)
    account, region, name = parts[4], parts[3], parts[5].partition("/")[2]

    async def clear(tx: Tx) -> bool:
        found = await tx.list(Schedule, (account, region, name), limit=limits.ROWS_A_COMMIT)
        for one in found:
            tx.delete(one)
            await tx.unschedule(FIRE, one.arn)
        if found:
            count(tx, account, region, -len(found))
        group = await tx.get(Group, account, region, name)
        if not found and group is not None and group.state == "DELETING":
            tx.delete(group)
        return bool(found)

    while await ctx.transact(clear):
        pass


def position(req: Mapping[str, Any], scope: str) -> bytes | None:
    """Where a page begins. Raises ValidationException for a token that this list never gave."""
    return paging.position(
        req.get("NextToken"), scope, lambda: Validation("Invalid NextToken provided.")
    )


def _new(ctx: Context, name: str) -> Group:
    return Group(
        account=ctx.account, region=ctx.region, name=name, partition=ctx.partition,
        created_at=ctx.now, modified_at=ctx.now,
    )  # fmt: skip


async def _of_arn(tx: Tx, ctx: Context, arn: str) -> Group:
    parts = arn.split(":", 5)
    kind, _, name = parts[-1].partition("/")
    if len(parts) != 6 or kind != "schedule-group" or parts[4] != ctx.account:
        raise NotFound(f"Resource {arn} does not exist.")
    return await existing_group(tx, ctx, name)


def _listed(given: Any) -> dict[str, str]:
    try:
        return tags.from_list(given or [])
    except tags.BadTags as error:
        raise Validation(str(error)) from error


def _merged(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str]:
    try:
        return tags.merged(old, new)
    except tags.BadTags as error:
        raise Validation(str(error)) from error


def _shown(group: Group) -> dict[str, Any]:
    return {
        "Arn": group.arn,
        "Name": group.name,
        "State": group.state,
        "CreationDate": group.created_at,
        "LastModificationDate": group.modified_at,
    }
