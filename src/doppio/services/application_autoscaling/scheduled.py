"""Scheduled actions: other bounds for a target, at a time or again and again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel import schedules
from doppio.kernel.context import Context, Tx
from doppio.kernel.jobs import Job
from doppio.services.application_autoscaling import limits
from doppio.services.application_autoscaling.errors import (
    LimitExceeded,
    ObjectNotFound,
    Validation,
)
from doppio.services.application_autoscaling.listing import named, page, place, with_token
from doppio.services.application_autoscaling.records import Scheduled, Target
from doppio.services.application_autoscaling.scaling import bring_within, target_of

if TYPE_CHECKING:
    from doppio._stubs import application_autoscaling as w

FIRE = "application-autoscaling.fire"


class ScheduledActions:
    """The operations on scheduled actions."""

    async def put_scheduled_action(self, ctx: Context, req: w.PutScheduledActionRequest) -> None:
        """Plan other bounds for a target, or plan them otherwise: what is not given stays."""
        async with ctx.write() as tx:
            target = await target_of(tx, ctx, req)
            old = await tx.get(Scheduled, *target.key, req["ScheduledActionName"])
            if old is None:
                rows = await tx.list(Scheduled, target.key, limit=limits.SCHEDULED_A_TARGET)
                if len(rows) >= limits.SCHEDULED_A_TARGET:
                    raise LimitExceeded("The limit of 200 scheduled actions per target is exceeded")
            one = tx.put(_planned(ctx, target, req, old))
            following = _following(one, ctx.now)
            if following is None:
                raise Validation("The scheduled action has no time at which it would run")
            await tx.schedule(following, FIRE, one.arn, names=[*one.target_key, one.name])

    async def describe_scheduled_actions(
        self, ctx: Context, req: w.DescribeScheduledActionsRequest
    ) -> w.DescribeScheduledActionsResponse:
        """Scheduled actions of a service, by page."""
        names = set(req.get("ScheduledActionNames") or ())
        found, token = await page(
            ctx, req, Scheduled,
            lambda one: named(one, req) and (not names or one.name in names or one.arn in names),
        )  # fmt: skip
        shown: dict[str, Any] = {"ScheduledActions": [_shown(one) for one in found]}
        return with_token(shown, token)  # type: ignore[return-value]

    async def delete_scheduled_action(
        self, ctx: Context, req: w.DeleteScheduledActionRequest
    ) -> None:
        """Remove a scheduled action; the bounds that it has set stay."""
        key = (req["ServiceNamespace"], req["ResourceId"], req["ScalableDimension"])
        name = req["ScheduledActionName"]
        async with ctx.write() as tx:
            found = await tx.get(Scheduled, ctx.account, ctx.region, *key, name)
            if found is None:
                raise ObjectNotFound(
                    f"No scheduled action found for service namespace: {key[0]}, resource ID: "
                    f"{key[1]}, scalable dimension: {key[2]}, scheduled action name: {name}"
                )
            tx.delete(found)
            await tx.unschedule(FIRE, found.arn)


async def fire(ctx: Context, job: Job) -> None:
    """A time has come: the target gets its bounds, and the next time is set, in one commit."""
    key = job.arguments["names"]

    async def due(tx: Tx) -> None:
        one = await tx.get(Scheduled, *key)
        target = await tx.get(Target, *key[:5])
        if one is None or target is None or await tx.get(Job, FIRE, job.key) != job:
            return
        if not target.suspended.get("ScheduledScalingSuspended"):
            least = target.least if one.least is None else one.least
            most = target.most if one.most is None else one.most
            if one.least is not None and one.most is None:
                most = max(most, least)
            if one.most is not None and one.least is None:
                least = min(least, most)
            changed = tx.put(replace(target, least=least, most=most))
            await bring_within(tx, changed, target)
        following = _following(one, job.at)
        if following is None:
            tx.delete(one)
            await tx.unschedule(FIRE, job.key)
        else:
            await tx.schedule(following, FIRE, job.key, names=key)

    await ctx.transact(due)


def _planned(
    ctx: Context, target: Target, req: Mapping[str, Any], old: Scheduled | None
) -> Scheduled:
    expression = req.get("Schedule") or (old.expression if old is not None else None)
    if expression is None:
        raise Validation("Schedule is required to create a scheduled action")
    zone = req.get("Timezone", None if old is None else old.zone)
    try:
        schedules.parse(expression, at=True)
        schedules.zone_of(zone or "UTC")
    except schedules.BadSchedule as error:
        raise Validation(f"Schedule expression must have a valid syntax: {error}") from error
    action = req.get("ScalableTargetAction")
    least, most = (None, None) if old is None else (old.least, old.most)
    if action is not None:
        least, most = action.get("MinCapacity"), action.get("MaxCapacity")
    if least is None and most is None:
        raise Validation("At least one of MinCapacity and MaxCapacity must be specified")
    if (least is not None and least < 1) or (most is not None and most < (least or 1)):
        raise Validation("Maximum capacity cannot be less than minimum capacity")
    start = req.get("StartTime", None if old is None else old.start)
    end = req.get("EndTime", None if old is None else old.end)
    if start is not None and end is not None and end <= start:
        raise Validation("EndTime must be after StartTime")
    account, region, namespace, resource, dimension = target.key
    return Scheduled(
        account=account, region=region, partition=target.partition, namespace=namespace,
        resource=resource, dimension=dimension, name=req["ScheduledActionName"],
        id=ctx.new_id() if old is None else old.id,
        created_at=ctx.now if old is None else old.created_at, begins_at=ctx.now,
        expression=expression, zone=zone, start=start, end=end, least=least, most=most,
    )  # fmt: skip


def _following(one: Scheduled, moment: datetime) -> datetime | None:
    """When it is due next, behind a moment and within its times."""
    schedule = schedules.parse(one.expression, at=True)
    begins = one.start or one.begins_at
    if isinstance(schedule, schedules.Rate) and one.start is None:
        begins = one.begins_at + schedule.every
    if one.start is not None and one.start > moment:
        # What is due at the very start counts.
        moment = one.start - timedelta(seconds=1)
    at = schedule.after(moment, start=begins, zone=schedules.zone_of(one.zone or "UTC"))
    return None if at is None or (one.end is not None and at > one.end) else at


def _shown(one: Scheduled) -> dict[str, Any]:
    action = {"MinCapacity": one.least, "MaxCapacity": one.most}
    shown: dict[str, Any] = {
        **place(one),
        "ScheduledActionName": one.name,
        "ScheduledActionARN": one.arn,
        "Schedule": one.expression,
        "ScalableTargetAction": {
            name: value for name, value in action.items() if value is not None
        },
        "CreationTime": one.created_at,
    }
    more = {"Timezone": one.zone, "StartTime": one.start, "EndTime": one.end}
    return shown | {name: value for name, value in more.items() if value is not None}
