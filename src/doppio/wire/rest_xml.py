"""rest-xml: S3, Route 53, CloudFront.

S3 has its own form of an error, its own namespace, and answers whose root elements the model does
not name (they are in the supplement).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from doppio.wire import events, faults, xml_
from doppio.wire.errors import AwsError, SerializationError
from doppio.wire.http import Response
from doppio.wire.model import Member, Operation, Service, Shape
from doppio.wire.query import error_content
from doppio.wire.rest_bind import ReadBody, ReadText, RestCodec, WriteBody

_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'


class InvalidArgument(AwsError):
    """A header or parameter of a wrong form."""

    code = "InvalidArgument"


class RestXmlCodec(RestCodec):
    """The rest-xml protocol of one service."""

    protocol = "rest-xml"
    content_type = "application/xml"

    def __init__(self, service: Service) -> None:
        self._s3 = service.name == "s3"
        self._keeps_empty = not self._s3
        self._reader = xml_.XmlReader()
        self._writer = xml_.XmlWriter("iso8601-always-millis" if self._s3 else "iso8601")
        super().__init__(service, events.XmlEvents(self._reader, self._writer))

    def _converted(self, name: str, text: str, read: ReadText) -> Any:
        try:
            return read(text)
        except ValueError as error:
            if not self._s3:
                raise
            raise InvalidArgument(
                f"The value of {name} is not valid", ArgumentName=name, ArgumentValue=text
            ) from error

    def payload_reader(self, member: Member) -> ReadBody:
        if member.shape.type == "string":
            return lambda body: body.decode()
        if member.shape.type == "blob":
            return lambda body: body
        read = self._reader.element(member)
        return lambda body: read(self._parsed(body))

    def body_reader(self, op: Operation, shape: Shape) -> Callable[[bytes], dict[str, Any]]:
        read = self._reader.structure(shape)

        def parse(body: bytes) -> dict[str, Any]:
            out: dict[str, Any] = read(self._parsed(body))
            return out

        return parse

    def _parsed(self, body: bytes) -> Any:
        try:
            return xml_.parse(body)
        except ValueError as error:
            text = _MALFORMED if self._s3 else f"The XML is not well-formed: {error}"
            raise SerializationError(text) from error

    def _namespace(self, member: Member | None, shape: Shape) -> str:
        given = (member.namespace if member is not None else None) or shape.namespace
        uri = given.uri if given is not None and not given.prefix else self.service.xml_namespace
        return f' xmlns="{xml_.escape(uri)}"' if uri else ""

    def payload_writer(self, member: Member) -> WriteBody:
        shape = member.shape
        root = member.wire_name or shape.name
        if root == member.name and shape.wire_name:
            root = shape.wire_name
        namespace = "" if member.namespace is not None else self._namespace(None, shape)
        write = self._writer.element(member, root)

        def payload(value: Any) -> bytes:
            pieces = [_DECLARATION]
            write(pieces.append, value)
            if namespace:
                pieces[1] = pieces[1].replace(f"<{root}", f"<{root}{namespace}", 1)
            return "".join(pieces).encode()

        return payload

    def body_writer(self, op: Operation, shape: Shape) -> WriteBody:
        member = op.output_member
        root = (member.wire_name if member is not None else None) or shape.wire_name or shape.name
        head = f"{_DECLARATION}<{root}{self._namespace(member, shape)}"
        attributes = self._writer.attributes(shape)
        tail = f"</{root}>"
        content = self._writer.structure(shape)
        if self._s3 and op.name == "GetBucketLocation":
            return _location(f"{head}>", tail)

        def body(result: Mapping[str, Any]) -> bytes:
            pieces = [head, attributes(result) if attributes else "", ">"]
            content(pieces.append, result)
            pieces.append(tail)
            return "".join(pieces).encode()

        return body

    def encode_error(self, op: Operation | None, error: AwsError, request_id: str) -> Response:
        fault = faults.resolve(self.service, op, error, self.protocol)
        headers = faults.error_headers(self.service, self.content_type, request_id, error)
        inner = fault._replace(members=self.error_parts(fault, headers))
        if self._s3:
            fields = "".join(
                f"<{name}>{xml_.escape(text)}</{name}>"
                for name, text in faults.text_members(error.fields)
            )
            body = (
                f"{_DECLARATION}<Error><Code>{xml_.escape(fault.code)}</Code>"
                f"<Message>{xml_.escape(fault.message)}</Message>{fields}"
                f"<RequestId>{request_id}</RequestId>"
                f"<HostId>{faults.host_id(request_id)}</HostId></Error>"
            )
        else:
            namespace = self.service.xml_namespace
            attribute = f' xmlns="{xml_.escape(namespace)}"' if namespace else ""
            body = (
                f"{_DECLARATION}<ErrorResponse{attribute}><Error><Type>{fault.side}</Type>"
                f"{error_content(self._writer, inner)}</Error>"
                f"<RequestId>{request_id}</RequestId></ErrorResponse>"
            )
        return Response(fault.status, headers, body.encode())


_MALFORMED = (
    "The XML you provided was not well-formed or did not validate against our published schema"
)


def _location(head: str, tail: str) -> WriteBody:
    """S3's GetBucketLocation: the root element itself is the value, empty for us-east-1."""

    def body(result: Mapping[str, Any]) -> bytes:
        place = result.get("LocationConstraint") or ""
        return f"{head}{xml_.escape(place)}{tail}".encode()

    return body
