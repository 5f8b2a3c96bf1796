"""DynamoDB through a real client: what is more than items crosses the wire and comes back."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from doppio.testing import Cloud


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with Cloud() as running:
        yield running


@pytest.fixture(scope="module")
def db(cloud: Cloud) -> Any:
    client = cloud.account().client("dynamodb")
    client.create_table(
        TableName="orders",
        KeySchema=[
            {"AttributeName": "id", "KeyType": "HASH"},
            {"AttributeName": "n", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "id", "AttributeType": "S"},
            {"AttributeName": "n", "AttributeType": "N"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    client.get_waiter("table_exists").wait(TableName="orders")
    return client


def test_statements(db: Any) -> None:
    for n in range(5):
        db.execute_statement(
            Statement="INSERT INTO orders VALUE {'id': 'a', 'n': ?, 'raw': ?}",
            Parameters=[{"N": str(n)}, {"B": b"\x00\xff"}],
        )
    with pytest.raises(db.exceptions.DuplicateItemException) as refused:
        db.execute_statement(Statement="INSERT INTO orders VALUE {'id': 'a', 'n': 1}")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    found, token = [], {}
    while True:
        page = db.execute_statement(
            Statement="SELECT n, raw FROM orders WHERE id = 'a' ORDER BY n DESC", Limit=2, **token
        )
        found += page["Items"]
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert [one["n"]["N"] for one in found] == ["4", "3", "2", "1", "0"]
    assert found[0]["raw"] == {"B": b"\x00\xff"}
    got = db.batch_execute_statement(
        Statements=[
            {"Statement": "UPDATE orders SET x = 1 WHERE id = 'a' AND n = 0"},
            {"Statement": "UPDATE orders SET x = 1 WHERE id = 'a' AND n = 99"},
        ]
    )
    assert [one.get("Error", {}).get("Code") for one in got["Responses"]] == [
        None, "ConditionalCheckFailed",
    ]  # fmt: skip
    with pytest.raises(db.exceptions.TransactionCanceledException) as cancelled:
        db.execute_transaction(
            TransactStatements=[
                {"Statement": "DELETE FROM orders WHERE id = 'a' AND n = 0"},
                {"Statement": "INSERT INTO orders VALUE {'id': 'a', 'n': 1}"},
            ]
        )
    reasons = cancelled.value.response["CancellationReasons"]
    assert [one["Code"] for one in reasons] == ["None", "DuplicateItem"]


def test_backups_and_moments(db: Any) -> None:
    spec = {"PointInTimeRecoveryEnabled": True}
    db.update_continuous_backups(TableName="orders", PointInTimeRecoverySpecification=spec)
    db.put_item(TableName="orders", Item={"id": {"S": "b"}, "n": {"N": "1"}})
    shown = db.describe_continuous_backups(TableName="orders")["ContinuousBackupsDescription"]
    latest = shown["PointInTimeRecoveryDescription"]["LatestRestorableDateTime"]
    db.delete_item(TableName="orders", Key={"id": {"S": "b"}, "n": {"N": "1"}})
    made = db.create_backup(TableName="orders", BackupName="backup")["BackupDetails"]
    while made["BackupStatus"] == "CREATING":
        time.sleep(0.05)
        described = db.describe_backup(BackupArn=made["BackupArn"])
        made = described["BackupDescription"]["BackupDetails"]
    db.restore_table_from_backup(TargetTableName="of-backup", BackupArn=made["BackupArn"])
    db.restore_table_to_point_in_time(
        SourceTableName="orders", TargetTableName="of-moment", RestoreDateTime=latest
    )
    found = {}
    for name in ("of-backup", "of-moment"):
        db.get_waiter("table_exists").wait(TableName=name)
        key = {"id": {"S": "b"}, "n": {"N": "1"}}
        found[name] = "Item" in db.get_item(TableName=name, Key=key)
    assert found == {"of-backup": False, "of-moment": True}
    assert [one["BackupName"] for one in db.list_backups()["BackupSummaries"]] == ["backup"]
    with pytest.raises(db.exceptions.BackupNotFoundException):
        db.describe_backup(BackupArn=made["BackupArn"] + "0")


def test_a_policy_lets_another_account_in(cloud: Cloud, db: Any) -> None:
    other = cloud.account().client("dynamodb")
    arn = db.describe_table(TableName="orders")["Table"]["TableArn"]
    with pytest.raises(other.exceptions.ClientError, match="no resource-based policy allows"):
        other.describe_table(TableName=arn)
    statement = {"Effect": "Allow", "Principal": "*", "Action": "dynamodb:DescribeTable",
                 "Resource": arn}  # fmt: skip
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    db.put_resource_policy(ResourceArn=arn, Policy=policy)
    assert other.describe_table(TableName=arn)["Table"]["TableName"] == "orders"
    assert db.get_resource_policy(ResourceArn=arn)["Policy"] == policy
    db.delete_resource_policy(ResourceArn=arn)
