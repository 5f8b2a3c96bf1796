"""What an error is called on the wire.

Services raise `AwsError`s by AWS's names; the model knows the status and, for the query protocols,
another code. Errors that every service shares have a different name in each protocol: what is a
`SerializationException` in JSON is a `MalformedXML` in S3.
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from typing import Any, NamedTuple

from doppio.wire.errors import AwsError
from doppio.wire.model import Operation, Service, Shape


class Fault(NamedTuple):
    """An error as the protocols need it: `name` is the shape's, `code` the query protocol's."""

    shape: Shape | None
    name: str
    code: str
    status: int
    message: str
    members: dict[str, Any]

    @property
    def side(self) -> str:
        """Whose fault it is."""
        return "Sender" if self.status < 500 else "Receiver"


# Code → name, status, and a text of its own where the protocol's differs.
_Names = dict[str, tuple[str, int] | tuple[str, int, str]]
_QUERY: _Names = {
    "ValidationException": ("ValidationError", 400),
    "SerializationException": ("MalformedInput", 400),
    "UnknownOperationException": ("InvalidAction", 400),
    "AccessDeniedException": ("AccessDenied", 403),
    "ThrottlingException": ("Throttling", 400),
}
_BAD_CREDENTIALS = "AWS was not able to validate the provided access credentials"
_EC2: _Names = {
    "ValidationException": ("InvalidParameterValue", 400),
    "SerializationException": ("InvalidParameterValue", 400),
    "UnknownOperationException": ("InvalidAction", 400),
    "AccessDeniedException": ("UnauthorizedOperation", 403),
    "ThrottlingException": ("RequestLimitExceeded", 503),
    "InternalFailure": ("InternalError", 500),
    "ServiceUnavailable": ("Unavailable", 503),
    "InvalidClientTokenId": ("AuthFailure", 401, _BAD_CREDENTIALS),
    "SignatureDoesNotMatch": ("AuthFailure", 401, _BAD_CREDENTIALS),
    "ExpiredToken": ("RequestExpired", 400, "Request has expired."),
}
_S3: _Names = {
    "ValidationException": ("InvalidArgument", 400),
    "SerializationException": ("MalformedXML", 400),
    "UnknownOperationException": ("MethodNotAllowed", 405),
    "AccessDeniedException": ("AccessDenied", 403),
    "ThrottlingException": ("SlowDown", 503),
    "InternalFailure": ("InternalError", 500),
    "ServiceUnavailable": ("ServiceUnavailable", 503),
    "InvalidClientTokenId": (
        "InvalidAccessKeyId",
        403,
        "The AWS Access Key Id you provided does not exist in our records.",
    ),
    "MissingAuthenticationToken": ("AccessDenied", 403, "Access Denied"),
    "ExpiredToken": ("ExpiredToken", 400, "The provided token has expired."),
    "IncompleteSignature": ("AuthorizationHeaderMalformed", 400),
}
_REST_XML: _Names = {
    "ValidationException": ("InvalidInput", 400),
    "SerializationException": ("MalformedInput", 400),
    "AccessDeniedException": ("AccessDenied", 403),
    "ThrottlingException": ("Throttling", 400),
}
_JSON: _Names = {
    "UnknownOperationException": ("UnknownOperationException", 400),
    "AccessDeniedException": ("AccessDeniedException", 400),
    "InvalidClientTokenId": ("UnrecognizedClientException", 400),
    "MissingAuthenticationToken": ("MissingAuthenticationTokenException", 400),
    "SignatureDoesNotMatch": ("InvalidSignatureException", 400),
    "IncompleteSignature": ("IncompleteSignatureException", 400),
    "ExpiredToken": ("ExpiredTokenException", 400),
}
_REST_JSON: _Names = {
    "InvalidClientTokenId": ("UnrecognizedClientException", 403),
    "MissingAuthenticationToken": ("MissingAuthenticationTokenException", 403),
    "SignatureDoesNotMatch": ("InvalidSignatureException", 403),
    "IncompleteSignature": ("IncompleteSignatureException", 403),
    "ExpiredToken": ("ExpiredTokenException", 403),
}
# Services that call the shared errors by names of their own.
_OWN: dict[str, _Names] = {
    "s3": _S3,
    "sns": {**_QUERY, "AccessDeniedException": ("AuthorizationError", 403)},
}
_SHARED: dict[str, _Names] = {
    "query": _QUERY,
    "ec2": _EC2,
    "rest-xml": _REST_XML,
    "json": _JSON,
    "rest-json": _REST_JSON,
}


def resolve(service: Service, operation: Operation | None, error: AwsError, protocol: str) -> Fault:
    """The error in the words of its service and protocol."""
    shape = service.exception(error.code, operation)
    if shape is None:
        shared = _OWN.get(service.name) or _SHARED.get(protocol, {})
        name, status, *own = shared.get(error.code, (error.code, error.status))
        code = name
        if protocol == "json":
            # A service that has left the query protocol tells the old code beside the new name.
            code = error.query_code or _QUERY.get(error.code, (error.code,))[0]
        elif protocol == "query" and error.query_code is not None:
            code = error.query_code
        text = own[0] if own else error.message
        return Fault(None, name, code, status, text, dict(error.fields))
    members = dict(error.fields)
    for name in ("message", "Message"):
        if name in shape.members and error.message:
            members.setdefault(name, error.message)
    status = shape.error_status or error.status
    wire_code = shape.error_code or shape.name
    return Fault(shape, shape.name, wire_code, status, error.message, members)


def type_name(service: Service, fault: Fault) -> str:
    """The full name that JSON services give an error, with the namespace that AWS's own carry."""
    if fault.shape is None:
        return _CORAL.get(fault.name, fault.name)
    return f"{_NAMESPACES.get(service.name, f'com.amazonaws.{service.name}')}#{fault.name}"


