"""Writing JSON documents: orjson on the result itself, where nothing has to be renamed.

If the text that comes out holds a null (a None to omit, or a NaN), it is written again by walking.
"""

from __future__ import annotations

import binascii
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import orjson

from doppio.wire import scalars, timestamps
from doppio.wire.model import OUTSIDE, Member, Shape

Walk = Callable[[Any], Any]


class JsonWriter:
    """Closures that turn a result into what orjson writes; None stands for "as it is"."""

    def __init__(self) -> None:
        self._structures: dict[str, Walk] = {}
        self._plain: dict[str, bool] = {}

    def plain(self, shape: Shape) -> bool:
        """Whether orjson can write the structure as it is, with the default hook."""
        known = self._plain.get(shape.name)
        if known is None:
            self._plain[shape.name] = True
            known = all(self._plain_member(m) for m in shape.members.values())
            if known:
                self._plain[shape.name] = True
            else:
                self._plain.clear()
                self._plain[shape.name] = False
        return known

    def _plain_member(self, member: Member) -> bool:
        if member.location or (member.wire_name or member.name) != member.name:
            return False
        shape = member.shape
        if shape.type == "timestamp":
            return scalars.normal_format(member.timestamp_format) in (None, "unixTimestamp")
        if shape.type == "structure":
            return not shape.document and self.plain(shape)
        if shape.type == "list":
            return not shape.sparse and self._plain_member(shape.member)
        if shape.type == "map":
            return not shape.sparse and self._plain_member(shape.value)
        return True

    def write(self, member: Member) -> Walk | None:
        kind = member.shape.type
        if kind == "structure":
            return None if member.shape.document else self.structure(member.shape)
        if kind == "list":
            return self._list(member)
        if kind == "map":
            return self._map(member)
        if kind == "timestamp":
            name = scalars.normal_format(member.timestamp_format)
            return None if name in (None, "unixTimestamp") else scalars.shower(member, "iso8601")
        if kind in ("float", "double"):
            return _write_float
        return None

    def structure(self, shape: Shape) -> Walk:
        """Writes the members that belong to the body, under their wire names."""
        known = self._structures.get(shape.name)
        if known is not None:
            return known
        table: dict[str, tuple[str, Walk | None]] | None = None

        def write(value: Mapping[str, Any]) -> dict[str, Any]:
            nonlocal table
            if table is None:
                table = {
                    m.name: (m.wire_name or m.name, self.write(m))
                    for m in shape.members.values()
                    if m.location not in OUTSIDE and not m.event_header and not m.shape.event_stream
                }
            out = {}
            for key, inner in value.items():
                entry = table.get(key)
                if entry is not None and inner is not None:
                    out[entry[0]] = inner if entry[1] is None else entry[1](inner)
            return out

        self._structures[shape.name] = write
        return write

    def _list(self, member: Member) -> Walk:
        inner = self.write(member.shape.member)
        sparse = member.shape.sparse

        def write(value: Any) -> list[Any]:
            kept = value if sparse else [item for item in value if item is not None]
            if inner is None:
                return list(kept)
            return [None if item is None else inner(item) for item in kept]

        return write

    def _map(self, member: Member) -> Walk:
        inner = self.write(member.shape.value)
        sparse = member.shape.sparse

        def write(value: Any) -> dict[str, Any]:
            return {
                k: v if v is None or inner is None else inner(v)
                for k, v in value.items()
                if sparse or v is not None
            }

        return write


def _write_float(value: Any) -> Any:
    return value if math.isfinite(value) else scalars.show_float(value)


def _hook(value: Any) -> Any:
    if isinstance(value, datetime):
        return timestamps.format_epoch(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return binascii.b2a_base64(value, newline=False).decode("ascii")
    raise TypeError(f"not a wire value: {type(value).__name__}")


def dumps(value: Any) -> bytes:
    """JSON with blobs in base64 and timestamps as seconds."""
    return orjson.dumps(value, _hook, orjson.OPT_PASSTHROUGH_DATETIME)


def body_writer(writer: JsonWriter, shape: Shape) -> Callable[[Mapping[str, Any]], bytes]:
    """Writes a structure's document."""
    walk = writer.structure(shape)
    if not writer.plain(shape):
        return lambda result: dumps(walk(result))

    def write(result: Mapping[str, Any]) -> bytes:
        body = orjson.dumps(result, _hook, orjson.OPT_PASSTHROUGH_DATETIME)
        return dumps(walk(result)) if b"null" in body else body

    return write
