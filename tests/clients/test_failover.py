"""A Region is taken down by its operator, and a global endpoint's events go to the other one."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tests.crash.servers import Server

FIRST, SECOND = "eu-west-1", "us-west-2"


def client(server: Server, service: str, region: str) -> Any:
    return boto3.client(
        service, endpoint_url=server.endpoint, region_name=region, aws_access_key_id="test",
        aws_secret_access_key="test", config=Config(retries={"max_attempts": 1}),
    )  # fmt: skip


def listening(server: Server, region: str) -> Any:
    """A bus whose events come into a queue beside it; how to hear of the next."""
    events, sqs = client(server, "events", region), client(server, "sqs", region)
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    arn = f"arn:aws:sqs:{region}:000000000000:q"
    statement = {"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": arn}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    events.create_event_bus(Name="shop")
    events.put_rule(Name="r", EventBusName="shop", EventPattern='{"source": ["till"]}')
    events.put_targets(Rule="r", EventBusName="shop", Targets=[{"Id": "q", "Arn": arn}])

    def heard() -> list[str]:
        found = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=2).get("Messages", [])
        for one in found:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])
        return [json.loads(one["Body"])["region"] for one in found]

    return heard


def turn(data: Path, word: str) -> None:
    """Take all zones of the first Region down, or up again."""
    for letter in "abc":
        words = ("zone", word, f"{FIRST}{letter}", "--data", str(data))
        subprocess.run(
            [sys.executable, "-m", "doppio", *words], check=True, timeout=60, capture_output=True
        )


@pytest.mark.slow
def test_events_go_on_while_a_region_is_down(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Server(data) as server:
        here, there = listening(server, FIRST), listening(server, SECOND)
        events = client(server, "events", FIRST)
        bus = f"arn:aws:events:{FIRST}:000000000000:event-bus/shop"
        failover = {
            "Primary": {"HealthCheck": "arn:aws:route53:::healthcheck/a1"},
            "Secondary": {"Route": SECOND},
        }
        events.create_endpoint(
            Name="tea",
            RoutingConfig={"FailoverConfig": failover},
            ReplicationConfig={"State": "DISABLED"},
            EventBuses=[{"EventBusArn": bus}, {"EventBusArn": bus.replace(FIRST, SECOND)}],
        )
        end = time.monotonic() + 20
        while (shown := events.describe_endpoint(Name="tea"))["State"] != "ACTIVE":
            assert time.monotonic() < end
            time.sleep(0.05)
        entry = {"Source": "till", "DetailType": "sold", "Detail": "{}", "EventBusName": "shop"}

        def put() -> None:
            answer = events.put_events(EndpointId=shown["EndpointId"], Entries=[entry])
            assert answer["FailedEntryCount"] == 0

        put()
        assert here() == [FIRST]
        turn(data, "down")
        put()
        assert there() == [SECOND]
        turn(data, "up")
        put()
        assert here() == [FIRST]
        assert there() == []
