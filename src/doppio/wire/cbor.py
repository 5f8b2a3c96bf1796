"""smithy-rpc-v2-cbor: one CBOR document each way, the operation in the path.

Only what Smithy's documents hold is read: no tags but epoch time (others are looked through), text
keys in maps, bounded depth. Integers go out as short as they can, doubles always as 64 bits.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from doppio.wire import events, faults, timestamps
from doppio.wire.compression import inflated
from doppio.wire.errors import AwsError, SerializationError
from doppio.wire.http import Request, Response
from doppio.wire.model import Member, Operation, Service, Shape

DEPTH_MAX = 128

_BREAK = object()
_DOUBLE = struct.Struct(">d")
_FLOATS = {25: struct.Struct(">e"), 26: struct.Struct(">f"), 27: _DOUBLE}

Put = Callable[[bytearray, Any], None]


class BadCbor(ValueError):
    """Bytes that are no CBOR document, or hold something that Smithy's never do."""


def loads(content: bytes) -> Any:
    """The one document in `content`."""
    try:
        value, at = _item(content, 0, 0)
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        raise BadCbor("the document is cut off or not valid") from error
    if at != len(content) or value is _BREAK:
        raise BadCbor("bytes follow the document")
    return value


def _item(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    if depth > DEPTH_MAX:
        raise BadCbor("nested too deeply")
    first = data[at]
    major, info = first >> 5, first & 31
    at += 1
    if major == 7:
        return _simple(data, at, info)
    if info < 24:
        size = info
    elif info < 28:
        width = 1 << (info - 24)
        if at + width > len(data):
            raise BadCbor("cut off")
        size = int.from_bytes(data[at : at + width])
        at += width
    elif info == 31 and major in (2, 3, 4, 5):
        return _unbounded(data, at, major, depth)
    else:
        raise BadCbor("not a length")
    if major == 0:
        return size, at
    if major == 1:
        return -1 - size, at
    if major == 6:
        value, at = _item(data, at, depth + 1)
        return (_instant(value) if size == 1 else value), at
    if size > len(data) - at:
        raise BadCbor("cut off")
    if major == 2:
        return data[at : at + size], at + size
    if major == 3:
        return data[at : at + size].decode(), at + size
    if major == 4:
        items = []
        for _ in range(size):
            value, at = _item(data, at, depth + 1)
            items.append(_whole(value))
        return items, at
    pairs: dict[str, Any] = {}
    for _ in range(size):
        key, at = _item(data, at, depth + 1)
        value, at = _item(data, at, depth + 1)
        pairs[_key(key)] = _whole(value)
    return pairs, at


def _instant(value: Any) -> datetime:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        raise BadCbor("not a timestamp")
    return timestamps.parse_epoch(value)


def _key(value: Any) -> str:
    if not isinstance(value, str):
        raise BadCbor("a map's key must be text")
    return value


def _whole(value: Any) -> Any:
    if value is _BREAK:
        raise BadCbor("a break where none belongs")
    return value


def _simple(data: bytes, at: int, info: int) -> tuple[Any, int]:
    if info == 20 or info == 21:
        return info == 21, at
    if info == 22 or info == 23:
        return None, at
    form = _FLOATS.get(info)
    if form is not None:
        return form.unpack_from(data, at)[0], at + form.size
    if info == 31:
        return _BREAK, at
    raise BadCbor("an unknown simple value")


def _unbounded(data: bytes, at: int, major: int, depth: int) -> tuple[Any, int]:
    items: list[Any] = []
    while True:
        value, at = _item(data, at, depth + 1)
        if value is _BREAK:
            break
        items.append(value)
    if major == 4:
        return items, at
    if major == 5:
        if len(items) % 2:
            raise BadCbor("a map's key without value")
        return {_key(key): value for key, value in zip(items[::2], items[1::2], strict=True)}, at
    if not all(isinstance(item, bytes if major == 2 else str) for item in items):
        raise BadCbor("a string of mixed pieces")
    return (b"" if major == 2 else "").join(items), at


def _head(out: bytearray, major: int, size: int) -> None:
    if size < 24:
        out.append(major << 5 | size)
    elif size < 1 << 8:
        out += bytes((major << 5 | 24, size))
    elif size < 1 << 16:
        out.append(major << 5 | 25)
        out += size.to_bytes(2)
    elif size < 1 << 32:
        out.append(major << 5 | 26)
        out += size.to_bytes(4)
    else:
        out.append(major << 5 | 27)
        out += size.to_bytes(8)


def put_int(out: bytearray, value: int) -> None:
    if value >= 0:
        _head(out, 0, value)
    else:
        _head(out, 1, -1 - value)


def put_float(out: bytearray, value: float) -> None:
    out.append(0xFB)
    out += _DOUBLE.pack(value)


def put_text(out: bytearray, value: str) -> None:
    encoded = value.encode()
    _head(out, 3, len(encoded))
    out += encoded


def put_bytes(out: bytearray, value: bytes) -> None:
    _head(out, 2, len(value))
    out += value


def put_bool(out: bytearray, value: bool) -> None:
    out.append(0xF5 if value else 0xF4)


def put_instant(out: bytearray, value: datetime) -> None:
    out.append(0xC1)
    seconds = timestamps.format_epoch(value)
    if isinstance(seconds, int):
        put_int(out, seconds)
    else:
        put_float(out, seconds)


def put_any(out: bytearray, value: Any) -> None:
    """A value without a shape: what an error of no model holds."""
    if value is None:
        out.append(0xF6)
    elif isinstance(value, bool):
        put_bool(out, value)
    elif isinstance(value, int):
        put_int(out, value)
    elif isinstance(value, float):
        put_float(out, value)
    elif isinstance(value, datetime):
        put_instant(out, value)
    elif isinstance(value, bytes):
        put_bytes(out, value)
    elif isinstance(value, Mapping):
        _head(out, 5, len(value))
        for key, inner in value.items():
            put_text(out, str(key))
            put_any(out, inner)
    elif isinstance(value, (list, tuple)):
        _head(out, 4, len(value))
        for inner in value:
            put_any(out, inner)
    else:
        put_text(out, str(value))


_PUTS: dict[str, Put] = {
    "string": put_text,
    "character": put_text,
    "integer": put_int,
    "long": put_int,
    "biginteger": put_int,
    "float": put_float,
    "double": put_float,
    "bigdecimal": put_float,
    "boolean": put_bool,
    "blob": put_bytes,
    "timestamp": put_instant,
}


class CborWriter:
    """Closures that write results."""

    def __init__(self) -> None:
        self._structures: dict[str, Put] = {}

    def document(self, shape: Shape) -> Callable[[Mapping[str, Any]], bytes]:
        put = self.structure(shape)

        def write(value: Mapping[str, Any]) -> bytes:
            out = bytearray()
            put(out, value)
            return bytes(out)

        return write

    def _member(self, member: Member) -> Put:
        kind = member.shape.type
        if kind == "structure":
            return put_any if member.shape.document else self.structure(member.shape)
        if kind == "list":
            return self._list(member)
        if kind == "map":
            return self._map(member)
        return _PUTS[kind]

    def structure(self, shape: Shape) -> Put:
        known = self._structures.get(shape.name)
        if known is not None:
            return known
        table: dict[str, tuple[bytes, Put]] | None = None

        def put(out: bytearray, value: Mapping[str, Any]) -> None:
            nonlocal table
            if table is None:
                table = {}
                for member in shape.members.values():
                    if not member.shape.event_stream and not member.event_header:
                        name = bytearray()
                        put_text(name, member.name)
                        table[member.name] = (bytes(name), self._member(member))
            out.append(0xBF)
            for key, inner in value.items():
                entry = table.get(key)
                if entry is not None and inner is not None:
                    out += entry[0]
                    entry[1](out, inner)
            out.append(0xFF)

        self._structures[shape.name] = put
        return put

    def _list(self, member: Member) -> Put:
        inner = self._member(member.shape.member)
        sparse = member.shape.sparse

        def put(out: bytearray, value: Any) -> None:
            kept = value if sparse else [item for item in value if item is not None]
            _head(out, 4, len(kept))
            for item in kept:
                if item is None:
                    out.append(0xF6)
                else:
                    inner(out, item)

        return put

    def _map(self, member: Member) -> Put:
        inner = self._member(member.shape.value)
        sparse = member.shape.sparse

        def put(out: bytearray, value: Any) -> None:
            kept = value if sparse else {k: v for k, v in value.items() if v is not None}
            _head(out, 5, len(kept))
            for key, item in kept.items():
                put_text(out, key)
                if item is None:
                    out.append(0xF6)
                else:
                    inner(out, item)

        return put


class CborReader:
    """Closures that read inputs: JSON's, with other scalars."""

    def __init__(self) -> None:
        from doppio.wire.json_read import JsonReader

        class Reader(JsonReader):
            def scalar(self, kind: str) -> Callable[[Any], Any]:
                if kind == "blob":
                    return _read_bytes
                return super().scalar(kind)

            def wire_name(self, member: Member) -> str:
                return member.name

        self._reader = Reader()

    def document(self, shape: Shape) -> Callable[[bytes], dict[str, Any]]:
        walk = self._reader.structure(shape)

        def read(body: bytes) -> dict[str, Any]:
            try:
                out: dict[str, Any] = walk(loads(body)) if body else {}
            except (ValueError, RecursionError) as error:
                raise SerializationError(str(error)) from error
            return out

        return read


def _read_bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    raise BadCbor("a byte string was expected")


class CborCodec:
    """The protocol of one service."""

    protocol = "smithy-rpc-v2-cbor"
    _content_type = "application/cbor"

    def __init__(self, service: Service) -> None:
        self.service = service
        self._reader = CborReader()
        self._writer = CborWriter()
        self._decoders: dict[Operation, Callable[[bytes], dict[str, Any]]] = {}
        self._events = events.CborEvents(self._reader, self._writer)

    def decode(
        self, op: Operation, request: Request, uri_params: Mapping[str, str]
    ) -> dict[str, Any]:
        if op.event_input is not None:
            return {op.event_input: self._events.read_stream(op, request.body)}
        read = self._decoders.get(op)
        if read is None:
            read = self._reader.document(op.input) if op.input is not None else lambda body: {}
            self._decoders[op] = read
        return read(inflated(request) if op.compressible else request.body.whole or b"")

    def _headers(self, content_type: str | None, request_id: str) -> list[tuple[str, str]]:
        headers = faults.request_headers(self.service, content_type, request_id)
        headers.append(("smithy-protocol", "rpc-v2-cbor"))
        return headers

    def encode(self, op: Operation, result: Mapping[str, Any], request_id: str) -> Response:
        if op.output is None:
            return Response(200, self._headers(None, request_id), b"")
        body = self._writer.document(op.output)(result)
        if op.event_output is not None:
            shape = op.output.members[op.event_output].shape
            frames = self._events.write_stream(shape, result[op.event_output], body)
            return Response(200, self._headers(events.CONTENT_TYPE, request_id), frames)
        return Response(200, self._headers(self._content_type, request_id), body)

    def encode_error(self, op: Operation | None, error: AwsError, request_id: str) -> Response:
        fault = faults.resolve(self.service, op, error, "json")
        members = {k: v for k, v in fault.members.items() if v is not None}
        if fault.message and "message" not in members and "Message" not in members:
            members["message"] = fault.message
        out = bytearray(b"\xbf\x66__type")
        put_text(out, faults.type_name(self.service, fault))
        if fault.shape is not None:
            known = {k: v for k, v in members.items() if k in fault.shape.members}
            out += self._writer.document(fault.shape)(known)[1:-1]
            members = {k: v for k, v in members.items() if k not in known and k == "message"}
        for name, value in members.items():
            put_text(out, name)
            put_any(out, value)
        out.append(0xFF)
        headers = self._headers(self._content_type, request_id)
        headers += error.headers.items()
        if self.service.query_compatible:
            headers.append(faults.query_error_header(fault))
        return Response(fault.status, headers, bytes(out))
