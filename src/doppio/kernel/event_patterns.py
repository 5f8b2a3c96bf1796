"""Event patterns: which events (or messages) somebody wants, as EventBridge and SNS write them. Pure.

A pattern is a JSON object of the event's shape whose leaves are lists of what a value may be; all
fields must match, and of each list one entry. `$or` holds patterns of which one must match. Where
an event has a list, one of its elements must match.

Source: "Amazon EventBridge event patterns" and "Amazon SNS subscription filter policies".
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Matcher = Callable[[Any], bool]
_ABSENT = object()
_DEPTH_MAX = 32
_NUMBER_MAX = 5_000_000_000
_TEXTS = ("prefix", "suffix", "equals-ignore-case", "wildcard")
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "=": lambda a, b: a == b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


class BadPattern(ValueError):
    """A pattern that means nothing; the text says why."""


def opened(value: Any) -> Any:
    """A text that holds a JSON object or list as what it holds, as filters of messages look into it."""
    if isinstance(value, str) and value.lstrip()[:1] in {"{", "["}:
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


class Pattern:
    """A compiled pattern. `combinations` is its complexity as SNS counts it."""

    __slots__ = ("_node", "combinations", "names")

    def __init__(self, document: Mapping[str, Any]) -> None:
        counted = _Counted()
        self._node = _compile_node(document, counted, 0)
        self.combinations = counted.combinations
        self.names = counted.names

    def matches(self, event: Any) -> bool:
        """Whether the pattern wants this event."""
        return isinstance(event, Mapping) and self._node(event)


class _Counted:
    def __init__(self) -> None:
        self.combinations = 1
        self.names = 0


Node = Callable[[Mapping[str, Any]], bool]


def _compile_node(document: Any, counted: _Counted, depth: int) -> Node:
    if not isinstance(document, Mapping):
        raise BadPattern("Filter is not an object")
    if not document:
        raise BadPattern("Empty objects are not allowed")
    if depth > _DEPTH_MAX:
        raise BadPattern("Pattern is nested too deeply")
    checks: list[Node] = []
    for name, wanted in document.items():
        if name == "$or" and _is_or(wanted):
            checks.append(_compile_or(wanted, counted, depth))
        elif isinstance(wanted, Mapping):
            checks.append(_inside(name, _compile_node(wanted, counted, depth + 1)))
        elif isinstance(wanted, list):
            counted.names += 1
            counted.combinations *= max(len(wanted), 1) * (depth + 1)
            checks.append(_field(name, _compile_leaf(wanted)))
        else:
            raise BadPattern(f'"{name}" must be an object or an array')
    if len(checks) == 1:
        return checks[0]
    return lambda event: all(check(event) for check in checks)


def _is_or(wanted: Any) -> bool:
    """`$or` is an operator where it holds at least two objects; else it is a field's name."""
    return (
        isinstance(wanted, list)
        and len(wanted) >= 2
        and all(isinstance(one, Mapping) and one for one in wanted)
        and not any(_is_matcher(one) for one in wanted)
    )


def _is_matcher(one: Mapping[str, Any]) -> bool:
    return next(iter(one)) in {*_TEXTS, "anything-but", "numeric", "exists", "cidr"}


def _compile_or(wanted: Sequence[Any], counted: _Counted, depth: int) -> Node:
    nodes: list[Node] = []
    total = 0
    for one in wanted:
        inner = _Counted()
        nodes.append(_compile_node(one, inner, depth))
        total += inner.combinations
        counted.names += inner.names
    counted.combinations *= total
    return lambda event: any(node(event) for node in nodes)


def _inside(name: str, node: Node) -> Node:
    def check(event: Mapping[str, Any]) -> bool:
        value = event.get(name)
        if isinstance(value, Mapping):
            return node(value)
        if isinstance(value, list):
            return any(node(one) for one in _flat(value) if isinstance(one, Mapping))
        # What is absent may be just what is wanted.
        return node({})

    return check


def _field(name: str, leaf: Matcher) -> Node:
    def check(event: Mapping[str, Any]) -> bool:
        value = event.get(name, _ABSENT)
        if isinstance(value, list):
            return any(leaf(one) for one in _flat(value)) if value else leaf(_ABSENT)
        # An object is no leaf: only leaves exist.
        return leaf(_ABSENT if isinstance(value, Mapping) else value)

    return check


