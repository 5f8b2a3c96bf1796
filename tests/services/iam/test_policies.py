"""Managed and inline policies: versions, attachments, and what they let people do."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

from doppio.kernel.identity import Caller
from doppio.wire.errors import AccessDenied
from tests.services.world import ACCOUNT, World, refusal, refused, told

from .helpers import READ_ONLY, as_user, document, iam, user


async def create(world: World, name: str = "menu", text: str | None = None) -> str:
    """A managed policy; its ARN."""
    made = await iam(
        world, "create_policy", PolicyName=name, PolicyDocument=text or document("sqs:*")
    )
    return str(made["Policy"]["Arn"])


async def may(world: World, caller: Caller, method: str = "list_queues", **req: Any) -> bool:
    """Whether the caller may do this with SQS."""
    try:
        await world.call("sqs", method, caller=caller, **req)
    except AccessDenied:
        return False
    return True


@told
async def test_a_policy_has_up_to_five_versions_and_one_counts(world: World) -> None:
    arn = await create(world, text=document("sqs:*"))
    assert arn == f"arn:aws:iam::{ACCOUNT}:policy/menu"
    for number in range(2, 6):
        made = await iam(
            world, "create_policy_version", PolicyArn=arn,
            PolicyDocument=document(f"sqs:Step{number}"), SetAsDefault=number == 3,
        )  # fmt: skip
        assert made["PolicyVersion"]["VersionId"] == f"v{number}"
    code, _ = await refusal(
        iam(world, "create_policy_version", PolicyArn=arn, PolicyDocument=document("sqs:*"))
    )
    assert code == "LimitExceeded"
    assert (await iam(world, "get_policy", PolicyArn=arn))["Policy"]["DefaultVersionId"] == "v3"
    shown = await iam(world, "get_policy_version", PolicyArn=arn, VersionId="v3")
    assert json.loads(unquote(shown["PolicyVersion"]["Document"])) == json.loads(
        document("sqs:Step3")
    )
    assert (
        await refused(iam(world, "delete_policy_version", PolicyArn=arn, VersionId="v3"))
    ).code == "DeleteConflict"
    await iam(world, "set_default_policy_version", PolicyArn=arn, VersionId="v1")
    await iam(world, "delete_policy_version", PolicyArn=arn, VersionId="v3")
    got = await iam(world, "list_policy_versions", PolicyArn=arn)
    assert [one["VersionId"] for one in got["Versions"]] == ["v5", "v4", "v2", "v1"]
    # Numbers are not used again.
    made = await iam(
        world, "create_policy_version", PolicyArn=arn, PolicyDocument=document("sqs:*")
    )
    assert made["PolicyVersion"]["VersionId"] == "v6"


@told
async def test_an_attached_policy_is_not_deleted_and_knows_whom_it_serves(world: World) -> None:
    arn = await create(world)
    await iam(world, "create_user", UserName="alice")
    await iam(world, "create_group", GroupName="bar")
    await iam(world, "attach_user_policy", UserName="alice", PolicyArn=arn)
    await iam(world, "attach_group_policy", GroupName="bar", PolicyArn=arn)
    assert (await iam(world, "get_policy", PolicyArn=arn))["Policy"]["AttachmentCount"] == 2
    got = await iam(world, "list_entities_for_policy", PolicyArn=arn)
    assert [one["UserName"] for one in got["PolicyUsers"]] == ["alice"]
    assert [one["GroupName"] for one in got["PolicyGroups"]] == ["bar"]
    error = await refused(iam(world, "delete_policy", PolicyArn=arn))
    assert error.code == "DeleteConflict"
    await iam(world, "detach_user_policy", UserName="alice", PolicyArn=arn)
    await iam(world, "detach_group_policy", GroupName="bar", PolicyArn=arn)
    assert (
        await refused(iam(world, "detach_user_policy", UserName="alice", PolicyArn=arn))
    ).code == "NoSuchEntity"
    await iam(world, "delete_policy", PolicyArn=arn)
    assert await refusal(iam(world, "get_policy", PolicyArn=arn)) == (
        "NoSuchEntity", f"Policy {arn} was not found.",
    )  # fmt: skip


@told
async def test_awss_own_policies_are_there_and_cannot_be_changed(world: World) -> None:
    shown = (await iam(world, "get_policy", PolicyArn=READ_ONLY))["Policy"]
    assert shown["PolicyName"] == "ReadOnlyAccess"
    version = await iam(
        world, "get_policy_version", PolicyArn=READ_ONLY, VersionId=shown["DefaultVersionId"]
    )
    assert "s3:Get*" in unquote(version["PolicyVersion"]["Document"])
    error = await refused(iam(world, "delete_policy", PolicyArn=READ_ONLY))
    assert (error.status, error.message) == (403, "Policy is outside your own account.")
    local = await iam(world, "list_policies", Scope="Local")
    assert local["Policies"] == []
    theirs = await iam(world, "list_policies", Scope="AWS", MaxItems=10)
    assert len(theirs["Policies"]) == 10
    assert theirs["IsTruncated"]


@told
async def test_nothing_is_allowed_until_a_policy_says_so_and_a_denial_wins(world: World) -> None:
    barista = await user(world)
    assert not await may(world, barista)
    await iam(
        world, "put_user_policy", UserName="barista", PolicyName="p",
        PolicyDocument=document("sqs:List*"),
    )  # fmt: skip
    assert await may(world, await as_user(world))
    await iam(
        world, "put_user_policy", UserName="barista", PolicyName="q",
        PolicyDocument=document("sqs:ListQueues", effect="Deny"),
    )  # fmt: skip
    assert not await may(world, await as_user(world))
    await iam(world, "delete_user_policy", UserName="barista", PolicyName="q")
    assert await may(world, await as_user(world))


@told
async def test_a_user_may_what_its_groups_may(world: World) -> None:
    await user(world)
    await iam(world, "create_group", GroupName="bar")
    await iam(world, "attach_group_policy", GroupName="bar", PolicyArn=await create(world))
    assert not await may(world, await as_user(world))
    await iam(world, "add_user_to_group", GroupName="bar", UserName="barista")
    assert await may(world, await as_user(world))
    await iam(world, "remove_user_from_group", GroupName="bar", UserName="barista")
    assert not await may(world, await as_user(world))


@told
async def test_a_new_default_version_counts_at_once(world: World) -> None:
    arn = await create(world, text=document("sqs:ListQueues"))
    barista = await user(world)
    await iam(world, "attach_user_policy", UserName="barista", PolicyArn=arn)
    barista = await as_user(world)
    assert await may(world, barista)
    await iam(
        world, "create_policy_version", PolicyArn=arn, PolicyDocument=document("s3:*"),
        SetAsDefault=True,
    )  # fmt: skip
    assert not await may(world, await as_user(world))


@told
async def test_a_boundary_limits_and_never_grants(world: World) -> None:
    boundary = await create(world, "edge", document("sqs:ListQueues", "s3:*"))
    await user(world, "barista", document("sqs:*"))
    await iam(
        world, "put_user_permissions_boundary", UserName="barista", PermissionsBoundary=boundary
    )
    barista = await as_user(world)
    assert await may(world, barista)
    assert not await may(world, barista, "create_queue", QueueName="q")
    shown = (await iam(world, "get_user", UserName="barista"))["User"]
    assert shown["PermissionsBoundary"]["PermissionsBoundaryArn"] == boundary
    await iam(world, "delete_user_policy", UserName="barista", PolicyName="p0")
    assert not await may(world, await as_user(world)), "a boundary alone grants nothing"
    await iam(world, "delete_user_permissions_boundary", UserName="barista")
    assert "PermissionsBoundary" not in (await iam(world, "get_user", UserName="barista"))["User"]


@told
async def test_resources_and_conditions_narrow_a_policy(world: World) -> None:
    for name in ("orders", "till"):
        await world.call("sqs", "create_queue", QueueName=name)
    text = document(
        "sqs:SendMessage", resource=f"arn:aws:sqs:*:{ACCOUNT}:orders",
        Condition={"StringEquals": {"aws:username": "barista"}},
    )  # fmt: skip
    barista, other = await user(world, "barista", text), await user(world, "other", text)

    def url(name: str) -> str:
        return f"http://localhost:4566/{ACCOUNT}/{name}"

    assert await may(world, barista, "send_message", QueueUrl=url("orders"), MessageBody="x")
    assert not await may(world, barista, "send_message", QueueUrl=url("till"), MessageBody="x")
    assert not await may(world, other, "send_message", QueueUrl=url("orders"), MessageBody="x")


@told
async def test_inline_policies_come_back_as_they_were_put(world: World) -> None:
    await user(world, "barista", document("sqs:*"))
    got = await iam(world, "get_user_policy", UserName="barista", PolicyName="p0")
    assert json.loads(unquote(got["PolicyDocument"])) == json.loads(document("sqs:*"))
    assert (await iam(world, "list_user_policies", UserName="barista"))["PolicyNames"] == ["p0"]
    assert await refusal(iam(world, "get_user_policy", UserName="barista", PolicyName="none")) == (
        "NoSuchEntity",
        "The user policy with name none cannot be found.",
    )
    huge = document(*(f"sqs:Action{number}" for number in range(400)))
    error = await refused(
        iam(world, "put_user_policy", UserName="barista", PolicyName="huge", PolicyDocument=huge)
    )
    assert error.code == "LimitExceeded"


@told
async def test_what_is_no_policy_is_refused_wherever_one_is_given(world: World) -> None:
    await iam(world, "create_user", UserName="anna")
    older = document("sqs:*").replace("2012-10-17", "2008-10-17")
    whole = {"PolicyName": "other"}
    inline = {"UserName": "anna", "PolicyName": "menu"}
    said = "Policy document must be version 2012-10-17 or greater."
    assert await refusal(iam(world, "create_policy", **whole, PolicyDocument=older)) == (
        "MalformedPolicyDocument", said
    )  # fmt: skip
    arn = await create(world, text=document("sqs:*"))
    assert (
        await refusal(iam(world, "create_policy_version", PolicyArn=arn, PolicyDocument=older))
    )[1] == said
    await iam(world, "put_user_policy", **inline, PolicyDocument=older)
    broken = document("sqs:*").replace('"*"', '"arn:aws:s3::cafe"')
    for method, names in (("create_policy", whole), ("put_user_policy", inline)):
        assert await refusal(iam(world, method, **names, PolicyDocument=broken)) == (
            "MalformedPolicyDocument", "The policy failed legacy parsing",
        )  # fmt: skip
    kept = await iam(world, "get_user_policy", UserName="anna", PolicyName="menu")
    assert json.loads(unquote(kept["PolicyDocument"]))["Version"] == "2008-10-17"
