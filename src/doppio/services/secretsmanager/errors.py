"""Secrets Manager's errors: one class per AWS code that the operations raise."""

from __future__ import annotations

from doppio.wire.errors import AwsError


class DecryptionFailure(AwsError):
    code = "DecryptionFailure"
    text = "Secrets Manager can't decrypt the protected secret text using the provided KMS key."


class EncryptionFailure(AwsError):
    code = "EncryptionFailure"
    text = (
        "Secrets Manager can't encrypt the protected secret text using the provided KMS key. Check "
        "that the KMS key is available, enabled, and not in an invalid state."
    )


class InvalidNextToken(AwsError):
    code = "InvalidNextTokenException"
    text = "The NextToken value is invalid."


class InvalidParameter(AwsError):
    code = "InvalidParameterException"


class InvalidRequest(AwsError):
    code = "InvalidRequestException"


class LimitExceeded(AwsError):
    code = "LimitExceededException"


class MalformedPolicyDocument(AwsError):
    code = "MalformedPolicyDocumentException"


class PublicPolicy(AwsError):
    code = "PublicPolicyException"
    text = "You can't attach a policy that allows broad access to the secret."


class ResourceExists(AwsError):
    code = "ResourceExistsException"


class ResourceNotFound(AwsError):
    code = "ResourceNotFoundException"
    text = "Secrets Manager can't find the specified secret."


class Validation(AwsError):
    code = "ValidationException"
