"""The policy simulator: what would be allowed, by the engine that allows."""

from __future__ import annotations

import json
from typing import Any

import pytest

from doppio.kernel.identity import Caller
from doppio.wire.errors import AccessDenied
from tests.services.organizations.helpers import account, organization, orgs
from tests.services.world import ACCOUNT, OTHER, World, refused, told

from .helpers import READ_ONLY, document, iam, role, user

QUEUE = f"arn:aws:sqs:us-east-1:{ACCOUNT}:orders"
BARISTA = f"arn:aws:iam::{ACCOUNT}:user/barista"


async def simulated(world: World, arn: str, *actions: str, **more: Any) -> list[Any]:
    """What a principal's own policies come to."""
    found = await iam(
        world, "simulate_principal_policy", PolicySourceArn=arn, ActionNames=list(actions), **more
    )
    assert not found["IsTruncated"]
    return list(found["EvaluationResults"])


async def custom(world: World, policies: list[str], *actions: str, **more: Any) -> list[Any]:
    """What policies come to that nobody holds."""
    found = await iam(
        world, "simulate_custom_policy", PolicyInputList=policies, ActionNames=list(actions), **more
    )
    return list(found["EvaluationResults"])


def decisions(results: list[Any]) -> list[str]:
    """The decision on each action."""
    return [str(one["EvalDecision"]) for one in results]


def scp(*texts: str) -> dict[str, Any]:
    """A level of an organisation."""
    return {"ServiceControlPolicyInputList": list(texts)}


@told
async def test_a_user_has_its_own_policies_and_its_groups(world: World) -> None:
    await user(world, "barista", document("sqs:SendMessage", resource=QUEUE))
    await iam(world, "create_group", GroupName="staff")
    await iam(world, "add_user_to_group", GroupName="staff", UserName="barista")
    await iam(world, "attach_group_policy", GroupName="staff", PolicyArn=READ_ONLY)
    await iam(
        world, "put_group_policy", GroupName="staff", PolicyName="till",
        PolicyDocument=document("sqs:DeleteQueue", effect="Deny"),
    )  # fmt: skip
    sent, read, deleted, made = await simulated(
        world, BARISTA, "sqs:SendMessage", "sqs:ListQueues", "sqs:DeleteQueue", "sqs:CreateQueue",
        ResourceArns=[QUEUE],
    )  # fmt: skip
    assert decisions([sent, read, deleted, made]) == [
        "allowed", "allowed", "explicitDeny", "implicitDeny",
    ]  # fmt: skip
    assert [one["SourcePolicyId"] for one in sent["MatchedStatements"]] == ["p0"]
    assert sent["MatchedStatements"][0]["SourcePolicyType"] == "IAM Policy"
    assert read["MatchedStatements"][0]["SourcePolicyId"] == "ReadOnlyAccess"
    assert deleted["MatchedStatements"][0]["SourcePolicyId"] == "till"
    assert made["MatchedStatements"] == []
    assert sent["EvalResourceName"] == "arn:${Partition}:sqs:${Region}:${Account}:${QueueName}"
    [specific] = sent["ResourceSpecificResults"]
    assert (specific["EvalResourceName"], specific["EvalResourceDecision"]) == (QUEUE, "allowed")


@told
async def test_each_resource_is_judged_and_the_strictest_decision_is_told(world: World) -> None:
    texts = [
        document("s3:GetObject", resource="arn:aws:s3:::shop/menu/*"),
        document("s3:GetObject", resource="arn:aws:s3:::shop/till/*", effect="Deny"),
    ]
    keys = ["menu/mocha", "till/day", "window"]
    [found] = await custom(
        world, texts, "s3:GetObject", ResourceArns=[f"arn:aws:s3:::shop/{key}" for key in keys]
    )
    assert found["EvalDecision"] == "explicitDeny"
    assert [one["EvalResourceDecision"] for one in found["ResourceSpecificResults"]] == [
        "allowed", "explicitDeny", "implicitDeny",
    ]  # fmt: skip
    assert [one["SourcePolicyId"] for one in found["MatchedStatements"]] == ["PolicyInputList.2"]


