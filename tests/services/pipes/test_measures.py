"""What CloudWatch hears of pipes and schedules."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.services.pipes.test_pipes import ACTIONS, pipe, role
from tests.services.scheduler.test_scheduler import role as clock_role
from tests.services.scheduler.test_scheduler import schedule
from tests.services.sqs.helpers import arn, make, send
from tests.services.world import ACCOUNT, START, World, told


async def summed(world: World, namespace: str, **dimensions: str) -> dict[str, float]:
    """The metrics with these dimensions, with their sums."""
    await world.cloud.metrics.flush()
    listed = await world.call("cloudwatch", "list_metrics", Namespace=namespace)
    found: dict[str, float] = {}
    for metric in listed["Metrics"]:
        assert {one["Name"]: one["Value"] for one in metric["Dimensions"]} == dimensions
        req: dict[str, Any] = {**metric, "Period": 3_600, "Statistics": ["Sum"]}
        answer = await world.call(
            "cloudwatch", "get_metric_statistics", StartTime=START,
            EndTime=START + timedelta(hours=1), **req,
        )  # fmt: skip
        found[metric["MetricName"]] = sum(point["Sum"] for point in answer["Datapoints"])
    return found


@told
async def test_executions_of_a_pipe_are_counted_by_what_became_of_them(world: World) -> None:
    await role(world, *ACTIONS)
    source = await make(world, "from")
    await make(world, "to", MaximumMessageSize="1024")
    await pipe(world, DesiredState="STOPPED", TargetParameters={"InputTemplate": "<$.body>"})
    await send(world, source, "small")
    await send(world, source, "x" * 2_000)
    await world.call("pipes", "start_pipe", Name="p")
    await world.settle()
    found = await summed(world, "AWS/Pipes", AwsAccountId=ACCOUNT, PipeName="p")
    assert found.pop("EventSize") > 2_000
    assert found == {
        "Invocations": 1.0, "EventCount": 2.0, "Duration": 0.0, "ExecutionPartiallyFailed": 1.0,
        "TargetStagePartiallyFailed": 1.0,
    }  # fmt: skip


@told
async def test_a_pipe_that_reaches_nothing_fails(world: World) -> None:
    await role(world, *ACTIONS)
    source = await make(world, "from")
    await pipe(world)
    await send(world, source, "x")
    await world.settle()
    found = await summed(world, "AWS/Pipes", AwsAccountId=ACCOUNT, PipeName="p")
    assert (found["ExecutionFailed"], found["TargetStageFailed"]) == (1.0, 1.0)


@told
async def test_calls_of_schedules_are_counted_by_group(world: World) -> None:
    await clock_role(world, "sqs:SendMessage")
    await make(world)
    await make(world, "dead")
    await schedule(world, "at(2030-01-01T00:01:00)", "good")
    await schedule(
        world, "at(2030-01-01T00:01:00)", "bad", arn("none"), DeadLetterConfig={"Arn": arn("dead")}
    )
    await schedule(
        world, "at(2030-01-01T00:01:00)", "lost", arn("none"), DeadLetterConfig={"Arn": arn("no")}
    )
    await world.advance(60)
    assert await summed(world, "AWS/Scheduler", ScheduleGroup="default") == {
        "InvocationAttemptCount": 3.0, "TargetErrorCount": 2.0, "InvocationDroppedCount": 2.0,
        "InvocationsSentToDeadLetterCount": 1.0, "InvocationsFailedToBeSentToDeadLetterCount": 1.0,
    }  # fmt: skip


@told
async def test_what_flows_is_billed_by_chunks_of_64_kib(world: World) -> None:
    await role(world, *ACTIONS)
    source = await make(world, "from")
    await make(world, "to")
    await pipe(world)
    await send(world, source, "x")
    await world.settle()
    assert await world.used("Requests-64K-Chunks") == 1
    await send(world, source, "x" * 64 * 1024)
    await world.settle()
    assert await world.used("Requests-64K-Chunks") == 3
