"""Multi-Region strong consistency: a change is in all replicas in the commit in which it is made.

Such a global table has three Regions of one set: three replicas, or two and a witness, which has no
table. All of them come at once, to a table that is still empty, and go at once. Whoever reads any
replica sees the last write, and of two conditional writes in two Regions one holds.

Source: "Multi-Region strong consistency (MRSC)" in the developer guide.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from doppio.kernel.context import Tx
from doppio.services.dynamodb.errors import ValidationException
from doppio.services.dynamodb.records import Table
from doppio.services.dynamodb.replicas import joined
from doppio.services.dynamodb.replication import members
from doppio.services.dynamodb.schemas import BAD

REGION_SETS = (
    frozenset({"us-east-1", "us-east-2", "us-west-2"}),
    frozenset({"eu-west-1", "eu-west-2", "eu-west-3", "eu-central-1"}),
    frozenset({"ap-northeast-1", "ap-northeast-2", "ap-northeast-3"}),
)
_REGIONS = 3


async def prepared(tx: Tx, table: Table, req: Mapping[str, Any]) -> Table:
    """The table as it is before its replicas come or go. Raises ValidationException."""
    updates = req.get("ReplicaUpdates", ())
    come = [one["Create"]["RegionName"] for one in updates if "Create" in one]
    go = {one["Delete"]["RegionName"] for one in updates if "Delete" in one}
    witness = (req.get("GlobalTableWitnessUpdates") or [{}])[0]
    if "MultiRegionConsistency" in req and not come:
        raise ValidationException(
            f"{BAD}MultiRegionConsistency can only be specified when a new global table is created "
            "by Create actions in ReplicaUpdates"
        )
    if table.replication is not None and table.replication.strong:
        return await _ending(tx, table, come, go, witness)
    if req.get("MultiRegionConsistency") == "STRONG":
        return await _beginning(tx, table, come, witness)
    if witness:
        raise ValidationException(
            f"{BAD}GlobalTableWitnessUpdates can only be specified for global tables with "
            "multi-Region strong consistency"
        )
    return table


async def _beginning(tx: Tx, table: Table, come: list[str], witness: Mapping[str, Any]) -> Table:
    if table.replication is not None:
        raise ValidationException(
            f"{BAD}MultiRegionConsistency cannot be changed for an existing global table"
        )
    seen_by = (witness.get("Create") or {}).get("RegionName")
    everybody = [table.region, *come, *([seen_by] if seen_by else [])]
    if len(set(everybody)) != _REGIONS or len(everybody) != _REGIONS:
        raise ValidationException(
            f"{BAD}A global table with multi-Region strong consistency must have exactly three "
            "Regions: three replicas, or two replicas and one witness"
        )
    if not any(one.issuperset(everybody) for one in REGION_SETS):
        raise ValidationException(
            f"{BAD}The Regions of a global table with multi-Region strong consistency must lie in "
            f"one Region set: [{', '.join(everybody)}]"
        )
    for held, what in (
        (not all(one.is_global for one in table.indexes), "local secondary indexes"),
        (table.ttl_attribute is not None, "Time to Live"),
    ):
        if held:
            raise ValidationException(
                f"{BAD}Global tables with multi-Region strong consistency do not support {what}"
            )
    prefix = table.prefix
    if await tx.raw.scan(prefix, prefix + b"\xff", limit=1):
        raise ValidationException(
            f"{BAD}A table must be empty to become a global table with multi-Region strong "
            f"consistency: TableName: {table.name}"
        )
    table = await joined(tx, table, strong=True)
    assert table.replication is not None
    return replace(table, replication=replace(table.replication, witness=seen_by))


async def _ending(
    tx: Tx, table: Table, come: list[str], go: set[str], witness: Mapping[str, Any]
) -> Table:
    assert table.replication is not None
    seen_by = table.replication.witness
    if come or "Create" in witness:
        raise ValidationException(
            f"{BAD}Replicas and witnesses cannot be added to an existing global table with "
            "multi-Region strong consistency"
        )
    others = {one.region for one in await members(tx, table)}
    leaves = (witness.get("Delete") or {}).get("RegionName")
    if (go or leaves) and (go != others or leaves != seen_by):
        raise ValidationException(
            f"{BAD}Both other Regions of a global table with multi-Region strong consistency must "
            "be deleted in one request: two replicas, or a replica and the witness"
        )
    return table


def check_no_expiry(table: Table) -> None:
    """Raise where items cannot expire."""
    if table.replication is not None and table.replication.strong:
        raise ValidationException(
            f"{BAD}Global tables with multi-Region strong consistency do not support Time to Live"
        )
