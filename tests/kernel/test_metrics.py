"""Measurements: summed in memory, handed over in batches, in the minute in which they were made."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from doppio.kernel.metrics import Measure, Metrics, Sums
from tests.services.world import ACCOUNT, REGION, START, World, told

SIZE = Measure("sqs", "AWS/SQS", "SentMessageSize", "Bytes", "QueueName")


async def points(world: World, name: str = "SentMessageSize") -> list[dict[str, Any]]:
    answer = await world.call(
        "cloudwatch", "get_metric_statistics", Namespace="AWS/SQS", MetricName=name,
        Dimensions=[{"Name": "QueueName", "Value": "q"}], Period=60, StartTime=START,
        EndTime=START + timedelta(hours=1), Statistics=["SampleCount", "Sum", "Minimum", "Maximum"],
    )  # fmt: skip
    found: list[dict[str, Any]] = answer["Datapoints"]
    return found


@told
async def test_what_is_measured_arrives_as_sums_of_its_minute(world: World) -> None:
    metrics = world.cloud.metrics
    for size in (5.0, 1.0, 9.0):
        metrics.count(SIZE, ACCOUNT, REGION, ("q",), START, size)
    metrics.count(SIZE, ACCOUNT, REGION, ("q",), START + timedelta(minutes=2), 4.0)
    metrics.count(SIZE, "111111111111", REGION, ("q",), START, 7.0)
    await metrics.flush()
    await metrics.flush()
    first, second = await points(world)
    assert (first["SampleCount"], first["Sum"], first["Minimum"], first["Maximum"]) == (
        3.0, 15.0, 1.0, 9.0,
    )  # fmt: skip
    assert (second["Timestamp"], second["Sum"]) == (START + timedelta(minutes=2), 4.0)
    assert first["Unit"] == "Bytes"


@told
async def test_a_tally_counts_how_often_something_was_measured(world: World) -> None:
    sent = Measure("sqs", "AWS/SQS", "SentMessageSize", "Bytes", "QueueName", tally="Sent")
    for size in (5.0, 0.0, 9.0):
        world.cloud.metrics.count(sent, ACCOUNT, REGION, ("q",), START, size)
    await world.cloud.metrics.flush()
    [sizes], [count] = await points(world), await points(world, "Sent")
    assert (sizes["SampleCount"], sizes["Sum"], sizes["Unit"]) == (3.0, 14.0, "Bytes")
    assert count.pop("Timestamp") == START
    assert count == {
        "SampleCount": 3.0, "Sum": 3.0, "Minimum": 1.0, "Maximum": 1.0, "Unit": "Count",
    }  # fmt: skip


def test_counting_costs_next_to_nothing() -> None:
    metrics = Metrics(lambda account, region: None, lambda service: None)  # type: ignore[arg-type,return-value]
    key = (SIZE, ACCOUNT, REGION, ("q",), START.minute)
    metrics._sums[key] = Sums(START, 1.0, 1.0, 1.0, 1.0)
    best = 1.0
    for _ in range(20):
        begun = time.perf_counter()
        for _ in range(1_000):
            metrics.count(SIZE, ACCOUNT, REGION, ("q",), START, 2.0)
        best = min(best, (time.perf_counter() - begun) / 1_000)
    # A microsecond is what we promise; twice that is what a busy machine may make of it.
    assert best < 2e-6
