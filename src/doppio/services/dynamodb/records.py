"""What DynamoDB stores beside the items themselves: tables, and transactions it remembers."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any

import msgspec

from doppio.kernel.keys import pack
from doppio.kernel.records import Index, record
from doppio.kernel.regions import partition_of

ITEMS = pack("ddb.item")


class KeyPart(msgspec.Struct, frozen=True, array_like=True):
    """One attribute of a key: its name, its type (S, N or B), and whether it is the hash key."""

    name: str
    type: str
    hash: bool


class Throughput(msgspec.Struct, frozen=True, kw_only=True):
    """Provisioned capacity; zeros on demand. Also: when it was raised and lowered, and how often
    lowered on that day."""

    read: int = 0
    write: int = 0
    raised_at: datetime | None = None
    lowered_at: datetime | None = None
    lowered: int = 0

    def same(self, other: Throughput) -> bool:
        """Whether it is as much."""
        return (self.read, self.write) == (other.read, other.write)


class SecondaryIndex(msgspec.Struct, frozen=True, kw_only=True):
    """A secondary index: `projection` is ALL, KEYS_ONLY or INCLUDE (of `included`).

    `id` begins the rows of an index that was added later: one that is made anew under an old name
    does not see old rows. Those made with their table need none. `at_most` and `warm` are as a
    table's.
    """

    name: str
    key: tuple[KeyPart, ...]
    projection: str
    included: tuple[str, ...] = ()
    is_global: bool = True
    throughput: Throughput = Throughput()
    status: str = "ACTIVE"
    id: str = ""
    at_most: Throughput = Throughput()
    warm: Throughput = Throughput()


class VectorIndex(msgspec.Struct, frozen=True, kw_only=True):
    """A vector index: `schema` names attributes as HASH or INLINE_FILTER. `id` begins its rows."""

    name: str
    id: str
    attribute: str
    schema: tuple[tuple[str, str], ...]
    projection: str
    included: tuple[str, ...]
    dimensions: int
    distance: str
    status: str = "ACTIVE"


class StreamSetting(msgspec.Struct, frozen=True, kw_only=True):
    """A table's latest stream: what of a change it tells, while it is `enabled`.

    `id` names the log of its records.
    """

    id: str
    label: str
    view: str
    enabled: bool = True


class Recovery(msgspec.Struct, frozen=True, kw_only=True):
    """Point-in-time recovery: since when a table is remembered, and for how many days."""

    since: datetime
    days: int = 35


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """Where a table came from: a backup or another table, as of a moment."""

    at: datetime
    table: str
    backup: str | None = None
    in_progress: bool = True


class Replication(msgspec.Struct, frozen=True, kw_only=True):
    """That a table is a replica: with its `peers`, the other Regions that have one.

    `id` is this membership's: a table that joins anew does not see what an earlier membership has
    left. `group` all replicas have alike. `read`, `reads` (of indexes, by name), `most` (reads on
    demand) and `table_class` say what is this replica's own and does not follow the others. `source_at` is when another replica
    was last made of this one. One that is `protected` does not leave.
    """

    id: str
    group: str
    version: str
    peers: tuple[str, ...]
    strong: bool = False
    witness: str | None = None
    read: int | None = None
    reads: dict[str, int] = {}
    most: int | None = None
    table_class: bool = False
    protected: bool = True
    source_at: datetime | None = None


class Insight(msgspec.Struct, frozen=True, kw_only=True):
    """That the keys of a table or index are counted: in which mode, and since when."""

    mode: str
    at: datetime
    on: bool = True


class SealKey(msgspec.Struct, frozen=True, kw_only=True):
    """The data key under which a table's items are sealed, `wrapped` by `kms_key`, or by the cloud's
    own key where there is none. `managed`: it is AWS's managed key of the account."""

    id: bytes
    wrapped: bytes
    context: dict[str, str]
    kms_key: str | None = None
    managed: bool = False
    status: str = "ENABLED"
    inaccessible_at: datetime | None = None


