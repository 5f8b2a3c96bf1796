"""What S3 Tables stores: frozen structs, each with its table, key and indexes.

A table's files lie in a bucket of S3 of their own (`services.s3.warehouses`). The table itself is a
name for one of them: the metadata that counts.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from doppio.kernel.records import Index, record

NAMES: Index[Table] = Index("name", ("bucket", "namespace", "name"))
CUSTOMER, AWS = "customer", "aws"


class Replicating(msgspec.Struct, frozen=True, kw_only=True):
    """How tables are replicated: as which role, and to which table buckets."""

    role: str
    destinations: list[str]
    token: str


@record("s3tables.bucket", key=("account", "region", "name"))
class TableBucket(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A bucket of tables. `manager` is the AWS service whose it is, where its type is `aws`.

    `encryption` and the others are as on the wire; None means that they were never put.
    """

    account: str
    region: str
    name: str
    id: str
    partition: str
    created_at: datetime
    manager: str = ""
    policy: str | None = None
    tags: dict[str, str] = {}
    encryption: dict[str, Any] | None = None
    storage_class: str | None = None
    maintenance: dict[str, Any] = {}
    replication: Replicating | None = None

    @property
    def arn(self) -> str:
        place = f"arn:{self.partition}:s3tables:{self.region}:{self.account}"
        return f"{place}:bucket/{self.name}"

    @property
    def type(self) -> str:
        return AWS if self.manager else CUSTOMER


@record("s3tables.namespace", key=("bucket", "name"))
class Namespace(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A group of tables; `bucket` is the id of the bucket in which it lies."""

    bucket: str
    name: str
    id: str
    account: str
    created_at: datetime
    created_by: str


@record("s3tables.table", key=("id",), indexes=(NAMES,))
class Table(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A table. While `name` is None it is being made (its name is `wanted`) or cleared
    away (`gone`). `source` is the ARN of the table whose replica it is.
    """

    id: str
    bucket: str
    bucket_arn: str
    account: str
    namespace: str
    wanted: str
    created_at: datetime
    created_by: str
    modified_at: datetime
    modified_by: str
    token: str
    name: str | None = None
    gone: bool = False
    manager: str = ""
    location: str | None = None
    policy: str | None = None
    tags: dict[str, str] = {}
    encryption: dict[str, Any] | None = None
    storage_class: str | None = None
    maintenance: dict[str, Any] = {}
    replication: Replicating | None = None
    source: str = ""

    @property
    def arn(self) -> str:
        return f"{self.bucket_arn}/table/{self.id}"

    @property
    def type(self) -> str:
        return AWS if self.manager and not self.source else CUSTOMER


class Ran(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a job of maintenance did last. Without a `failure` it has done what there was to do."""

    at: datetime
    failure: str = ""
    disabled: bool = False

    def shown(self) -> dict[str, Any]:
        """As on the wire."""
        status = "Failed" if self.failure else "Disabled" if self.disabled else "Successful"
        found: dict[str, Any] = {"status": status, "lastRunTimestamp": self.at}
        if self.failure:
            found["failureMessage"] = self.failure
        return found


@record("s3tables.upkept", key=("table",))
class Upkept(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was done last to keep a table (by its id) in order, by kind of job."""

    table: str
    jobs: dict[str, Ran] = {}


@record("s3tables.aside", key=("table", "key"))
class Aside(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a table that is non-current since some time, and waits to be deleted."""

    table: str
    key: str
    since: datetime


@record("s3tables.replica", key=("table", "destination"))
class Replica(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far a destination (a table bucket's ARN) of a table (by its id) is.

    `seen` is the source's metadata that was copied last, `location` what became of it there.
    """

    table: str
    destination: str
    arn: str = ""
    seen: str = ""
    location: str = ""
    at: datetime | None = None
    failure: str = ""
