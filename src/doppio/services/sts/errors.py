"""STS's errors."""

from __future__ import annotations

from doppio.wire.errors import AwsError


class AccessDenied(AwsError):
    """A role does not trust the caller, or the caller may not become it."""

    code = "AccessDenied"
    status = 403


class ValidationError(AwsError):
    """A parameter out of its range."""

    code = "ValidationError"


class MalformedPolicyDocument(AwsError):
    """A session policy that is none."""

    code = "MalformedPolicyDocument"


class PackedPolicyTooLarge(AwsError):
    """Session policies and tags that take too much room together."""

    code = "PackedPolicyTooLarge"


class InvalidParameterValue(AwsError):
    """Tags that cannot be."""

    code = "InvalidParameterValue"
