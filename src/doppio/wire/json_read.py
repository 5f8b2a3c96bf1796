"""Reading JSON documents: the fast way through typed dicts, and the one that knows the words.

Where a shape is plain (no timestamps, no renamed members) msgspec decodes straight into typed
dicts, in C. Where that fails or cannot be, orjson decodes and closures walk the value; they also
find the words for what is wrong with it. Both give the same values.
"""

from __future__ import annotations

import binascii
import math
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, TypedDict

import msgspec
import orjson

from doppio.wire import timestamps
from doppio.wire.errors import SerializationError
from doppio.wire.model import INPUT_OUTSIDE, Member, Shape

Walk = Callable[[Any], Any]
Decode = Callable[[bytes], dict[str, Any]]

_INTEGERS = {"integer": ("Integer", 31), "long": ("Long", 63), "biginteger": ("BigInteger", 127)}
_FLOATS = {"float": "Float", "double": "Double", "bigdecimal": "BigDecimal"}
_JAVA = {"string": "String", "character": "String", "boolean": "Boolean", "blob": "ByteBuffer"}


class _Mismatch(ValueError):
    """A value of another type than the model's, in AWS's words."""


def _mismatch(value: Any, java: str) -> _Mismatch:
    """The text of Coral's parser, which all JSON services share."""
    if isinstance(value, dict):
        return _Mismatch("Start of structure or map found where not expected.")
    if isinstance(value, list):
        return _Mismatch(f"Unrecognized collection type class java.lang.{java}")
    if isinstance(value, bool):
        word = "TRUE_VALUE" if value else "FALSE_VALUE"
    elif isinstance(value, str):
        word = "STRING_VALUE"
    else:
        word = "DECIMAL_VALUE" if isinstance(value, float) else "NUMBER_VALUE"
    return _Mismatch(f"{word} can not be converted to {java}")


def _read_string(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise _mismatch(value, "String")


def _read_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise _mismatch(value, "Boolean")


def _read_blob(value: Any) -> bytes:
    if not isinstance(value, str):
        raise _mismatch(value, "ByteBuffer")
    try:
        return binascii.a2b_base64(value.encode("ascii"), strict_mode=True)
    except ValueError as error:
        raise _Mismatch("Invalid Base64 content") from error


def _read_timestamp(value: Any) -> datetime:
    try:
        return timestamps.parse(value)
    except ValueError as error:
        raise _Mismatch(f"Invalid timestamp: {str(value)[:100]}") from error


def _integer_reader(kind: str) -> Walk:
    java, bits = _INTEGERS[kind]
    top = 1 << bits

    def read(value: Any) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise _mismatch(value, java)
        if not -top <= value < top:
            raise _Mismatch(f"NUMBER_VALUE can not be converted to {java}")
        return value

    return read


def _float_reader(kind: str) -> Walk:
    java = _FLOATS[kind]
    special = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}

    def read(value: Any) -> float:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
        if isinstance(value, str) and value in special:
            return special[value]
        raise _mismatch(value, java)

    return read


class JsonReader:
    """Closures that turn decoded JSON into an operation's values."""

    def __init__(self) -> None:
        self._structures: dict[str, Walk] = {}

    def read(self, member: Member) -> Walk:
        kind = member.shape.type
        if kind == "structure":
            return (lambda value: value) if member.shape.document else self.structure(member.shape)
        if kind == "list":
            return self._list(member)
        if kind == "map":
            return self._map(member)
        return self.scalar(kind)

    def scalar(self, kind: str) -> Walk:
        if kind in _INTEGERS:
            return _integer_reader(kind)
        if kind in _FLOATS:
            return _float_reader(kind)
        if kind == "boolean":
            return _read_bool
        if kind == "blob":
            return _read_blob
        return _read_timestamp if kind == "timestamp" else _read_string

    def wire_name(self, member: Member) -> str:
        return member.wire_name or member.name

    def structure(self, shape: Shape) -> Walk:
        """Reads the members that are in the body; what the model does not know is skipped."""
        known = self._structures.get(shape.name)
        if known is not None:
            return known
        table: dict[str, tuple[str, Walk]] | None = None

        def read(value: Any) -> dict[str, Any]:
            nonlocal table
            if table is None:
                table = {
                    self.wire_name(m): (m.name, self.read(m))
                    for m in shape.members.values()
                    if m.location not in INPUT_OUTSIDE and not m.event_header
                }
            if not isinstance(value, dict):
                raise _collection(value)
            out = {}
            for key, inner in value.items():
                entry = table.get(key)
                if entry is not None and inner is not None:
                    out[entry[0]] = entry[1](inner)
            return out

        self._structures[shape.name] = read
        return read

    def _list(self, member: Member) -> Walk:
        inner = self.read(member.shape.member)
        sparse = member.shape.sparse

        def read(value: Any) -> list[Any]:
            if not isinstance(value, list):
                raise _collection(value)
            if sparse:
                return [None if item is None else inner(item) for item in value]
            return [inner(item) for item in value if item is not None]

        return read

    def _map(self, member: Member) -> Walk:
        inner = self.read(member.shape.value)
        sparse = member.shape.sparse

        def read(value: Any) -> dict[str, Any]:
            if not isinstance(value, dict):
                raise _collection(value)
            if sparse:
                return {k: None if v is None else inner(v) for k, v in value.items()}
            return {k: inner(v) for k, v in value.items() if v is not None}

        return read


