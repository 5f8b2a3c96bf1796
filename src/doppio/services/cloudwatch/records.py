"""What CloudWatch stores: metrics, their points, alarms with their history, dashboards."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from doppio.kernel.records import Index, record


@record("cloudwatch.metric", key=("account", "region", "namespace", "name", "label"))
class Metric(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A metric. `label` is its dimensions as one text; `last` its youngest point, about."""

    account: str
    region: str
    namespace: str
    name: str
    label: str
    id: str
    last: int
    dimensions: dict[str, str] = {}


def label_of(dimensions: dict[str, str]) -> str:
    """Dimensions as one text, the same in whatever order they came."""
    return "\x1f".join(f"{name}\x1e{dimensions[name]}" for name in sorted(dimensions))


@record("cloudwatch.point", key=("metric", "seconds", "at", "unit"))
class Point(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was measured from `at` on, for so many seconds.

    `values` says how often which value came, which percentiles need; it is None where somebody has
    told sums alone.
    """

    metric: str
    seconds: int
    at: int
    unit: str
    count: float
    total: float
    low: float
    high: float
    values: dict[float, float] | None = None


@record("cloudwatch.alarm", key=("account", "region", "name"))
class Alarm(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An alarm. `asked` is what PutMetricAlarm or PutCompositeAlarm was given.

    `generation` changes with each of them, so that jobs of an older one end.
    """

    account: str
    region: str
    name: str
    generation: str
    asked: dict[str, Any]
    updated_at: datetime
    state: str
    reason: str
    state_at: datetime
    changed_at: datetime
    partition: str = "aws"
    reason_data: str = ""
    enabled: bool = True
    rule: str = ""
    tags: dict[str, str] = {}

    @property
    def arn(self) -> str:
        return f"arn:{self.partition}:cloudwatch:{self.region}:{self.account}:alarm:{self.name}"

    @property
    def kind(self) -> str:
        """As AWS names it."""
        return "CompositeAlarm" if self.rule else "MetricAlarm"


BY_TIME: Index[History] = Index("time", ("account", "region", "at"))


@record("cloudwatch.history", key=("account", "region", "alarm", "at", "id"), indexes=(BY_TIME,))
class History(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that happened to an alarm."""

    account: str
    region: str
    alarm: str
    at: datetime
    id: str
    alarm_kind: str
    kind: str
    summary: str
    data: str


@record("cloudwatch.dashboard", key=("account", "name"))
class Dashboard(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A dashboard: of an account, in no Region."""

    account: str
    name: str
    body: str
    changed_at: datetime
    partition: str = "aws"

    @property
    def arn(self) -> str:
        return f"arn:{self.partition}:cloudwatch::{self.account}:dashboard/{self.name}"
