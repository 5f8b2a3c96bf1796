"""A table's files in another warehouse: data as it is, and manifests with the paths that count there.

Files of Iceberg never change, so what is there already is not copied again: a manifest list is written
last of all that it names, and says by being there that all of that is there, too.

This module imports PyIceberg, so it is imported where that is needed, and not before.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import copy
from typing import Any

from pyiceberg.manifest import (
    DataFile,
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestFile,
    write_manifest,
    write_manifest_list,
)
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.snapshots import Snapshot

from doppio.services.s3tables.file_io import Warehouse
from doppio.services.s3tables.plans import parsed

# Where these stand in the records, as Iceberg's specification numbers them.
_PATH_OF_DATA, _PATH_OF_MANIFEST, _LENGTH_OF_MANIFEST = 1, 0, 1
FORMAT_MAX = 2
_CODEC: Any = "deflate"


class NotCopied(Exception):
    """A table that cannot be copied; the text says why."""


class Copy:
    """The copy of a table from one warehouse to another. `carry` copies one file by its locations."""

    def __init__(
        self, raw: bytes, source: Warehouse, target: Warehouse, carry: Callable[[str, str], None]
    ) -> None:
        self._raw = raw
        self._source, self._target, self._carry = source, target, carry
        self._there: dict[str, int] = {}

    def made(self) -> bytes:
        """Copy all that the table's snapshots are made of; the metadata that goes with it."""
        metadata = parsed(self._raw)
        if metadata.format_version > FORMAT_MAX:
            raise NotCopied(
                f"Tables of format version {metadata.format_version} are not replicated."
            )
        for snapshot in metadata.snapshots:
            self._snapshot(metadata, snapshot)
        for kind in (metadata.statistics, metadata.partition_statistics):
            for one in kind:
                self._file(one.statistics_path)
        found = _walked(
            json.loads(metadata.model_dump_json(exclude_none=True, by_alias=True)), self._moved
        )
        # What the source's metadata was before is not copied.
        return json.dumps({**found, "metadata-log": []}).encode()

    def _moved(self, text: str) -> str:
        """A location in the source, as it is in the target; any other text as it is."""
        base = f"s3://{self._source.name}"
        if text == base or text.startswith(f"{base}/"):
            return f"s3://{self._target.name}{text[len(base) :]}"
        return text

    def _is_there(self, location: str) -> bool:
        if location not in self._there:
            try:
                self._there[location] = len(self._target.new_input(location))
            except FileNotFoundError:
                return False
        return True

    def _file(self, location: str) -> None:
        moved = self._moved(location)
        if moved == location:
            raise NotCopied("The table has files that are not in its warehouse.")
        if not self._is_there(moved):
            self._carry(location, moved)

    def _snapshot(self, metadata: TableMetadata, snapshot: Snapshot) -> None:
        target = self._moved(snapshot.manifest_list)
        if self._is_there(target):
            return
        manifests = [
            self._manifest(metadata, snapshot, one) for one in snapshot.manifests(self._source)
        ]
        with write_manifest_list(
            metadata.format_version, self._target.new_output(target), snapshot.snapshot_id,
            snapshot.parent_snapshot_id, snapshot.sequence_number, _CODEC,
        ) as writer:  # fmt: skip
            writer.add_manifests(manifests)

    def _manifest(
        self, metadata: TableMetadata, snapshot: Snapshot, manifest: ManifestFile
    ) -> ManifestFile:
        """Copy the files of a manifest, and write it; as the manifest list is to name it."""
        if manifest.content != ManifestContent.DATA:
            raise NotCopied("Tables with delete files are not replicated.")
        target = self._moved(manifest.manifest_path)
        if not self._is_there(target):
            schema = metadata.schema()
            if snapshot.schema_id is not None:
                schema = metadata.schema_by_id(snapshot.schema_id) or schema
            out = self._target.new_output(target)
            with write_manifest(
                metadata.format_version, metadata.specs()[manifest.partition_spec_id], schema, out,
                manifest.added_snapshot_id or snapshot.snapshot_id, _CODEC,
            ) as writer:  # fmt: skip
                for entry in manifest.fetch_manifest_entry(self._source, discard_deleted=False):
                    writer.add_entry(self._entry(entry))
            self._there[target] = len(out)
        moved = copy(manifest)
        moved._data = list(manifest._data)
        moved[_PATH_OF_MANIFEST] = target
        moved[_LENGTH_OF_MANIFEST] = self._there[target]
        return moved

    def _entry(self, entry: ManifestEntry) -> ManifestEntry:
        file = entry.data_file
        if entry.status != ManifestEntryStatus.DELETED:
            self._file(file.file_path)
        moved = DataFile(*file._data)
        moved[_PATH_OF_DATA] = self._moved(file.file_path)
        return ManifestEntry.from_args(
            status=entry.status,
            snapshot_id=entry.snapshot_id,
            sequence_number=entry.sequence_number,
            file_sequence_number=entry.file_sequence_number,
            data_file=moved,
        )


def _walked(found: Any, moved: Callable[[str], str]) -> Any:
    """A document with each text put through a function."""
    if isinstance(found, dict):
        return {name: _walked(one, moved) for name, one in found.items()}
    if isinstance(found, list):
        return [_walked(one, moved) for one in found]
    return moved(found) if isinstance(found, str) else found
