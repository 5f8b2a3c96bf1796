"""The second in which something happens: S3 tells of versions in whole seconds, and counts on from there.

Whatever comes together has the same one, which is why the last is remembered.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_MICROSECOND = timedelta(microseconds=1)


class Second(NamedTuple):
    """From when, until when, and how many microseconds after 1970 it begins."""

    start: datetime
    end: datetime
    microseconds: int


class _Last:
    __slots__ = ("second",)

    def __init__(self) -> None:
        self.second = Second(_EPOCH, _EPOCH, 0)


_last = _Last()


def second_of(now: datetime) -> Second:
    """The second of an instant."""
    found = _last.second
    if not found.start <= now < found.end:
        start = now.replace(microsecond=0)
        found = _last.second = Second(start, start + _SECOND, (start - _EPOCH) // _MICROSECOND)
    return found
