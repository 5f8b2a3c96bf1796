"""When a secret rotates: rules, and the windows that follow from them. Pure.

A window opens at midnight, or when a cron expression says, always in UTC; it closes after the
duration that was given, an hour after it has opened where the schedule counts hours, else at the end
of the day. Source: "Schedule expressions in Secrets Manager rotation" in the user guide.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from doppio.kernel.schedules import BadSchedule, Rate, Schedule, parse
from doppio.services.secretsmanager import limits

_UTC = ZoneInfo("UTC")
_DAY = timedelta(days=1)
_LISTED_HOURS = re.compile(r"[*/,-]")


class BadRules(ValueError):
    """Rules that mean nothing; the text says why."""


class Window(NamedTuple):
    """When a rotation may begin, and until when it is to be over."""

    opens: datetime
    closes: datetime


def check(rules: Mapping[str, Any]) -> None:
    """Raise BadRules for rules that cannot be."""
    days, expression = rules.get("AutomaticallyAfterDays"), rules.get("ScheduleExpression")
    if days is not None and expression is not None:
        raise BadRules(
            "You can't specify both AutomaticallyAfterDays and ScheduleExpression in RotationRules."
        )
    if days is None and expression is None:
        raise BadRules(
            "You must specify either AutomaticallyAfterDays or ScheduleExpression in RotationRules."
        )
    if expression is not None:
        _check_expression(expression)
    hours = _duration(rules)
    if hours is None:
        return
    most = _interval(expression) if expression is not None and in_hours(expression) else _DAY
    if not timedelta(hours=1) <= hours <= most:
        raise BadRules(
            "The rotation window must not extend into the next rotation window or the next UTC day."
        )


def next_window(rules: Mapping[str, Any], now: datetime, rotated_at: datetime) -> Window | None:
    """The first window after now; None: there is none any more."""
    days, expression = rules.get("AutomaticallyAfterDays"), rules.get("ScheduleExpression")
    if days is not None:
        opens = _midnight(rotated_at + timedelta(days=int(days)))
        if opens <= now:
            opens = _midnight(now) + _DAY
    else:
        schedule = _parsed(str(expression))
        start = _midnight(rotated_at)
        found = schedule.after(now, start=start, zone=_UTC)
        if found is None:
            return None
        opens = found
    hours = _duration(rules)
    if hours is None:
        hourly = expression is not None and in_hours(str(expression))
        hours = timedelta(hours=1) if hourly else _midnight(opens) + _DAY - opens
    return Window(opens, min(opens + hours, _midnight(opens) + _DAY) - timedelta(seconds=1))


def in_hours(expression: str) -> bool:
    """Whether a schedule comes due more than once a day."""
    if expression.startswith("rate"):
        return "hour" in expression
    return _LISTED_HOURS.search(expression[len("cron(") :].split()[1]) is not None


def _check_expression(expression: str) -> None:
    try:
        schedule = _parsed(expression)
    except BadSchedule as error:
        raise BadRules(f"Invalid ScheduleExpression: {error}.") from error
    if isinstance(schedule, Rate):
        if "minute" in expression or schedule.every < limits.ROTATED_EVERY_MIN:
            raise BadRules("The rotation rate must be at least every 4 hours.")
        if schedule.every > limits.ROTATED_EVERY_MAX:
            raise BadRules("The rotation rate must be at most every 1000 days.")
    elif expression[len("cron(") :].split(maxsplit=1)[0] != "0":
        raise BadRules("The minutes of a cron expression must be 0.")


def _parsed(expression: str) -> Schedule:
    """The schedule; Secrets Manager writes `/8` for every eighth hour from 0."""
    return parse(re.sub(r"(?<=[( ])/", "0/", expression))


def _interval(expression: str) -> timedelta:
    schedule = _parsed(expression)
    if isinstance(schedule, Rate):
        return min(schedule.every, _DAY)
    start = datetime(2024, 1, 1, tzinfo=UTC)
    first = schedule.after(start, start=start, zone=_UTC)
    second = None if first is None else schedule.after(first, start=start, zone=_UTC)
    return _DAY if first is None or second is None else min(second - first, _DAY)


def _duration(rules: Mapping[str, Any]) -> timedelta | None:
    text = rules.get("Duration")
    return None if text is None else timedelta(hours=int(str(text).removesuffix("h")))


def _midnight(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
