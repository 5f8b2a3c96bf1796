"""Metrics of CloudWatch, through the door: taken, aged and told."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from doppio.kernel.identity import service_caller
from tests.services.kms.helpers import allow, user
from tests.services.world import ACCOUNT, START, World, refusal, told

DIMENSIONS = [{"Name": "Shop", "Value": "one"}]


async def put(world: World, *values: float, at: datetime | None = None, **more: Any) -> None:
    datum: dict[str, Any] = {"MetricName": "Orders", "Dimensions": DIMENSIONS, **more}
    if values:
        datum["Values"] = list(values)
    if at is not None:
        datum["Timestamp"] = at
    await world.call("cloudwatch", "put_metric_data", Namespace="Shop", MetricData=[datum])


async def statistics(world: World, *names: str, **more: Any) -> list[dict[str, Any]]:
    req = {
        "Namespace": "Shop", "MetricName": "Orders", "Dimensions": DIMENSIONS, "Period": 60,
        "StartTime": world.now - timedelta(hours=1), "EndTime": world.now + timedelta(minutes=1),
        **({"Statistics": list(names)} if names else {}), **more,
    }  # fmt: skip
    answer = await world.call("cloudwatch", "get_metric_statistics", **req)
    found: list[dict[str, Any]] = answer["Datapoints"]
    return found


@told
async def test_numbers_of_a_minute_add_up(world: World) -> None:
    await put(world, 1, 2, 3)
    await put(world, 10, Counts=[2])
    await put(world, 5, at=START - timedelta(minutes=3))
    points = await statistics(world, "Sum", "Average", "Minimum", "Maximum", "SampleCount")
    assert points == [
        {
            "Timestamp": START - timedelta(minutes=3), "Unit": "None", "Sum": 5.0, "Average": 5.0,
            "Minimum": 5.0, "Maximum": 5.0, "SampleCount": 1.0,
        },
        {
            "Timestamp": START, "Unit": "None", "Sum": 26.0, "Average": 5.2, "Minimum": 1.0,
            "Maximum": 10.0, "SampleCount": 5.0,
        },
    ]  # fmt: skip
    wide = await statistics(world, "Sum", Period=300, StartTime=START - timedelta(minutes=4))
    assert [point["Sum"] for point in wide] == [31.0]
    listed = await world.call("cloudwatch", "list_metrics", Namespace="Shop")
    assert listed["Metrics"] == [
        {"Namespace": "Shop", "MetricName": "Orders", "Dimensions": DIMENSIONS}
    ]
    none = await world.call("cloudwatch", "list_metrics", Dimensions=[{"Name": "Other"}])
    assert none["Metrics"] == []
    await world.advance(days=16)
    assert (await world.call("cloudwatch", "list_metrics"))["Metrics"] == []


@told
async def test_percentiles_and_trimmed_statistics(world: World) -> None:
    await put(world, *range(1, 101))
    names = ["p50", "p99.9", "tm90", "TC(10%:90%)", "TS(:50)", "PR(:25)", "IQM", "wm98"]
    (point,) = await statistics(world, ExtendedStatistics=names)
    assert point["ExtendedStatistics"] == {
        "p50": 50.0, "p99.9": 100.0, "tm90": 45.5, "TC(10%:90%)": 80.0, "TS(:50)": 1275.0,
        "PR(:25)": 25.0, "IQM": 50.5, "wm98": 50.47,
    }  # fmt: skip
    bad = statistics(world, ExtendedStatistics=["p101"])
    assert (await refusal(bad))[0] == "InvalidParameterValueException"
    summed = {"SampleCount": 2, "Sum": 5, "Minimum": 1, "Maximum": 4}
    await put(world, StatisticValues=summed)
    (point,) = await statistics(world, "Sum", ExtendedStatistics=["p50"])
    assert "ExtendedStatistics" not in point
    assert point["Sum"] == 5055.0


@told
async def test_what_is_no_measurement_is_refused(world: World) -> None:
    for more, code in (
        ({}, "MissingRequiredParameterException"),
        ({"Value": 1, "StatisticValues": {"SampleCount": 1, "Sum": 1, "Minimum": 1, "Maximum": 1}},
         "InvalidParameterCombinationException"),
        ({"Value": float("nan")}, "InvalidParameterValueException"),
        ({"Value": 2.0**361}, "InvalidParameterValueException"),
        ({"Values": [1, 2], "Counts": [1]}, "InvalidParameterValueException"),
        ({"Values": list(range(151))}, "InvalidParameterValueException"),
        ({"Value": 1, "StorageResolution": 5}, "InvalidParameterValueException"),
        ({"Value": 1, "Timestamp": START - timedelta(days=15)}, "InvalidParameterValueException"),
        ({"Value": 1, "Timestamp": START + timedelta(hours=3)}, "InvalidParameterValueException"),
    ):  # fmt: skip
        assert (await refusal(put(world, **more)))[0] == code
    many = [{"MetricName": "m", "Value": 1}] * 1_001
    call = world.call("cloudwatch", "put_metric_data", Namespace="Shop", MetricData=many)
    assert (await refusal(call))[0] == "InvalidParameterValueException"
    assert (await world.call("cloudwatch", "list_metrics"))["Metrics"] == []
    long = statistics(world, "Sum", StartTime=START - timedelta(days=2))
    assert (await refusal(long))[1].startswith("You have requested up to 2,881 datapoints")
    assert (await refusal(statistics(world, "Sum", Period=61)))[0] == (
        "InvalidParameterValueException"
    )


@told
async def test_names_of_aws_are_for_its_services(world: World) -> None:
    data = [{"MetricName": "m", "Value": 1.0}]
    call: dict[str, Any] = {"Namespace": "AWS/SQS", "MetricData": data}
    code, text = await refusal(world.call("cloudwatch", "put_metric_data", **call))
    assert code == "InvalidParameterValueException"
    assert text == "The value AWS/ for parameter Namespace is invalid."
    await world.call("cloudwatch", "put_metric_data", caller=service_caller("sqs", ACCOUNT), **call)
    shop = allow("cloudwatch:PutMetricData", Condition={
        "StringEquals": {"cloudwatch:namespace": "Shop"}
    })  # fmt: skip
    clerk = await user(world, "clerk", shop)
    call["Namespace"] = "Shop"
    await world.call("cloudwatch", "put_metric_data", caller=clerk, **call)
    call["Namespace"] = "Other"
    refused = world.call("cloudwatch", "put_metric_data", caller=clerk, **call)
    assert (await refusal(refused))[0] == "AccessDeniedException"


@told
async def test_points_become_coarser_and_go(world: World) -> None:
    await put(world, 1, StorageResolution=1)
    await put(world, 2, at=START + timedelta(seconds=70), StorageResolution=1)
    fine = {"StartTime": START, "EndTime": START + timedelta(minutes=5)}
    assert len(await statistics(world, "Sum", **fine, Period=1)) == 2
    await world.advance(hours=7)
    assert await statistics(world, "Sum", **fine, Period=1) == []
    assert [one["Sum"] for one in await statistics(world, "Sum", **fine)] == [1.0, 2.0]
    await world.advance(days=16)
    assert await statistics(world, "Sum", **fine) == []
    (point,) = await statistics(world, "Sum", **fine, Period=300)
    assert (point["Sum"], point["Timestamp"]) == (3.0, START)
    await world.advance(days=60)
    (point,) = await statistics(world, "Sum", "SampleCount", **fine, Period=3_600)
    assert (point["Sum"], point["SampleCount"]) == (3.0, 2.0)
    await world.advance(days=400)
    assert await statistics(world, "Sum", **fine, Period=3_600) == []


def query(name: str, expression: str | None = None, **more: Any) -> dict[str, Any]:
    if expression is not None:
        return {"Id": name, "Expression": expression, **more}
    metric = {"Namespace": "Shop", "MetricName": "Orders", "Dimensions": DIMENSIONS}
    return {"Id": name, "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}, **more}


async def data(world: World, *queries: dict[str, Any], **more: Any) -> Any:
    return await world.call(
        "cloudwatch", "get_metric_data", MetricDataQueries=list(queries),
        StartTime=START - timedelta(minutes=10), EndTime=START + timedelta(minutes=1), **more,
    )  # fmt: skip


@told
async def test_expressions_calculate_with_series(world: World) -> None:
    for back, value in ((4, 1.0), (3, 2.0), (1, 8.0)):
        await put(world, value, at=START - timedelta(minutes=back))

    async def calculated(text: str) -> list[float]:
        answer = await data(
            world, query("m1"), query("e1", text), ScanBy="TimestampAscending"
        )  # fmt: skip
        values: list[float] = answer["MetricDataResults"][1]["Values"]
        return values

    for text, values in (
        ("m1 * 2 + 1", [3.0, 5.0, 17.0]),
        ("-m1 ^ 2", [-1.0, -4.0, -64.0]),
        ("m1 / (m1 - 2)", [-1.0, 8 / 6]),
        ("FILL(m1, 0)", [1.0, 2.0, 0.0, 8.0]),
        ("FILL(m1, REPEAT)", [1.0, 2.0, 2.0, 8.0]),
        ("FILL(m1, LINEAR)", [1.0, 2.0, 5.0, 8.0]),
        ("IF(m1 > 1, m1, 0)", [0.0, 2.0, 8.0]),
        ("RUNNING_SUM(m1)", [1.0, 3.0, 11.0]),
        ("DIFF(m1)", [1.0, 6.0]),
        ("RATE(m1)", [1 / 60, 6 / 120]),
        ("SUM([m1, m1])", [2.0, 4.0, 16.0]),
        ("MAX(METRICS()) - MIN(METRICS())", [0.0, 0.0, 0.0]),
        ("m1 - AVG(m1)", [1 - 11 / 3, 2 - 11 / 3, 8 - 11 / 3]),
        ("m1 / PERIOD(m1)", [1 / 60, 2 / 60, 8 / 60]),
    ):
        assert await calculated(text) == values, text
    for text in ("m1 +", "AVG(m1)", "m2", "ABS()", "m1 $ 2"):
        assert (await refusal(calculated(text)))[0] == "ValidationException", text
    assert (await refusal(calculated("SEARCH('x', 'Sum')")))[0] == "NotImplemented"
    circle = data(world, query("a", "b + 1"), query("b", "a + 1"))
    assert "Circular" in (await refusal(circle))[1]


@told
async def test_many_points_come_in_pages(world: World) -> None:
    for back in range(5):
        await put(world, back, at=START - timedelta(minutes=back))
    first = await data(world, query("m1"), MaxDatapoints=3)
    (result,) = first["MetricDataResults"]
    assert (result["Values"], result["StatusCode"]) == ([0.0, 1.0, 2.0], "PartialData")
    rest = await data(world, query("m1"), MaxDatapoints=3, NextToken=first["NextToken"])
    (result,) = rest["MetricDataResults"]
    assert (result["Values"], result["StatusCode"]) == ([3.0, 4.0], "Complete")
    assert "NextToken" not in rest
    hidden = await data(world, query("m1", ReturnData=False), query("e1", "m1", Label="x"))
    assert [one["Label"] for one in hidden["MetricDataResults"]] == ["x"]
