"""Comparisons in filters: what stands behind the name of a column or a selector. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable

_NUMBER = r"-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_NUMERIC = re.compile(_NUMBER)


class BadPattern(Exception):
    """A text that is no filter pattern."""


class Cursor:
    """A place in a pattern. Spaces before what is looked for do not count."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def peek(self, pattern: str) -> re.Match[str] | None:
        """What fits here, without going on."""
        found = re.compile(r"\s*").match(self.text, self.at)
        assert found is not None
        return re.compile(pattern).match(self.text, found.end())

    def take(self, pattern: str) -> re.Match[str] | None:
        """What fits here, and go on behind it."""
        found = self.peek(pattern)
        if found is not None:
            self.at = found.end()
        return found

    def need(self, pattern: str) -> re.Match[str]:
        """What has to be here. Raises BadPattern."""
        found = self.take(pattern)
        if found is None:
            raise BadPattern(self.text)
        return found

    def ended(self) -> bool:
        """Whether nothing is left."""
        return self.peek(r"$") is not None


def wildcard(text: str) -> Callable[[str], bool]:
    """Equality, where `*` stands for anything."""
    if "*" not in text:
        return lambda value: value == text
    full = re.compile(".*".join(map(re.escape, text.split("*"))), re.DOTALL).fullmatch
    return lambda value: full(value) is not None


def number(value: str) -> float | None:
    """A value as number, None for what is none."""
    return float(value) if _NUMERIC.fullmatch(value) else None


def compared(cursor: Cursor) -> Callable[[str], bool]:
    """Operator and operand at the cursor, as a test of a value's text. Raises BadPattern."""
    sign = cursor.need(r"!=|<=|>=|=|<|>")[0]
    if sign in {"=", "!="}:
        test = _equal(cursor)
        return test if sign == "=" else lambda value: not test(value)
    operand = float(cursor.need(_NUMBER)[0])
    return _ordered(sign, operand)


def _ordered(sign: str, operand: float) -> Callable[[str], bool]:
    def test(value: str) -> bool:
        found = number(value)
        if found is None:
            return False
        return {
            "<": found < operand, ">": found > operand, "<=": found <= operand,
            ">=": found >= operand,
        }[sign]  # fmt: skip

    return test


def _equal(cursor: Cursor) -> Callable[[str], bool]:
    quoted = cursor.take(r'"((?:[^"\\]|\\.)*)"')
    if quoted is not None:
        return wildcard(re.sub(r"\\(.)", r"\1", quoted[1]))
    expression = cursor.take(r"%([^%]+)%")
    if expression is not None:
        if re.search(r"[()]", re.sub(r"\\.", "", expression[1])):
            raise BadPattern(cursor.text)
        try:
            search = re.compile(expression[1]).search
        except re.error as error:
            raise BadPattern(cursor.text) from error
        return lambda value: search(value) is not None
    word = cursor.need(r"[^\s,()&|}\]]+")[0]
    operand = number(word)
    if operand is None:
        return wildcard(word)
    return lambda value: number(value) == operand
