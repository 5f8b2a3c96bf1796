"""Signing in by name, password and MFA code, and what it leaves behind."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from doppio.kernel.identity import Caller
from doppio.services.iam.sign_in import sign_in
from tests.services.crashes import Told, crash_everywhere
from tests.services.world import ACCOUNT, World, refusal, refused, told

from .helpers import document, iam, user
from .test_mfa_devices import PRESENT, SERIAL, device, enable

PASSWORD = "Long enough 1"
WRONG = ("SignInRefused", "Your authentication information is incorrect. Please try again.")


async def enter(world: World, **form: Any) -> dict[str, Any]:
    """Sign in as alice."""
    asked = {"account": ACCOUNT, "user": "alice", "password": PASSWORD, **form}
    return await sign_in(world.cloud.context_for("", "us-east-1"), asked)


async def entered(world: World, **form: Any) -> Caller:
    """Alice, signed in."""
    return await world.who(await enter(world, **form))


async def alice(world: World, *policies: str, **more: Any) -> None:
    """A user with a password."""
    await user(world, "alice", *policies)
    await iam(world, "create_login_profile", UserName="alice", Password=PASSWORD, **more)


@told
async def test_name_and_password_let_in_for_twelve_hours(world: World) -> None:
    await alice(world, document("sqs:ListQueues", "iam:GetUser"))
    got = await enter(world)
    assert got["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/alice"
    assert got["Expiration"] == (world.now + timedelta(hours=12)).isoformat()
    session = await world.who(got)
    assert (session.arn, session.kind) == (got["Arn"], "user")
    await world.call("sqs", "list_queues", caller=session)
    # The console may ask IAM, which a session of GetSessionToken may not without MFA.
    mine = await world.call("iam", "get_user", caller=session)
    assert mine["User"]["PasswordLastUsed"] == world.now
    assert (
        await refused(world.call("sqs", "create_queue", caller=session, QueueName="q"))
    ).status == 403
    await iam(world, "create_account_alias", AccountAlias="harbour")
    assert (await enter(world, account="harbour"))["Arn"] == got["Arn"]


@told
async def test_what_is_wrong_is_not_told(world: World) -> None:
    await alice(world)
    await iam(world, "create_user", UserName="bob")
    for form in (
        {"password": "Long enough 2"}, {"user": "bob"}, {"user": "nobody"}, {"user": "Alice"},
        {"account": "111111111111"}, {"account": "nowhere"}, {"password": ""},
    ):  # fmt: skip
        assert await refusal(enter(world, **form)) == WRONG
    got = (await iam(world, "get_user", UserName="alice"))["User"]
    assert "PasswordLastUsed" not in got


@told
async def test_who_has_an_mfa_device_shows_its_code_once(world: World) -> None:
    await alice(world, document("sqs:ListQueues", Condition=PRESENT))
    assert (
        await refused(world.call("sqs", "list_queues", caller=await entered(world)))
    ).status == 403
    phone = await device(world)
    await enable(world, phone, "alice")
    assert await refusal(enter(world)) == (
        "SignInRefused", "Multi-factor authentication is required: enter an MFA code.",
    )  # fmt: skip
    world.host.run_to(world.host.seconds() + 60)
    code = phone.code()
    assert await refusal(enter(world, password="Long enough 2", code=code)) == WRONG
    session = await entered(world, code=code)
    assert session.session["aws:multifactorauthpresent"] == "true"
    await world.call("sqs", "list_queues", caller=session)
    for used in (code, "000000"):
        assert await refusal(enter(world, code=used)) == WRONG
    await iam(world, "deactivate_mfa_device", UserName="alice", SerialNumber=SERIAL)
    assert await entered(world)


@told
async def test_a_password_expires_in_cloud_time_and_is_then_changed(world: World) -> None:
    await alice(world)
    await iam(
        world, "update_account_password_policy", MaxPasswordAge=90, PasswordReusePrevention=1,
        AllowUsersToChangePassword=True,
    )  # fmt: skip
    await world.advance(days=89)
    assert await entered(world)
    await world.advance(days=1)
    must = ("SignInRefused", "You must change your password to continue.")
    assert await refusal(enter(world)) == must
    assert await refusal(enter(world, new_password=PASSWORD)) == (
        "PasswordPolicyViolation", "Password should not be a previously used password",
    )  # fmt: skip
    assert await entered(world, new_password="Long enough 2")
    assert await refusal(enter(world)) == WRONG
    assert await entered(world, password="Long enough 2")
    # One that nobody may renew is the administrator's to reset.
    await iam(
        world, "update_account_password_policy", MaxPasswordAge=90, HardExpiry=True,
        AllowUsersToChangePassword=True,
    )  # fmt: skip
    await world.advance(days=90)
    hard = enter(world, password="Long enough 2", new_password="Long enough 3")
    assert await refusal(hard) == (
        "SignInRefused", "Your password has expired. Ask your administrator to reset it.",
    )  # fmt: skip
    await iam(world, "update_login_profile", UserName="alice", Password=PASSWORD)
    assert await entered(world)


@told
async def test_a_password_that_somebody_else_chose_is_changed_by_who_may(world: World) -> None:
    await alice(world, PasswordResetRequired=True)
    assert (await refusal(enter(world)))[1] == "You must change your password to continue."
    error = await refused(enter(world, new_password="Long enough 2"))
    assert (error.status, "iam:ChangePassword" in error.message) == (403, True)
    await iam(world, "update_account_password_policy", AllowUsersToChangePassword=True)
    assert await entered(world, new_password="Long enough 2")
    profile = (await iam(world, "get_login_profile", UserName="alice"))["LoginProfile"]
    assert profile["PasswordResetRequired"] is False


@told
async def test_the_last_use_is_told_and_the_first_of_five_minutes_counts(world: World) -> None:
    await alice(world)
    first = world.now
    await enter(world)
    await world.advance(minutes=4)
    await enter(world)
    listed = (await iam(world, "list_users"))["Users"]
    assert [one["PasswordLastUsed"] for one in listed] == [first]
    await world.advance(minutes=1)
    await enter(world)
    got = (await iam(world, "get_user", UserName="alice"))["User"]
    assert got["PasswordLastUsed"] == world.now
    await iam(world, "generate_credential_report")
    await world.settle()
    content = (await iam(world, "get_credential_report"))["Content"].decode()
    assert content.splitlines()[2].split(",")[4] == world.now.strftime("%Y-%m-%dT%H:%M:%S+00:00")


@told
async def test_a_session_ends_with_its_user_and_its_time(world: World) -> None:
    await alice(world)
    got = await enter(world)
    await world.advance(hours=12)
    error = await refused(world.who(got))
    assert error.code == "ExpiredToken"
    got = await enter(world)
    await iam(world, "delete_login_profile", UserName="alice")
    assert await world.who(got)
    await iam(world, "delete_user", UserName="alice")
    assert (await refused(world.who(got))).code == "InvalidClientTokenId"


def test_a_crash_while_somebody_signs_in_leaves_a_password_that_works() -> None:
    async def prepare(world: World, told: Told) -> None:
        await alice(world, document("iam:ChangePassword"), PasswordResetRequired=True)

    async def work(world: World, told: Told) -> None:
        told["made"] = await enter(world, new_password="Long enough 2")

    async def check(world: World, told: Told) -> None:
        if "made" not in told:
            old = await refused(enter(world))
            if old.message == "You must change your password to continue.":
                return
        assert await entered(world, password="Long enough 2")

    assert crash_everywhere(prepare, work, check) >= 2


@told
async def test_a_sign_in_lasts_as_long_as_the_users_profile_says(world: World) -> None:
    await alice(world, MaxSigninSessionDuration=3_600)
    short = await enter(world)
    assert short["Expiration"] == (world.now + timedelta(hours=1)).isoformat()
    shown = await iam(world, "get_login_profile", UserName="alice")
    assert shown["LoginProfile"]["MaxSigninSessionDuration"] == 3_600
    # Ninety days, for sessions from now on; the password and the rest stay as they are.
    await iam(world, "update_login_profile", UserName="alice", MaxSigninSessionDuration=7_776_000)
    long = await enter(world)
    await world.advance(hours=2)
    assert (await refused(world.who(short))).code == "ExpiredToken"
    await world.advance(days=80)
    assert (await world.who(long)).kind == "user"
    both = iam(
        world, "update_login_profile", UserName="alice", MaxSigninSessionDuration=3_600,
        ResetMaxSigninSessionDuration=True,
    )  # fmt: skip
    code, text = await refusal(both)
    assert code == "InvalidInput"
    assert text.startswith("You cannot specify MaxSigninSessionDuration and set Reset")
    await iam(world, "update_login_profile", UserName="alice", ResetMaxSigninSessionDuration=True)
    shown = await iam(world, "get_login_profile", UserName="alice")
    assert "MaxSigninSessionDuration" not in shown["LoginProfile"]
    assert (await enter(world))["Expiration"] == (world.now + timedelta(hours=12)).isoformat()
    for seconds in (3_599, 7_776_001):
        asked = iam(
            world, "update_login_profile", UserName="alice", MaxSigninSessionDuration=seconds
        )
        assert (await refused(asked)).code == "ValidationException"


@told
async def test_who_signs_in_to_govcloud_is_another_there(world: World) -> None:
    region = "us-gov-west-1"
    await alice(world)
    asked = {"account": ACCOUNT, "user": "alice", "password": PASSWORD, "region": region}
    assert (await refusal(enter(world, **asked))) == WRONG
    await world.call("iam", "create_user", region=region, UserName="alice")
    await world.call(
        "iam", "create_login_profile", region=region, UserName="alice", Password="Another long 2"
    )
    got = await enter(world, **{**asked, "password": "Another long 2"})
    assert got["Arn"] == f"arn:aws-us-gov:iam::{ACCOUNT}:user/alice"
    assert (await world.who(got, "aws-us-gov")).arn == got["Arn"]
    assert (await refused(world.who(got))).code == "InvalidClientTokenId"
