"""Metric filters: lines become numbers in CloudWatch."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from tests.services.logs.test_logs import put, stream
from tests.services.world import START, World, refusal, told

MADE = {"metricName": "ms", "metricNamespace": "Shop", "metricValue": "$.ms"}


async def made(world: World, pattern: str = "{ $.ms = * }", **more: Any) -> None:
    await world.call(
        "logs", "put_metric_filter", logGroupName="shop", filterName="f", filterPattern=pattern,
        metricTransformations=[{**MADE, **more}],
    )  # fmt: skip


async def numbers(world: World, *dimensions: tuple[str, str]) -> list[tuple[float, float]]:
    answer = await world.call(
        "cloudwatch", "get_metric_statistics", Namespace="Shop", MetricName="ms", Period=60,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions],
        StartTime=START, EndTime=START + timedelta(hours=1), Statistics=["Sum", "SampleCount"],
    )  # fmt: skip
    return [(one["SampleCount"], one["Sum"]) for one in answer["Datapoints"]]


@told
async def test_lines_become_numbers_of_their_minute(world: World) -> None:
    await stream(world)
    await put(world, (0, '{"ms": 100}'))
    await made(world)
    lines = [json.dumps({"ms": ms}) for ms in (3, 4.5)]
    await put(world, (0, lines[0]), (5, lines[1]), (10, '{"ms": "slow"}'), (60_000, lines[0]))
    await world.settle()
    assert await numbers(world) == [(2.0, 7.5), (1.0, 3.0)]
    described = await world.call("logs", "describe_metric_filters", logGroupName="shop")
    assert described["metricFilters"][0]["metricTransformations"] == [MADE]
    groups = await world.call("logs", "describe_log_groups")
    assert groups["logGroups"][0]["metricFilterCount"] == 1
    await world.call("logs", "delete_metric_filter", logGroupName="shop", filterName="f")
    await put(world, (120_000, lines[0]))
    await world.settle()
    assert len(await numbers(world)) == 2
    gone = world.call("logs", "delete_metric_filter", logGroupName="shop", filterName="f")
    assert (await refusal(gone))[0] == "ResourceNotFoundException"


@told
async def test_fields_become_dimensions_and_nothing_becomes_the_default(world: World) -> None:
    await stream(world)
    await made(world, dimensions={"Path": "$.path"})
    await put(
        world, (0, '{"ms": 1, "path": "/a"}'), (1, '{"ms": 2, "path": "/b"}'), (2, '{"ms": 4}')
    )
    await world.settle()
    assert await numbers(world, ("Path", "/a")) == [(1.0, 1.0)]
    assert await numbers(world, ("Path", "/b")) == [(1.0, 2.0)]
    assert await numbers(world) == []
    await made(world, "ERROR", metricValue="1", defaultValue=0.0)
    await put(world, (0, "fine"))
    await world.settle()
    assert await numbers(world) == [(1.0, 0.0)]
    await put(world, (0, "ERROR"), (1, "ERROR"))
    await world.settle()
    assert await numbers(world) == [(3.0, 2.0)]


@told
async def test_a_pattern_can_be_tried(world: World) -> None:
    answer = await world.call(
        "logs", "test_metric_filter", filterPattern="[ip, size > 10]",
        logEventMessages=["1.1.1.1 5", "2.2.2.2 50"],
    )  # fmt: skip
    assert answer["matches"] == [
        {
            "eventNumber": 2, "eventMessage": "2.2.2.2 50",
            "extractedValues": {"$ip": "2.2.2.2", "$size": "50"},
        }
    ]  # fmt: skip
    await stream(world)
    for more in (
        {"metricNamespace": "AWS/Own"}, {"metricValue": "many"},
        {"dimensions": {"a": "$.a"}, "defaultValue": 0.0}, {"pattern": "{ $.a = "},
        {"dimensions": dict.fromkeys("abcd", "$.a")},
    ):  # fmt: skip
        assert (await refusal(made(world, **more)))[0] == "InvalidParameterException"  # type: ignore[arg-type]
