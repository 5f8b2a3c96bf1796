"""A load generator that is not the bottleneck: signed requests over keep-alive sockets.

Requests are signed before the run (a signature lasts fifteen minutes) and sent as they are; of an
answer only the status and the length are looked at. It runs in a process of its own.

`python -m bench.load PORT PID OPERATION SECONDS CONCURRENCY [ITEMS]` prints one line of JSON: operations,
failures, wall seconds, CPU seconds of the server (all its threads), p50 and p99 in milliseconds.
With ITEMS, keys are spread over a table of so many.
"""

from __future__ import annotations

import json
import os
import random
import selectors
import socket
import sys
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from bench.messages import PUBLISH_RAW, PUBLISH_SIGNED, ask, following_of

Following = Callable[["Client", bytes | None], bytes]
CREDENTIALS = Credentials("test", "test")
REGION = "us-east-1"
KEYS = 2_000
# Requests are signed before the run, and so many are enough to miss every cache.
SPREAD_MAX = 20_000
SIZE = 1_000
AGENT = "Boto3/1.40 md/Botocore#1.40 ua/2.1 os/linux md/arch#x86_64 lang/python#3.11"
ITEM_VALUE = "x" * SIZE


class Outcome(NamedTuple):
    """What a run showed."""

    operation: str
    count: int
    failed: int
    seconds: float
    cpu_seconds: float
    p50_ms: float
    p99_ms: float


def request(port: int, service: str, method: str, path: str, body: bytes, **headers: str) -> bytes:
    """A signed request, as bytes for the socket."""
    url = f"http://localhost:{port}{path}"
    made = AWSRequest(method, url, headers={"user-agent": AGENT, **headers}, data=body)
    if service == "s3":
        made.context["payload_signing_enabled"] = True
        S3SigV4Auth(CREDENTIALS, service, REGION).add_auth(made)
    else:
        SigV4Auth(CREDENTIALS, service, REGION).add_auth(made)
    prepared = made.prepare()
    target = urlsplit(prepared.url)
    where = f"{target.path}?{target.query}" if target.query else target.path
    lines = [f"{method} {where} HTTP/1.1", f"Host: localhost:{port}"]
    for name, value in prepared.headers.items():
        if name.lower() not in ("content-length", "host"):
            lines.append(f"{name}: {value.decode() if isinstance(value, bytes) else value}")
    lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def call(port: int, service: str, target: str, version: str, content: dict[str, Any]) -> bytes:
    """A signed request of a JSON protocol."""
    return request(
        port, service, "POST", "/", json.dumps(content).encode(),
        **{"content-type": f"application/x-amz-json-{version}", "x-amz-target": target},
    )  # fmt: skip


def dynamodb(port: int, operation: str, content: dict[str, Any]) -> bytes:
    """A DynamoDB request."""
    target = f"DynamoDB_20120810.{operation}"
    return call(port, "dynamodb", target, "1.0", {"TableName": "bench", **content})


def sqs(port: int, operation: str, content: dict[str, Any]) -> bytes:
    """An SQS request."""
    target = f"AmazonSQS.{operation}"
    return call(port, "sqs", target, "1.0", {"QueueUrl": queue_url(port), **content})


@cache
def queue_url(port: int) -> str:
    """The queue's URL, of which every server has a form of its own."""
    asked = call(port, "sqs", "AmazonSQS.GetQueueUrl", "1.0", {"QueueName": "bench"})
    url: str = json.loads(ask(port, asked))["QueueUrl"]
    return url


def key(number: int) -> dict[str, Any]:
    """An item's key: ten items a hash key."""
    return {"pk": {"S": f"k{number // 10}"}, "sk": {"S": f"s{number % 10}"}}


MAKERS: dict[str, Callable[[int, int], bytes]] = {
    "dynamodb PutItem": lambda port, n: dynamodb(
        port, "PutItem", {"Item": {**key(n), "v": {"S": ITEM_VALUE}}}
    ),
    "dynamodb GetItem": lambda port, n: dynamodb(port, "GetItem", {"Key": key(n)}),
    "dynamodb Query (10 items)": lambda port, n: dynamodb(
        port, "Query",
        {"KeyConditionExpression": "pk = :p",
         "ExpressionAttributeValues": {":p": key(n)["pk"]}},
    ),
    "sqs SendMessage": lambda port, n: sqs(port, "SendMessage", {"MessageBody": ITEM_VALUE}),
    "s3 PutObject": lambda port, n: request(
        port, "s3", "PUT", f"/bench/k{n}", ITEM_VALUE.encode()
    ),
    "s3 GetObject": lambda port, n: request(port, "s3", "GET", f"/bench/k{n}", b""),
}  # fmt: skip
RECEIVE_DELETE = "sqs Receive+Delete"
OPERATIONS = (
    *list(MAKERS)[:4], RECEIVE_DELETE, PUBLISH_RAW, PUBLISH_SIGNED, *list(MAKERS)[4:],
)  # fmt: skip


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and of the children it has waited for, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")


