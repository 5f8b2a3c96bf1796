"""The json protocol (1.0 and 1.1): one document each way, the operation in `X-Amz-Target`."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from doppio.wire import faults
from doppio.wire.compression import inflated
from doppio.wire.errors import AwsError
from doppio.wire.http import Request, Response
from doppio.wire.json_read import Decode, JsonBodies
from doppio.wire.json_write import JsonWriter, body_writer, dumps
from doppio.wire.model import Operation, Service

if TYPE_CHECKING:
    from doppio.wire.events import JsonEvents


class JsonCodec:
    """The json protocol of one service."""

    protocol = "json"

    def __init__(self, service: Service) -> None:
        self.service = service
        self._bodies = JsonBodies()
        self._writer = JsonWriter()
        self._decoders: dict[Operation, Decode] = {}
        self._encoders: dict[Operation, Callable[[Mapping[str, Any]], bytes]] = {}
        self._content_type = f"application/x-amz-json-{service.json_version}"
        self._typed = ("content-type", self._content_type)
        self._crc = service.name == "dynamodb"

    def decode(
        self, op: Operation, request: Request, uri_params: Mapping[str, str]
    ) -> dict[str, Any]:
        decode = self._decoders.get(op)
        if decode is None:
            decode = self._decoders[op] = self._decoder(op)
        if op.event_input is not None:
            return {op.event_input: self._events.read_stream(op, request.body)}
        if op.compressible:
            return decode(inflated(request))
        return decode(request.body.whole or b"")

    @cached_property
    def _events(self) -> JsonEvents:
        from doppio.wire.events import JsonEvents

        return JsonEvents(self._bodies, self._writer)

    def _decoder(self, op: Operation) -> Decode:
        if op.input is None:
            return lambda body: {}
        return self._bodies.structure(op.input)

    def encode(self, op: Operation, result: Mapping[str, Any], request_id: str) -> Response:
        write = self._encoders.get(op)
        if write is None:
            if op.event_output is not None:
                return self._stream(op, result, request_id)
            write = self._encoders[op] = self._encoder(op)
        body = write(result)
        headers = [("x-amzn-requestid", request_id), self._typed]
        if self._crc:
            headers.append(("x-amz-crc32", str(zlib.crc32(body))))
        return Response(200, headers, body)

    def _encoder(self, op: Operation) -> Callable[[Mapping[str, Any]], bytes]:
        if op.output is None:
            return lambda result: b"{}" if self.service.json_version == "1.0" else b""
        return body_writer(self._writer, op.output)

    def _stream(self, op: Operation, result: Mapping[str, Any], request_id: str) -> Response:
        assert op.output is not None
        assert op.event_output is not None
        first = dumps(self._writer.structure(op.output)(result))
        frames = self._events.write_stream(
            op.output.members[op.event_output].shape, result[op.event_output], first
        )
        headers = faults.request_headers(self.service, self._events.content_type, request_id)
        return Response(200, headers, frames)

    def encode_error(self, op: Operation | None, error: AwsError, request_id: str) -> Response:
        fault = faults.resolve(self.service, op, error, self.protocol)
        members = error_members(self._writer, fault)
        body = dumps({"__type": faults.type_name(self.service, fault), **members})
        headers = faults.error_headers(self.service, self._content_type, request_id, error)
        if self.service.query_compatible:
            headers.append(faults.query_error_header(fault))
        if self._crc:
            headers.append(("x-amz-crc32", str(zlib.crc32(body))))
        return Response(fault.status, headers, body)


def error_members(writer: JsonWriter, fault: faults.Fault) -> dict[str, Any]:
    """An error's body: its members, and a message even where the model has none."""
    if fault.shape is None:
        members = dict(fault.members)
    else:
        members = writer.structure(fault.shape)(fault.members)
    if fault.message and "message" not in members and "Message" not in members:
        members["message"] = fault.message
    return members
