"""Schedule expressions: `rate()`, `cron()` and `at()`, and when they next come due. Pure.

A `cron` has AWS's six fields (minutes, hours, day of month, month, day of week, year), with
`, - * / ? L W #`; Sunday is 1. It is read on the wall of its time zone: an hour that is left out in
spring is skipped, one that comes twice in autumn counts once.

Sources: "Schedule types in EventBridge Scheduler" and "Setting a schedule pattern for scheduled
rules". Each service has its own error for a bad expression.
"""

from __future__ import annotations

import calendar
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

YEAR_MIN, YEAR_MAX = 1970, 2199
_RATE = re.compile(r"rate\((\d+) +(minute|minutes|hour|hours|day|days)\)")
_CRON = re.compile(r"cron\(([^()]*)\)")
_AT = re.compile(r"at\((\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})\)")
_MONTH_NAMES = {name.upper(): n for n, name in enumerate(calendar.month_abbr) if name}
_DAY_NAMES = {"SUN": 1, "MON": 2, "TUE": 3, "WED": 4, "THU": 5, "FRI": 6, "SAT": 7}
_STEP = re.compile(r"(.+)/(\d{1,4})")
_RANGE = re.compile(r"([^-]+)-([^-]+)")
_NTH = re.compile(r"([A-Z]{3}|[1-7])#([1-5])")
_LAST = re.compile(r"([A-Z]{3}|[1-7])L")
_NEAR = re.compile(r"(\d{1,2})W")


class BadSchedule(ValueError):
    """An expression that means nothing; the text says why."""


class Schedule(Protocol):
    """When something is due."""

    def after(self, moment: datetime, *, start: datetime, zone: ZoneInfo) -> datetime | None:
        """The first time due after `moment`, in UTC; None: never again.

        `start` is when a rate begins to count. Both moments are aware.
        """
        ...


