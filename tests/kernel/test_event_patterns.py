"""Event patterns, by AWS's own examples and by what they must refuse."""

from __future__ import annotations

from typing import Any

import pytest

from doppio.kernel.event_patterns import BadPattern, Pattern, opened

EVENT: dict[str, Any] = {
    "source": "shop.till",
    "detail": {
        "drink": "Espresso",
        "price": 2.5,
        "paid": True,
        "tip": None,
        "tags": ["hot", "small"],
        "address": "10.0.0.17",
        "items": [{"name": "beans", "grams": 250}, {"name": "milk", "grams": 10}],
    },
}
CASES: list[tuple[dict[str, Any], bool]] = [
    ({"source": ["shop.till"]}, True),
    ({"source": ["shop.door", "shop.till"]}, True),
    ({"source": ["shop"]}, False),
    ({"source": [{"prefix": "shop."}]}, True),
    ({"source": [{"suffix": ".till"}]}, True),
    ({"source": [{"suffix": ".door"}]}, False),
    ({"detail": {"drink": [{"equals-ignore-case": "espresso"}]}}, True),
    ({"detail": {"drink": [{"prefix": {"equals-ignore-case": "ESP"}}]}}, True),
    ({"detail": {"drink": [{"suffix": {"equals-ignore-case": "SSO"}}]}}, True),
    ({"detail": {"drink": [{"wildcard": "E*r*so"}]}}, True),
    ({"detail": {"drink": [{"wildcard": "E*r"}]}}, False),
    ({"detail": {"drink": [{"anything-but": "Tea"}]}}, True),
    ({"detail": {"drink": [{"anything-but": ["Tea", "Espresso"]}]}}, False),
    ({"detail": {"drink": [{"anything-but": {"prefix": "Esp"}}]}}, False),
    ({"detail": {"drink": [{"anything-but": {"suffix": ["tea", "o"]}}]}}, False),
    ({"detail": {"drink": [{"anything-but": {"wildcard": "*tea*"}}]}}, True),
    ({"detail": {"cup": [{"anything-but": "Tea"}]}}, False),
    ({"detail": {"price": [2.5]}}, True),
    ({"detail": {"price": ["2.5"]}}, False),
    ({"detail": {"price": [{"numeric": [">", 2, "<=", 2.5]}]}}, True),
    ({"detail": {"price": [{"numeric": [">", 2.5]}]}}, False),
    ({"detail": {"drink": [{"numeric": [">", 0]}]}}, False),
    ({"detail": {"paid": [True]}}, True),
    ({"detail": {"paid": [1]}}, False),
    ({"detail": {"tip": [None]}}, True),
    ({"detail": {"tip": [{"exists": True}]}}, True),
    ({"detail": {"cup": [{"exists": False}]}}, True),
    ({"detail": {"drink": [{"exists": False}]}}, False),
    ({"detail": {"cup": {"size": [{"exists": False}]}}}, True),
    ({"detail": {"tags": ["small"]}}, True),
    ({"detail": {"tags": ["large"]}}, False),
    ({"detail": {"items": {"name": ["milk"]}}}, True),
    ({"detail": {"items": {"name": ["milk"], "grams": [10]}}}, True),
    ({"detail": {"items": {"name": ["milk"], "grams": [250]}}}, False),
    ({"detail": {"address": [{"cidr": "10.0.0.0/24"}]}}, True),
    ({"detail": {"address": [{"cidr": "10.0.1.0/24"}]}}, False),
    ({"$or": [{"source": ["x"]}, {"detail": {"price": [2.5]}}]}, True),
    ({"$or": [{"source": ["x"]}, {"detail": {"price": [3]}}]}, False),
    ({"detail": {"$or": [{"price": [3]}, {"drink": ["Espresso"]}], "paid": [True]}}, True),
    ({"source": ["shop.till"], "detail": {"drink": ["Tea"]}}, False),
    ({"source": ["shop.door", {"prefix": "shop.t"}]}, True),
]


@pytest.mark.parametrize(("pattern", "wanted"), CASES)
def test_a_pattern_wants_what_it_says(pattern: dict[str, Any], wanted: bool) -> None:
    assert Pattern(pattern).matches(EVENT) is wanted


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ({}, "Empty objects are not allowed"),
        ({"a": []}, "Empty arrays are not allowed"),
        ({"a": "b"}, '"a" must be an object or an array'),
        ({"a": [["b"]]}, "Match value must be String, number, true, false, or null"),
        ({"a": [{"like": "b"}]}, "Unrecognized match type like"),
        ({"a": [{"exists": "yes"}]}, "exists match pattern must be either true or false."),
        ({"a": [{"prefix": 1}]}, "prefix match pattern must be a string"),
        ({"a": [{"numeric": ["~", 1]}]}, "Unrecognized numeric range operator: ~"),
        ({"a": [{"numeric": ["<", "1"]}]}, "Value of < must be numeric"),
        ({"a": [{"numeric": [">", 3, "<", 1]}]}, "Bottom must be less than top"),
        ({"a": [{"cidr": "10.0.0/33"}]}, "Malformed CIDR, one '/' required"),
        ({"a": [{"wildcard": "a**"}]}, "Consecutive wildcard characters at pos are not allowed"),
        ({"a": [{"prefix": "b", "suffix": "c"}]}, "Only one key allowed in match expression"),
    ],
)
def test_a_pattern_that_means_nothing_says_why(pattern: dict[str, Any], text: str) -> None:
    with pytest.raises(BadPattern) as error:
        Pattern(pattern)
    assert str(error.value) == text


def test_the_complexity_counts_what_would_have_to_be_tried() -> None:
    assert Pattern({"a": ["1", "2", "3"], "b": ["x", "y"]}).combinations == 6
    # Nested keys count for more, as SNS documents it.
    assert Pattern({"a": {"b": ["1", "2", "3"]}, "c": ["x"]}).combinations == 6


def test_a_text_that_holds_json_is_looked_into() -> None:
    assert opened(' {"drink": ["flat white"]}') == {"drink": ["flat white"]}
    assert opened("[1]") == [1]
    for other in ("{", "[oh", "12", '"text"', "", 7, None, {"a": 1}):
        assert opened(other) == other
