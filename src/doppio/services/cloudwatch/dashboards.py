"""Dashboards: JSON that says what the console shows, checked and kept."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, cast

from doppio.kernel.context import Context
from doppio.kernel.paging import begins, page_of
from doppio.services.cloudwatch import limits
from doppio.services.cloudwatch.errors import InvalidDashboard, InvalidValue, NoDashboard
from doppio.services.cloudwatch.metrics import position
from doppio.services.cloudwatch.records import Dashboard
from doppio.wire.errors import NotImplementedByDoppio

if TYPE_CHECKING:
    from doppio._stubs import cloudwatch as w

_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
_TYPES = {"metric", "text", "log", "alarm", "explorer", "custom"}
_MEMBERS = {"type", "x", "y", "width", "height", "properties"}


class Dashboards:
    """The operations on dashboards."""

    async def put_dashboard(self, ctx: Context, req: w.PutDashboardInput) -> w.PutDashboardOutput:
        """Keep a dashboard, if it is one; what only looks wrong is told."""
        name, body = req["DashboardName"], req["DashboardBody"]
        if _NAME.fullmatch(name) is None:
            raise InvalidValue(
                f"The value {name} for field DashboardName contains invalid characters. It can "
                "only contain alphanumerics, dash (-) and underscore (_)."
            )
        if req.get("Tags"):
            raise NotImplementedByDoppio("cloudwatch: tags of dashboards are not yet here")
        messages = looked_over(body)
        async with ctx.write() as tx:
            tx.put(
                Dashboard(
                    account=ctx.account, name=name, body=body, changed_at=ctx.now,
                    partition=ctx.partition,
                )
            )  # fmt: skip
            tx.meter("DashboardsUsageHour")
        return {"DashboardValidationMessages": cast("list[w.DashboardValidationMessage]", messages)}

    async def get_dashboard(self, ctx: Context, req: w.GetDashboardInput) -> w.GetDashboardOutput:
        """A dashboard as it was given."""
        found = await ctx.read().get(Dashboard, ctx.account, req["DashboardName"])
        if found is None:
            raise NoDashboard(f"Dashboard {req['DashboardName']} does not exist")
        return {
            "DashboardArn": found.arn, "DashboardBody": found.body, "DashboardName": found.name,
        }  # fmt: skip

    async def list_dashboards(
        self, ctx: Context, req: w.ListDashboardsInput
    ) -> w.ListDashboardsOutput:
        """The account's dashboards by pages, in the order of names."""
        prefix = req.get("DashboardNamePrefix") or ""
        scope = f"dashboards/{ctx.account}/{prefix}"
        shown, token = await page_of(
            ctx.read(), Dashboard, (ctx.account,), most=limits.DASHBOARDS_A_PAGE_MAX, scope=scope,
            after=position(req, scope), **begins(prefix),
        )  # fmt: skip
        told: dict[str, Any] = {
            "DashboardEntries": [
                {
                    "DashboardName": one.name,
                    "DashboardArn": one.arn,
                    "LastModified": one.changed_at,
                    "Size": len(one.body.encode()),
                }
                for one in shown
            ]
        }
        if token is not None:
            told["NextToken"] = token
        return cast("w.ListDashboardsOutput", told)

    async def delete_dashboards(
        self, ctx: Context, req: w.DeleteDashboardsInput
    ) -> w.DeleteDashboardsOutput:
        """Remove dashboards: all that are named, or none where one is not there."""
        async with ctx.write() as tx:
            for name in dict.fromkeys(req["DashboardNames"]):
                found = await tx.get(Dashboard, ctx.account, name)
                if found is None:
                    raise NoDashboard(f"Dashboard {name} does not exist")
                tx.delete(found)
        return {}


def looked_over(body: str) -> list[dict[str, str]]:
    """What looks wrong in a dashboard. Raises InvalidDashboard for what is none."""
    try:
        document = json.loads(body)
    except ValueError as error:
        raise _invalid("The dashboard body is not valid JSON", "/") from error
    if not isinstance(document, dict):
        raise _invalid("The dashboard body must be a JSON object", "/")
    widgets = document.get("widgets")
    if not isinstance(widgets, list):
        raise _invalid("The field 'widgets' is required and must be an array", "/widgets")
    messages = []
    metrics = 0
    for number, widget in enumerate(widgets):
        where = f"/widgets/{number}"
        if not isinstance(widget, dict):
            raise _invalid("A widget must be a JSON object", where)
        if widget.get("type") not in _TYPES:
            raise _invalid(f"Should be one of {sorted(_TYPES)}", f"{where}/type")
        properties = widget.get("properties")
        if not isinstance(properties, dict):
            raise _invalid("Should have required property 'properties'", where)
        for member, most in (("x", 23), ("width", 24), ("height", 1_000)):
            value = widget.get(member)
            if value is not None and not (isinstance(value, int) and 0 <= value <= most):
                raise _invalid(f"Should be an integer from 0 to {most}", f"{where}/{member}")
        metrics += len(properties.get("metrics") or [])
        messages += [
            {"DataPath": f"{where}/{member}", "Message": "Should NOT have additional properties"}
            for member in sorted(set(widget) - _MEMBERS)
        ]
    if metrics > limits.DASHBOARD_METRICS_MAX:
        raise _invalid(
            f"A dashboard can show at most {limits.DASHBOARD_METRICS_MAX} metrics", "/widgets"
        )  # fmt: skip
    return messages


def _invalid(message: str, path: str) -> InvalidDashboard:
    return InvalidDashboard(
        "The dashboard body is invalid, there are 1 validation errors: "
        + json.dumps([{"dataPath": path, "message": message}]),
        dashboardValidationMessages=[{"DataPath": path, "Message": message}],
    )
