"""Schedules: made, changed, shown and deleted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from doppio.kernel.context import Context, Reader
from doppio.kernel.paging import begins, page_of
from doppio.kernel.service import Need
from doppio.services.scheduler import limits
from doppio.services.scheduler.counting import check_room, count
from doppio.services.scheduler.definition import check_expression, check_target, check_window
from doppio.services.scheduler.errors import Conflict, NotFound, Validation
from doppio.services.scheduler.firing import FIRE, set_timer
from doppio.services.scheduler.groups import DEFAULT, existing_group, position
from doppio.services.scheduler.records import BY_NAME, Group, Schedule
from doppio.services.scheduler.targets import check_role
from doppio.wire.errors import NotImplementedByDoppio

if TYPE_CHECKING:
    from doppio._stubs import scheduler as w

_GIVEN = ("Description", "Target", "FlexibleTimeWindow", "ActionAfterCompletion")


class Schedules:
    """The operations on schedules."""

    async def create_schedule(
        self, ctx: Context, req: w.CreateScheduleInput
    ) -> w.CreateScheduleOutput:
        """Make a schedule; the same again with the same token is no error."""
        await _check(ctx, req)
        group_name = req.get("GroupName", DEFAULT)
        async with ctx.write() as tx:
            group = await existing_group(tx, ctx, group_name)
            if group.state == "DELETING":
                raise Conflict(f"Schedule group {group_name} is being deleted.")
            old = await tx.get(Schedule, ctx.account, ctx.region, group_name, req["Name"])
            if old is not None:
                if old.token and old.token == req.get("ClientToken"):
                    return {"ScheduleArn": old.arn}
                raise Conflict(f"Schedule {req['Name']} already exists.")
            await check_room(tx, ctx.account, ctx.region)
            schedule = _made(ctx, req, ctx.now)
            count(tx, ctx.account, ctx.region, 1)
            tx.put(schedule)
            await set_timer(tx, schedule)
        return {"ScheduleArn": schedule.arn}

    async def update_schedule(
        self, ctx: Context, req: w.UpdateScheduleInput
    ) -> w.UpdateScheduleOutput:
        """Put another schedule in a schedule's place: what is not given has its default."""
        await _check(ctx, req)
        async with ctx.write() as tx:
            old = await _existing(tx, ctx, req)
            schedule = _made(ctx, req, old.created_at)
            tx.put(schedule)
            await set_timer(tx, schedule)
        return {"ScheduleArn": schedule.arn}

    async def get_schedule(self, ctx: Context, req: w.GetScheduleInput) -> w.GetScheduleOutput:
        """A schedule."""
        found = await _existing(ctx.read(), ctx, req)
        shown = {
            **_summary(found),
            **found.given,
            "ScheduleExpression": found.expression,
            "ScheduleExpressionTimezone": found.zone,
        }
        if found.start is not None:
            shown["StartDate"] = found.start
        if found.end is not None:
            shown["EndDate"] = found.end
        return shown  # type: ignore[return-value]

    async def list_schedules(
        self, ctx: Context, req: w.ListSchedulesInput
    ) -> w.ListSchedulesOutput:
        """Schedules by name, of one group or of all."""
        group, prefix = req.get("GroupName"), req.get("NamePrefix", "")
        scope = f"schedules/{ctx.account}/{ctx.region}/{group}/{prefix}/{req.get('State')}"
        most = req.get("MaxResults", limits.LISTED_MAX)
        reader = ctx.read()
        if group not in {None, DEFAULT}:
            await _group(reader, ctx, str(group))
        where: tuple[str, ...] = (ctx.account, ctx.region)
        shown, token = await page_of(
            reader, BY_NAME if group is None else Schedule,
            where if group is None else (*where, group),
            most=most, scope=scope, after=position(req, scope),
            fits=lambda one: req.get("State") in {None, "ENABLED" if one.enabled else "DISABLED"},
            step=limits.LISTED_MAX, **begins(prefix),
        )  # fmt: skip
        result: dict[str, Any] = {"Schedules": [_listed(one) for one in shown]}
        if token is not None:
            result["NextToken"] = token
        return result  # type: ignore[return-value]

    async def delete_schedule(self, ctx: Context, req: w.DeleteScheduleInput) -> None:
        """Delete a schedule; what has come due already is executed still."""
        async with ctx.write() as tx:
            found = await _existing(tx, ctx, req)
            tx.delete(found)
            await tx.unschedule(FIRE, found.arn)
            count(tx, ctx.account, ctx.region, -1)


async def _group(reader: Reader, ctx: Context, name: str) -> None:
    if await reader.get(Group, ctx.account, ctx.region, name) is None:
        raise NotFound(f"Schedule group {name} does not exist.")


