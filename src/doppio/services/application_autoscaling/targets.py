"""Scalable targets: what may be scaled, within which bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel import tags
from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.quotas import quota
from doppio.services.application_autoscaling import limits
from doppio.services.application_autoscaling.dimensions import (
    current,
    dimension_of,
    ensured,
    role_arn,
)
from doppio.services.application_autoscaling.errors import (
    LimitExceeded,
    ResourceNotFound,
    TooManyTags,
    Validation,
)
from doppio.services.application_autoscaling.listing import named, page, place, with_token
from doppio.services.application_autoscaling.policies import drop_policy
from doppio.services.application_autoscaling.records import (
    TARGET_BY_ID,
    Policy,
    Scheduled,
    Target,
    target_id,
)
from doppio.services.application_autoscaling.scaling import bring_within, target_of
from doppio.services.application_autoscaling.scheduled import FIRE

if TYPE_CHECKING:
    from doppio._stubs import application_autoscaling as w


class Targets:
    """The operations on scalable targets, and their tags."""

    async def register_scalable_target(
        self, ctx: Context, req: w.RegisterScalableTargetRequest
    ) -> w.RegisterScalableTargetResponse:
        """Let a resource be scaled, or change its bounds; what lies beyond them is brought within."""
        of = dimension_of(req["ServiceNamespace"], req["ResourceId"], req["ScalableDimension"])
        await current(await ensured(ctx), of)
        key = (req["ServiceNamespace"], req["ResourceId"], req["ScalableDimension"])
        async with ctx.write() as tx:
            old = await tx.get(Target, ctx.account, ctx.region, *key)
            if old is None:
                await _check_room(tx, ctx)
            target = tx.put(_registered(ctx, req, old))
            await bring_within(tx, target, old)
        return {"ScalableTargetARN": target.arn}

    async def describe_scalable_targets(
        self, ctx: Context, req: w.DescribeScalableTargetsRequest
    ) -> w.DescribeScalableTargetsResponse:
        """Targets of a service, by page."""
        wanted = set(req.get("ResourceIds") or ())
        found, token = await page(
            ctx, req, Target,
            lambda one: named(one, req) and (not wanted or one.resource in wanted),
        )  # fmt: skip
        shown: dict[str, Any] = {"ScalableTargets": [_shown(one) for one in found]}
        return with_token(shown, token)  # type: ignore[return-value]

    async def deregister_scalable_target(
        self, ctx: Context, req: w.DeregisterScalableTargetRequest
    ) -> None:
        """Let a resource be: its policies, their alarms and its schedules go, too."""
        async with ctx.write() as tx:
            target = await target_of(tx, ctx, req)
            for policy in await tx.list(Policy, target.key, limit=limits.POLICIES_A_TARGET):
                await drop_policy(tx, target, policy)
            for one in await tx.list(Scheduled, target.key, limit=limits.SCHEDULED_A_TARGET):
                tx.delete(one)
                await tx.unschedule(FIRE, one.arn)
            tx.delete(target)

    async def tag_resource(self, ctx: Context, req: w.TagResourceRequest) -> None:
        """Put tags on a target."""
        async with ctx.write() as tx:
            target = await _by_arn(tx, ctx, req["ResourceARN"])
            tx.put(replace(target, tags=_tags(target.tags, req["Tags"], target.arn)))

    async def untag_resource(self, ctx: Context, req: w.UntagResourceRequest) -> None:
        """Take tags off a target."""
        async with ctx.write() as tx:
            target = await _by_arn(tx, ctx, req["ResourceARN"])
            tx.put(replace(target, tags=tags.without(target.tags, req["TagKeys"])))

    async def list_tags_for_resource(
        self, ctx: Context, req: w.ListTagsForResourceRequest
    ) -> w.ListTagsForResourceResponse:
        """The tags of a target."""
        return {"Tags": (await _by_arn(ctx.read(), ctx, req["ResourceARN"])).tags}


def _registered(ctx: Context, req: Mapping[str, Any], old: Target | None) -> Target:
    least = req.get("MinCapacity", None if old is None else old.least)
    most = req.get("MaxCapacity", None if old is None else old.most)
    if least is None or most is None:
        raise Validation("MinCapacity and MaxCapacity are required to register a scalable target")
    check_bounds(least, most)
    suspended = {**({} if old is None else old.suspended), **req.get("SuspendedState", {})}
    if old is not None:
        if req.get("Tags"):
            raise Validation(
                "Tags cannot be updated by RegisterScalableTarget for an existing scalable target: "
                "use TagResource"
            )
        return replace(old, least=least, most=most, suspended=suspended)
    key = (req["ServiceNamespace"], req["ResourceId"], req["ScalableDimension"])
    target = Target(
        account=ctx.account, region=ctx.region, partition=ctx.partition, namespace=key[0],
        resource=key[1], dimension=key[2], id=target_id(ctx.account, ctx.region, *key), least=least,
        most=most, role=role_arn(ctx), created_at=ctx.now, suspended=suspended,
    )  # fmt: skip
    return replace(target, tags=_tags({}, req.get("Tags") or {}, target.arn))


def check_bounds(least: int, most: int) -> None:
    """Raise Validation for bounds that no table can have."""
    if least < 1:
        raise Validation("Minimum capacity cannot be less than 1")
    if most < least:
        raise Validation("Maximum capacity cannot be less than minimum capacity")


async def _check_room(tx: Tx, ctx: Context) -> None:
    most = await quota(tx, limits.TARGETS)
    rows = await tx.list(Target, (ctx.account, ctx.region), limit=most)
    if len(rows) >= most:
        raise LimitExceeded(f"The limit of {most} scalable targets is exceeded")


def _shown(target: Target) -> dict[str, Any]:
    off = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")
    return {
        **place(target),
        "MinCapacity": target.least,
        "MaxCapacity": target.most,
        "RoleARN": target.role,
        "CreationTime": target.created_at,
        "SuspendedState": {name: target.suspended.get(name, False) for name in off},
        "ScalableTargetARN": target.arn,
    }


async def _by_arn(reader: Reader, ctx: Context, arn: str) -> Target:
    wanted = arn.rpartition("/")[2]
    found = await reader.find(TARGET_BY_ID, (ctx.account, ctx.region, wanted), limit=1)
    if not found or found[0].arn != arn:
        raise ResourceNotFound(f"No scalable target found for ARN: {arn}", ResourceName=arn)
    return found[0]


def _tags(old: Mapping[str, str], given: Mapping[str, str], arn: str) -> dict[str, str]:
    try:
        tags.checked(given)
    except tags.BadTags as error:
        raise Validation(str(error)) from error
    try:
        return tags.merged(old, given)
    except tags.BadTags as error:
        raise TooManyTags(str(error), ResourceName=arn) from error
