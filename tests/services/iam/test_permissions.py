"""IAM guards itself: with the ARN, the tags and the boundary of what an operation touches."""

from __future__ import annotations

from typing import Any

import pytest

from doppio.kernel.identity import Caller
from doppio.wire.errors import AccessDenied
from tests.services.world import ACCOUNT, OTHER, World, refusal, refused, told

from .helpers import READ_ONLY, document, iam, role, trust, user


def arn(rest: str) -> str:
    """An ARN of the account's."""
    return f"arn:aws:iam::{ACCOUNT}:{rest}"


async def may(world: World, caller: Caller, method: str, **req: Any) -> bool:
    """Whether the caller may do this with IAM."""
    try:
        await world.call("iam", method, caller=caller, **req)
    except AccessDenied:
        return False
    return True


@told
async def test_a_path_is_part_of_what_a_policy_speaks_of(world: World) -> None:
    for name, path in (("alice", "/bar/"), ("bob", "/till/")):
        await iam(world, "create_user", UserName=name, Path=path)
    boss = await user(world, "boss", document("iam:*", resource=arn("user/bar/*")))
    assert await may(world, boss, "tag_user", UserName="alice", Tags=[{"Key": "a", "Value": "b"}])
    assert await refusal(world.call("iam", "get_user", caller=boss, UserName="bob")) == (
        "AccessDeniedException",
        (
            f"User: {boss.arn} is not authorized to perform: iam:GetUser on resource: "
            f"{arn('user/till/bob')} because no identity-based policy allows the iam:GetUser action"
        ),
    )
    assert await may(world, boss, "create_user", UserName="carol", Path="/bar/")
    assert not await may(world, boss, "create_user", UserName="dave")
    assert await may(world, boss, "list_users", PathPrefix="/bar/")
    assert not await may(world, boss, "list_users")


@told
async def test_moving_a_user_takes_the_permission_at_both_ends(world: World) -> None:
    await iam(world, "create_user", UserName="alice", Path="/bar/")
    boss = await user(world, "boss", document("iam:UpdateUser", resource=arn("user/bar/*")))
    assert not await may(world, boss, "update_user", UserName="alice", NewPath="/till/")
    assert await may(world, boss, "update_user", UserName="alice", NewUserName="eve")


