"""Policies, what they hang on, and that they count."""

from __future__ import annotations

import json
from typing import Any

import pytest

from doppio.services.organizations.documents import check_content
from doppio.services.organizations.errors import ConstraintViolation, MalformedPolicyDocument
from doppio.services.organizations.policy_types import TYPES
from tests.services.organizations.helpers import (
    MASTER,
    account,
    deny,
    enable,
    inside,
    organization,
    orgs,
    policy,
    unit,
)
from tests.services.world import REGION, World, refusal, refused, told

SCP = "SERVICE_CONTROL_POLICY"
RCP = "RESOURCE_CONTROL_POLICY"
FULL = "p-FullAWSAccess"


async def attach(world: World, name: str, target: str) -> None:
    await orgs(world, "attach_policy", PolicyId=name, TargetId=target)


async def detach(world: World, name: str, target: str) -> None:
    await orgs(world, "detach_policy", PolicyId=name, TargetId=target)


async def on(world: World, target: str, kind: str = SCP) -> list[str]:
    """The ids of what hangs on a target."""
    found = await orgs(world, "list_policies_for_target", TargetId=target, Filter=kind)
    return [one["Id"] for one in found["Policies"]]


@told
async def test_a_policy_is_written_changed_and_deleted(world: World) -> None:
    name, _ = await organization(world)
    made = await orgs(
        world, "create_policy", Name="no-sqs", Description="none", Type=SCP,
        Content=deny("sqs:*"), Tags=[{"Key": "team", "Value": "bar"}],
    )  # fmt: skip
    summary = made["Policy"]["PolicySummary"]
    key = summary["Id"]
    kind = "service_control_policy"
    assert summary["Arn"] == f"arn:aws:organizations::{MASTER}:policy/{name}/{kind}/{key}"
    assert (summary["Type"], summary["AwsManaged"]) == (SCP, False)
    assert await orgs(world, "describe_policy", PolicyId=key) == made
    assert await refusal(policy(world, deny("sns:*"), "no-sqs")) == (
        "DuplicatePolicyException", "A policy with the specified name and type already exists.",
    )  # fmt: skip
    assert (await refusal(policy(world, deny("sns:*"), "FullAWSAccess")))[0] == (
        "DuplicatePolicyException"
    )
    changed = await orgs(world, "update_policy", PolicyId=key, Name="no-sns", Content=deny("sns:*"))
    assert changed["Policy"]["Content"] == deny("sns:*")
    assert changed["Policy"]["PolicySummary"]["Description"] == "none"
    listed = (await orgs(world, "list_policies", Filter=SCP))["Policies"]
    assert {one["Name"]: one["AwsManaged"] for one in listed} == {
        "FullAWSAccess": True, "no-sns": False,
    }  # fmt: skip
    full = next(one for one in listed if one["AwsManaged"])
    assert full["Arn"] == f"arn:aws:organizations::aws:policy/{kind}/{FULL}"
    found = await orgs(world, "list_tags_for_resource", ResourceId=key)
    assert found["Tags"] == [{"Key": "team", "Value": "bar"}]
    await orgs(world, "delete_policy", PolicyId=key)
    assert await refusal(orgs(world, "describe_policy", PolicyId=key)) == (
        "PolicyNotFoundException", "You specified a policy that doesn't exist.",
    )  # fmt: skip
    for method in ("delete_policy", "update_policy"):
        error = await refused(orgs(world, method, PolicyId=FULL))
        assert error.fields == {"Reason": "IMMUTABLE_POLICY"}


