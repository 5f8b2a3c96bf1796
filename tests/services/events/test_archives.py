"""Archives and what is replayed from them."""

from __future__ import annotations

import json
from datetime import timedelta

from doppio.services.events.records import Archived
from tests.services.events.helpers import bodies, put, queue, rule
from tests.services.world import ACCOUNT, REGION, World, refusal, told

BUS = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default"


@told
async def test_a_replay_sends_what_was_archived_once_more(world: World) -> None:
    arn, other = await queue(world, "q"), await queue(world, "other")
    name = await rule(world, "r", {"Arn": arn})
    await rule(world, "other", {"Arn": other})
    pattern = '{"detail-type": ["sold"]}'
    made = await world.call(
        "events", "create_archive", ArchiveName="a", EventSourceArn=BUS, EventPattern=pattern
    )
    first = await put(world)
    await put(world, DetailType="bought")
    await world.advance(minutes=5)
    second = await put(world)
    await world.advance(minutes=5)
    await put(world)
    await bodies(world, arn)
    await bodies(world, other)
    start = {
        "ReplayName": "again",
        "EventSourceArn": made["ArchiveArn"],
        "EventStartTime": world.now - timedelta(hours=1),
        "EventEndTime": world.now - timedelta(minutes=3),
        "Destination": {"Arn": BUS, "FilterArns": [name]},
    }
    answer = await world.call("events", "start_replay", **start)
    assert answer["State"] == "STARTING"
    await world.settle()
    found = await world.call("events", "describe_replay", ReplayName="again")
    assert found["State"] == "COMPLETED"
    events = [json.loads(one) for one in await bodies(world, arn)]
    assert {one["id"] for one in events} == {first["EventId"], second["EventId"]}
    assert len(events) == 2
    assert {one["replay-name"] for one in events} == {"again"}
    assert await bodies(world, other) == []
    # What is replayed is not archived again.
    described = await world.call("events", "describe_archive", ArchiveName="a")
    assert described["EventCount"] == 3
    assert (await refusal(world.call("events", "start_replay", **start)))[0] == (
        "ResourceAlreadyExistsException"
    )
    assert (await refusal(world.call("events", "cancel_replay", ReplayName="again")))[0] == (
        "IllegalStatusException"
    )


@told
async def test_events_leave_an_archive_when_their_time_is_over(world: World) -> None:
    await world.call(
        "events", "create_archive", ArchiveName="a", EventSourceArn=BUS, RetentionDays=2
    )
    await put(world)
    await world.advance(days=1, hours=23)
    assert (await world.call("events", "describe_archive", ArchiveName="a"))["EventCount"] == 1
    await world.advance(hours=3)
    assert (await world.call("events", "describe_archive", ArchiveName="a"))["EventCount"] == 0


@told
async def test_a_deleted_archive_leaves_nothing(world: World) -> None:
    await world.call("events", "create_archive", ArchiveName="a", EventSourceArn=BUS)
    await put(world)
    listed = await world.call("events", "list_rules")
    assert [one["Name"] for one in listed["Rules"]] == ["Events-Archive-a"]
    delete = world.call("events", "delete_rule", Name="Events-Archive-a")
    assert (await refusal(delete))[0] == "ManagedRuleException"
    await world.call("events", "delete_archive", ArchiveName="a")
    await world.settle()
    assert await world.cloud.root_context().read().list(Archived, limit=9) == []
    assert (await world.call("events", "list_rules"))["Rules"] == []


@told
async def test_what_an_archive_holds_is_metered_by_the_hour(world: World) -> None:
    await world.call(
        "events", "create_archive", ArchiveName="a", EventSourceArn=BUS, RetentionDays=2
    )
    await put(world)
    size = (await world.call("events", "describe_archive", ArchiveName="a"))["SizeBytes"]
    (row,) = await world.cloud.root_context().read().list(Archived, limit=9)
    assert size == len(row.event.encode())
    await world.advance(hours=1)
    assert await world.used("Archive-ByteHrs") == size
    # A leap of the clock is metered whole, in one go or in several.
    await world.advance(hours=10)
    assert await world.used("Archive-ByteHrs") == 11 * size
    for _ in range(3):
        await world.advance(hours=1)
    assert await world.used("Archive-ByteHrs") == 14 * size
    await world.advance(hours=36)
    shown = await world.call("events", "describe_archive", ArchiveName="a")
    assert (shown["EventCount"], shown["SizeBytes"]) == (0, 0)
    used = await world.used("Archive-ByteHrs")
    await world.advance(hours=5)
    assert await world.used("Archive-ByteHrs") == used


@told
async def test_a_retention_that_is_given_later_counts_for_what_is_there(world: World) -> None:
    await world.call("events", "create_archive", ArchiveName="a", EventSourceArn=BUS)
    await put(world)
    await world.advance(days=3)
    await put(world)
    await world.call("events", "update_archive", ArchiveName="a", RetentionDays=2)
    await world.advance(hours=1)
    shown = await world.call("events", "describe_archive", ArchiveName="a")
    assert (shown["EventCount"], shown["RetentionDays"]) == (1, 2)
    await world.advance(days=2, hours=1)
    shown = await world.call("events", "describe_archive", ArchiveName="a")
    assert shown["EventCount"] == 0
