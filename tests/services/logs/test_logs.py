"""CloudWatch Logs, through the door."""

from __future__ import annotations

import json
from typing import Any

from doppio.kernel.identity import service_caller
from doppio.services.logs.records import Batch, Stream
from tests.services.kms.helpers import allow, user
from tests.services.world import ACCOUNT, START, World, refusal, told

NOW = int(START.timestamp() * 1_000)
DAY = 86_400_000
BASE = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:"


async def stream(world: World, name: str = "one", group: str = "shop") -> None:
    """Make a stream, and its group if there is none."""
    groups = (await world.call("logs", "describe_log_groups"))["logGroups"]
    if group not in {one["logGroupName"] for one in groups}:
        await world.call("logs", "create_log_group", logGroupName=group)
    await world.call("logs", "create_log_stream", logGroupName=group, logStreamName=name)


async def put(world: World, *events: tuple[int, str], to: str = "one", **more: Any) -> Any:
    """Put lines at times, in milliseconds from now."""
    listed = [{"timestamp": now(world) + at, "message": text} for at, text in events]
    return await world.call(
        "logs", "put_log_events", logGroupName="shop", logStreamName=to, logEvents=listed, **more
    )


def now(world: World) -> int:
    return int(world.now.timestamp() * 1_000)


async def get(world: World, **req: Any) -> Any:
    return await world.call(
        "logs", "get_log_events", logGroupName="shop", **{"logStreamName": "one", **req}
    )


async def found(world: World, **req: Any) -> list[str]:
    """The texts that a filter finds."""
    answer = await world.call("logs", "filter_log_events", logGroupName="shop", **req)
    return [event["message"] for event in answer["events"]]


def texts(answer: Any) -> list[str]:
    return [event["message"] for event in answer["events"]]


@told
async def test_groups_are_made_listed_and_deleted(world: World) -> None:
    for name in ("/b", "/a/1", "/a/2"):
        await world.call("logs", "create_log_group", logGroupName=name, tags={"k": "v"})
    again = world.call("logs", "create_log_group", logGroupName="/b")
    assert await refusal(again) == (
        "ResourceAlreadyExistsException", "The specified log group already exists",
    )  # fmt: skip
    first = await world.call("logs", "describe_log_groups", limit=2)
    assert [one["logGroupName"] for one in first["logGroups"]] == ["/a/1", "/a/2"]
    assert first["logGroups"][0]["arn"] == f"{BASE}/a/1:*"
    assert first["logGroups"][0]["creationTime"] == NOW
    rest = await world.call("logs", "describe_log_groups", limit=2, nextToken=first["nextToken"])
    assert [one["logGroupName"] for one in rest["logGroups"]] == ["/b"]
    assert "nextToken" not in rest
    for req, names in (
        ({"logGroupNamePrefix": "/a"}, ["/a/1", "/a/2"]),
        ({"logGroupNamePattern": "2"}, ["/a/2"]),
        ({"logGroupIdentifiers": [f"{BASE}/b"]}, ["/b"]),
    ):
        answer = await world.call("logs", "describe_log_groups", **req)
        assert [one["logGroupName"] for one in answer["logGroups"]] == names
    listed = await world.call("logs", "list_log_groups", logGroupNamePattern="^/b|a/2")
    assert [one["logGroupName"] for one in listed["logGroups"]] == ["/a/2", "/b"]
    await world.call("logs", "delete_log_group", logGroupName="/b")
    gone = world.call("logs", "delete_log_group", logGroupName="/b")
    assert await refusal(gone) == (
        "ResourceNotFoundException", "The specified log group does not exist.",
    )  # fmt: skip
    forged = world.call("logs", "describe_log_groups", nextToken="forged")
    assert (await refusal(forged))[0] == "InvalidParameterException"
    key = world.call("logs", "create_log_group", logGroupName="k", kmsKeyId="arn:aws:kms:x")
    assert (await refusal(key))[0] == "NotImplemented"


