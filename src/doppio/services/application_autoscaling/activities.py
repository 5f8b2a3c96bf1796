"""Scaling activities: what was done, and why, for six weeks; and forecasts, which nothing here has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from doppio.kernel.context import Context
from doppio.services.application_autoscaling.limits import ACTIVITIES_KEPT
from doppio.services.application_autoscaling.listing import named, page, place, with_token
from doppio.services.application_autoscaling.records import Activity

if TYPE_CHECKING:
    from doppio._stubs import application_autoscaling as w


class Activities:
    """The operation that tells what happened."""

    async def describe_scaling_activities(
        self, ctx: Context, req: w.DescribeScalingActivitiesRequest
    ) -> w.DescribeScalingActivitiesResponse:
        """What was done, the youngest first; what was not done only where it is asked for."""
        since = ctx.now - ACTIVITIES_KEPT
        all_of_it = bool(req.get("IncludeNotScaledActivities"))
        found, token = await page(
            ctx, req, Activity,
            lambda one: named(one, req) and one.started_at >= since
            and (all_of_it or one.reason is None),
            youngest_first=True,
        )  # fmt: skip
        shown: dict[str, Any] = {"ScalingActivities": [_shown(one) for one in found]}
        return with_token(shown, token)  # type: ignore[return-value]


def _shown(activity: Activity) -> dict[str, Any]:
    shown: dict[str, Any] = {
        **place(activity),
        "ActivityId": activity.id,
        "Description": activity.description,
        "Cause": activity.cause,
        "StartTime": activity.started_at,
        "StatusCode": activity.status,
    }
    if activity.ended_at is not None:
        shown["EndTime"] = activity.ended_at
    if activity.message:
        shown["StatusMessage"] = activity.message
    if activity.reason is not None:
        shown["NotScaledReasons"] = [activity.reason]
    return shown
