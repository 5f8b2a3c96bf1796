"""Names, numbers and texts that AWS documents."""

from __future__ import annotations

import json
from typing import Any

import pytest

from doppio.services.s3tables import iceberg, limits
from doppio.services.s3tables.counting import NAMESPACES, TABLES, count
from tests.services.kms.helpers import allow, key, key_policy
from tests.services.s3tables.helpers import BUCKET, METADATA, NAMED, lake, place, table
from tests.services.world import World, refusal, refused, told


@told
async def test_names_keep_the_rules(world: World) -> None:
    for name in ("aws-mine", "xn--a", "sthree-a", "a--table-s3", "-ab", "ab-", "a-s3alias"):
        call = world.call("s3tables", "create_table_bucket", name=name)
        assert await refusal(call) == (
            "BadRequestException", "The specified bucket name is not valid.",
        ), name  # fmt: skip
    await lake(world)
    for name in ("_a", "a_", "aws_a"):
        call = world.call("s3tables", "create_namespace", tableBucketARN=BUCKET, namespace=[name])
        assert await refusal(call) == (
            "BadRequestException", "The specified namespace name is not valid.",
        ), name  # fmt: skip
    for name in ("_a", "a_"):
        call = world.call("s3tables", "create_table", **{**NAMED, "name": name}, format="ICEBERG")
        assert await refusal(call) == (
            "BadRequestException", "The specified table name is not valid.",
        ), name  # fmt: skip


@told
async def test_an_account_has_ten_table_buckets(world: World) -> None:
    for number in range(limits.TABLE_BUCKETS_MAX):
        await world.call("s3tables", "create_table_bucket", name=f"lake-{number}")
    call = world.call("s3tables", "create_table_bucket", name="one-more")
    assert (await refused(call)).code == "BadRequestException"
    await world.call("s3tables", "delete_table_bucket", tableBucketARN=f"{BUCKET}-0")
    await world.call("s3tables", "create_table_bucket", name="one-more")


@told
async def test_a_bucket_has_ten_thousand_namespaces_and_tables(world: World) -> None:
    await lake(world)
    bucket = (await world.call("s3tables", "get_table_bucket", tableBucketARN=BUCKET))[
        "tableBucketId"
    ]
    async with world.cloud.root_context().write() as tx:
        count(tx, NAMESPACES, bucket, limits.NAMESPACES_MAX - 2)
        count(tx, TABLES, bucket, limits.TABLES_MAX - 1)
    new = {"tableBucketARN": BUCKET, "namespace": ["two"]}
    await world.call("s3tables", "create_namespace", **new)
    call = world.call("s3tables", "create_namespace", **{**new, "namespace": ["three"]})
    assert (await refused(call)).code == "BadRequestException"
    await table(world)
    call = world.call("s3tables", "create_table", **{**NAMED, "name": "u"}, format="ICEBERG")
    assert (await refused(call)).code == "BadRequestException"
    await world.call("s3tables", "delete_table", **NAMED)
    await table(world, "u")
    await world.call("s3tables", "delete_namespace", **{**new, "namespace": "two"})
    await world.call("s3tables", "create_namespace", **{**new, "namespace": ["three"]})


@told
async def test_a_name_is_given_once(world: World) -> None:
    await lake(world)
    await table(world)
    call = world.call("s3tables", "create_namespace", tableBucketARN=BUCKET, namespace=["ns"])
    assert await refusal(call) == (
        "ConflictException", "A namespace with an identical name already exists in the bucket.",
    )  # fmt: skip
    taken = (
        "ConflictException", "A table with an identical name already exists in the namespace.",
    )  # fmt: skip
    assert await refusal(world.call("s3tables", "create_table", **NAMED, format="ICEBERG")) == taken
    await table(world, "u", metadata=None)
    call = world.call("s3tables", "rename_table", **{**NAMED, "name": "u"}, newName="t")
    assert await refusal(call) == taken


@told
async def test_what_is_not_there_is_said_to_be_missing(world: World) -> None:
    await lake(world)
    for req, text in (
        ({**NAMED, "tableBucketARN": f"{BUCKET}-no"}, "The specified bucket does not exist."),
        ({**NAMED, "namespace": "no"}, "The specified namespace does not exist."),
        (NAMED, "The specified table does not exist."),
    ):
        error = await refused(world.call("s3tables", "get_table", **req))
        assert (error.code, error.status, error.message) == ("NotFoundException", 404, text)


@told
async def test_a_location_is_one_of_the_tables(world: World) -> None:
    await lake(world)
    shown = await table(world)
    token = shown["versionToken"]
    for location, text in (
        (
            "s3://other/metadata/a.metadata.json",
            "The metadata location must begin with the table's warehouse location.",
        ),
        (
            f"{shown['warehouseLocation']}/metadata/a.json",
            "The metadata location must end with .metadata.json or .metadata.json.gz.",
        ),
    ):
        call = world.call(
            "s3tables", "update_table_metadata_location",
            **NAMED, versionToken=token, metadataLocation=location,
        )  # fmt: skip
        assert await refusal(call) == ("BadRequestException", text)


@told
async def test_a_kms_key_goes_with_kms_alone(world: World) -> None:
    arn = "arn:aws:kms:us-east-1:000000000000:key/a"
    for given in ({"sseAlgorithm": "aws:kms"}, {"sseAlgorithm": "AES256", "kmsKeyArn": arn}):
        call = world.call(
            "s3tables", "create_table_bucket", name="lake", encryptionConfiguration=given
        )
        assert (await refused(call)).code == "BadRequestException"


