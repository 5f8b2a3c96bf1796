"""Event streams in the words of a service: `{event_name: {...}}` to frames and back.

A member marked as header travels in the frame's headers, one marked as payload is the frame's
payload as it is, and the other members are one document in the protocol's own form.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from doppio.wire import eventstream
from doppio.wire.errors import AwsError, SerializationError
from doppio.wire.http import ByteStream
from doppio.wire.model import Member, Operation, Shape

if TYPE_CHECKING:
    from doppio.wire.cbor import CborReader, CborWriter
    from doppio.wire.json_read import JsonBodies
    from doppio.wire.json_write import JsonWriter
    from doppio.wire.xml_ import XmlReader, XmlWriter

CONTENT_TYPE = "application/vnd.amazon.eventstream"


class Events:
    """What the protocols share; each gives the form of a document."""

    document_type = ""
    content_type = CONTENT_TYPE

    def document(self, member: Member) -> Callable[[Any], bytes]:
        """Writes a structure as a document."""
        raise NotImplementedError

    def read_document(self, member: Member) -> Callable[[bytes], Any]:
        """Reads a document into a structure."""
        raise NotImplementedError

    def __init__(self) -> None:
        self._writers: dict[str, dict[str, Callable[[Mapping[str, Any]], bytes]]] = {}
        self._readers: dict[str, dict[str, Callable[[eventstream.Message], Any]]] = {}

    async def write_stream(
        self, shape: Shape, events: Any, first: bytes | None = None
    ) -> AsyncIterator[bytes]:
        """The frames of the events; `first` is the document of an initial response, if any.

        An AwsError that the iterator raises becomes an exception frame, which ends the stream.
        """
        writers = self._writers.get(shape.name)
        if writers is None:
            writers = {name: self._writer(m) for name, m in shape.members.items()}
            self._writers[shape.name] = writers
        if first is not None:
            yield eventstream.encode(
                {
                    ":message-type": "event",
                    ":event-type": "initial-response",
                    ":content-type": self.document_type,
                },
                first,
            )
        try:
            async for event in events:
                for name, value in event.items():
                    if value is not None:
                        yield writers[name](value)
        except AwsError as error:
            yield self._failure(shape, error)

    def _failure(self, shape: Shape, error: AwsError) -> bytes:
        for name, member in shape.members.items():
            if member.shape.exception and error.code in (name, member.shape.name):
                fields = {"message": error.message, "Message": error.message, **error.fields}
                known = {k: v for k, v in fields.items() if k in member.shape.members}
                return self._writers[shape.name][name](known)
        return eventstream.encode(
            {
                ":message-type": "error",
                ":error-code": error.code,
                ":error-message": error.message,
            }
        )

    def _writer(self, member: Member) -> Callable[[Mapping[str, Any]], bytes]:
        shape = member.shape
        kind = "exception" if shape.exception else "event"
        base = {":message-type": kind, f":{kind}-type": member.name}
        head = [m.name for m in shape.members.values() if m.event_header]
        payload = next((m for m in shape.members.values() if m.event_payload), None)
        if payload is not None:
            content, content_type = self._payload_writer(payload)
        elif any(not m.event_header for m in shape.members.values()):
            content, content_type = self.document(member), self.document_type
        else:
            content, content_type = (lambda value: b""), None

        def write(value: Mapping[str, Any]) -> bytes:
            headers: dict[str, Any] = dict(base)
            if content_type is not None:
                headers[":content-type"] = content_type
            for name in head:
                if value.get(name) is not None:
                    headers[name] = value[name]
            if payload is None:
                return eventstream.encode(headers, content(value))
            inner = value.get(payload.name)
            return eventstream.encode(headers, b"" if inner is None else content(inner))

        return write

    def _payload_writer(self, payload: Member) -> tuple[Callable[[Any], bytes], str]:
        kind = payload.shape.type
        if kind == "blob":
            return bytes, "application/octet-stream"
        if kind == "string":
            return str.encode, "text/plain"
        return self.document(payload), self.document_type

    async def read_stream(
        self, op: Operation, body: ByteStream
    ) -> AsyncIterator[dict[str, dict[str, Any]]]:
        """The events of a request. Signed frames (an outer message around each) are unwrapped;
        whether their signatures hold is the authentication's matter."""
        assert op.input is not None
        assert op.event_input is not None
        shape = op.input.members[op.event_input].shape
        readers = self._readers.get(shape.name)
        if readers is None:
            readers = {name: self._reader(m) for name, m in shape.members.items()}
            self._readers[shape.name] = readers
        decoder = eventstream.Decoder()
        try:
            async for chunk in body:
                for message in decoder.feed(chunk):
                    if ":chunk-signature" in message.headers:
                        if not message.payload:
                            return
                        inner = eventstream.Decoder().feed(message.payload)
                    else:
                        inner = [message]
                    for one in inner:
                        name = one.headers.get(":event-type")
                        if isinstance(name, str) and name in readers:
                            yield {name: readers[name](one)}
        except eventstream.BadFrame as error:
            raise SerializationError(f"Invalid event stream: {error}") from error
        if decoder.pending_bytes:
            raise SerializationError("The event stream ends within a message")

    def _reader(self, member: Member) -> Callable[[eventstream.Message], dict[str, Any]]:
        shape = member.shape
        head = [m for m in shape.members.values() if m.event_header]
        payload = next((m for m in shape.members.values() if m.event_payload), None)
        if payload is not None:
            kind = payload.shape.type
            if kind == "blob":
                content: Callable[[bytes], Any] = bytes
            elif kind == "string":
                content = _text
            else:
                content = self.read_document(payload)
        else:
            content = self.read_document(member)

        def read(message: eventstream.Message) -> dict[str, Any]:
            out: dict[str, Any] = {}
            for one in head:
                value = message.headers.get(one.name)
                if value is not None and _fits(one, value):
                    out[one.name] = value
            if payload is not None:
                out[payload.name] = content(message.payload)
            elif message.payload:
                out.update(content(message.payload))
            return out

        return read


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except ValueError as error:
        raise SerializationError("The event's text is not UTF-8") from error


