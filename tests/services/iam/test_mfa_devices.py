"""MFA devices: whose they are, which codes count, and what a session with MFA may do."""

from __future__ import annotations

import base64
from typing import Any

from doppio.kernel.identity import Caller
from doppio.services.iam import totp
from tests.services.world import ACCOUNT, World, refusal, refused, told

from .helpers import document, iam, trust, user

SERIAL = f"arn:aws:iam::{ACCOUNT}:mfa/phone"
PRESENT = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}


class Phone:
    """An authenticator, with a clock that may be off."""

    def __init__(self, world: World, seed: bytes, off_seconds: float = 0) -> None:
        self.world = world
        self.seed = base64.b32decode(seed)
        self.off_seconds = off_seconds

    def code(self, later: int = 0) -> str:
        """The code that it shows now, or some steps later."""
        now = totp.step_of(self.world.host.seconds() + self.off_seconds)
        return totp.code_at(self.seed, now + later)


async def device(world: World, off_seconds: float = 0, **more: Any) -> Phone:
    """A new device, nobody's yet."""
    made = await iam(world, "create_virtual_mfa_device", VirtualMFADeviceName="phone", **more)
    return Phone(world, made["VirtualMFADevice"]["Base32StringSeed"], off_seconds)


async def enable(world: World, phone: Phone, name: str = "barista") -> None:
    """Give the device to a user."""
    await iam(
        world, "enable_mfa_device", UserName=name, SerialNumber=SERIAL,
        AuthenticationCode1=phone.code(-1), AuthenticationCode2=phone.code(),
    )  # fmt: skip


async def session(world: World, caller: Caller, phone: Phone, later: int = 1) -> dict[str, Any]:
    """A session of the user with MFA."""
    got = await world.call(
        "sts", "get_session_token", caller=caller, SerialNumber=SERIAL,
        TokenCode=phone.code(later),
    )  # fmt: skip
    found: dict[str, Any] = got["Credentials"]
    return found


@told
async def test_a_device_becomes_the_users_who_shows_its_codes(world: World) -> None:
    await user(world)
    phone = await device(world, Tags=[{"Key": "team", "Value": "bar"}])
    wrong = {"AuthenticationCode1": phone.code(), "AuthenticationCode2": phone.code(-1)}
    assert await refusal(
        iam(world, "enable_mfa_device", UserName="barista", SerialNumber=SERIAL, **wrong)
    ) == ("InvalidAuthenticationCode", "Authentication code for device is not valid.")
    unassigned = await iam(world, "list_virtual_mfa_devices", AssignmentStatus="Unassigned")
    assert [one["SerialNumber"] for one in unassigned["VirtualMFADevices"]] == [SERIAL]
    await enable(world, phone)
    assert (await iam(world, "list_virtual_mfa_devices", AssignmentStatus="Unassigned"))[
        "VirtualMFADevices"
    ] == []
    mine = (await iam(world, "list_mfa_devices", UserName="barista"))["MFADevices"]
    assert mine == [{"UserName": "barista", "SerialNumber": SERIAL, "EnableDate": world.now}]
    assert await iam(world, "get_mfa_device", SerialNumber=SERIAL, UserName="barista") == mine[0]
    shown = (await iam(world, "list_virtual_mfa_devices"))["VirtualMFADevices"]
    assert shown[0]["User"]["UserName"] == "barista"
    assert "Base32StringSeed" not in shown[0]
    again = await refused(device(world))
    assert again.code == "EntityAlreadyExists"
    error = await refused(iam(world, "delete_virtual_mfa_device", SerialNumber=SERIAL))
    assert error.code == "DeleteConflict"
    assert await refusal(iam(world, "delete_user", UserName="barista")) == (
        "DeleteConflict", "Cannot delete entity, must delete MFA device first.",
    )  # fmt: skip
    await iam(world, "update_user", UserName="barista", NewUserName="boss")
    await iam(world, "deactivate_mfa_device", UserName="boss", SerialNumber=SERIAL)
    await iam(world, "delete_virtual_mfa_device", SerialNumber=SERIAL)
    await iam(world, "delete_user", UserName="boss")


@told
async def test_a_session_with_mfa_may_what_asks_for_it(world: World) -> None:
    barista = await user(world, "barista", document("iam:ListUsers", Condition=PRESENT))
    phone = await device(world)
    await enable(world, phone)
    assert (await refused(world.call("iam", "list_users", caller=barista))).status == 403
    with_mfa = await world.who(await session(world, barista, phone))
    await world.call("iam", "list_users", caller=with_mfa)


