"""The parts of a REST request and response outside the body, compiled per operation.

Incoming headers are looked up in a table by their names, so an operation with forty optional
headers costs as little as the headers that were sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from doppio.wire import faults, scalars
from doppio.wire.compression import inflated
from doppio.wire.errors import AwsError, SerializationError
from doppio.wire.events import CONTENT_TYPE as EVENT_STREAM_TYPE
from doppio.wire.events import Events
from doppio.wire.http import Request, Response
from doppio.wire.model import Member, Operation, Service, Shape
from doppio.wire.rest import parse_query

ReadText = Callable[[str], Any]
ReadBody = Callable[[bytes], Any]
WriteBody = Callable[[Any], bytes]

_REMEMBERED_MAX = 64
_REMEMBERED_CHARS_MAX = 1_000
_LIST_PART = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^,]*))\s*(?:,|$)')


def _split_list(text: str) -> list[str]:
    """The items of a header list; quoted ones may hold commas."""
    if '"' not in text:
        return [part.strip() for part in text.split(",")]
    out = []
    at = 0
    while at < len(text):
        found = _LIST_PART.match(text, at)
        if found is None or found.end() == at:
            raise ValueError(f"not a list: {text[:100]}")
        quoted, bare = found.groups()
        out.append(bare.strip() if quoted is None else re.sub(r"\\(.)", r"\1", quoted))
        at = found.end()
    return out


def _split_dates(text: str) -> list[str]:
    """HTTP dates have a comma of their own."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) > 1 and len(parts[0]) == 3:
        return [f"{a}, {b}" for a, b in zip(parts[::2], parts[1::2], strict=False)]
    return parts


def _header_reader(member: Member) -> ReadText:
    if member.shape.type != "list":
        return scalars.reader(member)
    item = member.shape.member
    read = scalars.reader(item)
    split = _split_dates if item.shape.type == "timestamp" else _split_list
    return lambda text: [read(part) for part in split(text)]


def _header_writer(member: Member) -> Callable[[Any], str]:
    if member.shape.type != "list":
        return scalars.shower(member, "rfc822")
    item = member.shape.member
    show = scalars.shower(item, "rfc822")
    if item.shape.type == "string":
        return lambda value: ", ".join(_quoted(one) for one in value if one is not None)
    return lambda value: ", ".join(show(one) for one in value if one is not None)


def _quoted(text: str) -> str:
    if '"' in text or "," in text:
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return text


class _Picked(NamedTuple):
    """Of a request's headers: those that are members, each with its reader (None where it is text
    already), and those that are entries of a map (`x-amz-meta-`)."""

    members: list[tuple[str, str, ReadText | None]]
    entries: list[tuple[str, str, str]]


class _Placed(NamedTuple):
    """Of a result's members: the headers, the maps whose entries are headers, and which of them
    are the status and the content type."""

    headers: list[tuple[str, str, Callable[[Any], str]]]
    prefixes: list[tuple[str, str]]
    status: str | None
    typed: str | None


class _Input:
    """How an operation's input is gathered from the parts of a request."""

    __slots__ = (
        "body",
        "event_stream",
        "fixed_query",
        "headers",
        "labels",
        "labels_as_said",
        "payload",
        "picked",
        "prefixes",
        "query",
        "query_map",
        "streaming",
    )

    def __init__(self, op: Operation, codec: RestCodec) -> None:
        # What stands in the operation's own path says which operation it is, and nothing else.
        self.fixed_query = frozenset(parse_query(op.http_uri.partition("?")[2]))
        self.labels: list[tuple[str, str, ReadText]] = []
        self.labels_as_said = False
        self.headers: dict[str, tuple[str, ReadText]] = {}
        self.prefixes: list[tuple[str, str]] = []
        self.picked: dict[tuple[str, ...], _Picked] = {}
        self.query: dict[str, tuple[str, bool, ReadText]] = {}
        self.query_map: tuple[str, bool] | None = None
        self.payload: str | None = None
        self.body: ReadBody | None = None
        self.streaming = op.streaming_input
        self.event_stream = op.event_input
        shape = op.input
        if shape is None:
            return
        in_body = False
        for member in shape.members.values():
            in_body |= not self._place(member)
        # As with S3's buckets and keys, what the path says is the input.
        self.labels_as_said = all(wire == name and read is str for wire, name, read in self.labels)
        if shape.payload is not None:
            self.payload = shape.payload
            if self.streaming is None and self.event_stream is None:
                self.body = codec.payload_reader(shape.members[shape.payload])
        elif in_body and self.event_stream is None:
            self.body = codec.body_reader(op, shape)

    def pick(self, names: tuple[str, ...]) -> _Picked:
        """Which of a request's headers count. It is remembered, as clients send the same each time."""
        picked = _Picked([], [])
        for header in names:
            entry = self.headers.get(header)
            if entry is not None:
                name, read = entry
                picked.members.append((header, name, None if read is str else read))
                if not self.prefixes:
                    continue
            for prefix, name in self.prefixes:
                if header.startswith(prefix):
                    picked.entries.append((header, name, header[len(prefix) :]))
        if sum(map(len, names)) <= _REMEMBERED_CHARS_MAX:
            if len(self.picked) >= _REMEMBERED_MAX:
                self.picked.clear()
            self.picked[names] = picked
        return picked

    def _place(self, member: Member) -> bool:
        wire = member.wire_name or member.name
        if member.location == "uri":
            self.labels.append((wire, member.name, scalars.reader(member)))
        elif member.location == "header":
            self.headers[wire.lower()] = (member.name, _header_reader(member))
        elif member.location == "headers":
            self.prefixes.append(((member.wire_name or "").lower(), member.name))
        elif member.location == "querystring":
            if member.shape.type == "map":
                self.query_map = (member.name, member.shape.value.shape.type == "list")
            else:
                repeated = member.shape.type == "list"
                one = member.shape.member if repeated else member
                self.query[wire] = (member.name, repeated, scalars.reader(one))
        else:
            return False
        return True


