"""Who may not ask, what goes on from one session to the next, and what ends with its owner."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

import pytest

from doppio.kernel.identity import Caller, root_of
from doppio.wire.errors import AccessDenied
from tests.services.iam.helpers import as_user, document, iam, trust, user
from tests.services.world import ACCOUNT, World, refusal, refused, told

BOTH = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]
INVALID = ("InvalidClientTokenId", "The security token included in the request is invalid.")


async def role(world: World, name: str, *actions: str, policy: str = document("*")) -> str:
    """A role that the account's principals may assume with these actions, and may do much."""
    text = trust({"AWS": ACCOUNT}).replace(
        '"sts:AssumeRole"', str(list(actions or BOTH)).replace("'", '"')
    )
    made = await iam(world, "create_role", RoleName=name, AssumeRolePolicyDocument=text)
    await iam(world, "put_role_policy", RoleName=name, PolicyName="p", PolicyDocument=policy)
    return str(made["Role"]["Arn"])


async def assume(world: World, arn: str, caller: Caller | None = None, **more: Any) -> Caller:
    """A role's session, as caller."""
    got = await world.call(
        "sts", "assume_role", caller=caller, RoleArn=arn, RoleSessionName="shift", **more
    )
    return await world.who(got["Credentials"])


async def may(world: World, caller: Caller, method: str = "list_queues", **req: Any) -> bool:
    """Whether the caller may do this with SQS."""
    try:
        await world.call("sqs", method, caller=caller, **req)
    except AccessDenied:
        return False
    return True


def tag(key: str, value: str = "x") -> dict[str, str]:
    """A tag."""
    return {"Key": key, "Value": value}


@told
async def test_root_keys_assume_no_roles(world: World) -> None:
    arn = await role(world, "brewing")
    key = await world.cloud.identities.root_key(ACCOUNT)
    root = await world.who({"AccessKeyId": key[0]})
    says = ("AccessDenied", "Roles may not be assumed by root accounts.")
    assert await refusal(assume(world, arn, root)) == says
    got = await world.call("sts", "get_session_token", caller=root)
    assert await refusal(assume(world, arn, await world.who(got["Credentials"]))) == says
    await assume(world, arn, root_of(ACCOUNT, "test"))


@pytest.mark.parametrize("method", ["assume_role", "get_session_token"])
@pytest.mark.parametrize(
    ("code", "says"),
    [
        ({"SerialNumber": f"arn:aws:iam::{ACCOUNT}:mfa/phone"}, "must provide both MFA serial"),
        ({"TokenCode": "123456"}, "must provide both MFA serial"),
        ({"SerialNumber": f"arn:aws:iam::{ACCOUNT}:mfa/phone", "TokenCode": "123456"},
         "unable to validate MFA code"),
    ],
)  # fmt: skip
def test_a_code_of_a_device_that_nobody_has_is_refused(
    method: str, code: dict[str, str], says: str
) -> None:
    @told
    async def story(world: World) -> None:
        arn = await role(world, "brewing")
        barista = await user(world, "barista", document("sts:*"))
        more = {} if method == "get_session_token" else {"RoleArn": arn, "RoleSessionName": "shift"}
        error = await refused(world.call("sts", method, caller=barista, **more, **code))
        assert (error.code, error.status) == ("AccessDenied", 403)
        assert says in error.message

    story()


@told
async def test_what_asks_for_mfa_is_denied_without(world: World) -> None:
    present = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
    text = trust({"AWS": ACCOUNT}, **present)
    made = await iam(world, "create_role", RoleName="vault", AssumeRolePolicyDocument=text)
    barista = await user(
        world, "barista", document("sts:AssumeRole"), document("sqs:*", Condition=present)
    )
    await refused(assume(world, made["Role"]["Arn"], barista))
    got = await world.call("sts", "get_session_token", caller=barista)
    session = await world.who(got["Credentials"])
    await refused(assume(world, made["Role"]["Arn"], session))
    assert not await may(world, session)
    await iam(
        world, "put_user_policy", UserName="barista", PolicyName="q",
        PolicyDocument=document(
            "sqs:*", Condition={"Bool": {"aws:MultiFactorAuthPresent": "false"}}
        ),
    )  # fmt: skip
    assert await may(world, await world.who(got["Credentials"]))


