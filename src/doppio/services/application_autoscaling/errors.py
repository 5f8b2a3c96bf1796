"""Application Auto Scaling's errors: one class per AWS code that the operations raise."""

from __future__ import annotations

from doppio.wire.errors import AwsError


class Validation(AwsError):
    code = "ValidationException"


class ObjectNotFound(AwsError):
    code = "ObjectNotFoundException"


class LimitExceeded(AwsError):
    code = "LimitExceededException"


class InvalidNextToken(AwsError):
    code = "InvalidNextTokenException"
    text = "The next token supplied was invalid."


class FailedResourceAccess(AwsError):
    code = "FailedResourceAccessException"


class ResourceNotFound(AwsError):
    code = "ResourceNotFoundException"


class TooManyTags(AwsError):
    code = "TooManyTagsException"
