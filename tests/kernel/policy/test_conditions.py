"""Condition operators, one by one and in their combinations."""

from __future__ import annotations

from typing import Any

import pytest

from doppio.kernel.policy.conditions import UnknownOperator, compile_conditions


def holds(operator: str, wanted: Any, **context: Any) -> bool:
    test = compile_conditions({operator: {"k:Key": wanted}})
    assert test is not None
    return test({f"k:{name}": value for name, value in context.items()})


@pytest.mark.parametrize(
    ("operator", "wanted", "value", "expected"),
    [
        ("StringEquals", "a", "a", True),
        ("StringEquals", ["a", "b"], "b", True),
        ("StringEquals", "a", "A", False),
        ("StringNotEquals", "a", "b", True),
        ("StringNotEquals", ["a", "b"], "b", False),
        ("StringEqualsIgnoreCase", "ABC", "abc", True),
        ("StringNotEqualsIgnoreCase", "ABC", "abc", False),
        ("StringLike", "a*c?", "abbcd", True),
        ("StringNotLike", "a*", "abc", False),
        ("NumericEquals", "10", "10.0", True),
        ("NumericNotEquals", "10", "11", True),
        ("NumericLessThan", "10", "9", True),
        ("NumericLessThanEquals", "10", "10", True),
        ("NumericGreaterThan", "10", "10", False),
        ("NumericGreaterThanEquals", "10", "10", True),
        ("NumericEquals", "10", "ten", False),
        ("DateLessThan", "2026-01-01T00:00:00Z", "2025-12-31T23:59:59Z", True),
        ("DateGreaterThan", "1700000000", "2026-01-01T00:00:00Z", True),
        ("DateEquals", "2026-01-01", "2026-01-01T00:00:00Z", True),
        ("DateNotEquals", "2026-01-01", "2026-01-01T00:00:00Z", False),
        ("DateLessThanEquals", "2026-01-01", "2026-01-01", True),
        ("DateGreaterThanEquals", "2026-01-02", "2026-01-01", False),
        ("Bool", "true", "true", True),
        ("Bool", "true", "false", False),
        ("BinaryEquals", "QQ==", "QQ==", True),
        ("IpAddress", "10.0.0.0/8", "10.1.2.3", True),
        ("IpAddress", "2001:db8::/32", "2001:db8::1", True),
        ("NotIpAddress", "10.0.0.0/8", "10.1.2.3", False),
        ("ArnLike", "arn:aws:sns:*:1:t*", "arn:aws:sns:eu-west-1:1:topic", True),
        ("ArnLike", "arn:*:t", "arn:aws:sns:eu-west-1:1:t", False),
        ("ArnEquals", "arn:aws:sns:*:1:t", "arn:aws:sns:x:1:t", True),
        ("ArnNotLike", "arn:aws:sns:*:1:t", "arn:aws:sns:x:1:t", False),
        ("ArnEquals", "arn:aws:sns:x:1:t", "arn:aws:sns:x:1:t", True),
        ("ArnEquals", ["arn:aws:sns:x:1:s", "arn:aws:sns:x:1:t"], "arn:aws:sns:x:1:t", True),
        ("ArnLike", "arn:aws:sns:x:1:t", "arn:aws:sns:x:1:T", False),
        ("ArnLike", "arn:aws:sns:x:1:t:u", "arn:aws:sns:x:1:t:u", True),
        ("ArnNotEquals", "arn:aws:sns:x:1:t", "arn:aws:sns:x:1:t", False),
        ("ArnEquals", "topic", "topic", False),
        ("ArnNotEquals", "topic", "topic", True),
        ("StringLike", "abc", "abc", True),
        ("StringNotLike", "abc", "abd", True),
        ("StringEquals", "a*", "a*", True),
        ("StringEquals", "a*", "ab", False),
    ],
)
def test_an_operator_compares(operator: str, wanted: Any, value: str, *, expected: bool) -> None:
    assert holds(operator, wanted, key=value) is expected


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        ("StringEquals", False),
        ("StringNotEquals", True),
        ("StringEqualsIfExists", True),
        ("Null", True),
        ("ForAllValues:StringEquals", True),
        ("ForAnyValue:StringEquals", False),
    ],
)
def test_what_a_missing_key_means(operator: str, *, expected: bool) -> None:
    wanted = "true" if operator == "Null" else "a"
    assert holds(operator, wanted) is expected


def test_null_false_asks_for_the_key() -> None:
    assert holds("Null", "false", key="x")
    assert not holds("Null", "false")


def test_set_operators_look_at_every_value() -> None:
    assert holds("ForAllValues:StringEquals", ["a", "b"], key=["a", "b"])
    assert not holds("ForAllValues:StringEquals", ["a"], key=["a", "b"])
    assert holds("ForAnyValue:StringEquals", ["a"], key=["a", "b"])
    assert holds("ForAllValues:StringNotEquals", ["c"], key=["a", "b"])


def test_values_may_hold_variables() -> None:
    test = compile_conditions({"StringEquals": {"k:a": "${k:b}"}})
    assert test is not None
    assert test({"k:a": "x", "k:b": "x"})
    assert not test({"k:a": "x", "k:b": "y"})


def test_all_conditions_of_a_block_must_hold() -> None:
    test = compile_conditions({"StringEquals": {"k:a": "1", "k:b": "2"}, "Bool": {"k:c": "true"}})
    assert test is not None
    assert test({"k:a": "1", "k:b": "2", "k:c": "true"})
    assert not test({"k:a": "1", "k:b": "2", "k:c": "false"})


def test_an_unknown_operator_is_refused() -> None:
    for operator in ("StringSounds", "ForSome:StringEquals"):
        with pytest.raises(UnknownOperator):
            compile_conditions({operator: {"k": "v"}})
