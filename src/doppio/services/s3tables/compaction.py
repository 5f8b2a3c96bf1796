"""Compaction: the small data files of a partition are written anew as few larger ones.

PyIceberg plans, reads (with what deletes there are), writes and makes the manifests; what is made of it
is one commit of Iceberg's that replaces files and changes no row. It rests on the snapshot that was read:
where somebody has written meanwhile it fails, and the next run begins anew.

This module imports PyIceberg and pyarrow, so it is imported where they are needed, and not before.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import groupby
from typing import Any, NamedTuple

from pyiceberg.expressions import AlwaysTrue
from pyiceberg.io import FileIO
from pyiceberg.io.pyarrow import ArrowScan, _dataframe_to_data_files
from pyiceberg.table import FileScanTask, Table
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.transforms import IdentityTransform

from doppio.services.s3tables.limits import COMPACTED_BYTES_MAX, COMPACTED_FILES_MIN

_SMALL = 0.75
FORMAT_MAX = 2


class Commit(NamedTuple):
    """What Iceberg is to be asked for, as on its wire."""

    requirements: list[dict[str, Any]]
    updates: list[dict[str, Any]]


def compacted(
    metadata: TableMetadata, location: str, files: FileIO, target_bytes: int, strategy: str
) -> Commit | None:
    """Write small files anew; None where there are not enough of them to be worth it."""
    if metadata.format_version > FORMAT_MAX or metadata.current_snapshot() is None:
        # Newer formats number rows, and a row that is written anew would lose its number.
        return None
    table = Table(("table",), metadata, location, files, _NO_CATALOG)
    bins = list(_bins(table, min(target_bytes, COMPACTED_BYTES_MAX)))
    if not bins:
        return None
    transaction = table.transaction()
    with transaction.update_snapshot().overwrite() as replacing:
        for tasks in bins:
            for made in _dataframe_to_data_files(
                metadata, _rows(metadata, files, tasks, strategy), files
            ):
                replacing.append_data_file(made)
            for task in tasks:
                replacing.delete_data_file(task.file)
    updates = [_plain(one) for one in transaction._updates]
    for update in updates:
        if update["action"] == "add-snapshot":
            # No row has changed; PyIceberg has no word for that in what it writes itself.
            update["snapshot"]["summary"]["operation"] = "replace"
    return Commit([_plain(one) for one in transaction._requirements], updates)


_NO_CATALOG: Any = None


def _bins(table: Table, target_bytes: int) -> Iterable[list[FileScanTask]]:
    """Files of one partition that go together, each time up to the size that is wanted."""
    spec = table.metadata.default_spec_id
    small = [
        task
        for task in table.scan().plan_files()
        if task.file.spec_id == spec and task.file.file_size_in_bytes < target_bytes * _SMALL
    ]
    small.sort(key=lambda task: (repr(task.file.partition), task.file.file_path))
    for _, tasks in groupby(small, key=lambda task: repr(task.file.partition)):
        held: list[FileScanTask] = []
        size = 0
        for task in tasks:
            if held and size + task.file.file_size_in_bytes > target_bytes:
                if len(held) >= COMPACTED_FILES_MIN:
                    yield held
                held, size = [], 0
            held.append(task)
            size += task.file.file_size_in_bytes
        if len(held) >= COMPACTED_FILES_MIN:
            yield held


def _rows(metadata: TableMetadata, files: FileIO, tasks: list[FileScanTask], strategy: str) -> Any:
    """The rows of some files, without those that are deleted, in the table's order if there is one."""
    rows = ArrowScan(metadata, files, metadata.schema(), AlwaysTrue()).to_table(tasks)
    keys = sort_keys(metadata) if strategy in {"auto", "sort"} else None
    if not keys:
        return rows
    return rows.sort_by([(name, "ascending" if up else "descending") for name, up in keys])


def sort_keys(metadata: TableMetadata) -> list[tuple[str, bool]] | None:
    """The columns by which a table is sorted, and whether upwards; None where it is by more."""
    found: list[tuple[str, bool]] = []
    for field in metadata.sort_order().fields:
        name = metadata.schema().find_column_name(field.source_id)
        if not isinstance(field.transform, IdentityTransform) or name is None or "." in name:
            return None
        found.append((name, field.direction.name == "ASC"))
    return found


def _plain(one: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(one.model_dump_json(exclude_none=True, by_alias=True))
    return found
