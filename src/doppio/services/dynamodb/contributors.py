"""Contributor Insights: which keys are used most, and which are throttled most.

Counted in memory by a space-saving sketch per minute (a key that is not known takes the place of the
rarest, with its count), kept every few seconds of host time with the metrics: like those, what was
not kept yet is lost in a crash. Nothing is counted where it is not switched on.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from doppio.kernel.context import Context, Tx
from doppio.services.dynamodb import limits
from doppio.services.dynamodb.records import Contributors, Insight, KeyPart, SecondaryIndex, Table
from doppio.services.dynamodb.values import Item

Name = tuple[str, ...]
# By account, Region and table; then by rule and minute.
_Sketches = dict[tuple[str, str, str], dict[tuple[str, int], "Sketch"]]
_known: WeakKeyDictionary[Any, _Sketches] = WeakKeyDictionary()


class Sketch:
    """The most frequent of many keys, in bounded room."""

    __slots__ = ("_held", "unique")

    def __init__(self) -> None:
        self._held: dict[Name, list[float]] = {}
        self.unique = 0

    def add(self, name: Name, amount: float, times: float = 1.0) -> None:
        """Count a key."""
        held = self._held.get(name)
        if held is not None:
            held[0] += amount
            held[1] += times
            return
        self.unique += 1
        if len(self._held) < limits.CONTRIBUTORS_MAX:
            self._held[name] = [amount, times]
            return
        rarest = min(self._held, key=lambda one: self._held[one][0])
        before = self._held.pop(rarest)
        self._held[name] = [before[0] + amount, before[1] + times]

    def keys(self) -> list[tuple[Name, float, float]]:
        """All keys with their sums and how often they came."""
        return [(name, amount, times) for name, (amount, times) in self._held.items()]


def rules(table: Table, index: SecondaryIndex | None, insight: Insight) -> dict[str, str]:
    """The names of a table's or index's rules, by what they count: keys consumed or throttled, of
    partitions or of items."""
    name = table.name if index is None else f"{table.name}-{index.name}"
    at = int(insight.at.timestamp() * 1_000)
    parts = (table if index is None else index).key
    kinds = ["PKC", "SKC"] if insight.mode == "ACCESSED_AND_THROTTLED_KEYS" else []
    kinds += ["PKT", "SKT"]
    if all(part.hash for part in parts):
        kinds = [kind for kind in kinds if kind.startswith("P")]
    return {kind: f"DynamoDBContributorInsights-{kind}-{name}-{at}" for kind in kinds}


def count_keys(
    ctx: Context,
    table: Table,
    index: SecondaryIndex | None,
    what: str,
    partitions: Sequence[Item],
    items: Sequence[Item],
    amount: float,
) -> None:
    """Count an amount for the partitions and the items that share in it, as consumed (C) or
    throttled (T)."""
    insight = table.insights.get("" if index is None else index.name)
    if insight is None or not insight.on:
        return
    minute = int(ctx.now.timestamp()) // 60 * 60
    here = _known.setdefault(ctx.kernel, {}).setdefault(
        (table.account, table.region, table.name), {}
    )
    parts = (table if index is None else index).key
    hashes = [part for part in parts if part.hash]
    for kind, rule in rules(table, index, insight).items():
        if kind[2] == what:
            of = partitions if kind[0] == "P" else items
            names = _names(of, hashes if kind[0] == "P" else parts)
            sketch = here.setdefault((rule, minute), Sketch())
            for name in names:
                sketch.add(name, amount / len(names))


def _names(items: Iterable[Item], parts: Sequence[KeyPart]) -> list[Name]:
    found = []
    for item in items:
        values = [item.get(part.name) for part in parts]
        if all(value is not None for value in values):
            found.append(tuple(_text(value) for value in values if value is not None))
    return found


def _text(value: dict[str, Any]) -> str:
    [content] = value.values()
    return content if isinstance(content, str) else base64.b64encode(content).decode()


async def keep_counts(ctx: Context, table: str) -> None:
    """Keep what was counted of a table, and forget what is too old."""
    here = _known.get(ctx.kernel, {}).pop((ctx.account, ctx.region, table), None)
    if here is None:
        return
    horizon = int((ctx.clock.now() - limits.CONTRIBUTORS_KEPT).timestamp())

    async def keep(tx: Tx) -> None:
        for (rule, minute), sketch in here.items():
            old = await tx.get(Contributors, ctx.account, ctx.region, rule, minute)
            merged = Sketch()
            for name, amount, times in (*(() if old is None else old.keys), *sketch.keys()):
                merged.add(tuple(name), amount, times)
            tx.put(
                Contributors(
                    account=ctx.account, region=ctx.region, rule=rule, minute=minute,
                    keys=merged.keys(),
                    unique=max(merged.unique, sketch.unique, 0 if old is None else old.unique),
                )
            )  # fmt: skip
        for rule in {rule for rule, _ in here}:
            prefix = (ctx.account, ctx.region, rule)
            for row in await tx.list(Contributors, prefix, until=horizon, limit=20):
                tx.delete(row)

    await ctx.transact(keep)


async def report(
    ctx: Context, rule: str, since: int, until: int
) -> list[tuple[int, list[tuple[Name, float, float]], int]]:
    """What was counted under a rule from one second to another: minute, keys, and how many there
    were."""
    for held in list(_known.get(ctx.kernel, {})):
        if held[:2] == (ctx.account, ctx.region):
            await keep_counts(ctx, held[2])
    rows = await ctx.read().list(
        Contributors, (ctx.account, ctx.region, rule), since=since, until=until,
        limit=limits.REPORT_MINUTES_MAX,
    )  # fmt: skip
    return [
        (row.minute, [(tuple(name), amount, times) for name, amount, times in row.keys], row.unique)
        for row in rows
        if row.minute < until
    ]
