"""Contributor Insights: rules that services manage, and reports of what contributes most.

Rules over log groups do not exist here; what is there are the rules of DynamoDB's tables.
"""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from doppio.kernel.context import Context
from doppio.kernel.paging import BadToken, page_token, token_key
from doppio.services.cloudwatch import limits
from doppio.services.cloudwatch.errors import InvalidToken, InvalidValue, NoResource

if TYPE_CHECKING:
    from doppio._stubs import cloudwatch as w

_METRICS = frozenset(
    {"UniqueContributors", "MaxContributorValue", "SampleCount", "Sum", "Minimum", "Maximum",
     "Average"}
)  # fmt: skip


class InsightRules:
    """The operations on rules and reports."""

    async def describe_insight_rules(
        self, ctx: Context, req: w.DescribeInsightRulesInput
    ) -> w.DescribeInsightRulesOutput:
        """Rules by their names, page by page."""
        most = req.get("MaxResults") or limits.RULES_LISTED_MAX
        scope = f"insight-rules/{ctx.account}/{ctx.region}"
        try:
            after = token_key(req["NextToken"], scope).decode() if "NextToken" in req else ""
        except BadToken as error:
            raise InvalidToken() from error
        found = await _rules(ctx)
        names = sorted(name for name in found if name > after)
        shown: dict[str, Any] = {
            "InsightRules": [_shown(name, found[name]) for name in names[:most]]
        }
        if len(names) > most:
            shown["NextToken"] = page_token(names[most - 1].encode(), scope)
        return shown  # type: ignore[return-value]

    async def get_insight_rule_report(
        self, ctx: Context, req: w.GetInsightRuleReportInput
    ) -> w.GetInsightRuleReportOutput:
        """The contributors that weigh most in a span of time, and how they did from period to period."""
        from doppio.services.dynamodb.ports import report

        most, order = req.get("MaxContributorCount", 10), req.get("OrderBy", "Sum")
        metrics: list[str] = list(req.get("Metrics") or ())
        period = req["Period"]
        if not 1 <= most <= limits.CONTRIBUTORS_MAX:
            raise InvalidValue("The value for MaxContributorCount must be between 1 and 100.")
        if order not in ("Sum", "Maximum"):
            raise InvalidValue("The value for OrderBy must be Sum or Maximum.")
        if period % 60 or not _METRICS.issuperset(metrics):
            raise InvalidValue("The value for Period or Metrics is invalid.")
        since, until = int(req["StartTime"].timestamp()), int(req["EndTime"].timestamp())
        if not since < until <= since + limits.REPORT_SECONDS_MAX:
            raise InvalidValue("EndTime must be after StartTime, by 24 hours at most.")
        labels = (await _rules(ctx)).get(req["RuleName"])
        if labels is None:
            raise NoResource(f"Insight rule {req['RuleName']} does not exist")
        rows = await report(ctx, req["RuleName"], since // 60 * 60, until)
        by_key: defaultdict[tuple[str, ...], defaultdict[int, float]] = defaultdict(
            lambda: defaultdict(float)
        )
        times: defaultdict[int, float] = defaultdict(float)
        for minute, keys, _ in rows:
            at = since + (minute - since) // period * period
            for name, amount, count in keys:
                by_key[name][at] += amount
                times[at] += count
        weigh = sum if order == "Sum" else max
        ranked = sorted(by_key, key=lambda name: (-weigh(by_key[name].values()), name))
        shown: dict[str, Any] = {
            "KeyLabels": list(labels),
            "AggregationStatistic": "Sum",
            "AggregateValue": sum(sum(points.values()) for points in by_key.values()),
            "ApproximateUniqueCount": max([len(by_key), *(unique for _, _, unique in rows)]),
            "Contributors": [_contributor(name, by_key[name]) for name in ranked[:most]],
        }
        if metrics:
            values: defaultdict[int, list[float]] = defaultdict(list)
            for points in by_key.values():
                for at, amount in points.items():
                    values[at].append(amount)
            shown["MetricDatapoints"] = [
                {"Timestamp": _moment(at), **_figures(metrics, values[at], times[at])}
                for at in sorted(values)
            ]
        return shown  # type: ignore[return-value]


async def _rules(ctx: Context) -> dict[str, tuple[str, ...]]:
    from doppio.services.dynamodb.ports import managed_rules

    return await managed_rules(ctx)


def _shown(name: str, labels: tuple[str, ...]) -> dict[str, Any]:
    value = "ThrottleCount" if "T-" in name[:35] else "ConsumedThroughputUnits"
    schema = {"Name": "ServiceLogRule", "Version": 1}
    definition = {
        "AggregateOn": "Sum",
        "Contribution": {
            "Filters": [], "Keys": [f"$.{label}" for label in labels], "ValueOf": f"$.{value}",
        },
        "Schema": schema,
    }  # fmt: skip
    return {
        "Name": name,
        "State": "ENABLED",
        "Schema": json.dumps(schema),
        "Definition": json.dumps(definition),
        "ManagedRule": True,
    }


def _contributor(name: tuple[str, ...], points: dict[int, float]) -> dict[str, Any]:
    return {
        "Keys": list(name),
        "ApproximateAggregateValue": sum(points.values()),
        "Datapoints": [
            {"Timestamp": _moment(at), "ApproximateValue": points[at]} for at in sorted(points)
        ],
    }


def _figures(metrics: list[str], values: list[float], times: float) -> dict[str, float]:
    found = {
        "UniqueContributors": float(len(values)),
        "MaxContributorValue": max(values),
        "SampleCount": times,
        "Sum": sum(values),
        "Minimum": min(values),
        "Maximum": max(values),
        "Average": sum(values) / times if times else 0.0,
    }
    return {name: found[name] for name in metrics}


def _moment(at: int) -> datetime:
    return datetime.fromtimestamp(at, UTC)
