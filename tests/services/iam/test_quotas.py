"""IAM's quotas, names that differ in case alone, and lists that are narrowed and paged."""

from __future__ import annotations

from typing import Any

import pytest

from doppio.services.iam import limits
from tests.services.world import ACCOUNT, World, refusal, refused, told

from .helpers import READ_ONLY, document, iam, role, trust

MAKING: list[tuple[str, str, dict[str, Any], str, str]] = [
    ("create_user", "UserName", {}, "UsersPerAccount", "USERS_MAX"),
    ("create_group", "GroupName", {}, "GroupsPerAccount", "GROUPS_MAX"),
    ("create_role", "RoleName", {"AssumeRolePolicyDocument": trust("*")}, "RolesPerAccount",
     "ROLES_MAX"),
    ("create_policy", "PolicyName", {"PolicyDocument": document("s3:*")}, "PoliciesPerAccount",
     "POLICIES_MAX"),
    ("create_instance_profile", "InstanceProfileName", {}, "InstanceProfilesPerAccount",
     "INSTANCE_PROFILES_MAX"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "member", "more", "quota", "limit"), MAKING)
def test_an_account_has_room_for_so_many(
    monkeypatch: pytest.MonkeyPatch, method: str, member: str, more: dict[str, Any], quota: str,
    limit: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(limits, limit, 2)

    @told
    async def story(world: World) -> None:
        for name in ("one", "two"):
            await iam(world, method, **{member: name}, **more)
        assert await refusal(iam(world, method, **{member: "three"}, **more)) == (
            "LimitExceeded", f"Cannot exceed quota for {quota}: 2",
        )  # fmt: skip
        # Another account has room of its own.
        three: dict[str, Any] = {member: "three", **more}
        await world.call("iam", method, account="111111111111", **three)

    story()


@pytest.mark.parametrize(("method", "member", "more", "quota", "limit"), MAKING)
def test_names_that_differ_in_case_alone_are_taken(
    method: str, member: str, more: dict[str, Any], quota: str, limit: str
) -> None:
    @told
    async def story(world: World) -> None:
        await iam(world, method, **{member: "Alice"}, **more)
        error = await refused(iam(world, method, **{member: "ALICE"}, **more))
        assert error.code == "EntityAlreadyExists"
        assert "ALICE" in error.message

    story()


@told
async def test_a_user_and_a_group_may_change_the_case_of_their_names(world: World) -> None:
    await iam(world, "create_user", UserName="alice")
    await iam(world, "create_group", GroupName="bar")
    await iam(world, "add_user_to_group", GroupName="bar", UserName="alice")
    await iam(world, "update_user", UserName="alice", NewUserName="Alice")
    await iam(world, "update_group", GroupName="bar", NewGroupName="Bar")
    got = await iam(world, "get_group", GroupName="Bar")
    assert [one["UserName"] for one in got["Users"]] == ["Alice"]
    assert (await refused(iam(world, "get_user", UserName="alice"))).code == "NoSuchEntity"
    await iam(world, "create_user", UserName="bob")
    error = await refused(iam(world, "update_user", UserName="bob", NewUserName="ALICE"))
    assert error.code == "EntityAlreadyExists"
    error = await refused(iam(world, "update_user", UserName="bob", NewPath="no/slash"))
    assert error.code in {"ValidationError", "ValidationException"}


@told
async def test_a_user_is_in_ten_groups_at_most(world: World) -> None:
    await iam(world, "create_user", UserName="alice")
    for number in range(11):
        await iam(world, "create_group", GroupName=f"g{number}")
    for number in (*range(10), 9):
        await iam(world, "add_user_to_group", GroupName=f"g{number}", UserName="alice")
    assert await refusal(iam(world, "add_user_to_group", GroupName="g10", UserName="alice")) == (
        "LimitExceeded",
        "Cannot exceed quota for GroupsPerUser: 10",
    )


@told
async def test_ten_managed_policies_are_attached_at_most(world: World) -> None:
    await role(world)
    for number in range(11):
        made = await iam(
            world, "create_policy", PolicyName=f"p{number}", PolicyDocument=document("s3:*")
        )
        attach = iam(
            world, "attach_role_policy", RoleName="brewing", PolicyArn=made["Policy"]["Arn"]
        )
        if number < 10:
            await attach
            continue
        assert await refusal(attach) == (
            "LimitExceeded", "Cannot exceed quota for PoliciesPerRole: 10",
        )  # fmt: skip


@told
async def test_inline_policies_share_their_room(world: World) -> None:
    await iam(world, "create_user", UserName="alice")
    half = document(*(f"sqs:Action{number:03}" for number in range(60)))
    assert 1_024 < len(half.replace(" ", "")) < 2_048
    put: dict[str, Any] = {"UserName": "alice", "PolicyDocument": half}
    await iam(world, "put_user_policy", PolicyName="one", **put)
    await iam(world, "put_user_policy", PolicyName="one", **put)
    assert await refusal(iam(world, "put_user_policy", PolicyName="two", **put)) == (
        "LimitExceeded", "Maximum policy size of 2048 bytes exceeded for user alice",
    )  # fmt: skip
    spaced = document("sqs:*").replace(" ", " " * 500)
    await iam(world, "put_user_policy", UserName="alice", PolicyName="two", PolicyDocument=spaced)


@told
async def test_documents_have_their_sizes(world: World) -> None:
    huge = document(*(f"sqs:Action{number}" for number in range(500)))
    assert await refusal(iam(world, "create_policy", PolicyName="huge", PolicyDocument=huge)) == (
        "LimitExceeded",
        "Cannot exceed quota for PolicySize: 6144",
    )
    long = trust({"AWS": [ACCOUNT] * 200})
    assert await refusal(
        iam(world, "create_role", RoleName="huge", AssumeRolePolicyDocument=long)
    ) == ("LimitExceeded", "Cannot exceed quota for ACLSizePerRole: 2048")


@told
async def test_tag_keys_are_the_same_in_any_case(world: World) -> None:
    await iam(world, "create_user", UserName="alice", Tags=[{"Key": "Team", "Value": "bar"}])
    await iam(world, "tag_user", UserName="alice", Tags=[{"Key": "team", "Value": "till"}])
    got = await iam(world, "list_user_tags", UserName="alice")
    assert got["Tags"] == [{"Key": "team", "Value": "till"}]
    twice = [{"Key": key, "Value": ""} for key in ("a", "A")]
    assert await refusal(iam(world, "tag_user", UserName="alice", Tags=twice)) == (
        "InvalidInput",
        "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
    )


@told
async def test_whom_a_policy_serves_is_narrowed_and_paged(world: World) -> None:
    made = await iam(world, "create_policy", PolicyName="menu", PolicyDocument=document("s3:*"))
    arn = made["Policy"]["Arn"]
    await iam(world, "create_group", GroupName="bar")
    await iam(world, "attach_group_policy", GroupName="bar", PolicyArn=arn)
    for name, path in (("alice", "/bar/"), ("bob", "/")):
        await iam(world, "create_user", UserName=name, Path=path)
        await iam(world, "attach_user_policy", UserName=name, PolicyArn=arn)
    await role(world, PermissionsBoundary=arn)

    async def served(**more: Any) -> list[str]:
        found: list[str] = []
        marker: dict[str, Any] = {}
        while True:
            got = await iam(world, "list_entities_for_policy", PolicyArn=arn, **more, **marker)
            for kind in ("Group", "Role", "User"):
                found += [one[f"{kind}Name"] for one in got[f"Policy{kind}s"]]
            if not got["IsTruncated"]:
                return found
            marker = {"Marker": got["Marker"]}

    everybody = ["bar", "brewing", "alice", "bob"]
    assert await served() == everybody
    assert await served(MaxItems=1) == everybody
    assert await served(EntityFilter="User") == ["alice", "bob"]
    assert await served(PathPrefix="/bar/") == ["alice"]
    assert await served(PolicyUsageFilter="PermissionsBoundary") == ["brewing"]
    assert await served(PolicyUsageFilter="PermissionsPolicy") == ["bar", "alice", "bob"]
    assert (await refused(iam(world, "delete_policy", PolicyArn=arn))).code == "DeleteConflict"


@told
async def test_policies_in_use_are_listed(world: World) -> None:
    for name in ("used", "edge", "idle"):
        await iam(world, "create_policy", PolicyName=name, PolicyDocument=document("s3:*"))
    prefix = f"arn:aws:iam::{ACCOUNT}:policy/"
    await role(world, PermissionsBoundary=f"{prefix}edge")
    for arn in (f"{prefix}used", READ_ONLY):
        await iam(world, "attach_role_policy", RoleName="brewing", PolicyArn=arn)

    async def names(**more: Any) -> list[str]:
        got = await iam(world, "list_policies", **more)
        return [one["PolicyName"] for one in got["Policies"]]

    assert await names(OnlyAttached=True) == ["edge", "used", "ReadOnlyAccess"]
    assert await names(OnlyAttached=True, Scope="AWS") == ["ReadOnlyAccess"]
    assert await names(PolicyUsageFilter="PermissionsBoundary") == ["edge"]
    assert await names(Scope="Local") == ["edge", "idle", "used"]
    attached = await iam(world, "list_attached_role_policies", RoleName="brewing")
    assert len(attached["AttachedPolicies"]) == 2
    none = await iam(
        world, "list_attached_role_policies", RoleName="brewing", PathPrefix="/service-role/"
    )
    assert none["AttachedPolicies"] == []