@pytest.mark.parametrize(
    ("more", "action"),
    [
        ({"Tags": [tag("team")]}, "sts:TagSession"),
        ({"SourceIdentity": "alice"}, "sts:SetSourceIdentity"),
    ],
)
def test_tags_and_source_identity_take_a_trust_of_their_own(
    more: dict[str, Any], action: str
) -> None:
    @told
    async def story(world: World) -> None:
        arn = await role(world, "plain", "sts:AssumeRole")
        barista = await user(world, "barista", document("sts:*"))
        await assume(world, arn, barista)
        assert await refusal(assume(world, arn, barista, **more)) == (
            "AccessDenied",
            f"User: {barista.arn} is not authorized to perform: {action} on resource: {arn}",
        )

    story()


@told
async def test_a_source_identity_stays_through_a_chain(world: World) -> None:
    alice = {"StringEquals": {"aws:SourceIdentity": "alice"}}
    first = await role(world, "first")
    second = await role(world, "second", policy=document("sqs:*", Condition=alice))
    plain = await role(world, "plain", "sts:AssumeRole")
    session = await assume(world, first, SourceIdentity="alice")
    assert await may(world, await assume(world, second, session))
    assert not await may(world, await assume(world, second))
    error = await refused(assume(world, second, session, SourceIdentity="bob"))
    assert "sts:SetSourceIdentity" in error.message
    error = await refused(assume(world, plain, session))
    assert "sts:SetSourceIdentity" in error.message


@told
async def test_transitive_tags_go_on_and_others_end(world: World) -> None:
    early = {"StringEquals": {"aws:PrincipalTag/Shift": "early"}}
    bar = {"StringEquals": {"aws:PrincipalTag/Team": "bar"}}
    first = await role(world, "first")
    by_shift = await role(world, "by-shift", policy=document("*", Condition=early))
    by_team = await role(world, "by-team", policy=document("*", Condition=bar))
    session = await assume(
        world, first, Tags=[tag("shift", "early"), tag("team", "bar")], TransitiveTagKeys=["Shift"]
    )
    second = await assume(world, by_shift, session)
    assert await may(world, second)
    assert await may(world, await assume(world, by_shift, second)), "through any number of roles"
    assert not await may(world, await assume(world, by_team, session))
    assert (await refusal(assume(world, by_shift, session, Tags=[tag("SHIFT", "late")])))[1] == (
        "One of the specified transitive tag keys can't be set because it conflicts with a "
        "transitive tag key from the calling session."
    )
    plain = await role(world, "plain", "sts:AssumeRole")
    assert "sts:TagSession" in (await refused(assume(world, plain, session))).message


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"Tags": [tag("a"), tag("A")]}, "Duplicate tag keys found."),
        ({"Tags": [tag("aws:a")]}, "reserved"),
        ({"Tags": [tag("a")], "TransitiveTagKeys": ["b"]}, "must be included in the requested"),
    ],
)
def test_session_tags_have_rules(more: dict[str, Any], says: str) -> None:
    @told
    async def story(world: World) -> None:
        arn = await role(world, "brewing")
        error = await refused(assume(world, arn, **more))
        assert (error.code, error.status) == ("InvalidParameterValue", 400)
        assert says in error.message

    story()


@told
async def test_policies_and_tags_share_their_room(world: World) -> None:
    arn = await role(world, "brewing")
    got = await world.call(
        "sts", "assume_role", RoleArn=arn, RoleSessionName="shift", Policy=document("s3:*")
    )
    assert 1 <= got["PackedPolicySize"] <= 10
    long = [tag(f"key{number}", "x" * 250) for number in range(10)]
    code, text = await refusal(assume(world, arn, Tags=long))
    assert code == "PackedPolicyTooLarge"
    assert text == "Packed policy consumes 125% of allotted space, please use smaller policy."


