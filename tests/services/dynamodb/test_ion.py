"""Items as Ion text: what is written is read back, and what is no attribute value is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doppio.services.dynamodb import ion
from doppio.services.dynamodb.values import Item, equal

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
numbers = st.decimals(allow_nan=False, allow_infinity=False, places=3).map(
    lambda one: {"N": format(one.normalize(), "f")}
)
scalars = st.one_of(
    texts.map(lambda one: {"S": one}),
    numbers,
    st.binary(max_size=8).map(lambda one: {"B": one}),
    st.booleans().map(lambda one: {"BOOL": one}),
    st.just({"NULL": True}),
    st.lists(texts, min_size=1, max_size=3, unique=True).map(lambda one: {"SS": one}),
    st.lists(st.binary(), min_size=1, max_size=3, unique=True).map(lambda one: {"BS": one}),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda one: {"L": one}),
        st.dictionaries(texts, inner, max_size=3).map(lambda one: {"M": one}),
    ),
    max_leaves=8,
)


@given(st.dictionaries(texts, values, max_size=4))
def test_what_is_written_is_read_back(item: Item) -> None:
    line = ion.line_of("Item", item).decode()
    assert "\n" not in line[:-1]
    [found] = ion.values_of(line)
    assert equal(found["Item"], {"M": item})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{a:1.5d2}", {"a": {"N": "1.5e2"}}),
        ("{ 'a b' : -0.25 , \"c\":1_000, }", {"a b": {"N": "-0.25"}, "c": {"N": "1000"}}),
        ('{a:"\\x41\\u00e9\\U0001F375\\a"}', {"a": {"S": "Aé🍵\a"}}),
        ("{a:$dynamodb_NS::[1.,2.5]}", {"a": {"NS": ["1", "2.5"]}}),
        ("$ion_1_0 {a:[{},[],null]}", {"a": {"L": [{"M": {}}, {"L": []}, {"NULL": True}]}}),
    ],
)
def test_ion_is_read(text: str, expected: Item) -> None:
    assert ion.values_of(text) == [expected]


@pytest.mark.parametrize(
    "text",
    ["{a:2020-01-01T}", "{a:symbol}", "{a:other::1}", "[1]", "{a 1}", "{a:1", "{a:1 b:2}",
     '{a:$dynamodb_NS::[1,"x"]}', "{a:{{?}}}", "{a:12abc}", "{a:" + "[" * 70 + "]" * 70 + "}"],
)  # fmt: skip
def test_what_is_no_attribute_value_is_refused(text: str) -> None:
    with pytest.raises(ion.BadIon):
        ion.values_of(text)
