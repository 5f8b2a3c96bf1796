"""Every operation asks for its action on its bucket or its table; policies of both count for a table."""

from __future__ import annotations

import json
from typing import Any

from doppio.services.s3tables.service import SERVICE
from doppio.wire import model
from tests.services.kms.helpers import allow, user
from tests.services.s3tables.helpers import BUCKET, METADATA, NAMED, lake, place, table
from tests.services.scheduler.test_permissions import outcome
from tests.services.world import ACCOUNT, OTHER, REGION, World, refusal, refused, told

NEW = f"arn:aws:s3tables:{REGION}:{ACCOUNT}:bucket/new"
ON_BUCKET = {"tableBucketARN": BUCKET}
AES = {"encryptionConfiguration": {"sseAlgorithm": "AES256"}}
TIERED = {"storageClassConfiguration": {"storageClass": "INTELLIGENT_TIERING"}}
TABLE = "the table"
ANY = f"{BUCKET}/table/*"


def policy(*statements: dict[str, Any]) -> str:
    """A policy of a resource."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


OWN = allow("s3tables:GetTable", "*", Principal={"AWS": f"arn:aws:iam::{OTHER}:root"})
# What each operation is asked, and the resource on which it needs its action.
ASKED: dict[str, tuple[dict[str, Any], str]] = {
    "CreateTableBucket": ({"name": "new"}, NEW),
    "GetTableBucket": (ON_BUCKET, BUCKET),
    "ListTableBuckets": ({}, "*"),
    "CreateNamespace": ({**ON_BUCKET, "namespace": ["two"]}, BUCKET),
    "GetNamespace": ({**ON_BUCKET, "namespace": "ns"}, BUCKET),
    "ListNamespaces": (ON_BUCKET, BUCKET),
    "DeleteNamespace": ({**ON_BUCKET, "namespace": "two"}, BUCKET),
    "CreateTable": ({**NAMED, "name": "u", "format": "ICEBERG"}, BUCKET),
    "GetTable": (NAMED, TABLE),
    "ListTables": (ON_BUCKET, BUCKET),
    "GetTableMetadataLocation": (NAMED, TABLE),
    "PutTableBucketPolicy": ({**ON_BUCKET, "resourcePolicy": policy(OWN)}, BUCKET),
    "GetTableBucketPolicy": (ON_BUCKET, BUCKET),
    "DeleteTableBucketPolicy": (ON_BUCKET, BUCKET),
    "PutTablePolicy": ({**NAMED, "resourcePolicy": policy(OWN)}, TABLE),
    "GetTablePolicy": (NAMED, TABLE),
    "DeleteTablePolicy": (NAMED, TABLE),
    "PutTableBucketEncryption": ({**ON_BUCKET, **AES}, BUCKET),
    "GetTableBucketEncryption": (ON_BUCKET, BUCKET),
    "DeleteTableBucketEncryption": (ON_BUCKET, BUCKET),
    "GetTableEncryption": (NAMED, TABLE),
    "PutTableBucketStorageClass": ({**ON_BUCKET, **TIERED}, BUCKET),
    "GetTableBucketStorageClass": (ON_BUCKET, BUCKET),
    "GetTableStorageClass": (NAMED, TABLE),
    "PutTableBucketMaintenanceConfiguration": (
        {**ON_BUCKET, "type": "icebergUnreferencedFileRemoval", "value": {"status": "enabled"}},
        BUCKET,
    ),
    "GetTableBucketMaintenanceConfiguration": (ON_BUCKET, BUCKET),
    "PutTableMaintenanceConfiguration": (
        {**NAMED, "type": "icebergCompaction", "value": {"status": "enabled"}}, TABLE,
    ),
    "GetTableMaintenanceConfiguration": (NAMED, TABLE),
    "GetTableMaintenanceJobStatus": (NAMED, TABLE),
    "PutTableBucketReplication": ({**ON_BUCKET, "configuration": "CONFIGURATION"}, BUCKET),
    "GetTableBucketReplication": (ON_BUCKET, BUCKET),
    "DeleteTableBucketReplication": (ON_BUCKET, BUCKET),
    "PutTableReplication": ({"tableArn": TABLE, "configuration": "CONFIGURATION"}, TABLE),
    "GetTableReplication": ({"tableArn": TABLE}, TABLE),
    "GetTableReplicationStatus": ({"tableArn": TABLE}, TABLE),
    "DeleteTableReplication": ({"tableArn": TABLE, "versionToken": "REPLICATION"}, TABLE),
    "DisassociateTableReplication": ({"tableArn": TABLE}, TABLE),
    "TagResource": ({"resourceArn": BUCKET, "tags": {"a": "b"}}, BUCKET),
    "UntagResource": ({"resourceArn": BUCKET, "tagKeys": ["a"]}, BUCKET),
    "ListTagsForResource": ({"resourceArn": BUCKET}, BUCKET),
    "UpdateTableMetadataLocation": (
        {**NAMED, "versionToken": "TOKEN", "metadataLocation": "LOCATION"}, TABLE,
    ),
    "RenameTable": ({**NAMED, "newName": "v"}, TABLE),
    "DeleteTable": ({**NAMED, "name": "v"}, TABLE),
    "DeleteTableBucket": ({"tableBucketARN": NEW}, NEW),
}  # fmt: skip


def test_the_table_names_every_operation() -> None:
    operations = model.load("s3tables").operations
    assert {operations[name].method for name in ASKED} == set(SERVICE.operations)


async def configuration(world: World) -> dict[str, Any]:
    """A replication to another bucket, by a role that trusts who does it."""
    service = "replication.s3tables.amazonaws.com"
    trust = policy(allow("sts:AssumeRole", Principal={"Service": service}))
    document = json.loads(trust)
    del document["Statement"][0]["Resource"]
    role = await world.call(
        "iam", "create_role", RoleName="copier", AssumeRolePolicyDocument=json.dumps(document)
    )
    other = await world.call("s3tables", "create_table_bucket", name="other")
    destinations = [{"destinationTableBucketARN": other["arn"]}]
    return {"role": role["Role"]["Arn"], "rules": [{"destinations": destinations}]}


@told
async def test_an_operation_needs_its_action_on_its_resource(world: World) -> None:
    await lake(world)
    shown = await table(world)
    known = {
        "TOKEN": shown["versionToken"], "LOCATION": shown["metadataLocation"],
        TABLE: shown["tableARN"], "CONFIGURATION": await configuration(world),
    }  # fmt: skip
    nobody = await user(world, "nobody")
    for number, (name, (asked, resource)) in enumerate(ASKED.items()):
        if name == "DeleteTableReplication":
            there = await world.call("s3tables", "get_table_replication", tableArn=known[TABLE])
            known["REPLICATION"] = there["versionToken"]
        req = {key: known.get(str(text), text) for key, text in asked.items()}
        resource = shown["tableARN"] if resource == TABLE else resource
        method = model.load("s3tables").operations[name].method
        code, text = await refusal(world.call("s3tables", method, caller=nobody, **req))
        assert code == "AccessDeniedException", name
        where = "" if resource == "*" else f" on resource: {resource}"
        assert f"s3tables:{name}{where} because" in text, text
        passes = allow("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/copier")
        one = await user(world, f"u{number}", allow(f"s3tables:{name}", resource), passes)
        await world.settle()
        came = await outcome(world.call("s3tables", method, caller=one, **req))
        # A table that is no replica cannot be made one's own.
        own = "BadRequestException" if name == "DisassociateTableReplication" else ""
        assert came == own, name


@told
async def test_whoever_gives_a_replication_its_role_must_be_allowed_to_pass_it(
    world: World,
) -> None:
    await lake(world)
    asked = {**ON_BUCKET, "configuration": await configuration(world)}
    one = await user(world, "one", allow("s3tables:*"))
    await world.settle()
    call = world.call("s3tables", "put_table_bucket_replication", caller=one, **asked)
    code, text = await refusal(call)
    assert code == "AccessDeniedException"
    assert "iam:PassRole" in text


@told
async def test_a_tables_files_take_permissions_on_its_data(world: World) -> None:
    await lake(world)
    shown = await table(world)
    here = place(shown["metadataLocation"])
    there = {**here, "Key": "data/a"}
    everything_else = await user(world, "s3", allow("s3:*"))
    reader = await user(world, "reader", allow("s3tables:GetTableData", shown["tableARN"]))
    named = allow(
        "s3tables:PutTableData", Condition={"StringEquals": {
            "s3tables:namespace": "ns", "s3tables:tableName": "t",
        }},
    )  # fmt: skip
    writer = await user(world, "writer", named)
    await world.settle()
    for caller, reads, writes in (
        (everything_else, False, False), (reader, True, False), (writer, False, True),
    ):  # fmt: skip
        for method, req, may in (
            ("get_object", here, reads),
            ("head_object", here, reads),
            ("put_object", {**there, "Body": b"x"}, writes),
        ):
            came = await outcome(world.call("s3", method, caller=caller, **req))
            assert came == ("" if may else "AccessDeniedException"), (caller.arn, method)
    missing = world.call("s3", "get_object", caller=reader, **{**here, "Key": "no"})
    assert (await refused(missing)).code == "NoSuchKey"


@told
async def test_whoever_gives_a_table_metadata_must_be_allowed_to_write_it(world: World) -> None:
    await lake(world)
    half = await user(world, "half", allow("s3tables:CreateTable"))
    whole = await user(
        world, "whole", allow("s3tables:CreateTable"), allow("s3tables:PutTableData")
    )
    await world.settle()
    asked = {**NAMED, "format": "ICEBERG", "metadata": METADATA}
    code, text = await refusal(world.call("s3tables", "create_table", caller=half, **asked))
    assert code == "AccessDeniedException"
    assert "s3tables:PutTableData" in text
    await world.settle()
    assert (await world.call("s3tables", "list_tables", **ON_BUCKET))["tables"] == []
    await world.call("s3tables", "create_table", caller=whole, **asked)


@told
async def test_what_comes_with_a_bucket_or_a_table_takes_permissions_too(world: World) -> None:
    await lake(world)
    new = {**NAMED, "format": "ICEBERG"}
    for number, (method, req, action, more) in enumerate(
        (
            ("create_table_bucket", {"name": "new"}, "PutTableBucketEncryption", AES),
            ("create_table_bucket", {"name": "new"}, "PutTableBucketStorageClass", TIERED),
            ("create_table_bucket", {"name": "new"}, "TagResource", {"tags": {"a": "b"}}),
            ("create_table", new, "PutTableEncryption", AES),
            ("create_table", new, "PutTableStorageClass", TIERED),
            ("create_table", new, "TagResource", {"tags": {"a": "b"}}),
        )
    ):
        one = await user(
            world, f"u{number}", allow("s3tables:CreateTableBucket"), allow("s3tables:CreateTable")
        )
        await world.settle()
        code, text = await refusal(world.call("s3tables", method, caller=one, **req, **more))
        assert code == "AccessDeniedException", method
        assert f"s3tables:{action}" in text, text


@told
async def test_the_policies_of_a_table_and_of_its_bucket_both_count(world: World) -> None:
    await lake(world)
    shown = await table(world)
    asked = {"tableArn": shown["tableARN"]}
    stranger = {"Principal": {"AWS": f"arn:aws:iam::{OTHER}:root"}}

    async def may() -> bool:
        return await outcome(world.call("s3tables", "get_table", account=OTHER, **asked)) == ""

    async def put(on: str, *statements: dict[str, Any]) -> None:
        named = ON_BUCKET if on == "bucket" else NAMED
        method = "put_table_bucket_policy" if on == "bucket" else "put_table_policy"
        await world.call("s3tables", method, **named, resourcePolicy=policy(*statements))

    assert not await may()
    await put("table", allow("s3tables:GetTable", shown["tableARN"], **stranger))
    assert await may()
    deny = {"Effect": "Deny", "Action": "s3tables:*", "Resource": f"{BUCKET}/*", **stranger}
    await put("bucket", deny)
    assert not await may(), "the bucket's policy denies"
    await put("bucket", allow("s3tables:GetTable", f"{BUCKET}/table/*", **stranger))
    assert await may()
    await world.call("s3tables", "delete_table_policy", **NAMED)
    assert await may(), "the bucket's policy allows"
    await world.call("s3tables", "delete_table_bucket_policy", **ON_BUCKET)
    assert not await may()


@told
async def test_a_public_policy_is_blocked(world: World) -> None:
    await lake(world)
    opened = policy(allow("s3tables:GetTable", f"{BUCKET}/*", Principal="*"))
    call = world.call("s3tables", "put_table_bucket_policy", **ON_BUCKET, resourcePolicy=opened)
    assert (await refused(call)).code == "ForbiddenException"
    for wrong in (
        "{", policy(allow("s3tables:*", "arn:aws:s3:::other", Principal={"AWS": OTHER})),
        policy(allow("s3tables:*", BUCKET)),
    ):  # fmt: skip
        call = world.call("s3tables", "put_table_bucket_policy", **ON_BUCKET, resourcePolicy=wrong)
        assert (await refused(call)).code == "BadRequestException"


@told
async def test_tags_of_a_table_and_of_its_bucket_count_in_policies(world: World) -> None:
    await lake(world, tags={"team": "a"})
    await table(world, tags={"stage": "b"})
    for number, (key, value, may) in enumerate(
        (
            ("aws:ResourceTag/stage", "b", True),
            ("aws:ResourceTag/stage", "c", False),
            ("s3tables:TableBucketTag/team", "a", True),
            ("s3tables:TableBucketTag/team", "b", False),
        )
    ):
        one = await user(
            world, f"u{number}",
            allow("s3tables:GetTable", Condition={"StringEquals": {key: value}}),
        )  # fmt: skip
        await world.settle()
        came = await outcome(world.call("s3tables", "get_table", caller=one, **NAMED))
        assert came == ("" if may else "AccessDeniedException"), key


@told
async def test_a_bucket_of_aws_is_written_to_by_its_service_alone(world: World) -> None:
    from doppio.kernel.identity import service_caller

    service = service_caller("metadata.s3", ACCOUNT, "arn:aws:s3:::mine")
    arn = f"arn:aws:s3tables:{REGION}:{ACCOUNT}:bucket/aws-s3"
    own = world.call("s3tables", "create_table_bucket", name="aws-s3")
    assert (await refused(own)).code == "BadRequestException"
    await world.call("s3tables", "create_table_bucket", caller=service, name="aws-s3")
    named = {"tableBucketARN": arn, "namespace": "b_mine", "name": "journal"}
    await world.call(
        "s3tables", "create_namespace", caller=service, tableBucketARN=arn, namespace=["b_mine"]
    )
    whole = {**named, "format": "ICEBERG", "metadata": METADATA}
    await world.call("s3tables", "create_table", caller=service, **whole)
    shown = await world.call("s3tables", "get_table", **named)
    assert shown["type"] == "aws"
    assert shown["managedByService"] == "metadata.s3.amazonaws.com"
    here = place(shown["metadataLocation"])
    assert await outcome(world.call("s3", "get_object", **here)) == ""
    there = {**here, "Key": "data/a", "Body": b"x"}
    assert await outcome(world.call("s3", "put_object", **there)) == "AccessDeniedException"
    assert await outcome(world.call("s3", "put_object", caller=service, **there)) == ""
    renamed = world.call("s3tables", "rename_table", **named, newName="mine")
    assert await outcome(renamed) == "AccessDeniedException"
    other = service_caller("metadata.s3", OTHER, "arn:aws:s3:::mine")
    assert await outcome(world.call("s3", "put_object", caller=other, **there)) != ""
    await world.call("s3tables", "delete_table", **named)