_NAMESPACES = {
    "dynamodb": "com.amazonaws.dynamodb.v20120810",
    "dynamodbstreams": "com.amazonaws.dynamodb.v20120810",
}
_CORAL = {
    "SerializationException": "com.amazon.coral.service#SerializationException",
    "UnknownOperationException": "com.amazon.coral.service#UnknownOperationException",
    "InternalFailure": "com.amazon.coral.service#InternalFailure",
    "AccessDeniedException": "com.amazon.coral.service#AccessDeniedException",
    "ThrottlingException": "com.amazon.coral.availability#ThrottlingException",
    "ValidationException": "com.amazon.coral.validate#ValidationException",
    "InvalidSignatureException": "com.amazon.coral.service#InvalidSignatureException",
    "UnrecognizedClientException": "com.amazon.coral.service#UnrecognizedClientException",
    "MissingAuthenticationTokenException": (
        "com.amazon.coral.service#MissingAuthenticationTokenException"
    ),
    "IncompleteSignatureException": "com.amazon.coral.service#IncompleteSignatureException",
    "ExpiredTokenException": "com.amazon.coral.service#ExpiredTokenException",
}


def query_error_header(fault: Fault) -> tuple[str, str]:
    """Tells SDKs the code that this error had before the service left the query protocol."""
    return ("x-amzn-query-error", f"{fault.code};{fault.side}")


def host_id(request_id: str) -> str:
    """S3's second request id, made of the first: opaque, and as long as theirs."""
    return binascii.b2a_base64((request_id * 4).encode()[:56], newline=False).decode("ascii")


def request_headers(
    service: Service, content_type: str | None, request_id: str
) -> list[tuple[str, str]]:
    """The headers that every answer of the service has."""
    if service.name == "s3":
        headers = [("x-amz-request-id", request_id), ("x-amz-id-2", host_id(request_id))]
    else:
        headers = [("x-amzn-requestid", request_id)]
    if content_type is not None:
        headers.append(("content-type", content_type))
    return headers


def error_headers(
    service: Service, content_type: str | None, request_id: str, error: AwsError
) -> list[tuple[str, str]]:
    """The headers of an error's answer: every answer's, and this error's own."""
    return [*request_headers(service, content_type, request_id), *error.headers.items()]


def text_members(fields: Mapping[str, Any]) -> list[tuple[str, str]]:
    """An unmodelled error's further fields, as text."""
    return [(name, str(value)) for name, value in fields.items() if value is not None]
