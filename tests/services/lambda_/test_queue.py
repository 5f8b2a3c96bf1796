"""Asynchronous events: run, tried again, given up, and told of; real code on the simulated clock."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from doppio.services.lambda_.records import Queued
from doppio.services.lambda_.workers import Workers
from doppio.wire.errors import AwsError
from tests.services.lambda_.base import make_function, make_role, zipped
from tests.services.world import ACCOUNT, REGION, World, told

ARN = "arn:aws:lambda:us-east-1:000000000000:function:f"
# Each run leaves a line in the log, so that they can be counted.
CODE = """
import time
def handler(event, context):
    print("RUN", context.aws_request_id, event)
    time.sleep(event.get("sleep", 0))
    if event.get("fail"):
        raise ValueError("boom")
    return {"did": event}
"""
ALL = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}


async def function(world: World, **more: Any) -> None:
    """A function whose role may do everything."""
    given = {"Code": {"ZipFile": zipped(CODE)}, "Runtime": "python3.11", "Timeout": 20, **more}
    await make_role(world)
    await world.call(
        "iam", "put_role_policy", RoleName="runner", PolicyName="all",
        PolicyDocument=json.dumps(ALL),
    )  # fmt: skip
    await make_function(world, "f", **given)


async def configure(
    world: World, *, retries: int = 2, age: int = 21_600, success: str = "", failure: str = ""
) -> None:
    """Say what becomes of the function's events."""
    destinations = {"OnSuccess": success, "OnFailure": failure}
    await world.call(
        "lambda", "put_function_event_invoke_config", FunctionName="f",
        MaximumRetryAttempts=retries, MaximumEventAgeInSeconds=age,
        DestinationConfig={
            name: {"Destination": arn} for name, arn in destinations.items() if arn
        },
    )  # fmt: skip


async def send(world: World, event: Any) -> None:
    answer = await world.call(
        "lambda", "invoke", FunctionName="f", InvocationType="Event",
        Payload=json.dumps(event).encode(),
    )  # fmt: skip
    assert answer["StatusCode"] == 202


async def until(world: World, found: Callable[[], Any]) -> Any:
    """Wait, in the machine's time, until something is found."""
    for _ in range(1000):
        result = await found()
        if result:
            return result
        await world.settle()
        await asyncio.sleep(0.01)
    raise AssertionError("it never came")


async def queued(world: World) -> list[Queued]:
    return await world.cloud.root_context().read().list(Queued, limit=10)


async def runs(world: World, count: int) -> list[str]:
    """The lines of runs, once there are so many."""

    async def found() -> list[str]:
        try:
            answer = await world.call("logs", "filter_log_events", logGroupName="/aws/lambda/f")
        except AwsError as error:
            if "group does not exist" not in error.message:
                raise
            return []
        lines = [one["message"] for one in answer["events"] if one["message"].startswith("RUN")]
        return lines if len(lines) >= count else []

    lines: list[str] = await until(world, found)
    assert len(lines) == count
    return lines


async def idle(world: World) -> None:
    """Wait until no event is left."""

    async def none() -> bool:
        return not await queued(world)

    await until(world, none)


async def tried(world: World, attempts: int) -> Queued:
    """Wait until an event has been tried so often."""

    async def found() -> Queued | None:
        rows = await queued(world)
        return rows[0] if rows and rows[0].attempts == attempts else None

    row: Queued = await until(world, found)
    return row


async def received(world: World, queue: str) -> list[dict[str, Any]]:
    answer = await world.call(
        "sqs", "receive_message", QueueUrl=queue, MessageAttributeNames=["All"],
        MaxNumberOfMessages=10,
    )  # fmt: skip
    messages: list[dict[str, Any]] = answer.get("Messages", [])
    return messages


async def queue(world: World, name: str) -> tuple[str, str]:
    made = await world.call("sqs", "create_queue", QueueName=name)
    return made["QueueUrl"], f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"


@told
async def test_an_event_is_run_once_where_that_succeeds(world: World) -> None:
    await function(world)
    await send(world, {"a": 1})
    assert "{'a': 1}" in (await runs(world, 1))[0]
    await idle(world)