@told
async def test_a_protected_group_stays(world: World) -> None:
    await world.call("logs", "create_log_group", logGroupName="g", deletionProtectionEnabled=True)
    assert (await refusal(world.call("logs", "delete_log_group", logGroupName="g")))[0] == (
        "ValidationException"
    )
    await world.call(
        "logs", "put_log_group_deletion_protection", logGroupIdentifier=f"{BASE}g",
        deletionProtectionEnabled=False,
    )  # fmt: skip
    await world.call("logs", "delete_log_group", logGroupName="g")


@told
async def test_lines_come_back_in_order_and_tokens_lead_to_and_fro(world: World) -> None:
    await stream(world)
    empty = await get(world)
    assert empty["events"] == []
    await put(world, *((at * 30_000, f"line {at}") for at in range(10)))
    await put(world, (15_000, "between"))
    assert texts(await get(world, nextToken=empty["nextForwardToken"]))[:3] == [
        "line 0", "between", "line 1",
    ]  # fmt: skip
    page = await get(world, limit=4)
    assert texts(page) == ["line 6", "line 7", "line 8", "line 9"]
    before = await get(world, limit=4, nextToken=page["nextBackwardToken"])
    assert texts(before) == ["line 2", "line 3", "line 4", "line 5"]
    assert texts(await get(world, limit=4, nextToken=before["nextForwardToken"])) == texts(page)
    end = await get(world, nextToken=page["nextForwardToken"])
    assert (texts(end), end["nextForwardToken"]) == ([], page["nextForwardToken"])
    first = await get(world, nextToken=before["nextBackwardToken"])
    assert texts(first) == ["line 0", "between", "line 1"]
    none = await get(world, nextToken=first["nextBackwardToken"])
    assert (texts(none), none["nextBackwardToken"]) == ([], first["nextBackwardToken"])
    await put(world, (600_000, "new"))
    assert texts(await get(world, nextToken=end["nextForwardToken"])) == ["new"]
    span = {"startTime": NOW + 30_000, "endTime": NOW + 60_000}
    assert texts(await get(world, startFromHead=True, **span)) == ["line 1"]
    assert await refusal(get(world, nextToken="x")) == (
        "InvalidParameterException", "The specified nextToken is invalid.",
    )  # fmt: skip
    missing = get(world, logStreamName="none")
    assert (await refusal(missing))[1] == "The specified log stream does not exist."


@told
async def test_what_is_too_old_or_too_new_is_left_out_and_told(world: World) -> None:
    await stream(world)
    answer = await put(
        world, (-15 * DAY, "old"), (-14 * DAY, "just"), (-14 * DAY + 5, "fine"), (2 * DAY, "new")
    )
    assert answer["rejectedLogEventsInfo"] == {
        "tooOldLogEventEndIndex": 1, "tooNewLogEventStartIndex": 3,
    }  # fmt: skip
    assert texts(await get(world)) == ["just", "fine"]
    await world.call("logs", "put_retention_policy", logGroupName="shop", retentionInDays=3)
    assert texts(await get(world)) == []
    answer = await put(world, (-4 * DAY, "over"), (-3 * DAY, "kept"))
    assert answer["rejectedLogEventsInfo"] == {"expiredLogEventEndIndex": 1}
    assert texts(await get(world)) == ["kept"]
    for events, text in (
        ([(1, "a"), (0, "b")], "chronological order."),
        ([(-DAY, "a"), (1, "b")], "cannot span more than 24 hours."),
        ([(0, "x" * 1_048_551)], "exceeds limit of 1048576"),
        ([(0, "x" * 600_000), (0, "x" * 600_000)], "Upload too large: 1200052 bytes exceeds limit"),
    ):
        code, said = await refusal(put(world, *events))
        assert code == "InvalidParameterException"
        assert text in said
    bad = world.call("logs", "put_retention_policy", logGroupName="shop", retentionInDays=2)
    assert (await refusal(bad))[0] == "InvalidParameterException"


