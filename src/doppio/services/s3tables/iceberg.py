"""Iceberg's metadata, by PyIceberg: it is read, made and changed here and nowhere else.

PyIceberg is imported when it is first needed and works in a thread, for both take their time. Times
and ids are given in: what PyIceberg would take from the wall clock and from chance is put in its place.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from doppio.services.s3tables.errors import BadRequest, Conflict
from doppio.services.s3tables.limits import METADATA_BYTES_MAX
from doppio.wire.errors import NotImplementedByDoppio

T = TypeVar("T")
LIBRARY = "pyiceberg"
FORMAT = "format-version"


def check_library() -> None:
    """Raise where what works on Iceberg's metadata is not installed."""
    if importlib.util.find_spec(LIBRARY) is None:
        raise NotImplementedByDoppio(
            "Iceberg's metadata needs PyIceberg: install doppio with its extra `tables`."
        )


async def beside(work: Callable[..., T], *args: Any) -> T:
    """Work in a thread, that the event loop may go on. Raises where PyIceberg is not there."""
    check_library()
    return await asyncio.get_running_loop().run_in_executor(None, work, *args)


def first_metadata(given: Mapping[str, Any], location: str, table_uuid: str, now_ms: int) -> bytes:
    """The first metadata of a table, as CreateTable describes it. Raises BadRequestException."""
    schema = {"type": "struct", "fields": _fields(given)}
    if "schemaV2" in given and "identifierFieldIds" in given["schemaV2"]:
        schema["identifier-field-ids"] = given["schemaV2"]["identifierFieldIds"]
    spec = [
        {
            "source-id": one["sourceId"],
            "field-id": one.get("fieldId", 1000 + number),
            "transform": one["transform"],
            "name": one["name"],
        }
        for number, one in enumerate((given.get("partitionSpec") or {}).get("fields") or [])
    ]
    order = [
        {
            "source-id": one["sourceId"],
            "transform": one["transform"],
            "direction": one["direction"],
            "null-order": one["nullOrder"],
        }
        for one in (given.get("writeOrder") or {}).get("fields") or []
    ]
    return new_metadata(
        {
            "schema": schema,
            "partition-spec": {"spec-id": 0, "fields": spec},
            "write-order": {"order-id": 1 if order else 0, "fields": order},
            "properties": dict(given.get("properties") or {}),
        },
        location,
        table_uuid,
        now_ms,
    )


def new_metadata(given: Mapping[str, Any], location: str, table_uuid: str, now_ms: int) -> bytes:
    """The first metadata of a table, by what Iceberg's own requests say of it."""
    from pydantic import ValidationError
    from pyiceberg import exceptions
    from pyiceberg.partitioning import PartitionSpec
    from pyiceberg.schema import Schema
    from pyiceberg.table.metadata import new_table_metadata
    from pyiceberg.table.sorting import SortOrder

    try:
        schema = Schema.model_validate(given["schema"])
        spec = PartitionSpec.model_validate(given.get("partition-spec") or {"fields": []})
        order = SortOrder.model_validate(given.get("write-order") or {"order-id": 0, "fields": []})
        made = new_table_metadata(
            schema, spec, order, location, dict(given.get("properties") or {}), _uuid(table_uuid)
        )
    except (ValidationError, ValueError, KeyError, exceptions.ValidationError) as error:
        raise BadRequest(f"The specified metadata is not valid: {_said(error)}") from error
    return _written(made.model_copy(update={"last_updated_ms": now_ms}))


def changed(
    raw: bytes,
    requirements: Sequence[Mapping[str, Any]],
    updates: Sequence[Mapping[str, Any]],
    location: str | None,
    now_ms: int,
) -> bytes:
    """Metadata after a commit of Iceberg's. Raises ConflictException where it rests on another."""
    from pydantic import TypeAdapter, ValidationError
    from pyiceberg import exceptions
    from pyiceberg.table.metadata import TableMetadataUtil
    from pyiceberg.table.update import TableRequirement, TableUpdate, update_table_metadata

    try:
        base = TableMetadataUtil.parse_raw(plain(raw).decode())
    except (ValidationError, ValueError, exceptions.ValidationError) as error:
        raise BadRequest(f"The metadata of the table is not valid: {_said(error)}") from error
    try:
        asked = TypeAdapter(tuple[TableRequirement, ...]).validate_python(requirements)
        wanted = TypeAdapter(tuple[TableUpdate, ...]).validate_python(updates)
    except ValidationError as error:
        raise BadRequest(f"The specified commit is not valid: {_said(error)}") from error
    try:
        for one in asked:
            one.validate(base)
    except exceptions.CommitFailedException as error:
        raise Conflict(str(error)) from error
    try:
        made = update_table_metadata(base, wanted, metadata_location=location)
    except (exceptions.ValidationError, ValueError, LookupError, NotImplementedError) as error:
        raise BadRequest(f"The specified commit is not valid: {_said(error)}") from error
    return _written(made.model_copy(update={"last_updated_ms": now_ms}))


def plain(raw: bytes) -> bytes:
    """Metadata as JSON, which may come under gzip. Raises ValueError where it is neither."""
    if raw[:2] != b"\x1f\x8b":
        return raw
    opened = zlib.decompressobj(31)
    try:
        text = opened.decompress(raw, METADATA_BYTES_MAX)
    except zlib.error as error:
        raise ValueError("the metadata is no gzip file") from error
    if opened.unconsumed_tail:
        raise ValueError("the metadata is too large")
    return text


def _fields(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The columns of a schema as Iceberg writes them; those that have no id get the next ones."""
    if ("schema" in given) == ("schemaV2" in given):
        raise BadRequest("Exactly one of schema and schemaV2 must be specified.")
    if "schemaV2" in given:
        return [dict(one) for one in given["schemaV2"]["fields"]]
    listed = given["schema"]["fields"]
    taken = {one["id"] for one in listed if "id" in one}
    free = (number for number in range(1, len(listed) + len(taken) + 1) if number not in taken)
    return [
        {
            "id": one["id"] if "id" in one else next(free),
            "name": one["name"],
            "type": one["type"],
            "required": one.get("required", False),
        }
        for one in listed
    ]


def _written(metadata: Any) -> bytes:
    text: str = metadata.model_dump_json(exclude_none=True, by_alias=True)
    return json.dumps(json.loads(text)).encode()


def _uuid(text: str) -> Any:
    from uuid import UUID

    return UUID(text)


def _said(error: Exception) -> str:
    """An error of PyIceberg's in one line."""
    return " ".join(str(error).split())[:500]
