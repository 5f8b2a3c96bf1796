"""Each templated target that this cloud has is really called; each that it has not is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.services.events.helpers import bodies as events_heard
from tests.services.events.helpers import queue as events_queue
from tests.services.events.helpers import rule
from tests.services.scheduler.test_scheduler import ROLE, bodies, role, schedule
from tests.services.sns.helpers import queue, subscribe, topic
from tests.services.sqs.helpers import arn, make, receive
from tests.services.world import ACCOUNT, REGION, World, refusal, run, told

SOON = "at(2030-01-01T00:01:00)"


@told
async def test_a_topic_tells_its_subscribers(world: World) -> None:
    await role(world, "sns:Publish")
    news = await topic(world, "news")
    heard = await queue(world, "hears")
    await subscribe(world, news, heard, RawMessageDelivery="true")
    await schedule(world, SOON, target=news, Input="wake up")
    await world.advance(60)
    assert await bodies(world, f"http://localhost:4566/{ACCOUNT}/hears") == ["wake up"]


@told
async def test_an_event_bus_hears_an_event_of_the_source_that_the_schedule_names(
    world: World,
) -> None:
    await role(world, "events:PutEvents")
    heard = await events_queue(world, "hears")
    await rule(world, "r", {"Arn": heard}, pattern='{"source": ["till"]}')
    bus = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default"
    given = {"Source": "till", "DetailType": "opened"}
    target = {
        "Arn": bus, "RoleArn": ROLE, "EventBridgeParameters": given, "Input": '{"shop": 1}',
    }  # fmt: skip
    await world.call(
        "scheduler",
        "create_schedule",
        Name="s",
        ScheduleExpression=SOON,
        FlexibleTimeWindow={"Mode": "OFF"},
        Target=target,
    )
    await world.advance(60)
    (event,) = [json.loads(one) for one in await events_heard(world, heard)]
    assert (event["source"], event["detail-type"], event["detail"]) == (
        "till",
        "opened",
        {"shop": 1},
    )


@told
async def test_an_event_that_the_bus_does_not_take_is_a_dead_letter(world: World) -> None:
    await role(world, "events:PutEvents", "sqs:SendMessage")
    dead = await make(world, "dead")
    bus = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default"
    target = {
        "Arn": bus,
        "RoleArn": ROLE,
        "EventBridgeParameters": {"Source": "till", "DetailType": "opened"},
        "Input": "no JSON",
        "DeadLetterConfig": {"Arn": arn("dead")},
    }
    await world.call(
        "scheduler",
        "create_schedule",
        Name="s",
        ScheduleExpression=SOON,
        FlexibleTimeWindow={"Mode": "OFF"},
        Target=target,
    )
    await world.advance(60)
    assert await bodies(world, dead) == ["no JSON"]


@told
async def test_a_fifo_queue_gets_the_group_that_its_target_names(world: World) -> None:
    await role(world, "sqs:SendMessage")
    fifo = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    url = await make(world, "line.fifo", **fifo)
    await schedule(world, SOON, target=arn("line.fifo"), SqsParameters={"MessageGroupId": "g"})
    await world.advance(60)
    (message,) = await receive(world, url, MessageSystemAttributeNames=["All"])
    assert message["Attributes"]["MessageGroupId"] == "g"


@pytest.mark.parametrize(
    ("service", "resource", "more"),
    [
        ("states", "stateMachine:m", {}),
        ("kinesis", "stream/s", {"KinesisParameters": {"PartitionKey": "k"}}),
        ("firehose", "deliverystream/s", {}),
        ("ecs", "cluster/c", {}),
        ("sagemaker", "pipeline/p", {}),
        ("codebuild", "project/p", {}),
        ("codepipeline", "p", {}),
        ("inspector", "target/t", {}),
    ],
)
def test_a_target_of_a_service_that_is_not_here_is_refused(
    service: str, resource: str, more: dict[str, Any]
) -> None:
    async def story(world: World) -> None:
        await role(world)
        target = {
            "Arn": f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}", "RoleArn": ROLE, **more,
        }  # fmt: skip
        call = world.call(
            "scheduler",
            "create_schedule",
            Name="s",
            ScheduleExpression=SOON,
            FlexibleTimeWindow={"Mode": "OFF"},
            Target=target,
        )
        assert await refusal(call) == (
            "NotImplemented",
            f"scheduler: targets of {service} exist in AWS and not yet in this cloud",
        )
        assert (await world.call("scheduler", "list_schedules"))["Schedules"] == []

    run(story)
