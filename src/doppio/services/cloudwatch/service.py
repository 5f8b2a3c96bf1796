"""CloudWatch: the table of contents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from doppio.kernel.context import Context
from doppio.kernel.events import Subscription
from doppio.kernel.service import Need, Service
from doppio.services.cloudwatch.actions import act
from doppio.services.cloudwatch.alarms import Alarms
from doppio.services.cloudwatch.dashboards import Dashboards
from doppio.services.cloudwatch.insights import InsightRules
from doppio.services.cloudwatch.metrics import Metrics
from doppio.services.cloudwatch.queries import Queries
from doppio.services.cloudwatch.rollup import ROLLUP, rollup
from doppio.services.cloudwatch.states import Changed, Histories
from doppio.services.cloudwatch.statistics import Statistics
from doppio.services.cloudwatch.watching import EVALUATE, evaluate

_ON_ALARM = frozenset({"PutMetricAlarm", "PutCompositeAlarm", "SetAlarmState"})
_ON_ALARMS = frozenset({"DeleteAlarms", "EnableAlarmActions", "DisableAlarmActions"})
_BY_ARN = frozenset({"TagResource", "UntagResource", "ListTagsForResource"})


def needs(ctx: Context, operation: str, req: Mapping[str, Any]) -> Sequence[Need]:
    """The action, on the alarm or dashboard where one is named.

    Source: "Actions, resources, and condition keys for Amazon CloudWatch".
    """
    action = f"cloudwatch:{operation}"
    alarm = f"arn:{ctx.partition}:cloudwatch:{ctx.region}:{ctx.account}:alarm:"
    dashboard = f"arn:{ctx.partition}:cloudwatch::{ctx.account}:dashboard/"
    keys: dict[str, Any] = {}
    if operation == "PutMetricData":
        if ctx.caller.kind == "service":
            # The cloud's own services count what they do: nobody has to allow it.
            return ()
        return (Need(action, "*", {"cloudwatch:namespace": req["Namespace"]}),)
    if operation in _ON_ALARM:
        actions = [
            one
            for member in ("OKActions", "AlarmActions", "InsufficientDataActions")
            for one in req.get(member) or []
        ]
        if actions:
            keys["cloudwatch:alarmactions"] = actions
        for tag in req.get("Tags") or []:
            keys[f"aws:requesttag/{tag['Key'].lower()}"] = tag["Value"]
        return (Need(action, alarm + req["AlarmName"], keys),)
    if operation in _ON_ALARMS:
        return [Need(action, alarm + name) for name in req["AlarmNames"]]
    if operation in _BY_ARN:
        return (Need(action, req["ResourceARN"]),)
    if operation == "DescribeAlarmHistory":
        return (Need(action, alarm + (req.get("AlarmName") or "*")),)
    if operation in {"DescribeAlarms", "DescribeAlarmsForMetric"}:
        return (Need(action, f"{alarm}*"),)
    if operation in {"PutDashboard", "GetDashboard"}:
        return (Need(action, dashboard + req["DashboardName"]),)
    if operation == "DeleteDashboards":
        return [Need(action, dashboard + name) for name in req["DashboardNames"]]
    if operation == "GetInsightRuleReport":
        where = f"arn:{ctx.partition}:cloudwatch:{ctx.region}:{ctx.account}:insight-rule/"
        return (Need(action, where + req["RuleName"]),)
    return (Need(action),)


SERVICE = Service(
    "cloudwatch",
    groups=[
        Metrics(),
        Statistics(),
        Queries(),
        Alarms(),
        Histories(),
        Dashboards(),
        InsightRules(),
    ],
    needs=needs,
    data_events=["PutMetricData", "GetMetricData", "GetMetricStatistics", "ListMetrics"],
    jobs={ROLLUP: rollup, EVALUATE: evaluate},
    subscriptions=[Subscription("cloudwatch.act", (Changed,), act)],
)