@told
async def test_a_type_hangs_everywhere_once_it_is_enabled_and_nowhere_after(world: World) -> None:
    _, root = await organization(world)
    bar, member = await unit(world, root), await account(world)
    name = await policy(world, deny("sqs:*"))
    assert await refusal(attach(world, name, bar)) == (
        "PolicyTypeNotEnabledException",
        "This operation can be performed only for enabled policy types.",
    )
    await enable(world, root)
    again = orgs(world, "enable_policy_type", RootId=root, PolicyType=SCP)
    assert await refusal(again) == (
        "PolicyTypeAlreadyEnabledException", "The specified policy type is already enabled.",
    )  # fmt: skip
    shop = await unit(world, bar, "shop")
    for target in (root, bar, shop, member, MASTER):
        assert await on(world, target) == [FULL]
    await attach(world, name, bar)
    assert await refusal(attach(world, name, bar)) == (
        "DuplicatePolicyAttachmentException",
        "The policy is already attached to the specified target.",
    )
    assert (await refusal(orgs(world, "delete_policy", PolicyId=name)))[0] == (
        "PolicyInUseException"
    )
    targets = (await orgs(world, "list_targets_for_policy", PolicyId=name))["Targets"]
    assert [(one["TargetId"], one["Name"], one["Type"]) for one in targets] == [
        (bar, "bar", "ORGANIZATIONAL_UNIT")
    ]
    everywhere = (await orgs(world, "list_targets_for_policy", PolicyId=FULL))["Targets"]
    assert {one["Type"] for one in everywhere} == {"ROOT", "ACCOUNT", "ORGANIZATIONAL_UNIT"}
    await orgs(world, "disable_policy_type", RootId=root, PolicyType=SCP)
    assert await on(world, bar) == []
    await orgs(world, "delete_policy", PolicyId=name)
    await enable(world, root)
    assert await on(world, bar) == [FULL]
    missing = orgs(world, "enable_policy_type", RootId="r-zzzz", PolicyType=SCP)
    assert (await refusal(missing))[0] == "RootNotFoundException"


@told
async def test_five_hang_on_a_target_and_one_stays(world: World) -> None:
    _, root = await organization(world)
    await enable(world, root)
    names = [await policy(world, deny("sqs:*"), f"p{number}") for number in range(5)]
    for name in names[:4]:
        await attach(world, name, root)
    error = await refused(attach(world, names[4], root))
    assert error.fields == {"Reason": "MAX_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED"}
    for name in (*names[:3], FULL):
        await detach(world, name, root)
    error = await refused(detach(world, names[3], root))
    assert error.fields == {"Reason": "MIN_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED"}
    assert await refusal(detach(world, FULL, root)) == (
        "PolicyNotAttachedException", "The policy isn't attached to the specified target.",
    )  # fmt: skip
    await enable(world, root, RCP)
    error = await refused(detach(world, "p-RCPFullAWSAccess", root))
    assert error.fields == {"Reason": "NON_DETACHABLE_POLICY"}
    assert (await refusal(attach(world, names[0], "ou-abcd-12345678")))[0] == (
        "TargetNotFoundException"
    )


@told
async def test_a_policy_on_a_unit_counts_for_the_next_call_of_its_accounts(world: World) -> None:
    _, root = await organization(world)
    await enable(world, root)
    bar, member = await unit(world, root), await account(world)
    caller = await inside(world, member)
    name = await policy(world, deny("sqs:CreateQueue"))
    await attach(world, name, bar)

    async def create(queue: str) -> None:
        await world.call("sqs", "create_queue", caller=caller, QueueName=queue)

    await create("before")
    await orgs(
        world, "move_account", AccountId=member, SourceParentId=root, DestinationParentId=bar
    )
    text = (
        f"User: {caller.arn} is not authorized to perform: sqs:createqueue on resource: "
        f"arn:aws:sqs:{REGION}:{member}:under with an explicit deny in a service control policy"
    )
    assert (await refusal(create("under")))[1] == text
    # Its root user is bound as well, the management account is not.
    call = world.call("sqs", "create_queue", account=member, QueueName="root")
    assert "service control policy" in (await refusal(call))[1]
    await orgs(world, "attach_policy", PolicyId=name, TargetId=root)
    await world.call("sqs", "create_queue", QueueName="master")
    await detach(world, name, root)
    await orgs(world, "update_policy", PolicyId=name, Content=deny("sns:*"))
    await create("changed")
    await orgs(world, "update_policy", PolicyId=name, Content=deny("sqs:*"))
    assert (await refusal(create("again")))[1].endswith("a service control policy")
    await detach(world, name, bar)
    await create("after")


@told
async def test_each_level_must_allow(world: World) -> None:
    _, root = await organization(world)
    await enable(world, root)
    bar, member = await unit(world, root), await account(world)
    await orgs(
        world, "move_account", AccountId=member, SourceParentId=root, DestinationParentId=bar
    )
    caller = await inside(world, member)
    allow = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["sqs:*", "sts:*"], "Resource": "*"}
    ]}  # fmt: skip
    await attach(world, await policy(world, json.dumps(allow), "only-sqs"), bar)
    await detach(world, FULL, bar)
    await world.call("sqs", "list_queues", caller=caller)
    text = (await refusal(world.call("sns", "list_topics", caller=caller)))[1]
    assert text.endswith("because no service control policy allows the sns:ListTopics action")


