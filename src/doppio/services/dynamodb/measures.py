"""What CloudWatch is told of tables. Source: "DynamoDB metrics and dimensions"."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from doppio.kernel.context import Context
from doppio.kernel.metrics import Measure
from doppio.services.dynamodb.records import Table

_NAMESPACE, _TABLE, _INDEX = "AWS/DynamoDB", "TableName", "GlobalSecondaryIndexName"
READ = Measure("dynamodb", _NAMESPACE, "ConsumedReadCapacityUnits", "Count", _TABLE)
WRITTEN = Measure("dynamodb", _NAMESPACE, "ConsumedWriteCapacityUnits", "Count", _TABLE)
_READ_INDEX = Measure("dynamodb", _NAMESPACE, READ.name, "Count", _TABLE, _INDEX)
_WRITTEN_INDEX = Measure("dynamodb", _NAMESPACE, WRITTEN.name, "Count", _TABLE, _INDEX)
RETURNED = Measure("dynamodb", _NAMESPACE, "ReturnedItemCount", "Count", _TABLE, "Operation")
REFUSED = Measure("dynamodb", _NAMESPACE, "ConditionalCheckFailedRequests", "Count", _TABLE)
_OF_INDEX = {READ: _READ_INDEX, WRITTEN: _WRITTEN_INDEX}


def count_units(
    ctx: Context,
    measure: Measure,
    table: Table,
    units: float,
    indexes: Mapping[str, float] | None = None,
) -> None:
    """Units that a call has consumed: a global index's under its own name, the others' as the
    table's."""
    if indexes:
        for one in table.indexes:
            more = indexes.get(one.name)
            if more and one.is_global:
                names = (table.name, one.name)
                ctx.count(_OF_INDEX[measure], table.account, table.region, names, more)
            elif more:
                units += more
    if units:
        ctx.count(measure, table.account, table.region, (table.name,), units)


def count_all(ctx: Context, written: Iterable[tuple[Table, float, Mapping[str, float]]]) -> None:
    """Units of several writes."""
    for table, units, indexes in written:
        count_units(ctx, WRITTEN, table, units, indexes)
