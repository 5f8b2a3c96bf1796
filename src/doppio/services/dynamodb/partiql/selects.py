"""SELECT: which rows it looks at, in which order, and what it shows of them, page by page."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from doppio.kernel.context import Reader
from doppio.kernel.keys import pack, unpack
from doppio.kernel.paging import BadToken, page_token, token_key
from doppio.services.dynamodb.access import index_row, item_row, read_sized, usable_index
from doppio.services.dynamodb.capacity import read_units
from doppio.services.dynamodb.errors import ValidationException
from doppio.services.dynamodb.expressions.conditions import Test, test
from doppio.services.dynamodb.expressions.keys import KeyRange
from doppio.services.dynamodb.expressions.paths import find
from doppio.services.dynamodb.limits import PAGE_BYTES_MAX, ROWS_A_WAY
from doppio.services.dynamodb.partiql.ranges import KIND, in_order, reach
from doppio.services.dynamodb.partiql.syntax import Statement
from doppio.services.dynamodb.partiql.values import Bound
from doppio.services.dynamodb.queries import (
    Plan,
    check_select,
    not_held,
    position,
    read_page,
    rows_prefix,
)
from doppio.services.dynamodb.records import SecondaryIndex, Table
from doppio.services.dynamodb.sealing import decoder
from doppio.services.dynamodb.values import Item


class Selection(NamedTuple):
    """A SELECT of a table. `scope` is what its tokens are for; `cuts` are there where its ranges are
    read together (`ranges.in_order`)."""

    statement: Statement
    table: Table
    secondary: SecondaryIndex | None
    ranges: list[KeyRange]
    reverse: bool
    keep: Test | None
    fetch: bool
    scope: str
    cuts: list[int]


class Found(NamedTuple):
    """One page: `token` and `last` are where the next one goes on; `whole` are the items as they are."""

    items: list[Item]
    units: float
    fetched: float
    token: str | None
    last: Item | None
    whole: list[Item]


def selection(
    statement: Statement, bound: Bound, table: Table, req: Mapping[str, Any]
) -> Selection:
    """What a statement selects. Raises ValidationException."""
    index = None if statement.index_name is None else usable_index(table, statement.index_name)
    if req.get("ConsistentRead") and index is not None and index.is_global:
        raise ValidationException("Consistent reads are not supported on global secondary indexes")
    paths = None if statement.paths is None else list(statement.paths)
    check_select(table, index, None, paths, "")
    parts = index.key if index is not None else table.key
    found = reach(statement.where, parts, bound)
    ranges, reverse, cuts = in_order(statement, found, parts)
    fetch = index is not None and not index.is_global and bool(not_held(table, index, paths))
    said = msgspec.msgpack.encode((req["Statement"], req.get("Parameters", [])))
    return Selection(
        statement, table, index, ranges, reverse,
        None if found.rest is None else test(found.rest, bound, KIND),
        fetch, f"partiql/{table.id}/{hashlib.sha256(said).hexdigest()}",
        cuts,
    )  # fmt: skip


async def read(reader: Reader, selected: Selection, req: Mapping[str, Any]) -> Found:
    """One page. Raises ValidationException for a token of another statement."""
    if selected.cuts:
        return await _read_together(reader, selected, req)
    table, index = selected.table, selected.secondary
    prefix = rows_prefix(table, index)
    number, row = _start(selected, req)
    limit = req.get("Limit")
    consistent = bool(req.get("ConsistentRead"))
    items: list[Item] = []
    whole: list[Item] = []
    units = fetched = 0.0
    scanned = size = 0
    for at in range(number, len(selected.ranges)):
        span = selected.ranges[at]
        plan = Plan(
            table, index, prefix + span.lo, prefix + span.hi, selected.reverse,
            None if limit is None else limit - scanned, selected.keep, None, False,
            selected.fetch, consistent, None, PAGE_BYTES_MAX - size,
        )  # fmt: skip
        if at == number and row:
            plan = plan._replace(hi=row) if plan.reverse else plan._replace(lo=row + b"\0")
        page = await read_page(reader, plan)
        whole += page.items
        items += [projected(selected.statement, item) for item in page.items]
        units += read_units(page.size, consistent=consistent)
        fetched += page.fetched
        scanned, size = scanned + page.scanned, size + page.size
        if page.last is not None:
            ended = item_row(table, page.last)
            if index is not None:
                in_index = index_row(table, index, page.last)
                assert in_index is not None, "it was found in the index"
                ended = in_index
            token = page_token(pack(at, ended), selected.scope)
            return Found(items, units, fetched, token, position(plan, page.last), whole)
    return Found(items, units, fetched, None, None, whole)


class _Way:
    """One range that is read together with others: rows in hand, and how far it has come."""

    def __init__(self, lo: bytes, hi: bytes, cut: int, reverse: bool) -> None:
        self._lo, self._hi, self._reverse = lo, hi, reverse
        self._cut = cut
        self._rows: list[tuple[bytes, bytes]] = []
        self._over = False
        self.last = b""

    async def first(self, reader: Reader) -> tuple[bytes, bytes, bytes] | None:
        """The next row: its sort key's bytes, its key and itself; None where there are no more."""
        if not self._rows and not self._over:
            lo = self.last + b"\0" if self.last and not self._reverse else self._lo
            hi = self.last if self.last and self._reverse else self._hi
            rows = await reader.raw.scan(lo, hi, limit=ROWS_A_WAY, reverse=self._reverse)
            self._rows = rows[::-1]
            self._over = len(rows) < ROWS_A_WAY
        if not self._rows:
            return None
        row, raw = self._rows[-1]
        return row[self._cut :], row, raw

    def took(self) -> None:
        """Go behind the next row."""
        self.last = self._rows.pop()[0]


