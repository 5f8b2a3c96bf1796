"""The table of decisions: policies and a request, and what comes of it, in the engine's judgement.

The second evaluator (`plainly`) is held against the same table, and the engine against it for
policies and requests that chance makes.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doppio.kernel.policy import AccessRequest, Policy, PolicySet, compile_policy, evaluate
from tests.kernel.policy.cases import (
    across,
    bounds,
    conditions,
    decisive,
    negations,
    organisations,
    outsiders,
    variables,
    within,
)  # fmt: skip
from tests.kernel.policy.cases.form import (
    ANNA,
    BEN,
    FEDERATED,
    GUEST,
    MENU,
    NOBODY,
    OWNER,
    ROLE,
    ROOT_A,
    SESSION,
    SHIFT,
    SNS,
    USER,
    A,
    B,
    Case,
)  # fmt: skip
from tests.kernel.policy.plainly import Asked, Document, Given, decide

_THEMES = (
    within, across, negations, bounds, outsiders, organisations, decisive, variables, conditions,
)  # fmt: skip
TABLE = [
    pytest.param(case, id=f"{theme.__name__.rpartition('.')[2]}: {case.name}")
    for theme in _THEMES
    for case in theme.CASES
]


def compiled(document: Document | None) -> Policy | None:
    return None if document is None else compile_policy(document, "p")


def judged(asked: Asked, given_: Given) -> str:
    """What the engine says, in the table's words."""
    request = AccessRequest(
        principal=asked.principal, account=asked.account, kind=asked.kind, action=asked.action,
        resource=asked.resource, resource_account=asked.owner,
        context={key.lower(): value for key, value in asked.context.items()},
        principal_id=asked.id, decisive=asked.decisive, granted=asked.granted, issuer=asked.issuer,
    )  # fmt: skip

    def each(documents: Any) -> list[Policy]:
        return [compile_policy(document, "p") for document in documents]

    policies = PolicySet(
        identity=each(given_.identity),
        resource=compiled(given_.resource),
        boundary=compiled(given_.boundary),
        session=None if given_.session is None else each(given_.session),
        narrowed=each(given_.narrowed),
        scps=[each(level) for level in given_.scps],
        rcps=[each(level) for level in given_.rcps],
    )
    decision = evaluate(request, policies)
    if decision.allowed:
        assert decision.reason == "allowed"
        return "allow"
    return f"{decision.reason.removesuffix('-deny')} {decision.layer}"


def test_the_table_is_long_and_says_each_thing_once() -> None:
    cases = [param.values[0] for param in TABLE]
    assert len(cases) >= 320
    assert len({param.id for param in TABLE}) == len(TABLE)
    assert all(isinstance(case, Case) for case in cases)


@pytest.mark.parametrize("case", TABLE)
def test_the_engine_decides_as_the_table_says(case: Case) -> None:
    assert judged(case.asked, case.given) == case.comes


@pytest.mark.parametrize("case", TABLE)
def test_the_second_evaluator_decides_as_the_table_says(case: Case) -> None:
    assert decide(case.asked, case.given) == case.comes


# Chance: few words, so that policies and requests meet.

ACTIONS = ["s3:GetObject", "s3:PutObject", "sqs:SendMessage"]
ACTION_PATTERNS = [*ACTIONS, "*", "s3:*", "S3:get*", "s3:?etObject", "sqs:*Message"]
RESOURCES = [MENU, "arn:aws:s3:::cafe/bill", "arn:aws:sqs:us-east-1:111111111111:q", "*"]
RESOURCE_PATTERNS = [
    *RESOURCES, "arn:aws:s3:::cafe/*", "arn:*", "arn:aws:s3:::cafe/${k:name}", "arn:aws:s3:::${*}",
    "arn:aws:s3:::cafe/me?u", "arn:aws:s3:::cafe/${k:none, 'menu'}",
]  # fmt: skip
VALUES = [
    "menu", "Menu", "bill", "m*", "*", "10", "9.5", "true", "false", "10.0.0.1", "10.0.0.0/8",
    "2030-01-01T00:00:00Z", "1900000000", "arn:aws:s3:::cafe/menu", "arn:aws:*:*:*:*", "Y3Vw",
    "${k:name}", "${k:none,'menu'}", "${$}{k:name}", "",
]  # fmt: skip
KEYS = ["k:name", "K:Name", "k:list", "k:none"]
PLAIN = [
    "StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase",
    "StringLike", "StringNotLike", "NumericEquals", "NumericNotEquals", "NumericLessThan",
    "NumericLessThanEquals", "NumericGreaterThan", "NumericGreaterThanEquals", "DateEquals",
    "DateNotEquals", "DateLessThan", "DateLessThanEquals", "DateGreaterThan",
    "DateGreaterThanEquals", "Bool", "BinaryEquals", "IpAddress", "NotIpAddress", "ArnEquals",
    "ArnNotEquals", "ArnLike", "ArnNotLike",
]  # fmt: skip
OPERATORS = [
    "Null",
    *[
        f"{qualifier}{name}{if_exists}"
        for qualifier in ("", "ForAllValues:", "ForAnyValue:")
        for name in PLAIN
        for if_exists in ("", "IfExists")
    ],
]
PRINCIPALS: list[Any] = [
    "*", {"AWS": "*"}, {"AWS": ANNA}, {"AWS": [BEN, ROLE]}, {"AWS": SHIFT}, {"AWS": A},
    {"AWS": ROOT_A}, {"AWS": B}, {"AWS": FEDERATED}, {"Service": "sns.amazonaws.com"},
    {"AWS": [ANNA, A]}, {"AWS": "AIDAANNA"},
]  # fmt: skip
CALLERS = [USER, SESSION, GUEST, OWNER, NOBODY, SNS]


