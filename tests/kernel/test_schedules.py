"""Schedule expressions, against the documentation's examples and a slow reading of the same words."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doppio.kernel.schedules import BadSchedule, parse, zone_of

UTC_ZONE = ZoneInfo("UTC")
START = datetime(2030, 1, 1, tzinfo=UTC)


def due(expression: str, moment: datetime, count: int = 1, zone: str = "UTC") -> list[str]:
    """The next times, as text."""
    found: list[str] = []
    schedule = parse(expression, at=True)
    for _ in range(count):
        following = schedule.after(moment, start=START, zone=zone_of(zone))
        if following is None:
            break
        found.append(following.strftime("%Y-%m-%dT%H:%M:%S"))
        moment = following
    return found


@pytest.mark.parametrize(
    ("expression", "times"),
    [
        ("cron(0 10 * * ? *)", ["2030-01-01T10:00:00", "2030-01-02T10:00:00"]),
        ("cron(15 12 * * ? *)", ["2030-01-01T12:15:00", "2030-01-02T12:15:00"]),
        ("cron(0 18 ? * MON-FRI *)", ["2030-01-01T18:00:00", "2030-01-02T18:00:00"]),
        ("cron(0 8 1 * ? *)", ["2030-01-01T08:00:00", "2030-02-01T08:00:00"]),
        ("cron(0/15 * * * ? *)", ["2030-01-01T00:15:00", "2030-01-01T00:30:00"]),
        ("cron(0/10 * ? * MON-FRI *)", ["2030-01-01T00:10:00", "2030-01-01T00:20:00"]),
        ("cron(0/5 8-17 ? * MON-FRI *)", ["2030-01-01T08:00:00", "2030-01-01T08:05:00"]),
        ("cron(0 9 ? * 2#1 *)", ["2030-01-07T09:00:00", "2030-02-04T09:00:00"]),
        ("cron(15 10 ? * 6L 2030-2031)", ["2030-01-25T10:15:00", "2030-02-22T10:15:00"]),
        ("cron(0 0 L * ? *)", ["2030-01-31T00:00:00", "2030-02-28T00:00:00"]),
        ("cron(0 0 3W * ? *)", ["2030-01-03T00:00:00", "2030-02-04T00:00:00"]),
        ("cron(0 0 LW 8,6 ? *)", ["2030-06-28T00:00:00", "2030-08-30T00:00:00"]),
        ("cron(0 0 1W JUN ? *)", ["2030-06-03T00:00:00", "2031-06-02T00:00:00"]),
        ("cron(0 0 29 2 ? *)", ["2032-02-29T00:00:00", "2036-02-29T00:00:00"]),
        ("cron(0 22-1 * * ? *)", ["2030-01-01T01:00:00", "2030-01-01T22:00:00"]),
        ("cron(0 0 ? * L *)", ["2030-01-05T00:00:00", "2030-01-12T00:00:00"]),
        ("cron(0 12 ? * tue#5 *)", ["2030-01-29T12:00:00", "2030-04-30T12:00:00"]),
        ("rate(5 minutes)", ["2030-01-01T00:05:00", "2030-01-01T00:10:00"]),
        ("rate(1 day)", ["2030-01-02T00:00:00", "2030-01-03T00:00:00"]),
    ],
)
def test_what_the_documentation_says_comes_due(expression: str, times: list[str]) -> None:
    assert due(expression, START, 2) == times


@pytest.mark.parametrize(
    "expression",
    [
        "", "rate(0 minutes)", "rate(1 minutes)", "rate(2 minute)", "rate(5 seconds)", "rate(-1 day)",
        "rate(1.5 hours)", "rate(99999999999 days)", "rate (5 minutes)", "rate(5 minutes) ",
        "cron(0 10 * * * *)", "cron(0 10 ? * ? *)", "cron(0 10 * * ?)", "cron(60 10 * * ? *)",
        "cron(0 24 * * ? *)", "cron(0 0 32 * ? *)", "cron(0 0 0 * ? *)", "cron(0 0 * 13 ? *)",
        "cron(0 0 ? * 8 *)", "cron(0 0 ? * 2#6 *)", "cron(0 0 * * ? 1969)", "cron(0 0 * * ? 2200)",
        "cron(0/0 0 * * ? *)", "cron(0 0 L,3 * ? *)", "cron(, 0 * * ? *)", "cron(0 0 * * ? 2031-2030)",
        "cron(a 0 * * ? *)", "cron(0 0 ? * ABC *)", "cron(1- 0 * * ? *)", "cron(? 0 * * ? *)",
        "at(2030-02-30T00:00:00)", "at(2030-02-03)", "at(2030-02-03T00:00:00Z)",
    ],
)  # fmt: skip
def test_what_means_nothing_is_refused(expression: str) -> None:
    with pytest.raises(BadSchedule):
        parse(expression, at=True)


def test_at_is_for_those_who_let_it_in() -> None:
    with pytest.raises(BadSchedule):
        parse("at(2030-01-01T10:00:00)")
    assert due("at(2030-01-01T10:00:00)", START, 2) == ["2030-01-01T10:00:00"]
    assert due("at(2030-07-01T10:00:00)", START, 1, "Europe/Berlin") == ["2030-07-01T08:00:00"]
    assert due("at(2029-01-01T10:00:00)", START) == []


def test_years_that_are_over_never_come_due() -> None:
    assert due("cron(0 0 * * ? 2029)", START) == []
    assert due("cron(0 0 30 2 ? *)", START) == []


def test_an_hour_that_spring_leaves_out_is_skipped() -> None:
    eve = datetime(2030, 3, 30, 12, tzinfo=UTC)
    assert due("cron(30 2 * * ? *)", eve, 2, "Europe/Berlin") == [
        "2030-04-01T00:30:00",
        "2030-04-02T00:30:00",
    ]


def test_an_hour_that_autumn_repeats_counts_once() -> None:
    eve = datetime(2030, 10, 26, 12, tzinfo=UTC)
    assert due("cron(30 2 * * ? *)", eve, 2, "Europe/Berlin") == [
        "2030-10-27T00:30:00",
        "2030-10-28T01:30:00",
    ]
    # In the second of the two hours, its minutes have been.
    inside = datetime(2030, 10, 27, 1, 10, tzinfo=UTC)
    assert due("cron(0/15 * * * ? *)", inside, 1, "Europe/Berlin") == ["2030-10-27T02:00:00"]


def test_a_rate_counts_from_its_start() -> None:
    schedule = parse("rate(7 minutes)")
    start = START + timedelta(seconds=30)
    assert schedule.after(START, start=start, zone=UTC_ZONE) == start
    assert schedule.after(start, start=start, zone=UTC_ZONE) == start + timedelta(minutes=7)
    late = start + timedelta(minutes=20)
    assert schedule.after(late, start=start, zone=UTC_ZONE) == start + timedelta(minutes=21)


def test_a_zone_that_is_nowhere_is_refused() -> None:
    for name in ("Mars/Olympus", "../etc/passwd", ""):
        with pytest.raises(BadSchedule):
            zone_of(name)


def _values(low: int, high: int) -> st.SearchStrategy[tuple[str, frozenset[int]]]:
    """A field's text and, told apart from it, what it means."""
    number = st.integers(low, high)
    return st.one_of(
        st.just(("*", frozenset(range(low, high + 1)))),
        st.lists(number, min_size=1, max_size=3).map(
            lambda found: (",".join(map(str, found)), frozenset(found))
        ),
        st.tuples(number, number).map(
            lambda two: (
                f"{min(two)}-{max(two)}",
                frozenset(n for n in range(low, high + 1) if min(two) <= n <= max(two)),
            )
        ),
        st.tuples(number, st.integers(1, min(9, high))).map(
            lambda two: (
                f"{two[0]}/{two[1]}",
                frozenset(n for n in range(two[0], high + 1) if (n - two[0]) % two[1] == 0),
            )
        ),
    )


