"""Both sides of every number that AWS documents for EventBridge."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from doppio.services.events import limits
from doppio.services.events.putting import lane_of
from doppio.services.events.records import (
    Archive,
    Bus,
    Connection,
    Delivery,
    Destination,
    Endpoint,
    EventSource,
    Replay,
    Rule,
)
from doppio.services.events.rules import exhausted
from tests.services.events.helpers import ANY, put, queue, rule
from tests.services.events.test_endpoints import set_region, settings
from tests.services.events.test_partners import NAME, offered
from tests.services.world import ACCOUNT, REGION, World, refusal, run, told

FULL = ("LimitExceededException", "The requested resource exceeds the maximum number allowed.")
BUS = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default"
WHERE: dict[str, Any] = {"account": ACCOUNT, "region": REGION, "partition": "aws"}
KEY = {"ApiKeyAuthParameters": {"ApiKeyName": "x", "ApiKeyValue": "y"}}


async def filled(world: World, rows: list[Any]) -> None:
    """Put rows as if their operations had been called so often."""
    async with world.cloud.root_context().write() as tx:
        for row in rows:
            tx.add(row)


def kinds(world: World) -> dict[str, tuple[int, Callable[[str], Any], Callable[[str], Any]]]:
    """What an account may have so many of: how a row is, and how one more is asked for."""
    now = {"created_at": world.now}
    changed = {**now, "modified_at": world.now}

    call = partial(world.call, "events")
    used = f"arn:aws:events:{REGION}:{ACCOUNT}:connection/used/u"
    return {
        "bus": (
            limits.BUSES_MAX,
            lambda name: Bus(name=name, **WHERE),
            lambda name: call("create_event_bus", Name=name),
        ),
        "rule": (
            limits.RULES_MAX,
            lambda name: Rule(
                name=name, bus="default", created_by=ACCOUNT, since=world.now, **WHERE
            ),
            lambda name: call("put_rule", Name=name, EventPattern=ANY),
        ),
        "archive": (
            limits.ARCHIVES_MAX,
            lambda name: Archive(name=name, id=name, bus="default", **WHERE, **now),
            lambda name: call("create_archive", ArchiveName=name, EventSourceArn=BUS),
        ),
        "connection": (
            limits.CONNECTIONS_MAX,
            lambda name: Connection(name=name, id=name, kind="API_KEY", **WHERE, **changed),
            lambda name: call(
                "create_connection", Name=name, AuthorizationType="API_KEY", AuthParameters=KEY
            ),
        ),
        "destination": (
            limits.DESTINATIONS_MAX,
            lambda name: Destination(
                name=name,
                id=name,
                connection=used,
                endpoint="https://x.test",
                method="GET",
                **WHERE,
                **changed,
            ),
            lambda name: call(
                "create_api_destination",
                Name=name,
                ConnectionArn=used,
                HttpMethod="GET",
                InvocationEndpoint="https://x.test",
            ),
        ),
        "endpoint": (
            limits.ENDPOINTS_MAX,
            lambda name: Endpoint(
                name=name,
                id=name,
                bus="default",
                secondary="us-west-2",
                health_check="h",
                **WHERE,
                **changed,
            ),
            lambda name: call("create_endpoint", **settings(Name=name, EventBuses=DEFAULTS)),
        ),
        "source": (
            limits.SOURCES_MAX,
            lambda name: EventSource(name=name, **WHERE, **now),
            lambda name: offered(world, f"{NAME}/{name}"),
        ),
    }


DEFAULTS = [{"EventBusArn": BUS}, {"EventBusArn": BUS.replace(REGION, "us-west-2")}]


@pytest.mark.parametrize(
    "kind", ["bus", "rule", "archive", "connection", "destination", "endpoint", "source"]
)
def test_there_may_be_so_many_and_no_more(kind: str) -> None:
    async def story(world: World) -> None:
        most, row, ask = kinds(world)[kind]
        rows = [row(f"n{number:05}") for number in range(most - 1)]
        if kind == "destination":
            rows.append(Connection(
                name="used", id="u", kind="API_KEY", created_at=world.now,
                modified_at=world.now, **WHERE,
            ))  # fmt: skip
        await filled(world, rows)
        await ask("last")
        assert await refusal(ask("more")) == FULL

    run(story)


@told
async def test_only_so_many_replays_run_at_once(world: World) -> None:
    await world.call("events", "create_archive", ArchiveName="a", EventSourceArn=BUS)
    running = [
        Replay(
            name=f"n{number}", archive="x", archive_id="x", bus="default", since=world.now,
            until=world.now, started_at=world.now, **WHERE,
        )
        for number in range(limits.RUNNING_REPLAYS_MAX - 1)
    ]  # fmt: skip
    await filled(world, running)

    def start(name: str) -> Any:
        return world.call(
            "events",
            "start_replay",
            ReplayName=name,
            EventSourceArn=BUS.replace("event-bus/default", "archive/a"),
            EventStartTime=world.now - timedelta(days=1),
            EventEndTime=world.now,
            Destination={"Arn": BUS},
        )

    await start("last")
    assert await refusal(start("more")) == FULL
    await world.settle()
    await start("more")


@told
async def test_a_rule_has_so_many_targets(world: World) -> None:
    arn = await queue(world, "q")
    await rule(world, "r")

    def targets(count: int, since: int = 0) -> Any:
        return world.call(
            "events",
            "put_targets",
            Rule="r",
            Targets=[{"Id": str(since + number), "Arn": arn} for number in range(count)],
        )

    assert await refusal(targets(limits.TARGETS_A_REQUEST_MAX + 1)) == FULL
    assert await refusal(targets(limits.TARGETS_MAX + 1)) == FULL
    await targets(limits.TARGETS_MAX)
    assert await refusal(targets(1, since=7)) == FULL
    await targets(limits.TARGETS_MAX)


@told
async def test_patterns_policies_and_types_are_so_long(world: World) -> None:
    def pattern(size: int) -> Any:
        text = json.dumps({"source": ["x" * (size - 16)]})
        assert len(text) == size
        return world.call("events", "put_rule", Name="r", EventPattern=text)

    await pattern(limits.PATTERN_BYTES_MAX)
    code, text = await refusal(pattern(limits.PATTERN_BYTES_MAX + 1))
    assert code == "ValidationException"
    assert text.endswith("Member must have length less than or equal to 4096")
    # Characters are not bytes: these are as many as may be, and too many.
    wide = json.dumps({"source": ["ü" * (limits.PATTERN_BYTES_MAX // 2)]}, ensure_ascii=False)
    call = world.call("events", "put_rule", Name="r", EventPattern=wide)
    assert await refusal(call) == FULL

    def policy(size: int) -> Any:
        statement = {
            "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
            "Action": "events:PutEvents", "Resource": BUS, "Sid": "",
        }  # fmt: skip
        document = {"Version": "2012-10-17", "Statement": [statement]}
        statement["Sid"] = "x" * (size - len(json.dumps(document)))
        return world.call("events", "put_permission", Policy=json.dumps(document))

    await policy(limits.POLICY_BYTES_MAX)
    assert await refusal(policy(limits.POLICY_BYTES_MAX + 1)) == (
        "PolicyLengthExceededException",
        "The length of the policy is more than the limit of 10240 bytes.",
    )
    assert "EventId" in await put(world, DetailType="x" * limits.DETAIL_TYPE_CHARS_MAX)
    assert await put(world, DetailType="x" * (limits.DETAIL_TYPE_CHARS_MAX + 1)) == {
        "ErrorCode": "InvalidArgument",
        "ErrorMessage": (
            "Parameter DetailType is not valid. Reason: DetailType is longer than 128 characters."
        ),
    }


@told
async def test_a_request_is_so_large_and_is_billed_by_chunks(world: World) -> None:
    def entry(size: int, **more: Any) -> dict[str, Any]:
        # `Source`, `DetailType` and `Detail` count, and a time counts for 14 bytes.
        return {"Source": "s", "DetailType": "d", "Detail": json.dumps("x" * size), **more}

    def detail(size: int) -> str:
        text = json.dumps({"x": ""})
        return json.dumps({"x": "x" * (size - len(text))})

    most = limits.REQUEST_BYTES_MAX
    whole = entry(0, Detail=detail(most - 2))
    await world.call("events", "put_events", Entries=[whole])
    for wrong in (
        [entry(0, Detail=detail(most - 1))],
        [entry(0, Detail=detail(most - 2 - limits.TIME_BYTES + 1), Time=world.now)],
    ):
        assert await refusal(world.call("events", "put_events", Entries=wrong)) == (
            "ValidationException",
            "Total size of the entries in the request is over the limit.",
        )
    timed = entry(0, Detail=detail(most - 2 - limits.TIME_BYTES), Time=world.now)
    await world.call("events", "put_events", Entries=[timed])
    assert await world.used("Event-64K-Chunks") == 2 * most // limits.BILLED_BYTES
    await put(world, Detail=detail(limits.BILLED_BYTES - len("shopsold")))
    await put(world, Detail=detail(limits.BILLED_BYTES - len("shopsold") + 1))
    assert await world.used("Event-64K-Chunks") == 2 * most // limits.BILLED_BYTES + 1 + 2


@told
async def test_a_list_has_a_hundred_on_a_page_unless_fewer_are_asked_for(world: World) -> None:
    rows = [
        Rule(name=f"n{n:03}", bus="default", created_by=ACCOUNT, since=world.now, **WHERE)
        for n in range(limits.LISTED_MAX + 1)
    ]
    await filled(world, rows)
    page = await world.call("events", "list_rules")
    assert len(page["Rules"]) == limits.LISTED_MAX
    rest = await world.call("events", "list_rules", NextToken=page["NextToken"])
    assert [one["Name"] for one in rest["Rules"]] == [f"n{limits.LISTED_MAX:03}"]
    assert "NextToken" not in rest


def test_without_a_policy_a_target_is_tried_for_a_day_and_185_times() -> None:
    async def story(world: World) -> None:
        first = world.now
        most, age = limits.RETRY_ATTEMPTS_DEFAULT, limits.EVENT_AGE_SECONDS_DEFAULT
        assert (most, age) == (185, 86_400)
        assert exhausted({}, most, first, first) is None
        assert exhausted({}, most + 1, first, first) == "MaximumRetryAttempts"
        last = first + timedelta(seconds=age)
        assert exhausted({}, 0, first, last) is None
        assert exhausted({}, 0, first, last + timedelta(seconds=1)) == "MaximumEventAgeInSeconds"

    run(story)


@told
async def test_a_targets_own_policy_counts_instead(world: World) -> None:
    bus = f"arn:aws:events:us-west-2:{ACCOUNT}:event-bus/default"
    dead = await queue(world, "dead")
    target = {
        "Arn": bus,
        "DeadLetterConfig": {"Arn": dead},
        "RetryPolicy": {"MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 3_600},
    }
    await rule(world, "r", target)
    await set_region(world, "us-west-2", "down")
    await put(world)
    reader = world.cloud.root_context().read()
    tries = []
    for _ in range(3):
        tries += [one.tries for one in await reader.list(Delivery, limit=9)]
        await world.advance(10)
    assert tries == [1, 2]
    url = f"http://localhost:4566/{ACCOUNT}/dead"
    got = await world.call("sqs", "receive_message", QueueUrl=url, MessageAttributeNames=["All"])
    told_of = {
        name: one["StringValue"] for name, one in got["Messages"][0]["MessageAttributes"].items()
    }
    assert told_of["EXHAUSTED_RETRY_CONDITION"] == "MaximumRetryAttempts"
    assert told_of["RETRY_ATTEMPTS"] == "2"
    assert told_of["ERROR_CODE"] == "INTERNAL_ERROR"


@told
async def test_a_schedule_makes_up_for_so_many_times(world: World) -> None:
    arn = await queue(world, "q")
    name = await rule(world, "r", {"Arn": arn}, ScheduleExpression="rate(1 minute)")
    await world.advance(minutes=limits.MADE_UP_MAX + 40)
    for _ in range(limits.MADE_UP_MAX):
        await world.settle()
    made = await world.used("Invocations")
    assert made == limits.MADE_UP_MAX
    rows = await world.cloud.root_context().read().list(Rule, limit=9)
    assert [one.arn for one in rows] == [name]
    assert lane_of(rows[0], "0").target == "0"
