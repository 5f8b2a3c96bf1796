"""What CloudWatch hears of topics."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from doppio.services.sns.sms import PART_USD
from tests.services.sns.helpers import queue, subscribe, topic
from tests.services.sns.test_phones import NUMBER, verified
from tests.services.world import START, World, told


async def summed(world: World) -> dict[str, float]:
    """Every metric of the topic, with its sum."""
    await world.cloud.metrics.flush()
    dimensions = [{"Name": "TopicName", "Value": "news"}]
    listed = await world.call("cloudwatch", "list_metrics", Namespace="AWS/SNS")
    found: dict[str, float] = {}
    for metric in listed["Metrics"]:
        assert metric["Dimensions"] == dimensions
        req: dict[str, Any] = {**metric, "Period": 3_600, "Statistics": ["Sum"]}
        answer = await world.call(
            "cloudwatch", "get_metric_statistics", StartTime=START,
            EndTime=START + timedelta(hours=1), **req,
        )  # fmt: skip
        found[metric["MetricName"]] = sum(point["Sum"] for point in answer["Datapoints"])
    return found


@told
async def test_messages_are_counted_by_what_became_of_them(world: World) -> None:
    arn = await topic(world)
    await subscribe(world, arn, await queue(world, "a"))
    await subscribe(world, arn, await queue(world, "b"), FilterPolicy='{"kind": ["other"]}')
    dead = await queue(world, "dead")
    await subscribe(
        world, arn, await queue(world, "closed", closed=True),
        RedrivePolicy=f'{{"deadLetterTargetArn": "{dead}"}}',
    )  # fmt: skip
    await world.call("sns", "publish", TopicArn=arn, Message="12345")
    await world.settle()
    assert await summed(world) == {
        "NumberOfMessagesPublished": 1.0, "PublishSize": 5.0, "NumberOfNotificationsDelivered": 1.0,
        "NumberOfNotificationsFilteredOut": 1.0,
        "NumberOfNotificationsFilteredOut-NoMessageAttributes": 1.0,
        "NumberOfNotificationsFailed": 1.0,
        "NumberOfNotificationsRedrivenToDlq": 1.0,
    }  # fmt: skip


@told
async def test_why_a_message_was_filtered_out_is_counted(world: World) -> None:
    arn = await topic(world)
    await subscribe(world, arn, await queue(world, "a"), FilterPolicy='{"kind": ["other"]}')
    body = {"FilterPolicyScope": "MessageBody", "FilterPolicy": '{"kind": ["other"]}'}
    await subscribe(world, arn, await queue(world, "b"), **body)

    async def publish(message: str, kind: str, value: str) -> None:
        attributes = {"kind": {"DataType": kind, "StringValue": value}}
        await world.call(
            "sns", "publish", TopicArn=arn, Message=message, MessageAttributes=attributes
        )

    await publish("no JSON", "String", "news")
    await publish('{"kind": "news"}', "String.Array", '["a", ')
    found = await summed(world)
    prefix = "NumberOfNotificationsFilteredOut"
    reasons = {
        name.removeprefix(f"{prefix}-"): count
        for name, count in found.items()
        if name.startswith(f"{prefix}-")
    }
    assert reasons == {
        "MessageAttributes": 1.0, "InvalidMessageBody": 1.0, "InvalidAttributes": 1.0,
        "MessageBody": 1.0,
    }  # fmt: skip
    assert found[prefix] == 4.0


@told
async def test_what_texts_have_cost_this_month_is_told(world: World) -> None:
    await verified(world)
    for _ in range(2):
        await world.call("sns", "publish", PhoneNumber=NUMBER, Message="x")
    await world.cloud.metrics.flush()
    answer = await world.call(
        "cloudwatch", "get_metric_statistics", Namespace="AWS/SNS",
        MetricName="SMSMonthToDateSpentUSD", StartTime=START, EndTime=START + timedelta(hours=1),
        Period=3_600, Statistics=["Maximum"],
    )  # fmt: skip
    (point,) = answer["Datapoints"]
    # The password of the sandbox costs nothing.
    assert point["Maximum"] == 2 * PART_USD
