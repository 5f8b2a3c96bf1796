"""Subscriptions: confirmed by whom they reach, set, listed, ended."""

from __future__ import annotations

import asyncio
import json
import re

from doppio.kernel.identity import ANONYMOUS
from doppio.services.sns import inbox
from doppio.services.sns.records import Mail
from doppio.services.sns.service import SERVICE
from tests.services.sns.helpers import heard, queue, subscribe, topic
from tests.services.world import ACCOUNT, OTHER, REGION, World, refusal, told


async def mails(world: World) -> list[Mail]:
    """The local mailbox of the account."""
    return await world.cloud.root_context().read().list(Mail, (ACCOUNT,), limit=100)


@told
async def test_a_mailbox_confirms_and_then_hears(world: World) -> None:
    arn = await topic(world, DisplayName="The shop")
    answer = await world.call(
        "sns", "subscribe", TopicArn=arn, Protocol="email", Endpoint="a@example.com"
    )
    assert answer == {"SubscriptionArn": "pending confirmation"}
    await world.settle()
    await world.call("sns", "publish", TopicArn=arn, Message="too early")
    await world.settle()
    (asked,) = await mails(world)
    assert asked.subject == "AWS Notification - Subscription Confirmation"
    found = re.search(r"Token=([0-9a-f]+)", asked.body)
    assert found is not None
    # The link in the mail is followed by a browser, without a signature.
    confirmed = await world.call(
        "sns", "confirm_subscription", caller=ANONYMOUS, TopicArn=arn, Token=found[1]
    )
    await world.advance(1)
    await world.call("sns", "publish", TopicArn=arn, Message="fresh beans", Subject="News")
    await world.settle()
    mail = (await mails(world))[-1]
    assert (mail.subject, mail.to) == ("News", "a@example.com")
    assert mail.sender.startswith("The shop <")
    assert mail.body.startswith("fresh beans\n")
    await world.call(
        "sns", "unsubscribe", caller=ANONYMOUS, SubscriptionArn=confirmed["SubscriptionArn"]
    )
    await world.call("sns", "publish", TopicArn=arn, Message="unheard")
    await world.settle()
    assert len(await mails(world)) == 2


@told
async def test_the_mailbox_can_be_read(world: World) -> None:
    arn = await topic(world)
    await world.call("sns", "subscribe", TopicArn=arn, Protocol="email", Endpoint="a@example.com")
    await world.settle()
    found = await SERVICE.pages[inbox.MAILS](world.cloud.root_context(), f"/{ACCOUNT}")
    assert found is not None
    (mail,) = json.loads(found[0])["Mails"]
    assert (mail["to"], "ConfirmSubscription" in mail["body"]) == ("a@example.com", True)
    found = await SERVICE.pages[inbox.TEXTS](world.cloud.root_context(), "")
    assert found == (b'{"Texts":[]}', "application/json")


@told
async def test_a_wrong_or_old_token_confirms_nothing(world: World) -> None:
    arn = await topic(world)
    await world.call("sns", "subscribe", TopicArn=arn, Protocol="email", Endpoint="a@example.com")
    await world.settle()
    (asked,) = await mails(world)
    token = re.search(r"Token=([0-9a-f]+)", asked.body)
    assert token is not None
    wrong = world.call("sns", "confirm_subscription", TopicArn=arn, Token="f" * 256)
    assert await refusal(wrong) == ("InvalidParameter", "Invalid parameter: Token")
    await world.advance(days=2, seconds=1)
    late = world.call("sns", "confirm_subscription", TopicArn=arn, Token=token[1])
    assert await refusal(late) == ("InvalidParameter", "Invalid parameter: Token")


@told
async def test_the_same_endpoint_has_one_subscription(world: World) -> None:
    arn = await topic(world)
    to = await queue(world, "q")
    first = await subscribe(world, arn, to)
    assert await subscribe(world, arn, to) == first
    assert await refusal(subscribe(world, arn, to, RawMessageDelivery="true")) == (
        "InvalidParameter",
        (
            "Invalid parameter: Attributes Reason: Subscription already exists with different "
            "attributes"
        ),
    )


