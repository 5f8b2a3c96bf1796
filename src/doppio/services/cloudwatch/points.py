"""How numbers add up, and the statistics that are told of them. Pure.

Source: "CloudWatch statistics definitions" in the user guide.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from doppio.services.cloudwatch import limits
from doppio.services.cloudwatch.records import Point

Statistic = Callable[[Point], "float | None"]


def joined(one: Point, other: Point) -> Point:
    """Two points as one, at the place of the first."""
    values = None
    if one.values is not None and other.values is not None:
        values = dict(one.values)
        for value, count in other.values.items():
            values[value] = values.get(value, 0.0) + count
        if len(values) > limits.VALUES_EXACT_MAX:
            values = coarse(values)
    return replace(
        one,
        count=one.count + other.count,
        total=one.total + other.total,
        low=min(one.low, other.low),
        high=max(one.high, other.high),
        values=values,
    )


def coarse(values: Mapping[float, float]) -> dict[float, float]:
    """Values to three digits."""
    rough: dict[float, float] = {}
    for value, count in values.items():
        near = float(f"{value:.2e}")
        rough[near] = rough.get(near, 0.0) + count
    return rough


def together(points: Iterable[Point]) -> Point:
    """All of several points as one."""
    found: Point | None = None
    for point in points:
        found = point if found is None else joined(found, point)
    assert found is not None
    return found


_BASICS: dict[str, Statistic] = {
    "SampleCount": lambda point: point.count,
    "Average": lambda point: point.total / point.count if point.count else None,
    "Sum": lambda point: point.total,
    "Minimum": lambda point: point.low,
    "Maximum": lambda point: point.high,
}
_NUMBER = r"(\d{1,18}(?:\.\d{1,10})?)"
_PERCENTILE = re.compile(rf"p{_NUMBER}")
_ONE_SIDED = re.compile(rf"(tm|wm|tc|ts){_NUMBER}")
_RANGED = re.compile(r"(TM|WM|TC|TS|PR)\(([^:()]*):([^:()]*)\)")
_BOUND = re.compile(r"(-?\d+(?:\.\d+)?)(%?)")


def statistic(name: str) -> Statistic | None:
    """The function of a statistic's name; None for a name that is none."""
    if name in _BASICS:
        return _BASICS[name]
    if name == "IQM":
        return _trimmed("TM", (25.0, True), (75.0, True))
    found = _PERCENTILE.fullmatch(name)
    if found is not None:
        rank = float(found[1])
        return (lambda point: percentile(point, rank)) if rank <= 100 else None
    found = _ONE_SIDED.fullmatch(name)
    if found is not None:
        rank = float(found[2])
        return _trimmed(found[1].upper(), None, (rank, True)) if rank <= 100 else None
    found = _RANGED.fullmatch(name)
    if found is not None:
        return _ranged(found[1], found[2], found[3])
    return None


def percentile(point: Point, rank: float) -> float | None:
    """The smallest value that so many percent of all do not exceed."""
    values = _values(point)
    if not values:
        return None
    wanted, seen = point.count * rank / 100, 0.0
    for value, count in values:
        seen += count
        if seen >= wanted - 1e-9:
            return value
    return values[-1][0]


Bound = tuple[float, bool]


def _ranged(kind: str, low: str, high: str) -> Statistic | None:
    bounds: list[Bound | None] = []
    for text in (low, high):
        found = _BOUND.fullmatch(text)
        if text and found is None:
            return None
        bounds.append(None if found is None else (float(found[1]), bool(found[2])))
    shares = {bound[1] for bound in bounds if bound is not None}
    if len(shares) != 1 or (kind == "PR" and True in shares):
        return None
    if any(bound is not None and bound[1] and not 0 <= bound[0] <= 100 for bound in bounds):
        return None
    return _trimmed(kind, bounds[0], bounds[1])


def _trimmed(kind: str, low: Bound | None, high: Bound | None) -> Statistic:
    """Statistics of what lies between two bounds: `(low, high]`, in percent or in value."""

    def tell(point: Point) -> float | None:
        values = _values(point)
        if not values:
            return None
        kept = _between(values, point.count, low, high)
        count = sum(one for _, one in kept)
        total = sum(value * one for value, one in kept)
        if kind == "TC":
            return count
        if kind == "TS":
            return total
        if kind == "PR":
            return 100 * count / point.count
        if not count:
            return None
        if kind == "TM":
            return total / count
        # Winsorized: what is cut off counts as the last value that is not.
        below = sum(one for value, one in values if value < kept[0][0])
        above = point.count - count - below
        return (total + below * kept[0][0] + above * kept[-1][0]) / point.count

    return tell


def _between(
    values: list[tuple[float, float]], count: float, low: Bound | None, high: Bound | None
) -> list[tuple[float, float]]:
    if (low or high or (0.0, True))[1]:
        first = count * low[0] / 100 if low else 0.0
        last = count * high[0] / 100 if high else count
        kept, seen = [], 0.0
        for value, one in values:
            share = min(seen + one, last) - max(seen, first)
            seen += one
            if share > 1e-9:
                kept.append((value, share))
        return kept
    return [
        (value, one)
        for value, one in values
        if (low is None or value > low[0]) and (high is None or value <= high[0])
    ]


def _values(point: Point) -> list[tuple[float, float]]:
    return sorted((point.values or {}).items())


def datapoint(point: Point, names: Iterable[str], extended: Iterable[str]) -> dict[str, Any]:
    """A point as GetMetricStatistics tells it."""
    told: dict[str, Any] = {}
    for name in names:
        value = _BASICS[name](point)
        if value is not None:
            told[name] = value
    more = {}
    for name in extended:
        which = statistic(name)
        value = which(point) if which is not None else None
        if value is not None:
            more[name] = value
    if more:
        told["ExtendedStatistics"] = more
    return told