def _flat(values: Sequence[Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if isinstance(value, list):
            found += _flat(value)
        else:
            found.append(value)
    return found


def _compile_leaf(wanted: Sequence[Any]) -> Matcher:
    if not wanted:
        raise BadPattern("Empty arrays are not allowed")
    plain: set[tuple[str, Any]] = set()
    matchers: list[Matcher] = []
    for one in wanted:
        if isinstance(one, Mapping):
            matchers.append(_compile_matcher(one))
        else:
            plain.add(_typed(one))

    def leaf(value: Any) -> bool:
        if value is not _ABSENT and plain and _typed(value, strict=False) in plain:
            return True
        return any(matcher(value) for matcher in matchers)

    return leaf


def _typed(value: Any, *, strict: bool = True) -> tuple[str, Any]:
    """A value as something that compares as JSON does: true is not 1."""
    if value is None:
        return "null", None
    if isinstance(value, bool):
        return "boolean", value
    if isinstance(value, int | float):
        return "number", value
    if isinstance(value, str):
        return "string", value
    if strict:
        raise BadPattern("Match value must be String, number, true, false, or null")
    return "other", id(value)


def _compile_matcher(one: Mapping[str, Any]) -> Matcher:
    if len(one) != 1:
        raise BadPattern("Only one key allowed in match expression")
    ((name, wanted),) = one.items()
    if name in _TEXTS:
        return _compile_text(name, wanted)
    maker = {
        "exists": _compile_exists,
        "numeric": _compile_numeric,
        "cidr": _compile_cidr,
        "anything-but": _compile_anything_but,
    }.get(name)
    if maker is None:
        raise BadPattern(f"Unrecognized match type {name}")
    return maker(wanted)


def _compile_exists(wanted: Any) -> Matcher:
    if not isinstance(wanted, bool):
        raise BadPattern("exists match pattern must be either true or false.")
    return (lambda value: value is not _ABSENT) if wanted else (lambda value: value is _ABSENT)


def _compile_text(name: str, wanted: Any) -> Matcher:
    if isinstance(wanted, Mapping) and name in {"prefix", "suffix"}:
        if list(wanted) != ["equals-ignore-case"] or not isinstance(
            wanted["equals-ignore-case"], str
        ):
            raise BadPattern(f"{name} match pattern must be a string")
        text = wanted["equals-ignore-case"].lower()
        if name == "prefix":
            return lambda value: isinstance(value, str) and value.lower().startswith(text)
        return lambda value: isinstance(value, str) and value.lower().endswith(text)
    if not isinstance(wanted, str):
        raise BadPattern(f"{name} match pattern must be a string")
    if name == "prefix":
        return lambda value: isinstance(value, str) and value.startswith(wanted)
    if name == "suffix":
        return lambda value: isinstance(value, str) and value.endswith(wanted)
    if name == "equals-ignore-case":
        folded = wanted.lower()
        return lambda value: isinstance(value, str) and value.lower() == folded
    return _compile_wildcard(wanted)


def _compile_wildcard(text: str) -> Matcher:
    if "**" in text:
        raise BadPattern("Consecutive wildcard characters at pos are not allowed")
    parts: list[str] = []
    at = 0
    while at < len(text):
        char = text[at]
        if char == "\\":
            if at + 1 >= len(text) or text[at + 1] not in "*\\":
                raise BadPattern("Invalid escape character in wildcard pattern")
            parts.append(re.escape(text[at + 1]))
            at += 1
        else:
            parts.append(".*" if char == "*" else re.escape(char))
        at += 1
    found = re.compile("".join(parts), re.DOTALL)
    return lambda value: isinstance(value, str) and found.fullmatch(value) is not None


def _compile_numeric(wanted: Any) -> Matcher:
    if not isinstance(wanted, list):
        raise BadPattern("Value of numeric must be an array.")
    if not wanted:
        raise BadPattern("Invalid member in numeric match: ]")
    if len(wanted) % 2:
        raise BadPattern("Value of numeric must be an array of operators and numbers.")
    bounds: list[tuple[Callable[[float, float], bool], float]] = []
    for operator, number in zip(wanted[::2], wanted[1::2], strict=True):
        if operator not in _COMPARISONS:
            raise BadPattern(f"Unrecognized numeric range operator: {operator}")
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise BadPattern(f"Value of {operator} must be numeric")
        if abs(number) > _NUMBER_MAX:
            raise BadPattern("Value of numeric is out of range")
        bounds.append((_COMPARISONS[operator], number))
    lowers = [n for op, n in zip(wanted[::2], wanted[1::2], strict=True) if op[0] == ">"]
    uppers = [n for op, n in zip(wanted[::2], wanted[1::2], strict=True) if op[0] == "<"]
    if len(bounds) > 2 or (len(bounds) == 2 and (len(lowers) != 1 or len(uppers) != 1)):
        raise BadPattern("Bad numeric range operator")
    if lowers and uppers and lowers[0] >= uppers[0]:
        raise BadPattern("Bottom must be less than top")

    def check(value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return all(compare(value, bound) for compare, bound in bounds)

    return check


def _compile_cidr(wanted: Any) -> Matcher:
    try:
        network = ipaddress.ip_network(wanted, strict=False)
    except (ValueError, TypeError) as error:
        raise BadPattern("Malformed CIDR, one '/' required") from error

    def check(value: Any) -> bool:
        if not isinstance(value, str):
            return False
        try:
            return ipaddress.ip_address(value) in network
        except ValueError:
            return False

    return check


def _compile_anything_but(wanted: Any) -> Matcher:
    if isinstance(wanted, Mapping):
        if len(wanted) != 1 or next(iter(wanted)) not in _TEXTS:
            raise BadPattern("Unsupported anything-but pattern")
        ((name, inner),) = wanted.items()
        texts = inner if isinstance(inner, list) else [inner]
        if not texts:
            raise BadPattern("Empty arrays are not allowed")
        refused = [_compile_text(name, text) for text in texts]
        return lambda value: value is not _ABSENT and not any(one(value) for one in refused)
    values = wanted if isinstance(wanted, list) else [wanted]
    if not values:
        raise BadPattern("Empty arrays are not allowed")
    typed = {_typed(value) for value in values}
    return lambda value: value is not _ABSENT and _typed(value, strict=False) not in typed
