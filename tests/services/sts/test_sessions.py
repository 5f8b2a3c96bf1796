"""Temporary credentials: who may have them, what they may do, and when they end."""

from __future__ import annotations

from typing import Any

import pytest

from doppio.kernel.audit import Denial
from doppio.kernel.identity import Caller
from doppio.wire.errors import AccessDenied
from tests.services.iam.helpers import as_user, document, iam, role, trust, user
from tests.services.world import ACCOUNT, OTHER, World, refusal, refused, told


async def assume(
    world: World, arn: str, caller: Caller | None = None, **more: Any
) -> dict[str, Any]:
    """Credentials of a role's session."""
    got = await world.call(
        "sts", "assume_role", caller=caller, RoleArn=arn, RoleSessionName="shift", **more
    )
    found: dict[str, Any] = got["Credentials"]
    return found


async def allowed(
    world: World, credentials: dict[str, Any], method: str = "list_queues", **req: Any
) -> bool:
    """Whether these credentials may do this with SQS."""
    caller = await world.who(credentials)
    try:
        await world.call("sqs", method, caller=caller, **req)
    except AccessDenied:
        return False
    return True


async def grant(world: World, text: str, name: str = "brewing") -> None:
    """Give a role an inline policy."""
    await iam(world, "put_role_policy", RoleName=name, PolicyName="p", PolicyDocument=text)


