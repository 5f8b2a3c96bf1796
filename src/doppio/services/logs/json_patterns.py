"""Filters on JSON: selectors, comparisons, and how they are joined. Pure.

A line that is no JSON object or list fits none of them; a selector that finds nothing neither,
but for `NOT EXISTS`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from doppio.services.logs.conditions import BadPattern, Cursor, compared

_SELECTOR = r'\$(?:\.(?:[\w-]+|\*)|\[(?:"[^"]+"|\'[^\']+\'|\d+|\*)\])*'
_STEP = re.compile(r'\.([\w-]+|\*)|\[(?:"([^"]+)"|\'([^\']+)\'|(\d+|\*))\]')

Test = Callable[[Any, "dict[str, str]"], bool]


def json_matcher(text: str) -> Callable[[str], dict[str, str] | None]:
    """A pattern in braces, ready for lines. Raises BadPattern."""
    if not text.endswith("}"):
        raise BadPattern(text)
    cursor = Cursor(text[1:-1])
    test = _either(cursor)
    if not cursor.ended():
        raise BadPattern(text)

    def match(line: str) -> dict[str, str] | None:
        document = read(line)
        if document is None:
            return None
        values: dict[str, str] = {}
        return values if test(document, values) else None

    return match


def read(line: str) -> Any:
    """The JSON object or list that a line is; else None."""
    if not line.lstrip().startswith(("{", "[")):
        return None
    try:
        return json.loads(line, parse_float=_written, parse_int=_written)
    except (ValueError, RecursionError):
        return None


class _written(str):  # noqa: N801  (a number with the text in which it came)
    __slots__ = ()


def selected(document: Any, selector: str) -> list[Any]:
    """What a selector finds; `*` may find several."""
    found = [document]
    for step in _STEP.finditer(selector):
        name = step[1] or step[2] or step[3]
        index = step[4]
        found = [inner for one in found for inner in _stepped(one, name, index)]
    return found


def value_of(document: Any, selector: str) -> str | None:
    """The one value under a selector as text; None for none, and for what is no simple value."""
    found = selected(document, selector)
    return as_text(found[0]) if found and not isinstance(found[0], (dict, list)) else None


def as_text(value: Any) -> str:
    """A simple value as filters compare it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def _stepped(one: Any, name: str | None, index: str | None) -> Iterator[Any]:
    if isinstance(one, list):
        if index == "*" or name == "*":
            yield from one
        elif index is not None and int(index) < len(one):
            yield one[int(index)]
    elif isinstance(one, dict):
        if name == "*" or index == "*":
            yield from one.values()
        elif name is not None and name in one:
            yield one[name]


def _either(cursor: Cursor) -> Test:
    tests = [_both(cursor)]
    while cursor.take(r"\|\|"):
        tests.append(_both(cursor))
    if len(tests) == 1:
        return tests[0]
    # Each side gives its values, so each is asked.
    return lambda document, values: any(_each(tests, document, values))


def _each(tests: list[Test], document: Any, values: dict[str, str]) -> list[bool]:
    return [test(document, values) for test in tests]


def _both(cursor: Cursor) -> Test:
    tests = [_one(cursor)]
    while cursor.take("&&"):
        tests.append(_one(cursor))
    if len(tests) == 1:
        return tests[0]
    # Each side gives its values, so each is asked.
    return lambda document, values: all(_each(tests, document, values))


def _one(cursor: Cursor) -> Test:
    if cursor.take(r"\("):
        inner = _either(cursor)
        cursor.need(r"\)")
        return inner
    selector = cursor.need(_SELECTOR)[0]
    special = cursor.take(r"(IS\s+NULL|IS\s+TRUE|IS\s+FALSE|NOT\s+EXISTS|EXISTS)\b")
    if special is not None:
        return _special(selector, " ".join(special[1].split()))
    unequal = cursor.peek("!=") is not None
    test = compared(cursor)

    def match(document: Any, values: dict[str, str]) -> bool:
        found = [as_text(one) for one in selected(document, selector) if _simple(one)]
        if found:
            values[selector] = found[0]
        if unequal:
            return bool(found) and all(test(one) for one in found)
        return any(test(one) for one in found)

    return match


def _special(selector: str, kind: str) -> Test:
    wanted = {"IS NULL": None, "IS TRUE": True, "IS FALSE": False}

    def match(document: Any, values: dict[str, str]) -> bool:
        found = selected(document, selector)
        if kind in {"EXISTS", "NOT EXISTS"}:
            return bool(found) == (kind == "EXISTS")
        hit = any(one is wanted[kind] for one in found)
        if hit:
            values[selector] = as_text(wanted[kind])
        return hit

    return match


def _simple(value: Any) -> bool:
    return value is not None and not isinstance(value, (dict, list))
