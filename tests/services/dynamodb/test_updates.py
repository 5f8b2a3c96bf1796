"""Update expressions: what they make of an item, and what is refused with which text."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doppio.services.dynamodb.errors import ValidationException
from doppio.services.dynamodb.expressions.binding import Binding
from doppio.services.dynamodb.expressions.updates import Update

from .helpers import item, wire


def updated(old: dict[str, Any], text: str, **values: Any) -> dict[str, Any]:
    """What an update makes of an item; the old one stays as it is."""
    before = item(**old)
    binding = Binding({"#n": "name"}, {f":{name}": wire(value) for name, value in values.items()})
    new = Update(text, binding).apply(before)
    assert before == item(**old)
    return new


def why(old: dict[str, Any], text: str, **values: Any) -> str:
    """Why an update is refused."""
    with pytest.raises(ValidationException) as refused:
        updated(old, text, **values)
    return refused.value.message.removeprefix("Invalid UpdateExpression: ")


OLD: dict[str, Any] = {
    "n": 1,
    "s": "x",
    "l": ["a", "b", "c"],
    "m": {"k": {"deep": 1}, "l": [1, 2]},
    "t": {"a", "b"},
}


@pytest.mark.parametrize(
    ("text", "values", "changes"),
    [
        ("SET n = :v", {"v": 2}, {"n": 2}),
        ("set #n = :v", {"v": 2}, {"name": 2}),
        ("SET n = n + :v", {"v": 2}, {"n": 3}),
        ("SET n = :v - n", {"v": 2}, {"n": 1}),
        ("SET a = n, n = :v", {"v": 9}, {"a": 1, "n": 9}),
        ("SET n = s, s = n", {}, {"n": "x", "s": 1}),
        ("SET l[1] = :v", {"v": "B"}, {"l": ["a", "B", "c"]}),
        ("SET l[9] = :v", {"v": "d"}, {"l": ["a", "b", "c", "d"]}),
        ("SET l[9] = :a, l[5] = :b", {"a": "9", "b": "5"}, {"l": ["a", "b", "c", "5", "9"]}),
        ("SET m.k.deep = :v", {"v": 2}, {"m": {"k": {"deep": 2}, "l": [1, 2]}}),
        ("SET m.k.fresh = :v", {"v": 2}, {"m": {"k": {"deep": 1, "fresh": 2}, "l": [1, 2]}}),
        ("SET n = if_not_exists(n, :v)", {"v": 9}, {"n": 1}),
        ("SET a = if_not_exists(a, :v) + :v", {"v": 2}, {"a": 4}),
        ("SET l = list_append(l, :v)", {"v": ["d"]}, {"l": ["a", "b", "c", "d"]}),
        ("SET l = list_append(:v, l)", {"v": ["z"]}, {"l": ["z", "a", "b", "c"]}),
        ("SET a = list_append(if_not_exists(a, :e), :v)", {"e": [], "v": [1]}, {"a": [1]}),
        ("REMOVE l[0], l[2]", {}, {"l": ["b"]}),
        ("REMOVE l[2], l[0]", {}, {"l": ["b"]}),
        ("REMOVE m.l[0]", {}, {"m": {"k": {"deep": 1}, "l": [2]}}),
        ("REMOVE l[7], nothing", {}, {}),
        ("SET l[7] = :v REMOVE l[0]", {"v": "d"}, {"l": ["b", "c", "d"]}),
        ("ADD n :v", {"v": -3}, {"n": -2}),
        ("ADD a :v", {"v": 5}, {"a": 5}),
        ("ADD t :v", {"v": {"b", "c"}}, {"t": {"a", "b", "c"}}),
        ("ADD m.k.deep :v", {"v": 1}, {"m": {"k": {"deep": 2}, "l": [1, 2]}}),
        ("DELETE t :v", {"v": {"a", "z"}}, {"t": {"b"}}),
        ("DELETE nothing :v", {"v": {"a"}}, {}),
        ("ADD n :v SET s = :w REMOVE l", {"v": 1, "w": "y"}, {"n": 2, "s": "y", "l": ...}),
        ("REMOVE n, s", {}, {"n": ..., "s": ...}),
        ("DELETE t :v", {"v": {"a", "b"}}, {"t": ...}),
    ],
)
def test_an_update_changes(text: str, values: dict[str, Any], changes: dict[str, Any]) -> None:
    expected = {name: value for name, value in {**OLD, **changes}.items() if value is not ...}
    assert updated(OLD, text, **values) == item(**expected)


def test_removals_mean_the_old_places_also_in_lists_of_lists() -> None:
    old = {"l": [["a", "b"], ["c", "d"], ["e", "f"]]}
    assert updated(old, "REMOVE l[0], l[1][0], l[2][1]") == item(l=[["d"], ["e"]])


@given(
    st.lists(st.integers(), min_size=1, max_size=8),
    st.lists(st.integers(0, 9), min_size=1, max_size=4, unique=True),
)
def test_removed_elements_are_those_of_the_old_list(elements: list[int], gone: list[int]) -> None:
    text = "REMOVE " + ", ".join(f"l[{place}]" for place in gone)
    left = [one for place, one in enumerate(elements) if place not in gone]
    assert updated({"l": elements}, text) == item(l=left)


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("", {}, "The expression can not be empty;"),
        ("SET", {}, 'Syntax error; token: "<EOF>", near: "SET"'),
        ("PUT n = :v", {"v": 1}, 'Syntax error; token: "PUT", near: "PUT n"'),
        ("SET n :v", {"v": 1}, 'Syntax error; token: ":v", near: "n :v"'),
        ("SET n = :v +", {"v": 1}, 'Syntax error; token: "<EOF>", near: "+"'),
        ("SET n = :v + :v + :v", {"v": 1}, 'Syntax error; token: "+", near: ":v + :v"'),
        ("ADD n n", {}, 'Syntax error; token: "n", near: "n n"'),
        (
            "SET n = :v SET s = :v",
            {"v": 1},
            'The "SET" section can only be used once in an update expression;',
        ),
        (
            "SET name = :v",
            {"v": 1},
            "Attribute name is a reserved keyword; reserved keyword: name",
        ),
        ("SET n = size(s)", {}, "Invalid function name; function: size"),
        (
            "SET n = n + :v",
            {"v": "1"},
            (
                "Incorrect operand type for operator or function; operator or function: +, operand "
                "type: S"
            ),
        ),
        (
            "SET l = list_append(l, :v)",
            {"v": "1"},
            (
                "Incorrect operand type for operator or function; operator or function: "
                "list_append, operand type: S"
            ),
        ),
        (
            "ADD s :v",
            {"v": "1"},
            (
                "Incorrect operand type for operator or function; operator: ADD, operand type: "
                "STRING, typeSet: ALLOWED_FOR_ADD_OPERAND"
            ),
        ),
        (
            "DELETE t :v",
            {"v": 1},
            (
                "Incorrect operand type for operator or function; operator: DELETE, operand type: "
                "NUMBER, typeSet: ALLOWED_FOR_DELETE_OPERAND"
            ),
        ),
        (
            "SET m = :v, m.k = :v",
            {"v": 1},
            (
                "Two document paths overlap with each other; must remove or rewrite one of these "
                "paths; path one: [m], path two: [m, k]"
            ),
        ),
        (
            "SET l[0] = :v REMOVE l[0]",
            {"v": 1},
            (
                "Two document paths overlap with each other; must remove or rewrite one of these "
                "paths; path one: [l, [0]], path two: [l, [0]]"
            ),
        ),
        (
            "SET m.k = :v, m[0] = :v",
            {"v": 1},
            (
                "Two document paths conflict with each other; must remove or rewrite one of these "
                "paths; path one: [m, k], path two: [m, [0]]"
            ),
        ),
        (
            "SET n = nothing",
            {},
            "The provided expression refers to an attribute that does not exist in the item",
        ),
        (
            "SET n = s + :v",
            {"v": 1},
            "An operand in the update expression has an incorrect data type",
        ),
        ("ADD s :v", {"v": 1}, "An operand in the update expression has an incorrect data type"),
        (
            "SET nothing.deep = :v",
            {"v": 1},
            "The document path provided in the update expression is invalid for update",
        ),
        (
            "SET s.deep = :v",
            {"v": 1},
            "The document path provided in the update expression is invalid for update",
        ),
        (
            "REMOVE nothing.deep",
            {},
            "The document path provided in the update expression is invalid for update",
        ),
    ],
)
def test_a_wrong_update_is_refused_with_awss_text(
    text: str, values: dict[str, Any], expected: str
) -> None:
    assert why(OLD, text, **values) == expected


def test_parentheses_and_functions_are_not_bottomless() -> None:
    assert "nested" in why(OLD, f"SET n = {'(' * 1900}:v{')' * 1900}", v=1)
    nested = "if_not_exists(a, " * 150 + ":v" + ")" * 150
    assert "nested" in why(OLD, f"SET n = {nested}", v=1)