@told
async def test_everybody_learns_who_they_are(world: World) -> None:
    root = await world.call("sts", "get_caller_identity")
    assert root == {"UserId": ACCOUNT, "Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:root"}
    barista = await user(world, "barista", document("sts:*", effect="Deny"))
    mine = await world.call("sts", "get_caller_identity", caller=barista)
    assert mine["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/barista"
    assert mine["UserId"].startswith("AIDA")
    session = await world.who(await assume(world, await role(world)))
    mine = await world.call("sts", "get_caller_identity", caller=session)
    assert mine["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/brewing/shift"
    assert mine["UserId"].endswith(":shift")


@told
async def test_a_session_may_what_its_role_may(world: World) -> None:
    credentials = await assume(world, await role(world))
    assert credentials["AccessKeyId"].startswith("ASIA")
    assert not await allowed(world, credentials)
    await grant(world, document("sqs:ListQueues"))
    assert await allowed(world, credentials)
    assert not await allowed(world, credentials, "create_queue", QueueName="q")
    await iam(world, "delete_role_policy", RoleName="brewing", PolicyName="p")
    assert not await allowed(world, credentials)


@told
async def test_a_session_policy_narrows_and_never_widens(world: World) -> None:
    arn = await role(world)
    await grant(world, document("sqs:ListQueues"))
    narrow = await assume(world, arn, Policy=document("s3:*"))
    assert not await allowed(world, narrow)
    wide = await assume(world, arn, Policy=document("sqs:*"))
    assert await allowed(world, wide)
    assert not await allowed(world, wide, "create_queue", QueueName="q")


@told
async def test_a_role_trusts_whom_it_names(world: World) -> None:
    barista = await user(world, "barista", document("sts:AssumeRole"))
    stranger = await user(world, "stranger", document("sts:AssumeRole"))
    arn = await role(world, trusts={"AWS": barista.arn})
    await assume(world, arn, barista)
    code, text = await refusal(assume(world, arn, stranger))
    assert code == "AccessDenied"
    assert text == (
        f"User: {stranger.arn} is not authorized to perform: sts:AssumeRole on resource: {arn}"
    )
    missing = f"arn:aws:iam::{ACCOUNT}:role/none"
    code, text = await refusal(assume(world, missing, barista))
    assert (code, text.endswith(missing)) == ("AccessDenied", True)


@told
async def test_trusting_the_account_leaves_it_to_the_accounts_policies(world: World) -> None:
    arn = await role(world)
    without, with_ = (
        await user(world, "without"),
        await user(world, "with", document("sts:AssumeRole", resource=arn)),
    )
    await refused(assume(world, arn, without))
    await assume(world, arn, with_)


@told
async def test_another_accounts_role_needs_both_sides(world: World) -> None:
    made = await world.call(
        "iam", "create_role", account=OTHER, RoleName="theirs",
        AssumeRolePolicyDocument=trust({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}),
    )  # fmt: skip
    arn = made["Role"]["Arn"]
    await refused(assume(world, arn, await user(world, "without")))
    credentials = await assume(world, arn, await user(world, "with", document("sts:AssumeRole")))
    assert (await world.who(credentials)).account == OTHER


@told
async def test_an_external_id_is_part_of_the_trust(world: World) -> None:
    made = await iam(
        world, "create_role", RoleName="guarded",
        AssumeRolePolicyDocument=trust(
            {"AWS": ACCOUNT}, StringEquals={"sts:ExternalId": "cafe-7"}
        ),
    )  # fmt: skip
    arn = made["Role"]["Arn"]
    await refused(assume(world, arn))
    await refused(assume(world, arn, ExternalId="cafe-8"))
    await assume(world, arn, ExternalId="cafe-7")


@told
async def test_why_a_role_did_not_trust_is_kept_though_the_caller_is_not_told(
    world: World,
) -> None:
    made = await iam(
        world, "create_role", RoleName="vendor",
        AssumeRolePolicyDocument=trust(
            {"AWS": ACCOUNT}, StringEquals={"sts:ExternalId": "cafe-7"}
        ),
    )  # fmt: skip
    arn = made["Role"]["Arn"]
    says = await refused(assume(world, arn, ExternalId="cafe-8"))
    assert str(says).endswith(f"is not authorized to perform: sts:AssumeRole on resource: {arn}")
    await world.settle()
    [denial] = await world.cloud.root_context().read().list(Denial, limit=5)
    assert (denial.action, denial.resource) == ("sts:AssumeRole", arn)
    assert denial.message.endswith(
        "because no resource-based policy allows the sts:AssumeRole action"
    )
    assert denial.considered == ["resource-based policy trust policy"]


@told
async def test_a_session_ends_in_cloud_time(world: World) -> None:
    credentials = await assume(world, await role(world), DurationSeconds=900)
    assert (credentials["Expiration"] - world.now).total_seconds() == 900
    await world.advance(899)
    await world.who(credentials)
    await world.advance(1)
    assert (await refused(world.who(credentials))).code == "ExpiredToken"


@told
async def test_how_long_a_session_may_last(world: World) -> None:
    arn = await role(world, MaxSessionDuration=7200)
    await assume(world, arn, DurationSeconds=7200)
    code, text = await refusal(assume(world, arn, DurationSeconds=7201))
    assert code in {"ValidationError", "ValidationException"}
    assert text == (
        "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
    )
    await grant(world, document("sts:AssumeRole"))
    first = await world.who(await assume(world, arn))
    chained = await assume(world, arn, first, DurationSeconds=3600)
    assert (chained["Expiration"] - world.now).total_seconds() == 3600
    code, text = await refusal(assume(world, arn, first, DurationSeconds=3601))
    assert "role chaining" in text


@told
async def test_a_session_is_its_token(world: World) -> None:
    credentials = await assume(world, await role(world))
    again = world.again()
    await again.start()
    assert (await again.who(credentials)).arn.endswith("/brewing/shift")
    forged = {**credentials, "SessionToken": credentials["SessionToken"][:-4] + "AAAA"}
    assert (await refused(again.who(forged))).code == "InvalidClientTokenId"
    assert (
        await refused(again.who({"AccessKeyId": credentials["AccessKeyId"]}))
    ).code == "InvalidClientTokenId"
    await iam(again, "delete_role", RoleName="brewing")
    await refused(again.who(credentials))
    await again.close()


@told
async def test_a_users_own_session_is_the_user_again(world: World) -> None:
    barista = await user(world, "barista", document("sqs:ListQueues"))
    got = await world.call("sts", "get_session_token", caller=barista, DurationSeconds=900)
    session = await world.who(got["Credentials"])
    assert session.arn == barista.arn
    assert await allowed(world, got["Credentials"])
    error = await refused(world.call("sts", "get_session_token", caller=session))
    assert error.code == "AccessDenied"


@told
async def test_a_federated_user_may_what_both_allow(world: World) -> None:
    barista = await user(world, "barista", document("sqs:ListQueues", "sts:GetFederationToken"))
    got = await world.call(
        "sts", "get_federation_token", caller=barista, Name="guest", Policy=document("sqs:*")
    )
    assert got["FederatedUser"]["Arn"] == f"arn:aws:sts::{ACCOUNT}:federated-user/guest"
    assert await allowed(world, got["Credentials"])
    assert not await allowed(world, got["Credentials"], "create_queue", QueueName="q")
    nothing = await world.call("sts", "get_federation_token", caller=barista, Name="guest")
    assert not await allowed(world, nothing["Credentials"])


@told
async def test_session_tags_are_conditions(world: World) -> None:
    barista = await user(world, "barista", document("sts:*"))
    made = await iam(
        world, "create_role", RoleName="tagged",
        AssumeRolePolicyDocument=trust({"AWS": barista.arn}).replace(
            '"sts:AssumeRole"', '["sts:AssumeRole", "sts:TagSession"]'
        ),
    )  # fmt: skip
    text = document("sqs:*", Condition={"StringEquals": {"aws:PrincipalTag/shift": "early"}})
    await grant(world, text, "tagged")
    arn = made["Role"]["Arn"]
    early = await assume(world, arn, barista, Tags=[{"Key": "shift", "Value": "early"}])
    late = await assume(world, arn, barista, Tags=[{"Key": "shift", "Value": "late"}])
    assert (await allowed(world, early), await allowed(world, late)) == (True, False)


@pytest.mark.parametrize(
    "req",
    [
        {"RoleArn": "no arn at all, but long enough", "RoleSessionName": "shift"},
        {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/brewing", "RoleSessionName": "with space"},
        {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/brewing", "RoleSessionName": "x"},
        {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/brewing", "RoleSessionName": "shift",
         "DurationSeconds": 899},
        {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/brewing", "RoleSessionName": "shift",
         "Policy": "{"},
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(req: dict[str, Any]) -> None:
    @told
    async def story(world: World) -> None:
        await role(world)
        error = await refused(world.call("sts", "assume_role", **req))
        assert error.code in {"ValidationError", "ValidationException", "MalformedPolicyDocument"}

    story()


@told
async def test_a_key_knows_its_account(world: World) -> None:
    await as_user(world, (await iam(world, "create_user", UserName="u"))["User"]["UserName"])
    key = (await iam(world, "create_access_key", UserName="u"))["AccessKey"]["AccessKeyId"]
    got = await world.call("sts", "get_access_key_info", AccessKeyId=key)
    assert got == {"Account": ACCOUNT}
