"""EventBridge Pipes' errors: one class per AWS code that the operations raise."""

from __future__ import annotations

from doppio.wire.errors import AwsError


class Conflict(AwsError):
    code = "ConflictException"
    status = 409


class CallFailed(AwsError):
    """A server that did not take what it was given."""

    code = "ApiDestinationCallFailed"
    status = 502


class NotFound(AwsError):
    code = "NotFoundException"
    status = 404


class QuotaExceeded(AwsError):
    code = "ServiceQuotaExceededException"
    status = 402


class Validation(AwsError):
    code = "ValidationException"
