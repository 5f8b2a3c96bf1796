"""Attribute values: what is allowed, how large it is, and what equals what."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doppio.services.dynamodb.errors import ValidationException
from doppio.services.dynamodb.values import checked, checked_item, compare, equal, size_of

from .helpers import item, wire

SCALARS = st.one_of(
    st.text(), st.integers(-(10**30), 10**30), st.binary(), st.booleans(), st.none()
)
SETS = st.one_of(st.sets(st.text(), min_size=1), st.sets(st.integers(-99, 99), min_size=1))
DOCUMENTS = st.recursive(
    st.one_of(SCALARS, SETS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)
BAD = "One or more parameter values were invalid: "


def why(value: dict[str, Any]) -> str:
    """Why a value is refused."""
    with pytest.raises(ValidationException) as refused:
        checked(value)
    return refused.value.message


@given(st.dictionaries(st.text(), DOCUMENTS, max_size=5))
def test_the_size_is_the_same_before_and_after_it_is_stored(content: dict[str, Any]) -> None:
    given = item(**content)
    assert checked_item(given) == size_of(given)


@given(DOCUMENTS, DOCUMENTS)
def test_a_value_equals_itself_and_what_is_written_alike(a: Any, b: Any) -> None:
    x, y = wire(a), wire(b)
    assert equal(x, wire(a))
    assert equal(x, y) == equal(y, x) == (x == y)


@given(st.one_of(st.tuples(st.text(), st.text()), st.tuples(st.binary(), st.binary())))
def test_texts_and_binaries_compare_by_their_bytes(pair: Any) -> None:
    a, b = pair
    x, y = (one.encode() if isinstance(one, str) else one for one in pair)
    assert compare(wire(a), wire(b)) == (x > y) - (x < y)


def test_numbers_compare_by_value_and_other_types_not_at_all() -> None:
    assert compare({"N": "10"}, {"N": "9"}) == 1
    assert compare({"N": "-1"}, {"N": "0.5"}) == -1
    assert compare({"N": "1"}, {"S": "1"}) is None
    assert compare({"BOOL": True}, {"BOOL": False}) is None


def test_sets_are_equal_in_any_order() -> None:
    assert equal({"SS": ["a", "b"]}, {"SS": ["b", "a"]})
    assert equal({"NS": ["1", "2"]}, {"NS": ["2", "1"]})
    assert not equal({"SS": ["a"]}, {"SS": ["a", "b"]})
    assert not equal({"L": [wire(1)]}, {"NS": ["1"]})


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ("abc", 3),
        ("é", 2),
        ("", 0),
        (b"\0\1", 2),
        (True, 1),
        (None, 1),
        (12, 2),
        ([], 3),
        ({}, 3),
        (["ab", 1], 3 + 1 + 2 + 1 + 2),
        ({"k": "v"}, 3 + 1 + 1 + 1),
        ({"a", "bc"}, 3),
        ({1, 22}, 4),
    ],
)
def test_sizes_are_as_aws_counts_them(value: Any, size: int) -> None:
    assert checked(wire(value)) == size


def test_numbers_are_normalised_wherever_they_stand() -> None:
    value = {"L": [{"N": "1.0"}, {"M": {"x": {"NS": ["01", "2e1"]}}}]}
    checked(value)
    assert value == {"L": [{"N": "1"}, {"M": {"x": {"NS": ["1", "20"]}}}]}


def test_a_value_has_exactly_one_type() -> None:
    assert why({}) == (
        "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
    )
    assert why({"S": "a", "N": "1"}) == (
        "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the "
        "supported datatypes"
    )


def test_null_is_true() -> None:
    assert why({"NULL": False}) == (BAD + "Null attribute value types must have the value of true")


def test_sets_are_not_empty() -> None:
    assert why({"SS": []}) == BAD + "An string set  may not be empty"
    assert why({"NS": []}) == BAD + "An number set  may not be empty"
    assert why({"BS": []}) == BAD + "Binary sets should not be empty"


def test_sets_have_no_duplicates_also_among_numbers_of_one_value() -> None:
    assert why({"SS": ["a", "b", "a"]}) == BAD + "Input collection [a, b, a] contains duplicates."
    assert why({"NS": ["1", "1.0"]}) == BAD + "Input collection contains duplicates"
    assert why({"BS": [b"a", b"a"]}) == (
        BAD + "Input collection [YQ==, YQ==]of type BS contains duplicates."
    )


def test_documents_nest_32_deep_and_no_deeper() -> None:
    def nested(depth: int) -> dict[str, Any]:
        value: dict[str, Any] = {"S": "x"}
        for _ in range(depth):
            value = {"L": [value]}
        return value

    checked(nested(32))
    assert why(nested(33)) == "Nesting Levels have exceeded supported limits"
    assert why(nested(300)) == "Nesting Levels have exceeded supported limits"


def test_an_item_has_at_most_400_kib_with_its_names() -> None:
    checked_item({"ab": {"S": "x" * (409_600 - 2)}})
    with pytest.raises(ValidationException) as refused:
        checked_item({"abc": {"S": "x" * (409_600 - 2)}})
    assert refused.value.message == "Item size has exceeded the maximum allowed size"
