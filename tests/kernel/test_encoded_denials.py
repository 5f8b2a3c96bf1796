"""Denials that are told in full, but only to who may read them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from doppio.kernel import encoded_denials
from doppio.kernel.authorise import put_resource
from doppio.kernel.context import Context
from doppio.kernel.encoded_denials import BadMessage, decoded_denial, encoded_denial
from doppio.kernel.identity import Caller, root_of
from doppio.kernel.policy import PolicySet, compile_policy
from doppio.kernel.service import Need
from tests.services.world import ACCOUNT, OTHER, World, refusal, refused, told

INSTANCE = f"arn:aws:ec2:us-east-1:{ACCOUNT}:instance/i-1"
STOP = Need(
    "ec2:StopInstances", INSTANCE,
    {"ec2:instancetype": "t2.micro", "aws:resourcetag/shop": "harbour", "aws:tagkeys": ["a", "b"]},
)  # fmt: skip


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def user(*documents: str) -> Caller:
    policies = PolicySet(
        identity=tuple(compile_policy(text, f"p{n}") for n, text in enumerate(documents))
    )
    return Caller(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/ana", "AIDA1", "user", policies=policies)


def context(world: World, caller: Caller) -> Context:
    return world.cloud.context(
        caller, account=caller.account, region="us-east-1", request_id=world.cloud.ids.uuid()
    )


async def decoded(world: World, message: str, account: str = ACCOUNT) -> Any:
    got = await world.call(
        "sts", "decode_authorization_message", account=account, EncodedMessage=message
    )
    return json.loads(got["DecodedMessage"])


@told
async def test_a_message_tells_who_wanted_what_and_which_statement_forbade_it(
    world: World,
) -> None:
    forbidding = {
        "Sid": "NoStopping", "Effect": "Deny", "Action": ["ec2:Stop*", "ec2:Start*"],
        "Resource": "*", "Condition": {"StringEquals": {"aws:ResourceTag/Shop": "harbour"}},
    }  # fmt: skip
    silent = {"Sid": "Silent", "Effect": "Deny", "Action": "s3:*", "Resource": "*"}
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    ana = user(policy(everything), policy(silent, forbidding))
    message = await encoded_denial(context(world, ana), STOP)
    assert "StopInstances" not in message
    assert await decoded(world, message) == {
        "allowed": False,
        "explicitDeny": True,
        "matchedStatements": {"items": [{
            "statementId": "NoStopping", "effect": "DENY",
            "principals": {"items": [{"value": "AIDA1"}]}, "principalGroups": {"items": []},
            "actions": {"items": [{"value": "ec2:Stop*"}, {"value": "ec2:Start*"}]},
            "resources": {"items": [{"value": "*"}]},
            "conditions": {"items": [
                {"key": "aws:ResourceTag/Shop", "values": {"items": [{"value": "harbour"}]}},
            ]},
        }]},
        "failures": {"items": []},
        "context": {
            "principal": {"id": "AIDA1", "arn": ana.arn},
            "action": "ec2:StopInstances", "resource": INSTANCE,
            "conditions": {"items": [
                {"key": key, "values": {"items": [{"value": one} for one in values]}}
                for key, values in (
                    ("ec2:InstanceType", ["t2.micro"]), ("aws:ResourceTag/shop", ["harbour"]),
                    ("aws:tagkeys", ["a", "b"]), ("aws:Resource", ["instance/i-1"]),
                    ("aws:Account", [ACCOUNT]), ("aws:Region", ["us-east-1"]),
                    ("aws:Service", ["ec2"]), ("aws:Type", ["instance"]), ("aws:ID", ["i-1"]),
                    ("aws:ARN", [INSTANCE]),
                )
            ]},
        },
    }  # fmt: skip


@told
async def test_what_nothing_allows_matches_no_statement(world: World) -> None:
    said = await decoded(world, await encoded_denial(context(world, user()), STOP))
    assert (said["allowed"], said["explicitDeny"]) == (False, False)
    assert said["matchedStatements"] == {"items": []}


@told
async def test_a_resources_policy_is_told_as_well(world: World) -> None:
    forbidding = policy(
        {"Sid": "Closed", "Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}
    )
    async with world.cloud.root_context().write() as tx:
        put_resource(tx, INSTANCE, ACCOUNT, forbidding)
    ana = user(policy({"Effect": "Allow", "Action": "*", "Resource": "*"}))
    said = await decoded(world, await encoded_denial(context(world, ana), STOP))
    assert [one["statementId"] for one in said["matchedStatements"]["items"]] == ["Closed"]


@told
async def test_a_message_is_for_its_account_and_for_a_while(world: World) -> None:
    message = await encoded_denial(context(world, user()), STOP)
    wrong = ("InvalidAuthorizationMessageException", "Message is not valid")
    changed = message[:-4] + ("AAAA" if not message.endswith("AAAA") else "BBBB")
    for text, account in (
        (message, OTHER), (changed, ACCOUNT), ("no message", ACCOUNT), ("A", ACCOUNT),
    ):  # fmt: skip
        assert await refusal(decoded(world, text, account)) == wrong
    await world.advance(hours=24)
    assert (await decoded(world, message))["allowed"] is False
    await world.advance(seconds=1)
    assert await refusal(decoded(world, message)) == wrong


@told
async def test_a_message_outlives_a_restart(world: World) -> None:
    message = await encoded_denial(context(world, user()), STOP)
    world = world.again()
    await world.start()
    try:
        assert (await decoded(world, message))["context"]["resource"] == INSTANCE
    finally:
        await world.close()


@told
async def test_to_decode_takes_a_permission(world: World) -> None:
    message = await encoded_denial(context(world, user()), STOP)
    req = {"EncodedMessage": message}
    error = await refused(world.call("sts", "decode_authorization_message", caller=user(), **req))
    assert (error.status, "sts:DecodeAuthorizationMessage" in error.message) == (403, True)
    allowed = policy(
        {"Effect": "Allow", "Action": "sts:DecodeAuthorizationMessage", "Resource": "*"}
    )
    assert await world.call("sts", "decode_authorization_message", caller=user(allowed), **req)


@told
async def test_a_message_is_never_longer_than_what_can_be_decoded(world: World) -> None:
    many = [
        {"Sid": f"S{n}", "Effect": "Deny", "Action": "*", "Resource": [
            f"arn:aws:ec2:*:*:*/{world.cloud.ids.uuid()}" for _ in range(30)
        ] + ["*"]}
        for n in range(40)
    ]  # fmt: skip
    message = await encoded_denial(context(world, user(policy(*many))), STOP)
    assert len(message) <= encoded_denials.MESSAGE_CHARS_MAX
    said = await decoded_denial(context(world, root_of(ACCOUNT)), message)
    assert 0 < len(said["matchedStatements"]["items"]) < 40
    with pytest.raises(BadMessage):
        await decoded_denial(context(world, root_of(OTHER)), message)