async def _existing(reader: Reader, ctx: Context, req: Mapping[str, Any]) -> Schedule:
    group = req.get("GroupName", DEFAULT)
    found = await reader.get(Schedule, ctx.account, ctx.region, group, req["Name"])
    if found is None:
        raise NotFound(f"Schedule {req['Name']} does not exist.")
    return found


async def _check(ctx: Context, req: Mapping[str, Any]) -> None:
    """Whether a schedule can be what is asked for. Raises ValidationException."""
    if req.get("KmsKeyArn"):
        raise NotImplementedByDoppio(
            "scheduler: schedules under customer keys exist in AWS and not yet in this cloud"
        )
    check_expression(req["ScheduleExpression"], req.get("ScheduleExpressionTimezone", "UTC"))
    check_window(req["FlexibleTimeWindow"])
    start, end = req.get("StartDate"), req.get("EndDate")
    if start is not None and end is not None and end <= start:
        raise Validation("The StartDate must be before the EndDate.")
    if end is not None and end <= ctx.now:
        raise Validation("The EndDate you specify must be in the future.")
    target = req["Target"]
    check_target(target, frozenset(ctx.kernel.services))
    await ctx.authorise(
        "iam:PassRole", target["RoleArn"], {"iam:passedtoservice": "scheduler.amazonaws.com"}
    )
    group = f"arn:{ctx.partition}:scheduler:{ctx.region}:{ctx.account}:schedule-group"
    name = req.get("GroupName", DEFAULT)
    if not await check_role(ctx, target["RoleArn"], f"{group}/{name}"):
        raise Validation(
            "The execution role you provide must allow AWS EventBridge Scheduler to assume the "
            "role."
        )


def _made(ctx: Context, req: Mapping[str, Any], created_at: datetime) -> Schedule:
    start = req.get("StartDate")
    given = {name: req[name] for name in _GIVEN if name in req}
    given.setdefault("ActionAfterCompletion", "NONE")
    target = dict(given["Target"])
    target["RetryPolicy"] = {
        "MaximumEventAgeInSeconds": int(limits.EVENT_AGE_DEFAULT.total_seconds()),
        "MaximumRetryAttempts": limits.RETRIES_DEFAULT,
        **(target.get("RetryPolicy") or {}),
    }
    given["Target"] = target
    return Schedule(
        account=ctx.account,
        region=ctx.region,
        group=req.get("GroupName", DEFAULT),
        name=req["Name"],
        partition=ctx.partition,
        revision=ctx.new_id(),
        created_at=created_at,
        modified_at=ctx.now,
        expression=req["ScheduleExpression"],
        zone=req.get("ScheduleExpressionTimezone", "UTC"),
        # A rate without a start begins at once.
        begins_at=start if start is not None and start > ctx.now else ctx.now,
        given=given,
        start=start,
        end=req.get("EndDate"),
        enabled=req.get("State", "ENABLED") == "ENABLED",
        token=req.get("ClientToken"),
    )


def _summary(schedule: Schedule) -> dict[str, Any]:
    return {
        "Arn": schedule.arn,
        "GroupName": schedule.group,
        "Name": schedule.name,
        "State": "ENABLED" if schedule.enabled else "DISABLED",
        "CreationDate": schedule.created_at,
        "LastModificationDate": schedule.modified_at,
    }


def _listed(schedule: Schedule) -> dict[str, Any]:
    return {**_summary(schedule), "Target": {"Arn": schedule.given["Target"]["Arn"]}}


def needs(ctx: Context, operation: str, req: Mapping[str, Any]) -> list[Need]:
    """The action and the schedule or group that an operation touches.

    Source: "Actions, resources, and condition keys for Amazon EventBridge Scheduler".
    """
    action = f"scheduler:{operation}"
    where = f"arn:{ctx.partition}:scheduler:{ctx.region}:{ctx.account}"
    keys: dict[str, Any] = {}
    given = req.get("Tags") or []
    if given:
        keys = {f"aws:requesttag/{tag['Key'].lower()}": tag["Value"] for tag in given}
        keys["aws:tagkeys"] = [tag["Key"] for tag in given]
    if "ResourceArn" in req:
        if req.get("TagKeys"):
            keys["aws:tagkeys"] = req["TagKeys"]
        return [Need(action, req["ResourceArn"], keys)]
    if operation.endswith("ScheduleGroup"):
        arn = f"{where}:schedule-group/{req['Name']}"
        tagged = [Need("scheduler:TagResource", arn, keys)] if given else []
        return [Need(action, arn, keys), *tagged]
    if "Name" in req:
        return [Need(action, f"{where}:schedule/{req.get('GroupName', DEFAULT)}/{req['Name']}")]
    return [Need(action)]
