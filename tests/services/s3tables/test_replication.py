"""Tables are replicated to other table buckets: as they are, read-only, and as the role may."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pyiceberg.table import Table

from doppio.testing import Cloud
from tests.services.s3tables.test_pyiceberg import catalog, rows
from tests.services.s3tables.test_upkeep import Lake, until

THERE = "eu-west-1"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{
        "Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {"Service": "replication.s3tables.amazonaws.com"},
    }],
}  # fmt: skip
ACTIONS = (
    "CreateNamespace", "CreateTable", "GetTable", "GetTableData", "GetTableMetadataLocation",
    "ListTables", "PutTableData", "UpdateTableMetadataLocation",
)  # fmt: skip


class Pair(Lake):
    """A lake, another one far away, and a role that may replicate from one to the other."""

    def __init__(self, cloud: Cloud, *actions: str) -> None:
        super().__init__(cloud)
        self.far = cloud.client("s3tables", region_name=THERE)
        self.away = self.far.create_table_bucket(name="pond")["arn"]
        self.iam = cloud.client("iam")
        self.role = self.iam.create_role(
            RoleName="copier", AssumeRolePolicyDocument=json.dumps(TRUST)
        )["Role"]["Arn"]
        self.allow(*(actions or ACTIONS))
        self.arn = self.tables.get_table(**self.named)["tableARN"]
        self.copy = {**self.named, "tableBucketARN": self.away}

    def allow(self, *actions: str) -> None:
        """What the role may."""
        named = [f"s3tables:{action}" for action in actions]
        statement = {"Effect": "Allow", "Action": named, "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.iam.put_role_policy(RoleName="copier", PolicyName="p", PolicyDocument=document)

    @property
    def configuration(self) -> dict[str, Any]:
        return {
            "role": self.role,
            "rules": [{"destinations": [{"destinationTableBucketARN": self.away}]}],
        }

    def status(self) -> dict[str, Any]:
        """How far the one destination is."""
        found = self.tables.get_table_replication_status(tableArn=self.arn)
        assert found["sourceTableArn"] == self.arn
        (one,) = found["destinations"]
        assert one["destinationTableBucketArn"] == self.away
        return dict(one)

    def pass_time(self, by: str, status: str) -> dict[str, Any]:
        """Let time pass until a status is reached."""
        self.cloud.advance(by)
        until(lambda: self.status()["replicationStatus"] == status)
        return self.status()

    def far_table(self) -> Table:
        """The replica, as a client far away knows it."""
        more = {"rest.signing-region": THERE, "s3.region": THERE, "client.region": THERE}
        return catalog(self.cloud, self.away, **more).load_table("ns.t")

    def far_ids(self) -> list[int]:
        """The rows of the replica, as a client far away reads them."""
        return sorted(self.far_table().scan().to_arrow()["id"].to_pylist())


def test_a_replica_is_what_its_table_is_and_follows_it() -> None:
    with Cloud() as cloud:
        pair = Pair(cloud)
        pair.table.append(rows(1, 2))
        made = pair.tables.put_table_replication(
            tableArn=pair.arn, configuration=pair.configuration
        )
        assert pair.status()["replicationStatus"] == "pending"
        found = pair.pass_time("1m", "completed")
        assert pair.far_ids() == [1, 2]
        replica = pair.far.get_table(**pair.copy)
        assert replica["tableARN"] == found["destinationTableArn"]
        assert (
            replica["metadataLocation"]
            == found["lastSuccessfulReplicatedUpdate"]["metadataLocation"]
        )
        assert replica["managedByService"] == "replication.s3tables.amazonaws.com"
        assert replica["managedTableInformation"] == {
            "replicationInformation": {"sourceTableARN": pair.arn}
        }
        pair.table.append(rows(3))
        pair.table.delete("id = 1")
        assert pair.status()["replicationStatus"] == "pending"
        pair.pass_time("2m", "completed")
        assert pair.far_ids() == [2, 3]
        shown = pair.tables.get_table_replication(tableArn=pair.arn)
        assert shown["configuration"] == pair.configuration
        assert shown["versionToken"] == made["versionToken"]
        pair.tables.delete_table_replication(tableArn=pair.arn, versionToken=shown["versionToken"])
        pair.table.append(rows(4))
        cloud.advance("2m")
        own = pair.table.metadata_location
        assert pair.far_ids() == [2, 3], "it stays as it was"
        pair.catalog.purge_table("ns.t")
        until(lambda: not pair.is_there(own))
        assert pair.far_ids() == [2, 3], "it has files of its own"
        table = pair.far_table()
        snapshot = table.current_snapshot()
        assert snapshot is not None
        for manifest in snapshot.manifests(table.io):
            assert manifest.manifest_length == len(table.io.new_input(manifest.manifest_path))


def test_a_replica_takes_no_writes_until_it_is_a_table_of_its_own() -> None:
    with Cloud() as cloud:
        pair = Pair(cloud)
        pair.table.append(rows(1))
        pair.tables.put_table_bucket_replication(
            tableBucketARN=pair.bucket, configuration=pair.configuration
        )
        pair.pass_time("1m", "completed")
        replica = pair.far.get_table(**pair.copy)
        s3 = cloud.client("s3", region_name=THERE)
        name = replica["warehouseLocation"].removeprefix("s3://")
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.put_object(Bucket=name, Key="data/mine", Body=b"x")
        with pytest.raises(ClientError, match="AccessDenied"):
            pair.far.rename_table(**pair.copy, newName="mine")
        pair.far.disassociate_table_replication(tableArn=replica["tableARN"])
        with pytest.raises(pair.far.exceptions.BadRequestException):
            pair.far.disassociate_table_replication(tableArn=replica["tableARN"])
        s3.put_object(Bucket=name, Key="data/mine", Body=b"x")
        assert "managedByService" not in pair.far.get_table(**pair.copy)
        pair.table.append(rows(2))
        failed = pair.pass_time("2m", "failed")
        assert failed["failureMessage"] == (
            "The destination table is no longer a replica of this table."
        )
        assert pair.far_ids() == [1]


def test_replication_does_what_its_role_may_and_is_tried_again() -> None:
    with Cloud() as cloud:
        pair = Pair(cloud, *(action for action in ACTIONS if action != "PutTableData"))
        pair.table.append(rows(1))
        pair.tables.put_table_replication(tableArn=pair.arn, configuration=pair.configuration)
        failed = pair.pass_time("1m", "failed")
        assert "s3tables:PutTableData" in failed["failureMessage"]
        pair.allow(*ACTIONS)
        pair.pass_time("15m", "completed")
        assert pair.far_ids() == [1]


def test_another_account_must_let_the_role_in() -> None:
    with Cloud() as cloud:
        pair = Pair(cloud)
        other = cloud.account()
        theirs = other.client("s3tables")
        away = theirs.create_table_bucket(name="theirs")["arn"]
        pair.table.append(rows(1))
        destinations = [{"destinationTableBucketARN": away}]
        pair.away = away
        pair.tables.put_table_replication(
            tableArn=pair.arn,
            configuration={"role": pair.role, "rules": [{"destinations": destinations}]},
        )
        failed = pair.pass_time("1m", "failed")
        assert "not authorized to perform: s3tables:CreateNamespace" in failed["failureMessage"]
        policy = {
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow", "Principal": {"AWS": pair.role}, "Action": "s3tables:*",
                "Resource": [away, f"{away}/*"],
            }],
        }  # fmt: skip
        theirs.put_table_bucket_policy(tableBucketARN=away, resourcePolicy=json.dumps(policy))
        pair.pass_time("15m", "completed")
        table = catalog(other, away).load_table("ns.t")
        assert table.scan().to_arrow()["id"].to_pylist() == [1]
        shown = theirs.get_table(tableBucketARN=away, namespace="ns", name="t")
        assert shown["ownerAccountId"] == other.account_id


def test_a_configuration_is_checked_when_it_is_put() -> None:
    with Cloud() as cloud:
        pair = Pair(cloud)
        put = pair.tables.put_table_bucket_replication
        own = {
            "role": pair.role,
            "rules": [{"destinations": [{"destinationTableBucketARN": pair.bucket}]}],
        }
        with pytest.raises(pair.tables.exceptions.BadRequestException):
            put(tableBucketARN=pair.bucket, configuration=own)
        none = {
            "role": pair.role,
            "rules": [{"destinations": [{"destinationTableBucketARN": f"{pair.away}-no"}]}],
        }
        with pytest.raises(pair.tables.exceptions.NotFoundException):
            put(tableBucketARN=pair.bucket, configuration=none)
        pair.iam.create_role(
            RoleName="stranger",
            AssumeRolePolicyDocument=json.dumps(TRUST).replace("replication.s3tables", "lambda"),
        )
        stranger = {**pair.configuration, "role": pair.role.replace("copier", "stranger")}
        with pytest.raises(ClientError, match="AccessDenied"):
            put(tableBucketARN=pair.bucket, configuration=stranger)
        token = put(tableBucketARN=pair.bucket, configuration=pair.configuration)["versionToken"]
        with pytest.raises(pair.tables.exceptions.ConflictException):
            put(tableBucketARN=pair.bucket, configuration=pair.configuration, versionToken="old")
        shown = pair.tables.get_table_bucket_replication(tableBucketARN=pair.bucket)
        assert shown["versionToken"] == token
        pair.tables.delete_table_bucket_replication(tableBucketARN=pair.bucket, versionToken=token)
        with pytest.raises(pair.tables.exceptions.NotFoundException):
            pair.tables.get_table_bucket_replication(tableBucketARN=pair.bucket)
        with pytest.raises(pair.tables.exceptions.NotFoundException):
            pair.tables.get_table_replication_status(tableArn=pair.arn)
