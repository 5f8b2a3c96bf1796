"""What an operation gets: who calls, where, when, and the ways to state and to other services.

`Context` is closed: a new member needs a decision record. Reading and writing are typed views on
the store; everything a transaction causes (rows, index rows, events, timers, usage, audit,
wake-ups) is in its one commit.
"""

from __future__ import annotations

import builtins
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import msgspec

from doppio.kernel.clock import Clock
from doppio.kernel.conflicts import TRIES_MAX, step_aside
from doppio.kernel.events import Event, encode_event
from doppio.kernel.identity import Caller, Signed, service_caller
from doppio.kernel.jobs import Job
from doppio.kernel.keys import pack
from doppio.kernel.meter import usage_key
from doppio.kernel.records import Index, Table, index_in, table_in, table_of
from doppio.kernel.regions import partition_of
from doppio.kernel.service import Beyond, Need
from doppio.kernel.store import Conflict, StoreTx, View
from doppio.kernel.wakers import Ticket

if TYPE_CHECKING:
    from doppio.kernel.audit import Audit
    from doppio.kernel.blobs import BlobStore
    from doppio.kernel.kernel import Kernel
    from doppio.kernel.metrics import Measure
    from doppio.kernel.trail import Trail
    from doppio.wire.http import Request

T = TypeVar("T")
_UNREAD = datetime(1970, 1, 1, tzinfo=UTC)


class Reader:
    """Typed reading. Of `ctx.read()`: durable state only."""

    __slots__ = ("context", "raw")
    # From a record class to where its rows are.
    _table: Callable[[Any], Table[Any]] = staticmethod(table_of)

    def __init__(self, view: View, context: Context) -> None:
        # The byte level is open to services whose rows are not records (DynamoDB's items).
        self.raw = view
        self.context = context

    async def get(self, cls: type[T], *key: Any) -> T | None:
        """The record with these key fields."""
        table = self._table(cls)
        value = await self.raw.get(table.prefix + pack(*key))
        return None if value is None else table.decode(value)

    async def find(
        self,
        index: Index[T],
        prefix: tuple[Any, ...] = (),
        *,
        since: Any = None,
        until: Any = None,
        after: bytes | None = None,
        limit: int,
        reverse: bool = False,
    ) -> builtins.list[T]:
        """Records in an index's order.

        `prefix` fixes the first fields; `since` and `until` bound the next one, both inclusive;
        `after` is the index row key (`index_row_key`) of the last record already seen.
        """
        table = index.table
        assert table is not None
        lo, hi = _bounds(index.prefix + pack(*prefix), since, until, after, reverse)
        rows = await self.raw.scan(lo, hi, limit=limit, reverse=reverse)
        values = await self.raw.get_many([key for _, key in rows])
        decode = table.decode
        # An index row and its record are committed together: both are there or neither is.
        found = [
            (key, decode(value)) for (_, key), value in zip(rows, values, strict=True) if value
        ]
        self._seen(table, found)
        return [record for _, record in found]

    async def list(
        self,
        cls: type[T],
        prefix: tuple[Any, ...] = (),
        *,
        since: Any = None,
        until: Any = None,
        after: bytes | None = None,
        limit: int,
        reverse: bool = False,
    ) -> builtins.list[T]:
        """Records in key order; bounds as in `find`, `after` is a record's key (`row_key`)."""
        table = self._table(cls)
        lo, hi = _bounds(table.prefix + pack(*prefix), since, until, after, reverse)
        rows = await self.raw.scan(lo, hi, limit=limit, reverse=reverse)
        decode = table.decode
        found = [(key, decode(value)) for key, value in rows]
        self._seen(table, found)
        return [record for _, record in found]

    def meter(self, usage_type: str, amount: float = 1.0) -> None:
        """Count usage of an operation that only reads; written in a batch within a second."""
        self.context.audit.meter(self.context, usage_type, amount)

    def _seen(self, table: Any, found: builtins.list[tuple[bytes, Any]]) -> None:
        """Transactions remember what they loaded; plain readers have no use for it."""


