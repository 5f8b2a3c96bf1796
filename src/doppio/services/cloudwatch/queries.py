"""GetMetricData: many series at once, and expressions over them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from doppio.kernel.context import Context, Reader
from doppio.kernel.paging import page_token
from doppio.services.cloudwatch import limits
from doppio.services.cloudwatch.errors import Validation
from doppio.services.cloudwatch.expressions import (
    BadExpression,
    Evaluation,
    Series,
    UnknownFunction,
    Value,
    names_in,
)
from doppio.services.cloudwatch.metrics import position
from doppio.services.cloudwatch.points import statistic
from doppio.services.cloudwatch.series import gathered, metric_of
from doppio.services.cloudwatch.statistics import check_period, rounded
from doppio.wire.errors import NotImplementedByDoppio

if TYPE_CHECKING:
    from doppio._stubs import cloudwatch as w

_ID = re.compile(r"[a-z][a-zA-Z0-9_]*")
PERIOD_SECONDS = 60


class Queries:
    """The operation that tells many series."""

    async def get_metric_data(
        self, ctx: Context, req: w.GetMetricDataInput
    ) -> w.GetMetricDataOutput:
        """Series and expressions over them, by pages that hold so many points."""
        queries: list[Any] = list(req["MetricDataQueries"])
        check_queries(queries)
        if req.get("LabelOptions") or any("${" in query.get("Label", "") for query in queries):
            raise NotImplementedByDoppio(
                "cloudwatch: labels with values in them exist in AWS and not yet in this cloud"
            )
        if req["StartTime"] >= req["EndTime"]:
            raise Validation("The parameter StartTime must be less than the parameter EndTime.")
        reader = ctx.read()
        since = rounded(ctx.now, req["StartTime"], PERIOD_SECONDS)
        found = await answered(reader, queries, since, int(req["EndTime"].timestamp()))
        down = req.get("ScanBy", "TimestampDescending") == "TimestampDescending"
        rows = [
            (query, one, sorted(one.points.items(), reverse=down))
            for query in queries
            if query.get("ReturnData", True)
            for one in found[query["Id"]]
        ]
        scope = f"data/{ctx.account}/{ctx.region}/{queries}"
        given = position(req, scope)
        begin = 0 if given is None else int(given)
        most = min(req.get("MaxDatapoints") or limits.QUERY_POINTS_MAX, limits.QUERY_POINTS_MAX)
        results, at = [], 0
        for query, one, points in rows:
            shown = points[max(begin - at, 0) : max(begin + most - at, 0)]
            complete = at + len(points) <= begin + most
            at += len(points)
            results.append(
                {
                    "Id": query["Id"],
                    "Label": query.get("Label") or one.label or query["Id"],
                    "Timestamps": [datetime.fromtimestamp(when, UTC) for when, _ in shown],
                    "Values": [value for _, value in shown],
                    "StatusCode": "Complete" if complete else "PartialData",
                }
            )
        told: dict[str, Any] = {"MetricDataResults": results, "Messages": []}
        if at > begin + most:
            told["NextToken"] = page_token(str(begin + most).encode(), scope)
        reader.meter("CW:GMD-Metrics", len(rows))
        return cast("w.GetMetricDataOutput", told)


def check_queries(queries: list[Any]) -> None:
    """Raise Validation for queries that cannot be answered."""
    if not 1 <= len(queries) <= limits.QUERIES_MAX:
        raise Validation(
            f"The collection MetricDataQueries must not have a size greater than "
            f"{limits.QUERIES_MAX}."
        )
    ids = [query["Id"] for query in queries]
    for number, query in enumerate(queries, 1):
        where = f"MetricDataQueries.member.{number}"
        if _ID.fullmatch(query["Id"]) is None:
            raise Validation(f"The value {query['Id']} for parameter {where}.Id is invalid.")
        if ids.count(query["Id"]) > 1:
            raise Validation(
                "The values for parameter Id in the MetricDataQuery list are not unique."
            )  # fmt: skip
        stat, text = query.get("MetricStat"), query.get("Expression")
        if (stat is None) == (text is None):
            raise Validation(
                f"The parameters {where}.Expression and {where}.MetricStat are mutually exclusive "
                "and exactly one must be specified."
            )
        if query.get("AccountId"):
            raise NotImplementedByDoppio("cloudwatch: linked accounts exist in AWS and not here")
        if stat is not None:
            check_period(stat["Period"], f"{where}.MetricStat.Period")
            if statistic(stat["Stat"]) is None:
                raise Validation(
                    f"The value {stat['Stat']} for parameter {where}.MetricStat.Stat is invalid."
                )
        elif text is not None:
            _check_names(text, ids, query["Id"])


def _check_names(text: str, ids: list[str], own: str) -> None:
    try:
        unknown = names_in(text) - set(ids)
    except BadExpression as error:
        raise Validation(f"Error in expression {own!r}: {error}") from error
    if unknown:
        raise Validation(
            f"Error in expression {own!r}: The expression contains an unknown id: {min(unknown)}"
        )


async def answered(
    reader: Reader, queries: list[Any], since: int, until: int
) -> dict[str, list[Series]]:
    """What each query gives, by its id. Raises Validation."""
    known: dict[str, Value] = {}
    for query in queries:
        stat = query.get("MetricStat")
        if stat is not None:
            known[query["Id"]] = await plain(reader, stat, since, until)
    calculation = _Calculation(queries, known)
    found = {}
    for query in queries:
        value = calculation.value(query["Id"], ())
        if isinstance(value, float):
            raise Validation(
                f"Error in expression {query['Id']!r}: The expression must return a time series."
            )
        found[query["Id"]] = value if isinstance(value, list) else [value]
    return found


async def plain(reader: Reader, stat: Any, since: int, until: int) -> Series:
    """One statistic of one metric."""
    named, period = stat["Metric"], stat["Period"]
    metric = await metric_of(
        reader, named["Namespace"], named["MetricName"], named.get("Dimensions") or []
    )
    tell = statistic(stat["Stat"])
    assert tell is not None
    series = Series({}, period, named["MetricName"])
    if metric is not None:
        begin = since // period * period
        found = await gathered(reader, metric, begin, until, period, unit=stat.get("Unit"))
        for (at, _), point in found.items():
            value = tell(point)
            if value is not None:
                series.points[at] = value
    return series


class _Calculation:
    """Expressions that speak of each other."""

    def __init__(self, queries: list[Any], known: dict[str, Value]) -> None:
        self._texts = {query["Id"]: query.get("Expression") or "" for query in queries}
        self._plain = set(known)
        self._known = known

    def value(self, name: str, above: tuple[str, ...]) -> Value:
        """What an id stands for."""
        if name in self._known:
            return self._known[name]
        if name in above:
            raise Validation(f"Error in expression {name!r}: Circular reference")
        try:
            found = Evaluation(
                self._texts[name], lambda other: self.value(other, (*above, name)), self._metrics,
                PERIOD_SECONDS,
            ).value()  # fmt: skip
        except UnknownFunction as error:
            raise NotImplementedByDoppio(f"cloudwatch: {error}") from error
        except BadExpression as error:
            raise Validation(f"Error in expression {name!r}: {error}") from error
        self._known[name] = found
        return found

    def _metrics(self, part: str = "") -> list[Series]:
        return [
            one
            for name, one in self._known.items()
            if name in self._plain and part in name and isinstance(one, Series)
        ]
