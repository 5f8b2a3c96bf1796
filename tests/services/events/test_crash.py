"""A crash at any commit: what was acknowledged arrives, and nothing is left half done for ever."""

from __future__ import annotations

import json
from typing import Any

from doppio.kernel.jobs import Job
from doppio.services.events.records import (
    Archived,
    Bus,
    Connection,
    Delivery,
    Endpoint,
    EventSource,
    Lane,
    PartnerSource,
    Rule,
)
from tests.services.crashes import Told, crash_everywhere
from tests.services.events import test_endpoints as endpoints
from tests.services.events import test_partners as partners
from tests.services.events.helpers import bodies, queue, rule
from tests.services.world import ACCOUNT, REGION, World

BUS = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default"
SETTLED = {"AUTHORIZED", "AUTHORIZING", "DEAUTHORIZED"}


async def check_lanes(world: World) -> None:
    """Nothing is on its way any more, and each lane is one of a target that is there."""
    reader = world.cloud.root_context().read()
    assert await reader.list(Delivery, limit=9) == []
    for lane in await reader.list(Lane, limit=99):
        found = await reader.get(Rule, lane.account, lane.region, lane.bus, lane.rule)
        assert found is not None
        assert lane.target in found.targets


async def jobs(world: World, name: str) -> set[str]:
    """The keys of the jobs of a name."""
    found = await world.cloud.root_context().read().list(Job, (name,), limit=99)
    return {one.key for one in found}


def test_an_event_that_was_taken_arrives_whatever_crashes() -> None:
    async def prepare(world: World, told: Told) -> None:
        told["sent"] = []
        told["open"], told["dead"] = await queue(world, "open"), await queue(world, "dead")
        closed = await queue(world, "closed", closed=True)
        await rule(
            world,
            "r",
            {"Arn": told["open"]},
            {"Arn": closed, "DeadLetterConfig": {"Arn": told["dead"]}},
        )

    async def work(world: World, told: Told) -> None:
        for number in range(4):
            entry = {"Source": "till", "DetailType": "sold", "Detail": json.dumps({"n": number})}
            answer = await world.call("events", "put_events", Entries=[entry])
            told["sent"].append(answer["Entries"][0]["EventId"])
            if number == 1:
                await world.settle()

    async def check(world: World, told: Told) -> None:
        for arn in (told["open"], told["dead"]):
            heard = {json.loads(one)["id"] for one in await bodies(world, arn)}
            assert heard >= set(told["sent"])
            # One more at most was on its way when the cloud crashed.
            assert len(heard) <= len(told["sent"]) + 1
        await check_lanes(world)

    assert crash_everywhere(prepare, work, check) > 8


def test_an_archive_and_its_replay_go_on_after_a_crash() -> None:
    async def prepare(world: World, told: Told) -> None:
        told["q"], told["sent"] = await queue(world, "q"), set()
        await rule(world, "r", {"Arn": told["q"]}, pattern='{"replay-name": ["again"]}')
        await world.call("events", "create_archive", ArchiveName="a", EventSourceArn=BUS)

    async def work(world: World, told: Told) -> None:
        for _ in range(2):
            entry = {"Source": "till", "DetailType": "sold", "Detail": "{}"}
            answer = await world.call("events", "put_events", Entries=[entry])
            told["sent"].add(answer["Entries"][0]["EventId"])
        await world.call(
            "events",
            "start_replay",
            ReplayName="again",
            EventSourceArn=BUS.replace("event-bus/default", "archive/a"),
            EventStartTime=world.now.replace(year=2029),
            EventEndTime=world.now.replace(year=2031),
            Destination={"Arn": BUS},
        )
        told["replayed"] = True
        await world.settle()
        await world.call("events", "delete_archive", ArchiveName="a")
        told["deleted"] = True

    async def check(world: World, told: Told) -> None:
        archives = (await world.call("events", "list_archives"))["Archives"]
        rules = (await world.call("events", "list_rules"))["Rules"]
        assert len(rules) == 1 + len(archives), "an archive and its rule go together"
        if archives:
            rows = await world.cloud.root_context().read().list(Archived, limit=9)
            assert archives[0]["EventCount"] == len(rows) >= len(told["sent"])
            size = sum(len(one.event.encode()) for one in rows)
            assert archives[0]["SizeBytes"] == size
        assert not (told.get("deleted") and archives)
        assert len(await jobs(world, "events.forget")) == len(archives)
        replays = (await world.call("events", "list_replays"))["Replays"]
        assert [one["State"] for one in replays] in ([], ["COMPLETED"])
        if told.get("replayed"):
            assert replays
            heard = {json.loads(one)["id"] for one in await bodies(world, told["q"])}
            assert heard == told["sent"]
        await check_lanes(world)

    assert crash_everywhere(prepare, work, check) > 6


def test_a_schedules_times_are_neither_lost_nor_repeated() -> None:
    async def prepare(world: World, told: Told) -> None:
        told["q"] = await queue(world, "q")
        await rule(world, "r", {"Arn": told["q"]}, ScheduleExpression="rate(1 hour)")

    async def work(world: World, told: Told) -> None:
        world.host.run_to(world.host.seconds() + 3_600.0)
        await world.settle()
        await world.call("events", "disable_rule", Name="r")
        told["disabled"] = True

    async def check(world: World, told: Told) -> None:
        times = {json.loads(one)["time"] for one in await bodies(world, told["q"])}
        assert times == {"2030-01-01T01:00:00Z"}
        shown = await world.call("events", "describe_rule", Name="r")
        assert len(await jobs(world, "events.tick")) == (shown["State"] == "ENABLED")
        assert not (told.get("disabled") and shown["State"] == "ENABLED")
        await check_lanes(world)

    assert crash_everywhere(prepare, work, check) >= 4


