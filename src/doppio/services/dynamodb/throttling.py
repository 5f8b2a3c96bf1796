"""Realistic throughput: reads and writes that have to wait for capacity, where a table wants it so.

By default nothing is throttled. A table with the tag `doppio:throughput = realistic`, or every table
of a cloud that was started with `--throughput realistic`, draws what it consumes from token buckets
(`buckets`) on the cloud's clock: those of its capacity, of each global index, and of each key. The
buckets are in memory alone: a restart fills them, which lets through at most five minutes' credit.

A request is let in while something is left, and owes what it took beyond: what a read weighs is
known only when it was read. An operation that writes looks before, and draws behind its commit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from doppio.kernel.context import Context
from doppio.services.dynamodb import limits
from doppio.services.dynamodb.access import projected
from doppio.services.dynamodb.buckets import Flow, Limit
from doppio.services.dynamodb.contributors import count_keys
from doppio.services.dynamodb.errors import (
    ProvisionedThroughputExceededException,
    RequestLimitExceeded,
    ThrottledError,
    ThrottlingException,
)
from doppio.services.dynamodb.item_keys import index_key
from doppio.services.dynamodb.measures import LATENCY, THROTTLED_REQUESTS, count_throttled
from doppio.services.dynamodb.provisioning import warm_of
from doppio.services.dynamodb.records import SecondaryIndex, Table, Throughput
from doppio.services.dynamodb.values import Item

TAG, REALISTIC, UNLIMITED = "doppio:throughput", "realistic", "unlimited"
READ, WRITE = "Read", "Write"
_PROVISIONED, _ACCOUNT = "ProvisionedThroughputExceeded", "AccountLimitExceeded"
_KEY_RANGE, _MAXIMUM = "KeyRangeThroughputExceeded", "MaxOnDemandThroughputExceeded"
_OF_KEY = {
    READ: Limit(_KEY_RANGE, limits.KEY_READ_UNITS_MAX, 1.0),
    WRITE: Limit(_KEY_RANGE, limits.KEY_WRITE_UNITS_MAX, 1.0),
}
_CODES = {ThrottledError.reason, ProvisionedThroughputExceededException.reason}
_flows: WeakKeyDictionary[Any, dict[tuple[str, str, str], Flow]] = WeakKeyDictionary()


def watch_of(ctx: Context, table: Table) -> Watch | None:
    """What looks at the uses of a table within one call; None where nothing needs to."""
    if not table.tags and not ctx.kernel.throttles and not table.insights:
        return None
    realistic = is_realistic(ctx, table)
    return Watch(ctx, table, realistic=realistic) if realistic or table.insights else None


def is_realistic(ctx: Context, table: Table) -> bool:
    """Whether a table throttles."""
    said = table.tags.get(TAG)
    return said == REALISTIC or (said is None and ctx.kernel.throttles)


class Watches:
    """The watches of a call that touches several items: each table has one for all of them."""

    __slots__ = ("_ctx", "_known")

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._known: dict[str, Watch | None] = {}

    def of(self, table: Table) -> Watch | None:
        """The watch of a table, or None."""
        if table.arn not in self._known:
            watch = watch_of(self._ctx, table)
            if watch is not None:
                watch.is_part = True
            self._known[table.arn] = watch
        return self._known[table.arn]

    def count_refused(self, operation: str) -> None:
        """Count a call that was refused as a whole."""
        for watch in self._known.values():
            if watch is not None:
                watch.count_refused(operation)

    def count_cancelled(self, operation: str, reasons: Iterable[Mapping[str, Any]]) -> None:
        """Count a transaction that was cancelled, where the cause was throttling."""
        if any(reason["Code"] in _CODES for reason in reasons):
            self.count_refused(operation)

    def read(self, table: Table, units: float, key: Item) -> None:
        """Note what a read of one item takes."""
        watch = self.of(table)
        if watch is not None:
            watch.read(units, [key])

    def settle(self) -> None:
        """Draw what was used, behind the commit."""
        for watch in self._known.values():
            if watch is not None:
                watch.settle()


class _Use(NamedTuple):
    """Units of one kind, of a table or an index, for some keys; and the `items` that were shown."""

    kind: str
    of: SecondaryIndex | None
    units: float
    keys: list[bytes]
    named: Sequence[Item] = ()
    items: Sequence[Item] = ()


class Watch:
    """Looks at each use of a table within one call, and draws what was used when it has happened.

    `is_part`: a use that is refused need not be the whole request. `realistic`: the table throttles;
    if not, its use is looked at for Contributor Insights alone.
    """

    __slots__ = (
        "_began", "_ctx", "_pending", "_pending_keys", "_realistic", "_table", "_uses", "is_part",
    )  # fmt: skip

    def __init__(self, ctx: Context, table: Table, *, realistic: bool) -> None:
        self._ctx = ctx
        self._table = table
        self._realistic = realistic
        self._began = ctx.clock.host.seconds()
        self._uses: list[_Use] = []
        self._pending: defaultdict[tuple[str, str], float] = defaultdict(float)
        self._pending_keys: defaultdict[tuple[str, str, bytes], float] = defaultdict(float)
        self.is_part = False

    @property
    def wants_items(self) -> bool:
        """Whether it wants to see the items that a read shows."""
        return bool(self._table.insights)

    def admit(self, kind: str, index: SecondaryIndex | None, key: Item | None) -> None:
        """Raise ThrottledError where a table or index has no capacity left, or a key of it."""
        if not self._realistic:
            return
        if index is not None and not index.is_global:
            index = None
        hashed = None if key is None else hash_of(self._table, index, key)
        reasons = self._exceeded(kind, index, hashed)
        if reasons:
            if key is not None:
                count_keys(self._ctx, self._table, index, "T", [key], [key], 1.0)
            raise self._refused(kind, [(index, reason) for reason in reasons])

    def admit_entries(self, old: Item | None, new: Item | None) -> None:
        """Raise ThrottledError where a global index that a write reaches has no capacity left."""
        if not self._realistic:
            return
        found = [
            (index, reason)
            for index in self._table.indexes
            if index.is_global
            and _entry(self._table, index, old) != _entry(self._table, index, new)
            for reason in self._exceeded(WRITE, index, _index_hash(self._table, index, old, new))
        ]
        if found:
            for index, _ in found:
                item = _in_index(index, old, new)
                if item is not None:
                    count_keys(self._ctx, self._table, index, "T", [item], [item], 1.0)
            raise self._refused(WRITE, found)

    def read(
        self,
        units: float,
        keys: Sequence[Item | None] = (),
        index: SecondaryIndex | None = None,
        items: Sequence[Item] = (),
    ) -> None:
        """Note what a read takes of the table or of an index: of which keys, where they are known, and
        of which items."""
        if units:
            self._use(READ, index, units, [key for key in keys if key is not None], items)

    def wrote(
        self, key: Item, old: Item | None, new: Item | None, units: float,
        indexes: Mapping[str, float],
    ) -> None:  # fmt: skip
        """Note what a write takes of the table and of its indexes; it is drawn by `settle`."""
        for index in self._table.indexes:
            more = indexes.get(index.name)
            if more and index.is_global:
                item = _in_index(index, old, new)
                self._use(WRITE, index, more, [] if item is None else [item])
            elif more:
                units += more
        self._use(WRITE, None, units, [key])

    def wasted(self, key: Item, units: float) -> None:
        """Draw what a write took that its condition refuses: there is no commit to wait for."""
        hashed = hash_of(self._table, None, key)
        self._draw([_Use(WRITE, None, units, [] if hashed is None else [hashed], [key])])

    def _use(
        self, kind: str, index: SecondaryIndex | None, units: float, named: Sequence[Item],
        items: Sequence[Item] = (),
    ) -> None:  # fmt: skip
        if index is not None and not index.is_global:
            index = None
        hashes = [hash_of(self._table, index, one) for one in named]
        keys = [key for key in hashes if key is not None]
        self._uses.append(_Use(kind, index, units, keys, named, items))
        name = _name(index)
        self._pending[(kind, name)] += units
        for key in keys:
            self._pending_keys[(kind, name, key)] += units / len(keys)

    def settle(self) -> None:
        """Draw what was used, and count how long the call has taken."""
        table, took = self._table, self._ctx.clock.host.seconds() - self._began
        names = (table.name, self._ctx.operation)
        if self._uses:
            self._ctx.count(LATENCY, table.account, table.region, names, took * 1_000)
        self._draw(self._uses)
        self._uses.clear()
        self._pending.clear()
        self._pending_keys.clear()

    def _draw(self, uses: Iterable[_Use]) -> None:
        now = self._ctx.now.timestamp()
        for use in uses:
            if self._table.insights:
                items = use.items or use.named
                count_keys(
                    self._ctx, self._table, use.of, "C", use.named or items, items, use.units
                )
            if not self._realistic:
                continue
            flow = self._flow(use.kind, use.of)
            shares = [(key, use.units / len(use.keys)) for key in use.keys]
            flow.draw(now, self._limits(use.kind, use.of), _OF_KEY[use.kind], use.units, shares)

    def count_refused(self, operation: str) -> None:
        """Count a request that was refused as a whole."""
        table = self._table
        names = (table.name, operation)
        self._ctx.count(THROTTLED_REQUESTS, table.account, table.region, names)

    def _exceeded(self, kind: str, index: SecondaryIndex | None, key: bytes | None) -> list[str]:
        flow, name = self._flow(kind, index), _name(index)
        now = self._ctx.now.timestamp()
        pending = self._pending[(kind, name)] if self._pending else 0.0
        found = flow.exceeded(now, self._limits(kind, index), pending)
        if key is not None and _KEY_RANGE not in found:
            of_it = self._pending_keys[(kind, name, key)] if self._pending_keys else 0.0
            if flow.key_exceeded(now, _OF_KEY[kind], key, of_it):
                found.append(_KEY_RANGE)
        return found

    def _limits(self, kind: str, index: SecondaryIndex | None) -> list[Limit]:
        peak = self._flow(kind, index).peak.at(self._ctx.now.timestamp())
        return limits_of(self._table, index, kind, peak)

    def _flow(self, kind: str, index: SecondaryIndex | None) -> Flow:
        known = _flows.setdefault(self._ctx.kernel, {})
        place = (self._table.id, "" if index is None else index.id or index.name, kind)
        found = known.get(place)
        if found is None:
            if len(known) >= limits.FLOWS_MAX:
                known.clear()
            found = known[place] = Flow()
        return found

    def _refused(
        self, kind: str, found: Sequence[tuple[SecondaryIndex | None, str]]
    ) -> ThrottledError:
        table = self._table
        count_throttled(self._ctx, table, kind, [(_name(index), reason) for index, reason in found])
        if not self.is_part:
            self.count_refused(self._ctx.operation)
        return refusal(table, kind, found)


def limits_of(table: Table, index: SecondaryIndex | None, kind: str, peak: float) -> list[Limit]:
    """The limits of a table or global index, as of the previous peak of its traffic."""
    seconds = limits.BURST_SECONDS
    holder: Any = table if index is None else index
    if not table.on_demand:
        return [Limit(_PROVISIONED, _of(holder.throughput, kind), seconds)]
    found = [Limit(_ACCOUNT, limits.TABLE_UNITS_MAX, 1.0)]
    maximum = _of(holder.at_most, kind)
    if maximum:
        found.append(Limit(_MAXIMUM, maximum, seconds))
    warm = _of(warm_of(table, index), kind)
    found.append(Limit(_KEY_RANGE, max(warm, 2 * peak), seconds))
    return found


def peaks_of(ctx: Context, table: Table, index: SecondaryIndex | None) -> tuple[int, int]:
    """The peaks of a table's or index's reads and writes that count now, in units a second."""
    known = _flows.get(ctx.kernel, {})
    name = "" if index is None else index.id or index.name
    flows = [known.get((table.id, name, kind)) for kind in (READ, WRITE)]
    now = ctx.clock.now().timestamp()
    read, write = (0 if flow is None else int(flow.peak.at(now)) for flow in flows)
    return read, write


def refusal(
    table: Table, kind: str, found: Sequence[tuple[SecondaryIndex | None, str]]
) -> ThrottledError:
    """The error of a request for which there is no capacity."""
    reasons = [
        {
            "reason": f"{'Table' if index is None else 'Index'}{kind}{reason}",
            "resource": table.arn if index is None else f"{table.arn}/index/{index.name}",
        }
        for index, reason in found
    ]
    index, reason = found[0]
    if reason == _ACCOUNT:
        return RequestLimitExceeded(ThrottlingReasons=reasons)
    if not table.on_demand:
        text = _PROVISIONED_TEXTS[index is not None]
        return ProvisionedThroughputExceededException(text, ThrottlingReasons=reasons)
    texts = _MAXIMUM_TEXTS if reason == _MAXIMUM else _ON_DEMAND_TEXTS
    return ThrottlingException(texts[index is not None], throttlingReasons=reasons)


# What AWS says, of a table and of an index.
_PROVISIONED_TEXTS = {
    False: "The level of configured provisioned throughput for the table was exceeded. Consider "
    "increasing your provisioning level with the UpdateTable API.",
    True: "The level of configured provisioned throughput for one or more global secondary indexes "
    "of the table was exceeded. Consider increasing your provisioning level for the "
    "under-provisioned global secondary indexes with the UpdateTable API",
}
_ON_DEMAND_TEXTS = {
    False: "Throughput exceeds the current capacity of your table or index. DynamoDB is "
    "automatically scaling your table or index so please try again shortly. If exceptions persist, "
    "check if you have a hot key: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/"
    "bp-partition-key-design.html",
    True: "Throughput exceeds the current capacity for one or more global secondary indexes. "
    "DynamoDB is automatically scaling your index so please try again shortly.",
}
_MAXIMUM_TEXTS = {
    False: "The request rate exceeds the maximum OnDemandThroughput configured on the table. "
    "Please consider increasing the maximum OnDemandThroughput with the UpdateTable API.",
    True: "The request rate exceeds the maximum OnDemandThroughput configured on one or more global "
    "secondary indexes. Please consider increasing the maximum OnDemandThroughput with the "
    "UpdateTable API.",
}


def hash_of(table: Table, index: SecondaryIndex | None, item: Item) -> bytes | None:
    """The hash key of an item, in the table or an index."""
    parts = (table if index is None else index).key
    return index_key([part for part in parts if part.hash], item)


def _entry(table: Table, index: SecondaryIndex, item: Item | None) -> Item | None:
    """What an index holds of an item."""
    if item is None or index_key(index.key, item) is None:
        return None
    return projected(table, index, item)


def _in_index(index: SecondaryIndex, old: Item | None, new: Item | None) -> Item | None:
    """What a write put into an index, or else took out of it."""
    for item in (new, old):
        if item is not None and index_key(index.key, item) is not None:
            return item
    return None


def _index_hash(
    table: Table, index: SecondaryIndex, old: Item | None, new: Item | None
) -> bytes | None:
    item = _in_index(index, old, new)
    return None if item is None else hash_of(table, index, item)


def _name(index: SecondaryIndex | None) -> str:
    return "" if index is None else index.name


def _of(given: Throughput, kind: str) -> int:
    return given.read if kind == READ else given.write
