"""Policy documents: what is one, and what is not, in AWS's words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doppio.kernel.policy.document import (
    MalformedPolicy,
    Who,
    check,
    compile_policy,
    names_others,
)

ALLOW = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}


def document(**changes: Any) -> str:
    statement = {**ALLOW, **changes}
    statement = {name: value for name, value in statement.items() if value is not None}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_one_statement_needs_no_list() -> None:
    policy = compile_policy({"Version": "2012-10-17", "Statement": ALLOW})
    assert len(policy.statements) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("not json", "This policy contains invalid Json"),
        ("[]", "Syntax errors in policy."),
        ('{"Version": "2012-10-17"}', "Syntax errors in policy."),
        ('{"Version": "2020-01-01", "Statement": []}', "Syntax errors in policy."),
        (document(Effect="Maybe"), "Syntax errors in policy."),
        (document(Action=None), "Policy statement must contain actions."),
        (document(Action="getobject"), "Actions/Conditions must be prefaced by a vendor"),
        (document(Resource=None), "Policy statement must contain resources."),
        (document(Resource="bucket"), "must be in ARN format"),
        (document(Colour="red"), "Syntax errors in policy."),
        (document(Condition={"StringSounds": {"a": "b"}}), "Syntax errors in policy."),
        (
            json.dumps({"Statement": [{**ALLOW, "Sid": "a"}, {**ALLOW, "Sid": "a"}]}),
            "must be unique",
        ),
    ],
)
def test_a_malformed_document_is_refused(text: str, said: str) -> None:
    with pytest.raises(MalformedPolicy, match=said.replace(".", r"\.")):
        compile_policy(text)


def test_a_principal_is_demanded_or_forbidden() -> None:
    named = document(Principal="*")
    check(named, principal=True)
    with pytest.raises(MalformedPolicy, match="should not specify a principal"):
        check(named, principal=False)
    with pytest.raises(MalformedPolicy, match="Missing required field Principal"):
        check(document(), principal=True)


JSON = st.recursive(
    st.none() | st.booleans() | st.text(max_size=5) | st.sampled_from(["Allow", "s3:*", "*"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["Statement", "Effect", "Action", "Resource", "Condition", "Principal"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_garbage_is_a_malformed_policy_and_nothing_else(value: Any) -> None:
    try:
        compile_policy(json.dumps(value))
    except MalformedPolicy:
        return


def test_an_account_is_named_in_its_partition_or_by_its_bare_number_in_any() -> None:
    account = "111111111111"
    for named, arns in (
        (f"arn:aws:iam::{account}:root", ("aws",)),
        (f"arn:aws-us-gov:iam::{account}:root", ("aws-us-gov",)),
        (account, ("aws", "aws-us-gov", "aws-cn")),
        ([f"arn:aws:iam::{account}:root", f"arn:aws-cn:iam::{account}:root"], ("aws", "aws-cn")),
    ):
        who = Who({"AWS": named}, negated=False)
        for partition in ("aws", "aws-us-gov", "aws-cn"):
            kind = who.kind(f"arn:{partition}:iam::{account}:user/ada", account, "AIDAX")
            assert kind == ("account" if partition in arns else None)


def test_principals_of_another_partition_are_told_apart() -> None:
    for named, others in (
        ("*", False),
        ({"AWS": "*"}, False),
        ({"AWS": "111111111111"}, False),
        ({"Service": "sns.amazonaws.com"}, False),
        ({"AWS": "arn:aws:iam::111111111111:root"}, False),
        ({"AWS": ["111111111111", "arn:aws-cn:iam::111111111111:user/a"]}, True),
    ):
        for member in ("Principal", "NotPrincipal"):
            statement = {"Effect": "Allow", "Action": "*", "Resource": "*", member: named}
            assert names_others({"Statement": statement}, "aws") == others
            assert names_others({"Statement": [statement]}, "aws") == others
