"""What SNS stores.

A message that all its subscribers took at once is stored nowhere: it was acknowledged when it lay
in their queues. For each subscriber that could not take it yet there is a `Delivery`, with the
message in it and a timer beside it.
"""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

import msgspec

from doppio.kernel.records import Index, record

OWNED: Index[Subscription] = Index("owned", ("account", "region", "topic", "id"))
BY_ENDPOINT: Index[Subscription] = Index("endpoint", ("topic", "protocol", "endpoint"))
REMEMBERED_UNTIL: Index[Sent] = Index("until", ("topic", "until"))


@record("sns.topic", key=("account", "region", "name"))
class Topic(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, dict=True):
    """A topic. `attributes` are those that were set, as on the wire; its policy hangs on its ARN."""

    account: str
    region: str
    name: str
    partition: str = "aws"
    attributes: dict[str, str] = {}
    data_protection: str | None = None
    archived_since: datetime | None = None
    tags: dict[str, str] = {}
    deleted_subscriptions: int = 0

    @cached_property
    def arn(self) -> str:
        return f"arn:{self.partition}:sns:{self.region}:{self.account}:{self.name}"

    @property
    def fifo(self) -> bool:
        return self.name.endswith(".fifo")


class Replay(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far a subscription has heard the archive again; `status` is AWS's word."""

    id: str
    since: datetime
    until: datetime | None = None
    after: bytes | None = None
    status: str = "Pending"


@record("sns.subscription", key=("topic", "id"), indexes=(OWNED, BY_ENDPOINT), rings="topic")
class Subscription(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who hears of a topic's messages, and how. `token` confirms one that is pending.

    `subscriber` is who made it. One with a `replay` hears the archive, not what is published now.
    """

    topic: str
    id: str
    account: str
    region: str
    protocol: str
    endpoint: str
    created_at: datetime
    attributes: dict[str, str] = {}
    token: str | None = None
    token_at: datetime | None = None
    authenticated: bool = False
    owner_only: bool = False
    subscriber: str = ""
    replay: Replay | None = None

    @property
    def arn(self) -> str:
        return f"{self.topic}:{self.id}"

    @property
    def pending(self) -> bool:
        return self.token is not None


class Seal(NamedTuple):
    """A message's text under a data key, and that key under the cloud's own."""

    key: bytes
    text: bytes


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A published message. `kind` is Notification or one of the confirmations."""

    id: str
    topic: str
    text: str
    published_at: datetime
    kind: str = "Notification"
    subject: str | None = None
    structure: dict[str, str] | None = None
    attributes: dict[str, dict[str, Any]] = {}
    group: str | None = None
    deduplication: str | None = None
    sequence: int | None = None
    token: str | None = None
    replayed: bool = False
    seal: Seal | None = None


@record("sns.delivery", key=("id",))
class Delivery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message that a subscriber has not got yet. `tries` have failed, the first at `first_at`."""

    id: str
    subscription: tuple[str, str]
    message: Message
    first_at: datetime
    tries: int = 0


@record("sns.pace", key=("topic", "subscription"))
class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """When a server may be told next, so that its rate is not exceeded."""

    topic: str
    subscription: str
    free_at: datetime


@record("sns.sent", key=("topic", "scope", "deduplication"), indexes=(REMEMBERED_UNTIL,))
class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A deduplication id within its five minutes: what the first publisher was told."""

    topic: str
    scope: str
    deduplication: str
    message_id: str
    sequence: int
    until: datetime


@record("sns.sequence", key=("topic",))
class Sequence(msgspec.Struct, frozen=True, kw_only=True):
    """The last sequence number of a FIFO topic."""

    topic: str
    last: int
    at: datetime | None = None


@record("sns.archived", key=("topic", "at", "sequence"))
class Archived(msgspec.Struct, frozen=True, kw_only=True):
    """A message in a FIFO topic's archive. `at` never goes back where `sequence` goes on."""

    topic: str
    at: datetime
    sequence: int
    message: Message


@record("sns.signing_key", key=("name",))
class SigningKey(msgspec.Struct, frozen=True, kw_only=True):
    """The key that signs notifications, and its certificate; both PEM."""

    name: str
    key: bytes
    certificate: bytes


@record("sns.mail", key=("account", "at", "id"))
class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """A mail in the local mailbox."""

    account: str
    at: datetime
    id: str
    sender: str
    to: str
    subject: str
    body: str


@record("sns.phone_message", key=("account", "at", "id"))
class PhoneMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A text message in the local inbox of phones."""

    account: str
    at: datetime
    id: str
    region: str
    to: str
    text: str
    kind: str
    sender: str = ""


@record("sns.texted", key=("account", "region", "at", "id"))
class Texted(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a text, until it is in the day's report."""

    account: str
    region: str
    at: datetime
    id: str
    to: str
    kind: str
    status: str
    usd: float
    parts: int


@record("sns.sms_settings", key=("account", "region"))
class SmsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """An account's settings of text messages, as on the wire."""

    account: str
    region: str
    attributes: dict[str, str] = {}
    spent_month: str = ""
    spent_usd: float = 0.0


@record("sns.phone", key=("account", "region", "number"))
class Phone(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A phone number that has opted out, or is in the sandbox with its one-time password."""

    account: str
    region: str
    number: str
    opted_out: bool = False
    opted_in_at: datetime | None = None
    sandbox: str = ""
    password: str = ""
    sent_at: datetime | None = None


@record("sns.application", key=("account", "region", "platform", "name"))
class Application(msgspec.Struct, frozen=True, kw_only=True):
    """A platform application: the phones that have one app."""

    account: str
    region: str
    platform: str
    name: str
    partition: str = "aws"
    attributes: dict[str, str] = {}

    @property
    def arn(self) -> str:
        where = f"arn:{self.partition}:sns:{self.region}:{self.account}"
        return f"{where}:app/{self.platform}/{self.name}"


@record("sns.endpoint", key=("application", "id"), indexes=())
class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One phone's app. `delivered` is what was pushed to it last, newest last."""

    application: str
    id: str
    token: str
    attributes: dict[str, str] = {}

    @property
    def arn(self) -> str:
        return f"{self.application.replace(':app/', ':endpoint/')}/{self.id}"


@record("sns.push", key=("endpoint", "at", "id"))
class Push(msgspec.Struct, frozen=True, kw_only=True):
    """A push notification as the app would have got it."""

    endpoint: str
    at: datetime
    id: str
    payload: str
