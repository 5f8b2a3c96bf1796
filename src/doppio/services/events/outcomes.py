"""What became of a try to deliver an event."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from doppio.wire.errors import AccessDenied, AwsError, NotImplementedByDoppio, Throttled


class Done(NamedTuple):
    """The target has it."""


class Later(NamedTuple):
    """It was not tried: its target's rate is used up until then."""

    at: datetime


class Failed(NamedTuple):
    """The target has it not; `again`: it may take it another time, at the soonest after `pause`."""

    code: str
    text: str
    again: bool
    pause: timedelta = timedelta(0)


Outcome = Done | Later | Failed


def failed_by(error: AwsError) -> Failed:
    """A refusal as dead letters tell of it.

    Source: "Using dead-letter queues to process undelivered events".
    """
    if isinstance(error, AccessDenied):
        return Failed("NO_PERMISSIONS", error.message, False)
    if isinstance(error, NotImplementedByDoppio) or error.status == 404 or _is_gone(error.code):
        return Failed("NO_RESOURCE", error.message, False)
    if isinstance(error, Throttled) or error.status == 429:
        return Failed("THROTTLING", error.message, True)
    if error.status >= 500:
        return Failed("INTERNAL_ERROR", error.message, True)
    return Failed("SDK_CLIENT_ERROR", error.message, False)


def _is_gone(code: str) -> bool:
    return "NonExistent" in code or "DoesNotExist" in code or "NotFound" in code
