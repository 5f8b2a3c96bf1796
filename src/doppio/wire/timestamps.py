"""Instants on the wire: ISO 8601, RFC 822 (HTTP dates) and seconds since the epoch.

Inside, an instant is an aware UTC `datetime`. Parsing forgives what AWS forgives: any of the three
forms is understood wherever one of them is expected. A text that is none of them is a ValueError.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

import orjson

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_RFC822 = re.compile(
    r"(?:[A-Za-z]{3,9},?\s+)?(\d{1,2})[ -]([A-Za-z]{3})[ -](\d{4}|\d{2})\s+"
    r"(\d{2}):(\d{2}):(\d{2})(\.\d{1,9})?\s*(?:GMT|UTC|Z|([+-])(\d{2}):?(\d{2}))?",
    re.ASCII,
)
_NUMBER = re.compile(r"[+-]?\d{1,15}(\.\d{0,12})?([eE][+-]?\d{1,2})?", re.ASCII)


def utc(value: datetime) -> datetime:
    """The same instant in UTC; a naive one is taken as UTC already."""
    if value.tzinfo is UTC:
        return value
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def parse_iso8601(text: str) -> datetime:
    """`2014-04-29T18:30:38Z`, with fractions and offsets."""
    try:
        return utc(datetime.fromisoformat(text))
    except OverflowError as error:
        raise ValueError(text) from error


def parse_rfc822(text: str) -> datetime:
    """`Tue, 29 Apr 2014 18:30:38 GMT`."""
    found = _RFC822.fullmatch(text.strip())
    if found is None:
        raise ValueError(text)
    day, month, year, hour, minute, second, fraction, sign, east, minutes_east = found.groups()
    zone: timezone = UTC
    if sign:
        offset = timedelta(hours=int(east), minutes=int(minutes_east))
        zone = timezone(offset if sign == "+" else -offset)
    full_year = int(year) + (0 if len(year) == 4 else 1900 if int(year) > 69 else 2000)
    try:
        return utc(
            datetime(
                full_year,
                _MONTHS.index(month.title()) + 1,
                int(day),
                int(hour),
                int(minute),
                int(second),
                int(float(fraction or 0) * 1_000_000),
                tzinfo=zone,
            )
        )
    except OverflowError as error:
        raise ValueError(text) from error


def parse_epoch(seconds: float | str) -> datetime:
    """Seconds since 1970, whole or broken."""
    if isinstance(seconds, str):
        if _NUMBER.fullmatch(seconds) is None:
            raise ValueError(seconds)
        seconds = float(seconds)
    try:
        return _EPOCH + timedelta(microseconds=round(seconds * 1_000_000))
    except OverflowError as error:
        raise ValueError(seconds) from error


def parse(value: object) -> datetime:
    """Whatever form it has."""
    if isinstance(value, str):
        text = value.strip()
        if _NUMBER.fullmatch(text) is not None and len(text) != 8:
            return parse_epoch(text)
        if text[:1].isalpha():
            return parse_rfc822(text)
        try:
            return parse_iso8601(text)
        except ValueError:
            return parse_epoch(text) if _NUMBER.fullmatch(text) else parse_rfc822(text)
    if isinstance(value, datetime):
        return utc(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return parse_epoch(value)
    raise ValueError(f"not a timestamp: {type(value).__name__}")


def format_iso8601(value: datetime) -> str:
    """Without a fraction where there is none."""
    text = utc(value).isoformat()
    return text[:19] + "Z" if not value.microsecond else text[:23] + "Z"


def format_iso8601_millis(value: datetime) -> str:
    """With milliseconds always, as S3 and EC2 write them."""
    return utc(value).isoformat(timespec="milliseconds")[:23] + "Z"


def format_iso8601_offset(value: datetime) -> str:
    """With milliseconds, and UTC as an offset, as CloudWatch and Lambda write them."""
    return utc(value).isoformat(timespec="milliseconds")[:23] + "+0000"


def format_seconds_of_many(values: Sequence[datetime]) -> list[str]:
    """The whole seconds of many instants in UTC, as `2014-04-29T18:30:38`, at once.

    For pages of a thousand entries: a tenth of the time that as many calls would take.
    """
    if not values:
        return []
    text = orjson.dumps(values, option=orjson.OPT_OMIT_MICROSECONDS | orjson.OPT_UTC_Z).decode()
    return text[2:-3].split('Z","')


@lru_cache(maxsize=8_192)
def format_rfc822(value: datetime) -> str:
    """An HTTP date: whole seconds."""
    at = utc(value)
    text = at.isoformat()
    day, month = _DAYS[at.weekday()], _MONTHS[at.month - 1]
    return f"{day}, {text[8:10]} {month} {text[:4]} {text[11:19]} GMT"


def format_epoch(value: datetime) -> int | float:
    """Seconds since 1970 with milliseconds, whole where they are."""
    at = utc(value) - _EPOCH
    whole = at.days * 86_400 + at.seconds
    return whole if not at.microseconds else whole + at.microseconds // 1000 / 1000


def format_epoch_text(value: datetime) -> str:
    """Seconds since 1970 as text."""
    return str(format_epoch(value))
