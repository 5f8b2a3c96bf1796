"""What CloudWatch hears of topics."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.services.sns.helpers import queue, subscribe, topic
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
        "NumberOfNotificationsFilteredOut": 1.0, "NumberOfNotificationsFailed": 1.0,
        "NumberOfNotificationsRedrivenToDlq": 1.0,
    }  # fmt: skip