class Rate(NamedTuple):
    """At regular intervals, counted from the start."""

    every: timedelta

    def after(self, moment: datetime, *, start: datetime, zone: ZoneInfo) -> datetime | None:
        """The first whole number of intervals behind the start that lies after `moment`."""
        if moment < start:
            return start.astimezone(UTC)
        try:
            return start.astimezone(UTC) + self.every * ((moment - start) // self.every + 1)
        except OverflowError:
            return None


class At(NamedTuple):
    """Once, at a time on the wall."""

    local: datetime

    def after(self, moment: datetime, *, start: datetime, zone: ZoneInfo) -> datetime | None:
        """That time, unless it has passed; one that the clocks leave out is as much later."""
        due = self.local.replace(tzinfo=zone).astimezone(UTC)
        return due if due > moment else None


class Cron(NamedTuple):
    """At the times on the wall that six fields name."""

    minutes: Sequence[int]
    hours: Sequence[int]
    days: _Days
    months: frozenset[int]
    years: frozenset[int]

    def after(self, moment: datetime, *, start: datetime, zone: ZoneInfo) -> datetime | None:
        """The first matching minute after `moment`."""
        local = moment.astimezone(zone).replace(tzinfo=None)
        for wall in self._walls(local):
            due = wall.replace(tzinfo=zone).astimezone(UTC)
            if due > moment and due.astimezone(zone).replace(tzinfo=None) == wall:
                return due
        return None

    def _walls(self, local: datetime) -> Iterator[datetime]:
        """Matching times on the wall, from the minute of `local` on."""
        today = local.date()
        for day in self._dates(today):
            first = (local.hour, local.minute) if day == today else (0, 0)
            for hour in self.hours[bisect_left(self.hours, first[0]) :]:
                for minute in self.minutes:
                    if (hour, minute) >= first:
                        yield datetime.combine(day, time(hour, minute))

    def _dates(self, today: date) -> Iterator[date]:
        for year in range(max(today.year, YEAR_MIN), YEAR_MAX + 1):
            if year not in self.years:
                continue
            for month in sorted(self.months):
                if (year, month) < (today.year, today.month):
                    continue
                for number in self.days.of(year, month):
                    day = date(year, month, number)
                    if day >= today:
                        yield day


class _Days(Protocol):
    def of(self, year: int, month: int) -> Sequence[int]:
        """The days of a month, in order."""
        ...


class _Numbered(NamedTuple):
    numbers: Sequence[int]

    def of(self, year: int, month: int) -> Sequence[int]:
        last = calendar.monthrange(year, month)[1]
        return [day for day in self.numbers if day <= last]


class _Near(NamedTuple):
    """The weekday nearest to a day of the month, within the month; 0 is its last day."""

    day: int

    def of(self, year: int, month: int) -> Sequence[int]:
        first, last = calendar.monthrange(year, month)
        day = self.day or last
        if day > last:
            return []
        weekday = (first + day - 1) % 7
        if weekday == 5:
            return [day - 1 if day > 1 else 3]
        if weekday == 6:
            return [day + 1 if day < last else day - 2]
        return [day]


class _LastDay(NamedTuple):
    def of(self, year: int, month: int) -> Sequence[int]:
        return [calendar.monthrange(year, month)[1]]


class _Weekdays(NamedTuple):
    """Days of the week, 1 is Sunday; `nth` is which one of the month, 0 its last, None any."""

    weekdays: Sequence[int]
    nth: int | None = None

    def of(self, year: int, month: int) -> Sequence[int]:
        first, last = calendar.monthrange(year, month)
        # Python's Monday is 0, AWS's Sunday is 1.
        found = [day for day in range(1, last + 1) if (first + day) % 7 + 1 in self.weekdays]
        if self.nth is None:
            return found
        if self.nth == 0:
            return found[-1:]
        return found[self.nth - 1 : self.nth]


@lru_cache(maxsize=4_096)
def parse(expression: str, *, at: bool = False) -> Schedule:
    """The schedule of an expression; `at` lets `at()` in. Raises BadSchedule."""
    if found := _RATE.fullmatch(expression):
        return _rate(int(found[1]), found[2])
    if found := _CRON.fullmatch(expression):
        return _cron(found[1])
    if at and (found := _AT.fullmatch(expression)):
        try:
            return At(datetime.fromisoformat(found[1]))
        except ValueError as error:
            raise BadSchedule(f"no such time: {found[1]}") from error
    raise BadSchedule(f"not a schedule expression: {expression}")


def zone_of(name: str) -> ZoneInfo:
    """A time zone by its name in the IANA database. Raises BadSchedule."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadSchedule(f"no such time zone: {name}") from error


def _rate(value: int, unit: str) -> Rate:
    if value < 1:
        raise BadSchedule("a rate is at least 1")
    if (value == 1) == unit.endswith("s"):
        raise BadSchedule(f"{value} does not go with {unit}")
    try:
        return Rate(timedelta(**{unit.removesuffix("s") + "s": value}))
    except OverflowError as error:
        raise BadSchedule("the rate is too long") from error


def _cron(text: str) -> Cron:
    fields = text.upper().split()
    if len(fields) != 6:
        raise BadSchedule("a cron expression has six fields")
    minutes, hours, days, months, weekdays, years = fields
    if (days == "?") == (weekdays == "?"):
        raise BadSchedule("exactly one of day of month and day of week is ?")
    return Cron(
        _numbers(minutes, 0, 59),
        _numbers(hours, 0, 23),
        _weekdays(weekdays) if days == "?" else _month_days(days),
        frozenset(_numbers(months, 1, 12, _MONTH_NAMES)),
        frozenset(_numbers(years, YEAR_MIN, YEAR_MAX)),
    )


def _month_days(field: str) -> _Days:
    if field == "L":
        return _LastDay()
    if field == "LW":
        return _Near(0)
    if found := _NEAR.fullmatch(field):
        return _Near(_number(found[1], 1, 31, {}))
    return _Numbered(_numbers(field, 1, 31))


def _weekdays(field: str) -> _Days:
    if field == "L":
        return _Weekdays((7,))
    if found := _NTH.fullmatch(field):
        return _Weekdays((_number(found[1], 1, 7, _DAY_NAMES),), int(found[2]))
    if found := _LAST.fullmatch(field):
        return _Weekdays((_number(found[1], 1, 7, _DAY_NAMES),), 0)
    return _Weekdays(_numbers(field, 1, 7, _DAY_NAMES))


def _numbers(field: str, low: int, high: int, names: dict[str, int] | None = None) -> list[int]:
    """All values of a field, in order."""
    found: set[int] = set()
    for part in field.split(","):
        found.update(_part(part, low, high, names or {}))
    return sorted(found)


def _part(part: str, low: int, high: int, names: dict[str, int]) -> Sequence[int]:
    step = 1
    stepped = _STEP.fullmatch(part)
    if stepped:
        part, step = stepped[1], int(stepped[2])
        if not 1 <= step <= high:
            raise BadSchedule(f"a step of {step} is not allowed")
    if part == "*":
        return range(low, high + 1, step)
    if ranged := _RANGE.fullmatch(part):
        first = _number(ranged[1], low, high, names)
        last = _number(ranged[2], low, high, names)
        if first <= last:
            return range(first, last + 1, step)
        if low == YEAR_MIN:
            raise BadSchedule(f"years do not begin anew: {part}")
        # 22-2 goes on behind the end: 22, 23, 0, 1, 2.
        around = high - low + 1
        return [(n - low) % around + low for n in range(first, last + around + 1, step)]
    number = _number(part, low, high, names)
    return range(number, high + 1, step) if stepped else (number,)


def _number(text: str, low: int, high: int, names: dict[str, int]) -> int:
    if text in names:
        return names[text]
    if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
        raise BadSchedule(f"{text} is not between {low} and {high}")
    return int(text)
