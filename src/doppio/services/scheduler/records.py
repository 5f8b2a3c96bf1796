"""What EventBridge Scheduler stores.

A schedule has a timer for its next time; when that comes, an `Execution` is made in the same commit
that sets the timer for the time after. An execution is tried on its own until it ends.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from doppio.kernel.records import Index, record

BY_NAME: Index[Schedule] = Index("name", ("account", "region", "name", "group"))


@record("scheduler.group", key=("account", "region", "name"))
class Group(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Schedules that go together. One that is `DELETING` takes none in."""

    account: str
    region: str
    name: str
    partition: str
    created_at: datetime
    modified_at: datetime
    state: str = "ACTIVE"
    token: str | None = None
    tags: dict[str, str] = {}

    @property
    def arn(self) -> str:
        where = f"arn:{self.partition}:scheduler:{self.region}:{self.account}"
        return f"{where}:schedule-group/{self.name}"


@record("scheduler.schedule", key=("account", "region", "group", "name"), indexes=(BY_NAME,))
class Schedule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A schedule; `given` is what it was made of, as on the wire. Each change makes a `revision`."""

    account: str
    region: str
    group: str
    name: str
    partition: str
    revision: str
    created_at: datetime
    modified_at: datetime
    expression: str
    zone: str
    begins_at: datetime
    given: dict[str, Any]
    start: datetime | None = None
    end: datetime | None = None
    enabled: bool = True
    fired_at: datetime | None = None
    token: str | None = None

    @property
    def arn(self) -> str:
        where = f"arn:{self.partition}:scheduler:{self.region}:{self.account}"
        return f"{where}:schedule/{self.group}/{self.name}"

    @property
    def group_arn(self) -> str:
        where = f"arn:{self.partition}:scheduler:{self.region}:{self.account}"
        return f"{where}:schedule-group/{self.group}"


@record("scheduler.execution", key=("id",))
class Execution(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One time that a schedule came due. `last`: its schedule goes when it has ended."""

    id: str
    schedule: tuple[str, str, str, str]
    revision: str
    arn: str
    group_arn: str
    target: dict[str, Any]
    due_at: datetime
    attempts: int = 0
    last: bool = False
