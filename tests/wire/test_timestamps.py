from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doppio.wire import timestamps

AT = datetime(2014, 4, 29, 18, 30, 38, tzinfo=UTC)
INSTANTS = st.datetimes(
    datetime.fromisoformat("1900-01-01"), datetime.fromisoformat("9000-01-01")
).map(lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000, tzinfo=UTC))


@pytest.mark.parametrize(
    "given",
    [
        "2014-04-29T18:30:38Z",
        "2014-04-29T18:30:38.000Z",
        "2014-04-29T20:30:38+02:00",
        "20140429T183038Z",
        "Tue, 29 Apr 2014 18:30:38 GMT",
        "Tuesday, 29-Apr-14 18:30:38 GMT",
        "Tue, 29 Apr 2014 20:30:38 +0200",
        "1398796238",
        "1398796238.0",
        1398796238,
        1398796238.0,
        AT,
        AT.astimezone(timezone(timedelta(hours=5))),
    ],
)
def test_every_form_of_an_instant_is_understood(given: object) -> None:
    assert timestamps.parse(given) == AT


@pytest.mark.parametrize(
    "given",
    [
        "",
        "now",
        "2014-13-01",
        "1e99",
        "9" * 30,
        "Tue, 99 Apr 2014 18:30:38 GMT",
        None,
        True,
        [],
        1e300,
        "Tue, 29 Foo 2014 18:30:38 GMT",
        "0001-01-01T00:00:00+23:59",
        "nan",
    ],
)
def test_what_is_no_instant_is_a_value_error(given: object) -> None:
    with pytest.raises(ValueError):
        timestamps.parse(given)


@given(st.one_of(st.text(max_size=40), st.floats(), st.integers()))
def test_parsing_never_fails_otherwise(given: object) -> None:
    with contextlib.suppress(ValueError):
        assert timestamps.parse(given).tzinfo is UTC


@given(INSTANTS)
def test_iso8601_and_epoch_come_back(at: datetime) -> None:
    assert timestamps.parse(timestamps.format_iso8601(at)) == at
    assert timestamps.parse(timestamps.format_iso8601_millis(at)) == at
    assert abs(timestamps.parse(timestamps.format_epoch(at)) - at) < timedelta(milliseconds=1)


@given(INSTANTS)
def test_http_dates_are_the_standard_librarys(at: datetime) -> None:
    text = timestamps.format_rfc822(at)
    assert text == format_datetime(at, usegmt=True)
    assert timestamps.parse(text) == at.replace(microsecond=0)


def test_whole_seconds_are_written_without_fraction() -> None:
    assert timestamps.format_iso8601(AT) == "2014-04-29T18:30:38Z"
    assert timestamps.format_iso8601_millis(AT) == "2014-04-29T18:30:38.000Z"
    assert timestamps.format_iso8601_offset(AT) == "2014-04-29T18:30:38.000+0000"
    assert timestamps.format_epoch(AT) == 1398796238
    assert timestamps.format_epoch_text(AT.replace(microsecond=250_000)) == "1398796238.25"


def test_other_zones_are_written_in_utc() -> None:
    local = AT.astimezone(timezone(timedelta(hours=-7)))
    assert timestamps.format_iso8601(local) == timestamps.format_iso8601(AT)
    assert timestamps.format_epoch(local) == timestamps.format_epoch(AT)