@told
async def test_a_queue_of_another_account_must_agree(world: World) -> None:
    arn = await topic(world)
    theirs = f"arn:aws:sqs:{REGION}:{OTHER}:q"
    policy = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": theirs}],
    }
    await world.call(
        "sqs",
        "create_queue",
        account=OTHER,
        QueueName="q",
        Attributes={"Policy": json.dumps(policy)},
    )
    await world.call("sns", "subscribe", TopicArn=arn, Protocol="sqs", Endpoint=theirs)
    # The first signature takes a key, which takes its time.
    await asyncio.sleep(1)
    await world.settle()
    got = await world.call(
        "sqs",
        "receive_message",
        account=OTHER,
        QueueUrl=f"http://localhost:4566/{OTHER}/q",
    )
    asked = json.loads(got["Messages"][0]["Body"])
    assert asked["Type"] == "SubscriptionConfirmation"
    assert asked["Token"] in asked["SubscribeURL"]
    listed = await world.call("sns", "list_subscriptions_by_topic", TopicArn=arn)
    assert listed["Subscriptions"][0]["SubscriptionArn"] == "PendingConfirmation"
    await world.call("sns", "confirm_subscription", TopicArn=arn, Token=asked["Token"])
    listed = await world.call("sns", "list_subscriptions_by_topic", TopicArn=arn)
    assert listed["Subscriptions"][0]["SubscriptionArn"].startswith(arn)


@told
async def test_endpoints_must_fit_their_protocol(world: World) -> None:
    arn = await topic(world)
    fifo_queue = await queue(world, "q.fifo")
    for protocol, endpoint, text in (
        ("pigeon", "x", "Amazon SNS does not support this protocol string: pigeon"),
        ("sqs", "q", "SQS endpoint ARN"),
        ("http", "https://127.0.0.1/", "Endpoint must match the specified protocol"),
        ("email", "nobody", "Email address"),
        ("sms", "12", "Invalid SMS endpoint: 12"),
        (
            "sqs",
            fifo_queue,
            (
                "Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to "
                "standard SNS topics"
            ),
        ),
    ):
        call = world.call("sns", "subscribe", TopicArn=arn, Protocol=protocol, Endpoint=endpoint)
        assert await refusal(call) == ("InvalidParameter", f"Invalid parameter: {text}")


@told
async def test_attributes_are_checked_and_shown(world: World) -> None:
    arn = await topic(world)
    subscription = await subscribe(world, arn, await queue(world, "q"))

    async def put(name: str, value: str = "") -> None:
        await world.call(
            "sns",
            "set_subscription_attributes",
            SubscriptionArn=subscription,
            AttributeName=name,
            AttributeValue=value,
        )

    async def shown() -> dict[str, str]:
        found: dict[str, str] = (
            await world.call("sns", "get_subscription_attributes", SubscriptionArn=subscription)
        )["Attributes"]
        return found

    await put("RawMessageDelivery", "true")
    await put("FilterPolicy", '{"a": ["b"]}')
    found = await shown()
    assert (found["RawMessageDelivery"], found["FilterPolicyScope"]) == (
        "true",
        "MessageAttributes",
    )
    await put("FilterPolicy")
    assert "FilterPolicy" not in await shown()
    for name, value, text in (
        ("Colour", "red", "AttributeName"),
        ("FilterPolicy", "{", "FilterPolicy: failed to parse JSON."),
        ("FilterPolicy", '{"a": []}', "FilterPolicy: Empty arrays are not allowed"),
        ("FilterPolicy", '{"a": [{"like": 1}]}', "FilterPolicy: Unrecognized match type like"),
        (
            "FilterPolicy",
            json.dumps({name: list("0123456") for name in "abc"}),
            "FilterPolicy: Filter policy is too complex",
        ),
        (
            "RawMessageDelivery",
            "maybe",
            (
                "Attributes Reason: RawMessageDelivery: Invalid value [maybe]. Must be true or "
                "false."
            ),
        ),
        (
            "RedrivePolicy",
            '{"deadLetterTargetArn": "x"}',
            "RedrivePolicy: deadLetterTargetArn is an invalid arn",
        ),
    ):
        assert await refusal(put(name, value)) == ("InvalidParameter", f"Invalid parameter: {text}")
    many = json.dumps({name: ["x"] for name in "abcdef"})
    assert (await refusal(put("FilterPolicy", many)))[0] == "FilterPolicyLimitExceeded"


@told
async def test_subscriptions_are_listed_by_account_and_topic(world: World) -> None:
    one, two = await topic(world, "one"), await topic(world, "two")
    to = await queue(world, "q")
    first, second = await subscribe(world, one, to), await subscribe(world, two, to)
    listed = (await world.call("sns", "list_subscriptions"))["Subscriptions"]
    assert [entry["SubscriptionArn"] for entry in listed] == [first, second]
    listed = (await world.call("sns", "list_subscriptions_by_topic", TopicArn=two))["Subscriptions"]
    assert [entry["SubscriptionArn"] for entry in listed] == [second]
    assert listed[0]["Owner"] == ACCOUNT
    await world.call("sns", "unsubscribe", SubscriptionArn=second)
    await world.call("sns", "unsubscribe", SubscriptionArn=second)
    gone = world.call("sns", "get_subscription_attributes", SubscriptionArn=second)
    assert await refusal(gone) == ("NotFound", "Subscription does not exist")
    assert await heard(world, to) == []
