"""When an alarm rings. Pure.

Source: "Evaluating an alarm" and "Configuring how CloudWatch alarms treat missing data": an alarm
looks at more periods than it needs; of those that have data the youngest count, and only what is
then still missing is treated as the alarm says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

SIGNS: dict[str, tuple[str, Callable[[float, float], bool]]] = {
    "GreaterThanOrEqualToThreshold": ("greater than or equal to", lambda a, b: a >= b),
    "GreaterThanThreshold": ("greater than", lambda a, b: a > b),
    "LessThanThreshold": ("less than", lambda a, b: a < b),
    "LessThanOrEqualToThreshold": ("less than or equal to", lambda a, b: a <= b),
}


class Verdict(NamedTuple):
    """The state an alarm is to have (None: the one that it has), and why."""

    state: str | None
    beyond: int
    known: list[float]


def judged(
    values: Sequence[float | None],
    *,
    needed: int,
    of: int,
    comparison: str,
    threshold: float,
    missing: str,
) -> Verdict:
    """The state by the values of periods, oldest first; None where a period has no data.

    The alarm rings if `needed` of the youngest `of` are beyond the threshold.
    """
    known = [value for value in values if value is not None][-of:]
    beyond = sum(SIGNS[comparison][1](value, threshold) for value in known)
    gaps = of - len(known)
    if missing == "breaching":
        state = "ALARM" if beyond + gaps >= needed else "OK"
    elif missing == "notBreaching":
        state = "ALARM" if beyond >= needed else "OK"
    elif not known:
        return Verdict(None if missing == "ignore" else "INSUFFICIENT_DATA", 0, known)
    elif beyond >= needed:
        state = "ALARM"
    elif beyond == len(known):
        # All there is lies beyond the threshold, and it is too little to know.
        if missing == "ignore":
            return Verdict(None, beyond, known)
        state = "ALARM"
    else:
        state = "OK"
    return Verdict(state, beyond, known)
