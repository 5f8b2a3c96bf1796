"""Scaling policies: what a target is to stand at, and the alarms that say that it does not.

A policy is kept before its alarms are made and goes before they are deleted; a job sees to the rest
where a crash comes between.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.kernel.jobs import Job
from doppio.services.application_autoscaling import limits
from doppio.services.application_autoscaling.dimensions import acting, current, dimension_of
from doppio.services.application_autoscaling.errors import (
    FailedResourceAccess,
    LimitExceeded,
    ObjectNotFound,
    Validation,
)
from doppio.services.application_autoscaling.listing import named, page, place, with_token
from doppio.services.application_autoscaling.records import POLICY_BY_ID, Policy, Target
from doppio.services.application_autoscaling.rules import alarms_of, kinds_of
from doppio.services.application_autoscaling.scaling import target_of
from doppio.wire.errors import AccessDenied, AwsError

if TYPE_CHECKING:
    from doppio._stubs import application_autoscaling as w

ALARMS, CLEAR = "application-autoscaling.alarms", "application-autoscaling.clear"
TRACKING = "TargetTrackingScaling"


class Policies:
    """The operations on scaling policies."""

    async def put_scaling_policy(
        self, ctx: Context, req: w.PutScalingPolicyRequest
    ) -> w.PutScalingPolicyResponse:
        """Let a target track a metric, or track it otherwise; its alarms are there when this answers."""
        dimension_of(req["ServiceNamespace"], req["ResourceId"], req["ScalableDimension"])

        async def put(tx: Tx) -> tuple[Policy, list[str]]:
            target = await target_of(tx, ctx, req)
            old = await tx.get(Policy, *target.key, req["PolicyName"])
            others = await tx.list(Policy, target.key, limit=limits.POLICIES_A_TARGET)
            given = _checked(target, req, [one for one in others if old is None or one != old])
            if old is None and len(others) >= limits.POLICIES_A_TARGET:
                raise LimitExceeded("The limit of 50 scaling policies per target is exceeded")
            policy, gone = _made(ctx, target, req["PolicyName"], given, old)
            tx.put(policy)
            if gone:
                await _schedule_clearing(tx, target, gone)
            await tx.schedule(ctx.now, ALARMS, policy.arn, id=policy.id)
            return policy, gone

        policy, _ = await ctx.transact(put)
        try:
            await _ensure(ctx, policy)
        except AccessDenied as error:
            raise FailedResourceAccess(error.message) from error
        return {"PolicyARN": policy.arn, "Alarms": _alarms(policy)}  # type: ignore[typeddict-item]

    async def describe_scaling_policies(
        self, ctx: Context, req: w.DescribeScalingPoliciesRequest
    ) -> w.DescribeScalingPoliciesResponse:
        """Policies of a service, by page."""
        names = set(req.get("PolicyNames") or ())
        found, token = await page(
            ctx, req, Policy,
            lambda one: named(one, req) and (not names or one.name in names or one.arn in names),
        )  # fmt: skip
        shown: dict[str, Any] = {"ScalingPolicies": [_shown(one) for one in found]}
        return with_token(shown, token)  # type: ignore[return-value]

    async def delete_scaling_policy(self, ctx: Context, req: w.DeleteScalingPolicyRequest) -> None:
        """Remove a policy with its alarms."""
        async with ctx.write() as tx:
            key = (req["ServiceNamespace"], req["ResourceId"], req["ScalableDimension"])
            name = req["PolicyName"]
            policy = await tx.get(Policy, ctx.account, ctx.region, *key, name)
            target = await tx.get(Target, ctx.account, ctx.region, *key)
            if policy is None or target is None:
                raise ObjectNotFound(
                    f"No scaling policy found for service namespace: {key[0]}, resource ID: {key[1]}, "
                    f"scalable dimension: {key[2]}, policy name: {name}"
                )
            await drop_policy(tx, target, policy)


def _checked(target: Target, req: Mapping[str, Any], others: list[Policy]) -> dict[str, Any]:
    """The configuration of a policy, if it can be. Raises Validation."""
    kind = req.get("PolicyType", "StepScaling")
    if kind == "PredictiveScaling":
        raise Validation(
            "Predictive scaling policies are not supported for the specified service namespace"
        )
    if kind != TRACKING or "StepScalingPolicyConfiguration" in req:
        raise Validation(
            f"Step scaling policies are not supported for service namespace: {target.namespace}"
        )
    given: Mapping[str, Any] | None = req.get("TargetTrackingScalingPolicyConfiguration")
    if given is None:
        raise Validation("TargetTrackingScalingPolicyConfiguration is required")
    predefined = given.get("PredefinedMetricSpecification")
    custom = given.get("CustomizedMetricSpecification")
    if (predefined is None) == (custom is None):
        raise Validation(
            "Exactly one of PredefinedMetricSpecification and CustomizedMetricSpecification must be "
            "specified"
        )
    for name in ("ScaleOutCooldown", "ScaleInCooldown"):
        if given.get(name, 0) < 0:
            raise Validation(f"{name} must be greater than or equal to 0")
    if predefined is not None:
        _check_predefined(target, given, predefined, others)
    else:
        assert custom is not None
        _check_customized(given, custom)
    return dict(given)


def _check_predefined(
    target: Target, given: Mapping[str, Any], metric: Mapping[str, Any], others: list[Policy]
) -> None:
    of = dimension_of(target.namespace, target.resource, target.dimension)
    if metric["PredefinedMetricType"] != of.metric:
        raise Validation(
            f"Predefined metric type {metric['PredefinedMetricType']} is not supported for scalable "
            f"dimension {target.dimension}"
        )
    if "ResourceLabel" in metric:
        raise Validation("ResourceLabel is supported for ALBRequestCountPerTarget only")
    if not limits.UTILIZATION_MIN <= given["TargetValue"] <= limits.UTILIZATION_MAX:
        raise Validation(
            f"Target value must be between {limits.UTILIZATION_MIN:g} and "
            f"{limits.UTILIZATION_MAX:g} for {of.metric}"
        )
    if any("PredefinedMetricSpecification" in one.given for one in others):
        raise Validation(
            "Only one TargetTrackingScaling policy for a given metric specification is allowed."
        )


def _check_customized(given: Mapping[str, Any], custom: Mapping[str, Any]) -> None:
    if given["TargetValue"] <= 0:
        raise Validation("Target value must be greater than 0")
    plain = [name for name in ("MetricName", "Namespace", "Statistic") if name in custom]
    if "Metrics" in custom:
        if plain or "Dimensions" in custom or "Unit" in custom:
            raise Validation("Metrics cannot be specified together with a single metric")
        shown = [one for one in custom["Metrics"] if one.get("ReturnData", True)]
        if len(shown) != 1:
            raise Validation("Exactly one of the metrics must have ReturnData set to true")
    elif len(plain) < 3:
        raise Validation("MetricName, Namespace and Statistic are required for a customized metric")


def _made(
    ctx: Context, target: Target, name: str, given: dict[str, Any], old: Policy | None
) -> tuple[Policy, list[str]]:
    """The policy, and the names of alarms that it has no use for any more."""
    predefined = "PredefinedMetricSpecification" in given
    had = {} if old is None else old.alarms
    alarms = {
        kind: had.get(kind) or f"TargetTracking-{target.resource}-{kind}-{ctx.new_id()}"
        for kind in kinds_of(given, tells_bought=predefined)
    }
    gone = [alarm for kind, alarm in had.items() if kind not in alarms]
    if old is not None:
        return replace(old, given=given, alarms=alarms), gone
    account, region, namespace, resource, dimension = target.key
    made = Policy(
        account=account, region=region, partition=target.partition, namespace=namespace,
        resource=resource, dimension=dimension, name=name, id=ctx.new_id(), created_at=ctx.now,
        given=given, alarms=alarms,
    )  # fmt: skip
    return made, gone


async def drop_policy(tx: Tx, target: Target, policy: Policy) -> None:
    """Remove a policy; its alarms follow."""
    tx.delete(policy)
    await tx.unschedule(ALARMS, policy.arn)
    await _schedule_clearing(tx, target, list(policy.alarms.values()))


async def _schedule_clearing(tx: Tx, target: Target, names: list[str]) -> None:
    key = f"{target.arn}/{tx.context.new_id()}"
    where = list(target.key)
    await tx.schedule(tx.context.now, CLEAR, key, names=names, role=target.role, target=where)


async def ensure(ctx: Context, job: Job) -> None:
    """Make the alarms of a policy, or make them anew for what there is now."""
    found = await ctx.read().find(
        POLICY_BY_ID, (job.account, job.region, job.arguments["id"]), limit=1
    )
    if found:
        await _ensure(ctx, found[0])


async def _ensure(ctx: Context, policy: Policy) -> None:
    target = await ctx.read().get(Target, *policy.target_key)
    if target is None:
        return
    role = await acting(ctx, target)
    of = dimension_of(*policy.target_key[2:])
    predefined = "PredefinedMetricSpecification" in policy.given
    try:
        now = await current(role, of)
    except Validation:
        return  # The table is gone, and nothing of it can be watched.
    wanted = alarms_of(
        policy, of.consumed() if predefined else None, of.bought() if predefined else None, now
    )
    for req in wanted.values():
        await role.call("cloudwatch", "put_metric_alarm", req)


async def clear(ctx: Context, job: Job) -> None:
    """Delete alarms that no policy has; one that is gone is no error."""
    account, region, namespace, resource, dimension = job.arguments["target"]
    target = Target(
        account=account, region=region, partition=ctx.partition, namespace=namespace,
        resource=resource, dimension=dimension, id=job.key.split("/")[1], least=1, most=1,
        role=job.arguments["role"], created_at=ctx.now,
    )  # fmt: skip
    try:
        role = await acting(ctx, target)
    except AccessDenied:
        return  # Its role has gone before it, and what is left is the user's.
    for name in job.arguments["names"]:
        try:
            await role.call("cloudwatch", "delete_alarms", {"AlarmNames": [name]})
        except AwsError as error:
            if error.code not in ("ResourceNotFound", "ResourceNotFoundException"):
                raise


def _alarms(policy: Policy) -> list[dict[str, str]]:
    return [
        {"AlarmName": name, "AlarmARN": policy.alarm_arn(name)} for name in policy.alarms.values()
    ]


def _shown(policy: Policy) -> dict[str, Any]:
    return {
        **place(policy),
        "PolicyARN": policy.arn,
        "PolicyName": policy.name,
        "PolicyType": TRACKING,
        "TargetTrackingScalingPolicyConfiguration": policy.given,
        "Alarms": _alarms(policy),
        "CreationTime": policy.created_at,
    }
