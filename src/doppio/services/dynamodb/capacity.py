"""Capacity units: what an operation consumes, as AWS counts it, and how it is metered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from doppio.services.dynamodb.limits import READ_UNIT_BYTES, WRITE_UNIT_BYTES
from doppio.services.dynamodb.records import Table

INFREQUENT = "STANDARD_INFREQUENT_ACCESS"


def read_units(size: int, *, consistent: bool, transactional: bool = False) -> float:
    """Units for reading so many bytes: one for 4 KiB, half if eventually consistent."""
    units = -(-size // READ_UNIT_BYTES) or 1
    if transactional:
        return units * 2.0
    return float(units) if consistent else units / 2


def write_units(size: int, *, transactional: bool = False) -> float:
    """Units for writing so many bytes: one for each KiB begun."""
    units = float(-(-size // WRITE_UNIT_BYTES) or 1)
    return units * 2 if transactional else units


def consumed(
    req: Mapping[str, Any],
    table: Table,
    units: float,
    indexes: Mapping[str, float] | None = None,
    *,
    kind: str = "",
    name: str = "",
) -> dict[str, Any] | None:
    """`ConsumedCapacity` as the request asks for it; `kind` is Read or Write in transactions.

    A table that was named by its ARN is shown so: `name`, where it is not in the request itself.
    """
    wanted = req.get("ReturnConsumedCapacity", "NONE")
    if wanted == "NONE":
        return None
    indexes = indexes or {}
    total = units + sum(indexes.values())
    shown: dict[str, Any] = {
        "TableName": name or req.get("TableName", table.name),
        "CapacityUnits": total,
    }
    if kind:
        shown[f"{kind}CapacityUnits"] = total
    if wanted == "INDEXES":
        shown["Table"] = _units(units, kind)
        for member, is_global in (
            ("GlobalSecondaryIndexes", True),
            ("LocalSecondaryIndexes", False),
        ):
            found = {
                one.name: _units(indexes[one.name], kind)
                for one in table.indexes
                if one.is_global == is_global and one.name in indexes
            }
            if found:
                shown[member] = found
    return shown


def _units(units: float, kind: str) -> dict[str, float]:
    shown = {"CapacityUnits": units}
    if kind:
        shown[f"{kind}CapacityUnits"] = units
    return shown


def usage(units: str, table: Table) -> str:
    """Under which usage type a table's units are billed: AWS's class for seldom access has its own."""
    return f"IA-{units}" if table.table_class == INFREQUENT else units


def usages(units: str, taken: Iterable[tuple[Table, float]]) -> dict[str, float]:
    """Units of several tables by their usage types."""
    found: dict[str, float] = {}
    for table, amount in taken:
        name = usage(units, table)
        found[name] = found.get(name, 0.0) + amount
    return found
