"""Which permissions an operation takes.

Source: "Actions, resources, and condition keys for AWS Application Auto Scaling".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from doppio.kernel.context import Context, Reader
from doppio.kernel.service import Need
from doppio.kernel.tags import ResourceTags
from doppio.services.application_autoscaling.records import TARGET_BY_ID, target_id

_READS = frozenset(
    {"DescribeScalableTargets", "DescribeScalingActivities", "DescribeScalingPolicies",
     "DescribeScheduledActions"}
)  # fmt: skip


def needs(ctx: Context, operation: str, req: Mapping[str, Any]) -> Sequence[Need]:
    """The action, the target, and what policies may ask of it."""
    action = f"application-autoscaling:{operation}"
    if operation in _READS:
        return (Need(action),)
    if "ResourceARN" in req:
        return (Need(action, req["ResourceARN"], _of_tags(req), beyond=_TAGS),)
    if "ScalableDimension" not in req:
        return (Need(action),)
    names = (req["ServiceNamespace"], req["ResourceId"], req["ScalableDimension"])
    where = f"arn:{ctx.partition}:application-autoscaling:{ctx.region}:{ctx.account}"
    arn = f"{where}:scalable-target/{target_id(ctx.account, ctx.region, *names)}"
    keys: dict[str, Any] = {
        "application-autoscaling:service-namespace": names[0],
        "application-autoscaling:scalable-dimension": names[2],
        **_of_tags(req),
    }
    return (Need(action, arn, keys, beyond=_TAGS),)


def _of_tags(req: Mapping[str, Any]) -> dict[str, Any]:
    given: Mapping[str, str] = req.get("Tags") or {}
    keys: dict[str, Any] = {f"aws:requesttag/{key.lower()}": given[key] for key in given}
    named = [*given, *req.get("TagKeys", ())]
    return {**keys, "aws:tagkeys": named} if named else keys


async def _tags(reader: Reader, arn: str) -> Mapping[str, str] | None:
    parts = arn.split(":", 5)
    if len(parts) < 6:
        return None
    found = await reader.find(
        TARGET_BY_ID, (parts[4], parts[3], parts[5].removeprefix("scalable-target/")), limit=1
    )
    return found[0].tags if found else None


_TAGS = ResourceTags(_tags)
