"""EventBridge, Scheduler and Pipes by the AWS CLI, unchanged."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import REGION, Account
from .test_aws_cli import AWS, answer, aws

pytestmark = pytest.mark.skipif(AWS is None, reason="the AWS CLI is not installed")


def until(look: Callable[[], Any], seconds: float = 20.0) -> Any:
    """What is there at last."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end
        time.sleep(0.1)
    return found


def queue(account: Account, name: str, service: str) -> str:
    """A queue that a service may write to; its ARN."""
    arn = f"arn:aws:sqs:{REGION}:{account.number}:{name}"
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": f"{service}.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    attributes = json.dumps({"Policy": policy})
    aws(account, "sqs", "create-queue", "--queue-name", name, "--attributes", attributes)
    return arn


def heard(account: Account, name: str) -> list[str]:
    """The messages in a queue."""
    url = f"{account.endpoint}/{account.number}/{name}"
    words = ("--max-number-of-messages", "10", "--wait-time-seconds", "5")
    found = answer(account, "sqs", "receive-message", "--queue-url", url, *words)
    return [one["Body"] for one in (found or {}).get("Messages", [])]


def role(account: Account, service: str, action: str) -> str:
    """A role as which a service may do something; its ARN."""
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": f"{service}.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    allowed = {"Effect": "Allow", "Action": action, "Resource": "*"}
    made = answer(
        account, "iam", "create-role", "--role-name", service, "--assume-role-policy-document",
        json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )  # fmt: skip
    aws(
        account, "iam", "put-role-policy", "--role-name", service, "--policy-name", "own",
        "--policy-document", json.dumps({"Version": "2012-10-17", "Statement": [allowed]}),
    )  # fmt: skip
    arn: str = made["Role"]["Arn"]
    return arn


@pytest.mark.slow
def test_an_event_is_put_matched_archived_and_replayed(account: Account) -> None:
    arn = queue(account, "q", "events")
    bus = answer(account, "events", "create-event-bus", "--name", "shop")["EventBusArn"]
    aws(
        account, "events", "put-rule", "--name", "r", "--event-bus-name", "shop",
        "--event-pattern", '{"source": ["till"]}',
    )  # fmt: skip
    put = answer(
        account, "events", "put-targets", "--rule", "r", "--event-bus-name", "shop",
        "--targets", json.dumps([{"Id": "q", "Arn": arn, "InputPath": "$.detail"}]),
    )  # fmt: skip
    assert put == {"FailedEntryCount": 0, "FailedEntries": []}
    aws(account, "events", "create-archive", "--archive-name", "a", "--event-source-arn", bus)
    entry = {
        "Source": "till", "DetailType": "sold", "Detail": '{"tea": 1}', "EventBusName": "shop",
    }  # fmt: skip
    answered = answer(account, "events", "put-events", "--entries", json.dumps([entry]))
    assert answered["FailedEntryCount"] == 0
    assert set(heard(account, "q")) == {'{"tea":1}'}
    shown = answer(account, "events", "describe-archive", "--archive-name", "a")
    assert (shown["EventCount"], shown["State"]) == (1, "ENABLED")
    aws(
        account, "events", "start-replay", "--replay-name", "again",
        "--event-source-arn", shown["ArchiveArn"], "--destination", json.dumps({"Arn": bus}),
        "--event-start-time", "2000-01-01T00:00:00Z", "--event-end-time", "2100-01-01T00:00:00Z",
    )  # fmt: skip
    assert set(heard(account, "q")) == {'{"tea":1}'}
    aws(account, "events", "remove-targets", "--rule", "r", "--event-bus-name", "shop",
        "--ids", "q")  # fmt: skip
    aws(account, "events", "delete-rule", "--name", "r", "--event-bus-name", "shop")
    aws(account, "events", "delete-archive", "--archive-name", "a")
    aws(account, "events", "delete-event-bus", "--name", "shop")
    buses = answer(account, "events", "list-event-buses")["EventBuses"]
    assert [one["Name"] for one in buses] == ["default"]


