"""Scaling: a durable job that changes the capacity of a target, and writes down what it did.

What is to be done is decided once and kept with the activity; a job that a crash stopped finds it and
goes on. A resource that is being changed by somebody else is asked again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.jobs import Job
from doppio.services.application_autoscaling import limits
from doppio.services.application_autoscaling.dimensions import (
    acting,
    change,
    current,
    dimension_of,
)
from doppio.services.application_autoscaling.errors import ObjectNotFound
from doppio.services.application_autoscaling.records import (
    POLICY_BY_ID,
    Activity,
    Policy,
    Target,
)
from doppio.services.application_autoscaling.rules import (
    HIGH,
    LOW,
    bounded,
    cooling,
    not_scaled,
    wanted_capacity,
)
from doppio.wire.errors import AwsError

SCALE = "application-autoscaling.scale"
_ALARMS = "application-autoscaling.alarms"
_BUSY = frozenset({"ResourceInUseException", "ThrottlingException"})


async def target_of(reader: Reader, ctx: Context, req: Mapping[str, Any]) -> Target:
    """The target that a request names. Raises ObjectNotFound."""
    key = (req["ServiceNamespace"], req["ResourceId"], req["ScalableDimension"])
    found = await reader.get(Target, ctx.account, ctx.region, *key)
    if found is None:
        raise ObjectNotFound(
            f"No scalable target registered for service namespace: {key[0]}, resource ID: {key[1]}, "
            f"scalable dimension: {key[2]}"
        )
    return found


async def bring_within(tx: Tx, target: Target, old: Target | None) -> None:
    """Let a target that is new, or has new bounds, be brought within them."""
    if old is None or (old.least, old.most) != (target.least, target.most):
        now = tx.context.now
        await tx.schedule(now, SCALE, _job_key(target), activity=tx.context.new_id())


async def alarmed(ctx: Context, arn: str, alarm: str, state: str, values: list[float]) -> bool:
    """An alarm has the state in which it acts on a policy, or has it still; False for no policy."""
    parts = arn.split(":")
    if len(parts) < 7:
        return False
    place = (parts[4], parts[3], parts[6])
    found = await ctx.read().find(POLICY_BY_ID, place, limit=1)
    if not found or found[0].arn != arn:
        return False
    policy = found[0]
    kind = next((kind for kind, name in policy.alarms.items() if name == alarm), HIGH)
    if kind not in (HIGH, LOW):
        await ctx.transact(lambda tx: tx.schedule(ctx.now, _ALARMS, policy.arn, id=policy.id))
        return True
    cause = f"monitor alarm {alarm} in state {state} triggered policy {policy.name}"

    async def schedule(tx: Tx) -> None:
        target = await tx.get(Target, *policy.target_key)
        if target is None or await tx.get(Job, SCALE, _job_key(target)) is not None:
            return  # One at a time: an alarm that stays says so again.
        await tx.schedule(
            ctx.now, SCALE, _job_key(target), activity=ctx.new_id(), cause=cause,
            policy=policy.name, kind=kind, values=values,
        )  # fmt: skip

    await ctx.transact(schedule)
    return True


async def scale(ctx: Context, job: Job) -> None:
    """Bring a target to where it should be, and write it down."""
    key = job.key.split("|")
    target = await ctx.read().get(Target, *key)
    if target is None:
        return
    of = dimension_of(*target.key[2:])
    policy = None
    if "policy" in job.arguments:
        policy = await ctx.read().get(Policy, *target.key, job.arguments["policy"])
        if policy is None:
            return
    activity = await _of_job(ctx, job, target)
    try:
        role = await acting(ctx, target)
        now = await current(role, of)
        if activity is None:
            activity = await _begun(ctx, job, target, policy, now)
            if activity is None:
                return
        if now != activity.wanted:
            await change(role, of, activity.wanted)
    except AwsError as error:
        if error.code in _BUSY:
            at = ctx.clock.now() + limits.BUSY
            await ctx.transact(lambda tx: tx.schedule(at, SCALE, job.key, **job.arguments))
            return
        if activity is not None:
            text = f"Failed to {_doing(activity)}. Reason: {error.message}"
            await _ended(ctx, activity, policy, job, "Failed", text)
        return
    text = f"Successfully {_doing(activity)}. Change successfully fulfilled by {target.namespace}."
    await _ended(ctx, activity, policy, job, "Successful", text)


async def _of_job(ctx: Context, job: Job, target: Target) -> Activity | None:
    """What this job has begun, before it was stopped."""
    place = (target.account, target.region, target.namespace)
    since = job.at - limits.BUSY * 600
    rows = await ctx.read().list(
        Activity, place, since=since, limit=limits.ROWS_A_READ, reverse=True
    )
    return next((row for row in rows if row.id == job.arguments["activity"]), None)


async def _begun(
    ctx: Context, job: Job, target: Target, policy: Policy | None, now: int
) -> Activity | None:
    """Decide what is to be done, and write that it begins; None where nothing is."""
    moment = ctx.clock.now()
    kind = job.arguments.get("kind", HIGH)
    reason = None
    if policy is None:
        wanted = bounded(target, now)
        word = ("minimum", target.least) if wanted > now else ("maximum", target.most)
        cause = f"{word[0]} capacity was set to {word[1]}"
    else:
        off = "DynamicScalingOutSuspended" if kind == HIGH else "DynamicScalingInSuspended"
        if target.suspended.get(off) or cooling(policy, kind, moment):
            return None
        if kind == LOW and not await _all_low(ctx, target, policy):
            return None
        wanted = wanted_capacity(policy, kind, now, job.arguments["values"], target)
        cause = job.arguments["cause"]
    if wanted == now:
        if policy is None:
            return None
        reason = not_scaled(target, kind, now)
    of = dimension_of(*target.key[2:])
    activity = Activity(
        account=target.account, region=target.region, namespace=target.namespace,
        started_at=moment, id=job.arguments["activity"], resource=target.resource,
        dimension=target.dimension, wanted=wanted, cause=cause,
        description=f"Setting {of.words} to {wanted}.", reason=reason,
    )  # fmt: skip
    if reason is not None:
        await _note_unfulfilled(ctx, activity)
        return None
    await ctx.transact(lambda tx: _put(tx, activity))
    return activity


async def _note_unfulfilled(ctx: Context, activity: Activity) -> None:
    """Say why nothing was done, once: an alarm that stays in its state would say so each minute."""
    place = (activity.account, activity.region, activity.namespace)
    rows = await ctx.read().list(Activity, place, limit=limits.ROWS_A_READ, reverse=True)
    names = (activity.resource, activity.dimension)
    mine = [row for row in rows if (row.resource, row.dimension) == names]
    last = [row for row in mine if row.started_at == mine[0].started_at]
    if any((row.reason, row.cause) == (activity.reason, activity.cause) for row in last):
        return
    code = activity.reason["Code"] if activity.reason else ""
    ended = replace(
        activity, status="Unfulfilled", ended_at=activity.started_at,
        description="Attempting to scale due to alarm triggered",
        message=f"Capacity was not changed: {code}.",
    )  # fmt: skip
    await ctx.transact(lambda tx: _put(tx, ended))


async def _put(tx: Tx, activity: Activity) -> None:
    """Write an activity, and forget some that are too old."""
    before = activity.started_at - limits.ACTIVITIES_KEPT
    place = (activity.account, activity.region, activity.namespace)
    for old in await tx.list(Activity, place, until=before, limit=20):
        tx.delete(old)
    tx.put(activity)


async def _ended(
    ctx: Context, activity: Activity, policy: Policy | None, job: Job, status: str, text: str
) -> None:
    now = ctx.clock.now()

    async def settle(tx: Tx) -> None:
        tx.put(replace(activity, status=status, message=text, ended_at=now))
        if policy is None or status != "Successful":
            return
        found = await tx.get(Policy, *policy.target_key, policy.name)
        if found is not None:
            out = job.arguments["kind"] == HIGH
            tx.put(replace(found, out_at=now) if out else replace(found, in_at=now))
            await tx.schedule(now, _ALARMS, found.arn, id=found.id)

    await ctx.transact(settle)


async def _all_low(ctx: Context, target: Target, policy: Policy) -> bool:
    """Whether every policy of a target would take away: then alone something is taken."""
    others = await ctx.read().list(Policy, target.key, limit=limits.POLICIES_A_TARGET)
    names = [one.alarms[LOW] for one in others if one.name != policy.name and LOW in one.alarms]
    if not names:
        return True
    role = await acting(ctx, target)
    got = await role.call("cloudwatch", "describe_alarms", {"AlarmNames": names})
    return all(one["StateValue"] == "ALARM" for one in got["MetricAlarms"])


def _doing(activity: Activity) -> str:
    return "set" + activity.description.removeprefix("Setting").rstrip(".")


def _job_key(target: Target) -> str:
    return "|".join(target.key)