@told
async def test_tags_have_limits(world: World) -> None:
    await lake(world, tags={f"k{number}": "" for number in range(50)})
    found = await world.call("s3tables", "list_tags_for_resource", resourceArn=BUCKET)
    assert len(found["tags"]) == 50
    call = world.call("s3tables", "tag_resource", resourceArn=BUCKET, tags={"more": ""})
    assert (await refused(call)).code == "BadRequestException"
    await world.call("s3tables", "untag_resource", resourceArn=BUCKET, tagKeys=["k0", "none"])
    await world.call("s3tables", "tag_resource", resourceArn=BUCKET, tags={"more": ""})


@told
async def test_a_tables_files_are_under_its_key_of_kms(world: World) -> None:
    let_in = allow("kms:*", Principal={"Service": "maintenance.s3tables.amazonaws.com"})
    made = await key(world, Policy=key_policy(let_in))
    encryption = {"sseAlgorithm": "aws:kms", "kmsKeyArn": made["Arn"]}
    await lake(world, encryptionConfiguration=encryption)
    shown = await table(world)
    found = await world.call("s3tables", "get_table_encryption", **NAMED)
    assert found["encryptionConfiguration"] == encryption
    head = await world.call("s3", "head_object", **place(shown["metadataLocation"]))
    assert head["ServerSideEncryption"] == "aws:kms"
    assert head["SSEKMSKeyId"] == made["Arn"]
    await world.call("s3tables", "delete_table_bucket_encryption", tableBucketARN=BUCKET)
    plain = await table(world, "plain")
    head = await world.call("s3", "head_object", **place(plain["metadataLocation"]))
    assert head["ServerSideEncryption"] == "AES256"


@told
async def test_a_tables_files_lie_in_its_storage_class(world: World) -> None:
    tiered = {"storageClass": "INTELLIGENT_TIERING"}
    await lake(world, storageClassConfiguration=tiered)
    shown = await table(world)
    found = await world.call("s3tables", "get_table_storage_class", **NAMED)
    assert found["storageClassConfiguration"] == tiered
    head = await world.call("s3", "head_object", **place(shown["metadataLocation"]))
    assert head["StorageClass"] == "INTELLIGENT_TIERING"
    here = {**place(shown["metadataLocation"]), "Key": "data/a", "Body": b"x"}
    own = world.call("s3", "put_object", **here, StorageClass="STANDARD_IA")
    assert (await refused(own)).code == "InvalidRequest"


@told
async def test_without_pyiceberg_a_table_has_no_metadata_of_ours(world: World) -> None:
    await lake(world)
    known = iceberg.LIBRARY
    iceberg.LIBRARY = "no_such_library"
    try:
        asked = {**NAMED, "format": "ICEBERG", "metadata": METADATA}
        error = await refused(world.call("s3tables", "create_table", **asked))
        assert (error.code, error.status) == ("NotImplemented", 501)
        assert "extra `tables`" in error.message
        shown = await table(world, metadata=None)
        assert "metadataLocation" not in shown
    finally:
        iceberg.LIBRARY = known


SCHEMAS: list[tuple[dict[str, Any], list[dict[str, Any]]]] = [
    (
        {"schema": {"fields": [
            {"name": "a", "type": "decimal(9,2)"}, {"id": 1, "name": "b", "type": "timestamptz"},
        ]}},
        [
            {"id": 1, "name": "a", "type": "decimal(9, 2)", "required": False},
            {"id": 2, "name": "b", "type": "timestamptz", "required": False},
        ],
    ),
    (
        {
            "schemaV2": {"type": "struct", "fields": [
                {"id": 7, "name": "a", "required": True, "doc": "of days", "type": "date"},
                {"id": 8, "name": "b", "required": False, "type": {
                    "type": "list", "element-id": 9, "element": "string", "element-required": True,
                }},
            ]},
            "partitionSpec": {"fields": [{"sourceId": 7, "transform": "month", "name": "m"}]},
            "writeOrder": {"orderId": 1, "fields": [{
                "sourceId": 7, "transform": "identity", "direction": "desc", "nullOrder": "nulls-last",
            }]},
            "properties": {"owner": "me"},
        },
        [
            {"id": 1, "name": "a", "required": True, "doc": "of days", "type": "date"},
            {"id": 2, "name": "b", "required": False, "type": {
                "type": "list", "element-id": 3, "element": "string", "element-required": True,
            }},
        ],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("given", "fields"), SCHEMAS, ids=["schema", "schemaV2"])
def test_a_schema_is_written_as_it_was_given(given: Any, fields: Any) -> None:
    @told
    async def story(world: World) -> None:
        await lake(world)
        shown = await table(world, metadata={"iceberg": given})
        found = await world.call("s3", "get_object", **place(shown["metadataLocation"]))
        metadata = json.loads(found["Body"])
        assert metadata["schemas"][0]["fields"] == fields
        if "partitionSpec" in given:
            assert metadata["partition-specs"][0]["fields"] == [
                {"source-id": 1, "field-id": 1000, "transform": "month", "name": "m"}
            ]
            assert metadata["sort-orders"][0]["fields"][0]["direction"] == "desc"
            assert metadata["properties"]["owner"] == "me"

    story()
