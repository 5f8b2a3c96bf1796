"""What Organizations stores. It is global in its partition: nothing here has a Region.

Everything in an organisation is kept by the organisation's id. An account stands in one row, in an
organisation or not: it keeps its name and address when it leaves.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from doppio.kernel.records import Index, record

BY_ROOT: Index[Organization] = Index("root", ("root",))
SUB_UNITS: Index[Unit] = Index("parent", ("organization", "parent"))
MEMBERS: Index[Account] = Index("organization", ("organization",))
CHILDREN: Index[Account] = Index("parent", ("organization", "parent"))
BY_EMAIL: Index[Account] = Index("email", ("email",))
OF_TYPE: Index[Policy] = Index("type", ("organization", "type"))
ON: Index[Attachment] = Index("policy", ("organization", "policy"))
OF_ORGANIZATION: Index[Handshake] = Index("organization", ("organization",))
FOR_PARTY: Index[Handshake] = Index("party", ("party",))
PARTS: Index[Handshake] = Index("parent", ("parent",))
FOR: Index[Delegate] = Index("service", ("organization", "service"))
INBOUND: Index[Transfer] = Index("target", ("target",))
OUTBOUND: Index[Transfer] = Index("source", ("source",))
RUNNING: Index[Creation] = Index("running", ("organization", "running"))

ALL = "ALL"
ACTIVE = "ACTIVE"
SUSPENDED = "SUSPENDED"
PENDING_CLOSURE = "PENDING_CLOSURE"


@record("organizations.organization", key=("id",), indexes=(BY_ROOT,), partitioned=True)
class Organization(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An organisation with its one root. `enabled` are the policy types that its root has."""

    id: str
    master: str
    root: str
    features: str
    created_at: datetime
    enabled: tuple[str, ...] = ()
    root_tags: dict[str, str] = {}
    partition: str = "aws"

    @property
    def arn(self) -> str:
        """Its ARN."""
        return self.arn_of("organization")

    def arn_of(self, kind: str, *names: str) -> str:
        """The ARN of something in it."""
        return "/".join(
            (f"arn:{self.partition}:organizations::{self.master}:{kind}", self.id, *names)
        )


@record("organizations.unit", key=("organization", "id"), indexes=(SUB_UNITS,), partitioned=True)
class Unit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An organizational unit, below the root or another unit."""

    organization: str
    id: str
    parent: str
    name: str
    tags: dict[str, str] = {}


@record(
    "organizations.account", key=("id",), indexes=(MEMBERS, CHILDREN, BY_EMAIL), partitioned=True
)
class Account(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An account that is or was in an organisation, or was made by one.

    `created_at` is when it was made here; an account that was there before has none.
    """

    id: str
    name: str
    email: str
    organization: str | None = None
    parent: str | None = None
    joined: str = "INVITED"
    joined_at: datetime | None = None
    status: str = ACTIVE
    created_at: datetime | None = None
    closed_at: datetime | None = None
    tags: dict[str, str] = {}


@record("organizations.pair", key=("account",))
class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """A commercial account and the one in GovCloud that was made with it."""

    account: str
    govcloud: str


@record("organizations.creation", key=("organization", "id"), indexes=(RUNNING,), partitioned=True)
class Creation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A request for an account, and what became of it. `running` is None when it is done.

    `govcloud` is the account in GovCloud that is made with it.
    """

    organization: str
    id: str
    account: str
    name: str
    email: str
    role: str
    at: datetime
    running: bool | None = True
    done_at: datetime | None = None
    failure: str | None = None
    tags: dict[str, str] = {}
    govcloud: str | None = None


@record("organizations.policy", key=("organization", "id"), indexes=(OF_TYPE,), partitioned=True)
class Policy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A policy of an organisation's own; AWS's are in `policy_types`."""

    organization: str
    id: str
    type: str
    name: str
    description: str
    content: str
    updated_at: datetime
    tags: dict[str, str] = {}
    managed: bool = False


@record(
    "organizations.attachment",
    key=("organization", "target", "type", "policy"),
    indexes=(ON,),
    partitioned=True,
)
class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """A policy on a root, unit or account."""

    organization: str
    target: str
    type: str
    policy: str
    at: datetime


class Thing(msgspec.Struct, frozen=True, omit_defaults=True):
    """One of a handshake's resources."""

    type: str
    value: str
    parts: tuple[Thing, ...] = ()


@record(
    "organizations.handshake",
    key=("id",),
    indexes=(OF_ORGANIZATION, FOR_PARTY, PARTS),
    partitioned=True,
)
class Handshake(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An agreement that an organisation asks for. `party` is whom, by account, address or name.

    `kind` is the party's. `parent` is the handshake of which this one is a part. `tags` are for the
    account that comes in.
    """

    id: str
    organization: str
    master: str
    action: str
    state: str
    kind: str
    party: str
    at: datetime
    expires_at: datetime
    things: tuple[Thing, ...] = ()
    parent: str | None = None
    ended_at: datetime | None = None
    tags: dict[str, str] = {}
    partition: str = "aws"

    @property
    def arn(self) -> str:
        """Its ARN: the action is part of it."""
        action = self.action.lower()
        return f"arn:{self.partition}:organizations::{self.master}:handshake/{self.organization}/{action}/{self.id}"


@record("organizations.trusted", key=("organization", "service"), partitioned=True)
class Trusted(msgspec.Struct, frozen=True, kw_only=True):
    """A service of AWS's that may work in the whole organisation."""

    organization: str
    service: str
    at: datetime


@record(
    "organizations.delegate",
    key=("organization", "account", "service"),
    indexes=(FOR,),
    partitioned=True,
)
class Delegate(msgspec.Struct, frozen=True, kw_only=True):
    """An account that administers a service for the organisation."""

    organization: str
    account: str
    service: str
    at: datetime


@record("organizations.resource_policy", key=("organization",), partitioned=True)
class ResourcePolicy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the management account lets members do in the organisation."""

    organization: str
    id: str
    content: str
    tags: dict[str, str] = {}


@record("organizations.transfer", key=("id",), indexes=(INBOUND, OUTBOUND), partitioned=True)
class Transfer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An agreement that one organisation's bills are another's business.

    `target` is the management account that takes them on, `source` the one of the organisation
    whose they are; it is known from the invitation, and its organisation from its consent.
    """

    id: str
    name: str
    target: str
    status: str
    start_at: datetime
    handshake: str
    source: str | None = None
    source_email: str | None = None
    end_at: datetime | None = None
    tags: dict[str, str] = {}