@told
async def test_managed_session_policies_are_the_roles_accounts_own(world: World) -> None:
    arn = await role(world, "brewing")
    made = await iam(world, "create_policy", PolicyName="look",
                     PolicyDocument=document("sqs:ListQueues"))  # fmt: skip
    narrow = await assume(world, arn, PolicyArns=[{"arn": made["Policy"]["Arn"]}])
    assert await may(world, narrow)
    assert not await may(world, narrow, "create_queue", QueueName="q")
    theirs = await world.call(
        "iam", "create_policy", account="111111111111", PolicyName="theirs",
        PolicyDocument=document("*"),
    )  # fmt: skip
    error = await refused(assume(world, arn, PolicyArns=[{"arn": theirs["Policy"]["Arn"]}]))
    assert error.status == 400


@told
async def test_a_role_made_anew_is_another(world: World) -> None:
    arn = await role(world, "brewing")
    got = await world.call("sts", "assume_role", RoleArn=arn, RoleSessionName="shift")
    await iam(world, "delete_role_policy", RoleName="brewing", PolicyName="p")
    await iam(world, "delete_role", RoleName="brewing")
    await role(world, "brewing")
    assert await refusal(world.who(got["Credentials"])) == INVALID


@told
async def test_a_user_made_anew_is_another(world: World) -> None:
    barista = await user(world, "barista")
    got = await world.call("sts", "get_session_token", caller=barista)
    await iam(world, "delete_user", UserName="barista")
    await user(world, "barista")
    assert await refusal(world.who(got["Credentials"])) == INVALID


@told
async def test_a_federated_user_is_bounded_and_tagged_like_its_user(world: World) -> None:
    edge = await iam(
        world, "create_policy", PolicyName="edge", PolicyDocument=document("s3:*", "sts:*")
    )
    early = {"StringEquals": {"aws:PrincipalTag/shift": "early"}}
    barista = await user(
        world, "barista", document("sqs:*", Condition=early), document("sts:*")
    )  # fmt: skip

    async def guest(shift: str) -> Caller:
        got = await world.call(
            "sts", "get_federation_token", caller=barista, Name="guest", Policy=document("sqs:*"),
            Tags=[tag("Shift", shift)],
        )  # fmt: skip
        return await world.who(got["Credentials"])

    assert await may(world, await guest("early"))
    assert not await may(world, await guest("late"))
    await iam(
        world, "put_user_permissions_boundary", UserName="barista",
        PermissionsBoundary=edge["Policy"]["Arn"],
    )  # fmt: skip
    assert not await may(world, await guest("early"))
    arn = await role(world, "brewing")
    assert (await refused(assume(world, arn, await guest("early")))).code == "AccessDenied"
    me = await world.call("sts", "get_caller_identity", caller=await guest("early"))
    assert me["Arn"] == f"arn:aws:sts::{ACCOUNT}:federated-user/guest"


@told
async def test_roots_federated_user_may_what_its_policy_says(world: World) -> None:
    got = await world.call(
        "sts", "get_federation_token", Name="guest", Policy=document("sqs:ListQueues")
    )
    guest = await world.who(got["Credentials"])
    assert await may(world, guest)
    assert not await may(world, guest, "create_queue", QueueName="q")


@told
async def test_federation_and_key_information_take_permission(world: World) -> None:
    barista = await user(world, "barista", document("sts:GetFederationToken"))
    await world.call("sts", "get_federation_token", caller=barista, Name="guest")
    error = await refused(
        world.call("sts", "get_federation_token", caller=barista, Name="guest", Tags=[tag("a")])
    )
    assert "sts:TagSession" in error.message
    error = await refused(
        world.call("sts", "get_access_key_info", caller=barista, AccessKeyId="AKIA" + "A" * 16)
    )
    assert "sts:GetAccessKeyInfo" in error.message


@told
async def test_how_long_ones_own_sessions_last(world: World) -> None:
    barista = await user(world, "barista", document("sts:*"))
    for method, more in (("get_session_token", {}), ("get_federation_token", {"Name": "guest"})):
        for who, asked, lasts in (
            (barista, None, 43_200), (barista, 129_600, 129_600), (barista, 900, 900),
            (None, None, 3_600), (None, 7_200, 3_600), (None, 900, 900),
        ):  # fmt: skip
            duration: dict[str, Any] = {} if asked is None else {"DurationSeconds": asked}
            got = await world.call("sts", method, caller=who, **more, **duration)
            assert (got["Credentials"]["Expiration"] - world.now).total_seconds() == lasts
        for seconds in (899, 129_601):
            error = await refused(
                world.call("sts", method, caller=barista, DurationSeconds=seconds, **more)
            )
            assert error.status == 400
            assert "durationSeconds" in error.message


