"""Errors that directory buckets alone know."""

from __future__ import annotations

from doppio.wire.errors import AwsError


class FunctionNotImplemented(AwsError):
    """What S3 itself does not have for directory buckets."""

    code = "NotImplemented"
    status = 501
    text = "A header or query you provided requested a function that is not implemented."


class InvalidWriteOffset(AwsError):
    code = "InvalidWriteOffset"
    text = "The write offset value that you specified does not match the current object size."


class TooManyParts(AwsError):
    code = "TooManyParts"
    text = (
        "You have attempted to add more parts than the maximum of 10000 that are allowed for this "
        "object. You can use the CopyObject operation to copy this object to another and then add "
        "more data to the newly copied object."
    )


class EncryptionTypeMismatch(AwsError):
    code = "EncryptionTypeMismatch"
    text = (
        "The existing object was created with a different encryption type. Subsequent write "
        "requests must include the appropriate encryption parameters in the request or while "
        "creating the session."
    )


class IdempotencyParameterMismatch(AwsError):
    code = "IdempotencyParameterMismatch"
    text = (
        "Parameters on this idempotent request are inconsistent with parameters used in previous "
        "request(s)."
    )
