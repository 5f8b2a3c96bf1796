"""Places in policies, and the keys that they speak of."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from doppio.kernel.policy import compile_policy
from doppio.services.iam.simulation_rules import context_keys, places, strictest

# As IAM's own examples show it.
ON_ONE_LINE = (
    '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"dynamodb:*","Resource":"*",'
    '"Condition":{"DateGreaterThan":{"aws:CurrentTime":"2018-08-16T12:00:00Z"}}}}'
)
INDENTED = """{
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": [
                "codecommit:ListRepositories"],
            "Resource": "*"
        },
        {"Effect": "Deny", "Action": "sqs:*", "Resource": "*"}
    ]
}"""


def test_a_statement_that_stands_alone_begins_behind_its_brace() -> None:
    assert places(ON_ONE_LINE) == [({"Line": 1, "Column": 38}, {"Line": 1, "Column": 167})]


def test_statements_of_a_list_begin_behind_what_stands_before_them() -> None:
    first, second = places(INDENTED)
    assert first == ({"Line": 3, "Column": 19}, {"Line": 9, "Column": 10})
    assert second == ({"Line": 9, "Column": 10}, {"Line": 10, "Column": 63})


_values: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


# The first text that is drawn takes a while on a busy machine.
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.dictionaries(st.text(max_size=4), _values, max_size=3), min_size=1, max_size=4),
    st.sampled_from([None, 0, 2]),
    st.booleans(),
)
def test_the_text_between_places_is_the_statement(
    statements: list[Any], indent: int | None, alone: bool
) -> None:
    whole: Any = {"Id": "{[", "Statement": statements[0] if alone else statements, "Z": [1, {}]}
    text = json.dumps(whole, indent=indent)
    lines = text.split("\n")
    starts = [sum(len(line) + 1 for line in lines[:number]) for number in range(len(lines))]
    found = places(text)
    assert len(found) == (1 if alone else len(statements))
    for (start, end), statement in zip(found, statements, strict=False):
        first = starts[start["Line"] - 1] + start["Column"] - 1
        last = starts[end["Line"] - 1] + end["Column"] - 1
        piece = text[first:last].lstrip(", \n")
        assert (
            json.loads(piece if piece.startswith("{") and not alone else "{" + piece) == statement
        )


def test_keys_are_told_as_written_and_once() -> None:
    policy = compile_policy(
        json.dumps(
            {
                "Statement": [
                    {
                        "Effect": "Allow", "Action": "dynamodb:*",
                        "Resource": "arn:aws:dynamodb:*:*:table/${aws:username}-${*}",
                        "Condition": {
                            "DateGreaterThan": {"aws:CurrentTime": "2015-08-16T12:00:00Z"},
                            "StringLike": {"aws:UserName": ["${aws:PrincipalTag/team, 'none'}*"]},
                        },
                    }
                ]
            }
        )
    )  # fmt: skip
    assert context_keys([policy, policy]) == [
        "aws:username", "aws:CurrentTime", "aws:PrincipalTag/team",
    ]  # fmt: skip


def test_the_strictest_decision_wins() -> None:
    assert strictest(["allowed", "implicitDeny", "explicitDeny"]) == "explicitDeny"
    assert strictest(["allowed", "implicitDeny"]) == "implicitDeny"
    assert strictest(["allowed"]) == "allowed"