@told
async def test_an_event_that_fails_is_tried_after_one_minute_and_after_two_more(
    world: World,
) -> None:
    url, arn = await queue(world, "dead")
    await function(world, DeadLetterConfig={"TargetArn": arn})
    await send(world, {"fail": True})
    row = await tried(world, 1)
    assert row.due_at - world.now == timedelta(minutes=1)
    await world.advance(59)
    assert (await queued(world))[0].attempts == 1
    await world.advance(1)
    row = await tried(world, 2)
    assert row.due_at - world.now == timedelta(minutes=2)
    await world.advance(120)
    await idle(world)
    lines = await runs(world, 3)
    assert len({line.split()[1] for line in lines}) == 1, "one id for all tries"
    (message,) = await received(world, url)
    assert json.loads(message["Body"]) == {"fail": True}
    told = {name: one["StringValue"] for name, one in message["MessageAttributes"].items()}
    assert told == {"RequestID": lines[0].split()[1], "ErrorCode": "200", "ErrorMessage": "boom"}


@told
async def test_destinations_hear_of_success_and_of_failure(world: World) -> None:
    good, good_arn = await queue(world, "good")
    bad, bad_arn = await queue(world, "bad")
    await function(world)
    await configure(world, retries=0, success=good_arn, failure=bad_arn)
    await send(world, {"a": 1})
    await idle(world)
    (message,) = await received(world, good)
    told = json.loads(message["Body"])
    assert told["version"] == "1.0"
    assert told["requestContext"]["condition"] == "Success"
    assert told["requestContext"]["functionArn"] == f"{ARN}:$LATEST"
    assert told["requestContext"]["approximateInvokeCount"] == 1
    assert told["requestPayload"] == {"a": 1}
    assert told["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST"}
    assert told["responsePayload"] == {"did": {"a": 1}}
    await send(world, {"fail": True})
    await idle(world)
    (message,) = await received(world, bad)
    told = json.loads(message["Body"])
    assert told["requestContext"]["condition"] == "RetriesExhausted"
    assert told["responseContext"]["functionError"] == "Unhandled"
    assert told["responsePayload"]["errorMessage"] == "boom"


@told
async def test_other_destinations_hear_too(world: World) -> None:
    await function(world)
    await world.call("s3", "create_bucket", Bucket="records")
    await configure(world, retries=0, failure="arn:aws:s3:::records")
    await send(world, {"fail": 1})
    await idle(world)
    listed = await world.call("s3", "list_objects_v2", Bucket="records")
    (key,) = [entry["Key"] for entry in listed["Contents"]]
    assert key.startswith("aws/lambda/async/f/2030/01/01/2030-01-01T00.00.00-")
    url, arn = await queue(world, "of-bus")
    bus = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default"
    await configure(world, retries=0, success=bus)
    await world.call(
        "events", "put_rule", Name="r",
        EventPattern=json.dumps({"source": ["lambda"]}),
    )  # fmt: skip
    await world.call("events", "put_targets", Rule="r", Targets=[{"Id": "q", "Arn": arn}])
    policy = {
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage", "Resource": arn,
        }],
    }  # fmt: skip
    await world.call(
        "sqs", "set_queue_attributes", QueueUrl=url, Attributes={"Policy": json.dumps(policy)}
    )
    await send(world, {"b": 1})
    await idle(world)

    async def came() -> list[dict[str, Any]]:
        return await received(world, url)

    (message,) = await until(world, came)
    event = json.loads(message["Body"])
    assert event["detail-type"] == "Lambda Function Invocation Result - Success"
    assert event["detail"]["requestPayload"] == {"b": 1}
    assert event["resources"] == [bus, f"{ARN}:$LATEST"]


@told
async def test_a_function_and_a_topic_may_hear_of_another(world: World) -> None:
    await function(world)
    topic = (await world.call("sns", "create_topic", Name="t"))["TopicArn"]
    url, arn = await queue(world, "of-topic")
    policy = {
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage", "Resource": arn,
        }],
    }  # fmt: skip
    await world.call(
        "sqs", "set_queue_attributes", QueueUrl=url, Attributes={"Policy": json.dumps(policy)}
    )
    await world.call("sns", "subscribe", TopicArn=topic, Protocol="sqs", Endpoint=arn)
    await make_function(
        world, "g", Code={"ZipFile": zipped(CODE)}, Runtime="python3.11", Timeout=20
    )
    await configure(world, retries=0, success=ARN[:-1] + "g", failure=topic)
    await send(world, {"a": 1})
    await idle(world)

    async def heard() -> list[Any]:
        groups = await world.call("logs", "describe_log_groups", logGroupNamePrefix="/aws/lambda/g")
        if not groups["logGroups"]:
            return []
        found = await world.call("logs", "filter_log_events", logGroupName="/aws/lambda/g")
        return [one for one in found["events"] if "'condition': 'Success'" in one["message"]]

    assert await until(world, heard)
    await send(world, {"fail": True})
    await idle(world)

    async def came() -> list[dict[str, Any]]:
        return await received(world, url)

    (message,) = await until(world, came)
    told = json.loads(json.loads(message["Body"])["Message"])
    assert told["requestContext"]["condition"] == "RetriesExhausted"