@told
async def test_context_is_what_the_request_tells_and_what_is_missing_is_named(world: World) -> None:
    text = document(
        "sqs:*",
        Condition={
            "IpAddress": {"aws:SourceIp": "10.0.0.0/8"},
            "StringEquals": {"aws:username": "barista"},
        },
    )
    [unknown] = await custom(world, [text], "sqs:SendMessage")
    assert unknown["EvalDecision"] == "implicitDeny"
    assert unknown["MissingContextValues"] == ["aws:SourceIp", "aws:username"]
    inside = {"ContextKeyName": "aws:SourceIp", "ContextKeyValues": ["10.1.2.3"],
              "ContextKeyType": "ip"}  # fmt: skip
    await user(world, "barista", text)
    [known] = await simulated(world, BARISTA, "sqs:SendMessage", ContextEntries=[inside])
    assert (known["EvalDecision"], known["MissingContextValues"]) == ("allowed", [])
    outside = {**inside, "ContextKeyValues": ["192.0.2.1"]}
    assert decisions(
        await simulated(world, BARISTA, "sqs:SendMessage", ContextEntries=[outside])
    ) == ["implicitDeny"]
    [elsewhere] = await custom(world, [text], "s3:GetObject", ResourceArns=["arn:aws:s3:::a/b"])
    assert elsewhere["ResourceSpecificResults"][0]["MissingContextValues"] == []
    error = await refused(
        custom(
            world, [text], "sqs:SendMessage",
            ContextEntries=[{**inside, "ContextKeyValues": ["10.1.2.3", "10.1.2.4"]}],
        )
    )  # fmt: skip
    assert error.code == "InvalidInput"


@told
async def test_a_boundary_bounds_and_another_takes_its_place(world: World) -> None:
    await user(world, "barista", document("sqs:*", "s3:*"))
    made = await iam(world, "create_policy", PolicyName="fence", PolicyDocument=document("sqs:*"))
    await iam(
        world, "put_user_permissions_boundary", UserName="barista",
        PermissionsBoundary=made["Policy"]["Arn"],
    )  # fmt: skip
    sqs, s3 = await simulated(world, BARISTA, "sqs:SendMessage", "s3:GetObject")
    assert decisions([sqs, s3]) == ["allowed", "implicitDeny"]
    assert sqs["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": True}
    assert s3["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": False}
    wider = [document("s3:*")]
    assert decisions(
        await simulated(
            world, BARISTA, "sqs:SendMessage", "s3:GetObject",
            PermissionsBoundaryPolicyInputList=wider,
        )
    ) == ["implicitDeny", "allowed"]  # fmt: skip
    without = [{"PolicyType": "permission-boundary"}]
    [free] = await simulated(world, BARISTA, "s3:GetObject", PolicyExclusionList=without)
    assert free["EvalDecision"] == "allowed"
    assert "PermissionsBoundaryDecisionDetail" not in free


@told
async def test_policies_can_be_left_out_to_see_what_would_be_lost(world: World) -> None:
    await user(world, "barista", document("sqs:SendMessage"))
    await iam(world, "attach_user_policy", UserName="barista", PolicyArn=READ_ONLY)
    for left_out, expected in [
        ({"PolicyType": "inline"}, ["implicitDeny", "allowed"]),
        ({"PolicyType": "aws-managed"}, ["allowed", "implicitDeny"]),
        ({"PolicyArn": "arn:aws:iam::aws:policy/ReadOnly*"}, ["allowed", "implicitDeny"]),
        (
            {"InlinePolicyIdentifier": {
                "PolicyName": "p0", "AttachmentType": "user", "AttachmentName": "barista",
            }},
            ["implicitDeny", "allowed"],
        ),
        (
            {"InlinePolicyIdentifier": {
                "PolicyName": "p0", "AttachmentType": "role", "AttachmentName": "barista",
            }},
            ["allowed", "allowed"],
        ),
    ]:  # fmt: skip
        found = await simulated(
            world, BARISTA, "sqs:SendMessage", "sqs:ListQueues", PolicyExclusionList=[left_out]
        )
        assert decisions(found) == expected, left_out
    error = await refused(
        simulated(
            world,
            BARISTA,
            "sqs:SendMessage",
            PolicyExclusionList=[{"PolicyArn": "arn:aws:iam::aws:policy/*Only*"}],
        )
    )
    assert error.code == "InvalidInput"


