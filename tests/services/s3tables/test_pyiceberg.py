"""S3 Tables through HTTP, with the clients that people use: PyIceberg by the REST catalog, boto3."""

from __future__ import annotations

import pyarrow as pa
import pytest
from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.exceptions import (
    CommitFailedException,
    NamespaceAlreadyExistsError,
    NamespaceNotEmptyError,
    NoSuchNamespaceError,
    NoSuchTableError,
    TableAlreadyExistsError,
)
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table.update import AssertRefSnapshotId, SetPropertiesUpdate
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import LongType, NestedField, StringType

from doppio.testing import Account, Cloud

SCHEMA = Schema(
    NestedField(1, "id", LongType(), required=True), NestedField(2, "said", StringType())
)
ARROW = pa.schema([pa.field("id", pa.int64(), nullable=False), pa.field("said", pa.string())])


def rows(*numbers: int) -> pa.Table:
    """Rows for a table of `SCHEMA`."""
    said = [f"row {number}" for number in numbers]
    return pa.table({"id": list(numbers), "said": said}, schema=ARROW)


def catalog(cloud: Account, bucket: str, **more: str) -> RestCatalog:
    """PyIceberg's catalog, pointed at a table bucket."""
    keys = {"access-key-id": cloud.access_key_id, "secret-access-key": cloud.secret_access_key}
    return RestCatalog(
        "lake",
        **{
            "uri": f"{cloud.endpoint_url}/iceberg",
            "warehouse": bucket,
            "rest.sigv4-enabled": "true",
            "rest.signing-name": "s3tables",
            "rest.signing-region": cloud.region,
            "s3.endpoint": cloud.endpoint_url,
            "s3.region": cloud.region,
            **{f"client.{name}": text for name, text in keys.items()},
            **{f"s3.{name}": text for name, text in keys.items()},
            "client.region": cloud.region,
            **more,
        },
    )


def test_a_table_is_made_appended_to_scanned_and_dropped() -> None:
    with Cloud() as cloud:
        tables = cloud.client("s3tables")
        bucket = tables.create_table_bucket(name="lake")["arn"]
        lake = catalog(cloud, bucket)
        lake.create_namespace("ns")
        with pytest.raises(NamespaceAlreadyExistsError):
            lake.create_namespace("ns")
        assert lake.list_namespaces() == [("ns",)]
        spec = PartitionSpec(PartitionField(2, 1000, IdentityTransform(), "said"))
        made = lake.create_table("ns.t", SCHEMA, partition_spec=spec, properties={"owner": "me"})
        assert made.spec().fields[0].name == "said"
        assert made.properties["owner"] == "me"
        with pytest.raises(TableAlreadyExistsError):
            lake.create_table("ns.t", SCHEMA)
        made.append(rows(1, 2))
        made.append(rows(3))
        again = catalog(cloud, bucket).load_table("ns.t")
        assert sorted(again.scan().to_arrow()["id"].to_pylist()) == [1, 2, 3]
        found = again.scan(row_filter="said = 'row 2'").to_arrow()
        assert found["id"].to_pylist() == [2]
        again.delete("id = 1")
        assert sorted(again.scan().to_arrow()["id"].to_pylist()) == [2, 3]
        with again.update_schema() as change:
            change.add_column("more", StringType())
        assert [field.name for field in lake.load_table("ns.t").schema().fields] == [
            "id", "said", "more",
        ]  # fmt: skip
        shown = tables.get_table(tableBucketARN=bucket, namespace="ns", name="t")
        assert shown["metadataLocation"] == again.metadata_location
        lake.rename_table("ns.t", "ns.u")
        assert lake.list_tables("ns") == [("ns", "u")]
        assert lake.table_exists("ns.u")
        assert not lake.table_exists("ns.t")
        with pytest.raises(NoSuchTableError):
            lake.load_table("ns.t")
        with pytest.raises(NamespaceNotEmptyError):
            lake.drop_namespace("ns")
        lake.purge_table("ns.u")
        lake.drop_namespace("ns")
        with pytest.raises(NoSuchNamespaceError):
            lake.list_tables("ns")
        tables.delete_table_bucket(tableBucketARN=bucket)


