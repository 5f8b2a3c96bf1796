"""The wire of DAX by itself: values, numbers, keys and expressions, there and back."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import pytest

from doppio.services.dax import expressions, limits, sort_numbers
from doppio.services.dax.cbor import (
    BadWire,
    Extent,
    Ordinal,
    Reader,
    SetOf,
    number_text,
    put,
    put_head,
    put_int,
    put_number,
)
from doppio.services.dax.expressions import Placeholders, asked, followed
from doppio.services.dax.items import (
    attribute_value,
    content_bytes,
    identity,
    key_bytes,
    put_compound,
    put_value,
    put_values,
    read_compound,
    read_key,
    read_values,
)
from tests.services.dax.client import path, paths, tree

VALUES: list[dict[str, Any]] = [
    {"S": ""}, {"S": "é"}, {"S": "x" * 70_000}, {"B": b""}, {"B": b"\x00" * 300}, {"BOOL": True},
    {"BOOL": False}, {"NULL": True}, {"N": "0"}, {"N": "-1"}, {"N": "23"}, {"N": "24"},
    {"N": "-300"}, {"N": "65536"}, {"N": "4294967296"}, {"N": "18446744073709551616"},
    {"N": "-18446744073709551617"}, {"N": "1.5"}, {"N": "-0.000001"}, {"N": "9" * 38},
    {"N": "1" + "0" * 125}, {"N": "0." + "0" * 129 + "1"}, {"SS": ["a", "b"]},
    {"NS": ["1", "2.5"]}, {"BS": [b"a"]}, {"L": []}, {"M": {}},
    {"L": [{"S": "a"}, {"M": {"b": {"L": [{"NS": ["7"]}]}}}]},
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=lambda one: str(one)[:30])
def test_a_value_comes_back_as_it_went(value: dict[str, Any]) -> None:
    out = bytearray()
    put_value(out, value)
    reader = Reader(bytes(out))
    assert attribute_value(reader.value()) == value
    assert not reader.more
    extent = Extent(1)
    for end in range(min(len(out), 600)):
        assert not extent.ended(out[:end])
        assert end < extent.wants <= len(out), "it waits for nothing that does not come"
    assert extent.ended(out)
    assert extent.at == len(out)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ("f93e00", "1.5"), ("fa3fc00000", "1.5"), ("fb3ff8000000000000", "1.5"),
        ("c48221190fff", "40.95"), ("c4820218c8", "20000"), ("c249010000000000000000",
                                                             "18446744073709551616"),
        ("3863", "-100"), ("c4820019012c", "300"),
    ],
)  # fmt: skip
def test_numbers_are_read_in_every_form(data: str, value: str) -> None:
    assert number_text(Reader(bytes.fromhex(data)).value()) == value


@pytest.mark.parametrize(
    "data",
    [
        "", "18", "1c", "5f", "62ff", "61ff", "7f4161ff", "82", "9f", "a1", "a1f5", "c1", "d9ffff01",
        "c4", "c400", "c48261616161", "c4821a7fffffff01", "f8", "f97c00", "ff", "c25841" + "ff" * 65,
        "d90cf961", "81" * 100, "bf01ff", "df01", "1f", "a18001",
    ],
)  # fmt: skip
def test_what_is_no_value_is_refused(data: str) -> None:
    with pytest.raises(BadWire):
        Reader(bytes.fromhex(data)).value()


def test_streams_of_parts_are_read() -> None:
    assert Reader(bytes.fromhex("7f616161 62ff".replace(" ", ""))).value() == "ab"
    assert Reader(bytes.fromhex("5f41614162ff")).value() == b"ab"
    assert Reader(bytes.fromhex("9f01f6f7ff")).value() == [1, None, None]
    assert Reader(bytes.fromhex("bf6161f5ff")).value() == {"a": True}
    assert Reader(bytes.fromhex("d90cfc07")).value() == Ordinal(7)
    assert Reader(bytes.fromhex("d90cf9816161")).value() == SetOf("SS", ["a"])


def test_plain_values_are_written_by_their_types() -> None:
    out = bytearray()
    put(out, {"a": [1, -1, 1.5, True, False, None, b"x", "y"]})
    value = Reader(bytes(out)).value()
    assert value == {"a": [1, -1, Decimal("1.5"), True, False, None, b"x", "y"]}


def test_where_a_request_ends_is_found_once_and_bounded() -> None:
    out = bytearray()
    for number in range(1_000):
        put_int(out, number)
    extent = Extent(1_000)
    assert not extent.ended(out[:10])
    assert extent.ended(out)
    for wrong in (b"\x9f" * 200, b"\xff", b"\x1c", b"\x5a\xff\xff\xff\xff", b"\xdf"):
        with pytest.raises(BadWire):
            Extent(1).ended(wrong)
    large = bytearray()
    put_head(large, 4, limits.REQUEST_BYTES_MAX + 1)
    with pytest.raises(BadWire):
        Extent(1).ended(large)


# What the open client's own encoder makes of these numbers.
SORTED = [
    ("-1e70", "017fffffb8e3fff0"), ("-1000", "3be3ff3ffc"), ("-1.5", "3ed77fe0"),
    ("-1", "3ee3fff0"), ("-1e-70", "7e80000044e3fff0"), ("0", "80"),
    ("1e-100", "817fffff9d1c0000"), ("0.001", "be1c0000"), ("1", "c11c0000"), ("7", "c1b20000"),
    ("12.34", "c221d9c000"), ("1e2", "c31c0000"), ("100", "c31c0020"),
    ("123456789", "c921dd4c8402"), ("1e70", "fe800000471c0000"),
]  # fmt: skip


@pytest.mark.parametrize(("number", "data"), SORTED)
def test_sort_keys_are_written_as_clients_write_them(number: str, data: str) -> None:
    assert sort_numbers.encode(Decimal(number)).hex() == data
    assert sort_numbers.decode(bytes.fromhex(data)) == Decimal(number)


def test_numbers_as_sort_keys_compare_as_they_should() -> None:
    chance = random.Random(3)
    numbers = [Decimal(0), Decimal("1e125"), Decimal("-1e-130"), Decimal("9" * 38)]
    for _ in range(2_000):
        digits = chance.randint(1, 38)
        mantissa = chance.randrange(-(10**digits), 10**digits)
        numbers.append(Decimal(mantissa).scaleb(chance.randint(-120, 80)))
    for one in numbers:
        data = sort_numbers.encode(one)
        assert sort_numbers.decode(data) == one
        assert read_key(b"\x61x" + data, (("a", "S"), ("b", "N")))["b"] == {"N": number_text(one)}
    ordered = sorted(numbers)
    assert sorted(ordered, key=lambda one: sort_numbers.encode(one.normalize())) == ordered


@pytest.mark.parametrize(
    "data", ["", "00", "ff", "fe0000", "c1", "c1ffff", "c10000", "fe" + "7f" * 9]
)
def test_what_is_no_sort_key_is_refused(data: str) -> None:
    with pytest.raises(BadWire):
        sort_numbers.decode(bytes.fromhex(data))


KEYS: list[tuple[tuple[tuple[str, str], ...], dict[str, Any], str]] = [
    ((("a", "S"),), {"a": {"S": "xyz"}}, "78797a"),
    ((("a", "B"),), {"a": {"B": b"\x01"}}, "01"),
    ((("a", "N"),), {"a": {"N": "300"}}, "19012c"),
    ((("a", "S"), ("b", "S")), {"a": {"S": "x"}, "b": {"S": "yz"}}, "6178797a"),
    ((("a", "N"), ("b", "B")), {"a": {"N": "-1"}, "b": {"B": b"\xff"}}, "20ff"),
    ((("a", "B"), ("b", "N")), {"a": {"B": b"q"}, "b": {"N": "0"}}, "417180"),
]


@pytest.mark.parametrize(("schema", "key", "data"), KEYS)
def test_a_key_is_written_as_clients_write_it(
    schema: tuple[tuple[str, str], ...], key: dict[str, Any], data: str
) -> None:
    assert key_bytes({**key, "more": {"S": "x"}}, schema).hex() == data
    assert read_key(bytes.fromhex(data), schema) == key
    assert identity(key, schema) == identity(read_key(bytes.fromhex(data), schema), schema)


def test_keys_that_are_one_are_one_however_they_are_written() -> None:
    schema = (("a", "N"),)
    one, other = {"a": {"N": "100"}}, {"a": {"N": "1E2"}}
    assert identity(one, schema) == identity(other, schema)


def test_items_go_without_their_names() -> None:
    out = bytearray()
    put_values(out, 7, {"b": {"N": "1"}, "a": {"S": "x"}, "k": {"S": "key"}}, ["a", "b"])
    inner = Reader(bytes(out)).value()
    assert read_values(inner) == (7, [{"S": "x"}, {"N": "1"}])
    out = bytearray()
    put_compound(out, {"a": {"S": "x"}, "b": {"N": "1"}})
    assert read_compound(Reader(bytes(out)).value()) == {"a": {"S": "x"}, "b": {"N": "1"}}
    for wrong in (b"", b"\x61x", b"\xf5"):
        with pytest.raises(BadWire):
            read_values(wrong)
    with pytest.raises(BadWire):
        read_compound(b"\x01")


def test_what_an_item_takes_is_no_less_than_its_content() -> None:
    assert content_bytes(None) == 0
    item = {"a": {"S": "x" * 1_000}, "b": {"L": [{"B": b"y" * 1_000}, {"NULL": True}]}}
    assert 2_000 < content_bytes(item) < 3_000
    assert content_bytes({"s": {"SS": ["x" * 50] * 9}, "m": {"M": {"k": {"N": "1"}}}}) > 450


CONDITIONS: list[tuple[Any, int, str]] = [
    ([0, path("a"), [17, 0]], 1, "#0 = :0"),
    ([1, path("a", "b"), [17, 0]], 1, "#0.#1 <> :0"),
    ([2, [16, path("a")], [17, 0]], 1, "size(#0) < :0"),
    ([6, [3, path("a"), [17, 0]], [4, path("a"), [17, 1]]], 2, "#0 >= :0 AND #0 > :1"),
    ([7, [6, [11, path("a")], [12, path("b")]], [8, [5, path("a"), [17, 0]]]], 1,
     "(attribute_exists(#0) AND attribute_not_exists(#1)) OR (NOT #0 <= :0)"),
    ([8, [7, [11, path("a")], [11, path("b")]]], 0,
     "NOT (attribute_exists(#0) OR attribute_exists(#1))"),
    ([9, path("a"), [17, 0], [17, 1]], 2, "#0 BETWEEN :0 AND :1"),
    ([10, path("a"), [[17, 1], [17, 0], [17, 1]]], 2, "#0 IN (:0, :1, :0)"),
    ([14, path("a"), [17, 0]], 1, "begins_with(#0, :0)"),
    ([13, path("a"), [17, 0]], 1, "attribute_type(#0, :0)"),
]  # fmt: skip


@pytest.mark.parametrize(("node", "count", "text"), CONDITIONS)
def test_a_tree_becomes_a_condition(node: Any, count: int, text: str) -> None:
    places = Placeholders()
    assert expressions.condition(tree(node, *[{"N": "1"}] * count), places) == text


def test_a_tree_becomes_an_update() -> None:
    places = Placeholders()
    data = tree(
        [
            [19, path("a"), [25, [23, path("a"), [17, 0]], [17, 0]]],
            [22, path("b")],
            [19, path("l"), [24, path("l"), [17, 1]]],
            [20, path("n"), [17, 0]],
            [21, path("s"), [17, 2]],
        ],
        {"N": "1"}, {"L": []}, {"SS": ["x"]},
    )  # fmt: skip
    assert expressions.update(data, places) == (
        "SET #0 = if_not_exists(#0, :0) + :0, #2 = list_append(#2, :1) REMOVE #1 ADD #3 :0 "
        "DELETE #4 :2"
    )
    assert places.into({}) == {
        "ExpressionAttributeNames": {"#0": "a", "#1": "b", "#2": "l", "#3": "n", "#4": "s"},
        "ExpressionAttributeValues": {":0": {"N": "1"}, ":1": {"L": []}, ":2": {"SS": ["x"]}},
    }


@pytest.mark.parametrize(
    "node",
    [
        1, [], ["a"], [99], [0, path("a")], [0, path("a"), [17, 1]], [0, [18], [17, 0]],
        [17, "x"], [18, 1], [6, [11, path("a")]], [8], [10, path("a"), []], [[0]], [0, 1, 2],
    ],
    ids=str,
)  # fmt: skip
def test_a_tree_that_means_nothing_is_refused(node: Any) -> None:
    for read in (expressions.condition, expressions.update):
        with pytest.raises(BadWire):
            read(tree(node, {"N": "1"}), Placeholders())
    deep = path("a")
    for _ in range(40):
        deep = [8, [8, deep]]
    with pytest.raises(BadWire):
        expressions.condition(tree(deep), Placeholders())


def test_a_projection_is_asked_for_so_that_it_can_be_followed() -> None:
    wanted = expressions.projection(paths("a", "b.c"))
    assert wanted == [("a",), ("b", "c")]
    assert asked(wanted, Placeholders()) == "#0, #1.#2"
    listed: list[expressions.Path] = [("l", 2, "x"), ("l", 0), ("b",), ("m", "l", 1)]
    places = Placeholders()
    assert asked(listed, places) == "#0, #1, #2.#1"
    assert places.names == {"#0": "b", "#1": "l", "#2": "m"}
    item = {"l": {"L": [{"S": "0"}, {"S": "1"}, {"M": {"x": {"S": "2"}}}]}, "b": {"BOOL": False}}
    assert [followed(item, one) for one in listed] == [
        {"S": "2"}, {"S": "0"}, {"BOOL": False}, None,
    ]  # fmt: skip
    assert followed(item, ("b", "c")) is None
    assert followed(item, ("l", 9)) is None
    out = bytearray(b"\x82\x01\x81\x83\x12")
    put(out, "l")
    out += b"\xd9\x0c\xfc\x02"
    assert expressions.projection(bytes(out)) == [("l", 2)]


def test_numbers_on_the_wire_are_small() -> None:
    out = bytearray()
    put_number(out, "1.50")
    assert out.hex() == "c482211896"