def _collection(value: Any) -> _Mismatch:
    if isinstance(value, dict):
        return _Mismatch("Start of structure or map found where not expected.")
    if isinstance(value, list):
        return _Mismatch("Start of list found where not expected")
    return _Mismatch("Unexpected field type")


class _NotPlain(Exception):
    """A shape that msgspec cannot decode as we need it."""


class _Types:
    """msgspec types of plain shapes. Made per service, since shapes share structures."""

    def __init__(self) -> None:
        self._structures: dict[str, Any] = {}

    def of(self, member: Member) -> Any:
        kind = member.shape.type
        if kind in ("string", "character"):
            return str
        if kind in ("integer", "long"):
            top = 1 << _INTEGERS[kind][1]
            return Annotated[int, msgspec.Meta(ge=-top, le=top - 1)]
        if kind in ("float", "double"):
            return float
        if kind == "boolean":
            return bool
        if kind == "blob":
            return bytes
        if kind == "list" and not member.shape.sparse:
            return list[self.of(member.shape.member)]  # type: ignore[misc]
        if kind == "map" and not member.shape.sparse:
            return dict[str, self.of(member.shape.value)]  # type: ignore[misc]
        if kind == "structure":
            return Any if member.shape.document else self.structure(member.shape)
        raise _NotPlain

    def structure(self, shape: Shape) -> Any:
        known = self._structures.get(shape.name)
        if known is not None:
            return known
        made: Any = TypedDict(shape.name, {}, total=False)  # type: ignore[misc]
        self._structures[shape.name] = made
        try:
            for member in shape.members.values():
                if member.location or (member.wire_name or member.name) != member.name:
                    raise _NotPlain
                made.__annotations__[member.name] = self.of(member)
        except _NotPlain:
            self._structures.clear()
            raise
        return made


class JsonBodies:
    """Compiled readers of JSON documents, per structure."""

    def __init__(self) -> None:
        self._types = _Types()
        self._reader = JsonReader()
        self._decoders: dict[str, Decode] = {}

    def member(self, member: Member) -> Callable[[bytes], Any]:
        """Reads a document that is one member (an HTTP payload)."""
        if member.shape.type == "structure" and not member.shape.document:
            return self.structure(member.shape)
        walk = self._reader.read(member)
        return lambda body: _walked(body, walk)

    def structure(self, shape: Shape) -> Decode:
        decode = self._decoders.get(shape.name)
        if decode is None:
            decode = self._decoders[shape.name] = self._compile(shape)
        return decode

    def _compile(self, shape: Shape) -> Decode:
        walk = self._reader.structure(shape)
        try:
            fast: Callable[[bytes], Any] = msgspec.json.Decoder(self._types.structure(shape)).decode
        except (_NotPlain, TypeError):
            return lambda body: _walked(body, walk) if body else {}

        def decode(body: bytes) -> dict[str, Any]:
            try:
                out: dict[str, Any] = fast(body)
            except (msgspec.MsgspecError, ValueError, RecursionError):
                return _walked(body, walk) if body else {}
            return out

        return decode


def _walked(body: bytes, walk: Walk) -> Any:
    try:
        return walk(orjson.loads(body))
    except orjson.JSONDecodeError as error:
        raise SerializationError(f"Could not parse the request body as JSON: {error}") from error
    except RecursionError as error:
        raise SerializationError("The request body is nested too deeply") from error
    except _Mismatch as error:
        raise SerializationError(str(error)) from error