@pytest.mark.slow
def test_a_partners_source_and_a_global_endpoint_come_and_go(account: Account) -> None:
    name = f"aws.partner/tea.example/{account.number}/orders"
    aws(account, "events", "create-partner-event-source", "--name", name,
        "--account", account.number)  # fmt: skip
    aws(account, "events", "create-event-bus", "--name", name, "--event-source-name", name)
    (source,) = answer(account, "events", "list-event-sources")["EventSources"]
    assert (source["Name"], source["State"]) == (name, "ACTIVE")
    entry = {"Source": name, "DetailType": "ordered", "Detail": "{}"}
    told = answer(account, "events", "put-partner-events", "--entries", json.dumps([entry]))
    assert told["FailedEntryCount"] == 0
    aws(account, "events", "deactivate-event-source", "--name", name)
    aws(account, "events", "delete-partner-event-source", "--name", name,
        "--account", account.number)  # fmt: skip
    shown = answer(account, "events", "describe-event-source", "--name", name)
    assert shown["State"] == "DELETED"
    aws(account, "events", "delete-event-bus", "--name", name)

    buses = []
    for region in (REGION, "us-west-2"):
        made = answer(account, "events", "create-event-bus", "--name", "shop", "--region", region)
        buses.append({"EventBusArn": made["EventBusArn"]})
    routing = {
        "FailoverConfig": {
            "Primary": {"HealthCheck": "arn:aws:route53:::healthcheck/a1"},
            "Secondary": {"Route": "us-west-2"},
        }
    }
    aws(
        account, "events", "create-endpoint", "--name", "tea",
        "--routing-config", json.dumps(routing), "--event-buses", json.dumps(buses),
        "--replication-config", "State=DISABLED",
    )  # fmt: skip

    def described() -> Any:
        return answer(account, "events", "describe-endpoint", "--name", "tea")

    assert until(lambda: described()["State"] == "ACTIVE")
    assert described()["EventBuses"] == buses
    aws(account, "events", "delete-endpoint", "--name", "tea")
    assert until(lambda: answer(account, "events", "list-endpoints")["Endpoints"] == [])


def test_a_connection_and_an_api_destination_come_and_go(account: Account) -> None:
    auth = {"ApiKeyAuthParameters": {"ApiKeyName": "x-key", "ApiKeyValue": "s3cret"}}
    made = answer(
        account, "events", "create-connection", "--name", "c",
        "--authorization-type", "API_KEY", "--auth-parameters", json.dumps(auth),
    )  # fmt: skip
    # As a word of its own the address would be fetched by the CLI.
    given = {
        "Name": "d",
        "ConnectionArn": made["ConnectionArn"],
        "HttpMethod": "POST",
        "InvocationEndpoint": "https://till.example.test/",
    }
    words = ("create-api-destination", "--cli-input-json", json.dumps(given))
    aws(account, "events", *words)
    shown = answer(account, "events", "describe-connection", "--name", "c")
    assert shown["AuthParameters"] == {"ApiKeyAuthParameters": {"ApiKeyName": "x-key"}}
    assert shown["ConnectionState"] == "AUTHORIZED"
    aws(account, "events", "delete-api-destination", "--name", "d")
    aws(account, "events", "delete-connection", "--name", "c")
    assert answer(account, "secretsmanager", "list-secrets")["SecretList"] == []


def test_a_schedule_calls_and_a_pipe_brings_what_a_table_tells(account: Account) -> None:
    queue(account, "q", "events")
    clock = role(account, "scheduler", "dynamodb:*")
    pipes = role(account, "pipes", "*")
    table = answer(
        account, "dynamodb", "create-table", "--table-name", "orders",
        "--attribute-definitions", "AttributeName=id,AttributeType=S",
        "--key-schema", "AttributeName=id,KeyType=HASH", "--billing-mode", "PAY_PER_REQUEST",
        "--stream-specification", "StreamEnabled=true,StreamViewType=NEW_IMAGE",
    )["TableDescription"]  # fmt: skip
    aws(account, "dynamodb", "wait", "table-exists", "--table-name", "orders")
    stream = {"DynamoDBStreamParameters": {"StartingPosition": "TRIM_HORIZON"}}
    made = answer(
        account, "pipes", "create-pipe", "--name", "p", "--role-arn", pipes,
        "--source", table["LatestStreamArn"], "--source-parameters", json.dumps(stream),
        "--target", f"arn:aws:sqs:{REGION}:{account.number}:q",
        "--target-parameters", json.dumps({"InputTemplate": '"<$.dynamodb.Keys.id.S>"'}),
    )  # fmt: skip
    assert made["CurrentState"] == "CREATING"
    item = {"TableName": "orders", "Item": {"id": {"S": "by the clock"}}}
    target = {
        "Arn": "arn:aws:scheduler:::aws-sdk:dynamodb:putItem", "RoleArn": clock,
        "Input": json.dumps(item),
    }  # fmt: skip
    aws(
        account, "scheduler", "create-schedule", "--name", "s",
        "--schedule-expression", "rate(1 hour)", "--flexible-time-window", "Mode=OFF",
        "--target", json.dumps(target),
    )  # fmt: skip
    assert set(until(lambda: heard(account, "q"))) == {'"by the clock"'}
    aws(account, "scheduler", "delete-schedule", "--name", "s")
    aws(account, "pipes", "delete-pipe", "--name", "p")
    assert until(lambda: answer(account, "pipes", "list-pipes")["Pipes"] == [])
