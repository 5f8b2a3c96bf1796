"""Which permissions an operation takes.

Source: "Actions, resources, and condition keys for Amazon DynamoDB".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from doppio.kernel.context import Context
from doppio.kernel.service import Need
from doppio.services.dynamodb.access import REMEMBERED_MAX
from doppio.services.dynamodb.condition_keys import ItemKeys, StatementKeys
from doppio.services.dynamodb.partiql.syntax import Statement, read
from doppio.services.dynamodb.records import table_arn

_PARTS = {
    "Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem", "Get": "GetItem",
}  # fmt: skip
_VERBS = {
    "SELECT": "PartiQLSelect", "EXISTS": "PartiQLSelect", "INSERT": "PartiQLInsert",
    "UPDATE": "PartiQLUpdate", "DELETE": "PartiQLDelete",
}  # fmt: skip
_FILLING = (
    "BatchWriteItem", "DeleteItem", "GetItem", "PutItem", "Query", "Scan", "UpdateItem",
)  # fmt: skip
_OF_REPLICAS = {
    "Create": "CreateTableReplica", "Update": "UpdateTable", "Delete": "DeleteTableReplica",
    "Disassociate": "DisassociateTableReplica",
}  # fmt: skip
_ARNS = ("BackupArn", "ExportArn", "ImportArn", "TableArn")
_OF_ITEMS = {
    operation: f"dynamodb:{operation}"
    for operation in ("PutItem", "GetItem", "UpdateItem", "DeleteItem", "Query", "Scan")
}


def needs(ctx: Context, operation: str, req: Mapping[str, Any]) -> Sequence[Need]:
    """The actions and the tables or indexes that an operation touches."""
    action = _OF_ITEMS.get(operation)
    if action is not None:
        return (_of_items(action, ctx, operation, req, req["TableName"], req),)
    action = f"dynamodb:{operation}"
    if "TransactItems" in req:
        return [
            _of_items(f"dynamodb:{_PARTS[kind]}", ctx, operation, req, one["TableName"], one)
            for entry in req["TransactItems"]
            for kind, one in entry.items()
            if kind in _PARTS
        ]
    if "RequestItems" in req:
        return [
            _of_items(action, ctx, operation, req, name, part)
            for name, part in req["RequestItems"].items()
        ]
    if operation == "ImportTable":
        return (Need(action, _arn(ctx, req["TableCreationParameters"]["TableName"])),)
    if operation in ("RestoreTableFromBackup", "RestoreTableToPointInTime"):
        return _of_restore(ctx, action, req)
    if "GlobalTableName" in req:
        return _of_global_table(ctx, action, req)
    for member in _ARNS:
        if member in req:
            return (Need(action, req[member]),)
    if operation in ("ListBackups", "ListExports", "ListImports"):
        name = req.get("TableName", "")
        return (Need(action, name if name.startswith("arn:") else "*"),)
    if "TableName" in req:
        return _of_table(action, ctx, operation, req)
    statements = _of_statements(ctx, operation, req)
    if statements is not None:
        return statements
    if "ResourceArn" in req:
        # A policy never locks an account's root out of taking it down.
        return (Need(action, req["ResourceArn"], unlocks=operation == "DeleteResourcePolicy"),)
    return (Need(action),)


def _of_statements(ctx: Context, operation: str, req: Mapping[str, Any]) -> Sequence[Need] | None:
    """What PartiQL needs; None for what is none."""
    if "Statement" in req:
        return (statement_need(ctx, operation, req, req),)
    if "TransactStatements" in req:
        return [statement_need(ctx, operation, req, one) for one in req["TransactStatements"]]
    if "Statements" in req:
        return ()  # Each is judged for itself, and its refusal is in its answer.
    return None


def _of_restore(ctx: Context, action: str, req: Mapping[str, Any]) -> Sequence[Need]:
    """Whoever restores a table must be allowed to fill it, too."""
    source = req.get("BackupArn") or req.get("SourceTableArn")
    if source is None:
        source = _arn(ctx, req.get("SourceTableName", "*"))
    target = _arn(ctx, req["TargetTableName"])
    return [Need(action, source), *(Need(f"dynamodb:{one}", target) for one in _FILLING)]


def _of_global_table(ctx: Context, action: str, req: Mapping[str, Any]) -> Sequence[Need]:
    """What a global table of the first version needs: itself, and the replicas that are named.

    Those that it has already the operations look at themselves.
    """
    name = req["GlobalTableName"]
    named = [one["RegionName"] for one in req.get("ReplicationGroup", ())]
    for update in req.get("ReplicaUpdates", ()):
        named += [one["RegionName"] for one in update.values()]
    return [
        Need(action, f"arn:{ctx.partition}:dynamodb::{ctx.account}:global-table/{name}"),
        *(Need(action, table_arn(ctx.account, region, name)) for region in named),
    ]


def _of_replicas(arn: str, req: Mapping[str, Any]) -> Iterator[Need]:
    """What making, changing and deleting a table's replicas needs in their Regions.

    Whoever makes a replica must be allowed to fill it, too.
    """
    for update in req.get("ReplicaUpdates", ()):
        for verb, change in update.items():
            there = _in_region(arn, change["RegionName"])
            yield Need(f"dynamodb:{_OF_REPLICAS[verb]}", there)
            if verb == "Create":
                yield from (Need(f"dynamodb:{one}", there) for one in _FILLING)
    for update in req.get("GlobalTableWitnessUpdates", ()):
        for verb, change in update.items():
            there = _in_region(arn, change["RegionName"])
            yield Need(f"dynamodb:{verb}GlobalTableWitness", there)


def _in_region(arn: str, region: str) -> str:
    parts = arn.split(":")
    return ":".join([*parts[:3], region, *parts[4:]])


def statement_need(
    ctx: Context, operation: str, req: Mapping[str, Any], given: Mapping[str, Any]
) -> Need:
    """What a PartiQL statement needs."""
    statement: Statement = read(given["Statement"])
    arn = _arn(ctx, statement.table)
    keys = StatementKeys(operation, req, given, statement)
    action = f"dynamodb:{_VERBS[statement.verb]}"
    if statement.index_name is None:
        return Need(action, arn, keys, beyond=keys)
    return Need(action, f"{arn}/index/{statement.index_name}", keys, arn, beyond=keys)


def _of_table(action: str, ctx: Context, operation: str, req: Mapping[str, Any]) -> Sequence[Need]:
    """What an operation on one table or index needs."""
    if operation == "ListContributorInsights":
        return (Need(action),)
    arn = _arn(ctx, req["TableName"])
    if "IndexName" in req:
        return (Need(action, f"{arn}/index/{req['IndexName']}", policy=arn),)
    if operation == "UpdateTableReplicaAutoScaling":
        return (Need(action, arn),)  # What it does to replicas is judged where it is done.
    needed = [Need(action, arn), *_of_replicas(arn, req)]
    if "ResourcePolicy" in req:
        needed.append(Need("dynamodb:PutResourcePolicy", arn))
    return needed


def _of_items(
    action: str, ctx: Context, operation: str, req: Mapping[str, Any], name: str, part: Any
) -> Need:
    """What touching items of one table needs."""
    arn = _arn_of(ctx.account, ctx.region, name)
    keys = ItemKeys(operation, req, part)
    index = req.get("IndexName")
    if index is None:
        return Need(action, arn, keys, None, False, False, keys)
    return Need(action, f"{arn}/index/{index}", keys, arn, beyond=keys)


def _arn(ctx: Context, name: str) -> str:
    return _arn_of(ctx.account, ctx.region, name)


@lru_cache(REMEMBERED_MAX)
def _arn_of(account: str, region: str, name: str) -> str:
    return name if name.startswith("arn:") else table_arn(account, region, name)
