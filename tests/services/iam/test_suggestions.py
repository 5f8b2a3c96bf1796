"""The policy that somebody needs."""

from __future__ import annotations

import json
from typing import Any

from doppio.services.iam.suggestions import suggested_page
from doppio.wire.errors import AccessDenied
from tests.services.world import ACCOUNT, World, refused, told

from .helpers import as_user, document, iam, user

BARISTA = f"arn:aws:iam::{ACCOUNT}:user/barista"


async def page(world: World, name: str) -> Any:
    """What the page says; None where there is nothing."""
    found = await suggested_page(world.cloud.context_for("", ""), name)
    return None if found is None else json.loads(found[0])


@told
async def test_who_gets_the_suggested_policy_can_do_what_was_done_and_no_more(
    world: World,
) -> None:
    barista = await user(world, "barista", document("*"))
    url = (await world.call("sqs", "create_queue", caller=barista, QueueName="orders"))["QueueUrl"]
    sent = {"QueueUrl": url, "MessageBody": "mocha"}
    await world.call("sqs", "send_message", caller=barista, **sent)
    await world.call("sqs", "list_queues", caller=barista)
    policy = await page(world, BARISTA)
    queue = f"arn:aws:sqs:us-east-1:{ACCOUNT}:orders"
    touching = [one for one in policy["Statement"] if one["Resource"] == [queue]]
    assert touching == [
        {
            "Effect": "Allow", "Action": ["sqs:CreateQueue", "sqs:SendMessage"],
            "Resource": [queue],
        }
    ]  # fmt: skip
    await iam(
        world, "put_user_policy", UserName="barista", PolicyName="p0",
        PolicyDocument=json.dumps(policy),
    )  # fmt: skip
    barista = await as_user(world, "barista")
    await world.call("sqs", "send_message", caller=barista, **sent)
    await world.call("sqs", "list_queues", caller=barista)
    denied = await refused(world.call("sqs", "delete_queue", caller=barista, QueueUrl=url))
    assert isinstance(denied, AccessDenied)


@told
async def test_there_is_none_for_who_is_not_there(world: World) -> None:
    assert await page(world, BARISTA) is None
    assert await page(world, "beans") is None
    assert await page(world, f"arn:aws:iam::{ACCOUNT}:group/staff") is None
    await user(world, "barista")
    assert await page(world, BARISTA) == {"Version": "2012-10-17", "Statement": []}