DAYS = st.one_of(
    _values(1, 31).map(lambda f: (f[0], "?", lambda d: d.day in f[1])),
    _values(1, 7).map(lambda f: ("?", f[0], lambda d: d.isoweekday() % 7 + 1 in f[1])),
    st.just(("L", "?", lambda d: (d + timedelta(days=1)).day == 1)),
    st.tuples(st.integers(1, 7), st.integers(1, 5)).map(
        lambda two: (
            "?",
            f"{two[0]}#{two[1]}",
            lambda d: d.isoweekday() % 7 + 1 == two[0] and (d.day - 1) // 7 + 1 == two[1],
        )
    ),
    st.integers(1, 7).map(
        lambda n: (
            "?",
            f"{n}L",
            lambda d: d.isoweekday() % 7 + 1 == n and (d + timedelta(days=7)).month != d.month,
        )
    ),
)


@settings(max_examples=60, deadline=None)
@given(
    minutes=_values(0, 59),
    hours=_values(0, 23),
    months=_values(1, 12),
    days=DAYS,
    since=st.integers(0, 6 * 366 * 86_400),
)
def test_cron_agrees_with_trying_every_minute(minutes, hours, months, days, since) -> None:  # type: ignore[no-untyped-def]
    expression = f"cron({minutes[0]} {hours[0]} {days[0]} {months[0]} {days[1]} *)"
    moment = datetime(2027, 1, 1, tzinfo=UTC) + timedelta(seconds=since)
    found = parse(expression).after(moment, start=START, zone=UTC_ZONE)
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    expected = None
    for _ in range(400):
        if day.month in months[1] and days[2](day):
            times = [
                day.replace(hour=hour, minute=minute)
                for hour in range(24)
                for minute in range(60)
                if hour in hours[1] and minute in minutes[1]
            ]
            expected = next((one for one in times if one > moment), None)
            if expected is not None:
                break
        day += timedelta(days=1)
    if expected is not None:
        assert found == expected
    else:
        assert found is None or found - moment > timedelta(days=398)


@given(st.integers(1, 31), st.integers(2027, 2040), st.integers(1, 12))
def test_w_is_the_nearest_weekday_of_the_same_month(day: int, year: int, month: int) -> None:
    last = calendar.monthrange(year, month)[1]
    begin = datetime(year, month, 1, tzinfo=UTC) - timedelta(seconds=1)
    found = parse(f"cron(0 0 {day}W {month} ? {year})").after(begin, start=START, zone=UTC_ZONE)
    if day > last:
        assert found is None
        return
    weekdays = [n for n in range(1, last + 1) if calendar.weekday(year, month, n) < 5]
    assert found is not None
    assert found.day == min(weekdays, key=lambda n: (abs(n - day), n))