@told
async def test_retention_removes_what_is_over(world: World) -> None:
    await stream(world)
    await put(world, (0, "a"))
    await world.call("logs", "put_retention_policy", logGroupName="shop", retentionInDays=1)
    await world.advance(hours=12)
    await put(world, (0, "b"))
    assert len(await rows(world, Batch)) == 2
    await world.advance(hours=13)
    assert len(await rows(world, Batch)) == 1
    assert texts(await get(world)) == ["b"]
    described = (await world.call("logs", "describe_log_groups"))["logGroups"][0]
    assert (described["retentionInDays"], described["storedBytes"]) == (1, 27)
    await world.advance(days=3)
    assert await rows(world, Batch) == []
    await put(world, (0, "c"))
    await world.advance(days=3)
    assert await rows(world, Batch) == []
    await world.call("logs", "delete_retention_policy", logGroupName="shop")


@told
async def test_nothing_stays_of_what_was_deleted(world: World) -> None:
    await stream(world)
    await stream(world, "two")
    await put(world, (0, "a"), (DAY // 24, "b"))
    await put(world, (0, "c"), to="two")
    await world.call("logs", "delete_log_stream", logGroupName="shop", logStreamName="one")
    await world.settle()
    assert await found(world) == ["c"]
    assert len(await rows(world, Batch)) == 1
    await stream(world)
    assert texts(await get(world)) == []
    await world.call("logs", "delete_log_group", logGroupName="shop")
    await world.settle()
    assert await rows(world, Batch) == await rows(world, Stream) == []


async def rows(world: World, cls: type[Any]) -> list[Any]:
    listed: list[Any] = await world.cloud.root_context().read().list(cls, limit=1_000)
    return listed


@told
async def test_streams_are_listed_by_name_and_by_their_last_event(world: World) -> None:
    for name in ("a", "b", "c"):
        await stream(world, name)
    await put(world, (5, "x"), to="b")
    await put(world, (9, "x"), to="a")
    by_name: dict[str, Any] = {"logGroupName": "shop"}
    answer = await world.call("logs", "describe_log_streams", **by_name, limit=2)
    assert [one["logStreamName"] for one in answer["logStreams"]] == ["a", "b"]
    assert answer["logStreams"][0]["lastEventTimestamp"] == NOW + 9
    answer = await world.call(
        "logs", "describe_log_streams", **by_name, nextToken=answer["nextToken"], limit=2
    )
    assert [one["logStreamName"] for one in answer["logStreams"]] == ["c"]
    by_time: dict[str, Any] = {**by_name, "orderBy": "LastEventTime", "descending": True}
    names = []
    token: dict[str, Any] = {}
    while True:
        answer = await world.call("logs", "describe_log_streams", **by_time, **token, limit=1)
        names += [one["logStreamName"] for one in answer["logStreams"]]
        if "nextToken" not in answer:
            break
        token = {"nextToken": answer["nextToken"]}
    assert names == ["a", "b", "c"]
    both = world.call("logs", "describe_log_streams", **by_time, logStreamNamePrefix="a")
    assert (await refusal(both))[1] == "Cannot order by LastEventTime with a logStreamNamePrefix."


@told
async def test_filters_search_all_streams_by_pages(world: World) -> None:
    await stream(world, "one")
    await stream(world, "two")
    await put(world, (0, "ERROR a"), (2, "fine"), (90_000, "ERROR c"))
    await put(world, (1, "ERROR b"), (2, '{"level": "error", "ms": 12}'), to="two")
    assert await found(world, filterPattern="ERROR") == ["ERROR a", "ERROR b", "ERROR c"]
    assert await found(world, filterPattern="ERROR", logStreamNames=["two"]) == ["ERROR b"]
    assert await found(world, filterPattern="ERROR", logStreamNamePrefix="o", endTime=NOW + 10) == [
        "ERROR a"
    ]
    assert await found(world, filterPattern="{ $.ms > 10 }") == ['{"level": "error", "ms": 12}']
    assert await refusal(found(world, filterPattern="{ $.ms >")) == (
        "InvalidParameterException", "Invalid filter pattern",
    )  # fmt: skip
    pages = []
    token: dict[str, Any] = {}
    while True:
        answer = await world.call(
            "logs", "filter_log_events", logGroupIdentifier=f"{BASE}shop", limit=2, **token
        )
        pages.append(texts(answer))
        if "nextToken" not in answer:
            break
        token = {"nextToken": answer["nextToken"]}
    assert [len(page) for page in pages] == [2, 2, 1]
    assert len({text for page in pages for text in page}) == 5
    missing = found(world, logStreamNames=["none"])
    assert (await refusal(missing))[1] == "The specified log stream does not exist."


@told
async def test_tags_come_and_go(world: World) -> None:
    await world.call("logs", "create_log_group", logGroupName="shop", tags={"a": "1"})
    arn: dict[str, Any] = {"resourceArn": f"{BASE}shop"}
    await world.call("logs", "tag_resource", **arn, tags={"b": "2"})
    await world.call("logs", "untag_resource", **arn, tagKeys=["a"])
    assert (await world.call("logs", "list_tags_for_resource", **arn))["tags"] == {"b": "2"}
    await world.call("logs", "tag_log_group", logGroupName="shop", tags={"c": "3"})
    await world.call("logs", "untag_log_group", logGroupName="shop", tags=["b"])
    answer = await world.call("logs", "list_tags_log_group", logGroupName="shop")
    assert answer["tags"] == {"c": "3"}
    bad = world.call("logs", "tag_resource", **arn, tags={"aws:x": "1"})
    assert (await refusal(bad))[0] == "InvalidParameterException"


@told
async def test_a_service_writes_only_where_a_resource_policy_lets_it(world: World) -> None:
    await stream(world)
    bus = service_caller("events", ACCOUNT, f"arn:aws:events:us-east-1:{ACCOUNT}:rule/r")
    assert (await refusal(put(world, (0, "x"), caller=bus)))[0] == "AccessDeniedException"
    statement = allow(
        "logs:Put*", f"{BASE}shop:*",
        Principal={"Service": "events.amazonaws.com"},
    )  # fmt: skip
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    await world.call(
        "logs", "put_resource_policy", policyName="bus", policyDocument=document
    )  # fmt: skip
    await put(world, (0, "x"), caller=bus)
    listed = await world.call("logs", "describe_resource_policies")
    assert listed["resourcePolicies"][0]["policyDocument"] == document
    assert texts(await get(world)) == ["x"]
    await world.call("logs", "delete_resource_policy", policyName="bus")
    assert (await refusal(put(world, (0, "x"), caller=bus)))[0] == "AccessDeniedException"
    gone = world.call("logs", "delete_resource_policy", policyName="bus")
    assert (await refusal(gone))[0] == "ResourceNotFoundException"
    bad = world.call("logs", "put_resource_policy", policyName="bad", policyDocument="{}")
    assert (await refusal(bad))[0] == "InvalidParameterException"


@told
async def test_a_user_needs_the_group_with_its_streams(world: World) -> None:
    await stream(world)
    writer = await user(world, "writer", allow("logs:PutLogEvents", f"{BASE}shop:log-stream:one"))
    await put(world, (0, "x"), caller=writer)
    await stream(world, "two")
    code, text = await refusal(put(world, (0, "x"), to="two", caller=writer))
    assert code == "AccessDeniedException"
    assert f"{BASE}shop:log-stream:two" in text
    reader = await user(world, "reader", allow("logs:*", f"{BASE}shop:*"))
    await get(world, caller=reader)
    other = world.call("logs", "create_log_group", logGroupName="other", caller=reader)
    assert (await refusal(other))[0] == "AccessDeniedException"


@told
async def test_a_thousand_lines_are_one_row(world: World) -> None:
    await stream(world)
    await put(world, *((at, f"line {at}") for at in range(1_000)))
    assert len(await rows(world, Batch)) == 1
    assert len(texts(await get(world))) == 1_000


@told
async def test_lines_survive_a_crash(world: World) -> None:
    await stream(world)
    await put(world, (0, "kept"))
    other = world.again()
    await other.start()
    try:
        assert texts(await get(other)) == ["kept"]
    finally:
        await other.close()
