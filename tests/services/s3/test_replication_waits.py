"""Replication that takes long: its owner is told, and CloudWatch is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from doppio.kernel.regions import zone_for
from doppio.services.s3.replication_waits import Waiting
from tests.services.s3.test_notices import ask, open_queue, records
from tests.services.s3.test_replication import prepared, put, replicate, rule, status
from tests.services.s3.test_zones import mark
from tests.services.world import REGION, START, World, told

_ON = {"Status": "Enabled"}
MEASURED = {"Metrics": _ON, "StorageClass": "ONEZONE_IA"}
TIMED = {
    "ReplicationTime": {**_ON, "Time": {"Minutes": 15}},
    "Metrics": {**_ON, "EventThreshold": {"Minutes": 15}},
    "StorageClass": "ONEZONE_IA",
}


async def down(world: World) -> None:
    """Replicas cannot be written, for the zone of their class is down."""
    await mark(world, zone_for(REGION, "copy"), "down")


async def up(world: World) -> None:
    await mark(world, zone_for(REGION, "copy"), "up")


async def told_of(world: World, name: str, statistic: str = "Maximum") -> list[float]:
    """What CloudWatch knows of a metric, minute by minute."""
    await world.cloud.metrics.flush()
    listed = await world.call("cloudwatch", "list_metrics", Namespace="AWS/S3", MetricName=name)
    if not listed["Metrics"]:
        return []
    [metric] = listed["Metrics"]
    assert [(one["Name"], one["Value"]) for one in metric["Dimensions"]] == [
        ("SourceBucket", "bucket"), ("DestinationBucket", "copy"), ("RuleId", "copy"),
    ]  # fmt: skip
    answer = await world.call(
        "cloudwatch", "get_metric_statistics", StartTime=START, EndTime=START + timedelta(hours=5),
        Period=60, Statistics=[statistic], **metric,
    )  # fmt: skip
    points = sorted(answer["Datapoints"], key=lambda one: one["Timestamp"])
    return [one[statistic] for one in points]


async def waiting(world: World) -> int:
    return len(await world.cloud.root_context().read().list(Waiting, limit=99))


async def minutes(world: World, count: int) -> None:
    for _ in range(count):
        await world.advance(minutes=1)


@told
async def test_what_is_pending_is_told_each_minute_until_there_is_nothing(world: World) -> None:
    await prepared(world, rule(Destination=MEASURED))
    await down(world)
    await put(world, "a", b"12345")
    await put(world, "b", b"123")
    await world.settle()
    assert await waiting(world) == 2
    await minutes(world, 3)
    await up(world)
    await minutes(world, 10)
    assert await status(world, "a") == "COMPLETED"
    assert await waiting(world) == 0
    operations = await told_of(world, "OperationsPendingReplication")
    assert operations[:3] == [2.0, 2.0, 2.0]
    assert operations[-1] == 0.0
    assert (await told_of(world, "BytesPendingReplication"))[:3] == [8.0] * 3
    assert (await told_of(world, "ReplicationLatency"))[:3] == [60.0, 120.0, 180.0]
    many = len(operations)
    await minutes(world, 5)
    assert len(await told_of(world, "OperationsPendingReplication")) == many


@told
async def test_what_goes_at_once_is_told_as_its_latency(world: World) -> None:
    await prepared(world, rule(Destination={"Metrics": _ON}))
    await put(world, "a")
    await world.settle()
    assert await told_of(world, "ReplicationLatency") == [0.0]
    assert await told_of(world, "OperationsPendingReplication") == []
    assert await waiting(world) == 0


@told
async def test_rules_without_metrics_are_not_measured(world: World) -> None:
    await prepared(world, rule(Destination={"StorageClass": "ONEZONE_IA"}))
    await down(world)
    await put(world, "a")
    await minutes(world, 3)
    await up(world)
    await minutes(world, 5)
    assert await status(world, "a") == "COMPLETED"
    assert (await world.call("cloudwatch", "list_metrics", Namespace="AWS/S3"))["Metrics"] == []


@told
async def test_what_fails_is_counted(world: World) -> None:
    await prepared(world, rule(Destination={"Metrics": _ON}))
    await world.call(
        "s3",
        "put_bucket_versioning",
        Bucket="copy",
        VersioningConfiguration={"Status": "Suspended"},
    )
    await put(world, "a")
    await put(world, "b")
    await world.settle()
    assert await status(world, "a") == "FAILED"
    assert await told_of(world, "OperationsFailedReplication", "Sum") == [2.0]
    assert await told_of(world, "ReplicationLatency") == []


async def timed(world: World) -> str:
    """A rule with a promise of fifteen minutes, and a queue that hears of replication."""
    await prepared(world, rule(Destination=TIMED))
    queue = await open_queue(world)
    await ask(world, queue, "s3:Replication:*")
    await records(world, queue)
    await down(world)
    await put(world, "a")
    return queue


def events(found: list[dict[str, Any]]) -> list[str]:
    return [one["eventName"].removeprefix("Replication:") for one in found]


@told
async def test_a_promise_of_fifteen_minutes_that_is_missed_is_told_once_and_at_its_time(
    world: World,
) -> None:
    queue = await timed(world)
    await minutes(world, 14)
    assert await records(world, queue) == []
    await minutes(world, 1)
    [missed] = await records(world, queue)
    assert missed["eventName"] == "Replication:OperationMissedThreshold"
    data = missed["replicationEventData"]
    assert data["replicationRuleId"] == "copy"
    assert data["destinationBucket"] == "arn:aws:s3:::copy"
    assert (data["threshold"], data["s3Operation"]) == ("15", "OBJECT_PUT")
    await minutes(world, 20)
    assert await records(world, queue) == []
    await up(world)
    await minutes(world, 10)
    assert events(await records(world, queue)) == ["OperationReplicatedAfterThreshold"]
    assert await status(world, "a") == "COMPLETED"


@told
async def test_one_that_comes_in_time_says_nothing(world: World) -> None:
    queue = await timed(world)
    await minutes(world, 3)
    await up(world)
    await minutes(world, 11)
    assert await status(world, "a") == "COMPLETED"
    await minutes(world, 20)
    assert await records(world, queue) == []


@told
async def test_what_is_not_to_be_replicated_any_more_is_not_tracked_any_more(
    world: World,
) -> None:
    queue = await timed(world)
    await minutes(world, 2)
    await replicate(world, rule(Destination=TIMED, Filter={"Prefix": "other"}))
    await minutes(world, 10)
    assert events(await records(world, queue)) == ["OperationNotTracked"]
    assert await waiting(world) == 0
    await minutes(world, 30)
    assert await records(world, queue) == []


@told
async def test_a_crash_forgets_nobody_who_waits(world: World) -> None:
    queue = await timed(world)
    await minutes(world, 5)
    again = world.again()
    await again.start()
    await minutes(again, 11)
    assert events(await records(again, queue)) == ["OperationMissedThreshold"]
    await mark(again, zone_for(REGION, "copy"), "up")
    await minutes(again, 10)
    assert events(await records(again, queue)) == ["OperationReplicatedAfterThreshold"]
    assert await waiting(again) == 0
    await again.close()
