"""What Kinesis stores: frozen structs, each with its table and key.

A shard's records are rows under rising positions without a gap: position 1 is its first record's.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from doppio.kernel.records import record
from doppio.kernel.regions import partition_of


class Shard(msgspec.Struct, frozen=True, array_like=True):
    """A part of a stream: the hash keys from `first` to `last`, 16 bytes each, both inclusive."""

    number: int
    first: bytes
    last: bytes
    opened_at: datetime
    parent: int | None = None
    adjacent: int | None = None
    closed_at: datetime | None = None

    @property
    def id(self) -> str:
        """Its name."""
        return shard_id(self.number)


def shard_id(number: int) -> str:
    """A shard's name by its number."""
    return f"shardId-{number:012d}"


@record("kinesis.stream", key=("account", "region", "name"), rings="name")
class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """One stream. `id` tells it from another that has had its name."""

    account: str
    region: str
    name: str
    id: str
    status: str
    mode: str
    created_at: datetime
    shards: tuple[Shard, ...]
    retention_hours: int
    record_kib: int
    spread: str = "USER_PARTITION_KEY"
    kms_key: str | None = None
    metrics: tuple[str, ...] = ()
    tags: dict[str, str] = {}
    scaled_at: tuple[datetime, ...] = ()
    moded_at: tuple[datetime, ...] = ()

    @property
    def arn(self) -> str:
        """Its ARN."""
        return f"arn:{partition_of(self.region)}:kinesis:{self.region}:{self.account}:stream/{self.name}"

    @property
    def shards_made(self) -> int:
        """How many shards it has had: a shard that is forgotten has later ones in its place."""
        return max(shard.number for shard in self.shards) + 1

    @property
    def open_shards(self) -> tuple[Shard, ...]:
        """The shards that take records."""
        return tuple(shard for shard in self.shards if shard.closed_at is None)


@record("kinesis.head", key=("stream", "shard"))
class Head(msgspec.Struct, frozen=True, kw_only=True):
    """How far a shard has come: the position of its newest record, and of the last that is gone."""

    stream: str
    shard: int
    newest: int = 0
    trimmed: int = 0


@record("kinesis.record", key=("stream", "shard", "position"))
class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A record. `wrapped` is the data key that opens `data`, as KMS wrapped it."""

    stream: str
    shard: int
    position: int
    at: datetime
    key: str
    data: bytes
    wrapped: bytes | None = None


@record("kinesis.consumer", key=("stream", "name"))
class Consumer(msgspec.Struct, frozen=True, kw_only=True):
    """Who reads with a throughput of its own."""

    stream: str
    name: str
    arn: str
    created_at: datetime
    tags: dict[str, str] = {}
