"""CloudWatch's errors: one class per AWS code that the operations raise."""

from __future__ import annotations

from doppio.wire.errors import AwsError


class InvalidValue(AwsError):
    code = "InvalidParameterValueException"


class InvalidCombination(AwsError):
    code = "InvalidParameterCombinationException"


class Missing(AwsError):
    code = "MissingRequiredParameterException"


class Validation(AwsError):
    code = "ValidationException"


class InvalidToken(AwsError):
    code = "InvalidNextToken"
    text = "The service cannot parse the token."


class NotFound(AwsError):
    code = "ResourceNotFound"


class NoResource(AwsError):
    code = "ResourceNotFoundException"


class InvalidDashboard(AwsError):
    code = "DashboardInvalidInputError"


class NoDashboard(AwsError):
    code = "DashboardNotFoundError"


class LimitExceeded(AwsError):
    code = "LimitExceededFault"