@told
async def test_a_role_with_a_path_is_named_by_its_whole_arn(world: World) -> None:
    made = await iam(
        world, "create_role", RoleName="brewing", Path="/team/", AssumeRolePolicyDocument=trust({"AWS": ACCOUNT})
    )  # fmt: skip
    arn, short = made["Role"]["Arn"], f"arn:aws:iam::{ACCOUNT}:role/brewing"
    session = await assume(world, arn)
    url = (await world.call("sqs", "create_queue", QueueName="orders"))["QueueUrl"]
    send = {"QueueUrl": url, "MessageBody": "espresso"}

    async def allow(**statement: Any) -> bool:
        text = document("sqs:SendMessage", **statement)
        await world.call("sqs", "set_queue_attributes", QueueUrl=url, Attributes={"Policy": text})
        return await may(world, session, "send_message", **send)

    assert await allow(Principal={"AWS": arn})
    assert not await allow(Principal={"AWS": short})
    anybody: dict[str, Any] = {"Principal": "*"}
    assert await allow(**anybody, Condition={"ArnEquals": {"aws:PrincipalArn": arn}})
    assert not await allow(**anybody, Condition={"ArnEquals": {"aws:PrincipalArn": short}})
    # And so in the trust of a further role.
    further = await iam(
        world, "create_role", RoleName="serving", AssumeRolePolicyDocument=trust({"AWS": arn})
    )
    assert await assume(world, further["Role"]["Arn"], session)


@told
async def test_who_comes_after_a_trusted_user_or_role_under_its_name_is_not_trusted(
    world: World,
) -> None:
    first = await user(world, "barista", document("sts:AssumeRole"))
    other = await role(world, "serving")
    made = await iam(
        world, "create_role", RoleName="brewing",
        AssumeRolePolicyDocument=trust({"AWS": [first.arn, other]}),
    )  # fmt: skip
    arn = made["Role"]["Arn"]
    session = await assume(world, other)
    assert await assume(world, arn, first)
    assert await assume(world, arn, session)

    async def named_ones() -> list[str]:
        shown = []
        for got in (
            (await iam(world, "get_role", RoleName="brewing"))["Role"],
            (await iam(world, "list_roles"))["Roles"][0],
            (await iam(world, "get_account_authorization_details"))["RoleDetailList"][0],
        ):
            assert got["RoleName"] == "brewing"
            text = json.loads(unquote(got["AssumeRolePolicyDocument"]))
            shown.append(text["Statement"][0]["Principal"]["AWS"])
        assert shown[0] == shown[1] == shown[2]
        return list(shown[0])

    assert await named_ones() == [first.arn, other]
    await iam(world, "delete_user_policy", UserName="barista", PolicyName="p0")
    await iam(world, "delete_user", UserName="barista")
    await iam(world, "delete_role_policy", RoleName="serving", PolicyName="p")
    await iam(world, "delete_role", RoleName="serving")
    second = await user(world, "barista", document("sts:AssumeRole"))
    again = await assume(world, await role(world, "serving"))
    assert await named_ones() == [first.id, session.id.partition(":")[0]]
    for caller in (second, again):
        assert (await refused(assume(world, arn, caller))).code == "AccessDenied"
    text = trust({"AWS": [second.arn, other]})
    await iam(world, "update_assume_role_policy", RoleName="brewing", PolicyDocument=text)
    assert await named_ones() == [second.arn, other]
    assert await assume(world, arn, second)
    assert await assume(world, arn, again)


@told
async def test_a_trusted_user_stays_trusted_under_another_name(world: World) -> None:
    barista = await user(world, "barista", document("sts:AssumeRole"))
    made = await iam(
        world, "create_role", RoleName="brewing", AssumeRolePolicyDocument=trust({"AWS": barista.arn})
    )  # fmt: skip
    await iam(world, "update_user", UserName="barista", NewUserName="waiter")
    waiter = await as_user(world, "waiter")
    assert (waiter.id, waiter.arn.endswith("user/waiter")) == (barista.id, True)
    assert await assume(world, made["Role"]["Arn"], waiter)
