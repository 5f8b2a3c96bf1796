"""EventBridge through a real client: what crosses the wire arrives, both ways."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from doppio.testing import Cloud


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with Cloud() as running:
        yield running


def test_an_event_goes_through_a_custom_bus_to_a_queue(cloud: Cloud) -> None:
    account = cloud.account()
    events, sqs = account.client("events"), account.client("sqs")
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    names = ["QueueArn"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]["QueueArn"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
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
