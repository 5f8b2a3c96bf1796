"""Tables are kept in order on the cloud's clock: compaction, snapshots, files nobody refers to."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from pyiceberg.exceptions import ForbiddenError
from pyiceberg.table import Table
from pyiceberg.transforms import IdentityTransform

from doppio.testing import Cloud
from tests.services.s3tables.test_pyiceberg import SCHEMA, catalog, rows

COMPACTION, SNAPSHOTS = "icebergCompaction", "icebergSnapshotManagement"
REMOVAL = "icebergUnreferencedFileRemoval"
# Work goes on in threads of the cloud, on the host's time.
SECONDS = 60.0


class Lake:
    """A cloud with a table, its clients, and a clock that is moved until the upkeep has run."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.tables, self.s3 = cloud.client("s3tables"), cloud.client("s3")
        self.bucket = self.tables.create_table_bucket(name="lake")["arn"]
        self.named = {"tableBucketARN": self.bucket, "namespace": "ns", "name": "t"}
        self.catalog = catalog(cloud, self.bucket)
        self.catalog.create_namespace("ns")
        self.catalog.create_table("ns.t", SCHEMA)

    @property
    def table(self) -> Table:
        """The table, as it is now."""
        return self.catalog.load_table("ns.t")

    def jobs(self) -> dict[str, Any]:
        """What each job did last."""
        found: dict[str, Any] = self.tables.get_table_maintenance_job_status(**self.named)["status"]
        return found

    def advance(self, by: str) -> dict[str, Any]:
        """Let time pass, and wait for the upkeep that is due then."""
        before = self._last()
        self.cloud.advance(by)
        until(lambda: self._last() != before)
        return self.jobs()

    def _last(self) -> list[datetime | None]:
        return [job.get("lastRunTimestamp") for job in self.jobs().values()]

    def configure(self, kind: str, status: str = "enabled", **settings: Any) -> None:
        """Set how a table is kept in order."""
        value = {"status": status, "settings": {kind: settings}} if settings else {"status": status}
        self.tables.put_table_maintenance_configuration(**self.named, type=kind, value=value)

    def is_there(self, location: str) -> bool:
        """Whether a file can be read."""
        bucket, _, key = location.removeprefix("s3://").partition("/")
        try:
            self.s3.head_object(Bucket=bucket, Key=key)
        except self.s3.exceptions.ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                raise
            return False
        return True


def until(holds: Callable[[], bool]) -> None:
    """Wait for what another thread does."""
    end = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)


def test_small_files_become_one_and_no_row_is_lost() -> None:
    with Cloud() as cloud:
        lake = Lake(cloud)
        assert {job["status"] for job in lake.jobs().values()} == {"Not_Yet_Run"}
        for number in range(6):
            lake.table.append(rows(2 * number, 2 * number + 1))
        lake.table.delete("id = 3")
        assert len(list(lake.table.scan().plan_files())) == 6
        jobs = lake.advance("6h")
        assert jobs[COMPACTION]["status"] == "Successful", jobs
        table = lake.table
        assert len(list(table.scan().plan_files())) == 1
        left = [number for number in range(12) if number != 3]
        assert sorted(table.scan().to_arrow()["id"].to_pylist()) == left
        snapshot = table.current_snapshot()
        assert snapshot is not None
        assert snapshot.summary is not None
        assert snapshot.summary.operation.value == "replace"
        assert snapshot.summary["total-records"] == "11"
        before = table.metadata_location
        lake.advance("6h")
        assert lake.table.metadata_location == before, "there was nothing more to do"


def test_large_files_are_read_by_ranges_and_rows_come_in_the_tables_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from doppio.services.s3tables import file_io

    monkeypatch.setattr(file_io, "RANGE_BYTES", 200)
    with Cloud() as cloud:
        lake = Lake(cloud)
        with lake.table.update_sort_order() as order:
            order.desc("id", IdentityTransform())
        for number in range(5):
            lake.table.append(rows(number, 10 - number))
        jobs = lake.advance("6h")
        assert jobs[COMPACTION]["status"] == "Successful", jobs
        assert len(list(lake.table.scan().plan_files())) == 1
        found = lake.table.scan().to_arrow()["id"].to_pylist()
        assert found == sorted([*range(5), *range(6, 11)], reverse=True)


