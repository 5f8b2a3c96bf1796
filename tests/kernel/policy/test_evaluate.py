"""The decision, case by case, and what is said of it. `test_decisions` has the whole table."""

from __future__ import annotations

from typing import Any

import pytest

from doppio.kernel.policy import (
    AccessRequest,
    Policy,
    PolicySet,
    compile_policy,
    denial_message,
    evaluate,
)

USER = "arn:aws:iam::111111111111:user/anna"
ROLE = "arn:aws:sts::111111111111:assumed-role/barista/shift"
OBJECT = "arn:aws:s3:::b/k"


def policy(effect: str = "Allow", action: Any = "s3:*", resource: Any = "*", **more: Any) -> Policy:
    statement = {"Effect": effect, "Action": action, "Resource": resource, **more}
    return compile_policy({"Version": "2012-10-17", "Statement": [statement]}, "p")


def asks(**changes: Any) -> AccessRequest:
    values: dict[str, Any] = {
        "principal": USER, "account": "111111111111", "kind": "user", "action": "s3:GetObject",
        "resource": OBJECT, "resource_account": "111111111111",
    }  # fmt: skip
    return AccessRequest(**{**values, **changes})


def allowed(policies: PolicySet, **changes: Any) -> bool:
    return evaluate(asks(**changes), policies).allowed


def test_without_a_policy_nothing_is_allowed() -> None:
    assert not allowed(PolicySet())


def test_an_identity_policy_allows_and_an_explicit_deny_wins() -> None:
    assert allowed(PolicySet(identity=[policy()]))
    assert not allowed(PolicySet(identity=[policy(), policy("Deny", "s3:Get*")]))


def test_not_action_and_not_resource_turn_the_match_round() -> None:
    statement = {"Effect": "Allow", "NotAction": "iam:*", "NotResource": "arn:aws:s3:::secret/*"}
    found = compile_policy({"Statement": statement}, "p")
    assert allowed(PolicySet(identity=[found]))
    assert not allowed(PolicySet(identity=[found]), action="iam:CreateUser")
    assert not allowed(PolicySet(identity=[found]), resource="arn:aws:s3:::secret/k")


def test_a_boundary_bounds_what_policies_grant() -> None:
    identity = [policy()]
    assert allowed(PolicySet(identity=identity, boundary=policy(action="s3:Get*")))
    assert not allowed(PolicySet(identity=identity, boundary=policy(action="s3:Put*")))


def test_a_session_policy_bounds_a_session() -> None:
    identity = [policy()]
    session = {"kind": "assumed-role", "principal": ROLE}
    assert allowed(PolicySet(identity=identity, session=[policy(action="s3:Get*")]), **session)
    assert not allowed(PolicySet(identity=identity, session=[]), **session)


def test_every_level_of_organisation_policies_must_allow() -> None:
    identity = [policy()]
    everything = policy(action="*")
    assert allowed(PolicySet(identity=identity, scps=[[everything], [everything]]))
    assert not allowed(PolicySet(identity=identity, scps=[[everything], [policy(action="ec2:*")]]))
    assert not allowed(PolicySet(identity=identity, rcps=[[policy(action="ec2:*")]]))


def test_an_organisation_policy_binds_even_the_root_user() -> None:
    root = {"kind": "root", "principal": "arn:aws:iam::111111111111:root"}
    assert allowed(PolicySet(), **root)
    assert not allowed(PolicySet(scps=[[policy(action="ec2:*")]]), **root)


@pytest.mark.parametrize(
    "principal", [{"AWS": USER}, {"AWS": "arn:aws:iam::111111111111:user/*"}, "*"]
)
def test_a_resource_policy_alone_grants_within_the_account(principal: Any) -> None:
    resource = policy(Principal=principal)
    assert allowed(PolicySet(resource=resource))


def test_to_name_the_own_account_grants_nothing_by_itself() -> None:
    resource = policy(Principal={"AWS": "111111111111"})
    assert not allowed(PolicySet(resource=resource))