def test_a_commit_that_rests_on_an_older_snapshot_fails() -> None:
    with Cloud() as cloud:
        bucket = cloud.client("s3tables").create_table_bucket(name="lake")["arn"]
        lake = catalog(cloud, bucket)
        lake.create_namespace("ns")
        first = lake.create_table("ns.t", SCHEMA)
        second = lake.load_table("ns.t")
        first.append(rows(1))
        with pytest.raises(CommitFailedException):
            # Nobody has written to the table that this one knows.
            lake.commit_table(
                second,
                (AssertRefSnapshotId(ref="main", snapshot_id=None),),
                (SetPropertiesUpdate(updates={"late": "yes"}),),
            )
        found = lake.load_table("ns.t")
        assert found.scan().to_arrow()["id"].to_pylist() == [1]
        assert "late" not in found.properties
        with second.update_schema() as change:
            change.add_column("more", StringType())
        assert lake.load_table("ns.t").current_snapshot() is not None, "what rests on less holds"


def test_boto3_sees_the_same_tables() -> None:
    with Cloud() as cloud:
        tables, s3 = cloud.client("s3tables"), cloud.client("s3")
        bucket = tables.create_table_bucket(name="lake")["arn"]
        tables.create_namespace(tableBucketARN=bucket, namespace=["ns"])
        fields = [
            {"name": "id", "type": "long", "required": True},
            {"name": "said", "type": "string"},
        ]
        tables.create_table(
            tableBucketARN=bucket, namespace="ns", name="t", format="ICEBERG",
            metadata={"iceberg": {"schema": {"fields": fields}}},
        )  # fmt: skip
        table = catalog(cloud, bucket).load_table("ns.t")
        table.append(rows(7))
        assert [one["name"] for one in tables.list_tables(tableBucketARN=bucket)["tables"]] == ["t"]
        shown = tables.get_table(tableBucketARN=bucket, namespace="ns", name="t")
        name, _, key = shown["metadataLocation"].removeprefix("s3://").partition("/")
        assert s3.head_object(Bucket=name, Key=key)["ContentLength"] > 0
        with pytest.raises(s3.exceptions.ClientError) as caught:
            s3.list_objects_v2(Bucket=name)
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 405


def test_a_file_comes_in_parts() -> None:
    with Cloud() as cloud:
        tables, s3 = cloud.client("s3tables"), cloud.client("s3")
        bucket = tables.create_table_bucket(name="lake")["arn"]
        lake = catalog(cloud, bucket)
        lake.create_namespace("ns")
        name = lake.create_table("ns.t", SCHEMA).location().removeprefix("s3://")
        here = {"Bucket": name, "Key": "data/large.parquet"}
        upload = s3.create_multipart_upload(**here)["UploadId"]
        parts = []
        for number, content in enumerate((b"a" * 5 * 1024 * 1024, b"b"), 1):
            part = s3.upload_part(**here, UploadId=upload, PartNumber=number, Body=content)
            parts.append({"PartNumber": number, "ETag": part["ETag"]})
        assert len(s3.list_parts(**here, UploadId=upload)["Parts"]) == 2
        s3.complete_multipart_upload(**here, UploadId=upload, MultipartUpload={"Parts": parts})
        found = s3.get_object(**here, Range="bytes=5242879-")["Body"].read()
        assert found == b"ab"
        other = s3.create_multipart_upload(**here)["UploadId"]
        s3.abort_multipart_upload(**here, UploadId=other)
        with pytest.raises(s3.exceptions.ClientError, match="MethodNotAllowed"):
            s3.list_multipart_uploads(Bucket=name)