async def _read_together(reader: Reader, selected: Selection, req: Mapping[str, Any]) -> Found:
    """One page of several ranges in the order of their sort keys: the first of all, again and again."""
    table, index = selected.table, selected.secondary
    prefix = rows_prefix(table, index)
    ways = [
        _Way(prefix + span.lo, prefix + span.hi, len(prefix) + cut, selected.reverse)
        for span, cut in zip(selected.ranges, selected.cuts, strict=True)
    ]
    if "NextToken" in req:
        for way, row in zip(ways, _positions(selected, req), strict=True):
            way.last = row
    consistent, limit = bool(req.get("ConsistentRead")), req.get("Limit")
    decode = decoder(table)
    choose = max if selected.reverse else min
    items: list[Item] = []
    whole: list[Item] = []
    fetched = 0.0
    scanned = size = 0
    while True:
        firsts = [(found[0], way, found) for way in ways if (found := await way.first(reader))]
        if not firsts:
            return Found(items, read_units(size, consistent=consistent), fetched, None, None, whole)
        _, way, (_, _, raw) = choose(firsts, key=lambda one: one[0])
        way.took()
        weight, item = decode(raw)
        if selected.fetch:
            more, there = await read_sized(reader, item_row(table, item))
            if there is not None:
                weight, item = more, there
            fetched += read_units(weight, consistent=consistent)
        scanned, size = scanned + 1, size + weight
        if selected.keep is None or selected.keep(item):
            whole.append(item)
            items.append(projected(selected.statement, item))
        if scanned == limit or size >= PAGE_BYTES_MAX:
            token = page_token(pack(*(one.last for one in ways)), selected.scope)
            plan = Plan(table, index, b"", b"", False, None, None, None, False, False, consistent)
            units = read_units(size, consistent=consistent)
            return Found(items, units, fetched, token, position(plan, item), whole)


def _positions(selected: Selection, req: Mapping[str, Any]) -> list[bytes]:
    try:
        found = list(unpack(token_key(req["NextToken"], selected.scope)))
    except BadToken as error:
        raise ValidationException("Invalid NextToken") from error
    return found


def _start(selected: Selection, req: Mapping[str, Any]) -> tuple[int, bytes]:
    """Where a page begins: which range, and behind which row of it."""
    token = req.get("NextToken")
    if token is None:
        return 0, b""
    try:
        number, row = unpack(token_key(token, selected.scope))
    except BadToken as error:
        raise ValidationException("Invalid NextToken") from error
    return number, row


def projected(statement: Statement, item: Item) -> Item:
    """What a SELECT shows of an item: each path under the last of its names."""
    if statement.paths is None:
        return item
    shown: Item = {}
    for path in statement.paths:
        value = find(item, path)
        if value is not None:
            name = str(next(part for part in reversed(path) if isinstance(part, str)))
            if isinstance(path[-1], int):
                name += "".join(f"[{part}]" for part in _last_indexes(path))
            shown[name] = value
    return shown


def _last_indexes(path: tuple[str | int, ...]) -> list[int]:
    found: list[int] = []
    for part in reversed(path):
        if isinstance(part, str):
            break
        found.insert(0, part)
    return found
