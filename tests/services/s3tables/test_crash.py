"""A crash at any commit: a table is there in full or not at all, and no file is left behind."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from doppio.kernel.jobs import Job
from doppio.services.s3.records import OWNED, Bucket, Current, Older
from doppio.services.s3tables.records import Aside, Table, Upkept
from doppio.services.s3tables.replicas import replicate
from doppio.services.s3tables.replication import PRINCIPAL, REPLICATE
from doppio.services.s3tables.upkeep import UPKEEP, upkeep
from tests.services.crashes import Told, crash_everywhere
from tests.services.s3tables.helpers import BUCKET, NAMED, lake, place, table
from tests.services.world import ACCOUNT, REGION, World


async def warehouses(world: World) -> list[Bucket]:
    """The buckets that are tables'."""
    found = await world.cloud.root_context().read().find(OWNED, (ACCOUNT,), limit=99)
    return [one for one in found if one.table]


async def check_whole(world: World) -> None:
    """Each table has its warehouse and its timer, and each warehouse and timer its table."""
    reader = world.cloud.root_context().read()
    tables = await reader.list(Table, limit=99)
    assert all(one.name is not None for one in tables)
    assert {one.arn for one in tables} == {one.table for one in await warehouses(world)}
    timers = {one.key for one in await reader.list(Job, (UPKEEP,), limit=99)}
    assert timers == {one.id for one in tables}
    assert {one.table for one in await reader.list(Upkept, limit=99)} <= timers
    for one in tables:
        if one.location is not None:
            assert (await world.call("s3", "get_object", **place(one.location)))["Body"]


def test_a_table_is_made_in_full_or_not_at_all() -> None:
    async def prepare(world: World, told: Told) -> None:
        await lake(world)

    async def work(world: World, told: Told) -> None:
        told["made"] = await table(world)

    async def check(world: World, told: Told) -> None:
        await world.advance(hours=25)
        found = (await world.call("s3tables", "list_tables", tableBucketARN=BUCKET))["tables"]
        assert [one["name"] for one in found] in (["t"], [])
        assert found or not told.get("made")
        await check_whole(world)

    assert crash_everywhere(prepare, work, check) >= 3


def test_a_deleted_table_leaves_nothing() -> None:
    async def prepare(world: World, told: Told) -> None:
        await lake(world)
        shown = await table(world)
        for number in range(3):
            key = f"data/{number}"
            bucket = place(shown["metadataLocation"])["Bucket"]
            await world.call("s3", "put_object", Bucket=bucket, Key=key, Body=b"x")

    async def work(world: World, told: Told) -> None:
        await world.call("s3tables", "delete_table", **NAMED)
        told["gone"] = True

    async def check(world: World, told: Told) -> None:
        found = (await world.call("s3tables", "list_tables", tableBucketARN=BUCKET))["tables"]
        assert not (found and told.get("gone"))
        await check_whole(world)
        if not found:
            reader = world.cloud.root_context().read()
            assert await reader.list(Current, limit=9) == []

    assert crash_everywhere(prepare, work, check) >= 2


async def kept_up(world: World) -> None:
    """Run the upkeep of the one table, to its end."""
    context = world.cloud.context_for(ACCOUNT, REGION)
    (one,) = await context.read().list(Table, limit=9)
    found = await context.read().get(Job, UPKEEP, one.id)
    assert found is not None
    await upkeep(context, found)


async def replicated(world: World, arn: str) -> dict[str, Any]:
    """Run the replication of a table, to its end; what is said of its one destination then."""
    context = world.cloud.context_for(ACCOUNT, REGION)
    await replicate(
        context,
        Job(
            name=REPLICATE, key=arn.rpartition("/")[2], at=world.now, service="s3tables",
            account=ACCOUNT, region=REGION,
        ),
    )  # fmt: skip
    status = await world.call("s3tables", "get_table_replication_status", tableArn=arn)
    (one,) = status["destinations"]
    return dict(one)


def test_a_replica_is_made_once_whatever_crashes() -> None:
    async def prepare(world: World, told: Told) -> None:
        await lake(world)
        told["table"] = (await table(world))["tableARN"]
        trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": PRINCIPAL}}
        may = {"Effect": "Allow", "Action": "s3tables:*", "Resource": "*"}
        given = {"RoleName": "copier"}
        await world.call(
            "iam", "create_role", **given, AssumeRolePolicyDocument=json.dumps(policy(trust))
        )
        await world.call(
            "iam",
            "put_role_policy",
            **given,
            PolicyName="p",
            PolicyDocument=json.dumps(policy(may)),
        )
        told["away"] = (await world.call("s3tables", "create_table_bucket", name="pond"))["arn"]
        destinations = [{"destinationTableBucketARN": told["away"]}]
        role = f"arn:aws:iam::{ACCOUNT}:role/copier"
        await world.call(
            "s3tables", "put_table_replication", tableArn=told["table"],
            configuration={"role": role, "rules": [{"destinations": destinations}]},
        )  # fmt: skip

    async def work(world: World, told: Told) -> None:
        await replicated(world, told["table"])

    async def check(world: World, told: Told) -> None:
        one = await replicated(world, told["table"])
        assert one["replicationStatus"] == "completed", one
        found = await world.call("s3tables", "list_tables", tableBucketARN=told["away"])
        assert [it["tableARN"] for it in found["tables"]] == [one["destinationTableArn"]]
        # What was begun twice is given up after a day.
        await world.advance(hours=25)
        await check_whole(world)

    assert crash_everywhere(prepare, work, check) >= 4


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    """A policy."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def test_a_stray_file_is_set_aside_and_then_deleted() -> None:
    async def prepare(world: World, told: Told) -> None:
        await lake(world)
        told["metadata"] = place((await table(world))["metadataLocation"])
        told["stray"] = {**told["metadata"], "Key": "data/stray"}
        await world.call("s3", "put_object", **told["stray"], Body=b"x" * 100)

    async def work(world: World, told: Told) -> None:
        clock = world.cloud.clock
        for _ in range(2):
            await world.cloud.set_clock(clock.advanced(timedelta(days=11)))
            await kept_up(world)

    async def check(world: World, told: Told) -> None:
        for _ in range(2):
            clock = world.cloud.clock
            await world.cloud.set_clock(clock.advanced(timedelta(days=11)))
            await kept_up(world)
        reader = world.cloud.root_context().read()
        kept: list[Any] = await reader.list(Current, limit=9)
        assert [one.key for one in kept] == [told["metadata"]["Key"]]
        assert await reader.list(Older, limit=9) == []
        assert await reader.list(Aside, limit=9) == []

    assert crash_everywhere(prepare, work, check) >= 4
