"""How tables are kept in order: what is set for a table and its bucket, and what the jobs did last.

Everything is on until it is turned off, as in AWS. What acts on it is `upkeep`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel.context import Context
from doppio.services.s3tables import limits
from doppio.services.s3tables.errors import BadRequest
from doppio.services.s3tables.lookup import bucket_of, table_of
from doppio.services.s3tables.records import Table, TableBucket, Upkept
from doppio.wire.errors import NotImplementedByDoppio

if TYPE_CHECKING:
    from doppio._stubs import s3tables as w

COMPACTION, SNAPSHOTS = "icebergCompaction", "icebergSnapshotManagement"
REMOVAL = "icebergUnreferencedFileRemoval"
ENABLED, DISABLED = "enabled", "disabled"
_DEFAULTS: dict[str, dict[str, Any]] = {
    COMPACTION: {"targetFileSizeMB": limits.TARGET_FILE_MB_DEFAULT, "strategy": "auto"},
    SNAPSHOTS: {
        "minSnapshotsToKeep": limits.SNAPSHOTS_KEPT_DEFAULT,
        "maxSnapshotAgeHours": limits.SNAPSHOT_AGE_HOURS_DEFAULT,
    },
    REMOVAL: {
        "unreferencedDays": limits.UNREFERENCED_DAYS_DEFAULT,
        "nonCurrentDays": limits.NONCURRENT_DAYS_DEFAULT,
    },
}


class Maintenance:
    """The operations on maintenance."""

    async def put_table_maintenance_configuration(
        self, ctx: Context, req: w.PutTableMaintenanceConfigurationRequest
    ) -> None:
        """Turn one of a table's jobs on or off, or say how it is done."""
        async with ctx.write() as tx:
            _, table = await table_of(tx, req)
            value = _checked(req["type"], req["value"], table.maintenance)
            tx.put(replace(table, maintenance={**table.maintenance, req["type"]: value}))

    async def get_table_maintenance_configuration(
        self, ctx: Context, req: w.GetTableMaintenanceConfigurationRequest
    ) -> w.GetTableMaintenanceConfigurationResponse:
        """How a table is kept in order."""
        _, table = await table_of(ctx.read(), req)
        shown = {kind: _shown(kind, table) for kind in (COMPACTION, SNAPSHOTS)}
        return {"tableARN": table.arn, "configuration": shown}  # type: ignore[typeddict-item]

    async def put_table_bucket_maintenance_configuration(
        self, ctx: Context, req: w.PutTableBucketMaintenanceConfigurationRequest
    ) -> None:
        """Say when files go that no table refers to."""
        async with ctx.write() as tx:
            bucket = await bucket_of(tx, req["tableBucketARN"])
            value = _checked(req["type"], req["value"], bucket.maintenance)
            tx.put(replace(bucket, maintenance={**bucket.maintenance, req["type"]: value}))

    async def get_table_bucket_maintenance_configuration(
        self, ctx: Context, req: w.GetTableBucketMaintenanceConfigurationRequest
    ) -> w.GetTableBucketMaintenanceConfigurationResponse:
        """When files go that no table refers to."""
        bucket = await bucket_of(ctx.read(), req["tableBucketARN"])
        shown = {REMOVAL: _shown(REMOVAL, bucket)}
        return {"tableBucketARN": bucket.arn, "configuration": shown}  # type: ignore[typeddict-item]

    async def get_table_maintenance_job_status(
        self, ctx: Context, req: w.GetTableMaintenanceJobStatusRequest
    ) -> w.GetTableMaintenanceJobStatusResponse:
        """What each job did last, and when."""
        reader = ctx.read()
        bucket, table = await table_of(reader, req)
        kept = await reader.get(Upkept, table.id)
        found = {} if kept is None else kept.jobs
        shown: dict[str, Any] = {}
        for kind, whose in ((COMPACTION, table), (SNAPSHOTS, table), (REMOVAL, bucket)):
            if not is_on(kind, whose):
                shown[kind] = {"status": "Disabled"}
            elif kind in found:
                shown[kind] = found[kind].shown()
            else:
                shown[kind] = {"status": "Not_Yet_Run"}
        return {"tableARN": table.arn, "status": shown}


def is_on(kind: str, whose: Table | TableBucket) -> bool:
    """Whether a job is to be done."""
    return bool(whose.maintenance.get(kind, {}).get("status", ENABLED) == ENABLED)


def settings_of(kind: str, whose: Table | TableBucket) -> dict[str, Any]:
    """How a job is to be done: as it was put, else as AWS does it."""
    return {**_DEFAULTS[kind], **whose.maintenance.get(kind, {}).get("settings", {})}


def _shown(kind: str, whose: Table | TableBucket) -> dict[str, Any]:
    status = ENABLED if is_on(kind, whose) else DISABLED
    return {"status": status, "settings": {kind: settings_of(kind, whose)}}


def _checked(kind: str, value: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, Any]:
    """A setting as it is kept. Raises BadRequestException."""
    given = value.get("settings") or {}
    if any(name != kind for name in given):
        raise BadRequest("The maintenance settings do not match the maintenance type.")
    settings = dict(given.get(kind) or {})
    size = settings.get("targetFileSizeMB", limits.TARGET_FILE_MB_DEFAULT)
    if not limits.TARGET_FILE_MB_MIN <= size <= limits.TARGET_FILE_MB_MAX:
        raise BadRequest(
            f"The target file size must be between {limits.TARGET_FILE_MB_MIN} MB and "
            f"{limits.TARGET_FILE_MB_MAX} MB."
        )
    if settings.get("strategy") == "z-order":
        raise NotImplementedByDoppio(
            "Compaction by z-order exists in AWS and not yet in this cloud"
        )
    before = old.get(kind, {})
    return {
        "status": value.get("status", before.get("status", ENABLED)),
        "settings": settings or before.get("settings", {}),
    }
