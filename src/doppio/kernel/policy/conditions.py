"""Condition blocks: all operators of IAM's grammar, compiled to closures.

Source: "IAM JSON policy elements: Condition operators" and "Multivalued context keys".
"""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from doppio.kernel.policy.match import VARIABLE, variable_value, wildcard, with_variables

Condition = Callable[[Mapping[str, Any]], bool]
_Compare = Callable[[str, str, Mapping[str, Any]], bool]


class UnknownOperator(ValueError):
    """A condition operator that IAM does not have."""


def compile_conditions(block: Mapping[str, Mapping[str, Any]]) -> Condition | None:
    """A test that all conditions of a block hold; None for an empty one."""
    tests = [
        _compile_one(operator, key, values)
        for operator, keys in block.items()
        for key, values in keys.items()
    ]
    if not tests:
        return None
    if len(tests) == 1:
        return tests[0]
    return lambda context: all(test(context) for test in tests)


def _compile_one(operator: str, key: str, values: Any) -> Condition:
    qualifier, colon, plain = operator.rpartition(":")
    if colon and qualifier not in ("ForAllValues", "ForAnyValue"):
        raise UnknownOperator(operator)
    if_exists = plain.endswith("IfExists")
    if if_exists:
        plain = plain[: -len("IfExists")]
    wanted = [_text(value) for value in (values if isinstance(values, list) else [values])]
    name = key.lower()
    if plain == "Null" and not if_exists:
        # A key without values counts as absent.
        absent = {value.lower() == "true" for value in wanted}
        return lambda context: (not _values(context, name)) in absent
    found = _OPERATORS.get(plain)
    if found is None:
        raise UnknownOperator(operator)
    compare, negated = found
    fixed = _fixed(compare, wanted)

    def one(value: str, context: Mapping[str, Any]) -> bool:
        if fixed is not None:
            return (value in fixed) is not negated
        hit = any(compare(value, want, context) for want in wanted)
        return not hit if negated else hit

    if qualifier == "ForAllValues":
        return lambda context: all(one(v, context) for v in _values(context, name) or ())
    if qualifier == "ForAnyValue":

        def any_value(context: Mapping[str, Any]) -> bool:
            present = _values(context, name)
            return any(one(value, context) for value in present) if present else if_exists

        return any_value

    def test(context: Mapping[str, Any]) -> bool:
        present = _values(context, name)
        if not present:
            # A negated operator holds for a key that is not there, as IfExists does.
            return if_exists or negated
        if len(present) == 1:
            return one(present[0], context)
        if negated:
            return all(one(value, context) for value in present)
        return any(one(value, context) for value in present)

    return test


def _fixed(compare: _Compare, wanted: list[str]) -> frozenset[str] | None:
    """The values that match, where they can be told: without wildcards, variables or folding."""
    if compare not in (_equals, _like, _arn_like):
        return None
    signs = ("${",) if compare is _equals else ("${", "*", "?")
    if any(sign in want for want in wanted for sign in signs):
        return None
    # What is no ARN matches no ARN.
    arns = compare is _arn_like
    return frozenset(want for want in wanted if not arns or want.count(":") >= 5)


def _values(context: Mapping[str, Any], key: str) -> list[str] | None:
    value = context.get(key)
    if value is None:
        return None
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_text(one) for one in value]
    return [_text(value)]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


def _as_text(value: str) -> str:
    """A value as a pattern that it alone matches."""
    return "".join(f"${{{char}}}" if char in "*?$" else char for char in value)


def _expanded(
    want: str, context: Mapping[str, Any], written: Callable[[str], str] = str
) -> str | None:
    if "${" not in want:
        return want
    out, at = "", 0
    for found in VARIABLE.finditer(want):
        value = variable_value(found[1], context)
        if value is None:
            return None
        out += want[at : found.start()] + written(value)
        at = found.end()
    return out + want[at:]


def _equals(value: str, want: str, context: Mapping[str, Any]) -> bool:
    return value == _expanded(want, context)


