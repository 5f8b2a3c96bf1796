"""What SNS's tests share: topics, queues that hear of them, and a server that listens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.outside import Asked, Said, serving
from tests.services.world import ACCOUNT, REGION, World


async def topic(world: World, name: str = "news", **attributes: str) -> str:
    """Create a topic; its ARN."""
    if name.endswith(".fifo"):
        attributes["FifoTopic"] = "true"
    return (await world.call("sns", "create_topic", Name=name, Attributes=attributes))["TopicArn"]


async def queue(world: World, name: str, *, closed: bool = False) -> str:
    """Create a queue that topics may write to; its ARN."""
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
    attributes = {"FifoQueue": "true"} if name.endswith(".fifo") else {}
    if not closed:
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
        }
        attributes["Policy"] = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    await world.call("sqs", "create_queue", QueueName=name, Attributes=attributes)
    return arn


async def subscribe(world: World, topic_arn: str, to: str, **attributes: str) -> str:
    """Subscribe a queue; the subscription's ARN."""
    answer = await world.call(
        "sns", "subscribe", TopicArn=topic_arn, Protocol="sqs", Endpoint=to, Attributes=attributes
    )
    found: str = answer["SubscriptionArn"]
    return found


async def heard(world: World, queue_arn: str) -> list[dict[str, Any]]:
    """The messages in a queue, taken out of it."""
    url = f"http://localhost:4566/{ACCOUNT}/{queue_arn.rpartition(':')[2]}"
    found: list[dict[str, Any]] = []
    while messages := (
        await world.call(
            "sqs",
            "receive_message",
            QueueUrl=url,
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
        )
    ).get("Messages"):
        for message in messages:
            found.append(message)
            await world.call(
                "sqs", "delete_message", QueueUrl=url, ReceiptHandle=message["ReceiptHandle"]
            )
    return found


async def texts(world: World, queue_arn: str) -> list[str]:
    """The texts of the notifications in a queue, in their order there."""
    return [json.loads(one["Body"])["Message"] for one in await heard(world, queue_arn)]


class Heard:
    """What a listening server was sent; `answers` are the statuses of its next answers."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], Any]] = []
        self.answers: list[int] = []
        self.url = ""


@contextmanager
def listening() -> Iterator[Heard]:
    """A server on loopback that takes notifications."""
    state = Heard()

    def answer(asked: Asked) -> Said:
        try:
            told = json.loads(asked.body)
        except ValueError:
            told = asked.body.decode()
        state.requests.append((dict(asked.headers), told))
        return Said(status=state.answers.pop(0) if state.answers else 200)

    with serving(answer) as port:
        state.url = f"http://127.0.0.1:{port}/news"
        yield state
