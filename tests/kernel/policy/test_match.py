"""Wildcards and policy variables."""

from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doppio.kernel.policy.match import actions, arns, variable_value, wildcard, with_variables

TEXT = st.text(alphabet="ab:/", max_size=8)
PATTERN = st.text(alphabet="ab:/*?", max_size=8)


@given(PATTERN, TEXT)
def test_wildcards_match_as_in_a_shell(pattern: str, text: str) -> None:
    assert wildcard(pattern)(text) == fnmatch.fnmatchcase(text, pattern)


@given(st.lists(PATTERN, max_size=4), TEXT)
def test_an_action_matches_if_one_pattern_does(patterns: list[str], action: str) -> None:
    expected = any(fnmatch.fnmatchcase(action, pattern) for pattern in patterns)
    assert actions(patterns)(action) == expected


def test_actions_compare_without_regard_to_case() -> None:
    assert actions(["S3:GetObject"])("s3:getobject")
    assert actions(["s3:Get*"])("s3:getobject")


def test_a_variable_stands_for_its_value_taken_literally() -> None:
    context = {"aws:username": "a*b"}
    pattern = "arn:aws:s3:::home/${aws:username}/*"
    assert with_variables(pattern, "arn:aws:s3:::home/a*b/x", context)
    assert not with_variables(pattern, "arn:aws:s3:::home/aXb/x", context)


def test_a_missing_variable_matches_nothing() -> None:
    assert not arns(["arn:${aws:username}"])("arn:", {})


@pytest.mark.parametrize(
    ("variable", "value"),
    [("*", "*"), ("?", "?"), ("$", "$"), ("aws:x, 'default'", "default"), ("aws:x", None)],
)
def test_special_variables_and_defaults(variable: str, value: str | None) -> None:
    assert variable_value(variable, {}) == value
