"""What the load generator asks of queues and topics beyond single requests of SQS."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Callable, Iterator
from itertools import cycle
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

if TYPE_CHECKING:
    from bench.load import Client

    Following = Callable[[Client, bytes | None], bytes]

RECEIVE = "sqs ReceiveMessage"
SEND_RECEIVE_DELETE = "sqs Send+Receive+Delete"
# To topics with so many queues: the message as it is, and in SNS's envelope, signed.
PUBLISH_RAW = "sns Publish to a queue, raw"
PUBLISH_SIGNED = "sns Publish to a queue, signed"
FAN_OUT_RAW = "sns Publish to 100 queues, raw"
FAN_OUT_SIGNED = "sns Publish to 100 queues, signed"
TOPICS = {
    PUBLISH_RAW: "bench-raw",
    PUBLISH_SIGNED: "bench-signed",
    FAN_OUT_RAW: "bench-raw-100",
    FAN_OUT_SIGNED: "bench-signed-100",
}
_SPREAD = 400
BATCH = 10


def prepare_topics(client: Callable[[str], Any], *operations: str) -> None:
    """Make the topics of these operations, each with queues of its own that let it in."""
    sns, sqs = client("sns"), client("sqs")
    for operation in operations:
        name = TOPICS[operation]
        topic = sns.create_topic(Name=name)["TopicArn"]
        for number in range(100 if name.endswith("-100") else 1):
            url = sqs.create_queue(QueueName=f"{name}-queue-{number}")["QueueUrl"]
            asked = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
            arn = asked["Attributes"]["QueueArn"]
            policy = {
                "Version": "2012-10-17",
                "Statement": [{
                    "Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"},
                    "Action": "sqs:SendMessage", "Resource": arn,
                    "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
                }],
            }  # fmt: skip
            sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
            raw = {} if "signed" in name else {"RawMessageDelivery": "true"}
            sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=raw)


def following_of(port: int, operation: str) -> Following | None:
    """What each connection asks next, for the operations of this module."""
    if operation == RECEIVE:
        return _receives(port)
    if operation == SEND_RECEIVE_DELETE:
        return _rounds(port)
    if operation in TOPICS:
        return _publishes(port, TOPICS[operation])
    return None


def batches(port: int, messages: int) -> Iterator[bytes]:
    """Requests that send so many messages, ten at a time."""
    from bench.load import ITEM_VALUE, sqs

    entries = [{"Id": str(n), "MessageBody": ITEM_VALUE} for n in range(BATCH)]
    # A signature lasts for fifteen minutes.
    request = sqs(port, "SendMessageBatch", {"Entries": entries})
    for _ in range(messages // BATCH):
        yield request


def _receives(port: int) -> Following:
    """Receive a message and leave it: it goes to the end of the line, and none runs out."""
    from bench.load import sqs

    receive = sqs(port, "ReceiveMessage", {"VisibilityTimeout": 0})
    return lambda client, body: receive


def _rounds(port: int) -> Following:
    """Send a message, receive one, delete it: the queue stays as long as it is."""
    from bench.load import ITEM_VALUE, sqs

    send = sqs(port, "SendMessage", {"MessageBody": ITEM_VALUE})
    receive = sqs(port, "ReceiveMessage", {})

    def following(client: Client, body: bytes | None) -> bytes:
        client.step += 1
        if body is None or client.step % 3 == 1:
            client.step = 1
            return send
        if client.step % 3 == 2:
            return receive
        messages = json.loads(body).get("Messages", [])
        if not messages:
            client.step = 1
            return send
        return sqs(port, "DeleteMessage", {"ReceiptHandle": messages[0]["ReceiptHandle"]})

    return following


def _publishes(port: int, name: str) -> Following:
    from bench.load import ITEM_VALUE

    # Who has made the topic is told its ARN again; the account in it differs among servers.
    answer = ask(port, _sns(port, {"Action": "CreateTopic", "Name": name}))
    found = re.search(r"<TopicArn>([^<]+)</TopicArn>", answer)
    assert found is not None, answer
    publish = {"Action": "Publish", "TopicArn": found[1]}
    requests = [
        _sns(port, {**publish, "Message": f"{number:04}{ITEM_VALUE[4:]}"})
        for number in range(_SPREAD)
    ]
    # A cloud's first signature takes the making of its key.
    ask(port, requests[0])
    following = cycle(requests)
    return lambda client, body: next(following)


def _sns(port: int, fields: dict[str, str]) -> bytes:
    from bench.load import request

    body = urlencode({**fields, "Version": "2010-03-31"}).encode()
    kind = "application/x-www-form-urlencoded; charset=utf-8"
    return request(port, "sns", "POST", "/", body, **{"content-type": kind})


def ask(port: int, text: bytes) -> str:
    """The content of the answer to one request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.connect()
    assert connection.sock is not None
    connection.sock.sendall(text)
    answer = http.client.HTTPResponse(connection.sock)
    answer.begin()
    content = answer.read().decode()
    connection.close()
    return content
