"""What SQS stores.

A standard message is waiting, in flight or gone, and the `visible_at` in its very key says which:
due now, due later, no row. Receiving moves the row to a later key, and the receipt handle names
that key, so a handle from an earlier receipt points at nothing. Where a change of visibility moves
the row under a handle that stays valid, a `Forward` says where it went.

FIFO messages stand in the order of their sequence numbers within their group; a `Group` says when
its head may be received next, and is gone when the group is empty.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import msgspec

from doppio.kernel.records import Index, record
from doppio.kernel.regions import partition_of

BY_DEAD_LETTER: Index[Queue] = Index("dead_letter", ("dead_letter_arn",))
READY: Index[Group] = Index("ready", ("queue", "ready_at"))
REMEMBERED_UNTIL: Index[Sent] = Index("until", ("queue", "until"))
DELETED_AT: Index[Deleted] = Index("at", ("account", "region", "at"))
ATTEMPTED_UNTIL: Index[Attempt] = Index("until", ("queue", "until"))


class RedrivePolicy(msgspec.Struct, frozen=True):
    """Where messages go that were received too often."""

    arn: str
    receives_max: int


@record("sqs.queue", key=("account", "region", "name"), indexes=(BY_DEAD_LETTER,))
class Queue(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A queue. `id` names its messages: a purge gives it a new one, and the old ones are no more.

    `managed_encryption` is what SQS shows, which is true where nobody asked; `sealed_by_us` is true
    where somebody did. What every use asks for (`seals`, `topic`) is worked out once.
    """

    account: str
    region: str
    name: str
    id: str
    created_at: datetime
    modified_at: datetime
    purged_at: datetime | None = None
    fifo: bool = False
    delay: timedelta = timedelta(0)
    visibility: timedelta = timedelta(seconds=30)
    retention: timedelta = timedelta(days=4)
    wait: timedelta = timedelta(0)
    message_bytes_max: int = 1_048_576
    redrive: RedrivePolicy | None = None
    dead_letter_arn: str | None = None
    redrive_allow: str | None = None
    content_deduplication: bool = False
    deduplication_scope: str = "queue"
    throughput_limit: str = "perQueue"
    managed_encryption: bool = True
    sealed_by_us: bool = False
    kms_reuse_seconds: int = 300
    kms_key: str | None = None
    tags: dict[str, str] = {}

    @property
    def arn(self) -> str:
        """The queue's ARN."""
        return queue_arn(self.account, self.region, self.name)

    @cached_property
    def seals(self) -> bool:
        """Whether bodies lie as ciphertext."""
        return self.sealed_by_us or self.kms_key is not None

    @property
    def kms_reuse(self) -> timedelta:
        """How long a data key may be used again."""
        return timedelta(seconds=self.kms_reuse_seconds)

    @cached_property
    def topic(self) -> str:
        """What rings when a message arrives."""
        return f"sqs/{self.id}"


class Seal(NamedTuple):
    """The data key under which a body lies, wrapped by KMS for the queue with this ARN."""

    wrapped: bytes
    queue: str


class Body(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What a sender gave, and what never changes of a message.

    The text is in clear, or under the data key of `seal`; where that is bytes, they are the text
    under the cloud's own key, and `text` is empty.
    """

    text: str
    sender: str
    sent_at: datetime
    attributes: dict[str, dict[str, Any]] | None = None
    trace: str | None = None
    group: str | None = None
    deduplication: str | None = None
    seal: Seal | bytes | None = None


@record("sqs.message", key=("queue", "visible_at", "id"))
class Message(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A message of a standard queue."""

    queue: str
    visible_at: datetime
    id: str
    body: Body
    receives: int = 0
    first_received_at: datetime | None = None
    dead_letter_source: str | None = None
    forwarded: bool = False


@record("sqs.waiting", key=("queue", "group", "visible_at", "id"))
class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """Where a message of a standard queue that has a group stands; a hint (see `fair`)."""

    queue: str
    group: str
    visible_at: datetime
    id: str


@record("sqs.forward", key=("queue", "id"))
class Forward(msgspec.Struct, frozen=True, kw_only=True):
    """Where the message of receipt number `receives` went when its visibility was changed."""

    queue: str
    id: str
    receives: int
    visible_at: datetime


@record("sqs.fifo", key=("queue", "group", "sequence"))
class FifoMessage(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A message of a FIFO queue. `visible_at` changes with each receipt."""

    queue: str
    group: str
    sequence: int
    visible_at: datetime
    id: str
    body: Body
    receives: int = 0
    first_received_at: datetime | None = None
    dead_letter_source: str | None = None


@record("sqs.group", key=("queue", "group"), indexes=(READY,))
class Group(msgspec.Struct, frozen=True, kw_only=True):
    """A message group that has messages; nothing of it may be received before `ready_at`."""

    queue: str
    group: str
    ready_at: datetime


@record("sqs.sent", key=("queue", "scope", "deduplication"), indexes=(REMEMBERED_UNTIL,))
class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A deduplication id within its five minutes: what the first sender was told."""

    queue: str
    scope: str
    deduplication: str
    message_id: str
    sequence: int
    until: datetime


@record("sqs.attempt", key=("queue", "attempt"), indexes=(ATTEMPTED_UNTIL,))
class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """A receive request attempt id: the messages it was given, as (group, sequence, visible_at)."""

    queue: str
    attempt: str
    given: list[tuple[str, int, datetime]]
    until: datetime


@record("sqs.deleted", key=("account", "region", "name"), indexes=(DELETED_AT,))
class Deleted(msgspec.Struct, frozen=True, kw_only=True):
    """A queue that was deleted within the last minute."""

    account: str
    region: str
    name: str
    at: datetime


@record("sqs.move_task", key=("account", "region", "source", "id"))
class MoveTask(msgspec.Struct, frozen=True, kw_only=True):
    """Dead letters on their way back. `status` is one of AWS's: RUNNING, COMPLETED, …"""

    account: str
    region: str
    source: str
    id: str
    started_at: datetime
    destination: str | None = None
    rate: int | None = None
    status: str = "RUNNING"
    to_move: int = 0
    moved: int = 0
    failure: str | None = None


def queue_arn(account: str, region: str, name: str) -> str:
    """The ARN of a queue."""
    return f"{_within(region)}{account}:{name}"


@lru_cache(maxsize=256)
def _within(region: str) -> str:
    """What the ARNs of a Region begin with."""
    return f"arn:{partition_of(region)}:sqs:{region}:"
