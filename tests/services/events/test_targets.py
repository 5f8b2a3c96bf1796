"""Each kind of target that this cloud has is really told; each that it has not is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.services.events.helpers import bodies, put, queue, rule
from tests.services.kms.helpers import allow, user
from tests.services.sns.helpers import heard, subscribe, topic
from tests.services.sns.helpers import queue as open_queue
from tests.services.world import ACCOUNT, REGION, World, refusal, run, told

ROLE = f"arn:aws:iam::{ACCOUNT}:role/bringer"


async def role(world: World, *actions: str) -> str:
    """A role as which EventBridge may do these things."""
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    await world.call("iam", "create_role", RoleName="bringer", AssumeRolePolicyDocument=document)
    policy = {"Version": "2012-10-17", "Statement": [allow(one) for one in actions]}
    await world.call(
        "iam",
        "put_role_policy",
        RoleName="bringer",
        PolicyName="own",
        PolicyDocument=json.dumps(policy),
    )
    return ROLE


@told
async def test_a_topic_tells_its_subscribers_if_it_lets_eventbridge_in(world: World) -> None:
    dead = await queue(world, "dead")
    news = await topic(world, "news")
    arn = await open_queue(world, "hears")
    await subscribe(world, news, arn, RawMessageDelivery="true")
    await rule(world, "r", {"Arn": news, "DeadLetterConfig": {"Arn": dead}})
    await put(world)
    (letter,) = await heard(world, dead)
    assert letter["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS"
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": news,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    await world.call(
        "sns", "set_topic_attributes", TopicArn=news, AttributeName="Policy", AttributeValue=policy
    )
    found = await put(world)
    assert [json.loads(one)["id"] for one in await bodies(world, arn)] == [found["EventId"]]


@pytest.mark.parametrize("allowed", [True, False])
def test_a_target_with_a_role_is_told_as_that_role(allowed: bool) -> None:
    async def story(world: World) -> None:
        closed, dead = await queue(world, "closed", closed=True), await queue(world, "dead")
        await role(world, "sqs:SendMessage" if allowed else "sqs:ReceiveMessage")
        target = {"Arn": closed, "RoleArn": ROLE, "DeadLetterConfig": {"Arn": dead}}
        await rule(world, "r", target)
        await put(world)
        assert (len(await bodies(world, closed)), len(await bodies(world, dead))) == (
            (1, 0) if allowed else (0, 1)
        )

    run(story)


@pytest.mark.parametrize("allowed", [True, False])
def test_an_event_goes_to_another_bus_and_region_as_its_role(allowed: bool) -> None:
    async def story(world: World) -> None:
        west, dead = "us-west-2", await queue(world, "dead")
        await role(world, "events:PutEvents" if allowed else "events:PutRule")
        bus = f"arn:aws:events:{west}:{ACCOUNT}:event-bus/far"
        await world.call("events", "create_event_bus", region=west, Name="far")
        arn = f"arn:aws:sqs:{west}:{ACCOUNT}:q"
        statement = {"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": arn}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        await world.call(
            "sqs", "create_queue", region=west, QueueName="q", Attributes={"Policy": policy}
        )
        where: dict[str, Any] = {"region": west, "EventBusName": "far"}
        pattern = json.dumps({"source": ["shop"], "region": [REGION]})
        await world.call("events", "put_rule", Name="r", EventPattern=pattern, **where)
        targets = [{"Id": "q", "Arn": arn}]
        await world.call("events", "put_targets", Rule="r", Targets=targets, **where)
        await rule(world, "r", {"Arn": bus, "RoleArn": ROLE, "DeadLetterConfig": {"Arn": dead}})
        found = await put(world)
        url = f"http://localhost:4566/{ACCOUNT}/q"
        got = await world.call("sqs", "receive_message", region=west, QueueUrl=url)
        arrived = [json.loads(one["Body"])["id"] for one in got.get("Messages", [])]
        assert arrived == ([found["EventId"]] if allowed else [])
        assert len(await bodies(world, dead)) == (0 if allowed else 1)

    run(story)


@told
async def test_an_event_that_has_come_to_another_region_goes_no_further(world: World) -> None:
    west, south = "us-west-2", "sa-east-1"
    await role(world, "events:PutEvents")

    def bus(region: str) -> str:
        return f"arn:aws:events:{region}:{ACCOUNT}:event-bus/default"

    dead = f"arn:aws:sqs:{west}:{ACCOUNT}:dead"
    statement = {"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": dead}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    await world.call(
        "sqs", "create_queue", region=west, QueueName="dead", Attributes={"Policy": policy}
    )
    await rule(world, "r", {"Arn": bus(west), "RoleArn": ROLE})
    pattern = json.dumps({"source": ["shop"]})
    await world.call("events", "put_rule", region=west, Name="r", EventPattern=pattern)
    target = {
        "Id": "x", "Arn": bus(south), "RoleArn": ROLE, "DeadLetterConfig": {"Arn": dead},
    }  # fmt: skip
    await world.call("events", "put_targets", region=west, Rule="r", Targets=[target])
    await put(world)
    url = f"http://localhost:4566/{ACCOUNT}/dead"
    got = await world.call(
        "sqs", "receive_message", region=west, QueueUrl=url, MessageAttributeNames=["All"]
    )
    (letter,) = got["Messages"]
    code = letter["MessageAttributes"]["ERROR_CODE"]["StringValue"]
    assert code == "THIRD_REGION_HOP_DETECTED"


@told
async def test_a_stream_gets_events_under_the_key_that_the_target_names(world: World) -> None:
    await world.call("kinesis", "create_stream", StreamName="orders", ShardCount=1)
    await world.settle()
    arn = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/orders"
    await role(world, "kinesis:PutRecord")
    path = {"PartitionKeyPath": "$.source"}
    await rule(world, "r", {"Arn": arn, "RoleArn": ROLE, "KinesisParameters": path})
    found = await put(world)
    begin = await world.call(
        "kinesis", "get_shard_iterator", StreamName="orders", ShardId="shardId-000000000000",
        ShardIteratorType="TRIM_HORIZON",
    )  # fmt: skip
    page = await world.call("kinesis", "get_records", ShardIterator=begin["ShardIterator"])
    (record,) = page["Records"]
    event = json.loads(record["Data"])
    assert (event["id"], record["PartitionKey"]) == (found["EventId"], event["source"])


@pytest.mark.parametrize(
    ("service", "resource", "more"),
    [
        ("firehose", "deliverystream/s", {"RoleArn": ROLE}),
        ("states", "stateMachine:m", {"RoleArn": ROLE}),
        ("ecs", "cluster/c", {"RoleArn": ROLE}),
        ("batch", "job-queue/q", {"RoleArn": ROLE}),
        ("codebuild", "project/p", {"RoleArn": ROLE}),
        ("codepipeline", "p", {"RoleArn": ROLE}),
        ("ssm", "automation-definition/d", {"RoleArn": ROLE}),
        ("redshift", "cluster:c", {"RoleArn": ROLE}),
        ("execute-api", "api/stage/GET/", {}),
    ],
)
def test_a_target_of_a_service_that_is_not_here_is_refused(
    service: str, resource: str, more: dict[str, Any]
) -> None:
    async def story(world: World) -> None:
        await rule(world, "r")
        arn = f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"
        target = {"Id": "1", "Arn": arn, **more}
        assert await refusal(world.call("events", "put_targets", Rule="r", Targets=[target])) == (
            "NotImplemented",
            f"events: targets of {service} exist in AWS and not yet in this cloud",
        )
        listed = await world.call("events", "list_targets_by_rule", Rule="r")
        assert listed["Targets"] == []

    run(story)


@told
async def test_whoever_gives_a_target_or_a_rule_a_role_must_be_allowed_to_pass_it(
    world: World,
) -> None:
    arn = await queue(world, "q")
    await role(world, "sqs:SendMessage")
    await rule(world, "r")
    ada = await user(world, "ada", allow("events:*"))
    eve = await user(world, "eve", allow("events:*"), allow("iam:PassRole", ROLE))
    target = {"Id": "1", "Arn": arn, "RoleArn": ROLE}
    for method, req in (
        ("put_targets", {"Rule": "r", "Targets": [target]}),
        ("put_rule", {"Name": "x", "EventPattern": '{"source": ["a"]}', "RoleArn": ROLE}),
    ):
        code, text = await refusal(world.call("events", method, caller=ada, **req))
        assert code == "AccessDeniedException"
        assert "iam:PassRole" in text
        await world.call("events", method, caller=eve, **req)