@told
async def test_groups_and_profiles_are_what_their_operations_act_on(world: World) -> None:
    await iam(world, "create_group", GroupName="bar")
    await iam(world, "create_instance_profile", InstanceProfileName="machine")
    await role(world)
    boss = await user(
        world, "boss",
        document("iam:*", resource=arn("group/bar")),
        document("iam:AddRole*", resource=arn("instance-profile/machine")),
    )  # fmt: skip
    assert await may(world, boss, "add_user_to_group", GroupName="bar", UserName="boss")
    assert await may(world, boss, "remove_user_from_group", GroupName="bar", UserName="boss")
    named = {"InstanceProfileName": "machine", "RoleName": "brewing"}
    _, text = await refusal(world.call("iam", "add_role_to_instance_profile", caller=boss, **named))
    assert f"iam:PassRole on resource: {arn('role/brewing')}" in text
    passing = document(
        "iam:PassRole", resource=arn("role/brewing"),
        Condition={"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
    )  # fmt: skip
    await iam(world, "put_user_policy", UserName="boss", PolicyName="pass", PolicyDocument=passing)
    key = (await iam(world, "create_access_key", UserName="boss"))["AccessKey"]
    assert await may(world, await world.who(key), "add_role_to_instance_profile", **named)


@told
async def test_tags_decide_where_a_policy_asks_for_them(world: World) -> None:
    for name in ("early", "late"):
        await iam(world, "create_user", UserName=name, Tags=[{"Key": "Shift", "Value": name}])
    boss = await user(
        world, "boss",
        document("iam:GetUser", Condition={"StringEquals": {"iam:ResourceTag/shift": "early"}}),
        document("iam:CreateUser", Condition={"StringEquals": {"aws:RequestTag/shift": "early"}}),
        document(
            "iam:UntagUser",
            Condition={"ForAllValues:StringEquals": {"aws:TagKeys": ["other"]}},
        ),
    )  # fmt: skip
    assert await may(world, boss, "get_user", UserName="early")
    assert not await may(world, boss, "get_user", UserName="late")
    tag = {"Key": "shift", "Value": "early"}
    assert await may(world, boss, "create_user", UserName="new", Tags=[tag])
    assert not await may(world, boss, "create_user", UserName="newer")
    assert await may(world, boss, "untag_user", UserName="early", TagKeys=["other"])
    assert not await may(world, boss, "untag_user", UserName="early", TagKeys=["Shift"])


@told
async def test_administration_is_delegated_under_a_boundary(world: World) -> None:
    made = await iam(world, "create_policy", PolicyName="edge", PolicyDocument=document("sqs:*"))
    edge = made["Policy"]["Arn"]
    within = {"StringEquals": {"iam:PermissionsBoundary": edge}}
    boss = await user(
        world, "boss",
        document("iam:CreateUser", "iam:PutUserPolicy", "iam:AttachUserPolicy", Condition=within),
    )  # fmt: skip
    assert not await may(world, boss, "create_user", UserName="free")
    assert await may(world, boss, "create_user", UserName="bound", PermissionsBoundary=edge)
    await iam(world, "create_user", UserName="free")
    new = {"PolicyName": "p", "PolicyDocument": document("s3:*")}
    assert await may(world, boss, "put_user_policy", UserName="bound", **new)
    assert not await may(world, boss, "put_user_policy", UserName="free", **new)


@told
async def test_which_policy_may_be_attached_is_a_condition(world: World) -> None:
    only = {"ArnEquals": {"iam:PolicyARN": READ_ONLY}}
    boss = await user(world, "boss", document("iam:AttachUserPolicy", Condition=only))
    admin = "arn:aws:iam::aws:policy/AdministratorAccess"
    assert await may(world, boss, "attach_user_policy", UserName="boss", PolicyArn=READ_ONLY)
    assert not await may(world, boss, "attach_user_policy", UserName="boss", PolicyArn=admin)


@told
async def test_who_may_not_look_does_not_learn_what_is_there(world: World) -> None:
    nobody = await user(world, "nobody")
    for name in ("nobody", "none"):
        error = await refused(world.call("iam", "get_user", caller=nobody, UserName=name))
        assert error.status == 403


@told
async def test_without_a_name_one_acts_on_oneself(world: World) -> None:
    own = arn("user/bar/${aws:username}")
    await iam(world, "create_user", UserName="alice", Path="/bar/")
    await iam(
        world, "put_user_policy", UserName="alice", PolicyName="own",
        PolicyDocument=document("iam:GetUser", "iam:*AccessKey*", resource=own),
    )  # fmt: skip
    key = (await iam(world, "create_access_key", UserName="alice"))["AccessKey"]
    alice = await world.who(key)
    mine = await world.call("iam", "get_user", caller=alice)
    assert mine["User"]["UserName"] == "alice"
    assert await may(world, alice, "create_access_key")
    keys = await world.call("iam", "list_access_keys", caller=alice)
    assert len(keys["AccessKeyMetadata"]) == 2
    assert not await may(world, alice, "list_access_keys", UserName="nobody")
    root = await iam(world, "get_user")
    assert root["User"]["Arn"] == arn("root")
    assert await refusal(
        world.call("iam", "get_user", caller=await session(world, await role(world)))
    ) == ("ValidationError", "Must specify userName when calling with non-User credentials")


async def session(world: World, role_arn: str) -> Caller:
    """A session of a role that may do everything."""
    name = role_arn.rpartition("/")[2]
    await iam(
        world, "put_role_policy", RoleName=name, PolicyName="all", PolicyDocument=document("*")
    )
    got = await world.call("sts", "assume_role", RoleArn=role_arn, RoleSessionName="shift")
    return await world.who(got["Credentials"])


@told
async def test_a_users_own_temporary_credentials_do_not_reach_iam(world: World) -> None:
    boss = await user(world, "boss", document("*"))
    for method, more in (("get_session_token", {}), (
        "get_federation_token", {"Name": "guest", "Policy": document("*")},
    )):  # fmt: skip
        got = await world.call("sts", method, caller=boss, **more)
        temporary = await world.who(got["Credentials"])
        assert await refusal(world.call("iam", "list_users", caller=temporary)) == (
            "InvalidClientTokenId", "The security token included in the request is invalid.",
        )  # fmt: skip
    await world.call("iam", "list_users", caller=await session(world, await role(world)))


@told
async def test_another_accounts_policies_are_not_ours(world: World) -> None:
    made = await world.call(
        "iam", "create_policy", account=OTHER, PolicyName="theirs", PolicyDocument=document("*")
    )
    theirs = made["Policy"]["Arn"]
    await iam(world, "create_user", UserName="alice")
    for method, member in (
        ("attach_user_policy", "PolicyArn"), ("put_user_permissions_boundary", "PermissionsBoundary"),
    ):  # fmt: skip
        error = await refused(iam(world, method, UserName="alice", **{member: theirs}))
        assert (error.status, error.message) == (403, "Policy is outside your own account.")
    assert not await may(world, await user(world, "boss", document("*")), "get_policy",
                         PolicyArn=theirs)  # fmt: skip
    assert await refusal(
        iam(world, "attach_user_policy", UserName="alice", PolicyArn="arn:aws:s3:::a-bucket-there")
    ) == ("InvalidInput", "ARN arn:aws:s3:::a-bucket-there is not valid.")


SOMEBODY = {"AWS": ACCOUNT}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (trust({"AWS": arn("user/nobody")}),
         f'Invalid principal in policy: "AWS":"{arn("user/nobody")}"'),
        (trust({"AWS": arn("role/*")}), f'Invalid principal in policy: "AWS":"{arn("role/*")}"'),
        (trust({"AWS": "everybody"}), 'Invalid principal in policy: "AWS":"everybody"'),
        (trust({"Service": "nobody"}), 'Invalid principal in policy: "SERVICE":"nobody"'),
        (trust(SOMEBODY).replace("sts:AssumeRole", "s3:GetObject"),
         "AssumeRole policy may only specify STS AssumeRole actions."),
        (trust(SOMEBODY).replace('"Action"', '"Resource": "*", "Action"'),
         "Has prohibited field Resource"),
        (document("sts:AssumeRole"), "Missing required field Principal"),
        ("{", "This policy contains invalid Json"),
    ],
)  # fmt: skip
def test_a_trust_policy_names_principals_that_are_there(text: str, says: str) -> None:
    @told
    async def story(world: World) -> None:
        assert await refusal(
            iam(world, "create_role", RoleName="r", AssumeRolePolicyDocument=text)
        ) == ("MalformedPolicyDocument", says)

    story()


@told
async def test_a_trust_policy_may_name_all_kinds_of_principals(world: World) -> None:
    await world.call("iam", "create_user", account=OTHER, UserName="guest", Path="/far/")
    for number, principal in enumerate((
        "*", {"AWS": ["*", OTHER, f"arn:aws:iam::{OTHER}:user/far/guest"]},
        {"AWS": f"arn:aws:iam::{OTHER}:root"}, {"Service": ["ec2.amazonaws.com"]},
        {"Federated": "cognito-identity.amazonaws.com"},
        {"AWS": f"arn:aws:sts::{OTHER}:assumed-role/r/shift"},
    )):  # fmt: skip
        await role(world, f"r{number}", principal)
    assert len((await iam(world, "list_roles"))["Roles"]) == 6
    error = await refused(
        iam(
            world, "update_assume_role_policy", RoleName="r0",
            PolicyDocument=trust({"AWS": f"arn:aws:iam::{OTHER}:user/guest"}),
        )
    )  # fmt: skip
    assert error.code == "MalformedPolicyDocument"
