"""News for readers with interests of their own: one newsletter, or one topic per interest."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

INTERESTS = ("beans", "machines", "offers")
READERS = {
    "Ada": ("beans",),
    "Ben": ("beans", "machines"),
    "Cleo": ("offers",),
    "Dora": INTERESTS,
}
NEWS = (
    ("beans", "a new Guji has come in"),
    ("offers", "two for one today"),
    ("machines", "we descale on Sunday"),
    ("beans", "the Huila is sold out"),
    ("offers", "free refills at rain"),
)

Say = Callable[[str], None]


def newsletter(client: Callable[[str], Any], say: Say) -> None:
    """Every reader hears the same both ways; what it takes to send and to keep differs."""
    sqs, sns = client("sqs"), client("sns")
    wanted = {
        reader: sorted(text for kind, text in NEWS if kind in interests)
        for reader, interests in READERS.items()
    }

    letter = sns.create_topic(Name="newsletter")["TopicArn"]
    boxes = {reader: _box(sqs, f"letters-{reader}") for reader in READERS}
    for reader, interests in READERS.items():
        _subscribe(sns, letter, boxes[reader][1], {"interest": list(interests)})
    for kind, text in NEWS:
        attribute = {"interest": {"DataType": "String", "StringValue": kind}}
        sns.publish(TopicArn=letter, Message=text, MessageAttributes=attribute)
    heard = _heard(sqs, boxes)
    _report(say, "one newsletter, filtered", 1, len(READERS), heard, wanted)

    topics = {kind: sns.create_topic(Name=f"news-{kind}")["TopicArn"] for kind in INTERESTS}
    boxes = {reader: _box(sqs, f"topics-{reader}") for reader in READERS}
    subscriptions = 0
    for reader, interests in READERS.items():
        for kind in interests:
            _subscribe(sns, topics[kind], boxes[reader][1], {})
            subscriptions += 1
    for kind, text in NEWS:
        sns.publish(TopicArn=topics[kind], Message=text)
    heard = _heard(sqs, boxes)
    _report(say, "one topic per interest", len(topics), subscriptions, heard, wanted)


def _report(
    say: Say,
    way: str,
    topics: int,
    subscriptions: int,
    heard: Mapping[str, list[str]],
    wanted: Mapping[str, list[str]],
) -> None:
    delivered = sum(map(len, heard.values()))
    say(
        f"   {way}: {topics} topics, {subscriptions} subscriptions, {len(NEWS)} publishes, "
        f"{delivered} deliveries"
    )
    if heard != wanted:
        raise SystemExit(f"readers have heard {heard} instead of {wanted}")


def _box(sqs: Any, name: str) -> tuple[str, str]:
    """A queue that topics may write to: its URL and its ARN."""
    arn = f"arn:aws:sqs:us-east-1:000000000000:{name}"
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    return sqs.create_queue(QueueName=name, Attributes={"Policy": policy})["QueueUrl"], arn


def _subscribe(sns: Any, topic: str, queue: str, wanted: Mapping[str, list[str]]) -> None:
    attributes = {"RawMessageDelivery": "true"}
    if wanted:
        attributes["FilterPolicy"] = json.dumps(wanted)
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue, Attributes=attributes)


def _heard(sqs: Any, boxes: Mapping[str, tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for reader, (url, _) in boxes.items():
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        found[reader] = sorted(one["Body"] for one in messages)
    return found