class Tx(Reader):
    """Typed reading and writing; reads see this transaction's own writes.

    `async with ctx.write() as tx`: commits at the end of the block, or keeps nothing.
    """

    __slots__ = ("_loaded",)
    raw: StoreTx

    def __init__(self, tx: StoreTx, context: Context) -> None:
        self.raw = tx
        self.context = context
        # Indexed rows as last seen or written here: what their index rows are, without reading.
        self._loaded: dict[bytes, Any] = {}

    async def __aenter__(self) -> Self:
        return self

    def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> Awaitable[None]:
        # The store's own coroutine is awaited, with none of ours around it.
        if kind is None:
            context = self.context
            if not context.audited:
                context.kernel.audit.ride(context, self.raw)
            return self.raw.commit()
        if issubclass(kind, Exception):
            # The refusal may rest on a write that is still on its way: wait until it is durable.
            return self.raw.abandon()
        return _at_once()

    async def get(self, cls: type[T], *key: Any) -> T | None:
        """The record with these key fields."""
        table = self._table(cls)
        row_key = table.prefix + pack(*key)
        value = await self.raw.get(row_key)
        found = None if value is None else table.decode(value)
        if table.indexes:
            self._loaded[row_key] = found
        return found

    def add(self, record: T) -> T:
        """Store a record that is known to be new (its id was made here): nothing is read."""
        table = self._table(type(record))
        key = table.key(record)
        self.raw.put(key, table.encode(record))
        if table.beside:
            table.take_along(self.raw, key, record)
        if table.indexes:
            self._loaded[key] = record
            for index in table.indexes:
                row_key = index.row_key(record, key)
                if row_key is not None:
                    self.raw.put(row_key, key)
        return record

    def put(self, record: T, at: bytes | None = None) -> T:
        """Store a record, new or changed. An indexed one must have been read here before.

        `at` is its key (`row_key`), from who knows it already.
        """
        table = self._table(type(record))
        key = table.key(record) if at is None else at
        self.raw.put(key, table.encode(record))
        if table.beside:
            table.take_along(self.raw, key, record)
        if table.indexes:
            assert key in self._loaded, f"read {table.name} in this transaction before putting it"
            self._reindex(table, key, self._loaded[key], record)
            self._loaded[key] = record
        return record

    def delete(self, record: Any) -> None:
        """Remove a record that was read in this transaction."""
        table = self._table(type(record))
        key = table.key(record)
        self.raw.delete(key)
        if table.beside:
            table.take_along(self.raw, key, record, gone=True)
        if table.indexes:
            assert key in self._loaded, f"read {table.name} in this transaction before deleting it"
            self._reindex(table, key, self._loaded[key], None)
            self._loaded[key] = None

    def emit(self, event: Event) -> None:
        """Say a fact; subscribers and controllers hear of it at least once, after the commit."""
        self.raw.append("events", encode_event(event, self.context))
        self.raw.notify("events")

    async def schedule(self, at: datetime, name: str, key: str, **arguments: Any) -> None:
        """Run the service's job `name` for `key` when cloud time reaches `at`.

        A job is known by its name and key: scheduling it again moves it.
        """
        service = name.partition(".")[0]
        await self.get(Job, name, key)
        self.put(
            Job(
                name=name,
                key=key,
                at=at,
                service=service,
                account=self.context.account,
                region=self.context.region,
                arguments=arguments,
            )
        )
        self.raw.notify("jobs")

    async def unschedule(self, name: str, key: str) -> None:
        """Forget a job; it is no error if there is none."""
        job = await self.get(Job, name, key)
        if job is not None:
            self.delete(job)

    def meter(self, usage_type: str, amount: float = 1.0) -> None:
        """Count usage; it is committed together with what caused it."""
        self.raw.add(usage_key(self.context, usage_type), amount)

    def elsewhere(self, context: Context) -> Tx:
        """The same transaction, as another partition's calls see it."""
        make = Tx if context.partition == "aws" else _TxAbroad
        return make(self.raw, context)

    def wake(self, topic: str) -> None:
        """Once durable, wake who waits for `topic` (see `Context.ticket`), in every process."""
        self.raw.notify(topic)

    def _seen(self, table: Any, found: builtins.list[tuple[bytes, Any]]) -> None:
        if table.indexes:
            self._loaded.update(found)

    def _reindex(self, table: Any, key: bytes, old: Any, new: Any) -> None:
        for index in table.indexes:
            was = None if old is None else index.row_key(old, key)
            now = None if new is None else index.row_key(new, key)
            if was != now:
                if was is not None:
                    self.raw.delete(was)
                if now is not None:
                    self.raw.put(now, key)


