"""What CloudWatch hears of rules and calls."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.services.events.helpers import put, queue, rule
from tests.services.events.test_endpoints import set_region
from tests.services.events.test_partners import NAME, listening, tell
from tests.services.world import START, World, told


async def summed(world: World, **dimensions: str) -> dict[str, float]:
    """The metrics with just these dimensions, with their sums."""
    await world.cloud.metrics.flush()
    listed = await world.call("cloudwatch", "list_metrics", Namespace="AWS/Events")
    found: dict[str, float] = {}
    for metric in listed["Metrics"]:
        if {one["Name"]: one["Value"] for one in metric["Dimensions"]} != dimensions:
            continue
        req: dict[str, Any] = {**metric, "Period": 86_400, "Statistics": ["Sum"]}
        answer = await world.call(
            "cloudwatch", "get_metric_statistics", StartTime=START,
            EndTime=START + timedelta(days=1), **req,
        )  # fmt: skip
        found[metric["MetricName"]] = sum(point["Sum"] for point in answer["Datapoints"])
    return found


@told
async def test_calls_and_what_rules_make_of_their_events_are_counted(world: World) -> None:
    arn, dead = await queue(world, "q"), await queue(world, "dead")
    closed = await queue(world, "closed", closed=True)
    await rule(world, "good", {"Arn": arn}, {"Arn": arn})
    await rule(world, "bad", {"Arn": closed, "DeadLetterConfig": {"Arn": dead}})
    await rule(world, "other", {"Arn": arn}, pattern='{"source": ["else"]}')
    await rule(world, "idle")
    await put(world)
    await put(world, Detail="no JSON")
    assert await summed(world) == {
        "PutEventsApproximateCallCount": 2.0, "PutEventsApproximateSuccessCount": 2.0,
        "PutEventsEntriesCount": 2.0, "PutEventsFailedEntriesCount": 1.0,
        "PutEventsRequestSize": len('shopsold{"tea": 2}' + "shopsoldno JSON"),
    }  # fmt: skip
    assert await summed(world, RuleName="good") == {
        "TriggeredRules": 1.0, "MatchedEvents": 1.0, "InvocationsCreated": 2.0,
        "Invocations": 2.0, "InvocationAttempts": 2.0, "SuccessfulInvocationAttempts": 2.0,
        "IngestionToInvocationCompleteLatency": 0.0,
    }  # fmt: skip
    assert await summed(world, RuleName="bad") == {
        "TriggeredRules": 1.0, "MatchedEvents": 1.0, "InvocationsCreated": 1.0,
        "Invocations": 1.0, "InvocationAttempts": 1.0, "FailedInvocations": 1.0,
        "InvocationsSentToDlq": 1.0,
    }  # fmt: skip
    assert await summed(world, RuleName="other") == {}
    assert await summed(world, RuleName="idle") == {"TriggeredRules": 1.0, "MatchedEvents": 1.0}
    assert await world.used("Event-64K-Chunks") == 1


@told
async def test_a_rule_of_another_bus_is_told_of_with_its_bus(world: World) -> None:
    arn = await listening(world)
    assert arn
    await tell(world)
    found = await summed(world, EventBusName=NAME, RuleName="r")
    assert (found["MatchedEvents"], found["Invocations"]) == (1.0, 1.0)
    world_wide = await summed(world)
    assert world_wide == {}, "partners' calls are theirs"


@told
async def test_a_schedule_triggers_and_matches_nothing(world: World) -> None:
    arn = await queue(world, "q")
    await rule(world, "r", {"Arn": arn}, ScheduleExpression="rate(1 hour)")
    await world.advance(hours=1)
    found = await summed(world, RuleName="r")
    assert (found["TriggeredRules"], found["Invocations"]) == (1.0, 1.0)
    assert "MatchedEvents" not in found


@told
async def test_tries_that_come_again_are_counted_as_such(world: World) -> None:
    await rule(
        world,
        "r",
        {
            "Arn": "arn:aws:events:us-west-2:000000000000:event-bus/default",
            "RetryPolicy": {"MaximumRetryAttempts": 2},
        },
    )
    await set_region(world, "us-west-2", "down")
    await put(world)
    for _ in range(3):
        await world.advance(10)
    found = await summed(world, RuleName="r")
    assert (found["InvocationAttempts"], found["RetryInvocationAttempts"]) == (3.0, 2.0)
    assert (found["Invocations"], found["FailedInvocations"]) == (1.0, 1.0)
