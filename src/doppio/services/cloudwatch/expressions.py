"""Metric math: expressions over series of numbers. Pure.

A value is a number, a series (time → number) or a list of series. Between two series only times
count that both have. Source: "Using math expressions with CloudWatch metrics".
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any


class BadExpression(Exception):
    """A text that is no expression, or one that asks for what cannot be; the text says why."""


class UnknownFunction(BadExpression):
    """A function that AWS has and we have not."""


@dataclass(slots=True)
class Series:
    """Numbers by time, in seconds; `period` is their distance."""

    points: dict[int, float]
    period: int
    label: str = ""


Value = float | Series | list[Series]
_TOKEN = re.compile(
    r"\s*(?:(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)|([A-Za-z_]\w*)|(\"[^\"]*\"|'[^']*')"
    r"|(==|!=|<=|>=|&&|\|\||[-+*/^(),<>\[\]]))"
)


def tokens(text: str) -> list[str]:
    """The words of an expression. Raises BadExpression."""
    found, at = [], 0
    text = text.strip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise BadExpression(f"Error in expression: Unexpected character {text[at]!r}")
        found.append(match[0].strip())
        at = match.end()
    return found


def names_in(text: str) -> set[str]:
    """The ids of other queries that an expression speaks of; they begin in lower case."""
    return {word for word in tokens(text) if word[0].islower() and word[0].isalpha()}


@dataclass(slots=True)
class Evaluation:
    """One expression at work. `look` gives what an id stands for, `metrics` all plain series."""

    text: str
    look: Callable[[str], Value]
    metrics: Callable[[str], list[Series]]
    period: int
    _words: list[str] = field(default_factory=list)
    _at: int = 0

    def value(self) -> Value:
        """What the expression gives. Raises BadExpression."""
        self._words = tokens(self.text)
        found = self._or()
        if self._at < len(self._words):
            raise BadExpression(f"Error in expression: Unexpected {self._words[self._at]!r}")
        return found

    def _peek(self) -> str:
        return self._words[self._at] if self._at < len(self._words) else ""

    def _take(self, *wanted: str) -> str:
        word = self._peek()
        if word and word in wanted:
            self._at += 1
            return word
        return ""

    def _need(self, wanted: str) -> None:
        if not self._take(wanted):
            raise BadExpression(f"Error in expression: Expected {wanted!r}")

    def _levels(self, below: Callable[[], Value], *signs: str) -> Value:
        left = below()
        while sign := self._take(*signs):
            left = combined(sign, left, below())
        return left

    def _or(self) -> Value:
        return self._levels(self._and, "||", "OR")

    def _and(self) -> Value:
        return self._levels(self._compare, "&&", "AND")

    def _compare(self) -> Value:
        return self._levels(self._sum, "==", "!=", "<=", ">=", "<", ">")

    def _sum(self) -> Value:
        return self._levels(self._product, "+", "-")

    def _product(self) -> Value:
        return self._levels(self._signed, "*", "/")

    def _signed(self) -> Value:
        if self._take("-"):
            return combined("*", -1.0, self._signed())
        return self._power()

    def _power(self) -> Value:
        base = self._one()
        return combined("^", base, self._signed()) if self._take("^") else base

    def _one(self) -> Value:
        word = self._peek()
        self._at += 1
        if word == "(":
            found = self._or()
            self._need(")")
            return found
        if word == "[":
            return [_series(one) for one in self._arguments("]")]
        if word and (word[0].isdigit() or word[0] == "."):
            return float(word)
        if word and word[0].isupper():
            self._need("(")
            return self._call(word)
        if word and word[0].islower():
            return self.look(word)
        raise BadExpression(f"Error in expression: Unexpected {word or 'end'!r}")

    def _arguments(self, end: str) -> list[Any]:
        found: list[Any] = []
        while not self._take(end):
            if found:
                self._need(",")
            word = self._peek()
            if word[:1] in {'"', "'"} or word in {"REPEAT", "LINEAR", "ASC", "DESC"}:
                self._at += 1
                found.append(word.strip("\"'"))
            else:
                found.append(self._or())
        return found

    def _call(self, name: str) -> Value:
        given = self._arguments(")")
        try:
            if name == "METRICS":
                return self.metrics(*given)
            if name == "TIME_SERIES":
                return self._constant(float(given[0]))
            function = FUNCTIONS.get(name)
            if function is None:
                raise UnknownFunction(f"The function {name} exists in AWS and not yet here")
            return function(*given)
        except (TypeError, AttributeError, IndexError) as error:
            raise BadExpression(
                f"Error in expression: {name} was given wrong arguments"
            ) from error  # fmt: skip

    def _constant(self, value: float) -> Series:
        times = {at for one in self.metrics("") for at in one.points}
        return Series(dict.fromkeys(times, value), self.period)


def _power_of(left: float, right: float) -> float:
    found = left**right
    # A root of a negative number is none: no point.
    return math.nan if isinstance(found, complex) else float(found)


_SIGNS: dict[str, Callable[[float, float], float]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": lambda left, right: left / right,
    "^": _power_of,
    "==": lambda left, right: float(left == right),
    "!=": lambda left, right: float(left != right),
    "<": lambda left, right: float(left < right),
    ">": lambda left, right: float(left > right),
    "<=": lambda left, right: float(left <= right),
    ">=": lambda left, right: float(left >= right),
    "&&": lambda left, right: float(bool(left) and bool(right)),
    "||": lambda left, right: float(bool(left) or bool(right)),
}
_SIGNS["AND"], _SIGNS["OR"] = _SIGNS["&&"], _SIGNS["||"]


def combined(sign: str, left: Value, right: Value) -> Value:
    """Two values by an operator. What cannot be calculated (a division by zero) has no point."""
    apply = _SIGNS[sign]
    both = isinstance(left, list) and isinstance(right, list)
    if both:
        raise BadExpression("Error in expression: Unsupported operand types")
    if isinstance(left, list):
        return [_series(combined(sign, one, right)) for one in left]
    if isinstance(right, list):
        return [_series(combined(sign, left, one)) for one in right]
    if isinstance(left, Series) and isinstance(right, Series):
        pairs = {
            at: (value, right.points[at]) for at, value in left.points.items() if at in right.points
        }
        return Series(_calculated(apply, pairs), max(left.period, right.period))
    if isinstance(left, Series):
        assert not isinstance(right, (Series, list))
        of_left = {at: (value, right) for at, value in left.points.items()}
        return Series(_calculated(apply, of_left), left.period)
    if isinstance(right, Series):
        of_right = {at: (left, value) for at, value in right.points.items()}
        return Series(_calculated(apply, of_right), right.period)
    found = _calculated(apply, {0: (left, right)})
    return found.get(0, math.nan)


def _calculated(
    apply: Callable[[float, float], float], pairs: dict[int, tuple[float, float]]
) -> dict[int, float]:
    found = {}
    for at, (left, right) in pairs.items():
        try:
            value = apply(left, right)
        except (ZeroDivisionError, OverflowError, ValueError):
            continue
        if math.isfinite(value):
            found[at] = value
    return found


def _series(value: Any) -> Series:
    if not isinstance(value, Series):
        raise BadExpression("Error in expression: Expected a time series")
    return value


def _mapped(apply: Callable[[float], float]) -> Callable[[Any], Value]:
    """A function of each number."""

    def function(value: Any) -> Value:
        if isinstance(value, list):
            return [_series(function(one)) for one in value]
        if isinstance(value, Series):
            pairs = {at: (one, 0.0) for at, one in value.points.items()}
            return Series(_calculated(lambda one, _: apply(one), pairs), value.period)
        return apply(float(value))

    return function


def _reduced(apply: Callable[[Sequence[float]], float]) -> Callable[[Any], Value]:
    """A function of many numbers: a series gives one, several give one series."""

    def function(value: Any) -> Value:
        if isinstance(value, Series):
            return apply(list(value.points.values())) if value.points else math.nan
        times = sorted({at for one in value for at in one.points})
        return Series(
            {at: apply([one.points[at] for one in value if at in one.points]) for at in times},
            max((one.period for one in value), default=60),
        )

    return function


def _deviation(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))


def _stepped(
    apply: Callable[[tuple[int, float], tuple[int, float]], float],
) -> Callable[..., Value]:
    """A function of each number and the one before."""

    def function(value: Any) -> Value:
        if isinstance(value, list):
            return [_series(function(one)) for one in value]
        series = _series(value)
        ordered = sorted(series.points.items())
        pairs = itertools.pairwise(ordered)
        return Series({now[0]: apply(before, now) for before, now in pairs}, series.period)

    return function


def _running_sum(value: Any) -> Value:
    series, total = _series(value), 0.0
    found = {}
    for at, one in sorted(series.points.items()):
        total += one
        found[at] = total
    return Series(found, series.period)


def _if(condition: Any, yes: Any, no: Any = None) -> Value:
    if not isinstance(condition, Series):
        chosen: Value = yes if condition else no
        return chosen
    found = {}
    for at, holds in condition.points.items():
        side = yes if holds else no
        value = side.points.get(at) if isinstance(side, Series) else side
        if value is not None:
            found[at] = value
    return Series(found, condition.period)


def _fill(value: Any, filler: Any) -> Value:
    if isinstance(value, list):
        return [_series(_fill(one, filler)) for one in value]
    series = _series(value)
    if not series.points:
        return series
    ordered = sorted(series.points)
    found = dict(series.points)
    for before, after in itertools.pairwise(ordered):
        for at in range(before + series.period, after, series.period):
            low, high = series.points[before], series.points[after]
            if filler == "REPEAT":
                found[at] = low
            elif filler == "LINEAR":
                found[at] = low + (high - low) * (at - before) / (after - before)
            else:
                found[at] = filler.points.get(at, 0.0) if isinstance(filler, Series) else filler
    return Series(found, series.period)


def _count(value: Any) -> Value:
    return float(len(value)) if isinstance(value, list) else 1.0


FUNCTIONS: dict[str, Callable[..., Value]] = {
    "ABS": _mapped(abs),
    "CEIL": _mapped(math.ceil),
    "FLOOR": _mapped(math.floor),
    "LOG": _mapped(math.log),
    "LOG10": _mapped(math.log10),
    "AVG": _reduced(lambda values: sum(values) / len(values)),
    "SUM": _reduced(sum),
    "MIN": _reduced(min),
    "MAX": _reduced(max),
    "STDDEV": _reduced(_deviation),
    "DIFF": _stepped(lambda before, now: now[1] - before[1]),
    "DIFF_TIME": _stepped(lambda before, now: float(now[0] - before[0])),
    "RATE": _stepped(lambda before, now: (now[1] - before[1]) / (now[0] - before[0])),
    "RUNNING_SUM": _running_sum,
    "IF": _if,
    "FILL": _fill,
    "PERIOD": lambda value: float(_series(value).period),
    "METRIC_COUNT": _count,
    "FIRST": lambda value: value[0],
    "LAST": lambda value: value[-1],
    "REMOVE_EMPTY": lambda value: [one for one in value if one.points],
}
