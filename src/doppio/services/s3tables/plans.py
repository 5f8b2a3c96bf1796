"""What a table's maintenance has to do, found out of its metadata and manifests by PyIceberg.

This module imports PyIceberg, so it is imported where that is needed, and not before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from pyiceberg.io import FileIO
from pyiceberg.table.metadata import TableMetadata, TableMetadataUtil
from pyiceberg.table.snapshots import Snapshot

from doppio.services.s3tables.iceberg import plain

_HOUR_MS = 3_600_000
_RETENTION = ("min_snapshots_to_keep", "max_snapshot_age_ms", "max_ref_age_ms")


def parsed(raw: bytes) -> TableMetadata:
    """Metadata as PyIceberg knows it."""
    return TableMetadataUtil.parse_raw(plain(raw).decode())


def keeps_by_itself(metadata: TableMetadata) -> bool:
    """Whether the table says itself which snapshots are kept: then S3 Tables expires none.

    Source: "Snapshot management" in the S3 user guide.
    """
    if any(name.startswith("history.expire.") for name in metadata.properties):
        return True
    return any(
        getattr(ref, name) is not None for ref in metadata.refs.values() for name in _RETENTION
    )


def expired(metadata: TableMetadata, keep_min: int, age_hours_max: int, now_ms: int) -> list[int]:
    """The snapshots that may go: the oldest, while there are more than must be kept."""
    held = {ref.snapshot_id for ref in metadata.refs.values()}
    if metadata.current_snapshot_id is not None:
        held.add(metadata.current_snapshot_id)
    oldest_first = sorted(metadata.snapshots, key=lambda one: (one.timestamp_ms, one.snapshot_id))
    spare = len(oldest_first) - keep_min
    found: list[int] = []
    for one in oldest_first:
        if len(found) >= spare or now_ms - one.timestamp_ms <= age_hours_max * _HOUR_MS:
            break
        if one.snapshot_id not in held:
            found.append(one.snapshot_id)
    return found


def referenced(
    metadata: TableMetadata, files: FileIO, snapshots: Collection[int] | None = None
) -> set[str]:
    """The locations of all files of some snapshots, or of all."""
    found: set[str] = set()
    for snapshot in metadata.snapshots:
        if snapshots is None or snapshot.snapshot_id in snapshots:
            _add(found, snapshot, files)
    return found


def _add(found: set[str], snapshot: Snapshot, files: FileIO) -> None:
    found.add(snapshot.manifest_list)
    for manifest in snapshot.manifests(files):
        # A manifest is never changed: what it names was added with it.
        if manifest.manifest_path not in found:
            found.add(manifest.manifest_path)
            entries = manifest.fetch_manifest_entry(files, discard_deleted=True)
            found.update(entry.data_file.file_path for entry in entries)


def beside_snapshots(metadata: TableMetadata, location: str) -> set[str]:
    """The files that metadata names beside those of snapshots: itself, what it was, statistics."""
    found = {location}
    found.update(entry.metadata_file for entry in metadata.metadata_log)
    kinds: Iterable[Any] = (metadata.statistics, metadata.partition_statistics)
    found.update(one.statistics_path for kind in kinds for one in kind)
    return found
