"""What CloudWatch Logs stores. Lines lie packed: those of one request and one minute in a row.

A row's key begins with its group and minute, so that a group is searched in order of time, and an
index leads from a stream to its rows. Group and stream are ids, so that what is made anew under an
old name never shows old lines.
"""

from __future__ import annotations

import zlib
from datetime import datetime
from typing import NamedTuple

import msgspec

from doppio.kernel.keys import pack
from doppio.kernel.records import Index, record
from doppio.services.logs import limits


@record("logs.group", key=("account", "region", "name"))
class Group(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A log group. Times are milliseconds since 1970, as everywhere in this service.

    `filters` counts its metric filters, and `subscriptions` its subscription filters, so that nobody
    looks for those of a group without any.
    """

    account: str
    region: str
    name: str
    id: str
    created_at: int
    partition: str = "aws"
    kind: str = "STANDARD"
    retention_days: int | None = None
    protected: bool = False
    filters: int = 0
    subscriptions: int = 0
    tags: dict[str, str] = {}

    @property
    def arn(self) -> str:
        """Without the `:*` with which policies and older answers write it."""
        return f"arn:{self.partition}:logs:{self.region}:{self.account}:log-group:{self.name}"


BY_LAST_EVENT: Index[Stream] = Index("last_event", ("group", "order"))


@record("logs.stream", key=("group", "name"), indexes=(BY_LAST_EVENT,))
class Stream(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A log stream of the group with this id. `batches` numbers what has been put."""

    group: str
    name: str
    id: str
    created_at: int
    batches: int = 0
    first_event: int | None = None
    last_event: int | None = None
    last_ingestion: int | None = None

    @property
    def order(self) -> int:
        """Where it stands in the order of last events; those without one by their creation."""
        return self.created_at if self.last_event is None else self.last_event


OF_STREAM: Index[Batch] = Index("stream", ("stream", "slot"))


@record("logs.batch", key=("group", "slot", "stream", "number"), indexes=(OF_STREAM,))
class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """Lines of one request that belong to one minute (`slot`), in order of their times."""

    group: str
    slot: int
    stream: str
    number: int
    stream_name: str
    ingested_at: int
    size: int
    packed: bytes
    zipped: bool = False


class Line(NamedTuple):
    """One event as a row holds it: its time, its place in the request, its text."""

    at: int
    place: int
    text: str


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[tuple[int, int, str]]).decode


def packed(lines: list[Line]) -> tuple[bytes, bool]:
    """Lines as bytes, and whether those are compressed."""
    raw = _encode(lines)
    if len(raw) < limits.COMPRESSED_BYTES_MIN:
        return raw, False
    return zlib.compress(raw, 1), True


def lines_of(batch: Batch) -> list[Line]:
    """The lines of a row."""
    raw = zlib.decompress(batch.packed) if batch.zipped else batch.packed
    return [Line(*one) for one in _decode(raw)]


def stored_key(group: str) -> bytes:
    """The counter of the bytes that a group holds."""
    return pack("logs.stored", group)


@record("logs.policy", key=("account", "region", "name"))
class ResourcePolicy(msgspec.Struct, frozen=True, kw_only=True):
    """A policy that lets other services write here."""

    account: str
    region: str
    name: str
    document: str
    updated_at: int


@record("logs.subscription_filter", key=("group", "name"))
class SubscriptionFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Where lines that fit are brought; `role` is empty where the destination lets Logs in itself.

    `follower` brings them, from the first row on.
    """

    group: str
    group_name: str
    name: str
    pattern: str
    destination: str
    role: str
    distribution: str
    created_at: int
    follower: str = ""


@record("logs.follower", key=("id",))
class Follower(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far a filter's lines are brought (`sent`, in its log), and how often in a row that failed.

    What failed rests until `due_at`, whatever comes meanwhile.
    """

    id: str
    account: str
    region: str
    group: str
    filter: str
    sent: int = 0
    failures: int = 0
    due_at: datetime | None = None


@record("logs.metric_filter", key=("group", "name"))
class MetricFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What makes numbers of lines. The transformations are as they were given."""

    group: str
    group_name: str
    name: str
    pattern: str
    transformations: list[dict[str, object]]
    created_at: int