def _equals_folded(value: str, want: str, context: Mapping[str, Any]) -> bool:
    expanded = _expanded(want, context)
    return expanded is not None and value.lower() == expanded.lower()


def _like(value: str, want: str, context: Mapping[str, Any]) -> bool:
    if "${" in want:
        return with_variables(want, value, context)
    return wildcard(want)(value)


def _arn_like(value: str, want: str, context: Mapping[str, Any]) -> bool:
    """Each of the six parts for itself: a wildcard does not reach over a colon."""
    if "${" in want:
        # First the variables, whose names and values have colons too.
        filled = _expanded(want, context, _as_text)
        if filled is None:
            return False
        want = filled
    have, parts = value.split(":", 5), want.split(":", 5)
    if len(have) != 6 or len(parts) != 6:
        return _like(value, want, context) if want == "*" else False
    return all(_like(a, b, context) for a, b in zip(have, parts, strict=True))


def _numeric(test: Callable[[Decimal, Decimal], bool]) -> _Compare:
    def compare(value: str, want: str, context: Mapping[str, Any]) -> bool:
        try:
            return test(Decimal(value), Decimal(want))
        except InvalidOperation:
            return False

    return compare


def _date(test: Callable[[datetime, datetime], bool]) -> _Compare:
    def compare(value: str, want: str, context: Mapping[str, Any]) -> bool:
        have, wanted = _moment(value), _moment(want)
        return have is not None and wanted is not None and test(have, wanted)

    return compare


def _moment(text: str) -> datetime | None:
    try:
        if text.lstrip("-").isdigit():
            return datetime.fromtimestamp(int(text), UTC)
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def is_moment(text: str) -> bool:
    """Whether a text is a moment, as policies write it."""
    return _moment(text) is not None


def _bool(value: str, want: str, context: Mapping[str, Any]) -> bool:
    return value.lower() == want.lower()


def _binary(value: str, want: str, context: Mapping[str, Any]) -> bool:
    try:
        return base64.b64decode(value) == base64.b64decode(want)
    except ValueError:
        return False


@lru_cache(4_096)
def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_address(text)


@lru_cache(4_096)
def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(text, strict=False)


def _ip(value: str, want: str, context: Mapping[str, Any]) -> bool:
    try:
        return _address(value) in _network(want)
    except ValueError:
        return False


_OPERATORS: dict[str, tuple[_Compare, bool]] = {
    "StringEquals": (_equals, False),
    "StringNotEquals": (_equals, True),
    "StringEqualsIgnoreCase": (_equals_folded, False),
    "StringNotEqualsIgnoreCase": (_equals_folded, True),
    "StringLike": (_like, False),
    "StringNotLike": (_like, True),
    "NumericEquals": (_numeric(lambda a, b: a == b), False),
    "NumericNotEquals": (_numeric(lambda a, b: a == b), True),
    "NumericLessThan": (_numeric(lambda a, b: a < b), False),
    "NumericLessThanEquals": (_numeric(lambda a, b: a <= b), False),
    "NumericGreaterThan": (_numeric(lambda a, b: a > b), False),
    "NumericGreaterThanEquals": (_numeric(lambda a, b: a >= b), False),
    "DateEquals": (_date(lambda a, b: a == b), False),
    "DateNotEquals": (_date(lambda a, b: a == b), True),
    "DateLessThan": (_date(lambda a, b: a < b), False),
    "DateLessThanEquals": (_date(lambda a, b: a <= b), False),
    "DateGreaterThan": (_date(lambda a, b: a > b), False),
    "DateGreaterThanEquals": (_date(lambda a, b: a >= b), False),
    "Bool": (_bool, False),
    "BinaryEquals": (_binary, False),
    "IpAddress": (_ip, False),
    "NotIpAddress": (_ip, True),
    "ArnEquals": (_arn_like, False),
    "ArnLike": (_arn_like, False),
    "ArnNotEquals": (_arn_like, True),
    "ArnNotLike": (_arn_like, True),
}
