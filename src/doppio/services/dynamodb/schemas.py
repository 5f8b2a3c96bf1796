"""What a table may look like: the pure checks of CreateTable and UpdateTable, and the wire form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from doppio.services.dynamodb import limits, sealing
from doppio.services.dynamodb.errors import ValidationException
from doppio.services.dynamodb.names import checked_name
from doppio.services.dynamodb.provisioning import at_most, warm_of, warmed
from doppio.services.dynamodb.records import KeyPart, SecondaryIndex, Table, Throughput

BAD = "One or more parameter values were invalid: "


def attribute_types(req: Mapping[str, Any]) -> dict[str, str]:
    """The declared key attributes and their types."""
    found: dict[str, str] = {}
    for one in req.get("AttributeDefinitions", ()):
        if one["AttributeName"] in found:
            raise ValidationException(
                "Cannot have two attributes with the same name in AttributeDefinitions"
            )
        found[one["AttributeName"]] = one["AttributeType"]
    return found


def key_parts(
    schema: Sequence[Mapping[str, Any]], types: Mapping[str, str], *, parts_max: int = 1
) -> tuple[KeyPart, ...]:
    """A key from its schema: each of its two halves may have so many attributes. Raises
    ValidationException."""
    roles = [one["KeyType"] for one in schema]
    if "HASH" not in roles[:1]:
        raise ValidationException(
            "Invalid KeySchema: The first KeySchemaElement is not a HASH key type"
        )
    if parts_max > 1:
        _check_halves(roles, parts_max)
    elif roles not in (["HASH"], ["HASH", "RANGE"]):
        raise ValidationException(
            "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type"
            if len(roles) == 2
            else "1 validation error detected: Value at 'keySchema' failed to satisfy constraint: "
            "Member must have length less than or equal to 2"
        )
    names = [one["AttributeName"] for one in schema]
    if len(set(names)) < len(names):
        raise ValidationException(
            "Both the Hash Key and the Range Key element in the KeySchema have the same name"
        )
    for name in names:
        if name not in types:
            declared = ", ".join(types)
            raise ValidationException(
                f"{BAD}Some index key attributes are not defined in AttributeDefinitions. "
                f"Keys: [{name}], AttributeDefinitions: [{declared}]"
            )
    return tuple(
        KeyPart(name, types[name], role == "HASH") for name, role in zip(names, roles, strict=True)
    )


def _check_halves(roles: Sequence[str], most: int) -> None:
    """The attributes of the hash key stand before those of the range key, and are not too many."""
    hashes = roles.count("HASH")
    if "HASH" in roles[hashes:]:
        raise ValidationException(
            "Invalid KeySchema: All HASH key elements must precede RANGE key elements"
        )
    if max(hashes, len(roles) - hashes) > most:
        raise ValidationException(
            f"Invalid KeySchema: A global secondary index can have at most {most} HASH and {most} "
            "RANGE key elements"
        )


def throughput(given: Mapping[str, Any] | None, *, on_demand: bool, what: str) -> Throughput:
    """Provisioned capacity. Raises ValidationException where it does not fit the billing mode."""
    if on_demand:
        if given and (given.get("ReadCapacityUnits") or given.get("WriteCapacityUnits")):
            raise ValidationException(
                f"{BAD}Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when "
                "BillingMode is PAY_PER_REQUEST"
            )
        return Throughput()
    if given is None:
        raise ValidationException(
            f"{BAD}ReadCapacityUnits and WriteCapacityUnits must both be specified when "
            f"BillingMode is PROVISIONED{what}"
        )
    return Throughput(read=given["ReadCapacityUnits"], write=given["WriteCapacityUnits"])


def secondary_index(
    given: Mapping[str, Any],
    types: Mapping[str, str],
    *,
    is_global: bool,
    on_demand: bool,
    status: str = "ACTIVE",
) -> SecondaryIndex:
    """A secondary index. Raises ValidationException."""
    projection = given.get("Projection") or {}
    kind = projection.get("ProjectionType")
    if kind is None:
        raise ValidationException(f"{BAD}Unknown ProjectionType: null")
    included = tuple(projection.get("NonKeyAttributes", ()))
    if bool(included) != (kind == "INCLUDE"):
        why = (
            f"ProjectionType is {kind}, but NonKeyAttributes is specified"
            if included
            else "ProjectionType is INCLUDE, but NonKeyAttributes is not specified"
        )
        raise ValidationException(BAD + why)
    return SecondaryIndex(
        name=checked_name(given["IndexName"], "IndexName"),
        key=key_parts(
            given["KeySchema"], types, parts_max=limits.INDEX_KEY_PARTS_MAX if is_global else 1
        ),
        projection=kind,
        included=included,
        is_global=is_global,
        throughput=throughput(
            given.get("ProvisionedThroughput"), on_demand=on_demand,
            what=f" for index: {given['IndexName']}",
        ) if is_global else Throughput(),
        status=status,
        at_most=at_most(given.get("OnDemandThroughput"), Throughput(), on_demand=on_demand),
        warm=warmed(
            given.get("WarmThroughput"), Throughput(read=1, write=1), f"index {given['IndexName']}"
        ),
    )  # fmt: skip


def indexes(
    req: Mapping[str, Any], key: tuple[KeyPart, ...], types: Mapping[str, str], *, on_demand: bool
) -> tuple[SecondaryIndex, ...]:
    """All secondary indexes of a new table."""
    local = [
        secondary_index(one, types, is_global=False, on_demand=on_demand)
        for one in req.get("LocalSecondaryIndexes", ())
    ]
    for one in local:
        if len(key) < 2:
            raise ValidationException(
                f"{BAD}Table KeySchema does not have a range key, which is required when "
                "specifying a LocalSecondaryIndex"
            )
        if one.key[0].name != key[0].name:
            raise ValidationException(
                f"{BAD}Index KeySchema does not have the same leading hash key as table KeySchema "
                f"for index: {one.name}. index hash key: {one.key[0].name}, table hash key: "
                f"{key[0].name}"
            )
        if len(one.key) < 2:
            raise ValidationException(
                f"{BAD}Index KeySchema does not have a range key for index: {one.name}"
            )
    everywhere = [
        secondary_index(one, types, is_global=True, on_demand=on_demand)
        for one in req.get("GlobalSecondaryIndexes", ())
    ]
    check_counts(local, everywhere)
    return (*local, *everywhere)


def check_counts(local: Sequence[SecondaryIndex], everywhere: Sequence[SecondaryIndex]) -> None:
    """Raise where there are too many indexes, or two of one name."""
    names = [one.name for one in (*local, *everywhere)]
    for name in names:
        if names.count(name) > 1:
            raise ValidationException(f"{BAD}Duplicate index name: {name}")
    if len(local) > limits.LOCAL_INDEXES_MAX:
        raise ValidationException(
            f"{BAD}Number of LocalSecondaryIndexes exceeds per-table limit of 5"
        )
    if len(everywhere) > limits.GLOBAL_INDEXES_MAX:
        raise ValidationException(
            f"{BAD}GlobalSecondaryIndex count exceeds the per-table limit of 20"
        )
    included = sum(len(one.included) for one in (*local, *everywhere))
    if included > limits.PROJECTED_ATTRIBUTES_MAX:
        raise ValidationException(
            f"{BAD}Number of projected attributes exceeds the per-table limit of "
            f"{limits.PROJECTED_ATTRIBUTES_MAX}. Requested: {included}"
        )


def check_all_used(
    types: Mapping[str, str], key: Iterable[KeyPart], found: Iterable[SecondaryIndex]
) -> None:
    """Raise ValidationException for a declared attribute that no key uses."""
    used = {part.name for part in key} | {part.name for one in found for part in one.key}
    if set(types) != used:
        raise ValidationException(
            f"{BAD}Number of attributes in KeySchema does not exactly match number of attributes "
            "defined in AttributeDefinitions"
            if not list(found)
            else f"{BAD}Some AttributeDefinitions are not used. AttributeDefinitions: "
            f"[{', '.join(types)}], keys used: [{', '.join(sorted(used))}]"
        )


Counts = Mapping[str, tuple[int, int]]


def to_wire(table: Table, counts: Counts) -> dict[str, Any]:
    """A table as DescribeTable shows it; `counts` by index name, "" for the table itself."""
    items, size = counts.get("", (0, 0))
    shown: dict[str, Any] = {
        "AttributeDefinitions": [
            {"AttributeName": name, "AttributeType": kind}
            for name, kind in table.attributes.items()
        ],
        "TableName": table.name,
        "KeySchema": _schema(table.key),
        "TableStatus": table.status,
        "CreationDateTime": table.created_at,
        "ProvisionedThroughput": _throughput(table.throughput),
        "TableSizeBytes": size,
        "ItemCount": items,
        "TableArn": table.arn,
        "TableId": table.id,
        "DeletionProtectionEnabled": table.deletion_protection,
        "WarmThroughput": _warm(table, None),
    }
    if not table.at_most.same(Throughput()):
        shown["OnDemandThroughput"] = _at_most(table.at_most)
    encryption = sealing.described(table)
    if encryption is not None:
        shown["SSEDescription"] = encryption
    if table.on_demand_since is not None:
        shown["BillingModeSummary"] = {
            "BillingMode": "PAY_PER_REQUEST" if table.on_demand else "PROVISIONED",
            "LastUpdateToPayPerRequestDateTime": table.on_demand_since,
        }
    if table.restored is not None:
        shown["RestoreSummary"] = {
            "SourceTableArn": table.restored.table,
            "RestoreDateTime": table.restored.at,
            "RestoreInProgress": table.restored.in_progress,
        }
        if table.restored.backup is not None:
            shown["RestoreSummary"]["SourceBackupArn"] = table.restored.backup
    if table.table_class is not None:
        shown["TableClassSummary"] = {"TableClass": table.table_class}
    if table.stream is not None:
        if table.stream.enabled:
            shown["StreamSpecification"] = {
                "StreamEnabled": True,
                "StreamViewType": table.stream.view,
            }
        shown["LatestStreamLabel"] = table.stream.label
        shown["LatestStreamArn"] = f"{table.arn}/stream/{table.stream.label}"
    for member, is_global in (("GlobalSecondaryIndexes", True), ("LocalSecondaryIndexes", False)):
        found = [_index(table, one, counts) for one in table.indexes if one.is_global == is_global]
        if found:
            shown[member] = found
    return shown


def _index(table: Table, index: SecondaryIndex, counts: Counts) -> dict[str, Any]:
    items, size = counts.get(index.name, (0, 0))
    projection: dict[str, Any] = {"ProjectionType": index.projection}
    if index.included:
        projection["NonKeyAttributes"] = list(index.included)
    shown: dict[str, Any] = {
        "IndexName": index.name,
        "KeySchema": _schema(index.key),
        "Projection": projection,
        "IndexSizeBytes": size,
        "ItemCount": items,
        "IndexArn": f"{table.arn}/index/{index.name}",
    }
    if index.is_global:
        shown["IndexStatus"] = index.status
        shown["ProvisionedThroughput"] = _throughput(index.throughput)
        shown["WarmThroughput"] = _warm(table, index)
        if not index.at_most.same(Throughput()):
            shown["OnDemandThroughput"] = _at_most(index.at_most)
        if index.status == "CREATING":
            shown["Backfilling"] = True
    return shown


def _schema(key: Iterable[KeyPart]) -> list[dict[str, str]]:
    return [
        {"AttributeName": part.name, "KeyType": "HASH" if part.hash else "RANGE"} for part in key
    ]


def _throughput(given: Throughput) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "NumberOfDecreasesToday": given.lowered,
        "ReadCapacityUnits": given.read,
        "WriteCapacityUnits": given.write,
    }
    if given.raised_at is not None:
        shown["LastIncreaseDateTime"] = given.raised_at
    if given.lowered_at is not None:
        shown["LastDecreaseDateTime"] = given.lowered_at
    return shown


def _at_most(given: Throughput) -> dict[str, int]:
    return {
        "MaxReadRequestUnits": given.read or -1,
        "MaxWriteRequestUnits": given.write or -1,
    }


def _warm(table: Table, index: SecondaryIndex | None) -> dict[str, Any]:
    warm = warm_of(table, index)
    status = table.status if index is None else index.status
    if table.status == "UPDATING" and status == "ACTIVE":
        status = "UPDATING"
    return {"ReadUnitsPerSecond": warm.read, "WriteUnitsPerSecond": warm.write, "Status": status}