@told
async def test_a_policy_of_the_resource_takes_a_caller_and_consent_across_accounts(
    world: World,
) -> None:
    await user(world, "barista")
    opened = json.dumps(
        {"Statement": {"Effect": "Allow", "Principal": {"AWS": BARISTA}, "Action": "sqs:*",
                       "Resource": "*"}}
    )  # fmt: skip
    [own] = await simulated(
        world, BARISTA, "sqs:SendMessage", ResourceArns=[QUEUE], ResourcePolicy=opened
    )
    assert own["EvalDecision"] == "allowed"
    assert own["MatchedStatements"][0]["SourcePolicyId"] == "ResourcePolicy"
    assert own["MatchedStatements"][0]["SourcePolicyType"] == "Resource Policy"
    assert own["EvalDecisionDetails"] == {}
    foreign = QUEUE.replace(ACCOUNT, OTHER)
    [alone] = await simulated(
        world, BARISTA, "sqs:SendMessage", ResourceArns=[foreign], ResourcePolicy=opened
    )
    assert alone["EvalDecision"] == "implicitDeny"
    assert alone["EvalDecisionDetails"] == {
        "IAM Policy": "implicitDeny", "Resource Policy": "allowed",
    }  # fmt: skip
    [both] = await simulated(
        world, BARISTA, "sqs:SendMessage", ResourceArns=[foreign], ResourcePolicy=opened,
        PolicyInputList=[document("sqs:*")],
    )  # fmt: skip
    assert both["EvalDecision"] == "allowed"
    bucket = ["arn:aws:s3:::shop"]
    [owned] = await simulated(
        world, BARISTA, "s3:ListBucket", ResourceArns=bucket, ResourceOwner=OTHER,
        PolicyInputList=[document("s3:*")],
    )  # fmt: skip
    assert owned["EvalDecision"] == "implicitDeny"
    # Without a caller nobody knows whom the resource's policy means.
    error = await refused(custom(world, [document("sqs:*")], "sqs:*Mocha", ResourcePolicy=opened))
    assert error.code == "InvalidInput"


@told
async def test_each_level_of_an_organisation_must_allow(world: World) -> None:
    everything, queues = document("*"), document("sqs:*")
    for levels, expected, organised in [
        ([scp(everything), scp(everything)], "allowed", True),
        ([scp(everything), scp(queues)], "implicitDeny", False),
        ([scp(everything, document("s3:*", effect="Deny")), scp(everything)], "explicitDeny",
         False),
    ]:  # fmt: skip
        [found] = await custom(
            world, [everything], "s3:GetObject", OrderedOrganizationPolicyInputList=levels
        )
        assert found["EvalDecision"] == expected
        assert found["OrganizationsDecisionDetail"] == {"AllowedByOrganizations": organised}


@told
async def test_a_role_is_simulated_by_its_arn_and_a_group_too(world: World) -> None:
    arn = await role(world, "brewing")
    await iam(
        world, "put_role_policy", RoleName="brewing", PolicyName="p",
        PolicyDocument=document("sqs:*", Condition={"Bool": {"aws:SecureTransport": "true"}}),
    )  # fmt: skip
    [found] = await simulated(world, arn, "sqs:SendMessage")
    assert found["MissingContextValues"] == ["aws:SecureTransport"]
    keys = await iam(world, "get_context_keys_for_principal_policy", PolicySourceArn=arn)
    assert keys["ContextKeyNames"] == ["aws:SecureTransport"]
    await iam(world, "create_group", GroupName="staff")
    assert decisions(
        await simulated(world, f"arn:aws:iam::{ACCOUNT}:group/staff", "sqs:SendMessage")
    ) == ["implicitDeny"]


@told
async def test_what_cannot_be_simulated_is_refused(world: World) -> None:
    await user(world, "barista")
    for more, code in [
        ({"PolicySourceArn": f"arn:aws:iam::{ACCOUNT}:user/nobody"}, "NoSuchEntity"),
        ({"PolicySourceArn": f"arn:aws:iam::{ACCOUNT}:user/kitchen/barista"}, "NoSuchEntity"),
        ({"PolicySourceArn": f"arn:aws:sts::{ACCOUNT}:assumed-role/a/b"}, "InvalidInput"),
        ({"ActionNames": ["SendMessage"]}, "InvalidInput"),
        ({"ActionNames": ["sqs:Send*"]}, "InvalidInput"),
        ({"ResourceArns": ["orders"]}, "InvalidInput"),
        ({"PolicyInputList": ["no policy"]}, "InvalidInput"),
        ({"Marker": "no-marker"}, "ValidationError"),
    ]:
        req = {"PolicySourceArn": BARISTA, "ActionNames": ["sqs:SendMessage"], **more}
        assert (await refused(iam(world, "simulate_principal_policy", **req))).code == code, more


