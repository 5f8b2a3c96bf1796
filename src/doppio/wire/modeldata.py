"""The form of botocore's `service-2.json`, as far as the wire needs it.

Operations and shapes stay unparsed bytes (`msgspec.Raw`) in `ModelData`; documentation is skipped
by never being named here.
"""

from __future__ import annotations

from typing import Any

import msgspec

_field = msgspec.field


class NamespaceData(msgspec.Struct):
    uri: str = ""
    prefix: str = ""


class ErrorData(msgspec.Struct):
    code: str | None = None
    status: int | None = _field(default=None, name="httpStatusCode")
    sender_fault: bool = _field(default=False, name="senderFault")
    fault: bool = False


class Traits(msgspec.Struct, rename="camel"):
    """What may stand both on a shape and on a reference to it; the reference wins."""

    location: str | None = None
    location_name: str | None = None
    query_name: str | None = None
    flattened: bool = False
    xml_namespace: NamespaceData | str | None = None
    xml_attribute: bool = False
    timestamp_format: str | None = None
    streaming: bool = False
    jsonvalue: bool = False
    eventpayload: bool = False
    eventheader: bool = False
    host_label: bool = False
    idempotency_token: bool = False
    box: bool = False


class Reference(Traits):
    shape: str = ""
    result_wrapper: str | None = None


class ShapeData(Traits):
    type: str = "structure"
    members: dict[str, Reference] = {}
    required: list[str] = []
    member: Reference | None = None
    key: Reference | None = None
    value: Reference | None = None
    enum: list[str] | None = None
    min: float | None = None
    max: float | None = None
    pattern: str | None = None
    payload: str | None = None
    sparse: bool = False
    sensitive: bool = False
    document: bool = False
    union: bool = False
    eventstream: bool = False
    event: bool = False
    exception: bool = False
    fault: bool = False
    error: ErrorData | None = None
    requires_length: bool = False


class HttpData(msgspec.Struct):
    method: str = "POST"
    uri: str = _field(default="/", name="requestUri")
    status: int = _field(default=200, name="responseCode")


class EndpointData(msgspec.Struct):
    host_prefix: str | None = _field(default=None, name="hostPrefix")


class ErrorReference(msgspec.Struct):
    shape: str


class OperationData(msgspec.Struct, rename="camel"):
    name: str = ""
    http: HttpData = _field(default_factory=HttpData)
    input: Reference | None = None
    output: Reference | None = None
    errors: list[ErrorReference] = []
    http_checksum: dict[str, Any] = {}
    http_checksum_required: bool = False
    authtype: str | None = None
    auth: list[str] = []
    unsigned_payload: bool = False
    requestcompression: dict[str, Any] = {}
    endpoint: EndpointData | None = None
    idempotent: bool = False
    readonly: bool = False
    deprecated: bool = False
    static_context_params: dict[str, Any] = {}


class ModelData(msgspec.Struct):
    metadata: dict[str, Any]
    operations: dict[str, msgspec.Raw]
    shapes: dict[str, msgspec.Raw]


decode_model = msgspec.json.Decoder(ModelData).decode
decode_shape = msgspec.json.Decoder(ShapeData).decode
decode_operation = msgspec.json.Decoder(OperationData).decode
