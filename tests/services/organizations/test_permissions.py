"""What each operation needs: the management account's user is judged by its own policies."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from doppio.services.organizations.service import SERVICE
from doppio.wire.errors import AwsError
from doppio.wire.model import load
from tests.services.iam.helpers import as_user, document, user
from tests.services.organizations.helpers import MASTER, OTHER, deny, organization, orgs, unit
from tests.services.world import World, refusal, told

UNIT = "ou-abcd-12345678"
HANDSHAKE = f"h-{'0' * 32}"
TARGET = {"Id": OTHER, "Type": "ACCOUNT"}
SCP = "SERVICE_CONTROL_POLICY"
POLICY = {"PolicyId": "p-12345678"}
# What a request needs to be looked at; nothing of it need be there.
REQUESTS: dict[str, dict[str, Any]] = {
    "AcceptHandshake": {"HandshakeId": HANDSHAKE},
    "AttachPolicy": {**POLICY, "TargetId": OTHER},
    "CancelHandshake": {"HandshakeId": HANDSHAKE},
    "CloseAccount": {"AccountId": OTHER},
    "CreateAccount": {"AccountName": "x", "Email": "x@example.com"},
    "CreateGovCloudAccount": {"AccountName": "x", "Email": "x@example.com"},
    "CreateOrganizationalUnit": {"ParentId": UNIT, "Name": "x"},
    "CreatePolicy": {"Name": "n", "Description": "", "Type": SCP, "Content": deny("sqs:*")},
    "DeclineHandshake": {"HandshakeId": HANDSHAKE},
    "DeleteOrganizationalUnit": {"OrganizationalUnitId": UNIT},
    "DeletePolicy": POLICY,
    "DeregisterDelegatedAdministrator": {
        "AccountId": OTHER, "ServicePrincipal": "config.amazonaws.com",
    },
    "DescribeAccount": {"AccountId": OTHER},
    "DescribeCreateAccountStatus": {"CreateAccountRequestId": "car-12345678"},
    "DescribeEffectivePolicy": {"PolicyType": "TAG_POLICY", "TargetId": OTHER},
    "DescribeHandshake": {"HandshakeId": HANDSHAKE},
    "DescribeOrganizationalUnit": {"OrganizationalUnitId": UNIT},
    "DescribePolicy": POLICY,
    "DescribeResponsibilityTransfer": {"Id": "rt-12345678"},
    "DetachPolicy": {**POLICY, "TargetId": OTHER},
    "DisableAWSServiceAccess": {"ServicePrincipal": "config.amazonaws.com"},
    "DisablePolicyType": {"RootId": "r-abcd", "PolicyType": SCP},
    "EnableAWSServiceAccess": {"ServicePrincipal": "config.amazonaws.com"},
    "EnablePolicyType": {"RootId": "r-abcd", "PolicyType": SCP},
    "InviteAccountToOrganization": {"Target": TARGET},
    "InviteOrganizationToTransferResponsibility": {
        "Type": "BILLING", "Target": TARGET, "SourceName": "x",
        "StartTimestamp": datetime(2031, 1, 1, tzinfo=UTC),
    },
    "ListAccountsForParent": {"ParentId": UNIT},
    "ListAccountsWithInvalidEffectivePolicy": {"PolicyType": "TAG_POLICY"},
    "ListChildren": {"ParentId": UNIT, "ChildType": "ACCOUNT"},
    "ListDelegatedServicesForAccount": {"AccountId": OTHER},
    "ListEffectivePolicyValidationErrors": {"AccountId": OTHER, "PolicyType": "TAG_POLICY"},
    "ListInboundResponsibilityTransfers": {"Type": "BILLING"},
    "ListOrganizationalUnitsForParent": {"ParentId": UNIT},
    "ListOutboundResponsibilityTransfers": {"Type": "BILLING"},
    "ListParents": {"ChildId": UNIT},
    "ListPolicies": {"Filter": SCP},
    "ListPoliciesForTarget": {"TargetId": OTHER, "Filter": SCP},
    "ListTagsForResource": {"ResourceId": OTHER},
    "ListTargetsForPolicy": POLICY,
    "MoveAccount": {
        "AccountId": OTHER, "SourceParentId": UNIT, "DestinationParentId": UNIT,
    },
    "PutResourcePolicy": {"Content": "{}"},
    "RegisterDelegatedAdministrator": {
        "AccountId": OTHER, "ServicePrincipal": "config.amazonaws.com",
    },
    "RemoveAccountFromOrganization": {"AccountId": OTHER},
    "TagResource": {"ResourceId": OTHER, "Tags": []},
    "TerminateResponsibilityTransfer": {"Id": "rt-12345678"},
    "UntagResource": {"ResourceId": OTHER, "TagKeys": ["k"]},
    "UpdateOrganizationalUnit": {"OrganizationalUnitId": UNIT, "Name": "x"},
    "UpdatePolicy": {**POLICY, "Name": "x"},
    "UpdateResponsibilityTransfer": {"Id": "rt-12345678", "Name": "x"},
}  # fmt: skip


@told
async def test_every_operation_needs_its_own_action(world: World) -> None:
    await organization(world)
    nobody = await user(world)
    names = {method: load("organizations").by_method[method].name for method in SERVICE.operations}
    for method, name in names.items():
        req = REQUESTS.get(name, {})
        code, text = await refusal(orgs(world, method, caller=nobody, **req))
        said = f"User: {nobody.arn} is not authorized to perform: organizations:{name}"
        assert (code, text[: len(said)]) == ("AccessDeniedException", said), name


@pytest.mark.parametrize("method", sorted(set(SERVICE.operations) - {"delete_organization"}))
def test_the_action_is_enough(method: str) -> None:
    @told
    async def story(world: World) -> None:
        await organization(world)
        name = load("organizations").by_method[method].name
        caller = await user(world, "one", document(f"organizations:{name}"))
        text = ""
        try:
            await orgs(world, method, caller=caller, **REQUESTS.get(name, {}))
        except AwsError as error:
            text = error.message
        assert "not authorized" not in text

    story()


@told
async def test_policies_name_what_is_acted_on_its_tags_and_type(world: World) -> None:
    name, root = await organization(world)
    tagged = await unit(world, root, "a", Tags=[{"Key": "team", "Value": "bar"}])
    other = await unit(world, root, "b")
    arn = f"arn:aws:organizations::{MASTER}:ou/{name}/*"
    caller = await user(
        world, "barista",
        document("organizations:DescribeOrganizationalUnit", resource=arn, Condition={
            "StringEquals": {"aws:ResourceTag/team": "bar"}
        }),
        document("organizations:CreatePolicy", Condition={
            "StringEquals": {"organizations:PolicyType": SCP}
        }),
        document("organizations:EnableAWSServiceAccess", Condition={
            "StringLike": {"organizations:ServicePrincipal": "config*"}
        }),
    )  # fmt: skip
    call = "describe_organizational_unit"
    await orgs(world, call, caller=caller, OrganizationalUnitId=tagged)
    code, text = await refusal(orgs(world, call, caller=caller, OrganizationalUnitId=other))
    said = (
        f"User: {caller.arn} is not authorized to perform: "
        f"organizations:DescribeOrganizationalUnit on resource: {arn[:-1]}{other}"
    )
    assert (code, text.split(" because")[0]) == ("AccessDeniedException", said)
    req = {"Name": "n", "Description": "", "Type": SCP, "Content": deny("sqs:*")}
    await orgs(world, "create_policy", caller=caller, **req)
    req |= {"Type": "TAG_POLICY", "Content": json.dumps({"tags": {}})}
    assert (await refusal(orgs(world, "create_policy", caller=caller, **req)))[0] == (
        "AccessDeniedException"
    )
    enable = "enable_aws_service_access"
    await orgs(world, enable, caller=caller, ServicePrincipal="config.amazonaws.com")
    call_ = orgs(world, enable, caller=caller, ServicePrincipal="ram.amazonaws.com")
    assert (await refusal(call_))[0] == "AccessDeniedException"


@told
async def test_tags_at_the_making_need_leave_to_tag(world: World) -> None:
    _, root = await organization(world)
    caller = await user(world, "barista", document("organizations:CreateOrganizationalUnit"))
    req = {"ParentId": root, "Name": "x", "Tags": [{"Key": "k", "Value": "v"}]}
    _, text = await refusal(orgs(world, "create_organizational_unit", caller=caller, **req))
    assert "organizations:TagResource" in text
    await world.call(
        "iam", "put_user_policy", UserName="barista", PolicyName="more",
        PolicyDocument=document("organizations:TagResource"),
    )  # fmt: skip
    await orgs(world, "create_organizational_unit", caller=await as_user(world), **req)