@told
async def test_an_event_that_is_too_old_is_given_up(world: World) -> None:
    url, arn = await queue(world, "old")
    await function(world)
    await configure(world, age=60, failure=arn)
    await send(world, {"fail": True})
    await idle(world)
    (message,) = await received(world, url)
    told = json.loads(message["Body"])
    assert told["requestContext"]["condition"] == "EventAgeExceeded"
    await runs(world, 1)


@told
async def test_a_throttled_event_waits_and_loses_no_try(world: World) -> None:
    await function(world)
    await world.call(
        "lambda", "put_function_concurrency", FunctionName="f", ReservedConcurrentExecutions=1
    )
    slow = asyncio.ensure_future(
        world.call("lambda", "invoke", FunctionName="f", Payload=b'{"sleep": 3}')
    )

    async def begun() -> bool:
        return bool(Workers.of(world.cloud.root_context())._busy)

    await until(world, begun)
    await send(world, {"a": 1})

    async def throttled(times: int) -> bool:
        return (await queued(world))[0].throttles == times

    await until(world, partial(throttled, 1))
    await world.advance(1)
    await until(world, partial(throttled, 2))
    (row,) = await queued(world)
    assert row.attempts == 0
    await slow
    await world.advance(2)
    await runs(world, 2)
    await idle(world)


@told
async def test_where_nothing_is_reserved_events_are_given_up_at_once(world: World) -> None:
    url, arn = await queue(world, "dead")
    await function(world, DeadLetterConfig={"TargetArn": arn})
    await world.call(
        "lambda", "put_function_concurrency", FunctionName="f", ReservedConcurrentExecutions=0
    )
    await send(world, {"a": 1})
    await idle(world)
    (message,) = await received(world, url)
    assert json.loads(message["Body"]) == {"a": 1}


@told
async def test_what_happens_is_measured_and_metered(world: World) -> None:
    await function(world, MemorySize=1024)
    await configure(world, retries=0)
    await send(world, {"a": 1})
    await send(world, {"fail": True})
    await idle(world)
    await world.cloud.metrics.flush()
    sums = {}
    for name in ("Invocations", "Errors", "AsyncEventsReceived", "AsyncEventsDropped", "Throttles"):
        answer = await world.call(
            "cloudwatch", "get_metric_statistics", Namespace="AWS/Lambda", MetricName=name,
            Dimensions=[{"Name": "FunctionName", "Value": "f"}], Period=60, Statistics=["Sum"],
            StartTime=world.now - timedelta(hours=1), EndTime=world.now + timedelta(hours=1),
        )  # fmt: skip
        sums[name] = sum(point["Sum"] for point in answer["Datapoints"])
    assert sums == {
        "Invocations": 2, "Errors": 1, "AsyncEventsReceived": 2, "AsyncEventsDropped": 1,
        "Throttles": 0,
    }  # fmt: skip
    listed = await world.call(
        "cloudwatch", "list_metrics", Namespace="AWS/Lambda", MetricName="Invocations"
    )
    found = [metric["Dimensions"] for metric in listed["Metrics"]]
    by_name = {"Name": "FunctionName", "Value": "f"}
    assert sorted(found, key=len) == [[], [by_name], [by_name, {"Name": "Resource", "Value": "f"}]]
    assert await world.used("Request") == 2
    assert 0.001 < await world.used("Lambda-GB-Second") < 30


@told
async def test_an_event_that_cannot_be_run_here_fails_as_others_do(world: World) -> None:
    url, arn = await queue(world, "dead")
    await function(world, Runtime="ruby3.4", DeadLetterConfig={"TargetArn": arn})
    await configure(world, retries=0)
    await send(world, {"a": 1})
    await idle(world)
    (message,) = await received(world, url)
    assert "ruby3.4" in message["MessageAttributes"]["ErrorMessage"]["StringValue"]
    assert message["MessageAttributes"]["ErrorCode"]["StringValue"] == "502"


@told
async def test_an_event_outlives_a_crash_and_goes_with_its_function(world: World) -> None:
    await function(world)
    await send(world, {"fail": True})
    await tried(world, 1)
    again = world.again()
    await again.start()
    try:
        assert (await queued(again))[0].attempts == 1
        await again.call("lambda", "delete_function", FunctionName="f")
        await again.advance(60)
        await idle(again)
    finally:
        await again.close()
