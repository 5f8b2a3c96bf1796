"""S3 Metadata over real HTTP: boto3 asks for tables, and PyIceberg reads them by the REST catalog."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from pyiceberg.catalog.rest import RestCatalog

from doppio.testing import Cloud

from ..s3tables.test_pyiceberg import catalog


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with Cloud() as running:
        yield running


@pytest.fixture
def s3(cloud: Cloud) -> Any:
    from botocore.config import Config

    config = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
    return cloud.client("s3", config=config)


def until_active(s3: Any, bucket: str) -> dict[str, Any]:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        answer = s3.get_bucket_metadata_configuration(Bucket=bucket)
        found: dict[str, Any] = answer["GetBucketMetadataConfigurationResult"][
            "MetadataConfigurationResult"
        ]
        states = {
            found[name]["TableStatus"]
            for name in ("JournalTableConfigurationResult", "InventoryTableConfigurationResult")
        }
        assert "FAILED" not in states, found
        if states == {"ACTIVE"}:
            return found
        time.sleep(0.05)
    raise AssertionError("the tables are still not there")


def read(lake: RestCatalog, namespace: str, name: str, count: int) -> list[dict[str, Any]]:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        rows: list[dict[str, Any]] = (
            lake.load_table((namespace, name)).scan().to_arrow().to_pylist()
        )
        if len(rows) >= count:
            break
        time.sleep(0.1)
    return sorted(rows, key=lambda row: str(row["sequence_number"]))


def test_clients_ask_for_tables_and_read_them(cloud: Cloud, s3: Any) -> None:
    s3.create_bucket(Bucket="beans-and-more")
    s3.put_object(Bucket="beans-and-more", Key="first", Body=b"12345")
    s3.create_bucket_metadata_configuration(
        Bucket="beans-and-more",
        MetadataConfiguration={
            "JournalTableConfiguration": {
                "RecordExpiration": {"Expiration": "ENABLED", "Days": 10}
            },
            "InventoryTableConfiguration": {"ConfigurationState": "ENABLED"},
        },
    )
    found = until_active(s3, "beans-and-more")
    where = found["DestinationResult"]
    assert where["TableNamespace"] == "b_beans_and_more"
    s3.put_object(Bucket="beans-and-more", Key="second", Body=b"x" * 100_000, Metadata={"a": "b"})
    s3.delete_object(Bucket="beans-and-more", Key="first")
    cloud.advance("61s")
    lake = catalog(cloud, where["TableBucketArn"])
    rows = read(lake, where["TableNamespace"], "journal", 2)
    assert [(one["key"], one["record_type"], one["size"]) for one in rows] == [
        ("second", "CREATE", 100_000), ("first", "DELETE", None),
    ]  # fmt: skip
    assert rows[0]["source_ip_address"] == "127.0.0.1"
    assert dict(rows[0]["user_metadata"]) == {"a": "b"}
    inventory = read(lake, where["TableNamespace"], "inventory", 1)
    assert [one["key"] for one in inventory] == ["first"]
    cloud.advance("40m")
    end = time.monotonic() + 30
    while [one["key"] for one in inventory] == ["first"] and time.monotonic() < end:
        inventory = read(lake, where["TableNamespace"], "inventory", 1)
    assert [one["key"] for one in inventory] == ["second"]
    s3.delete_bucket_metadata_configuration(Bucket="beans-and-more")
    with pytest.raises(s3.exceptions.ClientError) as refused:
        s3.get_bucket_metadata_configuration(Bucket="beans-and-more")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    assert refused.value.response["Error"]["Code"] == "MetadataConfigurationNotFound"


def test_clients_have_a_journal_in_a_table_bucket_of_their_own(cloud: Cloud, s3: Any) -> None:
    s3.create_bucket(Bucket="tea")
    lake_arn = cloud.client("s3tables").create_table_bucket(name="own-lake")["arn"]
    destination = {"TableBucketArn": lake_arn, "TableName": "tea_leaves"}
    s3.create_bucket_metadata_table_configuration(
        Bucket="tea", MetadataTableConfiguration={"S3TablesDestination": destination}
    )
    s3.put_object(Bucket="tea", Key="green", Body=b"1")
    end = time.monotonic() + 30
    status = ""
    while status != "ACTIVE" and time.monotonic() < end:
        answer = s3.get_bucket_metadata_table_configuration(Bucket="tea")
        status = answer["GetBucketMetadataTableConfigurationResult"]["Status"]
    cloud.advance("61s")
    rows = read(catalog(cloud, lake_arn), "aws_s3_metadata", "tea_leaves", 1)
    assert [one["key"] for one in rows] == ["green"]
    s3.delete_bucket_metadata_table_configuration(Bucket="tea")
