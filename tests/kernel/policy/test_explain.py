"""A denial as AWS tells it."""

from __future__ import annotations

import json
from typing import Any

from doppio.kernel.policy import AccessRequest, PolicySet, compile_policy, evaluate
from doppio.kernel.policy.explain import explanation

REQUEST = AccessRequest(
    principal="arn:aws:sts::111111111111:assumed-role/Developer/Ana", account="111111111111",
    kind="assumed-role", action="s3:GetObject", resource="arn:aws:s3:::menu/today",
    resource_account="111111111111", principal_id="AROA1:Ana",
)  # fmt: skip


def told(*statements: dict[str, Any], **keys: Any) -> dict[str, Any]:
    document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    policies = PolicySet(identity=[compile_policy(document)])
    return explanation(REQUEST, evaluate(REQUEST, policies), policies, keys)


def values(items: Any) -> list[str]:
    return [one["value"] for one in items["items"]]


def test_each_statement_that_forbids_is_told_and_no_other() -> None:
    got = told(
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Sid": "One", "Effect": "Deny", "NotAction": "s3:PutObject", "NotResource": "arn:aws:x"},
        {"Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::menu/*"},
        {"Sid": "Other", "Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::other/*"},
    )
    first, second = got["matchedStatements"]["items"]
    assert (first["statementId"], values(first["actions"])) == ("One", ["s3:PutObject"])
    assert values(first["resources"]) == ["arn:aws:x"]
    assert (second["statementId"], second["effect"]) == ("", "DENY")
    assert values(second["principals"]) == ["AROA1"]
    assert got["explicitDeny"] is True


def test_a_policy_of_one_statement_that_is_no_list_is_told() -> None:
    policies = PolicySet(
        identity=[compile_policy({
            "Version": "2012-10-17",
            "Statement": {"Sid": "Alone", "Effect": "Deny", "Action": "*", "Resource": "*"},
        })]
    )  # fmt: skip
    got = explanation(REQUEST, evaluate(REQUEST, policies), policies, {})
    assert [one["statementId"] for one in got["matchedStatements"]["items"]] == ["Alone"]


def test_condition_keys_are_spelled_as_aws_does() -> None:
    silent = {"Effect": "Deny", "Action": "sqs:*", "Resource": "*"}
    got = told(
        silent, **{"s3:existingobjecttag/color": "red", "s3:tlsversion": None, "x:own": [1, 2]}
    )
    conditions = {
        one["key"]: values(one["values"]) for one in got["context"]["conditions"]["items"]
    }
    assert conditions == {
        "s3:ExistingObjectTag/color": ["red"], "x:own": ["1", "2"], "aws:Resource": ["menu/today"],
        "aws:Service": ["s3"], "aws:Type": ["menu"], "aws:ID": ["today"],
        "aws:ARN": ["arn:aws:s3:::menu/today"],
    }  # fmt: skip
    assert got["matchedStatements"] == {"items": []}
