"""Kinesis's errors: one class per AWS code that the operations raise."""

from __future__ import annotations

from doppio.wire.errors import AwsError


class InvalidArgumentException(AwsError):
    """A request that cannot be, or does not fit the stream."""

    code = "InvalidArgumentException"


class ValidationException(AwsError):
    """A request that cannot be, whatever the stream."""

    code = "ValidationException"


class ResourceNotFoundException(AwsError):
    """A stream, shard, consumer or policy that is not there."""

    code = "ResourceNotFoundException"


class ResourceInUseException(AwsError):
    """What is there already, or is being changed."""

    code = "ResourceInUseException"


class LimitExceededException(AwsError):
    """More than an account, or a stream, may have."""

    code = "LimitExceededException"


class ExpiredIteratorException(AwsError):
    """An iterator older than its five minutes."""

    code = "ExpiredIteratorException"


class ExpiredNextTokenException(AwsError):
    """A token of a list that was given too long ago, or never."""

    code = "ExpiredNextTokenException"


class DryRunOperationException(AwsError):
    """What would have been done, had it not been a dry run."""

    code = "DryRunOperationException"
    text = "Request would have succeeded, but DryRun parameter is set."


class KmsAccessDenied(AwsError):
    """A key that the caller may not use."""

    code = "KMSAccessDeniedException"


class KmsDisabled(AwsError):
    """A key that is switched off."""

    code = "KMSDisabledException"


class KmsInvalidState(AwsError):
    """A key that cannot be used as it is."""

    code = "KMSInvalidStateException"


class KmsNotFound(AwsError):
    """A key that is not there."""

    code = "KMSNotFoundException"


class KmsThrottled(AwsError):
    """A key that is asked for too often."""

    code = "KMSThrottlingException"