@told
async def test_a_code_counts_once_and_only_its_users(world: World) -> None:
    barista, other = await user(world), await user(world, "other")
    phone = await device(world)
    await enable(world, phone)
    error = await refused(session(world, barista, phone, 0))
    assert "unable to validate MFA code" in error.message, "it has counted when it was enabled"
    await session(world, barista, phone)
    assert (await refused(session(world, barista, phone))).code == "AccessDenied"
    world.host.run_to(world.host.seconds() + 60)
    assert (await refused(session(world, other, phone, 0))).code == "AccessDenied"
    await session(world, barista, phone, 0)


@told
async def test_a_clock_that_is_off_is_learnt(world: World) -> None:
    barista = await user(world)
    phone = await device(world, off_seconds=600)
    await enable(world, phone)
    await session(world, barista, phone)
    phone.off_seconds = -600
    world.host.run_to(world.host.seconds() + 60)
    assert (await refused(session(world, barista, phone))).code == "AccessDenied"
    await iam(
        world, "resync_mfa_device", UserName="barista", SerialNumber=SERIAL,
        AuthenticationCode1=phone.code(-1), AuthenticationCode2=phone.code(),
    )  # fmt: skip
    await session(world, barista, phone)


@told
async def test_a_role_may_ask_for_mfa_and_for_how_long_ago(world: World) -> None:
    barista = await user(world, "barista", document("sts:AssumeRole"))
    phone = await device(world)
    await enable(world, phone)
    text = trust({"AWS": ACCOUNT}, **PRESENT)
    made = await iam(world, "create_role", RoleName="vault", AssumeRolePolicyDocument=text)
    fresh = {"NumericLessThan": {"aws:MultiFactorAuthAge": "300"}}
    await iam(
        world, "put_role_policy", RoleName="vault", PolicyName="p",
        PolicyDocument=document("sqs:*", Condition=fresh),
    )  # fmt: skip
    ask: dict[str, Any] = {"RoleArn": made["Role"]["Arn"], "RoleSessionName": "shift"}
    await refused(world.call("sts", "assume_role", caller=barista, **ask))
    got = await world.call(
        "sts", "assume_role", caller=barista, SerialNumber=SERIAL, TokenCode=phone.code(1), **ask
    )
    await world.call("sqs", "list_queues", caller=await world.who(got["Credentials"]))
    await world.advance(299)
    await world.call("sqs", "list_queues", caller=await world.who(got["Credentials"]))
    await world.advance(1)
    old = await world.who(got["Credentials"])
    assert (await refused(world.call("sqs", "list_queues", caller=old))).status == 403


@told
async def test_devices_are_counted_tagged_and_their_owners_own(world: World) -> None:
    own = f"arn:aws:iam::{ACCOUNT}:user/${{aws:username}}"
    mine = document("iam:ListMFADevices", "iam:EnableMFADevice", resource=own)
    barista = await user(world, "barista", mine)
    for number in range(9):
        name = f"phone{number}"
        made = await iam(world, "create_virtual_mfa_device", VirtualMFADeviceName=name)
        phone = Phone(world, made["VirtualMFADevice"]["Base32StringSeed"])
        enabling = world.call(
            "iam", "enable_mfa_device", caller=barista, UserName="barista",
            SerialNumber=SERIAL + str(number), AuthenticationCode1=phone.code(-1),
            AuthenticationCode2=phone.code(),
        )  # fmt: skip
        if number < 8:
            await enabling
        else:
            assert await refusal(enabling) == (
                "LimitExceeded", "Cannot exceed quota for MFADevicesPerUser: 8",
            )  # fmt: skip
    listed = await world.call("iam", "list_mfa_devices", caller=barista)
    assert len(listed["MFADevices"]) == 8
    error = await refused(world.call("iam", "list_virtual_mfa_devices", caller=barista))
    assert f"arn:aws:iam::{ACCOUNT}:mfa/" in error.message
    serial = f"{SERIAL}0"
    await iam(world, "tag_mfa_device", SerialNumber=serial, Tags=[{"Key": "team", "Value": "bar"}])
    got = await iam(world, "list_mfa_device_tags", SerialNumber=serial)
    assert got["Tags"] == [{"Key": "team", "Value": "bar"}]
    await iam(world, "untag_mfa_device", SerialNumber=serial, TagKeys=["team"])
    assert (await iam(world, "list_mfa_device_tags", SerialNumber=serial))["Tags"] == []
    assert await refusal(iam(world, "delete_virtual_mfa_device", SerialNumber=f"{SERIAL}x")) == (
        "NoSuchEntity", f"VirtualMFADevice with serial number {SERIAL}x doesn't exist.",
    )  # fmt: skip
