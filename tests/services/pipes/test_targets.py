"""Each kind of target that this cloud has gets what its parameters say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.services.events import test_endpoints as endpoints
from tests.services.events.helpers import bodies as heard
from tests.services.events.helpers import queue, rule
from tests.services.pipes.test_pipes import ACTIONS, pipe, role
from tests.services.sqs.helpers import counts, make, receive, send
from tests.services.world import ACCOUNT, REGION, World, refusal, run, told

BUS = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default"
ORDER = {
    "shop": "north",
    "at": "2029-05-06T07:08:09Z",
    "id": "arn:order/1",
    "ms": 1_893_456_000_123,
}


@told
async def test_a_bus_gets_events_made_of_what_the_message_says(world: World) -> None:
    await role(world, *ACTIONS, "events:PutEvents")
    source, arn = await make(world, "from"), await queue(world, "hears")
    await rule(world, "r", {"Arn": arn})
    given = {
        "InputTemplate": '{"order": <$.body>}',
        "EventBridgeEventBusParameters": {
            "Source": "$.body.shop",
            "DetailType": "ordered",
            "Resources": ["$.body.id"],
            "Time": "$.body.at",
        },
    }
    await pipe(world, Target=BUS, TargetParameters=given)
    await send(world, source, json.dumps(ORDER))
    await world.settle()
    (event,) = [json.loads(one) for one in await heard(world, arn)]
    assert (event["source"], event["detail-type"], event["time"], event["resources"]) == (
        "north", "ordered", ORDER["at"], [ORDER["id"]],
    )  # fmt: skip
    assert event["detail"] == {"order": ORDER}


@told
async def test_a_bus_gets_a_pipes_name_where_nothing_else_is_said(world: World) -> None:
    await role(world, *ACTIONS, "events:PutEvents")
    source, arn = await make(world, "from"), await queue(world, "hears")
    await rule(world, "r", {"Arn": arn})
    made = await pipe(world, Target=BUS)
    await send(world, source, "x")
    await world.settle()
    (event,) = [json.loads(one) for one in await heard(world, arn)]
    assert (event["source"], event["detail-type"], event["resources"]) == (
        "Pipe p", "Event from aws:sqs", [made["Arn"]],
    )  # fmt: skip
    assert event["detail"]["body"] == "x"


@told
async def test_a_global_endpoint_leads_a_pipes_events_to_the_region_that_works(
    world: World,
) -> None:
    await role(world, *ACTIONS, "events:PutEvents")
    source = await make(world, "from")
    endpoint = await endpoints.made(world, replicated=False)
    given = {
        "EventBridgeEventBusParameters": {"EndpointId": endpoint, "Source": "till"},
    }
    await pipe(world, Target=endpoints.bus(endpoints.HERE), TargetParameters=given)
    await send(world, source, "one")
    await world.settle()
    assert len(await endpoints.heard(world, endpoints.HERE)) == 1
    await endpoints.set_region(world, endpoints.HERE, "down")
    await send(world, source, "two")
    await world.settle()
    (event,) = await endpoints.heard(world, endpoints.THERE)
    assert event["detail"]["body"] == "two"


@told
async def test_lines_in_a_log_bear_the_time_that_the_message_says(world: World) -> None:
    await role(world, *ACTIONS)
    source = await make(world, "from")
    await world.call("logs", "create_log_group", logGroupName="shop")
    await world.call("logs", "create_log_stream", logGroupName="shop", logStreamName="north")
    given = {
        "InputTemplate": "<$.body.id>",
        "CloudWatchLogsParameters": {"LogStreamName": "$.body.shop", "Timestamp": "$.body.ms"},
    }
    group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:shop"
    await pipe(world, Target=group, TargetParameters=given)
    await send(world, source, json.dumps(ORDER))
    # A stream that is not there fails its own lines alone.
    await send(world, source, json.dumps({**ORDER, "shop": "south"}))
    await world.settle()
    lines = await world.call(
        "logs", "get_log_events", logGroupName="shop", logStreamName="north", startFromHead=True
    )
    assert [(one["message"], one["timestamp"]) for one in lines["events"]] == [
        ('"arn:order/1"', ORDER["ms"])
    ]
    assert await counts(world, source) == (0, 1, 0)


@told
async def test_a_fifo_queue_gets_group_and_deduplication_from_the_message(world: World) -> None:
    await role(world, *ACTIONS)
    source, target = await make(world, "from"), await make(world, "to.fifo", FifoQueue="true")
    own = {"MessageGroupId": "$.body.shop", "MessageDeduplicationId": "$.body.id"}
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:to.fifo"
    await pipe(world, Target=arn, TargetParameters={"SqsQueueParameters": own})
    for _ in range(2):
        await send(world, source, json.dumps(ORDER))
    await world.settle()
    (message,) = await receive(
        world, target, MessageSystemAttributeNames=["All"], MaxNumberOfMessages=10
    )
    assert message["Attributes"]["MessageGroupId"] == "north"
    assert message["Attributes"]["MessageDeduplicationId"] == ORDER["id"]


@told
async def test_a_template_fills_in_what_it_names_wherever_it_stands(world: World) -> None:
    await role(world, *ACTIONS)
    source, target = await make(world, "from"), await make(world, "to")
    template = (
        '{"a": "<$.body.shop> sells \\"<$.body.tea>\\" to <$.body.none>!", "b": <$.body.list>,'
        ' "c": "all: <$.body.list>", "d": <$.body.tea>, "e": "<not.known>"}'
    )
    await pipe(world, TargetParameters={"InputTemplate": template})
    order = {"shop": 'the "north"', "tea": "oo\nlong", "list": [1, "x"]}
    await send(world, source, json.dumps(order))
    await world.settle()
    (message,) = await receive(world, target)
    assert json.loads(message["Body"]) == {
        "a": 'the "north" sells "oo\nlong" to !',
        "b": [1, "x"],
        "c": 'all: [1, "x"]',
        "d": "oo\nlong",
        "e": "<not.known>",
    }


@pytest.mark.parametrize(
    "target",
    [
        "states:us-east-1:000000000000:stateMachine:m",
        "kinesis:us-east-1:000000000000:stream/s",
        "firehose:us-east-1:000000000000:deliverystream/s",
        "ecs:us-east-1:000000000000:cluster/c",
        "batch:us-east-1:000000000000:job-queue/q",
        "inspector:us-east-1:000000000000:target/t",
        "redshift:us-east-1:000000000000:cluster:c",
        "sagemaker:us-east-1:000000000000:pipeline/p",
        "timestream:us-east-1:000000000000:database/d",
        "execute-api:us-east-1:000000000000:api/stage/GET/",
    ],
)
def test_a_target_of_a_service_that_is_not_here_is_refused(target: str) -> None:
    async def story(world: World) -> None:
        await role(world, *ACTIONS)
        await make(world, "from")
        req: dict[str, Any] = {"Target": f"arn:aws:{target}"}
        assert await refusal(pipe(world, **req)) == (
            "NotImplemented",
            f"pipes: targets of {target.partition(':')[0]} exist in AWS and not yet in this cloud",
        )

    run(story)