class _Output:
    """How a result is spread over the parts of a response."""

    __slots__ = (
        "body", "empty", "headers", "payload", "placed", "prefixes", "ranged", "raw", "status",
        "streaming",
    )  # fmt: skip

    def __init__(self, op: Operation, shape: Shape | None, codec: RestCodec) -> None:
        self.headers: dict[str, tuple[str, Callable[[Any], str]]] = {}
        self.prefixes: dict[str, str] = {}
        self.placed: dict[tuple[str, ...], _Placed] = {}
        self.status: str | None = None
        # A part of an object is an HTTP partial content.
        self.ranged = op.output is not None and "ContentRange" in op.output.members
        self.payload: str | None = None
        self.raw = False
        self.streaming = False
        self.body: WriteBody | None = None
        self.empty = b"" if shape is None or shape.payload is not None else codec.empty_body
        if shape is None:
            return
        in_body = False
        for member in shape.members.values():
            if member.location == "header":
                wire = (member.wire_name or member.name).lower()
                self.headers[member.name] = (wire, _header_writer(member))
            elif member.location == "headers":
                self.prefixes[member.name] = (member.wire_name or "").lower()
            elif member.location == "statusCode":
                self.status = member.name
            else:
                in_body = True
        if shape.payload is not None:
            member = shape.members[shape.payload]
            self.payload = shape.payload
            self.streaming = member.streaming
            self.raw = member.shape.type in ("blob", "string")
            if not self.raw and not member.shape.event_stream:
                self.body = codec.payload_writer(member)
        elif in_body and op.event_output is None:
            self.body = codec.body_writer(op, shape)

    def place(self, names: tuple[str, ...]) -> _Placed:
        """Where a result's members go. It is remembered: an operation has few sets of them."""
        headers = [(name, *self.headers[name]) for name in names if name in self.headers]
        prefixes = [(name, self.prefixes[name]) for name in names if name in self.prefixes]
        typed = next((name for name, wire, _ in headers if wire == "content-type"), None)
        # `@status`: where AWS answers an operation with more than one, and no member says so.
        status = next((name for name in names if name in (self.status, "@status")), None)
        placed = _Placed(headers, prefixes, status, typed)
        if len(self.placed) >= _REMEMBERED_MAX:
            self.placed.clear()
        self.placed[names] = placed
        return placed


