"""S3 Metadata: who may have tables made, whose they are, and what a crash leaves of them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from doppio.kernel.identity import root_of, service_caller
from doppio.services.s3 import metadata_tables as tables
from doppio.services.s3 import metadata_work
from doppio.services.s3.metadata_records import log_of
from doppio.services.s3.metadata_tables import Home
from doppio.services.s3tables import iceberg
from doppio.wire.errors import AwsError
from tests.services.crashes import Told, crash_everywhere
from tests.services.kms.helpers import allow, key, key_policy, user
from tests.services.world import ACCOUNT, REGION, World, finished, refusal, told

from .test_metadata import MANAGED, OFF, begin, configuration, minutes, rows, s3, shown, worked

LAKE = f"arn:aws:s3tables:{REGION}:{ACCOUNT}:bucket/lake"
OWN = {"bucket": LAKE, "namespace": "aws_s3_metadata", "name": "shop"}
MAKE = ["s3tables:CreateTableBucket", "s3tables:PutTableBucketPolicy", "s3tables:CreateNamespace",
         "s3tables:GetTable", "s3tables:CreateTable", "s3tables:PutTablePolicy"]  # fmt: skip
ASK = ["s3:CreateBucketMetadataTableConfiguration", "s3:GetBucketMetadataTableConfiguration"]


async def begin_v1(world: World, **more: Any) -> None:
    destination = {"TableBucketArn": LAKE, "TableName": "shop"}
    await s3(
        world, "create_bucket_metadata_table_configuration", Bucket="shop",
        MetadataTableConfiguration={"S3TablesDestination": destination}, **more,
    )  # fmt: skip
    await worked(world)


async def shown_v1(world: World) -> dict[str, Any]:
    found = await s3(world, "get_bucket_metadata_table_configuration", Bucket="shop")
    result: dict[str, Any] = found["GetBucketMetadataTableConfigurationResult"]
    return result


def allow_all(*actions: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": "*"}


@told
async def test_a_journal_of_v1_is_a_table_of_the_customers(world: World) -> None:
    await s3(world, "create_bucket", Bucket="shop")
    await world.call("s3tables", "create_table_bucket", name="lake")
    await begin_v1(world)
    found = await shown_v1(world)
    assert found["Status"] == "ACTIVE"
    destination = found["MetadataTableConfigurationResult"]["S3TablesDestinationResult"]
    assert destination["TableNamespace"] == "aws_s3_metadata"
    await s3(world, "put_object", Bucket="shop", Key="k", Body=b"1")
    await minutes(world, 1)
    assert [one["record_type"] for one in await rows(world, **OWN)] == ["CREATE"]
    named = {"tableBucketARN": LAKE, "namespace": "aws_s3_metadata", "name": "shop"}
    policy = json.loads(
        (await world.call("s3tables", "get_table_policy", **named))["resourcePolicy"]
    )
    assert policy["Statement"][0]["Resource"] == destination["TableArn"]
    assert (await shown(world))["DestinationResult"]["TableBucketType"] == "customer"
    inventory = {"ConfigurationState": "ENABLED"}
    update = s3(
        world, "update_bucket_metadata_inventory_table_configuration", Bucket="shop",
        InventoryTableConfiguration=inventory,
    )  # fmt: skip
    assert (await refusal(update))[0] == "MethodNotAllowed"
    # Without its policy S3 may not write to it any more.
    await world.call("s3tables", "delete_table_policy", **named)
    await s3(world, "put_object", Bucket="shop", Key="k2", Body=b"1")
    await minutes(world, 1)
    found = await shown_v1(world)
    assert (found["Status"], found["Error"]["ErrorCode"]) == (
        "FAILED", "AccessDeniedWritingToTable",
    )  # fmt: skip
    await s3(world, "delete_bucket_metadata_table_configuration", Bucket="shop")
    await begin_v1(world)
    assert (await shown_v1(world))["Error"]["ErrorCode"] == "TableAlreadyExists"


@told
async def test_a_journal_of_v1_needs_a_table_bucket_near_by(world: World) -> None:
    await s3(world, "create_bucket", Bucket="shop")
    await begin_v1(world)
    found = await shown_v1(world)
    assert (found["Status"], found["Error"]["ErrorCode"]) == ("FAILED", "TableBucketNotFound")
    await s3(world, "delete_bucket_metadata_configuration", Bucket="shop")
    for arn in (
        LAKE.replace(REGION, "eu-west-1"), LAKE.replace(ACCOUNT, "111111111111"), "arn:aws:s3:::lake",
    ):  # fmt: skip
        destination = {"TableBucketArn": arn, "TableName": "shop"}
        call = s3(
            world, "create_bucket_metadata_table_configuration", Bucket="shop",
            MetadataTableConfiguration={"S3TablesDestination": destination},
        )  # fmt: skip
        assert (await refusal(call))[0] == "InvalidRequest"


@pytest.mark.parametrize("missing", ["", *MAKE])
def test_who_may_not_make_tables_has_none(missing: str) -> None:
    @told
    async def story(world: World) -> None:
        await s3(world, "create_bucket", Bucket="shop")
        actions = [one for one in MAKE if one != missing]
        barista = await user(world, "barista", allow_all(*ASK, *actions))
        await world.call(
            "s3", "create_bucket_metadata_configuration", Bucket="shop", caller=barista,
            MetadataConfiguration=configuration(),
        )  # fmt: skip
        await worked(world)
        journal = (await shown(world))["JournalTableConfigurationResult"]
        assert journal["TableStatus"] == ("FAILED" if missing else "ACTIVE")
        if missing:
            assert journal["Error"]["ErrorCode"] == "AccessDeniedCreatingResources"
            made = await world.call("s3tables", "list_table_buckets")
            assert made["tableBuckets"] == []

    story()


@pytest.mark.parametrize("missing", ["", *MAKE[2:]])
def test_v1_makes_its_table_as_who_asks(missing: str) -> None:
    @told
    async def story(world: World) -> None:
        await s3(world, "create_bucket", Bucket="shop")
        await world.call("s3tables", "create_table_bucket", name="lake")
        actions = [one for one in MAKE[2:] if one != missing]
        barista = await user(world, "barista", allow_all(*ASK, *actions))
        await begin_v1(world, caller=barista)
        found = await shown_v1(world)
        assert found["Status"] == ("FAILED" if missing else "ACTIVE")
        if missing:
            assert found["Error"]["ErrorCode"] == "AccessDeniedCreatingResources"

    story()


@pytest.mark.parametrize("lets", [True, False])
def test_tables_are_encrypted_as_asked_if_the_key_lets_s3(lets: bool) -> None:
    @told
    async def story(world: World) -> None:
        await s3(world, "create_bucket", Bucket="shop")
        services = {"Service": ["metadata.s3.amazonaws.com", "maintenance.s3tables.amazonaws.com"]}
        let_in = allow("kms:*", Principal=services)
        made = await key(world, Policy=key_policy(*([let_in] if lets else [])))
        encryption = {"SseAlgorithm": "aws:kms", "KmsKeyArn": made["Arn"]}
        journal = {"RecordExpiration": OFF, "EncryptionConfiguration": encryption}
        await begin(world, JournalTableConfiguration=journal)
        state = (await shown(world))["JournalTableConfigurationResult"]
        if not lets:
            assert state["Error"]["ErrorCode"] == "AccessDeniedCreatingResources"
            return
        await s3(world, "put_object", Bucket="shop", Key="k", Body=b"1")
        await minutes(world, 1)
        assert [one["key"] for one in await rows(world)] == ["k"]
        named = {"tableBucketARN": MANAGED, "namespace": "b_shop", "name": "journal"}
        located = await world.call("s3tables", "get_table_metadata_location", **named)
        bucket, _, name = located["metadataLocation"].removeprefix("s3://").partition("/")
        head = await s3(world, "head_object", Bucket=bucket, Key=name)
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", made["Arn"])

    story()


@told
async def test_another_encryption_of_an_object_is_told(world: World) -> None:
    await s3(world, "create_bucket", Bucket="shop")
    made = await key(world)
    await begin(world)
    await s3(world, "put_object", Bucket="shop", Key="k", Body=b"1")
    wanted = {"SSEKMS": {"KMSKeyArn": made["Arn"], "BucketKeyEnabled": True}}
    await s3(world, "update_object_encryption", Bucket="shop", Key="k", ObjectEncryption=wanted)
    await minutes(world, 1)
    _, updated = await rows(world)
    assert (updated["record_type"], updated["encryption_status"]) == ("UPDATE_METADATA", "SSE-KMS")
    assert (updated["kms_key_arn"], updated["is_bucket_key_enabled"]) == (made["Arn"], True)


@told
async def test_who_changes_a_table_meanwhile_makes_nothing_be_told_twice(world: World) -> None:
    await s3(world, "create_bucket", Bucket="shop")
    await begin(world)
    await s3(world, "put_object", Bucket="shop", Key="k", Body=b"1")
    ctx = world.cloud.context(
        service_caller("metadata.s3", ACCOUNT, "arn:aws:s3:::shop"), account=ACCOUNT,
        region=REGION, request_id="x",
    )  # fmt: skip
    home = Home(MANAGED, "b_shop", "journal")
    loop = asyncio.get_running_loop()

    def meanwhile(table: Any) -> None:
        """Somebody else commits, and so this commit rests on what is no more."""
        other = tables.work(ctx, home, lambda one: tables.change(one, tables.Change({"x": "y"})))
        asyncio.run_coroutine_threadsafe(other, loop).result()
        tables.change(table, tables.Change({"x": "z"}))

    task = asyncio.ensure_future(tables.work(ctx, home, meanwhile))
    while not task.done():
        await asyncio.sleep(0.005)
    assert getattr(task.exception(), "code", None) == "ConflictException"
    await minutes(world, 1)
    assert [one["key"] for one in await rows(world)] == ["k"]
    assert await tables.work(ctx, home, lambda one: one.properties["x"]) == "y"


def test_without_pyiceberg_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    @told
    async def story(world: World) -> None:
        for name in ("shop", "other"):
            await s3(world, "create_bucket", Bucket=name)
        await begin(world)
        monkeypatch.setattr(iceberg, "LIBRARY", "no_such_library")
        call = begin(world, "other")
        assert (await refusal(call))[0] == "NotImplemented"
        await s3(world, "put_object", Bucket="shop", Key="k", Body=b"1")
        await minutes(world, 1)
        assert (await shown(world))["JournalTableConfigurationResult"]["TableStatus"] == "ACTIVE"
        monkeypatch.undo()
        await minutes(world, 1)
        assert [one["key"] for one in await rows(world)] == ["k"]

    story()


@told
async def test_what_is_told_takes_no_more_room_in_the_log(world: World) -> None:
    await s3(world, "create_bucket", Bucket="shop")
    await begin(world, InventoryTableConfiguration={"ConfigurationState": "DISABLED"})
    for number in range(30):
        await s3(world, "put_object", Bucket="shop", Key=f"k{number}", Body=b"")
    assert len(await world.cloud.store.view().log(log_of("shop"), 0, limit=100)) == 30
    await minutes(world, 1)
    # The last piece stays, so that positions go on rising.
    assert len(await world.cloud.store.view().log(log_of("shop"), 0, limit=100)) == 1
    assert len(await rows(world)) == 30


@told
async def test_maintenance_changes_no_row_and_not_how_far_a_table_tells(world: World) -> None:
    await s3(world, "create_bucket", Bucket="shop")
    await begin(world)
    keys = [f"k{number}" for number in range(8)]
    for name in keys:
        await s3(world, "put_object", Bucket="shop", Key=name, Body=b"1")
        await minutes(world, 1)
    ctx = world.cloud.context(root_of(ACCOUNT), account=ACCOUNT, region=REGION, request_id="x")
    home = Home(MANAGED, "b_shop", "journal")
    assert await finished(world, tables.work(ctx, home, _files)) == 8
    await world.advance(hours=7)
    await worked(world)
    assert await finished(world, tables.work(ctx, home, _files)) == 1
    await s3(world, "delete_object", Bucket="shop", Key="k0")
    await minutes(world, 31)
    assert [one["key"] for one in await rows(world)] == ["k0", *keys]
    assert [one["key"] for one in await rows(world, "inventory")] == keys[1:]


def _files(table: Any) -> int:
    return len(list(table.scan().plan_files()))


def test_a_crash_at_any_commit_tells_of_everything_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata_work, "TABLE_ROWS_A_COMMIT", 2)

    async def prepare(world: World, told: Told) -> None:
        await s3(world, "create_bucket", Bucket="shop")
        await begin(world)
        for name in ("a", "b", "c"):
            await s3(world, "put_object", Bucket="shop", Key=name, Body=b"1")

    async def work(world: World, told: Told) -> None:
        await minutes(world, 1)

    async def check(world: World, told: Told) -> None:
        await worked(world)
        await minutes(world, 2)
        assert [one["key"] for one in await rows(world)] == ["a", "b", "c"]

    assert crash_everywhere(prepare, work, check) >= 10


def test_a_crash_while_tables_are_made_and_filled_leaves_them_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(metadata_work, "TABLE_ROWS_A_COMMIT", 1)

    async def prepare(world: World, told: Told) -> None:
        await s3(world, "create_bucket", Bucket="shop")
        for name in ("a", "b"):
            await s3(world, "put_object", Bucket="shop", Key=name, Body=b"1")

    async def work(world: World, told: Told) -> None:
        await begin(world)
        told["acknowledged"] = True

    async def check(world: World, told: Told) -> None:
        await worked(world)
        found = await s3(world, "list_objects_v2", Bucket="shop")
        assert found["KeyCount"] == 2
        try:
            state = await shown(world)
        except AwsError:
            assert "acknowledged" not in told
            return
        await minutes(world, 2)
        state = await shown(world)
        assert state["JournalTableConfigurationResult"]["TableStatus"] == "ACTIVE", state
        assert state["InventoryTableConfigurationResult"]["TableStatus"] == "ACTIVE", state
        assert [one["key"] for one in await rows(world, "inventory")] == ["a", "b"]

    assert crash_everywhere(prepare, work, check) >= 18