@told
async def test_a_resource_control_policy_binds_whoever_comes(world: World) -> None:
    _, root = await organization(world)
    await enable(world, root, RCP)
    member = await account(world)
    caller = await inside(world, member)
    await world.call("s3", "create_bucket", caller=caller, Bucket="till-books")
    document = {"Version": "2012-10-17", "Statement": [{
        "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": "*",
    }]}  # fmt: skip
    name = await policy(world, json.dumps(document), "sealed", RCP)
    await attach(world, name, root)
    put = world.call("s3", "put_object", caller=caller, Bucket="till-books", Key="a", Body=b"")
    assert "explicit deny in a resource control policy" in (await refusal(put))[1]
    await world.call("s3", "create_bucket", Bucket="own")
    await world.call("s3", "put_object", Bucket="own", Key="a", Body=b"")


@told
async def test_what_leaves_is_bound_no_more(world: World) -> None:
    _, root = await organization(world)
    await enable(world, root)
    member = await account(world)
    await attach(world, await policy(world, deny("sqs:*")), member)
    call = world.call("sqs", "list_queues", account=member)
    assert "service control policy" in (await refusal(call))[1]
    await world.advance(days=5)
    await orgs(world, "remove_account_from_organization", AccountId=member)
    await world.call("sqs", "list_queues", account=member)


@told
async def test_a_policy_keeps_accounts_from_leaving(world: World) -> None:
    _, root = await organization(world)
    await enable(world, root)
    member = await account(world)
    name = await policy(world, deny("organizations:LeaveOrganization"))
    await attach(world, name, root)
    await world.advance(days=5)
    call = orgs(world, "leave_organization", account=member)
    assert "service control policy" in (await refusal(call))[1]
    await detach(world, name, root)
    await orgs(world, "leave_organization", account=member)


@told
async def test_an_organisation_for_bills_has_no_policies(world: World) -> None:
    _, root = await organization(world, FeatureSet="CONSOLIDATED_BILLING")
    for call in (policy(world, deny("sqs:*")), enable(world, root)):
        assert (await refusal(call))[0] == "PolicyTypeNotAvailableForOrganizationException"


def rcp(**more: Any) -> str:
    statement = {
        "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*", **more,
    }  # fmt: skip
    found = {key: value for key, value in statement.items() if value is not None}
    return json.dumps({"Version": "2012-10-17", "Statement": [found]})


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (SCP, "{"), (SCP, "[]"), (SCP, "{}"),
        (SCP, json.dumps({"Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]})),
        (SCP, rcp()), (SCP, rcp(Principal=None, Effect="Perhaps")),
        (RCP, rcp(Effect="Allow")), (RCP, rcp(Principal={"AWS": "*"})),
        (RCP, rcp(Action="*")), (RCP, rcp(Action="ec2:RunInstances")),
        (RCP, rcp(Action=None, NotAction="s3:GetObject")), (RCP, rcp(Resource=None)),
        ("TAG_POLICY", json.dumps({"plans": {}})), ("TAG_POLICY", json.dumps({"tags": []})),
        ("BACKUP_POLICY", "{}"), ("GUARDDUTY_POLICY", json.dumps({"x": 1})),
    ],
)  # fmt: skip
def test_a_document_that_is_none_of_its_type_is_refused(kind: str, content: str) -> None:
    with pytest.raises(MalformedPolicyDocument):
        check_content(kind, content)


@pytest.mark.parametrize("kind", sorted(set(TYPES) - {"S3_POLICY"}))
def test_a_document_is_as_long_as_its_type_lets_it(kind: str) -> None:
    member = TYPES[kind].member or "x"
    content = json.dumps({member: {}})
    if kind in (SCP, RCP):
        content = deny("s3:*") if kind == SCP else rcp()
    most = content.ljust(TYPES[kind].chars_max)
    check_content(kind, most)
    with pytest.raises(ConstraintViolation):
        check_content(kind, f"{most} ")
