"""Delivery policies beyond retries: how often a server is told, with which type, and whose counts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from doppio.services.sns.records import Pace
from tests.services.sns.helpers import listening, topic
from tests.services.sns.test_courier import confirmed, failed, until
from tests.services.world import World, refusal, told


def of_topic(**http: Any) -> str:
    """A topic's policy."""
    return json.dumps({"http": http})


@told
async def test_a_server_is_told_no_more_often_than_it_takes(world: World) -> None:
    with listening() as server:
        policy = of_topic(defaultThrottlePolicy={"maxReceivesPerSecond": 2})
        arn = await topic(world, DeliveryPolicy=policy)
        subscription = await confirmed(world, arn, server)
        await failed(world, 0)
        await world.advance(5)
        for number in range(5):
            await world.call("sns", "publish", TopicArn=arn, Message=str(number))
        await until(world, lambda: len(server.requests) == 1)
        for count in (2, 3, 4, 5):
            await world.advance(0.5)
            await until(world, lambda count=count: len(server.requests) == count)  # type: ignore[misc]
        assert sorted(body["Message"] for _, body in server.requests) == list("01234")
        await failed(world, 0)
        reader = world.cloud.root_context().read()
        assert len(await reader.list(Pace, limit=5)) == 1
        await world.call("sns", "unsubscribe", SubscriptionArn=subscription)
        assert await reader.list(Pace, limit=5) == []


@told
async def test_a_server_gets_the_type_that_its_policy_names(world: World) -> None:
    with listening() as server:
        arn = await topic(world)
        own = json.dumps({"requestPolicy": {"headerContentType": "application/json"}})
        await confirmed(world, arn, server, DeliveryPolicy=own, RawMessageDelivery="true")
        await world.call("sns", "publish", TopicArn=arn, Message='{"n": 1}')
        await until(world, lambda: bool(server.requests))
        headers, body = server.requests.pop()
        assert headers["content-type"] == "application/json"
        assert body == {"n": 1}


@told
async def test_a_topic_may_let_no_other_policy_count(world: World) -> None:
    with listening() as server:
        shared = of_topic(
            defaultHealthyRetryPolicy={"numRetries": 1},
            disableSubscriptionOverrides=True,
            defaultRequestPolicy={"headerContentType": "text/csv"},
        )
        arn = await topic(world, DeliveryPolicy=shared)
        own = json.dumps({"healthyRetryPolicy": {"numRetries": 5}})
        subscription = await confirmed(world, arn, server, DeliveryPolicy=own)
        shown = await world.call("sns", "get_subscription_attributes", SubscriptionArn=subscription)
        counts = json.loads(shown["Attributes"]["EffectiveDeliveryPolicy"])
        assert counts["healthyRetryPolicy"]["numRetries"] == 1
        assert counts["requestPolicy"] == {"headerContentType": "text/csv"}
        shown = await world.call("sns", "get_topic_attributes", TopicArn=arn)
        counts = json.loads(shown["Attributes"]["EffectiveDeliveryPolicy"])["http"]
        assert counts["disableSubscriptionOverrides"] is True


@pytest.mark.parametrize(
    "http",
    [
        {"defaultThrottlePolicy": {"maxReceivesPerSecond": 0}},
        {"defaultThrottlePolicy": {"maxReceivesPerSecond": "many"}},
        {"defaultRequestPolicy": {"headerContentType": "image/png"}},
        {"healthyRetryPolicy": {}},
    ],
)
def test_policies_that_mean_nothing_are_refused(http: dict[str, Any]) -> None:
    @told
    async def story(world: World) -> None:
        arn = await topic(world)
        wrong = world.call(
            "sns", "set_topic_attributes", TopicArn=arn, AttributeName="DeliveryPolicy",
            AttributeValue=of_topic(**http),
        )  # fmt: skip
        code, text = await refusal(wrong)
        assert code == "InvalidParameter"
        assert "DeliveryPolicy" in text

    story()
