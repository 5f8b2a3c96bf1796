"""Records: what services store, as frozen structs under ordered keys, with indexes.

A record class names its table, the fields that make its key and its indexes:

    DUE: Index[Message] = Index("due", ("queue", "visible_at"))

    @record("sqs.message", key=("queue", "id"), indexes=(DUE,))
    class Message(msgspec.Struct, frozen=True, kw_only=True): ...

What is read at every call and changes seldom may be kept in memory by who asks `ringing` for the topic
that rings when a row changes: `rings` names the field of the key by which rows share a topic.

A record that says so is `partitioned`: it has no Region and yet belongs to one partition, as accounts
and what IAM keeps of them. Its rows of each partition are tables of their own, to which the readers of
that partition's calls lead (`kernel.context`): nothing of one is found from the other.

Rows are msgpack. A new field has a default; any other change of shape is a numbered migration.
An index row holds the key of its record; a record whose indexed field is None is not in that index.

Where pages show a little of many records, `extract` makes that little of each: it is kept in a row of its
own, in the order of the records, and such a page reads nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from doppio.kernel.keys import pack

if TYPE_CHECKING:
    from doppio.kernel.store import StoreTx

T = TypeVar("T")

_encode = msgspec.msgpack.Encoder().encode
KNOWN_MAX = 2_048


class Index(Generic[T]):
    """An order in which records of one table can be found.

    `fields` come first in the index row's key, then the record's own key, so rows are unique.
    """

    __slots__ = ("fields", "name", "prefix", "table", "values")

    def __init__(self, name: str, fields: tuple[str, ...]) -> None:
        self.name = name
        self.fields = fields
        self.prefix = b""
        self.table: Table[Any] | None = None
        self.values = _values(fields)

    def attach(self, table: Table[Any]) -> None:
        """Join the index to its table; `record` does it once."""
        assert self.table is None, f"index {self.name} belongs to two tables"
        self.table = table
        self.prefix = pack(f"{table.name}.{self.name}")

    def row_key(self, row: Any, key: bytes) -> bytes | None:
        """The index row's key for a record, None where the record is not in the index."""
        values = self.values(row)
        if None in values:
            return None
        return self.prefix + pack(*values) + key


class Table(Generic[T]):
    """How the records of one class are kept."""

    __slots__ = (
        "_known", "beside", "cls", "decode", "extract", "extract_prefix", "indexes", "key_fields",
        "key_values", "name", "partitioned", "prefix", "rings",
    )  # fmt: skip

    def __init__(
        self,
        cls: type[T],
        name: str,
        key: tuple[str, ...],
        indexes: Iterable[Index[T]],
        rings: str | None = None,
        partitioned: bool = False,
        extract: Callable[[T], bytes] | None = None,
    ) -> None:
        assert extract is None or not partitioned, "an extract's key says nothing of partitions"
        assert rings is None or rings in key, "a row that moves would ring for its old place only"
        self.partitioned = partitioned
        self.cls = cls
        self.name = name
        self.prefix = pack(name)
        self.key_fields = key
        self.key_values = _values(key)
        self.decode: Callable[[bytes], T] = msgspec.msgpack.Decoder(cls).decode
        self._known: dict[bytes, T] = {}
        self.indexes = tuple(indexes)
        self.rings = None if rings is None else attrgetter(rings)
        self.extract = extract
        # Whether a change of a record takes anything along but its index rows.
        self.beside = rings is not None or extract is not None
        self.extract_prefix = pack(f"{name}.extract")
        for index in self.indexes:
            index.attach(self)

    def key(self, row: T) -> bytes:
        """The row key of a record."""
        return self.prefix + pack(*self.key_values(row))

    def key_of(self, parts: tuple[Any, ...]) -> bytes:
        """The row key of the record with these key fields."""
        return self.prefix + pack(*parts)

    def take_along(self, tx: StoreTx, key: bytes, row: T, *, gone: bool = False) -> None:
        """What a change of a record brings with it: its topic rings, and its extract follows."""
        if self.rings is not None:
            tx.notify(self.ringing(self.rings(row)))
        if self.extract is None:
            return
        extract_key = self.extract_prefix + key[len(self.prefix) :]
        if gone:
            tx.delete(extract_key)
        else:
            tx.put(extract_key, self.extract(row))

    def ringing(self, value: str) -> str:
        """The topic that rings when a row changes whose field `rings` has this value."""
        return f"{self.name}/{value}"

    def decode_known(self, value: bytes) -> T:
        """What `decode` gives, remembered: for definitions, which are read again and again.

        They are known by their rows' bytes, and a changed one has others: nothing goes stale.
        """
        row = self._known.get(value)
        if row is None:
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
            row = self._known[value] = self.decode(value)
        return row

    def encode(self, row: T) -> bytes:
        """The record as stored."""
        return _encode(row)


TABLES: dict[str, Table[Any]] = {}
_BY_CLASS: dict[type, Table[Any]] = {}


def record(
    table: str,
    *,
    key: tuple[str, ...],
    indexes: Iterable[Index[Any]] = (),
    rings: str | None = None,
    partitioned: bool = False,
    extract: Callable[[Any], bytes] | None = None,
) -> Callable[[type[T]], type[T]]:
    """Declare a struct as the record class of `table`."""

    def declare(cls: type[T]) -> type[T]:
        assert table not in TABLES, f"two record classes for table {table}"
        made = Table(cls, table, key, indexes, rings, partitioned, extract)
        TABLES[table] = _BY_CLASS[cls] = made
        return cls

    return declare


def table_of(cls: type[T]) -> Table[T]:
    """The table of a record class."""
    return _BY_CLASS[cls]


@cache
def table_in(partition: str, cls: Any) -> Table[Any]:
    """The table of a record class in a partition other than the first."""
    table = table_of(cls)
    if not table.partitioned:
        return table
    name = f"{table.name}@{partition}"
    indexes = tuple(Index[Any](index.name, index.fields) for index in table.indexes)
    assert table.rings is None, "a topic of one partition would ring in all"
    return Table(cls, name, table.key_fields, indexes)


@cache
def index_in(partition: str, index: Any) -> Index[Any]:
    """An index of a partition other than the first."""
    assert index.table is not None
    table = table_in(partition, index.table.cls)
    return next(one for one in table.indexes if one.name == index.name)


def _values(fields: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    if len(fields) == 1:
        get = attrgetter(fields[0])
        return lambda row: (get(row),)
    return attrgetter(*fields)
