"""The account's password policy, and the passwords that it bears on."""

from __future__ import annotations

from typing import Any

import pytest

from tests.services.world import ACCOUNT, OTHER, World, refusal, refused, told

from .helpers import as_user, document, iam, user

GOOD = "Long enough 1!"


async def has_password(world: World, name: str = "alice") -> None:
    """A user with a password."""
    await iam(world, "create_user", UserName=name)
    await iam(world, "create_login_profile", UserName=name, Password=GOOD)


@told
async def test_a_policy_is_put_as_a_whole_read_and_taken_away(world: World) -> None:
    assert await refusal(iam(world, "get_account_password_policy")) == (
        "NoSuchEntity", f"The Password Policy with domain name {ACCOUNT} cannot be found.",
    )  # fmt: skip
    assert await refusal(iam(world, "delete_account_password_policy")) == (
        "NoSuchEntity", "The account policy with name PasswordPolicy cannot be found.",
    )  # fmt: skip
    await iam(
        world, "update_account_password_policy", MinimumPasswordLength=12, RequireSymbols=True,
        MaxPasswordAge=90, PasswordReusePrevention=3, HardExpiry=True,
    )  # fmt: skip
    got = await iam(world, "get_account_password_policy")
    assert got["PasswordPolicy"] == {
        "MinimumPasswordLength": 12, "RequireSymbols": True, "RequireNumbers": False,
        "RequireUppercaseCharacters": False, "RequireLowercaseCharacters": False,
        "AllowUsersToChangePassword": False, "ExpirePasswords": True, "MaxPasswordAge": 90,
        "PasswordReusePrevention": 3, "HardExpiry": True,
    }  # fmt: skip
    await iam(world, "update_account_password_policy", RequireNumbers=True)
    got = await iam(world, "get_account_password_policy")
    assert got["PasswordPolicy"] == {
        "MinimumPasswordLength": 6, "RequireSymbols": False, "RequireNumbers": True,
        "RequireUppercaseCharacters": False, "RequireLowercaseCharacters": False,
        "AllowUsersToChangePassword": False, "ExpirePasswords": False,
    }  # fmt: skip
    error = await refused(world.call("iam", "get_account_password_policy", account=OTHER))
    assert error.code == "NoSuchEntity"
    await iam(world, "delete_account_password_policy")
    error = await refused(iam(world, "get_account_password_policy"))
    assert (error.code, error.status) == ("NoSuchEntity", 404)


@pytest.mark.parametrize(
    ("policy", "password", "says"),
    [
        ({"MinimumPasswordLength": 20}, GOOD, "Password should have a minimum length of 20"),
        ({}, "short", "Password should have a minimum length of 6"),
        ({"RequireSymbols": True}, "Letters1 2", "Password should have at least one symbol"),
        ({"RequireNumbers": True}, "Letters!", "Password should have at least one number"),
        ({"RequireUppercaseCharacters": True}, "letters1!é",
         "Password should have at least one uppercase letter"),
        ({"RequireLowercaseCharacters": True}, "LETTERS1!",
         "Password should have at least one lowercase letter"),
    ],
)  # fmt: skip
def test_a_password_that_the_policy_forbids_is_refused_wherever_it_is_set(
    policy: dict[str, Any], password: str, says: str
) -> None:
    @told
    async def story(world: World) -> None:
        await has_password(world)
        alice = await as_user(world, "alice")
        await iam(world, "create_user", UserName="bob")
        await iam(
            world, "update_account_password_policy", AllowUsersToChangePassword=True, **policy
        )
        wrong = ("PasswordPolicyViolation", says)
        for method, name in (("create_login_profile", "bob"), ("update_login_profile", "alice")):
            assert await refusal(iam(world, method, UserName=name, Password=password)) == wrong
        assert await refusal(
            world.call(
                "iam", "change_password", caller=alice, OldPassword=GOOD, NewPassword=password
            )
        ) == wrong  # fmt: skip

    story()


@told
async def test_an_accounts_own_policy_may_ask_for_less_than_the_default_one(world: World) -> None:
    await iam(world, "create_user", UserName="alice")
    error = await refused(iam(world, "create_login_profile", UserName="alice", Password="simple"))
    assert error.code == "PasswordPolicyViolation"
    await iam(world, "update_account_password_policy")
    await iam(world, "create_login_profile", UserName="alice", Password="simple")


@told
async def test_old_passwords_are_known_again_as_far_back_as_the_policy_says(world: World) -> None:
    await has_password(world)

    async def change(password: str) -> None:
        await iam(world, "update_login_profile", UserName="alice", Password=password)

    await change(GOOD)
    await iam(world, "update_account_password_policy", PasswordReusePrevention=2)
    wrong = ("PasswordPolicyViolation", "Password should not be a previously used password")
    assert await refusal(change(GOOD)) == wrong
    await change(f"{GOOD}2")
    assert await refusal(change(GOOD)) == wrong
    await change(f"{GOOD}3")
    await change(GOOD)


@told
async def test_users_change_their_own_passwords_where_the_account_lets_them(world: World) -> None:
    await has_password(world)
    await has_password(world, "eve")
    denied = document("iam:ChangePassword", effect="Deny")
    await iam(world, "put_user_policy", UserName="eve", PolicyName="no", PolicyDocument=denied)
    alice, eve = await as_user(world, "alice"), await as_user(world, "eve")

    async def change(who: Any, old: str, new: str) -> None:
        await world.call("iam", "change_password", caller=who, OldPassword=old, NewPassword=new)

    error = await refused(change(alice, GOOD, f"{GOOD}2"))
    assert (error.status, "iam:ChangePassword" in error.message) == (403, True)
    await iam(world, "update_account_password_policy", AllowUsersToChangePassword=True)
    await change(alice, GOOD, f"{GOOD}2")
    got = await world.call("iam", "get_account_password_policy", caller=alice)
    assert got["PasswordPolicy"]["AllowUsersToChangePassword"] is True
    assert (await refused(change(eve, GOOD, f"{GOOD}2"))).status == 403
    # It is the own password alone, and no other operation.
    other = world.call("iam", "update_login_profile", caller=alice, UserName="eve", Password=GOOD)
    assert (await refused(other)).status == 403
    bob = await user(world, "bob")
    assert (await refused(change(bob, GOOD, f"{GOOD}2"))).code == "NoSuchEntity"
