"""S3 Metadata: what happens in a bucket, and what lies there, as Iceberg tables."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from doppio.kernel.identity import root_of
from doppio.kernel.jobs import DUE
from doppio.services.s3 import metadata_tables as tables
from doppio.services.s3.metadata_records import Metadata
from doppio.services.s3.metadata_tables import Home
from tests.services.world import ACCOUNT, REGION, World, refusal, told

MANAGED = f"arn:aws:s3tables:{REGION}:{ACCOUNT}:bucket/aws-s3"
OFF = {"Expiration": "DISABLED"}


async def s3(world: World, method: str, /, **req: Any) -> Any:
    return await world.call("s3", method, **req)


def configuration(days: int = 0, **more: Any) -> dict[str, Any]:
    expiration = {"Expiration": "ENABLED", "Days": days} if days else OFF
    return {"JournalTableConfiguration": {"RecordExpiration": expiration}, **more}


async def begin(world: World, bucket: str = "shop", **more: Any) -> None:
    """Configure a bucket, with an inventory unless said otherwise, and wait until it is served."""
    more = {"InventoryTableConfiguration": {"ConfigurationState": "ENABLED"}, **more}
    await s3(
        world, "create_bucket_metadata_configuration", Bucket=bucket,
        MetadataConfiguration=configuration(**more),
    )  # fmt: skip
    await worked(world)


async def worked(world: World) -> None:
    """Wait until the jobs that are due have run: PyIceberg does its part in threads."""
    until = time.monotonic() + 30
    await world.settle()
    while time.monotonic() < until and not world.memory._closed:
        due = await world.cloud.context_for("", "").read().find(DUE, until=world.now, limit=1)
        if not due and not world.cloud._jobs._running:
            return
        await asyncio.sleep(0.005)
        if not world.cloud._jobs._running:
            # One that has failed rests a little before it is tried again.
            world.host.run_to(world.host.seconds() + 0.05)
        await world.settle()


async def minutes(world: World, number: int) -> None:
    await world.advance(minutes=number)
    await worked(world)


async def shown(world: World, bucket: str = "shop") -> dict[str, Any]:
    found = await s3(world, "get_bucket_metadata_configuration", Bucket=bucket)
    result: dict[str, Any] = found["GetBucketMetadataConfigurationResult"][
        "MetadataConfigurationResult"
    ]
    return result


async def rows(
    world: World, name: str = "journal", *, bucket: str = MANAGED, namespace: str = "b_shop"
) -> list[dict[str, Any]]:
    """A table's rows as PyIceberg reads them for the account's root, by key and number."""
    ctx = world.cloud.context(root_of(ACCOUNT), account=ACCOUNT, region=REGION, request_id="x")
    work = tables.work(
        ctx, Home(bucket, namespace, name), lambda one: one.scan().to_arrow().to_pylist()
    )
    task = asyncio.ensure_future(work)
    while not task.done():
        await asyncio.sleep(0.005)
        await world.settle()
    return sorted(task.result(), key=lambda row: (row["key"], row["sequence_number"]))


@told
async def test_what_happens_is_told_in_a_journal(world: World) -> None:
    await s3(world, "create_bucket", Bucket="shop")
    await begin(world)
    found = await shown(world)
    assert found["DestinationResult"] == {
        "TableBucketType": "aws", "TableBucketArn": MANAGED, "TableNamespace": "b_shop",
    }  # fmt: skip
    journal = found["JournalTableConfigurationResult"]
    assert (journal["TableStatus"], journal["TableName"]) == ("ACTIVE", "journal")
    assert journal["RecordExpiration"] == OFF
    await s3(
        world, "put_object", Bucket="shop", Key="menu", Body=b"12345", Metadata={"by": "me"},
        Tagging="team=bar",
    )  # fmt: skip
    tags = {"TagSet": [{"Key": "team", "Value": "kitchen"}]}
    await s3(world, "put_object_tagging", Bucket="shop", Key="menu", Tagging=tags)
    await s3(world, "delete_object", Bucket="shop", Key="menu")
    await minutes(world, 1)
    created, updated, deleted = await rows(world)
    assert [one["record_type"] for one in (created, updated, deleted)] == [
        "CREATE", "UPDATE_METADATA", "DELETE",
    ]  # fmt: skip
    numbers = [one["sequence_number"] for one in (created, updated, deleted)]
    assert numbers == sorted(set(numbers))
    assert (created["bucket"], created["key"], created["size"]) == ("shop", "menu", 5)
    assert created["record_timestamp"].isoformat().startswith("2030-01-01T00:00:0")
    assert (created["version_id"], created["is_delete_marker"]) == (None, False)
    assert created["e_tag"] == "827ccb0eea8a706c4c34a16891f84e7b"
    assert (created["storage_class"], created["is_multipart"]) == ("STANDARD", False)
    assert (created["encryption_status"], created["is_bucket_key_enabled"]) == ("SSE-S3", False)
    assert created["checksum_algorithm"] == "CRC64NVME"
    assert dict(created["object_tags"]) == {"team": "bar"}
    assert dict(created["user_metadata"]) == {"by": "me"}
    assert created["requester"] == ACCOUNT
    assert created["request_id"]
    assert dict(updated["object_tags"]) == {"team": "kitchen"}
    assert (deleted["size"], deleted["is_delete_marker"]) == (None, False)


@told
async def test_versions_markers_and_who_did_it_are_told(world: World) -> None:
    await s3(world, "create_bucket", Bucket="shop")
    versioning = {"Status": "Enabled"}
    await s3(world, "put_bucket_versioning", Bucket="shop", VersioningConfiguration=versioning)
    rule = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": "old"}, "Expiration": {"Days": 1}}
    await s3(
        world, "put_bucket_lifecycle_configuration", Bucket="shop",
        LifecycleConfiguration={"Rules": [rule]},
    )  # fmt: skip
    await begin(world)
    made = await s3(world, "put_object", Bucket="shop", Key="k", Body=b"1")
    hidden = await s3(world, "delete_object", Bucket="shop", Key="k")
    await s3(world, "delete_object", Bucket="shop", Key="k", VersionId=made["VersionId"])
    await s3(world, "put_object", Bucket="shop", Key="old", Body=b"1")
    await minutes(world, 1)
    found = await rows(world)
    assert [
        (one["record_type"], one["version_id"], one["is_delete_marker"]) for one in found[:3]
    ] == [
        ("CREATE", made["VersionId"], False),
        ("DELETE", hidden["VersionId"], True),
        ("DELETE", made["VersionId"], False),
    ]
    await world.advance(days=3)
    await worked(world)
    await minutes(world, 1)
    expired = [one for one in await rows(world) if one["key"] == "old"][-1]
    assert (expired["record_type"], expired["is_delete_marker"]) == ("DELETE", True)
    assert (expired["requester"], expired["source_ip_address"], expired["request_id"]) == (
        "s3.amazonaws.com", None, None,
    )  # fmt: skip


@told
async def test_an_inventory_has_what_was_there_and_follows(world: World) -> None:
    await s3(world, "create_bucket", Bucket="shop")
    for key in ("a", "b", "c"):
        await s3(world, "put_object", Bucket="shop", Key=key, Body=b"x")
    await begin(world)
    inventory = (await shown(world))["InventoryTableConfigurationResult"]
    assert (inventory["ConfigurationState"], inventory["TableStatus"]) == ("ENABLED", "ACTIVE")
    assert [one["key"] for one in await rows(world, "inventory")] == ["a", "b", "c"]
    assert await rows(world) == []
    await s3(world, "delete_object", Bucket="shop", Key="a")
    await s3(world, "put_object", Bucket="shop", Key="b", Body=b"yy", Tagging="new=yes")
    await s3(world, "put_object", Bucket="shop", Key="d", Body=b"z")
    await minutes(world, 1)
    assert len(await rows(world, "inventory")) == 3
    for _ in range(6):
        await minutes(world, 10)
    found = await rows(world, "inventory")
    assert [(one["key"], one["size"]) for one in found] == [("b", 2), ("c", 1), ("d", 1)]
    assert dict(found[0]["object_tags"]) == {"new": "yes"}
    numbers = {one["key"]: one["sequence_number"] for one in await rows(world)}
    assert found[0]["sequence_number"] == numbers["b"]
    assert found[2]["sequence_number"] == numbers["d"]


@told
async def test_an_inventory_tells_of_all_versions(world: World) -> None:
    await s3(world, "create_bucket", Bucket="shop")
    versioning = {"Status": "Enabled"}
    await s3(world, "put_bucket_versioning", Bucket="shop", VersioningConfiguration=versioning)
    first = await s3(world, "put_object", Bucket="shop", Key="k", Body=b"1")
    await begin(world)
    second = await s3(world, "put_object", Bucket="shop", Key="k", Body=b"22")
    marker = await s3(world, "delete_object", Bucket="shop", Key="k")
    await minutes(world, 1)
    await minutes(world, 31)
    found = {one["version_id"]: one for one in await rows(world, "inventory")}
    assert set(found) == {one["VersionId"] for one in (first, second, marker)}
    assert found[marker["VersionId"]]["is_delete_marker"]
    assert found[marker["VersionId"]]["size"] is None
    # A version that nothing has happened to keeps its number.
    before = found[second["VersionId"]]["sequence_number"]
    await s3(world, "put_object", Bucket="shop", Key="k", Body=b"333")
    await minutes(world, 31)
    found = {one["version_id"]: one for one in await rows(world, "inventory")}
    assert (len(found), found[second["VersionId"]]["sequence_number"]) == (4, before)


@told
async def test_records_of_the_journal_go_when_they_are_old(world: World) -> None:
    await s3(world, "create_bucket", Bucket="shop")
    await begin(world, days=7, InventoryTableConfiguration={"ConfigurationState": "DISABLED"})
    await s3(world, "put_object", Bucket="shop", Key="old", Body=b"1")
    await world.advance(days=5)
    await worked(world)
    await s3(world, "put_object", Bucket="shop", Key="new", Body=b"1")
    await minutes(world, 1)
    assert len(await rows(world)) == 2
    await world.advance(days=3)
    await worked(world)
    await minutes(world, 1)
    assert [one["key"] for one in await rows(world)] == ["new"]
    await s3(
        world, "update_bucket_metadata_journal_table_configuration", Bucket="shop",
        JournalTableConfiguration={"RecordExpiration": OFF},
    )  # fmt: skip
    assert (await shown(world))["JournalTableConfigurationResult"]["RecordExpiration"] == OFF
    await world.advance(days=30)
    await worked(world)
    assert [one["key"] for one in await rows(world)] == ["new"]


@told
async def test_an_inventory_is_begun_and_ended_later(world: World) -> None:
    await s3(world, "create_bucket", Bucket="shop")
    await begin(world, InventoryTableConfiguration={"ConfigurationState": "DISABLED"})
    assert (await shown(world))["InventoryTableConfigurationResult"] == {
        "ConfigurationState": "DISABLED"
    }
    await s3(world, "put_object", Bucket="shop", Key="k", Body=b"1")

    async def turn(state: str) -> None:
        await s3(
            world, "update_bucket_metadata_inventory_table_configuration", Bucket="shop",
            InventoryTableConfiguration={"ConfigurationState": state},
        )  # fmt: skip
        await worked(world)

    await turn("ENABLED")
    assert [one["key"] for one in await rows(world, "inventory")] == ["k"]
    await turn("DISABLED")
    await s3(world, "put_object", Bucket="shop", Key="later", Body=b"1")
    await minutes(world, 61)
    assert [one["key"] for one in await rows(world, "inventory")] == ["k"]
    await turn("ENABLED")
    result = (await shown(world))["InventoryTableConfigurationResult"]
    assert (result["TableStatus"], result["Error"]["ErrorCode"]) == (
        "FAILED", "InventoryTableAlreadyExists",
    )  # fmt: skip


@told
async def test_tables_outlive_their_configuration(world: World) -> None:
    await s3(world, "create_bucket", Bucket="shop")
    await begin(world)
    await s3(world, "put_object", Bucket="shop", Key="k", Body=b"1")
    await minutes(world, 1)
    await s3(world, "delete_bucket_metadata_configuration", Bucket="shop")
    await s3(world, "put_object", Bucket="shop", Key="k2", Body=b"1")
    await minutes(world, 5)
    assert [one["key"] for one in await rows(world)] == ["k"]
    code, _ = await refusal(s3(world, "get_bucket_metadata_configuration", Bucket="shop"))
    assert code == "MetadataConfigurationNotFound"
    await begin(world)
    journal = (await shown(world))["JournalTableConfigurationResult"]
    assert (journal["TableStatus"], journal["Error"]["ErrorCode"]) == (
        "FAILED", "JournalTableAlreadyExists",
    )  # fmt: skip
    inventory = (await shown(world))["InventoryTableConfigurationResult"]
    assert inventory["Error"]["ErrorCode"] == "JournalTableNotAvailable"
    await s3(world, "delete_bucket_metadata_configuration", Bucket="shop")
    for name in ("journal", "inventory"):
        await world.call(
            "s3tables", "delete_table", tableBucketARN=MANAGED, namespace="b_shop", name=name
        )
    await begin(world)
    await s3(world, "put_object", Bucket="shop", Key="k3", Body=b"1")
    await minutes(world, 1)
    assert [one["key"] for one in await rows(world)] == ["k3"]


@told
async def test_a_bucket_that_goes_leaves_no_configuration(world: World) -> None:
    await s3(world, "create_bucket", Bucket="shop")
    await begin(world)
    await s3(world, "delete_bucket", Bucket="shop")
    await worked(world)
    await s3(world, "create_bucket", Bucket="shop")
    code, text = await refusal(s3(world, "get_bucket_metadata_configuration", Bucket="shop"))
    assert (code, text) == (
        "MetadataConfigurationNotFound",
        "The specified metadata configuration does not exist.",
    )
    assert await world.cloud.context_for("", "").read().list(Metadata, limit=1) == []


@told
async def test_nobody_but_s3_writes_to_its_tables(world: World) -> None:
    await s3(world, "create_bucket", Bucket="shop")
    await begin(world)
    named = {"tableBucketARN": MANAGED, "namespace": "b_shop", "name": "journal"}
    located = await world.call("s3tables", "get_table_metadata_location", **named)
    bucket = located["warehouseLocation"].removeprefix("s3://")
    for refused in (
        s3(world, "put_object", Bucket=bucket, Key="data/x", Body=b""),
        world.call(
            "s3tables", "update_table_metadata_location", **named,
            versionToken=located["versionToken"], metadataLocation=located["metadataLocation"],
        ),
        world.call("s3tables", "create_namespace", tableBucketARN=MANAGED, namespace=["mine"]),
    ):  # fmt: skip
        assert (await refusal(refused))[0] in {"AccessDenied", "AccessDeniedException"}


@told
async def test_configurations_that_mean_nothing_are_refused(world: World) -> None:
    await s3(world, "create_bucket", Bucket="shop")

    async def code(**more: Any) -> str:
        given = {**configuration(), **more}
        call = s3(
            world, "create_bucket_metadata_configuration", Bucket="shop",
            MetadataConfiguration=given,
        )  # fmt: skip
        return (await refusal(call))[0]

    def journal(**expiration: Any) -> dict[str, Any]:
        return {"JournalTableConfiguration": {"RecordExpiration": expiration}}

    assert await code(**journal(Expiration="MAYBE")) == "MalformedXML"
    assert await code(**journal(Expiration="ENABLED")) == "InvalidRequest"
    assert await code(**journal(Expiration="ENABLED", Days=6)) == "InvalidRequest"
    assert await code(**journal(Expiration="ENABLED", Days=2**31)) == "InvalidRequest"
    assert await code(**journal(Expiration="DISABLED", Days=7)) == "InvalidRequest"
    inventory = {"ConfigurationState": "ENABLED"}
    for encryption in ({"SseAlgorithm": "aws:kms"}, {"SseAlgorithm": "AES256", "KmsKeyArn": "a"}):
        given = {**inventory, "EncryptionConfiguration": encryption}
        assert await code(InventoryTableConfiguration=given) == "InvalidRequest"
    assert await code(InventoryTableConfiguration={"ConfigurationState": "ON"}) == "MalformedXML"
    assert await code(AnnotationTableConfiguration=inventory) == "InvalidRequest"
    for method in (
        "get_bucket_metadata_configuration",
        "delete_bucket_metadata_configuration",
        "get_bucket_metadata_table_configuration",
    ):
        call = s3(world, method, Bucket="shop")
        assert (await refusal(call))[0] == "MetadataConfigurationNotFound"
    await begin(world, days=7)
    assert await code() == "MetadataConfigurationAlreadyExists"
    for method in (
        "get_bucket_metadata_table_configuration",
        "delete_bucket_metadata_table_configuration",
    ):
        assert (await refusal(s3(world, method, Bucket="shop")))[0] == "MethodNotAllowed"
