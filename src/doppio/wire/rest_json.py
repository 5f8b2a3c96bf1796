"""rest-json: Lambda, API Gateway, EKS and their generation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from doppio.wire import events, faults
from doppio.wire.errors import AwsError
from doppio.wire.http import Response
from doppio.wire.json_ import error_members
from doppio.wire.json_read import JsonBodies
from doppio.wire.json_write import JsonWriter, body_writer, dumps
from doppio.wire.model import Member, Operation, Service, Shape
from doppio.wire.rest_bind import ReadBody, RestCodec, WriteBody


class RestJsonCodec(RestCodec):
    """The rest-json protocol of one service."""

    protocol = "rest-json"
    content_type = "application/json"
    empty_body = b"{}"

    def __init__(self, service: Service) -> None:
        self._bodies = JsonBodies()
        self._writer = JsonWriter()
        super().__init__(service, events.JsonEvents(self._bodies, self._writer))

    def payload_reader(self, member: Member) -> ReadBody:
        if member.shape.type == "string":
            return lambda body: body.decode()
        if member.shape.type == "blob":
            return lambda body: body
        return self._bodies.member(member)

    def body_reader(self, op: Operation, shape: Shape) -> Callable[[bytes], dict[str, Any]]:
        return self._bodies.structure(shape)

    def payload_writer(self, member: Member) -> WriteBody:
        walk = self._writer.write(member)
        return lambda value: dumps(value if walk is None else walk(value))

    def body_writer(self, op: Operation, shape: Shape) -> WriteBody:
        return body_writer(self._writer, shape)

    def encode_error(self, op: Operation | None, error: AwsError, request_id: str) -> Response:
        fault = faults.resolve(self.service, op, error, self.protocol)
        headers = faults.error_headers(self.service, self.content_type, request_id, error)
        headers.append(("x-amzn-errortype", fault.name))
        inner = fault._replace(members=self.error_parts(fault, headers))
        return Response(fault.status, headers, dumps(error_members(self._writer, inner)))
