"""What Application Auto Scaling stores: targets, their policies and schedules, and what was done."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

import msgspec

from doppio.kernel.records import Index, record

TARGET_BY_ID: Index[Target] = Index("id", ("account", "region", "id"))
POLICY_BY_ID: Index[Policy] = Index("id", ("account", "region", "id"))
_OF_TARGET = ("account", "region", "namespace", "resource", "dimension")


def target_id(account: str, region: str, namespace: str, resource: str, dimension: str) -> str:
    """The id of a target, which its names alone make: whoever asks for permission knows it, too."""
    text = "\0".join((account, region, namespace, resource, dimension))
    return "0ec5" + hashlib.sha256(text.encode()).hexdigest()[:32]


@record("application-autoscaling.target", key=_OF_TARGET, indexes=(TARGET_BY_ID,))
class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A resource whose capacity may be changed, and within which bounds.

    `suspended` is SuspendedState on the wire.
    """

    account: str
    region: str
    partition: str
    namespace: str
    resource: str
    dimension: str
    id: str
    least: int
    most: int
    role: str
    created_at: datetime
    suspended: dict[str, bool] = {}
    tags: dict[str, str] = {}

    @property
    def arn(self) -> str:
        """The target's ARN."""
        where = f"arn:{self.partition}:application-autoscaling:{self.region}:{self.account}"
        return f"{where}:scalable-target/{self.id}"

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        """What tells it from others."""
        return (self.account, self.region, self.namespace, self.resource, self.dimension)


@record("application-autoscaling.policy", key=(*_OF_TARGET, "name"), indexes=(POLICY_BY_ID,))
class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """A policy that tracks a target; `given` is its configuration on the wire.

    `alarms` are the names of its alarms in CloudWatch by what they are for. `out_at` and `in_at` are
    when it last added and took away: cooldowns count from there.
    """

    account: str
    region: str
    partition: str
    namespace: str
    resource: str
    dimension: str
    name: str
    id: str
    created_at: datetime
    given: dict[str, Any]
    alarms: dict[str, str]
    out_at: datetime | None = None
    in_at: datetime | None = None

    @property
    def arn(self) -> str:
        """The policy's ARN, which is what its alarms act on."""
        return (
            f"arn:{self.partition}:autoscaling:{self.region}:{self.account}:scalingPolicy:{self.id}"
            f":resource/{self.namespace}/{self.resource}:policyName/{self.name}"
        )

    @property
    def target_key(self) -> tuple[str, str, str, str, str]:
        """The key of what it scales."""
        return (self.account, self.region, self.namespace, self.resource, self.dimension)

    def alarm_arn(self, name: str) -> str:
        """The ARN of an alarm of its."""
        return f"arn:{self.partition}:cloudwatch:{self.region}:{self.account}:alarm:{name}"


@record("application-autoscaling.scheduled", key=(*_OF_TARGET, "name"))
class Scheduled(msgspec.Struct, frozen=True, kw_only=True):
    """Other bounds for a target, at a time or again and again."""

    account: str
    region: str
    partition: str
    namespace: str
    resource: str
    dimension: str
    name: str
    id: str
    created_at: datetime
    begins_at: datetime
    expression: str
    zone: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    least: int | None = None
    most: int | None = None

    @property
    def arn(self) -> str:
        """The scheduled action's ARN."""
        return (
            f"arn:{self.partition}:autoscaling:{self.region}:{self.account}:scheduledAction:{self.id}"
            f":resource/{self.namespace}/{self.resource}:scheduledActionName/{self.name}"
        )

    @property
    def target_key(self) -> tuple[str, str, str, str, str]:
        """The key of what it is for."""
        return (self.account, self.region, self.namespace, self.resource, self.dimension)


@record(
    "application-autoscaling.activity", key=("account", "region", "namespace", "started_at", "id")
)
class Activity(msgspec.Struct, frozen=True, kw_only=True):
    """A change of capacity, or why there was none (`reason`, a code of AWS's)."""

    account: str
    region: str
    namespace: str
    started_at: datetime
    id: str
    resource: str
    dimension: str
    wanted: int
    cause: str
    description: str
    status: str = "InProgress"
    message: str = ""
    ended_at: datetime | None = None
    reason: dict[str, Any] | None = None
