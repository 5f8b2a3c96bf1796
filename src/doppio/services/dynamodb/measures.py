"""What CloudWatch is told of tables. Source: "DynamoDB metrics and dimensions"."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from doppio.kernel.context import Context
from doppio.kernel.metrics import Measure
from doppio.services.dynamodb.records import Table
from doppio.wire.errors import AwsError

NAMESPACE, _TABLE, _INDEX = "AWS/DynamoDB", "TableName", "GlobalSecondaryIndexName"
READ = Measure("dynamodb", NAMESPACE, "ConsumedReadCapacityUnits", "Count", _TABLE)
WRITTEN = Measure("dynamodb", NAMESPACE, "ConsumedWriteCapacityUnits", "Count", _TABLE)
_READ_INDEX = Measure("dynamodb", NAMESPACE, READ.name, "Count", _TABLE, _INDEX)
_WRITTEN_INDEX = Measure("dynamodb", NAMESPACE, WRITTEN.name, "Count", _TABLE, _INDEX)
RETURNED = Measure("dynamodb", NAMESPACE, "ReturnedItemCount", "Count", _TABLE, "Operation")
REFUSED = Measure("dynamodb", NAMESPACE, "ConditionalCheckFailedRequests", "Count", _TABLE)
UNDER_WAY = Measure(
    "dynamodb", NAMESPACE, "ReplicationLatency", "Milliseconds", _TABLE, "ReceivingRegion"
)
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


THROTTLED_REQUESTS = Measure(
    "dynamodb", NAMESPACE, "ThrottledRequests", "Count", _TABLE, "Operation"
)
_EVENTS: dict[tuple[str, bool], Measure] = {
    (f"{kind}{reason}", of_index): Measure(
        "dynamodb", NAMESPACE, f"{kind}{word}ThrottleEvents", "Count",
        *((_TABLE, _INDEX) if of_index else (_TABLE,)),
    )
    for kind in ("Read", "Write")
    for of_index in (False, True)
    for reason, word in (
        ("", ""),
        ("ProvisionedThroughputExceeded", "ProvisionedThroughput"),
        ("AccountLimitExceeded", "AccountLimit"),
        ("KeyRangeThroughputExceeded", "KeyRangeThroughput"),
        ("MaxOnDemandThroughputExceeded", "MaxOnDemandThroughput"),
    )
}  # fmt: skip


def count_throttled(
    ctx: Context, table: Table, kind: str, found: Iterable[tuple[str, str]]
) -> None:
    """Throttling of a table (its name is empty) or of global indexes, each under its own name."""
    for index, reason in found:
        names = (table.name, index) if index else (table.name,)
        for word in ("", reason):
            measure = _EVENTS[(f"{kind}{word}", bool(index))]
            ctx.count(measure, table.account, table.region, names)


LATENCY = Measure(
    "dynamodb", NAMESPACE, "SuccessfulRequestLatency", "Milliseconds", _TABLE, "Operation"
)
_USER_ERRORS = Measure("dynamodb", NAMESPACE, "UserErrors", "Count")
_SYSTEM_ERRORS = Measure("dynamodb", NAMESPACE, "SystemErrors", "Count", _TABLE, "Operation")
# What is no error of a user's, though it is answered with 400.
_NO_USER_ERRORS = frozenset(
    {"ConditionalCheckFailedException", "ProvisionedThroughputExceededException",
     "ThrottlingException", "RequestLimitExceeded"}
)  # fmt: skip


def refused(ctx: Context, req: Mapping[str, Any], error: AwsError) -> None:
    """Count a request that is refused (of the whole account), or that fails here (of its table)."""
    if error.status < 500:
        if error.code not in _NO_USER_ERRORS:
            ctx.count(_USER_ERRORS, ctx.account, ctx.region, ())
    elif error.status != 501 and "TableName" in req:
        name = req["TableName"].rpartition("/")[2]
        ctx.count(_SYSTEM_ERRORS, ctx.account, ctx.region, (name, ctx.operation))
