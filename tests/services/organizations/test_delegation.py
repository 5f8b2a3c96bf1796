"""Trusted services, delegated administrators, and what the resource policy lets members do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.services.organizations.helpers import (
    MASTER,
    account,
    deny,
    enable,
    inside,
    organization,
    orgs,
)
from tests.services.world import World, refusal, refused, told

DENIED = ("AccessDeniedException", "You don't have permissions to access this resource.")
CONFIG = "config.amazonaws.com"
IAM = "iam.amazonaws.com"


def letting(member: str, *actions: str, **more: Any) -> str:
    """A resource policy that lets an account do some things."""
    statement = {
        "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{member}:root"},
        "Action": [f"organizations:{action}" for action in actions], "Resource": "*", **more,
    }  # fmt: skip
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


async def trust(world: World, service: str = CONFIG) -> None:
    await orgs(world, "enable_aws_service_access", ServicePrincipal=service)


async def register(world: World, member: str, service: str = CONFIG) -> None:
    await orgs(
        world, "register_delegated_administrator", AccountId=member, ServicePrincipal=service
    )


@told
async def test_services_are_let_in_and_out(world: World) -> None:
    await organization(world)
    await trust(world)
    await trust(world)
    listed = await orgs(world, "list_aws_service_access_for_organization")
    assert listed["EnabledServicePrincipals"] == [
        {"ServicePrincipal": CONFIG, "DateEnabled": world.now}
    ]
    await orgs(world, "disable_aws_service_access", ServicePrincipal=CONFIG)
    await orgs(world, "disable_aws_service_access", ServicePrincipal=CONFIG)
    listed = await orgs(world, "list_aws_service_access_for_organization")
    assert listed["EnabledServicePrincipals"] == []
    error = await refused(trust(world, "tea.amazonaws.com"))
    assert (error.code, error.message, error.fields) == (
        "InvalidInputException", "You specified an unrecognized service principal.",
        {"Reason": "UNRECOGNIZED_SERVICE_PRINCIPAL"},
    )  # fmt: skip


@told
async def test_a_type_of_policy_may_need_its_service(world: World) -> None:
    _, root = await organization(world)
    error = await refused(enable(world, root, "SECURITYHUB_POLICY"))
    assert error.fields == {"Reason": "SERVICE_ACCESS_NOT_ENABLED"}
    await trust(world, "securityhub.amazonaws.com")
    await enable(world, root, "SECURITYHUB_POLICY")
    call = orgs(world, "disable_aws_service_access", ServicePrincipal="securityhub.amazonaws.com")
    assert (await refused(call)).fields == {"Reason": "POLICY_TYPE_ENABLED_FOR_THIS_SERVICE"}


@told
async def test_a_delegated_administrator_reads_and_writes_nothing(world: World) -> None:
    await organization(world)
    member = await account(world)
    caller = await inside(world, member)
    assert await refusal(orgs(world, "list_accounts", caller=caller)) == DENIED
    error = await refused(register(world, member))
    assert error.fields == {"Reason": "SERVICE_ACCESS_NOT_ENABLED"}
    await trust(world)
    await register(world, member)
    assert await refusal(register(world, member)) == (
        "AccountAlreadyRegisteredException",
        "The provided account is already a delegated administrator for your organization.",
    )
    found = await orgs(world, "list_accounts", caller=caller)
    assert {one["Id"] for one in found["Accounts"]} == {MASTER, member}
    # Also as the account's root user, and for what has an ARN of its own.
    await orgs(world, "describe_account", account=member, AccountId=MASTER)
    content = deny("sqs:*")
    for method, req in (
        ("create_policy",
         {"Name": "n", "Description": "", "Type": "SERVICE_CONTROL_POLICY", "Content": content}),
        ("create_account", {"AccountName": "x", "Email": "x@example.com"}),
    ):  # fmt: skip
        assert await refusal(orgs(world, method, caller=caller, **req)) == DENIED
    listed = await orgs(world, "list_delegated_administrators", ServicePrincipal=CONFIG)
    assert [one["Id"] for one in listed["DelegatedAdministrators"]] == [member]
    assert listed["DelegatedAdministrators"][0]["DelegationEnabledDate"] == world.now
    services = await orgs(world, "list_delegated_services_for_account", AccountId=member)
    assert [one["ServicePrincipal"] for one in services["DelegatedServices"]] == [CONFIG]
    await world.advance(days=5)
    for method in ("remove_account_from_organization", "close_account"):
        error = await refused(orgs(world, method, AccountId=member))
        assert error.fields == {"Reason": "CANNOT_REMOVE_DELEGATED_ADMINISTRATOR_FROM_ORG"}
    await orgs(
        world, "deregister_delegated_administrator", AccountId=member, ServicePrincipal=CONFIG
    )
    assert await refusal(orgs(world, "list_accounts", caller=caller)) == DENIED
    call = orgs(
        world, "deregister_delegated_administrator", AccountId=member, ServicePrincipal=CONFIG
    )
    assert (await refusal(call))[0] == "AccountNotRegisteredException"


@told
async def test_what_an_administrator_may_read_its_own_policies_must_let_it(world: World) -> None:
    await organization(world)
    member = await account(world)
    await trust(world)
    await register(world, member)
    await world.call("iam", "create_user", account=member, UserName="u")
    key = await world.call("iam", "create_access_key", account=member, UserName="u")
    caller = await world.who(key["AccessKey"])
    text = (
        f"User: {caller.arn} is not authorized to perform: organizations:ListAccounts because no "
        "identity-based policy allows the organizations:ListAccounts action"
    )
    assert await refusal(orgs(world, "list_accounts", caller=caller)) == (
        "AccessDeniedException", text,
    )  # fmt: skip


@told
async def test_a_service_has_as_many_administrators_as_aws_lets_it(world: World) -> None:
    await organization(world)
    one, two = await account(world, "one"), await account(world, "two")
    await trust(world, "macie.amazonaws.com")
    await register(world, one, "macie.amazonaws.com")
    error = await refused(register(world, two, "macie.amazonaws.com"))
    assert error.fields == {"Reason": "DELEGATED_ADMINISTRATOR_EXISTS_FOR_THIS_SERVICE"}
    await trust(world, "ram.amazonaws.com")
    error = await refused(register(world, two, "ram.amazonaws.com"))
    assert error.fields == {"Reason": "UNRECOGNIZED_SERVICE_PRINCIPAL"}
    await trust(world)
    error = await refused(register(world, MASTER))
    assert error.fields == {"Reason": "CANNOT_REGISTER_MASTER_AS_DELEGATED_ADMINISTRATOR"}
    await orgs(world, "close_account", AccountId=two)
    await world.settle()
    error = await refused(register(world, two))
    assert error.fields == {
        "Reason": "CANNOT_REGISTER_SUSPENDED_ACCOUNT_AS_DELEGATED_ADMINISTRATOR"
    }


@told
async def test_a_resource_policy_lets_a_member_do_what_it_names(world: World) -> None:
    name, root = await organization(world)
    await enable(world, root)
    member = await account(world)
    caller = await inside(world, member)
    content = letting(
        member, "CreatePolicy", "DescribePolicy", "List*", "AttachPolicy",
        Condition={"StringEquals": {"organizations:PolicyType": "SERVICE_CONTROL_POLICY"}},
    )  # fmt: skip
    req = {
        "Name": "n", "Description": "", "Type": "SERVICE_CONTROL_POLICY", "Content": deny("sqs:*")
    }  # fmt: skip
    assert await refusal(orgs(world, "create_policy", caller=caller, **req)) == DENIED
    put = await orgs(world, "put_resource_policy", Content=content)
    summary = put["ResourcePolicy"]["ResourcePolicySummary"]
    assert summary["Arn"] == (
        f"arn:aws:organizations::{MASTER}:resourcepolicy/{name}/{summary['Id']}"
    )
    assert await orgs(world, "describe_resource_policy") == put
    made = await orgs(world, "create_policy", caller=caller, **req)
    key = made["Policy"]["PolicySummary"]["Id"]
    assert made["Policy"]["PolicySummary"]["Arn"].startswith(
        f"arn:aws:organizations::{MASTER}:policy/"
    )
    await orgs(world, "attach_policy", caller=caller, PolicyId=key, TargetId=member)
    # What it does not name is refused, and so is another type of policy.
    other = {**req, "Type": "TAG_POLICY", "Content": json.dumps({"tags": {}})}
    code, text = await refusal(orgs(world, "create_policy", caller=caller, **other))
    assert (code, "resource-based policy" in text) == ("AccessDeniedException", True)
    code, text = await refusal(orgs(world, "delete_policy", caller=caller, PolicyId=key))
    assert (code, "resource-based policy" in text) == ("AccessDeniedException", True)
    assert await refusal(orgs(world, "delete_resource_policy", caller=caller)) == DENIED
    await orgs(world, "tag_resource", ResourceId=summary["Id"], Tags=[{"Key": "k", "Value": "v"}])
    tags = await orgs(world, "list_tags_for_resource", ResourceId=summary["Id"])
    assert tags["Tags"] == [{"Key": "k", "Value": "v"}]
    await orgs(world, "delete_resource_policy")
    assert await refusal(orgs(world, "create_policy", caller=caller, **req)) == DENIED
    assert (await refusal(orgs(world, "describe_resource_policy")))[0] == (
        "ResourcePolicyNotFoundException"
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"Principal": "*"}, "INVALID_PRINCIPAL"),
        ({"Principal": {"Service": "s3.amazonaws.com"}}, "INVALID_PRINCIPAL"),
        ({"Principal": {"AWS": "somebody"}}, "INVALID_PRINCIPAL"),
        ({"Action": "organizations:CreateAccount"}, "UNSUPPORTED_ACTION_IN_RESOURCE_POLICY"),
        ({"Action": "s3:GetObject"}, "UNSUPPORTED_ACTION_IN_RESOURCE_POLICY"),
        ({"Resource": "arn:aws:s3:::x"}, "UNSUPPORTED_RESOURCE_IN_RESOURCE_POLICY"),
        ({"Condition": {"StringEquals": {"organizations:PolicyType": "X"}}},
         "UNSUPPORTED_POLICY_TYPE_IN_RESOURCE_POLICY"),
        ({"Effect": "Perhaps"}, "INVALID_RESOURCE_POLICY_JSON"),
    ],
)  # fmt: skip
def test_a_resource_policy_that_cannot_be_is_refused(change: dict[str, Any], reason: str) -> None:
    @told
    async def story(world: World) -> None:
        await organization(world)
        content = letting("222222222222", "ListAccounts", **change)
        error = await refused(orgs(world, "put_resource_policy", Content=content))
        assert (error.code, error.fields) == ("InvalidInputException", {"Reason": reason})

    story()


@told
async def test_iam_asks_who_is_let_in_before_root_users_are_managed(world: World) -> None:
    await organization(world)
    member = await account(world)
    caller = await inside(world, member)
    call = world.call("iam", "enable_organizations_root_sessions")
    assert (await refusal(call))[0] == "ServiceAccessNotEnabledException"
    await trust(world, IAM)
    await world.call("iam", "enable_organizations_root_sessions")
    call = world.call("iam", "list_organizations_features", caller=caller)
    assert (await refusal(call))[0] == "AccountNotManagementOrDelegatedAdministratorException"
    await register(world, member, IAM)
    found = await world.call("iam", "list_organizations_features", caller=caller)
    assert found["EnabledFeatures"] == ["RootSessions"]


@told
async def test_an_organisation_for_bills_trusts_nobody(world: World) -> None:
    await organization(world, FeatureSet="CONSOLIDATED_BILLING")
    assert (await refused(trust(world))).fields == {
        "Reason": "ORGANIZATION_NOT_IN_ALL_FEATURES_MODE"
    }
