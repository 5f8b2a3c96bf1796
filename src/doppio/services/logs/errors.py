"""CloudWatch Logs' errors: one class per AWS code that the operations raise."""

from __future__ import annotations

from doppio.wire.errors import AwsError


class InvalidParameter(AwsError):
    code = "InvalidParameterException"


class LimitExceeded(AwsError):
    code = "LimitExceededException"
    text = "Resource limit exceeded."


class NoGroup(AwsError):
    code = "ResourceNotFoundException"
    text = "The specified log group does not exist."


class NoStream(AwsError):
    code = "ResourceNotFoundException"
    text = "The specified log stream does not exist."


class NotFound(AwsError):
    code = "ResourceNotFoundException"
    text = "The specified resource does not exist."


class GroupExists(AwsError):
    code = "ResourceAlreadyExistsException"
    text = "The specified log group already exists"


class StreamExists(AwsError):
    code = "ResourceAlreadyExistsException"
    text = "The specified log stream already exists"


class Validation(AwsError):
    code = "ValidationException"
