"""What S3 Control stores: jobs with their tasks and outcomes, Storage Lens's configurations.

Also what was asked of Multi-Region Access Points. Access points themselves are S3's to store, since
requests come through them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from doppio.kernel.records import Index, record

CREATED: Index[BatchJob] = Index("created", ("account", "region", "created_at"))
TOKENS: Index[AsyncRequest] = Index("token", ("account", "token"))
OPEN: Index[BatchJob] = Index("open", ("open_scope", "rank"))

# Where a job stands: being prepared, to be carried out, about to end, over.
PREPARES = frozenset({"New", "Preparing"})
RUNS = frozenset({"Ready", "Active", "Paused"})
ENDS = {"Completing": "Complete", "Failing": "Failed", "Cancelling": "Cancelled"}
OVER = frozenset(ENDS.values())
RANK_MAX = 2**31


@record("s3control.job", key=("account", "id"), indexes=(CREATED, OPEN))
class BatchJob(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A Batch Operations job.

    `request` is what CreateJob was given, without what is kept beside it. `place` is the last version
    that the generator of its manifest has seen. `total` counts the tasks, all of them once it is
    prepared; `succeeded` and `failed` those that are done. `seconds` is how long it was active.
    `generated` is where its generated manifest lies; `reported` says that its report is written.
    """

    account: str
    id: str
    region: str
    partition: str
    created_at: datetime
    status: str
    priority: int
    request: dict[str, Any]
    token: str = ""
    tags: dict[str, str] = {}
    reason: str = ""
    failures: list[dict[str, str]] = []
    suspended_at: datetime | None = None
    ended_at: datetime | None = None
    place: tuple[str, int] | None = None
    total: int = 0
    succeeded: int = 0
    failed: int = 0
    seconds: float = 0.0
    generated: dict[str, str] | None = None
    reported: bool = False

    @property
    def arn(self) -> str:
        return f"arn:{self.partition}:s3:{self.region}:{self.account}:job/{self.id}"

    @property
    def scope(self) -> str:
        return f"{self.account}/{self.region}"

    @property
    def open_scope(self) -> str | None:
        return self.scope if self.status in RUNS else None

    @property
    def rank(self) -> int:
        return RANK_MAX - self.priority


@record("s3control.token", key=("account", "region", "token"))
class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A client's token, and the job that it made."""

    account: str
    region: str
    token: str
    job: str = ""
    digest: str = ""


@record("s3control.task", key=("job", "number"))
class Task(msgspec.Struct, frozen=True, array_like=True):
    """An object that a job is still to do something to; no version means the current one."""

    job: str
    number: int
    bucket: str
    key: str
    version: str = ""
    tries: int = 0


@record("s3control.outcome", key=("job", "number"))
class Outcome(msgspec.Struct, frozen=True, array_like=True):
    """What came of a task, until the job's report has it."""

    job: str
    number: int
    bucket: str
    key: str
    version: str
    error: str = ""
    status: int = 200
    message: str = ""


@record("s3control.async_request", key=("account", "id"), indexes=(TOKENS,))
class AsyncRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked of a Multi-Region Access Point, and what became of it.

    `operation`, `parameters` and `status` are as on the wire; `token` is the client's own.
    """

    account: str
    id: str
    operation: str
    created_at: datetime
    token: str
    parameters: dict[str, Any]
    status: str = "NEW"
    regions: list[str] = []
    error: tuple[str, str] | None = None

    @property
    def name(self) -> str:
        """Which Multi-Region Access Point it is about."""
        name: str = self.parameters["Name"]
        return name


@record("s3control.lens", key=("account", "region", "id"))
class Lens(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration of Storage Lens, as it was put."""

    account: str
    region: str
    id: str
    partition: str
    document: dict[str, Any]
    tags: dict[str, str] = {}

    @property
    def arn(self) -> str:
        return f"arn:{self.partition}:s3:{self.region}:{self.account}:storage-lens/{self.id}"


@record("s3control.lens_group", key=("account", "region", "name"))
class LensGroup(msgspec.Struct, frozen=True, kw_only=True):
    """A group of Storage Lens, and the filter of what belongs to it."""

    account: str
    region: str
    name: str
    partition: str
    filter: dict[str, Any]
    tags: dict[str, str] = {}

    @property
    def arn(self) -> str:
        base = f"arn:{self.partition}:s3:{self.region}:{self.account}"
        return f"{base}:storage-lens-group/{self.name}"
