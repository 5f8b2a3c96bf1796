"""Condition and filter expressions: what holds, and what is refused with which text."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doppio.services.dynamodb.errors import ValidationException
from doppio.services.dynamodb.expressions.binding import Binding, bind
from doppio.services.dynamodb.expressions.conditions import compile_condition
from doppio.services.dynamodb.expressions.reserved import RESERVED

from .helpers import item, wire

KIND = "ConditionExpression"
ORDER = item(
    id="1",
    size_="large",
    price=4,
    paid=True,
    note=None,
    tags={"a", "b"},
    drinks=[{"drink": "latte", "times": 2}, "gift"],
    seat={"place": 7},
    data_=b"\1\2",
)


def holds(text: str, /, names: dict[str, str] | None = None, **values: Any) -> bool:
    """Whether a condition holds for the order."""
    binding = Binding(names, {f":{name}": wire(value) for name, value in values.items()})
    found = compile_condition(text, binding, KIND)
    binding.finish()
    return found(ORDER)


def why(text: str, /, names: dict[str, str] | None = None, **values: Any) -> str:
    """Why a condition is refused."""
    with pytest.raises(ValidationException) as refused:
        holds(text, names, **values)
    return refused.value.message.removeprefix(f"Invalid {KIND}: ")


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("price = :p", {"p": 4}, True),
        ("price = :p", {"p": "4"}, False),
        ("price <> :p", {"p": "4"}, True),
        ("nothing = :p", {"p": 4}, False),
        ("nothing <> :p", {"p": 4}, True),
        ("price < :p", {"p": 10}, True),
        ("price <= :p AND price >= :p", {"p": 4}, True),
        ("price > :p", {"p": 4}, False),
        ("price > :p", {"p": "3"}, False),
        (":p < price", {"p": 3}, True),
        ("nothing < :p", {"p": 4}, False),
        ("price BETWEEN :a AND :b", {"a": 4, "b": 4}, True),
        ("price between :a and :b", {"a": 5, "b": 6}, False),
        (":p BETWEEN price AND :b", {"p": 5, "b": 6}, True),
        ("price IN (:a, :b)", {"a": 3, "b": 4}, True),
        ("price in (:a)", {"a": 3}, False),
        ("NOT price = :p", {"p": 4}, False),
        ("not not price = :p", {"p": 4}, True),
        ("price = :a OR price = :b AND price = :c", {"a": 4, "b": 0, "c": 0}, True),
        ("(price = :a OR price = :b) AND price = :c", {"a": 4, "b": 0, "c": 0}, False),
        ("NOT price = :a OR price = :b", {"a": 4, "b": 4}, True),
        ("attribute_exists(price)", {}, True),
        ("attribute_exists(note)", {}, True),
        ("attribute_exists(drinks[0].drink)", {}, True),
        ("attribute_exists(drinks[2])", {}, False),
        ("attribute_not_exists(price)", {}, False),
        ("attribute_not_exists(seat.chair)", {}, True),
        ("attribute_type(price, :t)", {"t": "N"}, True),
        ("attribute_type(note, :t)", {"t": "NULL"}, True),
        ("attribute_type(nothing, :t)", {"t": "N"}, False),
        ("begins_with(size_, :s)", {"s": "lar"}, True),
        ("begins_with(size_, :s)", {"s": "arg"}, False),
        ("begins_with(data_, :s)", {"s": b"\1"}, True),
        ("begins_with(price, :s)", {"s": "4"}, False),
        ("contains(size_, :s)", {"s": "arg"}, True),
        ("contains(tags, :s)", {"s": "a"}, True),
        ("contains(tags, :s)", {"s": "c"}, False),
        ("contains(drinks, :s)", {"s": "gift"}, True),
        ("contains(drinks, :s)", {"s": {"times": 2, "drink": "latte"}}, True),
        ("contains(price, :s)", {"s": 4}, False),
        ("size(size_) = :n", {"n": 5}, True),
        ("size(tags) = :n", {"n": 2}, True),
        ("size(drinks) > :n", {"n": 1}, True),
        ("size(seat) = :n", {"n": 1}, True),
        ("size(data_) = :n", {"n": 2}, True),
        ("size(price) = :n", {"n": 1}, False),
        ("size(drinks) = size(data_)", {}, True),
        ("drinks[0].times = :n", {"n": 2}, True),
        ("seat.place = :n", {"n": 7}, True),
        ("tags = :s", {"s": {"b", "a"}}, True),
        ("paid = :t", {"t": True}, True),
    ],
)
def test_a_condition_holds(text: str, values: dict[str, Any], expected: bool) -> None:
    assert holds(text, None, **values) is expected


def test_names_stand_for_any_part_of_a_path() -> None:
    assert holds("#a.#b = :v", {"#a": "seat", "#b": "place"}, v=7)
    assert holds("#a = :v", {"#a": "size_"}, v="large")
    assert not holds("attribute_exists(#a)", {"#a": "seat.place"})


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("price = = :p", {"p": 1}, 'Syntax error; token: "=", near: "= = :p"'),
        ("price =", {}, 'Syntax error; token: "<EOF>", near: "="'),
        ("price", {}, 'Syntax error; token: "<EOF>", near: "price"'),
        ("(price = :p", {"p": 1}, 'Syntax error; token: "<EOF>", near: ":p"'),
        ("price = :p)", {"p": 1}, 'Syntax error; token: ")", near: ":p)"'),
        ("price ; :p", {"p": 1}, 'Syntax error; token: ";", near: "price ; :p"'),
        ("price = :p AND", {"p": 1}, 'Syntax error; token: "<EOF>", near: "AND"'),
        ("", {}, "The expression can not be empty;"),
        ("  ", {}, "The expression can not be empty;"),
        ("((price = :p))", {"p": 1}, "The expression has redundant parentheses;"),
        (
            "size = :p",
            {"p": 1},
            "Attribute name is a reserved keyword; reserved keyword: size",
        ),
        (
            "seat.Name = :p",
            {"p": 1},
            "Attribute name is a reserved keyword; reserved keyword: Name",
        ),
        ("guess(price)", {}, "Invalid function name; function: guess"),
        ("price = guess(:p)", {"p": 1}, "Invalid function name; function: guess"),
        (
            "size(price)",
            {},
            "The function is not allowed to be used this way in an expression; function: size",
        ),
        (
            "attribute_exists(price) = :p",
            {"p": 1},
            (
                "The function is not allowed to be used this way in an expression; function: "
                "attribute_exists"
            ),
        ),
        (
            "begins_with(price)",
            {},
            (
                "Incorrect number of operands for operator or function; operator or function: "
                "begins_with, number of operands: 1"
            ),
        ),
        (
            "attribute_exists(:p)",
            {"p": 1},
            (
                "Operator or function requires a document path; operator or function: "
                "attribute_exists"
            ),
        ),
        (
            "begins_with(price, :p)",
            {"p": 1},
            (
                "Incorrect operand type for operator or function; operator or function: "
                "begins_with, operand type: N"
            ),
        ),
        (
            "price < :p",
            {"p": True},
            (
                "Incorrect operand type for operator or function; operator or function: <, operand "
                "type: BOOL"
            ),
        ),
        (
            "attribute_type(price, :p)",
            {"p": "X"},
            (
                "Invalid attribute type name found; type: X, valid types: "
                "{B,NULL,SS,BOOL,L,BS,N,NS,S,M}"
            ),
        ),
        (
            "price = price",
            {},
            (
                "The first operand must be distinct from the remaining operands for this operator "
                "or function; operator: =, first operand: [price]"
            ),
        ),
        (
            "contains(seat.place, seat.place)",
            {},
            (
                "The first operand must be distinct from the remaining operands for this operator "
                "or function; operator: contains, first operand: [seat, place]"
            ),
        ),
        (
            "price BETWEEN :a AND :b",
            {"a": 2, "b": 1},
            (
                "The BETWEEN operator requires upper bound to be greater than or equal to lower "
                "bound; lower bound operand: AttributeValue: {N:2}, upper bound operand: "
                "AttributeValue: {N:1}"
            ),
        ),
        (
            "price BETWEEN :a AND :b",
            {"a": 2, "b": "1"},
            (
                "The BETWEEN operator requires same data type for lower and upper bounds; lower "
                "bound operand: AttributeValue: {N:2}, upper bound operand: AttributeValue: {S:1}"
            ),
        ),
        (
            "price = :q",
            {"p": 1},
            (
                "An expression attribute value used in expression is not defined; attribute value: "
                ":q"
            ),
        ),
        (
            "#p = :p",
            {"p": 1},
            (
                "An expression attribute name used in the document path is not defined; attribute "
                "name: #p"
            ),
        ),
    ],
)
def test_a_wrong_condition_is_refused_with_awss_text(
    text: str, values: dict[str, Any], expected: str
) -> None:
    assert why(text, None, **values) == expected


def test_names_and_values_that_nothing_uses_are_refused() -> None:
    assert why("price = :p", None, p=1, q=2) == (
        "Value provided in ExpressionAttributeValues unused in expressions: keys: {:q}"
    )
    assert why("price = :p", {"#x": "y", "#z": "y"}, p=1) == (
        "Value provided in ExpressionAttributeNames unused in expressions: keys: {#x, #z}"
    )


@pytest.mark.parametrize(
    ("req", "kinds", "expected"),
    [
        (
            {"ExpressionAttributeNames": {"#a": "b"}},
            (KIND,),
            "ExpressionAttributeNames can only be specified when using expressions",
        ),
        (
            {"ExpressionAttributeValues": {":a": wire(1)}},
            (KIND,),
            (
                "ExpressionAttributeValues can only be specified when using expressions: "
                "ConditionExpression is null"
            ),
        ),
        (
            {"ExpressionAttributeValues": {":a": wire(1)}},
            ("UpdateExpression", KIND),
            (
                "ExpressionAttributeValues can only be specified when using expressions: "
                "UpdateExpression and ConditionExpression are null"
            ),
        ),
        (
            {KIND: "a = :a", "ExpressionAttributeValues": {}},
            (KIND,),
            "ExpressionAttributeValues must not be empty",
        ),
        (
            {KIND: "a = :a", "ExpressionAttributeValues": {"a": wire(1)}},
            (KIND,),
            'ExpressionAttributeValues contains invalid key: Syntax error; key: "a"',
        ),
        (
            {KIND: "a = :a", "ExpressionAttributeValues": {":a": {"N": "x"}}},
            (KIND,),
            (
                "ExpressionAttributeValues contains invalid value: The parameter cannot be "
                "converted to a numeric value: x for key :a"
            ),
        ),
    ],
)
def test_placeholders_belong_to_expressions(
    req: dict[str, Any], kinds: tuple[str, ...], expected: str
) -> None:
    with pytest.raises(ValidationException) as refused:
        bind(req, *kinds)
    assert refused.value.message == expected


def test_an_expression_has_at_most_4096_bytes() -> None:
    assert why("a = :p" + " " * 4091, None, p=1) == (
        "Expression size has exceeded the maximum allowed size; expression size: 4097"
    )


def test_in_takes_at_most_100_operands() -> None:
    values = {f"v{number}": number for number in range(101)}
    text = f"price IN ({', '.join(f':{name}' for name in values)})"
    assert why(text, None, **values).startswith(
        "The IN operator is provided with too many operands; number of operands: 101"
    )


def test_an_expression_is_neither_endless_nor_bottomless() -> None:
    assert "operators" in why(" AND ".join(["a = :p"] * 301), None, p=1)
    deep = "(" * 200 + "a = :p" + ")" * 200
    assert "nested" in why(deep, None, p=1)
    assert "nested" in why("size(" * 500 + "a" + ")" * 500 + " = :p", None, p=1)


def test_the_reserved_words_are_those_of_aws() -> None:
    assert len(RESERVED) == 573
    assert {"SIZE", "NAME", "STATUS", "TTL", "ZONE", "ABORT"} <= RESERVED
    assert "PRICE" not in RESERVED


@settings(max_examples=300)
@given(st.text(st.sampled_from("aA:#()[].,=<> 019_+-\"'é"), max_size=30))
def test_any_text_is_an_expression_or_a_validation_error(text: str) -> None:
    try:
        compile_condition(text, Binding({"#a": "x"}, {":a": wire(1)}), KIND)(ORDER)
    except ValidationException as error:
        found = error.message
    else:
        found = f"Invalid {KIND}: nothing"
    assert found.startswith(f"Invalid {KIND}: ")
