"""Wildcards and policy variables.

`*` is any text, `?` any one character. Actions compare without regard to case. In a resource
pattern, `${key}` stands for a condition key's value, taken literally; `${*}`, `${?}` and `${$}`
for those characters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

Matches = Callable[[str, Mapping[str, Any]], bool]
VARIABLE = re.compile(r"\$\{([^}]*)\}")
_LITERAL = {"*": "*", "?": "?", "$": "$"}


@lru_cache(maxsize=20_000)
def wildcard(pattern: str, *, fold: bool = False) -> Callable[[str], bool]:
    """A test for one pattern."""
    if "*" not in pattern and "?" not in pattern:
        if fold:
            low = pattern.lower()
            return lambda text: text.lower() == low
        return pattern.__eq__
    if pattern == "*":
        return lambda text: True
    if pattern.endswith("*") and "*" not in pattern[:-1] and "?" not in pattern and not fold:
        prefix = pattern[:-1]
        return lambda text: text.startswith(prefix)
    test = re.compile(_regex(pattern), re.DOTALL | (re.IGNORECASE if fold else 0)).fullmatch
    return lambda text: test(text) is not None


def _regex(pattern: str) -> str:
    return "".join({"*": ".*", "?": "."}.get(char) or re.escape(char) for char in pattern)


def actions(patterns: Iterable[str]) -> Callable[[str], bool]:
    """A test of an action's name against several patterns."""
    exact: set[str] = set()
    tests: list[Callable[[str], bool]] = []
    for pattern in patterns:
        if "*" in pattern or "?" in pattern:
            tests.append(wildcard(pattern.lower()))
        else:
            exact.add(pattern.lower())
    if not tests:
        return exact.__contains__
    if len(tests) == 1 and not exact:
        return tests[0]
    return lambda action: action in exact or any(test(action) for test in tests)


def arns(patterns: Iterable[str]) -> Matches:
    """A test of an ARN against several patterns, with variables from the request's context."""
    fixed = [wildcard(pattern) for pattern in patterns if "${" not in pattern]
    variable = [pattern for pattern in patterns if "${" in pattern]
    if not variable and len(fixed) == 1:
        only = fixed[0]
        return lambda arn, context: only(arn)

    def test(arn: str, context: Mapping[str, Any]) -> bool:
        return any(one(arn) for one in fixed) or any(
            with_variables(pattern, arn, context) for pattern in variable
        )

    return test


def with_variables(pattern: str, text: str, context: Mapping[str, Any]) -> bool:
    """Whether a text matches a pattern in which variables stand; a missing one never matches."""
    regex, at = "", 0
    for found in VARIABLE.finditer(pattern):
        value = variable_value(found[1], context)
        if value is None:
            return False
        regex += _regex(pattern[at : found.start()]) + re.escape(value)
        at = found.end()
    regex += _regex(pattern[at:])
    return re.fullmatch(regex, text, re.DOTALL) is not None


def variable_value(variable: str, context: Mapping[str, Any]) -> str | None:
    """The text that `${variable}` stands for, with the default of `${key, 'default'}`."""
    if variable in _LITERAL:
        return variable
    key, comma, default = variable.partition(",")
    value = context.get(key.strip().lower())
    if isinstance(value, (list, tuple)):
        value = value[0] if len(value) == 1 else None
    if value is None:
        text = default.strip()
        return text[1:-1] if comma and len(text) >= 2 and text[0] == text[-1] == "'" else None
    return str(value)