def one_or_more(values: list[Any]) -> st.SearchStrategy[Any]:
    return st.sampled_from(values) | st.lists(st.sampled_from(values), min_size=1, max_size=3)


def conditions_made() -> st.SearchStrategy[Document]:
    keys = st.dictionaries(st.sampled_from(KEYS), one_or_more(VALUES), min_size=1, max_size=2)
    return st.dictionaries(st.sampled_from(OPERATORS), keys, max_size=2)


@st.composite
def statements(draw: st.DrawFn, principals: bool) -> Document:
    found: Document = {"Effect": draw(st.sampled_from(["Allow", "Allow", "Deny"]))}
    turned = st.sampled_from(["", "", "", "Not"])
    found[f"{draw(turned)}Action"] = draw(one_or_more(ACTION_PATTERNS))
    found[f"{draw(turned)}Resource"] = draw(one_or_more(RESOURCE_PATTERNS))
    if principals:
        found[f"{draw(turned)}Principal"] = draw(st.sampled_from(PRINCIPALS))
    if draw(st.sampled_from([False, False, True])):
        found["Condition"] = draw(conditions_made())
    return found


@st.composite
def documents(draw: st.DrawFn, principals: bool = False) -> Document:
    made = draw(st.lists(statements(principals), min_size=1, max_size=2))
    return {"Version": draw(st.sampled_from(["2012-10-17", "2008-10-17"])), "Statement": made}


def several(of: st.SearchStrategy[Any], most: int = 2) -> st.SearchStrategy[Any]:
    return st.lists(of, max_size=most).map(tuple)


GIVEN = st.builds(
    Given,
    identity=several(documents()),
    resource=st.none() | documents(principals=True),
    boundary=st.none() | st.none() | documents(),
    session=st.none() | st.none() | several(documents()),
    narrowed=st.just(()) | st.just(()) | several(documents()),
    scps=st.just(()) | several(several(documents())),
    rcps=st.just(()) | several(several(documents())),
)
CONTEXTS = st.fixed_dictionaries(
    {},
    optional={
        "k:name": st.sampled_from(VALUES),
        "K:List": st.lists(st.sampled_from(VALUES), max_size=3),
    },
)
ASKED = st.builds(
    lambda who, **what: who._replace(**what),
    st.sampled_from(CALLERS),
    action=st.sampled_from(ACTIONS),
    resource=st.sampled_from(RESOURCES),
    owner=st.sampled_from([A, A, B]),
    context=CONTEXTS,
    decisive=st.sampled_from([False, False, True]),
    granted=st.sampled_from([False, False, False, True]),
)


@settings(max_examples=400, deadline=None)
@given(ASKED, GIVEN)
def test_the_engine_decides_as_the_second_evaluator_whatever_chance_brings(
    asked: Asked, given_: Given
) -> None:
    assert judged(asked, given_) == decide(asked, given_)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(OPERATORS), one_or_more(VALUES), CONTEXTS, st.sampled_from(KEYS))
def test_each_condition_holds_in_both_or_in_neither(
    operator: str, wanted: Any, context: dict[str, Any], key: str
) -> None:
    statement = {
        "Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {operator: {key: wanted}}
    }  # fmt: skip
    for version in ("2012-10-17", "2008-10-17"):
        given_ = Given(({"Version": version, "Statement": [statement]},))
        asked = USER._replace(context=context)
        assert judged(asked, given_) == decide(asked, given_)
