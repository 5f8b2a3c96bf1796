"""Rules of composite alarms: `ALARM("cpu") AND NOT OK(disk)`. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable

_TOKEN = re.compile(
    r"\s*(?:(AND|OR|NOT|TRUE|FALSE)\b|(ALARM|OK|INSUFFICIENT_DATA)\s*"
    r"\(\s*(?:\"([^\"]+)\"|'([^']+)'|([^\s()\"']+))\s*\)|([()]))"
)


class BadRule(Exception):
    """A text that is no rule."""


def names_of(rule: str) -> set[str]:
    """The alarms of which a rule speaks. Raises BadRule."""
    names: set[str] = set()

    def state(name: str) -> str:
        names.add(name)
        return "OK"

    holds(rule, state)
    return names


def holds(rule: str, state: Callable[[str], str]) -> bool:
    """Whether a rule holds, by the states of alarms. Every alarm is asked. Raises BadRule."""
    words, at = [], 0
    text = rule.strip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise BadRule(text[at:])
        words.append(found)
        at = found.end()
    place = 0

    def word() -> str:
        return (words[place][1] or words[place][6] or "") if place < len(words) else ""

    def one() -> bool:
        nonlocal place
        if place >= len(words):
            raise BadRule("unexpected end")
        found = words[place]
        place += 1
        if found[1] == "NOT":
            return not one()
        if found[1] in {"TRUE", "FALSE"}:
            return found[1] == "TRUE"
        if found[6] == "(":
            inner = either()
            if word() != ")":
                raise BadRule("missing )")
            place += 1
            return inner
        if found[2]:
            arn = found[3] or found[4] or found[5]
            return state(arn.split(":alarm:")[-1]) == found[2]
        raise BadRule(found[0].strip())

    def both() -> bool:
        nonlocal place
        value = one()
        while word() == "AND":
            place += 1
            other = one()
            value = value and other
        return value

    def either() -> bool:
        nonlocal place
        value = both()
        while word() == "OR":
            place += 1
            other = both()
            value = value or other
        return value

    value = either()
    if place < len(words):
        raise BadRule(words[place][0].strip())
    return value