@record("dynamodb.table", key=("account", "region", "name"))
class Table(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A table. `id` begins its items' rows, so a table that is made anew does not see old ones.

    `holds` are moments as of which something reads it. What it was is kept (`past`) of all changes
    behind `remembers_since`. `at_most` is what it may do on demand (zero: without limit), `warm` what
    it was warmed for. What every use of its items asks for (`prefix`, `text_key`, `is_plain`) is worked
    out once.
    """

    account: str
    region: str
    name: str
    id: str
    created_at: datetime
    status: str
    key: tuple[KeyPart, ...]
    attributes: dict[str, str]
    indexes: tuple[SecondaryIndex, ...] = ()
    on_demand: bool = False
    on_demand_since: datetime | None = None
    throughput: Throughput = Throughput()
    table_class: str | None = None
    deletion_protection: bool = False
    ttl_attribute: str | None = None
    ttl_status: str = "DISABLED"
    tags: dict[str, str] = {}
    stream: StreamSetting | None = None
    recovery: Recovery | None = None
    holds: dict[str, datetime] = {}
    remembers_since: datetime | None = None
    restored: Restored | None = None
    at_most: Throughput = Throughput()
    warm: Throughput = Throughput()
    replication: Replication | None = None
    feeds: tuple[str, ...] = ()
    seal: SealKey | None = None
    insights: dict[str, Insight] = {}
    vectors: tuple[VectorIndex, ...] = ()

    @property
    def arn(self) -> str:
        """The table's ARN."""
        return table_arn(self.account, self.region, self.name)

    @cached_property
    def prefix(self) -> bytes:
        """What the rows of its items begin with."""
        return ITEMS + self.id.encode()

    @cached_property
    def text_key(self) -> tuple[str, ...]:
        """The names of its key attributes in their order, if all of them are texts; else none."""
        return tuple(p.name for p in self.key) if {p.type for p in self.key} == {"S"} else ()

    @cached_property
    def key_names(self) -> frozenset[str]:
        """The names of its key attributes."""
        return frozenset(part.name for part in self.key)

    @cached_property
    def is_plain(self) -> bool:
        """Whether a change of an item is its row and nothing more, and rows lie in clear."""
        followers = (
            self.indexes, self.stream, self.feeds, self.vectors, self.replication,
            self.remembers_since, self.seal,
        )  # fmt: skip
        return not any(followers)

    def index(self, name: str) -> SecondaryIndex | None:
        """The secondary index of a name."""
        return next((one for one in self.indexes if one.name == name), None)


@record("dynamodb.stream", key=("account", "region", "table", "label"))
class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """A stream, which can be read for a day after it was closed, and its table deleted.

    `trimmed` is the position in its log up to which it was forgotten.
    """

    account: str
    region: str
    table: str
    label: str
    id: str
    view: str
    key: tuple[KeyPart, ...]
    created_at: datetime
    closed_at: datetime | None = None
    trimmed: int = 0
    seal: SealKey | None = None

    @property
    def arn(self) -> str:
        """The stream's ARN."""
        return f"{table_arn(self.account, self.region, self.table)}/stream/{self.label}"


BY_TABLE: Index[Backup] = Index("by_table", ("account", "region", "table", "id"))


@record("dynamodb.backup", key=("account", "region", "id"), indexes=(BY_TABLE,))
class Backup(msgspec.Struct, frozen=True, kw_only=True):
    """A backup: a table as it was (`source`), and its items under the id `data`.

    `id` begins with the time. `restoring` are the tables that are being made of it.
    """

    account: str
    region: str
    table: str
    id: str
    name: str
    data: str
    kind: str
    status: str
    created_at: datetime
    source: Table
    items: int
    bytes: int
    expires_at: datetime | None = None
    restoring: tuple[str, ...] = ()

    @property
    def arn(self) -> str:
        """The backup's ARN."""
        return f"{table_arn(self.account, self.region, self.table)}/backup/{self.id}"


@record("dynamodb.export", key=("account", "region", "table", "id"))
class Export(msgspec.Struct, frozen=True, kw_only=True):
    """An export of a table as of `until`, or of its changes since `since`; and how far it is.

    `given` is the request, `caller` who goes on asking (`kernel.forward`), `after` the key behind
    which the next file begins.
    """

    account: str
    region: str
    table: str
    table_id: str
    id: str
    given: dict[str, Any]
    started_at: datetime
    until: datetime
    since: datetime | None
    view: str | None
    format: str
    caller: dict[str, Any]
    key: tuple[KeyPart, ...]
    status: str = "IN_PROGRESS"
    after: bytes = b""
    files: list[dict[str, Any]] = []
    items: int = 0
    size: int = 0
    ended_at: datetime | None = None
    failure: tuple[str, str] | None = None

    @property
    def table_arn(self) -> str:
        """The table's ARN."""
        return table_arn(self.account, self.region, self.table)

    @property
    def arn(self) -> str:
        """The export's ARN."""
        return f"{self.table_arn}/export/{self.id}"


@record("dynamodb.import", key=("account", "region", "table", "id"))
class Import(msgspec.Struct, frozen=True, kw_only=True):
    """An import into a new table: `done` is the last object that was read to its end, and `lines`
    are those that were read of the next one. `given` and `caller` are as an export's."""

    account: str
    region: str
    table: str
    table_id: str
    id: str
    given: dict[str, Any]
    started_at: datetime
    caller: dict[str, Any]
    status: str = "IN_PROGRESS"
    done: str = ""
    lines: int = 0
    errors: int = 0
    processed: int = 0
    imported: int = 0
    size: int = 0
    ended_at: datetime | None = None
    failure: tuple[str, str] | None = None

    @property
    def table_arn(self) -> str:
        """The table's ARN."""
        return table_arn(self.account, self.region, self.table)

    @property
    def arn(self) -> str:
        """The import's ARN."""
        return f"{self.table_arn}/import/{self.id}"


@record("dynamodb.outbox", key=("id",))
class Outbox(msgspec.Struct, frozen=True, kw_only=True):
    """What a replica (a membership's `id`) has yet to tell its peers.

    `cursors` says by Region up to where its log of changes has arrived there, `trimmed` up to where
    it was forgotten. One that has `emptying` is of a table that is no replica any more: once all has
    arrived, the rows of a deleted table are cleared away, by a job with these arguments.
    """

    id: str
    account: str
    region: str
    table: str
    group: str
    cursors: dict[str, int] = {}
    trimmed: int = 0
    emptying: dict[str, Any] | None = None


FEEDS: Index[Feed] = Index("by_table", ("account", "region", "table", "made_at"))


@record("dynamodb.feed", key=("id",), indexes=(FEEDS,))
class Feed(msgspec.Struct, frozen=True, kw_only=True):
    """A Kinesis stream that a table's changes go to. `id` names the log of what is on its way.

    `sent` says up to where the log has arrived. Of one that is DISABLING the rest still goes out.
    """

    id: str
    account: str
    region: str
    table: str
    table_id: str
    stream: str
    status: str
    precision: str
    made_at: datetime
    sent: int = 0


@record("dynamodb.global", key=("account", "name"), partitioned=True)
class GlobalTable(msgspec.Struct, frozen=True, kw_only=True):
    """A global table of version 2017.11.29, by its name."""

    account: str
    name: str
    regions: tuple[str, ...]
    created_at: datetime
    partition: str = "aws"

    @property
    def arn(self) -> str:
        """The global table's ARN."""
        return f"arn:{self.partition}:dynamodb::{self.account}:global-table/{self.name}"


@record("dynamodb.revision", key=("arn",))
class Revision(msgspec.Struct, frozen=True, kw_only=True):
    """Which policy hangs on a table or stream; the document is the kernel's (`Resource`)."""

    arn: str
    id: str


@record("dynamodb.token", key=("account", "region", "token"))
class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction's client token within its ten minutes."""

    account: str
    region: str
    token: str
    digest: str
    until: datetime
    answer: dict[str, Any] = {}


def table_arn(account: str, region: str, name: str) -> str:
    """The ARN of a table."""
    return f"{_within(region)}{account}:table/{name}"


@lru_cache(maxsize=256)
def _within(region: str) -> str:
    """What the ARNs of a Region begin with."""
    return f"arn:{partition_of(region)}:dynamodb:{region}:"


@record("dynamodb.contributors", key=("account", "region", "rule", "minute"))
class Contributors(msgspec.Struct, frozen=True, kw_only=True):
    """The busiest keys of a minute under a rule of Contributor Insights: for each its sum and how
    often it came; and how many keys there were, at least."""

    account: str
    region: str
    rule: str
    minute: int
    keys: list[tuple[tuple[str, ...], float, float]]
    unique: int