class RestCodec:
    """What rest-json and rest-xml share; a subclass reads and writes bodies."""

    protocol = ""
    content_type = ""
    empty_body: bytes = b""

    def __init__(self, service: Service, event_form: Events) -> None:
        self.service = service
        self._inputs: dict[Operation, _Input] = {}
        self._outputs: dict[Operation, _Output] = {}
        self._events = event_form

    def payload_reader(self, member: Member) -> ReadBody:
        """Reads a body that is one member."""
        raise NotImplementedError

    def body_reader(self, op: Operation, shape: Shape) -> Callable[[bytes], dict[str, Any]]:
        """Reads a body that holds all members which are nowhere else."""
        raise NotImplementedError

    def payload_writer(self, member: Member) -> WriteBody:
        """Writes a body that is one member."""
        raise NotImplementedError

    def body_writer(self, op: Operation, shape: Shape) -> WriteBody:
        """Writes a body of all members that are nowhere else."""
        raise NotImplementedError

    def decode(
        self, op: Operation, request: Request, uri_params: Mapping[str, str]
    ) -> dict[str, Any]:
        plan = self._inputs.get(op)
        if plan is None:
            plan = self._inputs[op] = _Input(op, self)
        try:
            out = self._parts(plan, request, uri_params)
            if plan.streaming is not None:
                out[plan.streaming] = request.body
            elif plan.event_stream is not None:
                out[plan.event_stream] = self._events.read_stream(op, request.body)
            elif plan.body is not None:
                body = inflated(request) if op.compressible else request.body.whole
                if body:
                    if plan.payload is None:
                        out.update(plan.body(body))
                    else:
                        out[plan.payload] = plan.body(body)
        except (ValueError, RecursionError) as error:
            raise SerializationError(str(error)) from error
        return out

    def _parts(
        self, plan: _Input, request: Request, uri_params: Mapping[str, str]
    ) -> dict[str, Any]:
        out: dict[str, Any] = {}
        if plan.labels_as_said:
            out.update(uri_params)
        else:
            for wire, name, read in plan.labels:
                text = uri_params.get(wire)
                if text is not None:
                    out[name] = read(text)
        if plan.headers or plan.prefixes:
            headers = request.headers
            names = tuple(headers)
            members, entries = plan.picked.get(names) or plan.pick(names)
            for header, name, read_text in members:
                text = headers[header]
                if text:
                    out[name] = (
                        text if read_text is None else self._converted(header, text, read_text)
                    )
            for header, name, key in entries:
                out.setdefault(name, {})[key] = headers[header]
        if request.query and (plan.query or plan.query_map):
            self._query_parts(plan, request.query, out)
        return out

    def _converted(self, name: str, text: str, read: ReadText) -> Any:
        """A header's or parameter's value; a subclass may have words for a wrong one."""
        return read(text)

    def _query_parts(self, plan: _Input, query: str, out: dict[str, Any]) -> None:
        rest: dict[str, Any] = {}
        for key, values in parse_query(query).items():
            entry = plan.query.get(key)
            if entry is None:
                if plan.query_map is not None and key not in plan.fixed_query:
                    rest[key] = values if plan.query_map[1] else values[0]
                continue
            if values[0] or len(values) > 1 or self._keeps_empty:
                name, repeated, read = entry
                if repeated:
                    out[name] = [self._converted(key, value, read) for value in values]
                else:
                    out[name] = self._converted(key, values[0], read)
        if plan.query_map is not None and rest:
            out[plan.query_map[0]] = rest

    _keeps_empty = True

    def encode(self, op: Operation, result: Mapping[str, Any], request_id: str) -> Response:
        plan = self._outputs.get(op)
        if plan is None:
            plan = self._outputs[op] = _Output(op, op.output, self)
        names = tuple(result)
        members, prefixes, told, typed = plan.placed.get(names) or plan.place(names)
        headers = faults.request_headers(self.service, None, request_id)
        for name, wire, show in members:
            value = result[name]
            if value is not None:
                headers.append((wire, show(value)))
        for name, prefix in prefixes:
            entries = result[name] or {}
            headers += [(prefix + key.lower(), str(text)) for key, text in entries.items()]
        status: int = (told and result[told]) or op.status
        content_type = typed is not None and result[typed] is not None
        if plan.ranged and result.get("ContentRange") is not None:
            status = 206
        if op.event_output is not None:
            assert op.output is not None
            shape = op.output.members[op.event_output].shape
            frames = self._events.write_stream(shape, result[op.event_output])
            return Response(status, [*headers, ("content-type", EVENT_STREAM_TYPE)], frames)
        if plan.raw:
            assert plan.payload is not None
            body = result.get(plan.payload)
            if body is None:
                return Response(status, headers, b"")
            if isinstance(body, str):
                body = body.encode()
                default = "text/plain"
            else:
                default = "application/octet-stream"
            if not content_type:
                headers.append(("content-type", default))
            return Response(status, headers, body)
        body = plan.empty if plan.body is None else self._body(plan, plan.body, result)
        if body and not content_type:
            headers.append(("content-type", self.content_type))
        return Response(status, headers, body if status not in (204, 205, 304) else b"")

    def _body(self, plan: _Output, write: WriteBody, result: Mapping[str, Any]) -> bytes:
        if plan.payload is None:
            return write(result)
        value = result.get(plan.payload)
        return b"" if value is None else write(value)

    def error_parts(self, fault: faults.Fault, headers: list[tuple[str, str]]) -> dict[str, Any]:
        """The members of an error that belong into its body; the others become headers."""
        if fault.shape is None:
            return fault.members
        body = {}
        for name, value in fault.members.items():
            member = fault.shape.members.get(name)
            if member is None or value is None:
                continue
            if member.location == "header":
                headers.append(((member.wire_name or name).lower(), _header_writer(member)(value)))
            elif member.location is None:
                body[name] = value
        return body

    def encode_error(self, op: Operation | None, error: AwsError, request_id: str) -> Response:
        raise NotImplementedError
