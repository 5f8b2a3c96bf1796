"""SNS's errors: one class per AWS code that the operations raise."""

from __future__ import annotations

from doppio.wire.errors import AwsError


class InvalidParameter(AwsError):
    code = "InvalidParameter"

    def __init__(self, text: str) -> None:
        super().__init__(f"Invalid parameter: {text}")


class ParameterValueInvalid(AwsError):
    code = "ParameterValueInvalid"


class NotFound(AwsError):
    code = "NotFound"
    status = 404
    text = "Topic does not exist"


class ResourceNotFound(AwsError):
    code = "ResourceNotFound"
    status = 404
    text = "Resource does not exist"


class AuthorizationError(AwsError):
    code = "AuthorizationError"
    status = 403


class BatchEntryIdsNotDistinct(AwsError):
    code = "BatchEntryIdsNotDistinct"
    text = "Two or more batch entries in the request have the same Id."


class BatchRequestTooLong(AwsError):
    code = "BatchRequestTooLong"
    text = "The length of all the batch messages put together is more than the limit."


class EmptyBatchRequest(AwsError):
    code = "EmptyBatchRequest"
    text = "The batch request doesn't contain any entries."


class EndpointDisabled(AwsError):
    code = "EndpointDisabled"
    text = "Endpoint is disabled"


class FilterPolicyLimitExceeded(AwsError):
    code = "FilterPolicyLimitExceeded"
    status = 403


class InvalidState(AwsError):
    code = "InvalidState"
    text = "A topic with an ArchivePolicy cannot be deleted: take the policy off first"


class InvalidBatchEntryId(AwsError):
    code = "InvalidBatchEntryId"
    text = "The Id of a batch entry in a batch request doesn't abide by the specification."


class KMSAccessDenied(AwsError):
    code = "KMSAccessDenied"


class KMSDisabled(AwsError):
    code = "KMSDisabled"


class KMSInvalidState(AwsError):
    code = "KMSInvalidState"


class KMSNotFound(AwsError):
    code = "KMSNotFound"


class KMSThrottling(AwsError):
    code = "KMSThrottling"


class OptedOut(AwsError):
    code = "OptedOut"
    text = "The phone number is opted out"


class PlatformApplicationDisabled(AwsError):
    code = "PlatformApplicationDisabled"
    text = "The platform application is disabled"


class TagLimitExceeded(AwsError):
    code = "TagLimitExceeded"
    text = "Could not complete request: tag quota of per resource exceeded"


class TooManyEntriesInBatchRequest(AwsError):
    code = "TooManyEntriesInBatchRequest"
    text = "The batch request contains more entries than permissible."


class UserError(AwsError):
    code = "UserError"


class Verification(AwsError):
    code = "VerificationException"
    text = "The one-time password (OTP) does not match"
