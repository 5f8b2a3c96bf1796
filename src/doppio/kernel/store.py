"""The store: one ordered key-value space in which all state lives.

Keys and values are bytes; keys compare as memory does and begin with neither 0x00 nor 0xff (those
of `keys.pack` never do). Two ways in:

- `Store.view()` sees what is durable, and nothing else.
- `Store.begin()` opens an optimistic transaction. Its reads also see commits that are still on
  their way to disk, since its own commit lands behind them in order. What it read is checked when
  it commits (single keys, and ranges with their gaps); `Conflict` means: run it again.

`commit()` returns when everything in the transaction is on disk, all of it or none.
Implementations: `sqlite_store`, `postgres_store`, and `memory_store` (for simulations: it can
crash at any commit). All three pass `tests/kernel/test_store_contract.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

# The topic of which a listener hears that has missed others: anything may have changed.
MISSED = "*"


class Conflict(Exception):
    """Something this transaction read was changed by another before it could commit."""


class StoreError(Exception):
    """Base of what the store refuses; the text says what to do."""


class StoreFull(StoreError):
    """The disk is full: nothing of the transaction was kept; reading goes on."""


class StoreClosed(StoreError):
    """The store is closing or was lost. Lost in the middle of a commit, it may have made it."""


class StoreCorrupt(StoreError):
    """What lies in the data directory is damaged or not ours: it is left as it is."""


class DataDirectoryInUse(StoreError):
    """Another process has this data directory."""


class View(Protocol):
    """Reading."""

    async def get(self, key: bytes) -> bytes | None: ...

    async def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Values in the order of `keys`."""
        ...

    async def scan(
        self, lo: bytes, hi: bytes, *, limit: int, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        """At most `limit` pairs with lo <= key < hi, in key order (or its reverse)."""
        ...

    async def ahead(self, lo: bytes, hi: bytes, *, limit: int) -> list[bytes]:
        """The keys that `scan` would give, for who will soon ask for their values one by one."""
        ...

    async def counter(self, key: bytes) -> float:
        """The sum of all `add`s to this counter; 0 where there was none."""
        ...

    async def counters(self, lo: bytes, hi: bytes, *, limit: int) -> list[tuple[bytes, float]]:
        """Counters with lo <= key < hi, in key order."""
        ...

    async def log(self, name: str, after: int, *, limit: int) -> list[tuple[int, bytes]]:
        """Durable entries of a log with positions greater than `after`, oldest first.

        Positions rise, and are not necessarily dense. Start with 0.
        """
        ...

    async def log_end(self, name: str) -> int:
        """The position of a log's newest durable entry; 0 where it has none."""
        ...


class StoreTx(View, Protocol):
    """Reading and writing; reads see this transaction's own writes."""

    def put(self, key: bytes, value: bytes) -> None: ...

    def delete(self, key: bytes) -> None: ...

    def add(self, counter: bytes, amount: float) -> None:
        """Add to a counter. Counters never conflict."""
        ...

    def append(self, log: str, entry: bytes) -> None:
        """Add to the end of a log. Appends never conflict; entries of one commit stay in order."""
        ...

    def notify(self, topic: str) -> None:
        """Once durable, call every listener of every process on this store with `topic`.

        A hint, no delivery: a process whose connection to the store failed hears `MISSED` instead,
        when it has a new one.
        """
        ...

    async def commit(self) -> None:
        """Make it durable, or raise Conflict, StoreFull or StoreClosed and keep nothing of it.

        Without writes it returns once everything that was read is durable.
        """
        ...

    async def abandon(self) -> None:
        """Keep nothing; return once everything that was read is durable.

        A refusal may rest on what was read. Raises Conflict if that has changed meanwhile.
        """
        ...


class Store(Protocol):
    """A key-value space. `listen` is called once per process, before the first commit.

    `shared`: whether other processes may be on it at the same time.
    """

    shared: bool

    def view(self) -> View: ...

    def begin(self) -> StoreTx: ...

    def listen(self, heard: Callable[[str], None]) -> None:
        """`heard(topic)` runs on the event loop after a commit that notified `topic`."""
        ...

    async def trim_log(self, name: str, before: int) -> None:
        """Forget entries with positions up to and including `before`.

        Some may stay for a while: those that were committed together with later ones.
        """
        ...

    async def drop_log(self, name: str) -> None:
        """Forget a log to which nothing will be added again."""
        ...

    async def close(self) -> None:
        """Finish what was asked, then let go of the files."""
        ...