def _fits(member: Member, value: eventstream.HeaderValue) -> bool:
    kinds: dict[str, type] = {
        "string": str,
        "boolean": bool,
        "blob": bytes,
        "timestamp": datetime,
    }
    return isinstance(value, kinds.get(member.shape.type, int))


class JsonEvents(Events):
    """Documents in JSON."""

    document_type = "application/json"

    def __init__(self, bodies: JsonBodies, writer: JsonWriter) -> None:
        super().__init__()
        self._bodies = bodies
        self._documents = writer

    def document(self, member: Member) -> Callable[[Any], bytes]:
        from doppio.wire.json_write import dumps

        walk = self._documents.structure(member.shape)
        return lambda value: dumps(walk(value))

    def read_document(self, member: Member) -> Callable[[bytes], Any]:
        return self._bodies.structure(member.shape)


class XmlEvents(Events):
    """Documents in XML, whose root is the shape's name."""

    document_type = "text/xml"

    def __init__(self, reader: XmlReader, writer: XmlWriter) -> None:
        super().__init__()
        self._xml_reader = reader
        self._xml_writer = writer

    def document(self, member: Member) -> Callable[[Any], bytes]:
        write = self._xml_writer.element(member, member.wire_name or member.shape.name)

        def document(value: Any) -> bytes:
            pieces: list[str] = []
            write(pieces.append, value)
            return "".join(pieces).encode()

        return document

    def read_document(self, member: Member) -> Callable[[bytes], Any]:
        from doppio.wire import xml_

        read = self._xml_reader.structure(member.shape)

        def document(content: bytes) -> Any:
            try:
                return read(xml_.parse(content))
            except ValueError as error:
                raise SerializationError(str(error)) from error

        return document


class CborEvents(Events):
    """Documents in CBOR."""

    document_type = "application/cbor"

    def __init__(self, reader: CborReader, writer: CborWriter) -> None:
        super().__init__()
        self._cbor_reader = reader
        self._cbor_writer = writer

    def document(self, member: Member) -> Callable[[Any], bytes]:
        return self._cbor_writer.document(member.shape)

    def read_document(self, member: Member) -> Callable[[bytes], Any]:
        return self._cbor_reader.document(member.shape)
