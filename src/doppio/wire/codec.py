"""Codecs: from a request to an operation's input, from its result to a response.

A codec belongs to a service and a protocol; it compiles what an operation needs when that
operation is first called and keeps it.

- "query", "ec2": forms in, XML out
- "json" (1.0 and 1.1), "smithy-rpc-v2-cbor": one document each way
- "rest-json", "rest-xml": parts in path, query and headers, the rest in the body
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Protocol

from doppio.wire.errors import AwsError
from doppio.wire.http import Request, Response
from doppio.wire.model import Operation, Service


class Codec(Protocol):
    """Values: str, bytes, int, float, bool, aware UTC datetime, list, dict with AWS's names.

    Unknown members of an input are ignored; None in a result is left out. `decode` raises only
    AwsError.
    """

    @property
    def protocol(self) -> str: ...

    def decode(
        self, op: Operation, request: Request, uri_params: Mapping[str, str]
    ) -> dict[str, Any]:
        """The input. A streaming member's value is `request.body` itself; otherwise the body must
        be whole. An event stream's is an async iterator of `{event: {...}}`."""
        ...

    def encode(self, op: Operation, result: Mapping[str, Any], request_id: str) -> Response:
        """The answer. A streaming member is bytes, a FileRange or an async iterator of bytes; an
        event stream is an async iterator of `{event: {...}}`."""
        ...

    def encode_error(self, op: Operation | None, error: AwsError, request_id: str) -> Response:
        """The error in the protocol's own form."""
        ...


@cache
def codec(service: Service, protocol: str) -> Codec:
    """The codec of a service for a protocol; KeyError where there is no such protocol."""
    if protocol == "json":
        from doppio.wire.json_ import JsonCodec

        return JsonCodec(service)
    if protocol == "query":
        from doppio.wire.query import QueryCodec

        return QueryCodec(service)
    if protocol == "rest-json":
        from doppio.wire.rest_json import RestJsonCodec

        return RestJsonCodec(service)
    if protocol == "rest-xml":
        from doppio.wire.rest_xml import RestXmlCodec

        return RestXmlCodec(service)
    if protocol == "ec2":
        from doppio.wire.ec2 import Ec2Codec

        return Ec2Codec(service)
    if protocol == "smithy-rpc-v2-cbor":
        from doppio.wire.cbor import CborCodec

        return CborCodec(service)
    raise KeyError(protocol)