@told
async def test_results_come_in_pages(world: World) -> None:
    actions = [f"sqs:Step{number}" for number in range(5)]
    req = {"PolicyInputList": [document("sqs:*")], "ActionNames": actions, "MaxItems": 2}
    seen: list[str] = []
    while True:
        found = await iam(world, "simulate_custom_policy", **req)
        seen += [one["EvalActionName"] for one in found["EvaluationResults"]]
        if not found["IsTruncated"]:
            break
        req["Marker"] = found["Marker"]
    assert seen == actions


@told
async def test_simulating_takes_a_permission_of_its_own(world: World) -> None:
    may_not = await user(world, "barista", document("sqs:*"))

    async def ask(caller: Caller) -> Any:
        return await world.call(
            "iam", "simulate_principal_policy", caller=caller, PolicySourceArn=BARISTA,
            ActionNames=["sqs:SendMessage"],
        )  # fmt: skip

    with pytest.raises(AccessDenied, match="iam:SimulatePrincipalPolicy on resource: arn:aws:iam"):
        await ask(may_not)
    may = await user(world, "manager", document("iam:SimulatePrincipalPolicy", resource=BARISTA))
    assert decisions((await ask(may))["EvaluationResults"]) == ["allowed"]


@told
async def test_a_members_control_policies_bound_what_its_principals_are_simulated_to_do(
    world: World,
) -> None:
    _, root = await organization(world)
    scp = {"Type": "SERVICE_CONTROL_POLICY"}
    await orgs(world, "enable_policy_type", RootId=root, PolicyType=scp["Type"])
    till = await account(world)
    made = await orgs(
        world, "create_policy", Name="no-sqs", Description="-", **scp,
        Content=document("sqs:*", effect="Deny",
                         Condition={"Bool": {"aws:SecureTransport": "false"}}),
    )  # fmt: skip
    await orgs(
        world, "attach_policy", PolicyId=made["Policy"]["PolicySummary"]["Id"], TargetId=till
    )

    async def said(number: str, **more: Any) -> dict[str, Any]:
        got = await world.call(
            "iam", "simulate_principal_policy", account=number,
            PolicySourceArn=f"arn:aws:iam::{number}:user/waiter", ActionNames=["sqs:SendMessage"],
            **more,
        )  # fmt: skip
        (result,) = got["EvaluationResults"]
        return dict(result)

    for number in (ACCOUNT, till):
        await world.call("iam", "create_user", account=number, UserName="waiter")
        await world.call(
            "iam", "put_user_policy", account=number, UserName="waiter", PolicyName="p",
            PolicyDocument=document("sqs:*"),
        )  # fmt: skip
    plain = {
        "ContextKeyName": "aws:SecureTransport", "ContextKeyType": "boolean",
        "ContextKeyValues": ["false"],
    }  # fmt: skip
    bound = await said(till, ContextEntries=[plain])
    assert bound["EvalDecision"] == "explicitDeny"
    assert bound["OrganizationsDecisionDetail"] == {"AllowedByOrganizations": False}
    assert bound["MatchedStatements"] == []
    free = await said(till)
    assert (free["EvalDecision"], free["MissingContextValues"]) == ("allowed", [])
    assert free["OrganizationsDecisionDetail"] == {"AllowedByOrganizations": True}
    without = await said(till, ContextEntries=[plain], PolicyExclusionList=[{"PolicyType": "scp"}])
    assert without["EvalDecision"] == "allowed"
    assert "OrganizationsDecisionDetail" not in without
    master = await said(ACCOUNT, ContextEntries=[plain])
    assert master["EvalDecision"] == "allowed"
    assert master["OrganizationsDecisionDetail"] == {"AllowedByOrganizations": True}
