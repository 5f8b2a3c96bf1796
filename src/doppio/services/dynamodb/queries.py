"""DynamoDB reads of many items: Query and Scan, page by page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

from doppio.kernel.context import Context, Reader
from doppio.services.dynamodb.access import (
    index_row,
    item_row,
    primary_key,
    read_sized,
    usable_index,
    usable_table,
)
from doppio.services.dynamodb.capacity import consumed, read_units, usage
from doppio.services.dynamodb.errors import ValidationException
from doppio.services.dynamodb.expressions.binding import Binding, bind
from doppio.services.dynamodb.expressions.conditions import Test, compile_condition
from doppio.services.dynamodb.expressions.keys import AFTER, key_range
from doppio.services.dynamodb.expressions.legacy import with_expressions
from doppio.services.dynamodb.expressions.paths import project, projected_paths
from doppio.services.dynamodb.expressions.syntax import condition
from doppio.services.dynamodb.item_keys import (
    checked_part,
    index_prefix,
)
from doppio.services.dynamodb.items import READS
from doppio.services.dynamodb.limits import LOOKED_BYTES_MAX, PAGE_BYTES_MAX, ROWS_A_READ
from doppio.services.dynamodb.measures import READ, RETURNED, count_units
from doppio.services.dynamodb.records import SecondaryIndex, Table
from doppio.services.dynamodb.sealing import decoder
from doppio.services.dynamodb.throttling import READ as READ_UNITS
from doppio.services.dynamodb.throttling import Watch, watch_of
from doppio.services.dynamodb.values import Item, checked_item

if TYPE_CHECKING:
    from doppio._stubs import dynamodb as w


class Plan(NamedTuple):
    """What a read looks at, and what it shows of it."""

    table: Table
    secondary: SecondaryIndex | None
    lo: bytes
    hi: bytes
    reverse: bool
    limit: int | None
    keep: Test | None
    paths: list[Any] | None
    count_only: bool
    fetch: bool
    consistent: bool
    inside: Test | None = None
    bytes_max: int = PAGE_BYTES_MAX


class Page(NamedTuple):
    """What a read found."""

    items: list[Item]
    matched: int
    scanned: int
    size: int
    last: Item | None
    fetched: float


class Queries:
    """The operations that read many items."""

    async def query(self, ctx: Context, req: w.QueryInput) -> w.QueryOutput:
        """Items of one hash key in the order of the range key."""
        given = with_expressions(req)
        reader = ctx.read()
        table = await usable_table(reader, ctx, given["TableName"])
        index = _index(table, given)
        if "KeyConditionExpression" not in given:
            raise ValidationException(
                "Either the KeyConditions or KeyConditionExpression parameter must be specified in "
                "the request."
            )
        binding = bind(given, "FilterExpression", "KeyConditionExpression")
        parts = index.key if index is not None else table.key
        span = key_range(given["KeyConditionExpression"], binding, parts)
        prefix = rows_prefix(table, index)
        forward = given.get("ScanIndexForward", True)
        plan = _plan(table, index, given, binding, prefix + span.lo, prefix + span.hi, not forward)
        _check_filter(given, parts, binding, "QueryFilter" if "QueryFilter" in req else "")
        binding.finish()
        plan = _continued(plan, given)
        return await _read(ctx, reader, given, plan, span.hash)  # type: ignore[return-value]

    async def scan(self, ctx: Context, req: w.ScanInput) -> w.ScanOutput:
        """All items of a table or index, or one segment of them."""
        given = with_expressions(req)
        reader = ctx.read()
        table = await usable_table(reader, ctx, given["TableName"])
        index = _index(table, given)
        binding = bind(given, "FilterExpression")
        prefix = rows_prefix(table, index)
        lo, hi = prefix, prefix + AFTER
        segment, segments = _segment(given)
        plan = _plan(table, index, given, binding, lo, hi, False)
        binding.finish()
        if segments > 1:
            plan = plan._replace(inside=_in_segment(table, segment, segments))
        plan = _continued(plan, given)
        return await _read(ctx, reader, given, plan)  # type: ignore[return-value]


def _plan(
    table: Table,
    index: SecondaryIndex | None,
    req: Mapping[str, Any],
    binding: Binding,
    lo: bytes,
    hi: bytes,
    reverse: bool,
) -> Plan:
    keep = None
    if "FilterExpression" in req:
        keep = compile_condition(req["FilterExpression"], binding, "FilterExpression")
    paths = projected_paths(req, binding)
    select = req.get("Select")
    given = "AttributesToGet" if "AttributesToGet" in req else "ProjectionExpression"
    check_select(table, index, select, paths, given)
    if req.get("ConsistentRead") and index is not None and index.is_global:
        raise ValidationException("Consistent reads are not supported on global secondary indexes")
    limit = req.get("Limit")
    # A local index can show what it does not hold: the items are fetched from the table.
    fetch = (
        index is not None
        and not index.is_global
        and index.projection != "ALL"
        and (select == "ALL_ATTRIBUTES" or bool(not_held(table, index, paths)))
    )
    return Plan(
        table, index, lo, hi, reverse, limit, keep, paths, select == "COUNT", fetch,
        bool(req.get("ConsistentRead")),
    )  # fmt: skip


def not_held(table: Table, index: SecondaryIndex, paths: list[Any] | None) -> list[str]:
    """The attributes asked for that an index does not hold."""
    if index.projection == "ALL":
        return []
    held = {part.name for part in (*table.key, *index.key)} | set(index.included)
    return [path[0] for path in paths or () if path[0] not in held]


def check_select(
    table: Table,
    index: SecondaryIndex | None,
    select: str | None,
    paths: list[Any] | None,
    given: str,
) -> None:
    """Raise ValidationException where a read asks for what it cannot show."""
    if select == "ALL_PROJECTED_ATTRIBUTES" and index is None:
        raise ValidationException(
            "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName"
        )
    if select == "SPECIFIC_ATTRIBUTES" and paths is None:
        raise ValidationException(
            "Must specify the AttributesToGet or ProjectionExpression when choosing to get "
            "SPECIFIC_ATTRIBUTES"
        )
    if paths is not None and select not in (None, "SPECIFIC_ATTRIBUTES"):
        what = "only the Count" if select == "COUNT" else select
        raise ValidationException(f"Cannot specify the {given} when choosing to get {what}")
    if index is not None and index.is_global:
        missing = not_held(table, index, paths)
        if missing:
            raise ValidationException(
                f"One or more parameter values were invalid: Global secondary index {index.name} "
                f"does not project [{', '.join(missing)}]"
            )
    if (
        select == "ALL_ATTRIBUTES"
        and index is not None
        and index.is_global
        and index.projection != "ALL"
    ):
        raise ValidationException(
            "One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not "
            f"supported for global secondary index {index.name} because its projection type is "
            "not ALL"
        )


def _check_filter(req: Mapping[str, Any], parts: Any, binding: Binding, legacy: str) -> None:
    if "FilterExpression" not in req:
        return
    keys = {part.name for part in parts}
    for path in _paths(condition(req["FilterExpression"], "FilterExpression")):
        name = binding.path(path, "FilterExpression")[0]
        if name in keys:
            raise ValidationException(
                f"{legacy or 'Filter Expression'} can only contain non-primary key attributes: "
                f"Primary key attribute: {name}"
            )


def _paths(tree: Any) -> list[Any]:
    if not isinstance(tree, tuple) or not tree:
        return []
    if tree[0] == "path":
        return [tree]
    return [path for part in tree for path in _paths(part)]


def _index(table: Table, req: Mapping[str, Any]) -> SecondaryIndex | None:
    name = req.get("IndexName")
    return None if name is None else usable_index(table, name)


def rows_prefix(table: Table, index: SecondaryIndex | None) -> bytes:
    """What the rows begin with that a read looks at."""
    return table.prefix if index is None else index_prefix(table, index)


def _continued(plan: Plan, req: Mapping[str, Any]) -> Plan:
    """The plan from behind `ExclusiveStartKey`."""
    start: Item | None = req.get("ExclusiveStartKey")
    if start is None:
        return plan
    table, index = plan.table, plan.secondary
    checked_item(start)
    parts = [*table.key, *(index.key if index is not None else ())]
    names = {part.name for part in parts}
    if set(start) != names:
        raise ValidationException(
            "The provided starting key is invalid"
            if index is not None
            else "The provided starting key is invalid: The provided key element does not match the "
            "schema"
        )
    for part in parts:
        checked_part(part, start[part.name], "The provided starting key is invalid")
    row = item_row(table, start) if index is None else index_row(table, index, start)
    assert row is not None
    if not plan.lo <= row + AFTER or row > plan.hi:
        raise ValidationException("The provided starting key is outside query boundaries based on "
                                  "provided conditions")  # fmt: skip
    return plan._replace(hi=row) if plan.reverse else plan._replace(lo=row + b"\0")


def _segment(req: Mapping[str, Any]) -> tuple[int, int]:
    segment, segments = req.get("Segment"), req.get("TotalSegments")
    if (segment is None) != (segments is None):
        missing = "TotalSegments" if segments is None else "Segment"
        other = "Segment" if segments is None else "TotalSegments"
        raise ValidationException(
            f"The {missing} parameter is required but was not present in the request when "
            f"{other} parameter is present"
        )
    if segment is None or segments is None:
        return 0, 1
    if segment >= segments:
        raise ValidationException(
            "The Segment parameter is zero-based and must be less than parameter TotalSegments: "
            f"Segment: {segment} is not less than TotalSegments: {segments}"
        )
    return segment, segments


def _in_segment(table: Table, segment: int, segments: int) -> Test:
    """Segments are told apart by a digest of the hash key, which spreads them evenly."""
    name = table.key[0].name

    def inside(item: Item) -> bool:
        [content] = item[name].values()
        raw = content.encode() if isinstance(content, str) else content
        return crc32(raw) % segments == segment

    return inside


async def _read(
    ctx: Context, reader: Reader, req: Mapping[str, Any], plan: Plan, key: Item | None = None
) -> dict[str, Any]:
    table = plan.table
    watch = watch_of(ctx, table)
    if watch is not None:
        watch.admit(READ_UNITS, plan.secondary, key)
    page = await (read_page(reader, plan) if watch is None else _watched(reader, plan, watch, key))
    units = read_units(page.size, consistent=plan.consistent)
    reader.meter(usage(READS, table), units + page.fetched)
    shown: dict[str, Any] = {"Count": page.matched, "ScannedCount": page.scanned}
    if not plan.count_only:
        shown["Items"] = page.items
    if page.last is not None:
        shown["LastEvaluatedKey"] = position(plan, page.last)
    by_index = {plan.secondary.name: units} if plan.secondary is not None else {}
    own = page.fetched if plan.secondary is not None else units
    count_units(ctx, READ, table, own, by_index)
    names = (table.name, ctx.operation)
    ctx.count(RETURNED, table.account, table.region, names, page.matched)
    if "ReturnConsumedCapacity" in req:
        capacity = consumed(req, table, own, by_index)
        if capacity is not None:
            shown["ConsumedCapacity"] = capacity
    return shown


async def _watched(reader: Reader, plan: Plan, watch: Watch, key: Item | None) -> Page:
    """A page of a table whose use is looked at: whole items, where somebody wants to see them."""
    whole = plan._replace(paths=None, count_only=False) if watch.wants_items else plan
    page = await read_page(reader, whole)
    units = read_units(page.size, consistent=plan.consistent)
    watch.read(units, [key], plan.secondary, page.items)
    watch.read(page.fetched, [key], items=page.items)
    watch.settle()
    if whole is plan:
        return page
    paths = plan.paths
    shown = [] if plan.count_only else page.items
    return page._replace(items=shown if paths is None else [project(one, paths) for one in shown])


async def read_page(reader: Reader, plan: Plan) -> Page:
    """One page of what a plan looks at."""
    items: list[Item] = []
    count = scanned = size = looked = 0
    fetched = 0.0
    lo, hi = plan.lo, plan.hi
    decode = decoder(plan.table)
    # Whether all that is found is shown as it is.
    is_whole = (
        plan.keep is None and plan.paths is None and plan.inside is None
        and not plan.fetch and not plan.count_only
    )  # fmt: skip
    limit, bytes_max = plan.limit, plan.bytes_max
    while True:
        left = ROWS_A_READ if limit is None else min(ROWS_A_READ, limit - scanned)
        rows = await reader.raw.scan(lo, hi, limit=left, reverse=plan.reverse)
        for _, raw in rows:
            weight, item = decode(raw)
            if is_whole:
                items.append(item)
            else:
                looked += len(raw)
                if plan.inside is not None and not plan.inside(item):
                    if looked >= LOOKED_BYTES_MAX:
                        return Page(items, count, scanned, size, item, fetched)
                    continue
                if plan.fetch:
                    more, whole = await read_sized(reader, item_row(plan.table, item))
                    if whole is not None:
                        weight, item = more, whole
                    fetched += read_units(weight, consistent=plan.consistent)
                if plan.keep is None or plan.keep(item):
                    count += 1
                    if not plan.count_only:
                        items.append(item if plan.paths is None else project(item, plan.paths))
            scanned += 1
            size += weight
            if size >= bytes_max or scanned == limit:
                return Page(items, scanned if is_whole else count, scanned, size, item, fetched)
        if len(rows) < left:
            return Page(items, scanned if is_whole else count, scanned, size, None, fetched)
        if plan.reverse:
            hi = rows[-1][0]
        else:
            lo = rows[-1][0] + b"\0"


def position(plan: Plan, item: Item) -> Item:
    """An item as `LastEvaluatedKey`."""
    key = primary_key(plan.table, item)
    if plan.secondary is not None:
        key.update({part.name: item[part.name] for part in plan.secondary.key})
    return key