def test_a_partitions_files_stay_in_it() -> None:
    with Cloud() as cloud:
        lake = Lake(cloud)
        with lake.table.update_spec() as spec:
            spec.add_identity("said")
        for _ in range(5):
            lake.table.append(rows(1, 2))
        assert len(list(lake.table.scan().plan_files())) == 10
        jobs = lake.advance("6h")
        assert jobs[COMPACTION]["status"] == "Successful", jobs
        files = list(lake.table.scan().plan_files())
        assert len(files) == 2
        assert {task.file.partition[0] for task in files} == {"row 1", "row 2"}
        assert sorted(lake.table.scan().to_arrow()["id"].to_pylist()) == [1] * 5 + [2] * 5


def test_a_table_that_says_itself_what_it_keeps_is_left_alone() -> None:
    with Cloud() as cloud:
        lake = Lake(cloud)
        lake.configure(SNAPSHOTS, minSnapshotsToKeep=1, maxSnapshotAgeHours=1)
        with lake.table.transaction() as change:
            change.set_properties({"history.expire.min-snapshots-to-keep": "9"})
        for number in range(3):
            lake.table.append(rows(number))
        jobs = lake.advance("2d")
        assert jobs[SNAPSHOTS]["status"] == "Disabled", jobs
        assert len(lake.table.snapshots()) == 3


def test_a_key_of_kms_must_let_the_upkeep_in() -> None:
    with Cloud() as cloud:
        kms, tables = cloud.client("kms"), cloud.client("s3tables")
        key = kms.create_key()["KeyMetadata"]["Arn"]
        alone = kms.get_key_policy(KeyId=key)["Policy"]
        lake = Lake(cloud)
        tables.put_table_bucket_encryption(
            tableBucketARN=lake.bucket,
            encryptionConfiguration={"sseAlgorithm": "aws:kms", "kmsKeyArn": key},
        )
        lake.catalog.purge_table("ns.t")
        with pytest.raises(ForbiddenError, match=r"maintenance\.s3tables"):
            lake.catalog.create_table("ns.t", SCHEMA)
        # As AWS's user guide has it.
        let_in = {
            "Effect": "Allow",
            "Principal": {"Service": "maintenance.s3tables.amazonaws.com"},
            "Action": ["kms:GenerateDataKey", "kms:Decrypt"],
            "Resource": "*",
            "Condition": {"StringLike": {"kms:EncryptionContext:aws:s3:arn": f"{lake.bucket}/*"}},
        }
        policy = json.loads(alone)
        both = json.dumps({**policy, "Statement": [*policy["Statement"], let_in]})
        kms.put_key_policy(KeyId=key, Policy=both)
        lake.catalog.create_table("ns.t", SCHEMA)
        kms.put_key_policy(KeyId=key, Policy=alone)
        for number in range(5):
            lake.table.append(rows(number))
        jobs = lake.advance("6h")
        assert jobs[COMPACTION]["status"] == "Failed", jobs
        assert "kms:" in jobs[COMPACTION]["failureMessage"]
        kms.put_key_policy(KeyId=key, Policy=both)
        jobs = lake.advance("6h")
        assert jobs[COMPACTION]["status"] == "Successful", jobs
        (task,) = lake.table.scan().plan_files()
        bucket, _, name = task.file.file_path.removeprefix("s3://").partition("/")
        assert lake.s3.head_object(Bucket=bucket, Key=name)["SSEKMSKeyId"] == key
        assert sorted(lake.table.scan().to_arrow()["id"].to_pylist()) == list(range(5))
        with pytest.raises(lake.s3.exceptions.ClientError, match="as the table is"):
            lake.s3.put_object(Bucket=bucket, Key="a", Body=b"", ServerSideEncryption="AES256")


