"""The one family of errors that reach a client.

AwsError
├── (each service's errors.py: one class per AWS code)
└── (here: the codes that every service shares)
"""

from __future__ import annotations

from typing import Any, ClassVar


class AwsError(Exception):
    """An error of AWS's: `code` is the wire code, which is the model's shape name where it has one.

    `fields` are the further members of the error's shape. The HTTP status of an error that the
    service's model lists is the model's; `status` counts for the others. `query_code` is what the
    query protocol calls an error that the model does not list (and the header
    `x-amzn-query-error`), where that differs. `headers` go onto the response.
    """

    code: ClassVar[str] = "InternalFailure"
    query_code: ClassVar[str | None] = None
    status: ClassVar[int] = 400
    text: ClassVar[str] = ""

    def __init__(
        self, message: str | None = None, *, headers: dict[str, str] | None = None, **fields: Any
    ) -> None:
        self.message = self.text if message is None else message
        self.headers = headers or {}
        self.fields = fields
        super().__init__(self.message)


class InternalFailure(AwsError):
    """Our bug. The text never holds a stack trace; the log does."""

    code = "InternalFailure"
    status = 500
    text = "The request processing has failed because of an unknown error, exception or failure."


class ServiceUnavailable(AwsError):
    """We cannot do it now and nothing was changed: a full disk, a closing cloud."""

    code = "ServiceUnavailable"
    status = 503
    text = "The service is temporarily unavailable."


class ValidationError(AwsError):
    """An input that the model forbids; the protocols name it differently (see `validate`)."""

    code = "ValidationException"


class SerializationError(AwsError):
    """A body that is not what the protocol says it is."""

    code = "SerializationException"


class UnknownOperation(AwsError):
    """An operation that the service's model does not have."""

    code = "UnknownOperationException"
    status = 404


class NotImplementedByDoppio(AwsError):
    """An operation that AWS has and this cloud does not have yet: said, never faked."""

    code = "NotImplemented"
    status = 501


class AccessDenied(AwsError):
    """The caller may not do this; the message says why, as AWS's does."""

    code = "AccessDeniedException"
    status = 403


class Throttled(AwsError):
    """A rate or quota was reached; SDKs retry it."""

    code = "ThrottlingException"
    status = 400
    text = "Rate exceeded"
