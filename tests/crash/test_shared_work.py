"""Two gateways on one PostgreSQL share the background work: each thing is done once, and all of it."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from doppio.kernel.leases import LASTS_SECONDS
from tests.kernel.postgres_server import schema_url

from .servers import Server

BASE = "arn:aws:sqs:us-east-1:000000000000"
WAYS = ("schedule", "rule", "pipe", "stream", "object")
SERVICES = ("scheduler.amazonaws.com", "pipes.amazonaws.com")
# A message that came twice came at most so much later: what is under way ends, what failed comes again.
QUIET_SECONDS = 3.0


class Cafe:
    """What the two gateways are asked to do: five ways by which a message comes to a queue."""

    def __init__(self, *endpoints: str) -> None:
        self._session = boto3.Session("test", "test", region_name="us-east-1")
        self.endpoints = list(endpoints)
        self._asked = 0
        iam, sqs = self.client("iam"), self.client("sqs")
        trust = {"Effect": "Allow", "Principal": {"Service": SERVICES}, "Action": "sts:AssumeRole"}
        self.role = iam.create_role(
            RoleName="barista", AssumeRolePolicyDocument=_policy(trust)
        )["Role"]["Arn"]  # fmt: skip
        allowed = {"Effect": "Allow", "Action": ["sqs:*", "dynamodb:*"], "Resource": "*"}
        iam.put_role_policy(RoleName="barista", PolicyName="own", PolicyDocument=_policy(allowed))
        anybody = {
            "Effect": "Allow",
            "Principal": {"Service": ["events.amazonaws.com", "s3.amazonaws.com"]},
            "Action": "sqs:SendMessage",
            "Resource": "*",
        }
        self.urls = {
            name: sqs.create_queue(
                QueueName=name,
                Attributes={"VisibilityTimeout": "600", "Policy": _policy(anybody)},
            )["QueueUrl"]
            for name in (*WAYS, "source")
        }
        self._furnish()

    def client(self, service: str) -> Any:
        """A client of the one or the other gateway, in turn."""
        self._asked += 1
        return self._session.client(
            service,
            endpoint_url=self.endpoints[self._asked % len(self.endpoints)],
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
        )

    def _furnish(self) -> None:
        events, pipes = self.client("events"), self.client("pipes")
        events.put_rule(Name="orders", EventPattern=json.dumps({"source": ["cafe"]}))
        events.put_targets(Rule="orders", Targets=[{"Id": "q", "Arn": f"{BASE}:rule"}])
        stream = self.client("dynamodb").create_table(
            TableName="orders",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
        )["TableDescription"]["LatestStreamArn"]
        pipes.create_pipe(
            Name="queue", RoleArn=self.role, Source=f"{BASE}:source", Target=f"{BASE}:pipe"
        )
        pipes.create_pipe(
            Name="table", RoleArn=self.role, Source=stream, Target=f"{BASE}:stream",
            SourceParameters={"DynamoDBStreamParameters": {"StartingPosition": "TRIM_HORIZON"}},
        )  # fmt: skip
        s3 = self.client("s3")
        s3.create_bucket(Bucket="orders")
        s3.put_bucket_notification_configuration(
            Bucket="orders",
            NotificationConfiguration={
                "QueueConfigurations": [
                    {"QueueArn": f"{BASE}:object", "Events": ["s3:ObjectCreated:*"]}
                ]
            },
        )
        _until(
            lambda: all(
                self.client("pipes").describe_pipe(Name=name)["CurrentState"] == "RUNNING"
                for name in ("queue", "table")
            )
        )

    def order(self, number: int) -> None:
        """An order, by all ways."""
        name = f"order-{number:03d}"
        at = datetime.now(UTC) + timedelta(seconds=3 + number % 3)
        self.client("scheduler").create_schedule(
            Name=name,
            ScheduleExpression=f"at({at:%Y-%m-%dT%H:%M:%S})",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={"Arn": f"{BASE}:schedule", "RoleArn": self.role, "Input": name},
        )
        self.client("events").put_events(
            Entries=[{"Source": "cafe", "DetailType": "order", "Detail": json.dumps({"n": name})}]
        )
        self.client("sqs").send_message(QueueUrl=self.urls["source"], MessageBody=name)
        self.client("dynamodb").put_item(TableName="orders", Item={"id": {"S": name}})
        self.client("s3").put_object(Bucket="orders", Key=name, Body=b"a flat white")

    def arrived(self, wanted: int, seconds: float) -> dict[str, Counter[str]]:
        """How often each order has come, by way: once all have, and a while is over."""
        found: dict[str, Counter[str]] = {way: Counter() for way in WAYS}
        sqs = self.client("sqs")

        def look() -> bool:
            for way in WAYS:
                answer = sqs.receive_message(QueueUrl=self.urls[way], MaxNumberOfMessages=10)
                for message in answer.get("Messages", ()):
                    found[way].update(_names(message["Body"]))
            return all(len(names) >= wanted for names in found.values())

        _until(look, seconds, lambda: {way: len(names) for way, names in found.items()})
        end = time.monotonic() + QUIET_SECONDS
        while time.monotonic() < end:
            look()
        return found


def _names(body: str) -> list[str]:
    """The orders of which a message tells."""
    found: list[str] = []
    for at in range(len(body)):
        if body.startswith("order-", at):
            name = body[at : at + 9]
            if name not in found:
                found.append(name)
    return found


def _policy(statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _until(
    done: Callable[[], bool], seconds: float = 20.0, state: Callable[[], Any] = lambda: ""
) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, f"it takes too long: {state()}"
        time.sleep(0.02)


def test_two_gateways_do_each_thing_once(tmp_path: Path) -> None:
    orders = 30
    url = schema_url()
    with (
        Server(tmp_path / "one", "--store", url, name="one") as one,
        Server(tmp_path / "two", "--store", url, name="two") as two,
    ):
        cafe = Cafe(one.endpoint, two.endpoint)
        for number in range(orders):
            cafe.order(number)
        found = cafe.arrived(orders, 40)
        for server in (one, two):
            server.stop()
    names = {f"order-{number:03d}": 1 for number in range(orders)}
    assert {way: dict(counts) for way, counts in found.items()} == dict.fromkeys(WAYS, names)


def test_when_one_gateway_is_killed_the_other_does_its_work_within_seconds(tmp_path: Path) -> None:
    url = schema_url()
    with (
        Server(tmp_path / "one", "--store", url, name="one") as one,
        Server(tmp_path / "two", "--store", url, name="two") as two,
    ):
        cafe = Cafe(one.endpoint, two.endpoint)
        for number in range(10):
            cafe.order(number)
        before = cafe.arrived(10, 40)
        assert all(set(counts.values()) == {1} for counts in before.values())
        one.kill()
        killed = time.monotonic()
        cafe.endpoints = [two.endpoint]
        for number in range(10, 20):
            cafe.order(number)
        found = cafe.arrived(10, 40)
        seconds = time.monotonic() - killed - QUIET_SECONDS
        print(f"  all was there {seconds:.1f} s after the kill")
        assert seconds < LASTS_SECONDS + 10, "nobody waits for who is gone"
        two.stop()
    names = {f"order-{number:03d}" for number in range(10, 20)}
    assert {way: set(counts) for way, counts in found.items()} == dict.fromkeys(WAYS, names)
