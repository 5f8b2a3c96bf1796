"""Users, groups and roles: their lives, their names, and what stands in the way of their end."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import unquote

import pytest

from tests.services.world import ACCOUNT, World, refusal, refused, run, told

from .helpers import READ_ONLY, document, iam, role, trust


@told
async def test_a_user_lives_under_its_name_path_and_id(world: World) -> None:
    made = (await iam(world, "create_user", UserName="alice", Path="/bar/"))["User"]
    assert made["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/bar/alice"
    assert made["UserId"].startswith("AIDA")
    assert made["CreateDate"] == world.now
    assert (await iam(world, "get_user", UserName="alice"))["User"] == made
    await iam(world, "update_user", UserName="alice", NewUserName="eve", NewPath="/till/")
    moved = (await iam(world, "get_user", UserName="eve"))["User"]
    assert (moved["UserId"], moved["Path"]) == (made["UserId"], "/till/")
    assert await refusal(iam(world, "get_user", UserName="alice")) == (
        "NoSuchEntity", "The user with name alice cannot be found.",
    )  # fmt: skip
    await iam(world, "delete_user", UserName="eve")
    assert (await iam(world, "list_users"))["Users"] == []


@told
async def test_a_name_is_taken_once(world: World) -> None:
    await iam(world, "create_user", UserName="alice")
    assert await refusal(iam(world, "create_user", UserName="alice")) == (
        "EntityAlreadyExists", "User with name alice already exists.",
    )  # fmt: skip


@told
async def test_users_are_listed_by_path_and_page(world: World) -> None:
    for number in range(7):
        path = "/bar/" if number % 2 else "/till/"
        await iam(world, "create_user", UserName=f"u{number}", Path=path)
    first = await iam(world, "list_users", MaxItems=3)
    assert [one["UserName"] for one in first["Users"]] == ["u0", "u1", "u2"]
    assert first["IsTruncated"]
    names = []
    marker: dict[str, Any] = {}
    while True:
        got = await iam(world, "list_users", MaxItems=3, **marker)
        names += [one["UserName"] for one in got["Users"]]
        if not got["IsTruncated"]:
            break
        marker = {"Marker": got["Marker"]}
    assert names == [f"u{number}" for number in range(7)]
    bar = await iam(world, "list_users", PathPrefix="/bar/")
    assert [one["UserName"] for one in bar["Users"]] == ["u1", "u3", "u5"]
    assert (await refused(iam(world, "list_users", Marker="forged"))).status == 400


@told
async def test_a_user_with_belongings_is_not_deleted(world: World) -> None:
    await iam(world, "create_user", UserName="alice")
    await iam(world, "create_group", GroupName="baristas")
    key = (await iam(world, "create_access_key", UserName="alice"))["AccessKey"]["AccessKeyId"]
    named: dict[str, Any] = {"UserName": "alice"}
    steps: list[tuple[str, dict[str, Any], str, dict[str, Any], str]] = [
        ("put_user_policy", {"PolicyName": "p", "PolicyDocument": document("s3:*")},
         "delete_user_policy", {"PolicyName": "p"}, "must delete policies first"),
        ("attach_user_policy", {"PolicyArn": READ_ONLY},
         "detach_user_policy", {"PolicyArn": READ_ONLY}, "must detach all policies first"),
        ("add_user_to_group", {"GroupName": "baristas"},
         "remove_user_from_group", {"GroupName": "baristas"}, "must remove users from group first"),
    ]  # fmt: skip
    code, text = await refusal(iam(world, "delete_user", **named))
    assert (code, text) == (
        "DeleteConflict", "Cannot delete entity, must delete access keys first.",
    )  # fmt: skip
    await iam(world, "delete_access_key", AccessKeyId=key, **named)
    for do, with_, undo, without, says in steps:
        await iam(world, do, **named, **with_)
        code, text = await refusal(iam(world, "delete_user", **named))
        assert code == "DeleteConflict"
        assert says.split(" ")[1] in text
        await iam(world, undo, **named, **without)
    await iam(world, "delete_user", **named)


@told
async def test_a_group_has_members_once(world: World) -> None:
    for name in ("alice", "bob"):
        await iam(world, "create_user", UserName=name)
    made = (await iam(world, "create_group", GroupName="baristas"))["Group"]
    assert made["GroupId"].startswith("AGPA")
    for name in ("bob", "alice", "bob"):
        await iam(world, "add_user_to_group", GroupName="baristas", UserName=name)
    got = await iam(world, "get_group", GroupName="baristas")
    assert [one["UserName"] for one in got["Users"]] == ["alice", "bob"]
    groups = await iam(world, "list_groups_for_user", UserName="bob")
    assert [one["GroupName"] for one in groups["Groups"]] == ["baristas"]
    assert (await refused(iam(world, "delete_group", GroupName="baristas"))).code == (
        "DeleteConflict"
    )
    await iam(world, "update_group", GroupName="baristas", NewGroupName="brewers")
    groups = await iam(world, "list_groups_for_user", UserName="bob")
    assert [one["GroupName"] for one in groups["Groups"]] == ["brewers"]
    for name in ("alice", "bob"):
        await iam(world, "remove_user_from_group", GroupName="brewers", UserName=name)
    await iam(world, "delete_group", GroupName="brewers")
    assert await refusal(iam(world, "add_user_to_group", GroupName="brewers", UserName="bob")) == (
        "NoSuchEntity",
        "The group with name brewers cannot be found.",
    )


@told
async def test_a_role_shows_its_trust_as_it_was_given(world: World) -> None:
    arn = await role(world, "brewing", Description="brews", MaxSessionDuration=7200, Path="/bar/")
    assert arn == f"arn:aws:iam::{ACCOUNT}:role/bar/brewing"
    shown = (await iam(world, "get_role", RoleName="brewing"))["Role"]
    assert json.loads(unquote(shown["AssumeRolePolicyDocument"])) == json.loads(
        trust({"AWS": ACCOUNT})
    )
    assert (shown["Description"], shown["MaxSessionDuration"]) == ("brews", 7200)
    assert shown["RoleId"].startswith("AROA")
    await iam(
        world, "update_role", RoleName="brewing", Description="rests", MaxSessionDuration=3600
    )
    other = trust({"Service": "ec2.amazonaws.com"})
    await iam(world, "update_assume_role_policy", RoleName="brewing", PolicyDocument=other)
    shown = (await iam(world, "get_role", RoleName="brewing"))["Role"]
    assert shown["Description"] == "rests"
    assert json.loads(unquote(shown["AssumeRolePolicyDocument"])) == json.loads(other)


@told
async def test_a_role_in_an_instance_profile_is_not_deleted(world: World) -> None:
    await role(world)
    await role(world, "other")
    await iam(world, "create_instance_profile", InstanceProfileName="machine")
    named = {"InstanceProfileName": "machine"}
    await iam(world, "add_role_to_instance_profile", RoleName="brewing", **named)
    assert (
        await refused(iam(world, "add_role_to_instance_profile", RoleName="other", **named))
    ).code == "LimitExceeded"
    assert (await refused(iam(world, "delete_role", RoleName="brewing"))).code == "DeleteConflict"
    assert (await refused(iam(world, "delete_instance_profile", **named))).code == "DeleteConflict"
    found = await iam(world, "list_instance_profiles_for_role", RoleName="brewing")
    assert [one["InstanceProfileName"] for one in found["InstanceProfiles"]] == ["machine"]
    await iam(world, "remove_role_from_instance_profile", RoleName="brewing", **named)
    await iam(world, "delete_instance_profile", **named)
    await iam(world, "delete_role", RoleName="brewing")


@told
async def test_tags_are_put_over_old_ones_and_taken_off(world: World) -> None:
    await iam(world, "create_user", UserName="alice", Tags=[{"Key": "team", "Value": "bar"}])
    await iam(
        world, "tag_user", UserName="alice",
        Tags=[{"Key": "team", "Value": "till"}, {"Key": "shift", "Value": "early"}],
    )  # fmt: skip
    got = await iam(world, "list_user_tags", UserName="alice")
    assert {one["Key"]: one["Value"] for one in got["Tags"]} == {"shift": "early", "team": "till"}
    await iam(world, "untag_user", UserName="alice", TagKeys=["team", "none"])
    got = await iam(world, "list_user_tags", UserName="alice")
    assert got["Tags"] == [{"Key": "shift", "Value": "early"}]
    many = [{"Key": f"k{number}", "Value": ""} for number in range(51)]
    assert (await refused(iam(world, "tag_user", UserName="alice", Tags=many))).status in {400, 409}


@told
async def test_a_user_has_two_access_keys_and_no_third(world: World) -> None:
    await iam(world, "create_user", UserName="alice")
    keys = [
        (await iam(world, "create_access_key", UserName="alice"))["AccessKey"] for _ in range(2)
    ]
    assert all(len(key["SecretAccessKey"]) == 40 for key in keys)
    assert await refusal(iam(world, "create_access_key", UserName="alice")) == (
        "LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2",
    )  # fmt: skip
    await iam(
        world, "update_access_key", UserName="alice", AccessKeyId=keys[0]["AccessKeyId"],
        Status="Inactive",
    )  # fmt: skip
    got = await iam(world, "list_access_keys", UserName="alice")
    assert sorted(one["Status"] for one in got["AccessKeyMetadata"]) == ["Active", "Inactive"]
    assert all("SecretAccessKey" not in one for one in got["AccessKeyMetadata"])
    assert (await refused(world.who(keys[0]))).code == "InvalidClientTokenId"
    assert (await world.who(keys[1])).arn.endswith(":user/alice")


@told
async def test_an_account_has_one_alias(world: World) -> None:
    await iam(world, "create_account_alias", AccountAlias="the-cafe")
    await iam(world, "create_account_alias", AccountAlias="the-other-cafe")
    assert (await iam(world, "list_account_aliases"))["AccountAliases"] == ["the-other-cafe"]
    await iam(world, "delete_account_alias", AccountAlias="the-other-cafe")
    assert (await iam(world, "list_account_aliases"))["AccountAliases"] == []


@told
async def test_the_account_is_summed_up(world: World) -> None:
    await iam(world, "create_user", UserName="alice")
    await role(world)
    summary = (await iam(world, "get_account_summary"))["SummaryMap"]
    assert (summary["Users"], summary["Roles"], summary["Groups"]) == (1, 1, 0)
    assert summary["AccessKeysPerUserQuota"] == 2


@pytest.mark.parametrize(
    ("method", "req"),
    [
        ("create_user", {"UserName": "with space"}),
        ("create_user", {"UserName": "x" * 65}),
        ("create_user", {"UserName": "x", "Path": "no-slash"}),
        ("create_role", {"RoleName": "r", "AssumeRolePolicyDocument": "{"}),
        ("create_role", {"RoleName": "r", "AssumeRolePolicyDocument": document("sts:AssumeRole")}),
        ("create_role", {"RoleName": "r", "AssumeRolePolicyDocument": trust("*"),
                         "MaxSessionDuration": 60}),
        ("create_policy", {"PolicyName": "p", "PolicyDocument": "{}"}),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(method: str, req: dict[str, Any]) -> None:
    async def story(world: World) -> None:
        error = await refused(iam(world, method, **req))
        assert error.status == 400
        assert error.code in {"ValidationException", "ValidationError", "MalformedPolicyDocument",
                              "InvalidInput"}  # fmt: skip

    run(story)


@told
async def test_accounts_do_not_see_each_other(world: World) -> None:
    await iam(world, "create_user", UserName="alice")
    other = await world.call("iam", "list_users", account="111111111111")
    assert other["Users"] == []
    await world.call("iam", "create_user", account="111111111111", UserName="alice")


@told
async def test_two_creations_at_once_make_one(world: World) -> None:
    made = await asyncio.gather(
        *(iam(world, "create_user", UserName="alice") for _ in range(5)), return_exceptions=True
    )
    assert sum(isinstance(one, dict) for one in made) == 1
    assert len((await iam(world, "list_users"))["Users"]) == 1


@told
async def test_everything_is_there_after_a_crash(world: World) -> None:
    await iam(world, "create_user", UserName="alice")
    await role(world)
    key = (await iam(world, "create_access_key", UserName="alice"))["AccessKey"]
    again = world.again()
    await again.start()
    assert (await again.who(key)).arn == f"arn:aws:iam::{ACCOUNT}:user/alice"
    assert (await iam(again, "get_role", RoleName="brewing"))["Role"]["RoleName"] == "brewing"
    await again.close()


@told
async def test_how_long_sign_ins_with_a_role_last_is_refused_since_nobody_signs_in_so(
    world: World,
) -> None:
    await role(world, "brewing")
    for method in ("update_role", "create_role"):
        more = {"AssumeRolePolicyDocument": trust({"AWS": ACCOUNT})} if "create" in method else {}
        asked = iam(world, method, RoleName="brewing", MaxSigninSessionDuration=3_600, **more)
        assert (await refused(asked)).code == "NotImplemented"
    # What is unset may be cleared.
    await iam(world, "update_role", RoleName="brewing", ResetMaxSigninSessionDuration=True)