def test_a_connection_and_its_secret_are_changed_together_or_not_at_all() -> None:
    def auth(password: str) -> dict[str, Any]:
        basic = {"BasicAuthParameters": {"Username": password, "Password": password}}
        return {"Name": "c", "AuthorizationType": "BASIC", "AuthParameters": basic}

    async def prepare(world: World, told: Told) -> None:
        told["users"] = [None]

    async def work(world: World, told: Told) -> None:
        for method, req, user in (
            ("create_connection", auth("one"), "one"),
            ("update_connection", auth("two"), "two"),
            ("deauthorize_connection", {"Name": "c"}, ""),
            ("update_connection", auth("three"), "three"),
            ("delete_connection", {"Name": "c"}, None),
            ("create_connection", auth("four"), "four"),
        ):
            told["users"].append(user)
            await world.call("events", method, **req)
            told["users"] = [user]

    async def check(world: World, told: Told) -> None:
        await world.advance(minutes=3)
        assert await state(world) in told["users"]
        # What is settled can be changed, and made anew.
        if told["users"][-1] is not None:
            there = await state(world) is not None
            method = "update_connection" if there else "create_connection"
            await world.call("events", method, **auth("five"))
            assert await state(world) == "five"

    async def state(world: World) -> str | None:
        """The user in the secret and in the row; None where both are not there."""
        connections = await world.cloud.root_context().read().list(Connection, limit=9)
        secrets = (await world.call("secretsmanager", "list_secrets"))["SecretList"]
        assert {one.secret for one in connections if one.secret} == {one["ARN"] for one in secrets}
        assert await jobs(world, "events.mend") == set()
        if not connections:
            return None
        (found,) = connections
        assert found.state in SETTLED
        assert found.wanted is None
        if not found.secret:
            return ""
        secret = await world.call("secretsmanager", "get_secret_value", SecretId=found.secret)
        user: str = json.loads(secret["SecretString"])["username"]
        assert found.shown == {"BasicAuthParameters": {"Username": user}}
        return user

    assert crash_everywhere(prepare, work, check) > 15


def test_a_partners_source_is_the_same_on_both_sides_after_a_crash() -> None:
    async def prepare(world: World, told: Told) -> None:
        told["q"], told["sent"] = await queue(world, "q"), []

    async def work(world: World, told: Told) -> None:
        await partners.offered(world)
        name = partners.NAME
        await world.call("events", "create_event_bus", Name=name, EventSourceName=name)
        await rule(world, "r", {"Arn": told["q"]}, EventBusName=name)
        entry = {"Source": name, "DetailType": "ordered", "Detail": "{}"}
        answer = await partners.partner(world, "put_partner_events", Entries=[entry])
        told["sent"].append(answer["Entries"][0]["EventId"])
        await world.call("events", "deactivate_event_source", Name=name)
        told["waits"] = True
        await world.advance(days=15)
        told["over"] = True

    async def check(world: World, told: Told) -> None:
        if not told.get("waits"):
            # A queue keeps nothing for two weeks.
            heard = {json.loads(one)["id"] for one in await bodies(world, told["q"])}
            assert heard >= set(told["sent"])
        reader = world.cloud.root_context().read()
        sources = await reader.list(EventSource, limit=9)
        shared = await reader.list(PartnerSource, limit=9)
        buses = await reader.list(Bus, limit=9)
        living = [one for one in sources if one.state != "DELETED"]
        assert [one.name for one in living] == [one.name for one in shared]
        waiting = {one.name for one in sources if one.state == "PENDING"}
        assert {key.split("/", 2)[2] for key in await jobs(world, "events.expire")} == waiting
        for one in sources:
            if one.state in {"ACTIVE", "DELETED"}:
                assert [bus.name for bus in buses] == [one.name]
        if told.get("over"):
            assert [one.state for one in sources] == ["DELETED"]
        await check_lanes(world)

    assert crash_everywhere(prepare, work, check) > 8


def test_an_endpoint_and_its_rules_agree_after_a_crash() -> None:
    async def prepare(world: World, told: Told) -> None:
        told["sent"] = []
        for region in (endpoints.HERE, endpoints.THERE):
            await endpoints.hearing(world, region)
        await endpoints.role(world, "events:PutEvents", *endpoints.RULES)

    async def work(world: World, told: Told) -> None:
        await world.call("events", "create_endpoint", **endpoints.settings())
        told["made"] = True
        await world.settle()
        shown = await world.call("events", "describe_endpoint", Name="tea")
        entry = {"Source": "a", "DetailType": "b", "Detail": "{}", "EventBusName": "shop"}
        answer = await world.call(
            "events", "put_events", EndpointId=shown["EndpointId"], Entries=[entry]
        )
        told["sent"].append(answer["Entries"][0]["EventId"])
        await world.settle()
        off = {"Name": "tea", "ReplicationConfig": {"State": "DISABLED"}}
        await world.call("events", "update_endpoint", **off)
        await world.settle()
        await world.call("events", "delete_endpoint", Name="tea")
        told["made"] = False

    async def check(world: World, told: Told) -> None:
        for region in (endpoints.HERE, endpoints.THERE):
            heard = {one["id"] for one in await endpoints.heard(world, region)}
            assert heard >= set(told["sent"])
        reader = world.cloud.root_context().read()
        found = await reader.list(Endpoint, limit=9)
        rules = [one for one in await reader.list(Rule, limit=9) if one.managed_by]
        assert {one.state for one in found} <= {"ACTIVE"}
        assert len(rules) == sum(2 for one in found if one.replicated)
        if "made" in told and not told["made"]:
            assert found == []
        await check_lanes(world)

    assert crash_everywhere(prepare, work, check) > 8