def test_a_table_whose_files_are_gone_is_said_to_fail() -> None:
    with Cloud() as cloud:
        lake = Lake(cloud)
        lake.table.append(rows(1))
        snapshot = lake.table.current_snapshot()
        assert snapshot is not None
        bucket, _, key = snapshot.manifest_list.removeprefix("s3://").partition("/")
        lake.s3.put_object(Bucket=bucket, Key=key, Body=b"no manifest")
        jobs = lake.advance("4d")
        for kind in (COMPACTION, REMOVAL):
            assert jobs[kind]["status"] == "Failed", jobs
            assert jobs[kind]["failureMessage"].startswith("The table's files cannot be read")
        assert lake.is_there(lake.table.metadata_location), "nothing is removed in doubt"


def test_a_job_that_is_off_does_nothing() -> None:
    with Cloud() as cloud:
        lake = Lake(cloud)
        lake.configure(COMPACTION, "disabled")
        for number in range(6):
            lake.table.append(rows(number))
        jobs = lake.advance("6h")
        assert jobs[COMPACTION] == {"status": "Disabled"}
        assert len(list(lake.table.scan().plan_files())) == 6


def test_old_snapshots_expire_and_their_files_go_in_two_steps() -> None:
    with Cloud() as cloud:
        lake = Lake(cloud)
        lake.configure(COMPACTION, "disabled")
        lake.configure(SNAPSHOTS, minSnapshotsToKeep=2, maxSnapshotAgeHours=24)
        for number in range(4):
            lake.table.append(rows(number))
        lake.table.overwrite(rows(9))
        old = lake.table
        assert len(old.snapshots()) == 6, "an overwrite deletes, and then appends"
        first = old.snapshots()[0]
        lake.advance("12h")
        assert len(lake.table.snapshots()) == 6, "none is old enough"
        jobs = lake.advance("2d")
        assert jobs[SNAPSHOTS]["status"] == "Successful", jobs
        assert len(lake.table.snapshots()) == 2
        assert lake.table.scan().to_arrow()["id"].to_pylist() == [9]
        assert not lake.is_there(first.manifest_list), "it is non-current"
        usage = cloud.client("s3tables").get_table_bucket_maintenance_configuration(
            tableBucketARN=lake.bucket
        )["configuration"]
        assert usage[REMOVAL]["settings"][REMOVAL] == {"unreferencedDays": 3, "nonCurrentDays": 10}


def test_a_file_that_nobody_refers_to_goes_after_its_days() -> None:
    with Cloud() as cloud:
        lake = Lake(cloud)
        lake.table.append(rows(1))
        table = lake.table
        stray = f"{table.location()}/data/stray.parquet"
        bucket, _, key = stray.removeprefix("s3://").partition("/")
        lake.s3.put_object(Bucket=bucket, Key=key, Body=b"nobody's")
        lake.advance("2d")
        assert lake.is_there(stray)
        jobs = lake.advance("2d")
        assert jobs[REMOVAL]["status"] == "Successful", jobs
        assert not lake.is_there(stray)
        assert lake.is_there(table.metadata_location)
        assert lake.table.scan().to_arrow()["id"].to_pylist() == [1]
        lake.advance("11d")
        lake.advance("11d")
        assert lake.table.scan().to_arrow()["id"].to_pylist() == [1]


def test_settings_have_limits() -> None:
    with Cloud() as cloud:
        lake = Lake(cloud)
        for size in (63, 513):
            with pytest.raises(lake.tables.exceptions.BadRequestException) as caught:
                lake.configure(COMPACTION, targetFileSizeMB=size)
            assert caught.value.response["Error"]["Message"] == (
                "The target file size must be between 64 MB and 512 MB."
            )
        lake.configure(COMPACTION, targetFileSizeMB=64)
        found = lake.tables.get_table_maintenance_configuration(**lake.named)["configuration"]
        assert found[COMPACTION] == {
            "status": "enabled",
            "settings": {COMPACTION: {"targetFileSizeMB": 64, "strategy": "auto"}},
        }
        assert found[SNAPSHOTS]["settings"][SNAPSHOTS] == {
            "minSnapshotsToKeep": 1, "maxSnapshotAgeHours": 120,
        }  # fmt: skip
