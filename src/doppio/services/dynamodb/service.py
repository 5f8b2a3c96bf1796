"""DynamoDB: the table of contents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from doppio.kernel.context import Context
from doppio.kernel.service import Need, Service
from doppio.services.dynamodb import upkeep
from doppio.services.dynamodb.batches import Batches
from doppio.services.dynamodb.items import Items
from doppio.services.dynamodb.queries import Queries
from doppio.services.dynamodb.records import table_arn
from doppio.services.dynamodb.tables import Tables
from doppio.services.dynamodb.transactions import Transactions

_PARTS = {
    "Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem", "Get": "GetItem",
}  # fmt: skip


def needs(ctx: Context, operation: str, req: Mapping[str, Any]) -> Sequence[Need]:
    """The actions and the tables or indexes that an operation touches."""
    action = f"dynamodb:{operation}"
    if "TransactItems" in req:
        return [
            Need(f"dynamodb:{_PARTS[kind]}", _arn(ctx, one["TableName"]))
            for entry in req["TransactItems"]
            for kind, one in entry.items()
            if kind in _PARTS
        ]
    if "RequestItems" in req:
        return [Need(action, _arn(ctx, name)) for name in req["RequestItems"]]
    if "TableName" in req:
        arn = _arn(ctx, req["TableName"])
        if "IndexName" in req:
            arn = f"{arn}/index/{req['IndexName']}"
        return (Need(action, arn),)
    if "ResourceArn" in req:
        return (Need(action, req["ResourceArn"]),)
    return (Need(action),)


def _arn(ctx: Context, name: str) -> str:
    return name if name.startswith("arn:") else table_arn(ctx.account, ctx.region, name)


SERVICE = Service(
    "dynamodb",
    groups=[Tables(), Items(), Queries(), Batches(), Transactions()],
    needs=needs,
    data_events=[
        "PutItem", "GetItem", "UpdateItem", "DeleteItem", "Query", "Scan", "BatchGetItem",
        "BatchWriteItem", "TransactWriteItems", "TransactGetItems",
    ],
    jobs={
        upkeep.SETTLE: upkeep.settle,
        upkeep.BACKFILL: upkeep.backfill,
        upkeep.EMPTY: upkeep.empty,
        upkeep.EXPIRE: upkeep.expire,
        upkeep.FORGET: upkeep.forget,
    },
)  # fmt: skip
