"""Sessions that give up a part of what they may do, and tokens of a length that was asked for."""

from __future__ import annotations

from typing import Any

import pytest

from doppio.kernel import forward
from doppio.kernel.guardrails import Guardrail, Place, put_guardrail, put_place
from doppio.kernel.identity import Caller
from doppio.services.sts.errors import InvalidSubjectCredentials
from tests.services.iam.helpers import document, user
from tests.services.sts.test_chains import assume, may, role
from tests.services.world import ACCOUNT, World, refusal, refused, told

LOOK = document("sqs:ListQueues", "sqs:GetQueueUrl", "sts:GetScopedCredentials", "sts:AssumeRole")


async def scoped(world: World, caller: Caller, **more: Any) -> Any:
    """What is left of a session."""
    return await world.call("sts", "get_scoped_credentials", caller=caller, **more)


async def as_scoped(world: World, caller: Caller, *policies: str, **more: Any) -> Caller:
    """A session scoped down by these policies in turn, as caller."""
    for policy in policies:
        got = await scoped(world, caller, Policy=policy, **more)
        caller = await world.who(got["Credentials"])
    return caller


@told
async def test_what_is_left_is_what_all_policies_allow_and_who_it_is_stays(world: World) -> None:
    wide = await assume(world, await role(world, "brewing"), SourceIdentity="alice")
    got = await scoped(world, wide, Policy=LOOK, ScopedSessionDescription="looks about")
    assert got["ScopedPoliciesCount"] == 1
    assert got["SessionInfo"] == {"ScopedSessionId": wide.id, "Arn": wide.arn}
    assert got["SourceIdentity"] == "alice"
    narrow = await world.who(got["Credentials"])
    assert (narrow.arn, narrow.id) == (wide.arn, wide.id)
    assert await may(world, narrow)
    assert not await may(world, narrow, "create_queue", QueueName="orders")
    assert await may(world, wide, "create_queue", QueueName="orders")
    narrower = await as_scoped(world, narrow, document("sqs:*"))
    assert await may(world, narrower)
    assert not await may(world, narrower, "delete_queue", QueueUrl="https://x/000000000000/orders")


@told
async def test_a_policy_can_add_nothing_to_what_a_session_had(world: World) -> None:
    arn = await role(world, "brewing", policy=document("sts:*", "sqs:ListQueues"))
    wider = await as_scoped(world, await assume(world, arn), document("*"))
    assert await may(world, wider)
    assert not await may(world, wider, "create_queue", QueueName="orders")


@told
async def test_what_names_the_user_does_not_give_back_what_was_given_up(world: World) -> None:
    barista = await user(world, "barista", document("sts:*", "sqs:*"))
    got = await world.call("sts", "get_session_token", caller=barista)
    session = await world.who(got["Credentials"])
    await world.call("sqs", "create_queue", QueueName="orders")
    url = (await world.call("sqs", "get_queue_url", QueueName="orders"))["QueueUrl"]
    policy = document("sqs:SendMessage", resource="*", Principal={"AWS": barista.arn})
    await world.call("sqs", "set_queue_attributes", QueueUrl=url, Attributes={"Policy": policy})
    send = {"QueueUrl": url, "MessageBody": "espresso"}
    assert await may(world, session, "send_message", **send)
    assert not await may(world, await as_scoped(world, session, LOOK), "send_message", **send)


@told
async def test_a_fourth_policy_is_one_too_many(world: World) -> None:
    wide = await assume(world, await role(world, "brewing"))
    third = await as_scoped(world, wide, LOOK, LOOK, LOOK)
    code, text = await refusal(scoped(world, third, Policy=LOOK))
    assert (code, text) == ("AccessDenied", "A session can have at most 3 scope down policies.")
    got = await scoped(world, third, DurationSeconds=60)
    assert got["ScopedPoliciesCount"] == 3


@told
async def test_it_may_end_sooner_but_not_later(world: World) -> None:
    wide = await assume(world, await role(world, "brewing"), DurationSeconds=900)
    same = await scoped(world, wide, Policy=LOOK)
    assert (same["Credentials"]["Expiration"] - world.now).total_seconds() == 900
    error = await refused(scoped(world, wide, DurationSeconds=901))
    assert (error.code, error.status) == ("InsufficientSessionLifetime", 400)
    short = (await scoped(world, wide, DurationSeconds=1))["Credentials"]
    assert await world.who(short)
    await world.advance(1)
    assert (await refused(world.who(short))).code == "ExpiredToken"


@told
async def test_who_has_no_session_has_nothing_to_scope(world: World) -> None:
    barista = await user(world, "barista", document("*"))
    root = await world.call("sts", "get_session_token")
    for caller in (barista, await world.who(root["Credentials"])):
        error = await refused(scoped(world, caller, Policy=LOOK))
        assert (error.code, error.status) == ("InvalidSubjectCredentials", 400)
        assert error.message == InvalidSubjectCredentials.text
    wide = await assume(world, await role(world, "brewing"))
    assert (await refused(scoped(world, wide))).code == "ValidationError"
    assert (await refused(scoped(world, wide, Policy="{"))).code == "MalformedPolicyDocument"


@told
async def test_a_further_role_is_the_roles_own_and_not_scoped(world: World) -> None:
    narrow = await as_scoped(world, await assume(world, await role(world, "brewing")), LOOK)
    further = await assume(world, await role(world, "serving"), narrow)
    assert await may(world, further, "create_queue", QueueName="orders")


@told
async def test_what_an_organisation_says_gives_nothing_back(world: World) -> None:
    narrow = await as_scoped(world, await assume(world, await role(world, "brewing")), LOOK)
    path = ("r-cafe", ACCOUNT)
    async with world.cloud.root_context(ACCOUNT).write() as tx:
        place = Place(account=ACCOUNT, organization="o-cafe123456", path=path, master="9" * 12)
        put_place(tx, place)
        for target in path:
            put_guardrail(
                tx, Guardrail(target=target, kind="scp", policies=(("all", document("*")),))
            )
    assert await may(world, narrow)
    assert not await may(world, narrow, "create_queue", QueueName="orders")


@told
async def test_work_that_goes_on_for_a_scoped_session_stays_scoped(world: World) -> None:
    narrow = await as_scoped(world, await assume(world, await role(world, "brewing")), LOOK)
    kept = forward.keep(narrow, "s3")
    again = forward.again(world.cloud.root_context(narrow.account), kept)
    assert await again.call("sqs", "list_queues", {}) is not None
    error = await refused(again.call("sqs", "create_queue", {"QueueName": "orders"}))
    assert "no session policy allows" in error.message


@pytest.mark.parametrize("size", [0, 700, 2_000, 4_096])
def test_a_token_is_as_long_as_somebody_wants_it_at_least(size: int) -> None:
    @told
    async def story(world: World) -> None:
        arn = await role(world, "brewing")
        got = await world.call(
            "sts", "assume_role", RoleArn=arn, RoleSessionName="shift", MinimumSessionTokenSize=size
        )
        length = len(got["Credentials"]["SessionToken"])
        assert got["SessionTokenSize"] == length
        assert size <= length <= max(size + 4, 400)
        assert got["SessionTokenUtilization"] == -(-100 * length // 4_096)
        assert await world.who(got["Credentials"])
        other = await world.call("sts", "get_session_token", MinimumSessionTokenSize=size)
        assert other["SessionTokenSize"] >= size

    story()
