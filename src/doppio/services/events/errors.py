"""EventBridge's errors: one class per AWS code that the operations raise."""

from __future__ import annotations

from doppio.wire.errors import AwsError


class ConcurrentModification(AwsError):
    code = "ConcurrentModificationException"


class IllegalStatus(AwsError):
    code = "IllegalStatusException"


class InvalidEventPattern(AwsError):
    code = "InvalidEventPatternException"

    def __init__(self, reason: str) -> None:
        super().__init__(f"Event pattern is not valid. Reason: {reason}")


class InvalidState(AwsError):
    code = "InvalidStateException"


class LimitExceeded(AwsError):
    code = "LimitExceededException"
    text = "The requested resource exceeds the maximum number allowed."


class ManagedRule(AwsError):
    code = "ManagedRuleException"


class PolicyLengthExceeded(AwsError):
    code = "PolicyLengthExceededException"
    text = "The length of the policy is more than the limit of 10240 bytes."


class ResourceAlreadyExists(AwsError):
    code = "ResourceAlreadyExistsException"


class ResourceNotFound(AwsError):
    code = "ResourceNotFoundException"


class Validation(AwsError):
    code = "ValidationException"