def test_across_accounts_both_sides_must_agree() -> None:
    there = {"resource_account": "222222222222"}
    resource = policy(Principal={"AWS": "arn:aws:iam::111111111111:root"})
    assert not allowed(PolicySet(identity=[policy()]), **there)
    assert not allowed(PolicySet(resource=resource), **there)
    assert allowed(PolicySet(identity=[policy()], resource=resource), **there)


def test_a_role_is_named_by_its_role_arn() -> None:
    resource = policy(Principal={"AWS": "arn:aws:iam::111111111111:role/barista"})
    session = {"kind": "assumed-role", "principal": ROLE}
    assert allowed(PolicySet(resource=resource), **session)


def test_a_service_is_in_no_account() -> None:
    service = {"kind": "service", "principal": "sns.amazonaws.com"}
    resource = policy(Principal={"AWS": "arn:aws:iam::111111111111:root"})
    assert allowed(PolicySet(identity=[policy()], resource=resource), account="111111111111")
    assert not allowed(PolicySet(resource=resource), account="111111111111", **service)


def test_a_service_is_allowed_by_the_resource_alone() -> None:
    service = {"kind": "service", "principal": "sns.amazonaws.com"}
    resource = policy(
        Principal={"Service": "sns.amazonaws.com"},
        Condition={"ArnLike": {"aws:SourceArn": "arn:aws:sns:*:*:news"}},
    )
    source = {"aws:sourcearn": "arn:aws:sns:us-east-1:111111111111:news"}
    assert allowed(PolicySet(resource=resource), **service, context=source)
    assert not allowed(PolicySet(resource=resource), **service)
    assert not allowed(PolicySet(identity=[policy()]), **service, context=source)


def test_a_service_is_not_of_the_account_that_it_acts_for() -> None:
    service = {"kind": "service", "principal": "sns.amazonaws.com"}
    resource = policy(Principal={"AWS": "arn:aws:iam::111111111111:root"})
    assert not allowed(PolicySet(resource=resource), **service)


def test_the_anonymous_need_a_policy_for_everyone() -> None:
    anyone = {"kind": "anonymous", "principal": "anonymous", "account": "anonymous"}
    assert allowed(PolicySet(resource=policy(Principal="*")), **anyone)
    assert not allowed(PolicySet(resource=policy(Principal={"AWS": USER})), **anyone)


def test_not_principal_spares_whom_it_names() -> None:
    statement = {"Effect": "Deny", "NotPrincipal": {"AWS": USER}, "Action": "s3:*", "Resource": "*"}
    resource = compile_policy({"Statement": statement}, "p")
    identity = [policy()]
    assert allowed(PolicySet(identity=identity, resource=resource))
    other = {"principal": USER.replace("anna", "ben")}
    assert not allowed(PolicySet(identity=identity, resource=resource), **other)


@pytest.mark.parametrize(
    ("policies", "ending"),
    [
        (PolicySet(), "because no identity-based policy allows the s3:GetObject action"),
        (PolicySet(identity=[policy("Deny")]), "with an explicit deny in an identity-based policy"),
        (
            PolicySet(identity=[policy()], boundary=policy(action="ec2:*")),
            "because no permissions boundary allows the s3:GetObject action",
        ),
        (
            PolicySet(identity=[policy()], session=[]),
            "because no session policy allows the s3:GetObject action",
        ),
        (
            PolicySet(identity=[policy()], scps=[[policy("Deny")]]),
            "with an explicit deny in a service control policy",
        ),
        (
            PolicySet(identity=[policy()], resource=policy("Deny", Principal="*")),
            "with an explicit deny in a resource-based policy",
        ),
    ],
)
def test_a_denial_says_why_as_aws_does(policies: PolicySet, ending: str) -> None:
    request = asks()
    decision = evaluate(request, policies)
    start = f'User: {USER} is not authorized to perform: s3:GetObject on resource: "{OBJECT}" '
    assert denial_message(request, decision) == start + ending
