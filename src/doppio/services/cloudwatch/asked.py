"""What an alarm may be asked to watch and to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doppio.services.cloudwatch import limits
from doppio.services.cloudwatch.composite import BadRule, names_of
from doppio.services.cloudwatch.errors import InvalidCombination, InvalidValue, Missing, Validation
from doppio.services.cloudwatch.judging import SIGNS
from doppio.services.cloudwatch.points import statistic
from doppio.services.cloudwatch.queries import check_queries
from doppio.services.cloudwatch.scaling import is_scaling
from doppio.services.cloudwatch.statistics import check_period
from doppio.wire.errors import NotImplementedByDoppio

_LATER = (
    "ThresholdMetricId", "EvaluationWindow", "WarmUpConfiguration", "EvaluationCriteria",
    "EvaluationInterval", "ActionConfiguration", "ActionsSuppressor",
)  # fmt: skip
_TREATMENTS = {"breaching", "notBreaching", "ignore", "missing"}
ACTIONS = ("OKActions", "AlarmActions", "InsufficientDataActions")


def check_actions(req: Mapping[str, Any]) -> None:
    """Raise for actions that are no ARNs, too many, or of a kind that nothing here does."""
    for member in ACTIONS:
        given = req.get(member) or []
        if len(given) > limits.ACTIONS_MAX:
            raise Validation(
                f"The collection {member} must not have a size greater than {limits.ACTIONS_MAX}."
            )
        for arn in given:
            if not arn.startswith("arn:"):
                raise Validation(f"Invalid arn syntax: {arn}")
            if arn.split(":")[2] not in {"sns", "lambda"} and not is_scaling(arn):
                raise NotImplementedByDoppio(
                    f"cloudwatch: alarms that act on {arn} exist in AWS and not yet here"
                )


def checked_metric_alarm(req: dict[str, Any]) -> dict[str, Any]:
    """What PutMetricAlarm was given, if it can be watched."""
    _refuse_later(req)
    sign = req.get("ComparisonOperator")
    if sign is None or req.get("EvaluationPeriods") is None:
        raise Missing("The parameters ComparisonOperator and EvaluationPeriods are required.")
    if sign not in SIGNS:
        raise NotImplementedByDoppio(
            "cloudwatch: alarms on anomalies exist in AWS and not yet here"
        )  # fmt: skip
    if req.get("Threshold") is None:
        raise Missing("The parameter Threshold is required.")
    if req.get("TreatMissingData", "missing") not in _TREATMENTS:
        raise Validation(
            f"Value '{req['TreatMissingData']}' at 'treatMissingData' is not one of "
            "[breaching, notBreaching, ignore, missing]"
        )
    if req.get("EvaluateLowSampleCountPercentile", "evaluate") != "evaluate":
        raise NotImplementedByDoppio(
            "cloudwatch: ignoring percentiles of few samples exists in AWS and not yet here"
        )
    if req.get("DatapointsToAlarm", 1) > req["EvaluationPeriods"]:
        raise Validation("DatapointsToAlarm must be less than or equal to EvaluationPeriods.")
    period = _checked_metrics(req) if req.get("Metrics") else _checked_metric(req)
    most = (
        limits.EVALUATION_SECONDS_LONG_MAX if period >= 3_600 else limits.EVALUATION_SECONDS_MAX
    )  # fmt: skip
    if period * req["EvaluationPeriods"] > most:
        raise Validation(
            "Metrics cannot be checked across more than "
            + ("seven days" if period >= 3_600 else "a day")
            + f" (EvaluationPeriods * Period must be <= {most})."
        )
    return {name: value for name, value in req.items() if name not in {"Tags", "ActionsEnabled"}}


def _checked_metric(req: Mapping[str, Any]) -> int:
    for member in ("MetricName", "Namespace", "Period"):
        if req.get(member) is None:
            raise Missing(f"The parameter {member} is required.")
    if (req.get("Statistic") is None) == (req.get("ExtendedStatistic") is None):
        raise InvalidCombination(
            "Exactly one of the parameters Statistic and ExtendedStatistic must be specified."
        )
    if statistic(req.get("Statistic") or req.get("ExtendedStatistic") or "") is None:
        raise InvalidValue(
            f"The value {req['ExtendedStatistic']} for parameter ExtendedStatistic is invalid."
        )
    check_period(req["Period"], "Period")
    return int(req["Period"])


def _checked_metrics(req: Mapping[str, Any]) -> int:
    for member in ("MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Period", "Unit"):
        if req.get(member) is not None:
            raise InvalidCombination(
                f"The parameters Metrics and {member} are mutually exclusive."
            )  # fmt: skip
    check_queries(list(req["Metrics"]))
    told = [query for query in req["Metrics"] if query.get("ReturnData", True)]
    if len(told) != 1:
        raise Validation("Exactly one of the queries in Metrics must return data.")
    return period_of(req)


def period_of(asked: Mapping[str, Any]) -> int:
    """The seconds of an alarm's period: the longest of its metrics."""
    if asked.get("Period"):
        return int(asked["Period"])
    return max(
        (query["MetricStat"]["Period"] for query in asked["Metrics"] if query.get("MetricStat")),
        default=60,
    )


def checked_composite(req: dict[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """What PutCompositeAlarm was given, and the alarms it speaks of."""
    _refuse_later(req)
    try:
        names = names_of(req["AlarmRule"])
    except BadRule as error:
        raise Validation(f"AlarmRule contains an invalid expression: {error}") from error
    if req["AlarmName"] in names:
        raise Validation("An alarm cannot depend on itself.")
    kept = {"AlarmDescription", *ACTIONS}
    return {name: value for name, value in req.items() if name in kept}, names


def _refuse_later(req: Mapping[str, Any]) -> None:
    for member in _LATER:
        if req.get(member):
            raise NotImplementedByDoppio(f"cloudwatch: {member} exists in AWS and not yet here")
