"""Row keys: items stand in the store in the order of their keys, whatever bytes these have."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from doppio.services.dynamodb.errors import ValidationException
from doppio.services.dynamodb.expressions.keys import after_prefix
from doppio.services.dynamodb.item_keys import (
    encoded,
    index_key,
    row_key,
    row_of_item,
    row_of_key,
)
from doppio.services.dynamodb.records import KeyPart, Table
from doppio.services.dynamodb.values import compare

from .helpers import item, wire

AWKWARD = st.text(st.sampled_from("\0\1aé\uffff\U0010ffff"), max_size=5)
AWKWARD_BYTES = st.binary(max_size=5).map(lambda one: one.replace(b"a", b"\xff"))
KEYS = st.one_of(
    st.tuples(AWKWARD, AWKWARD),
    st.tuples(AWKWARD_BYTES, AWKWARD_BYTES),
    st.tuples(st.integers(), st.integers()),
)
TABLE = Table(
    account="0" * 12,
    region="us-east-1",
    name="t",
    id="x",
    created_at=datetime(2030, 1, 1, tzinfo=UTC),
    status="ACTIVE",
    key=(KeyPart("h", "S", True), KeyPart("r", "B", False)),
    attributes={"h": "S", "r": "B"},
)


@given(KEYS)
def test_encoded_keys_are_in_dynamodbs_order(pair: tuple[Any, Any]) -> None:
    a, b = wire(pair[0]), wire(pair[1])
    x, y = encoded(a), encoded(b)
    assert (x > y) - (x < y) == compare(a, b)
    # Where one is the beginning of another, what follows is above all that can follow it.
    assert x == y or not y.startswith(x) or y[len(x)] == 0xFF


@given(KEYS, st.one_of(AWKWARD, AWKWARD_BYTES, st.integers()))
def test_the_end_of_all_that_follow_a_key_is_above_them(
    pair: tuple[Any, Any], following: Any
) -> None:
    a, b = wire(pair[0]), wire(pair[1])
    behind = encoded(a) + encoded(wire(following))
    assert encoded(a) <= behind < encoded(a) + b"\xff"
    if compare(b, a) == 1:
        assert encoded(a) + b"\xff" < encoded(b)


@given(AWKWARD_BYTES, AWKWARD_BYTES)
def test_a_prefix_finds_what_begins_with_it_and_nothing_else(prefix: bytes, value: bytes) -> None:
    lo = encoded({"B": prefix})[:-1]
    row = encoded({"B": value})
    assert (lo <= row < after_prefix(lo)) == value.startswith(prefix)


@given(AWKWARD, AWKWARD, AWKWARD_BYTES, AWKWARD_BYTES)
def test_different_keys_have_different_rows(a: str, b: str, x: bytes, y: bytes) -> None:
    one, other = item(h=a, r=x), item(h=b, r=y)
    same = row_key(b"t", TABLE.key, one) == row_key(b"t", TABLE.key, other)
    assert same == ((a, x) == (b, y))


def test_an_item_without_an_index_key_or_with_another_type_is_not_in_the_index() -> None:
    parts = (KeyPart("g", "S", True), KeyPart("n", "N", False))
    assert index_key(parts, item(g="a", n=1)) is not None
    assert index_key(parts, item(g="a")) is None
    assert index_key(parts, item(g="a", n="1")) is None
    assert index_key(parts, item(g="", n=1)) is None


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (item(h="a"), "The provided key element does not match the schema"),
        (item(h="a", x=b"b"), "The provided key element does not match the schema"),
        (item(h="a", r="b"), "The provided key element does not match the schema"),
        (item(h="a", r=b"b", x=1), "The provided key element does not match the schema"),
        (
            item(h="", r=b"b"),
            (
                "One or more parameter values are not valid. The AttributeValue for a key "
                "attribute cannot contain an empty string value. Key: h"
            ),
        ),
        (
            item(h="a", r=b""),
            (
                "One or more parameter values are not valid. The AttributeValue for a key "
                "attribute cannot contain an empty binary value. Key: r"
            ),
        ),
        (
            item(h="é" * 1025, r=b"b"),
            (
                "One or more parameter values were invalid: Size of hashkey has exceeded the "
                "maximum size limit of2048 bytes"
            ),
        ),
        (
            item(h="a", r=b"b" * 1025),
            (
                "One or more parameter values were invalid: Aggregated size of all range keys has "
                "exceeded the size limit of 1024 bytes"
            ),
        ),
    ],
)
def test_a_key_that_does_not_fit_is_refused(key: Any, why: str) -> None:
    with pytest.raises(ValidationException) as refused:
        row_of_key(TABLE, key)
    assert refused.value.message == why


def test_keys_of_exactly_2048_and_1024_bytes_are_accepted() -> None:
    row_of_key(TABLE, item(h="é" * 1024, r=b"b" * 1024))


def test_an_items_key_is_named_where_it_is_missing_or_of_another_type() -> None:
    with pytest.raises(ValidationException) as refused:
        row_of_item(TABLE, item(h="a"))
    assert refused.value.message == (
        "One or more parameter values were invalid: Missing the key r in the item"
    )
    with pytest.raises(ValidationException) as refused:
        row_of_item(TABLE, item(h="a", r=1))
    assert refused.value.message == (
        "One or more parameter values were invalid: Type mismatch for key r expected: B actual: N"
    )


@given(AWKWARD, AWKWARD)
def test_texts_lie_where_any_other_key_would(a: str, b: str) -> None:
    table = replace(TABLE, key=(KeyPart("h", "S", True), KeyPart("r", "S", False)))
    key = item(h=a, r=b)
    rows = []
    for row_of in (row_of_key, row_of_item):
        try:
            rows.append(row_of(table, key))
        except ValidationException:
            rows.append(b"")
    wanted = row_key(table.prefix, table.key, key) if a and b else b""
    assert rows == [wanted, wanted]


def test_a_value_of_no_or_of_two_types_is_no_key() -> None:
    table = replace(TABLE, key=(KeyPart("h", "S", True),))
    for value, why in (({}, "is empty"), ({"S": "a", "N": "1"}, "has more than one datatypes set")):
        with pytest.raises(ValidationException, match=why):
            row_of_key(table, {"h": value})
