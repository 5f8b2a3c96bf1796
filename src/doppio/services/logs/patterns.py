"""The language of filters: what of a line counts, and what is taken out of it. Pure.

Three forms, as "Filter pattern syntax for metric filters, subscription filters, and filter log
events" has them: words (`ERROR -debug`, `?a ?b`, `"a phrase"`, `%regex%`), columns
(`[ip, user, status = 4*]`) and JSON (`{ $.level = "error" && $.ms > 10 }`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from doppio.services.logs.conditions import BadPattern, Cursor, compared, wildcard
from doppio.services.logs.json_patterns import json_matcher

# What a line gives: the values by the names of columns or selectors; None where it does not fit.
Matcher = Callable[[str], "dict[str, str] | None"]

_TERM = re.compile(r'\s*([?-]?)(?:"((?:[^"\\]|\\.)*)"|%([^%]+)%|(\S+))')
_COLUMN = re.compile(r'\[([^\]]*)\]|"((?:[^"\\]|\\.)*)"|(\S+)')
_PART = re.compile(r'(?:"(?:[^"\\]|\\.)*"|%[^%]*%|[^,"])*')
_PLAIN = re.compile(r"[A-Za-z0-9_]+")


@lru_cache(maxsize=512)
def compiled(pattern: str) -> Matcher:
    """A pattern, ready for lines. Raises BadPattern."""
    text = pattern.strip()
    if text.startswith("{"):
        return json_matcher(text)
    if text.startswith("["):
        return _columns(text)
    return _words(text)


def _words(text: str) -> Matcher:
    required: list[Callable[[str], bool]] = []
    excluded: list[Callable[[str], bool]] = []
    optional: list[Callable[[str], bool]] = []
    at = 0
    while at < len(text):
        found = _TERM.match(text, at)
        if found is None:
            raise BadPattern(text)
        at = found.end()
        sign, phrase, expression, word = found.groups()
        ends = at == len(text) or text[at].isspace()
        if not ends or (word is not None and _PLAIN.fullmatch(word) is None):
            raise BadPattern(text)
        test = _finder(phrase, expression, word)
        (optional if sign == "?" else excluded if sign == "-" else required).append(test)

    def match(line: str) -> dict[str, str] | None:
        if any(test(line) for test in excluded) or not all(test(line) for test in required):
            return None
        # AWS leaves `?` words out of account beside others.
        if optional and not required and not excluded and not any(test(line) for test in optional):
            return None
        return {}

    return match


def _finder(phrase: str | None, expression: str | None, word: str | None) -> Callable[[str], bool]:
    if expression is not None:
        search = regex(expression).search
        return lambda line: search(line) is not None
    wanted = re.sub(r"\\(.)", r"\1", phrase) if phrase is not None else word or ""
    return lambda line: wanted in line


def regex(text: str) -> re.Pattern[str]:
    """A regular expression of AWS's subset. Raises BadPattern."""
    if re.search(r"[()]", re.sub(r"\\.", "", text)):
        raise BadPattern(text)
    try:
        return re.compile(text)
    except re.error as error:
        raise BadPattern(text) from error


Column = tuple[str, Callable[[str], bool]]


def _columns(text: str) -> Matcher:
    if not text.endswith("]"):
        raise BadPattern(text)
    parts = _split(text[1:-1])
    before: list[Column] = []
    behind: list[Column] | None = None
    for number, part in enumerate(parts, 1):
        if part == "...":
            if behind is not None:
                raise BadPattern(text)
            behind = []
        else:
            (before if behind is None else behind).append(_column(part, number))
    least = len(before) + len(behind or [])

    def match(line: str) -> dict[str, str] | None:
        values = split_columns(line)
        if len(values) < least or (behind is None and len(values) != least):
            return None
        middle = len(values) - len(behind or [])
        pairs = [
            *zip(before, values, strict=False),
            *(
                ((f"${number}", _anything), values[number - 1])
                for number in range(len(before) + 1, middle + 1)
            ),
            *zip(behind or [], values[middle:], strict=True),
        ]
        if not all(test(value) for (_, test), value in pairs):
            return None
        return {
            f"${name}" if not name.startswith("$") else name: value for (name, _), value in pairs
        }

    return match


def split_columns(line: str) -> list[str]:
    """A line's columns: what stands in brackets or quotes is one."""
    return [
        next(part for part in found.groups() if part is not None)
        for found in _COLUMN.finditer(line)
    ]


def _anything(_: str) -> bool:
    return True


def _split(text: str) -> list[str]:
    """The columns of a pattern, at commas that stand in no quotes."""
    parts, at = [], 0
    while True:
        found = _PART.match(text, at)
        assert found is not None
        parts.append(found[0].strip())
        if found.end() >= len(text):
            return parts
        if text[found.end()] != ",":
            raise BadPattern(text)
        at = found.end() + 1


def _column(part: str, number: int) -> Column:
    if not part:
        return f"${number}", _anything
    named = re.fullmatch(r"\w+", part)
    if named is not None:
        return part, _anything
    cursor = Cursor(part)
    names: list[str] = []

    def one() -> Callable[[str], bool]:
        if cursor.take(r"\("):
            inner = either()
            cursor.need(r"\)")
            return inner
        name = cursor.need(r"\w+")[0]
        names.append(name)
        if cursor.peek(r"&&|\|\||\)|$"):
            return _anything
        return compared(cursor)

    def both() -> Callable[[str], bool]:
        tests = [one()]
        while cursor.take("&&"):
            tests.append(one())
        return lambda value: all(test(value) for test in tests)

    def either() -> Callable[[str], bool]:
        tests = [both()]
        while cursor.take(r"\|\|"):
            tests.append(both())
        return lambda value: any(test(value) for test in tests)

    test = either()
    if not cursor.ended() or len(set(names)) != 1:
        raise BadPattern(part)
    return names[0], test


__all__ = ["BadPattern", "Matcher", "compiled", "split_columns", "wildcard"]