class Client:
    """One connection, kept alive as long as the server keeps it."""

    __slots__ = ("answer", "began", "closed", "port", "socket", "step")

    def __init__(self, port: int) -> None:
        self.port = port
        self.step = 0
        self.connect()

    def connect(self) -> None:
        """Open the connection, again if the server has closed it."""
        self.socket = socket.create_connection(("127.0.0.1", self.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.closed = False

    def send(self, data: bytes) -> None:
        """Ask."""
        self.answer = b""
        self.began = time.perf_counter()
        self.socket.sendall(data)

    def complete(self) -> bytes | None:
        """The answer's body once it is whole."""
        more = self.socket.recv(262_144)
        self.answer += more
        end = self.answer.find(b"\r\n\r\n")
        body = self.answer[end + 4 :]
        if not more:
            self.closed = True
            return body
        if end < 0:
            return None
        head = self.answer[:end].lower()
        self.closed = b"\r\nconnection: close" in head
        at = head.find(b"content-length:")
        if at < 0:
            whole = b"transfer-encoding: chunked" not in head or body.endswith(b"0\r\n\r\n")
        else:
            line = head.find(b"\r", at)
            whole = len(body) >= int(head[at + 15 : line if line >= 0 else None])
        return body if whole else None


def run(
    port: int, pid: int, operation: str, seconds: float, concurrency: int, items: int = KEYS
) -> Outcome:
    """Load a server for some seconds."""
    following = following_for(port, operation, items)
    return drive(port, pid, operation, following, seconds, concurrency)


def following_for(port: int, operation: str, items: int = KEYS) -> Following:
    """What each connection asks next, with the answer to what it asked before."""
    if operation == RECEIVE_DELETE:
        return _pairs(port)
    return following_of(port, operation) or prepared(port, operation, items)


def drive(
    port: int,
    pid: int,
    operation: str,
    following: Following,
    seconds: float,
    concurrency: int,
) -> Outcome:
    """Keep connections busy for some seconds with what `following` says is next."""
    selector = selectors.DefaultSelector()
    for _ in range(concurrency):
        client = Client(port)
        selector.register(client.socket, selectors.EVENT_READ, client)
        client.send(following(client, None))
    count = failed = 0
    times: list[float] = []
    cpu, began = cpu_seconds(pid), time.perf_counter()
    while (now := time.perf_counter()) < began + seconds or not times:
        for ready, _ in selector.select(1):
            client = ready.data
            body = client.complete()
            if body is None:
                continue
            times.append(time.perf_counter() - client.began)
            count += 1
            failed += client.answer[9:12] != b"200"
            if client.closed:
                selector.unregister(client.socket)
                client.socket.close()
                client.connect()
                selector.register(client.socket, selectors.EVENT_READ, client)
            client.send(following(client, body))
    elapsed, used = now - began, cpu_seconds(pid) - cpu
    times.sort()
    p50, p99 = (times[int(len(times) * part)] * 1e3 for part in (0.5, 0.99))
    return Outcome(operation, count, failed, elapsed, used, p50, p99)


def prepared(port: int, operation: str, items: int) -> Following:
    count = min(items, SPREAD_MAX)
    numbers = [number * (items // count) for number in range(count)]
    random.Random(1).shuffle(numbers)
    return in_turn([MAKERS[operation](port, number) for number in numbers])


def in_turn(requests: Sequence[bytes]) -> Following:
    """One request after the other, and again from the first."""
    position = iter(range(10**9))
    return lambda client, body: requests[next(position) % len(requests)]


def _pairs(port: int) -> Following:
    """Receive a message, then delete it by its handle, which is signed on the way."""
    receive = sqs(port, "ReceiveMessage", {})

    def following(client: Client, body: bytes | None) -> bytes:
        client.step += 1
        if body is None or client.step % 2 == 1:
            return receive
        messages = json.loads(body).get("Messages", [])
        if not messages:
            client.step += 1
            return receive
        return sqs(port, "DeleteMessage", {"ReceiptHandle": messages[0]["ReceiptHandle"]})

    return following


def main() -> None:
    """The command."""
    port, pid, operation, seconds, concurrency, *items = sys.argv[1:]
    outcome = run(
        int(port), int(pid), operation, float(seconds), int(concurrency), *map(int, items)
    )
    print(json.dumps(outcome._asdict()))


if __name__ == "__main__":
    main()
