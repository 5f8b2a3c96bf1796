from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doppio.wire import model
from doppio.wire.errors import SerializationError
from doppio.wire.json_read import JsonBodies, JsonReader

from .helpers import decoded

PUT = "PutItem"


def read(service: str, shape: str, body: bytes) -> object:
    return JsonBodies().structure(model.load(service).shape(shape))(body)


def test_unknown_and_null_members_are_skipped() -> None:
    body = b'{"TableName":"t","Nothing":{"a":[1]},"ReturnValues":null,"Item":{"a":{"S":"x","Q":1}}}'
    assert decoded("dynamodb", "json", PUT, body) == {"TableName": "t", "Item": {"a": {"S": "x"}}}


def test_blobs_are_bytes_however_deep() -> None:
    body = b'{"Item":{"a":{"L":[{"M":{"b":{"BS":["AP8="]}}}]}}}'
    value = decoded("dynamodb", "json", PUT, body)
    assert value == {"Item": {"a": {"L": [{"M": {"b": {"BS": [b"\x00\xff"]}}}]}}}


def test_timestamps_are_instants() -> None:
    value = decoded("kinesis", "json", "GetShardIterator", b'{"StreamName":"s","Timestamp":1.5}')
    assert value["Timestamp"] == datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"TableName":1}', "NUMBER_VALUE can not be converted to String"),
        (b'{"TableName":1.5}', "DECIMAL_VALUE can not be converted to String"),
        (b'{"TableName":true}', "TRUE_VALUE can not be converted to String"),
        (b'{"TableName":[]}', "Unrecognized collection type class java.lang.String"),
        (b'{"TableName":{}}', "Start of structure or map found where not expected."),
        (b'{"Item":"x"}', "Unexpected field type"),
        (b'{"Item":[]}', "Start of list found where not expected"),
        (b'{"Item":{"a":{"B":"?"}}}', "Invalid Base64 content"),
        (b'{"Item":{"a":{"BOOL":"x"}}}', "STRING_VALUE can not be converted to Boolean"),
        (b"[]", "Start of list found where not expected"),
        (b'"x"', "Unexpected field type"),
    ],
)
def test_wrong_types_are_named_in_awss_words(body: bytes, words: str) -> None:
    with pytest.raises(SerializationError) as caught:
        decoded("dynamodb", "json", PUT, body)
    assert caught.value.message == words


@pytest.mark.parametrize("body", [b"{", b'{"a":}', b"\xff", b'{"TableName":"\\ud800"}', b"nul"])
def test_what_is_not_json_is_a_serialization_error(body: bytes) -> None:
    with pytest.raises(SerializationError):
        decoded("dynamodb", "json", PUT, body)


@pytest.mark.parametrize("number", ["2147483648", "-2147483649", "1e30", '"1"', "1.5"])
def test_an_integer_has_its_bounds(number: str) -> None:
    with pytest.raises(SerializationError):
        decoded("sqs", "json", "SendMessage", b'{"DelaySeconds":%s}' % number.encode())


def test_the_numbers_of_json_are_taken_where_they_fit() -> None:
    for number in (b"5", b"5.0", b"5e0"):
        body = b'{"DelaySeconds":%s}' % number
        assert decoded("sqs", "json", "SendMessage", body) == {"DelaySeconds": 5}


VALUES = st.recursive(
    st.fixed_dictionaries({"S": st.text(st.characters(exclude_categories=["Cs"]), max_size=5)})
    | st.fixed_dictionaries({"NULL": st.booleans()})
    | st.fixed_dictionaries({"SS": st.lists(st.just("a"), max_size=2)})
    | st.fixed_dictionaries({"S": st.integers() | st.none()}),
    lambda inner: (
        st.fixed_dictionaries({"L": st.lists(inner, max_size=3)})
        | st.fixed_dictionaries(
            {"M": st.dictionaries(st.text("ab", max_size=2), inner, max_size=3)}
        )
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text("ab", max_size=2), VALUES, max_size=3))
def test_the_fast_way_and_the_careful_one_agree(item: dict[str, object]) -> None:
    shape = model.load("dynamodb").shape("PutItemInput")
    tree = {"TableName": "t", "Item": item}
    walk = JsonReader().structure(shape)
    try:
        expected = walk(tree)
    except ValueError:
        with pytest.raises(SerializationError):
            JsonBodies().structure(shape)(msgspec.json.encode(tree))
    else:
        assert JsonBodies().structure(shape)(msgspec.json.encode(tree)) == expected


def test_a_renamed_member_is_read_under_its_wire_name() -> None:
    value = read("iot", "CreateThingRequest", b'{"thingTypeName":"x","attributePayload":{}}')
    assert value == {"thingTypeName": "x", "attributePayload": {}}