async def _at_once() -> None:
    """Who was cancelled waits for nothing."""


class _Abroad(Reader):
    """Reading in a partition other than the first: what is partitioned has tables of its own."""

    __slots__ = ()

    def _table(self, cls: Any) -> Table[Any]:
        return table_in(self.context.partition, cls)

    async def find(
        self, index: Index[T], prefix: tuple[Any, ...] = (), **bounds: Any
    ) -> builtins.list[T]:
        """As in the first partition."""
        return await super().find(index_in(self.context.partition, index), prefix, **bounds)


class _TxAbroad(_Abroad, Tx):
    """Writing in a partition other than the first."""

    __slots__ = ()


class Context(msgspec.Struct, eq=False):
    """One call: who, where, now; and the ways to state, time and other services."""

    kernel: Kernel
    caller: Caller
    account: str
    region: str
    request_id: str
    service: str = ""
    operation: str = ""
    # That of the Region, where it is not told.
    partition: str = ""
    source_ip: str = "127.0.0.1"
    user_agent: str = ""
    # The version of TLS, empty without.
    secure: str = ""
    # How a client signed this very call, for policies that ask.
    signature: Signed | None = None
    # The time of this call, read once.
    now: datetime = _UNREAD
    audited: bool = False
    # What EventBridge is told of this call (kernel use).
    trail: Trail | None = None
    # The request as it came by HTTP, where this very call did: for who must tell of it.
    request: Request | None = None
    # Whose usage it is, where that is not `account`: a resource's owner pays for its visitors.
    payer: str | None = None

    def __post_init__(self) -> None:
        if not self.partition:
            self.partition = partition_of(self.region)
        self.now = self.kernel.clock.now()

    @property
    def clock(self) -> Clock:
        """Cloud time, for waiting; `now` is the time of this call, read once."""
        return self.kernel.clock

    @property
    def audit(self) -> Audit:
        """Where this call is recorded (kernel use)."""
        return self.kernel.audit

    @property
    def blobs(self) -> BlobStore:
        """Large bodies beside the store."""
        return self.kernel.blobs

    @property
    def machine(self) -> Any:
        """The data planes' drivers."""
        return self.kernel.machine

    def count(
        self,
        measure: Measure,
        account: str,
        region: str,
        names: tuple[str, ...],
        amount: float = 1.0,
    ) -> None:
        """Measure what has happened to a resource, for CloudWatch; behind the commit, not in it.

        A transaction may run twice, and what it would have counted did not happen.
        """
        self.kernel.metrics.count(measure, account, region, names, self.now, amount)

    def read(self) -> Reader:
        """Durable state."""
        if self.partition != "aws":
            return _Abroad(self.kernel.store.view(), self)
        return Reader(self.kernel.store.view(), self)

    def write(self) -> Tx:
        """A transaction: `async with ctx.write() as tx`.

        On a conflict the door runs the whole operation again. An operation that has consumed a
        stream or commits more than once uses `transact`.
        """
        make = Tx if self.partition == "aws" else _TxAbroad
        return make(self.kernel.store.begin(), self)

    async def transact(self, body: Callable[[Tx], Awaitable[T]]) -> T:
        """Run `body` in a transaction of its own, again as often as others get in its way."""
        for tries in range(TRIES_MAX):
            try:
                async with self.write() as tx:
                    return await body(tx)
            except Conflict:
                if tries + 1 == TRIES_MAX:
                    raise
            await step_aside(self, tries)
        raise AssertionError("unreachable")

    def ticket(self, topic: str) -> Ticket:
        """The right to be woken by the next `tx.wake(topic)`; draw it before looking."""
        return self.kernel.wakers.ticket(topic)

    def new_id(self, kind: str = "") -> str:
        """A new unique id: a UUID, or in the form that `ids.FORMS` gives for `kind`."""
        return self.kernel.ids.new(kind)

    def random(self) -> float:
        """Chance in [0, 1)."""
        return self.kernel.ids.random()

    async def authorise(
        self,
        action: str,
        resource: str,
        extra: Mapping[str, Any] | None = None,
        *,
        policy: str | None = None,
        decisive: bool = False,
        granted: bool = False,
        beyond: Beyond | None = None,
    ) -> None:
        """An extra check beside the door's; raises AccessDenied.

        What else it takes is as in `Need`.
        """
        need = Need(action, resource, extra or {}, policy, decisive, granted, beyond)
        await self.kernel.authorise(self, need)

    async def call(self, service: str, method: str, req: Mapping[str, Any]) -> Any:
        """Call another service's public operation as this caller: a call of its own, recorded so."""
        inner = self.derive(self.caller)
        inner.signature = self.signature
        return await self.kernel.enter(inner, service, method, req)

    def as_service(self, service: str, *, source: str | None = None) -> Context:
        """The same call as a service principal: `ctx.as_service("sns", source=arn).call(...)`."""
        return self.derive(service_caller(service, self.account, source))

    def via(self, service: str) -> Context:
        """The same call and caller, for whom `service` speaks: how others ask KMS."""
        session = {
            **self.caller.session,
            "kms:viaservice": f"{service}.{self.region}.amazonaws.com",
            "aws:viaawsservice": "true",
        }
        return self.derive(replace(self.caller, session=session))

    async def as_role(
        self, arn: str, service: str, *, source: str, session: str, region: str | None = None
    ) -> Context:
        """The same call as a role that trusts `service`, in the role's account.

        This is how a service does what a user has told it to do for it. `source` is the resource
        for which it acts. Raises AccessDenied where the role does not trust the service, or is
        gone.
        """
        asking = self.as_service(service, source=source)
        caller = await self.kernel.identities.acting(asking, arn, service, session)
        acting = self.derive(caller, region=region)
        acting.account = caller.account
        return acting

    def derive(self, caller: Caller, *, region: str | None = None) -> Context:
        """A context for another caller or region within this call."""
        partition = self.partition if region is None else partition_of(region)
        return Context(
            self.kernel, caller, account=self.account, region=region or self.region,
            request_id=self.request_id, partition=partition, source_ip=self.source_ip,
            user_agent=self.user_agent, secure=self.secure,
        )  # fmt: skip


def row_key(record: Any) -> bytes:
    """The key of a record, as `Reader.list(after=...)` takes it."""
    return table_of(type(record)).key(record)


def index_row_key(index: Index[T], record: T) -> bytes:
    """The index row of a record, as `Reader.find(after=...)` takes it."""
    key = index.row_key(record, row_key(record))
    assert key is not None, "the record is not in this index"
    return key


def _bounds(
    base: bytes, since: Any, until: Any, after: bytes | None, reverse: bool
) -> tuple[bytes, bytes]:
    lo = base if since is None else base + pack(since)
    # 0xff sorts behind every packed part, so base+0xff ends the range and a part+0xff includes
    # every row that goes on behind that part.
    hi = (base if until is None else base + pack(until)) + b"\xff"
    if after is not None:
        if reverse:
            hi = after
        else:
            lo = after + b"\x00"
    return lo, hi
