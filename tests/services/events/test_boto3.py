"""EventBridge through a real client: what crosses the wire arrives, both ways."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest

from doppio.testing import Cloud


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with Cloud() as running:
        yield running


def _queue(sqs: Any, name: str) -> str:
    """Create a queue that EventBridge may write to; its ARN."""
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    names = ["QueueArn"]
    arn: str = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"][
        "QueueArn"
    ]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    return arn


def test_an_event_goes_through_a_custom_bus_to_a_queue(cloud: Cloud) -> None:
    account = cloud.account()
    events, sqs = account.client("events"), account.client("sqs")
    arn = _queue(sqs, "q")
    url = sqs.get_queue_url(QueueName="q")["QueueUrl"]
    events.create_event_bus(Name="shop")
    made = events.put_rule(Name="r", EventBusName="shop", EventPattern='{"source": ["till"]}')
    events.put_targets(Rule="r", EventBusName="shop", Targets=[{"Id": "q", "Arn": arn}])
    entry: dict[str, Any] = {
        "Source": "till",
        "DetailType": "sold",
        "Detail": '{"tea":1.50}',
        "EventBusName": "shop",
        "Time": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    }
    answer = events.put_events(Entries=[entry, {**entry, "Detail": "no"}])
    assert answer["FailedEntryCount"] == 1
    assert answer["Entries"][1] == {
        "ErrorCode": "MalformedDetail",
        "ErrorMessage": "Detail is malformed.",
    }
    (message,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"]
    body = json.loads(message["Body"])
    assert (body["id"], body["time"]) == (answer["Entries"][0]["EventId"], "2026-01-02T03:04:05Z")
    rules = events.list_rule_names_by_target(TargetArn=arn, EventBusName="shop")
    assert rules["RuleNames"] == ["r"]
    with pytest.raises(events.exceptions.ResourceNotFoundException):
        events.describe_rule(Name="no")
    events.tag_resource(ResourceARN=made["RuleArn"], Tags=[{"Key": "a", "Value": "b"}])
    assert events.list_tags_for_resource(ResourceARN=made["RuleArn"])["Tags"] == [
        {"Key": "a", "Value": "b"}
    ]


def test_a_partners_event_reaches_the_customer_that_listens(cloud: Cloud) -> None:
    ours, theirs = cloud.account(), cloud.account()
    events, sqs, partner = ours.client("events"), ours.client("sqs"), theirs.client("events")
    name = f"aws.partner/tea.example/{ours.account_id}/orders"
    made = partner.create_partner_event_source(Name=name, Account=ours.account_id)
    assert made["EventSourceArn"] == f"arn:aws:events:us-east-1::event-source/{name}"
    assert events.describe_event_source(Name=name)["State"] == "PENDING"
    events.create_event_bus(Name=name, EventSourceName=name)
    arn = _queue(sqs, "partners")
    events.put_rule(Name="r", EventBusName=name, EventPattern=json.dumps({"source": [name]}))
    events.put_targets(Rule="r", EventBusName=name, Targets=[{"Id": "q", "Arn": arn}])
    entry = {"Source": name, "DetailType": "ordered", "Detail": '{"tea": 1}'}
    answer = partner.put_partner_events(Entries=[entry, {**entry, "Source": f"{name}2"}])
    assert answer["FailedEntryCount"] == 1
    assert answer["Entries"][1]["ErrorCode"] == "NotAuthorizedForSource"
    url = sqs.get_queue_url(QueueName="partners")["QueueUrl"]
    (message,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"]
    body = json.loads(message["Body"])
    assert (body["id"], body["account"]) == (answer["Entries"][0]["EventId"], ours.account_id)
    accounts = partner.list_partner_event_source_accounts(EventSourceName=name)
    assert accounts["PartnerEventSourceAccounts"][0]["State"] == "ACTIVE"


def _at_its_own_host(client: Any, endpoint_url: str) -> None:
    """Let a client that signs for the host of a global endpoint reach it on this machine."""

    def send(request: Any, **_: Any) -> None:
        there = urlsplit(request.url)
        assert there.netloc.endswith(".endpoint.events.amazonaws.com")
        request.headers["Host"] = there.netloc
        request.url = f"{endpoint_url}{there.path}"

    client.meta.events.register("before-send.events.PutEvents", send)


@pytest.mark.parametrize("own_host", [False, True])
def test_a_global_endpoint_is_spoken_to_with_signatures_for_all_regions(
    cloud: Cloud, own_host: bool
) -> None:
    account = cloud.account()
    west = account.client("sqs", region_name="us-west-2")
    url = west.create_queue(QueueName="q")["QueueUrl"]
    events = account.client("events", region_name="us-west-2")
    account.client("events").create_event_bus(Name="shop")
    bus = events.create_event_bus(Name="shop")["EventBusArn"]
    made = events.create_endpoint(
        Name="tea",
        RoutingConfig={
            "FailoverConfig": {
                "Primary": {"HealthCheck": "arn:aws:route53:::healthcheck/a1"},
                "Secondary": {"Route": "us-east-1"},
            }
        },
        ReplicationConfig={"State": "DISABLED"},
        EventBuses=[
            {"EventBusArn": bus},
            {"EventBusArn": bus.replace("us-west-2", "us-east-1")},
        ],
    )
    for _ in range(100):
        shown = events.describe_endpoint(Name="tea")
        if shown["State"] == "ACTIVE":
            break
        time.sleep(0.05)
    assert shown["Arn"] == made["Arn"]
    assert shown["EndpointUrl"] == f"https://{shown['EndpointId']}.endpoint.events.amazonaws.com"
    arn = f"arn:aws:sqs:us-west-2:{account.account_id}:q"
    statement = {"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": arn}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    west.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    events.put_rule(Name="r", EventBusName="shop", EventPattern='{"source": ["till"]}')
    events.put_targets(Rule="r", EventBusName="shop", Targets=[{"Id": "q", "Arn": arn}])
    if own_host:
        client = boto3.client(
            "events",
            region_name="eu-west-1",
            aws_access_key_id=account.access_key_id,
            aws_secret_access_key=account.secret_access_key,
        )
        _at_its_own_host(client, account.endpoint_url)
    else:
        client = account.client("events", region_name="eu-west-1")
    entry = {"Source": "till", "DetailType": "sold", "Detail": "{}", "EventBusName": "shop"}
    answer = client.put_events(EndpointId=shown["EndpointId"], Entries=[entry])
    assert answer["FailedEntryCount"] == 0
    (message,) = west.receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"]
    body = json.loads(message["Body"])
    assert body["id"] == answer["Entries"][0]["EventId"]
    assert (body["region"], body["resources"]) == ("us-west-2", [made["Arn"]])
