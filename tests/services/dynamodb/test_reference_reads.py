"""Query and Scan beside a list that is filtered and sorted: of a table, and of each kind of index."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, NamedTuple

from hypothesis import event, given, settings
from hypothesis import strategies as st

from tests.services.world import World

from . import reference as r
from .helpers import index, make
from .test_reference import came, sent

Item = dict[str, Any]
NUMBERS = st.sampled_from([Decimal(one) for one in ("-20", "-1.5", "0", "0.5", "2", "1e20")])
WORDS = st.sampled_from(["a", "ab", "b", "é"])
ITEMS = st.lists(
    st.builds(
        lambda keys, more: {**more, **keys},
        st.fixed_dictionaries(
            {"id": st.sampled_from(["h", "i"]), "at": NUMBERS},
            optional={"g": st.sampled_from(["h", "i"]), "n": NUMBERS, "s": WORDS},
        ),
        r.ITEMS,
    ),
    max_size=14,
    unique_by=lambda one: (one["id"], one["at"]),
)
# By index: its keys, and what it keeps beside them and the table's; None: all.
INDEXES: dict[str | None, tuple[tuple[str, ...], set[str] | None]] = {
    None: (("id", "at"), None),
    "by-g": (("g", "n"), None),
    "sparse": (("s",), set()),
    "local": (("id", "s"), {"a"}),
}


class Read(NamedTuple):
    """One query, or where there is no `key` one scan."""

    index: str | None
    key: str | None
    range: tuple[Any, ...]
    backwards: bool
    limit: int | None
    filter: r.Tree | None
    shown: tuple[str, ...]
    segments: int


def ranges(name: str) -> st.SearchStrategy[tuple[Any, ...]]:
    """Conditions on a range key."""
    values = WORDS if name == "s" else NUMBERS
    found = [
        st.just(()),
        st.tuples(st.sampled_from(["=", "<", "<=", ">", ">="]), values),
        st.tuples(st.just("between"), values, values).filter(
            lambda one: in_order(one[1]) <= in_order(one[2])
        ),
    ]
    if name == "s":
        found.append(st.tuples(st.just("begins_with"), values))
    return st.one_of(found)


def in_order(value: Any) -> Any:
    """What a key is sorted by."""
    return value.encode() if isinstance(value, str) else value


@st.composite
def reads(draw: Any) -> Read:
    """A query or a scan, with or without all that may be said."""
    name = draw(st.sampled_from(list(INDEXES)))
    names, _ = INDEXES[name]
    key, within = None, ()
    if draw(st.booleans()):
        key = draw(WORDS if names[0] == "s" else st.sampled_from(["h", "i"]))
        within = draw(ranges(names[1])) if len(names) > 1 else ()
    return Read(
        index=name,
        key=key,
        range=within,
        backwards=key is not None and draw(st.booleans()),
        limit=draw(st.one_of(st.none(), st.integers(1, 5))),
        filter=draw(st.one_of(st.none(), r.CONDITIONS)),
        shown=draw(st.sampled_from([(), ("id", "a"), ("b", "m")])) if name is None else (),
        segments=1 if key is not None else draw(st.integers(1, 3)),
    )


def expected(items: Iterable[Item], read: Read) -> tuple[list[Item], int]:
    """What a read finds, and how many items it looks at."""
    names, kept = INDEXES[read.index]
    held = [one for one in items if all(name in one for name in names)]
    if read.key is not None:
        held = [one for one in held if one[names[0]] == read.key]
        if read.range:
            held = [one for one in held if _within(one[names[1]], read.range)]
        if len(names) > 1:
            held.sort(key=lambda one: in_order(one[names[1]]), reverse=read.backwards)
    if kept is not None:
        keys = {"id", "at", *names, *kept}
        held = [{name: one[name] for name in one if name in keys} for one in held]
    found = [one for one in held if read.filter is None or r.holds(read.filter, one)]
    if read.shown:
        found = [{name: one[name] for name in one if name in read.shown} for one in found]
    return found, len(held)


def _within(value: Any, wanted: tuple[Any, ...]) -> bool:
    value, sign = in_order(value), wanted[0]
    first = in_order(wanted[1])
    if sign == "between":
        return bool(first <= value <= in_order(wanted[2]))
    if sign == "begins_with":
        return bool(value.startswith(first))
    return bool({
        "=": value == first, "<": value < first, "<=": value <= first, ">": value > first,
        ">=": value >= first,
    }[sign])  # fmt: skip


def request(read: Read) -> dict[str, Any]:
    """A read as it is asked for."""
    writer = r.Writer()
    req: dict[str, Any] = {"TableName": "orders"}
    names, _ = INDEXES[read.index]
    if read.index is not None:
        req["IndexName"] = read.index
    if read.key is not None:
        text = f"{writer.path((names[0],))} = {writer.value(read.key)}"
        if read.range:
            path, values = writer.path((names[1],)), [writer.value(one) for one in read.range[1:]]
            if read.range[0] == "between":
                text += f" AND {path} BETWEEN {values[0]} AND {values[1]}"
            elif read.range[0] == "begins_with":
                text += f" AND begins_with({path}, {values[0]})"
            else:
                text += f" AND {path} {read.range[0]} {values[0]}"
        req["KeyConditionExpression"] = text
        req["ScanIndexForward"] = not read.backwards
    if read.filter is not None:
        req["FilterExpression"] = writer.condition(read.filter)
    if read.shown:
        req["ProjectionExpression"] = ", ".join(writer.path((name,)) for name in read.shown)
    if read.limit is not None:
        req["Limit"] = read.limit
    return {**req, **writer.members()}


async def paged(world: World, read: Read) -> tuple[list[Item], int]:
    """All items of all pages and segments, and how many were looked at."""
    method = "scan" if read.key is None else "query"
    found: list[Item] = []
    looked = 0
    for segment in range(read.segments):
        req = request(read)
        if read.segments > 1:
            req |= {"Segment": segment, "TotalSegments": read.segments}
        while True:
            page = await world.call("dynamodb", method, **req)
            found += [came(one) for one in page["Items"]]
            looked += page["ScannedCount"]
            assert page["Count"] == len(page["Items"])
            assert read.limit is None or page["ScannedCount"] <= read.limit
            if "LastEvaluatedKey" not in page:
                break
            req["ExclusiveStartKey"] = page["LastEvaluatedKey"]
    return found, looked


def check(read: Read, found: list[Item], wanted: list[Item]) -> None:
    """The same items; and in a query, in the order of their range keys."""
    left = list(wanted)
    for one in found:
        place = next((number for number, other in enumerate(left) if r.same(one, other)), None)
        assert place is not None, f"{one} is too much, or wrong"
        del left[place]
    assert not left, f"{left} is missing"
    names, _ = INDEXES[read.index]
    if read.key is not None and len(names) > 1 and not read.shown:
        keys = [in_order(one[names[1]]) for one in found]
        assert keys == sorted(keys, reverse=read.backwards)


@settings(max_examples=60, deadline=None)
@given(ITEMS, st.lists(reads(), min_size=3, max_size=8))
def test_a_query_or_scan_finds_what_the_model_finds(items: list[Item], wanted: list[Read]) -> None:
    async def story() -> None:
        world = World()
        await world.start()
        await make(
            world,
            key=("id", "at"),
            kinds={"id": "S", "at": "N", "g": "S", "n": "N", "s": "S"},
            GlobalSecondaryIndexes=[
                index("by-g", "g", "n"),
                index("sparse", "s", projection="KEYS_ONLY"),
            ],
            LocalSecondaryIndexes=[
                index("local", "id", "s", projection="INCLUDE", include=("a",)),
            ],
        )
        for one in items:
            await world.call("dynamodb", "put_item", TableName="orders", Item=sent(one))
        for read in wanted:
            found, looked = await paged(world, read)
            right, passed = expected(items, read)
            event(f"{read.index} {'query' if read.key else 'scan'}: {'some' if right else 'none'}")
            check(read, found, right)
            assert looked == passed
        await world.close()

    asyncio.run(story())
