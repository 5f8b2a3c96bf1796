"""Lambda's errors: one class per AWS code that the operations raise."""

from __future__ import annotations

from doppio.wire.errors import AwsError


class InvalidParameterValue(AwsError):
    """A request that cannot be."""

    code = "InvalidParameterValueException"


class ResourceNotFound(AwsError):
    """A function, version, alias, layer, policy or configuration that is not there."""

    code = "ResourceNotFoundException"


class ResourceConflict(AwsError):
    """What is there already, or is being changed."""

    code = "ResourceConflictException"


class ResourceInUse(AwsError):
    """A mapping that is being changed or deleted."""

    code = "ResourceInUseException"


class CodeStorageExceeded(AwsError):
    """More code than an account may keep."""

    code = "CodeStorageExceededException"
    text = "Code storage limit exceeded."


class PreconditionFailed(AwsError):
    """A revision that is not the newest any more."""

    code = "PreconditionFailedException"
    text = (
        "The Revision Id provided does not match the latest Revision Id. Call the "
        "GetFunction/GetAlias API to retrieve the latest Revision Id"
    )


class PolicyLengthExceeded(AwsError):
    """A policy that grows too long."""

    code = "PolicyLengthExceededException"


class RequestTooLarge(AwsError):
    """A request with more bytes than an operation takes."""

    code = "RequestTooLargeException"
    status = 413


class TooManyRequests(AwsError):
    """More at once than a function, or an account, may run; `Reason` says which."""

    code = "TooManyRequestsException"
    text = "Rate Exceeded."


class Validation(AwsError):
    """A number beyond what a function may have."""

    code = "ValidationException"


class InvalidRuntime(AwsError):
    """A runtime that does not run here."""

    code = "InvalidRuntimeException"
    status = 502


class ServiceException(AwsError):
    """What is the machine's fault."""

    code = "ServiceException"
    status = 500


class InvalidRequestContent(AwsError):
    """An event that is no JSON."""

    code = "InvalidRequestContentException"


class KmsAccessDenied(AwsError):
    """A key that may not be used."""

    code = "KMSAccessDeniedException"
    status = 502


class KmsDisabled(AwsError):
    """A key that is switched off."""

    code = "KMSDisabledException"
    status = 502


class KmsInvalidState(AwsError):
    """A key that cannot be used as it is."""

    code = "KMSInvalidStateException"
    status = 502


class KmsNotFound(AwsError):
    """A key that is not there."""

    code = "KMSNotFoundException"
    status = 502
