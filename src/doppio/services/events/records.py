"""What EventBridge stores: frozen structs, each with its table, key and indexes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from doppio.kernel.records import Index, record

DEFAULT = "default"
# The state of a rule that hears of API calls that only read, too.
WITH_READS = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"


@record("events.bus", key=("account", "region", "name"))
class Bus(msgspec.Struct, frozen=True, kw_only=True):
    """An event bus. The default one has a row only once somebody has changed it."""

    account: str
    region: str
    name: str
    partition: str
    created_at: datetime | None = None
    modified_at: datetime | None = None
    description: str = ""
    dead_letter: str = ""
    tags: dict[str, str] = {}

    @property
    def arn(self) -> str:
        return f"arn:{self.partition}:events:{self.region}:{self.account}:event-bus/{self.name}"


@record("events.rule", key=("account", "region", "bus", "name"))
class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule with its targets, by id, as PutTargets brought them.

    `since` is when its schedule begins to count: another expression, or to be enabled, begins anew.
    """

    account: str
    region: str
    bus: str
    name: str
    partition: str
    created_by: str
    since: datetime
    pattern: str = ""
    schedule: str = ""
    state: str = "ENABLED"
    description: str = ""
    role: str = ""
    managed_by: str = ""
    tags: dict[str, str] = {}
    targets: dict[str, dict[str, Any]] = {}

    @property
    def arn(self) -> str:
        inside = "" if self.bus == DEFAULT else f"{self.bus}/"
        return f"arn:{self.partition}:events:{self.region}:{self.account}:rule/{inside}{self.name}"


@record("events.lane", key=("id",))
class Lane(msgspec.Struct, frozen=True, kw_only=True):
    """One target of one rule: what is on its way there waits for nothing else."""

    id: str
    account: str
    region: str
    bus: str
    rule: str
    target: str


DUE: Index[Delivery] = Index("due", ("lane", "at"))


@record("events.delivery", key=("id",), indexes=(DUE,))
class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One event on its way to one target, to be tried at `at`.

    The target is as it was when the rule matched: the rule may change or go meanwhile.
    """

    id: str
    lane: str
    at: datetime
    first_at: datetime
    account: str
    rule: str
    target: dict[str, Any]
    event: str
    tries: int = 0


@record("events.archive", key=("account", "region", "name"))
class Archive(msgspec.Struct, frozen=True, kw_only=True):
    """What keeps a bus's events, to be replayed. `id` tells it from an earlier one of its name."""

    account: str
    region: str
    name: str
    partition: str
    id: str
    bus: str
    created_at: datetime
    description: str = ""
    pattern: str = ""
    days: int = 0

    @property
    def arn(self) -> str:
        return f"arn:{self.partition}:events:{self.region}:{self.account}:archive/{self.name}"


@record("events.archived", key=("archive", "at", "id"))
class Archived(msgspec.Struct, frozen=True, kw_only=True):
    """An event in an archive, by the event's own time."""

    archive: str
    at: datetime
    id: str
    event: str


KEPT: Index[Kept] = Index("kept", ("archive", "at"))


@record("events.kept", key=("archive", "id"), indexes=(KEPT,))
class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """When an event came into an archive, and where it is there."""

    archive: str
    id: str
    at: datetime
    event_at: datetime


@record("events.replay", key=("account", "region", "name"))
class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """Events of an archive, sent once more to the rules of its bus."""

    account: str
    region: str
    name: str
    partition: str
    archive: str
    archive_id: str
    bus: str
    since: datetime
    until: datetime
    started_at: datetime
    rules: list[str] = []
    state: str = "STARTING"
    reason: str = ""
    description: str = ""
    position: tuple[datetime, str] | None = None
    ended_at: datetime | None = None

    @property
    def arn(self) -> str:
        return f"arn:{self.partition}:events:{self.region}:{self.account}:replay/{self.name}"


@record("events.connection", key=("account", "region", "name"))
class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """How to say who calls a server outside. What is secret of it lies in Secrets Manager.

    `wanted` is there while it is UPDATING: what it is to be, the digest of its new secret, and the
    state in which it `was`.
    """

    account: str
    region: str
    name: str
    partition: str
    id: str
    kind: str
    created_at: datetime
    modified_at: datetime
    authorised_at: datetime | None = None
    state: str = "AUTHORIZED"
    reason: str = ""
    description: str = ""
    secret: str = ""
    shown: dict[str, Any] = {}
    wanted: dict[str, Any] | None = None

    @property
    def arn(self) -> str:
        return (
            f"arn:{self.partition}:events:{self.region}:{self.account}:"
            f"connection/{self.name}/{self.id}"
        )


@record("events.destination", key=("account", "region", "name"))
class Destination(msgspec.Struct, frozen=True, kw_only=True):
    """A server outside that is called for events."""

    account: str
    region: str
    name: str
    partition: str
    id: str
    connection: str
    endpoint: str
    method: str
    created_at: datetime
    modified_at: datetime
    description: str = ""
    rate: int = 300

    @property
    def arn(self) -> str:
        return (
            f"arn:{self.partition}:events:{self.region}:{self.account}:"
            f"api-destination/{self.name}/{self.id}"
        )


@record("events.pace", key=("destination",))
class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """When a server may be called next, so that its rate is not exceeded."""

    destination: str
    free_at: datetime


@record("events.partner_source", key=("region", "name"))
class PartnerSource(msgspec.Struct, frozen=True, kw_only=True):
    """A partner's stream of events, as the partner sees it: for which customer it is."""

    region: str
    name: str
    partner: str
    account: str
    partition: str

    @property
    def arn(self) -> str:
        return f"arn:{self.partition}:events:{self.region}::event-source/{self.name}"


@record("events.event_source", key=("account", "region", "name"))
class EventSource(msgspec.Struct, frozen=True, kw_only=True):
    """A partner's stream of events, as the customer sees it.

    One that nobody listens to (PENDING) ends at `expires_at`; one that was listened to and whose
    partner has ended it (DELETED) stays until its bus goes.
    """

    account: str
    region: str
    name: str
    partition: str
    created_at: datetime
    state: str = "PENDING"
    expires_at: datetime | None = None

    @property
    def arn(self) -> str:
        return f"arn:{self.partition}:events:{self.region}::event-source/{self.name}"


ENDPOINT_IDS: Index[Endpoint] = Index("ids", ("id",))


@record("events.endpoint", key=("account", "region", "name"), indexes=(ENDPOINT_IDS,))
class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One address for two buses of one name, each in a Region of its own: `region` is the first.

    `replicas` are the Regions and buses on which there is a rule of ours that passes events on.
    """

    account: str
    region: str
    name: str
    partition: str
    id: str
    bus: str
    secondary: str
    health_check: str
    created_at: datetime
    modified_at: datetime
    replicated: bool = True
    role: str = ""
    description: str = ""
    state: str = "CREATING"
    reason: str = ""
    replicas: list[tuple[str, str]] = []

    @property
    def arn(self) -> str:
        return f"arn:{self.partition}:events:{self.region}:{self.account}:endpoint/{self.name}"

    def bus_arn(self, region: str) -> str:
        """The ARN of its bus in one of its Regions."""
        return f"arn:{self.partition}:events:{region}:{self.account}:event-bus/{self.bus}"
