"""What S3 says where a function of Object Lambda was to answer.

Codes are AWS's; it does not document their texts and statuses.
"""

from __future__ import annotations

from doppio.wire.errors import AwsError


class LambdaInvalidResponse(AwsError):
    code = "LambdaInvalidResponse"
    text = "The Lambda function returned an invalid response."


class LambdaInvokeFailed(AwsError):
    code = "LambdaInvokeFailed"
    text = "Lambda function invocation failed."


class LambdaNotFound(AwsError):
    code = "LambdaNotFound"
    status = 404
    text = "The Lambda function was not found."


class LambdaPermissionError(AwsError):
    code = "LambdaPermissionError"
    status = 403
    text = "The caller is not authorized to perform the action on the Lambda Function."


class LambdaResponseNotReceived(AwsError):
    code = "LambdaResponseNotReceived"
    text = "The Lambda exited without successfully calling WriteGetObjectResponse."


class LambdaRuntimeError(AwsError):
    code = "LambdaRuntimeError"
    text = "Lambda function failed during execution."


class LambdaTimeout(AwsError):
    code = "LambdaTimeout"
    text = "The Lambda function timed out during execution."


class LambdaTooManyRequests(AwsError):
    code = "LambdaTooManyRequests"
    status = 429
    text = "The Lambda function is invoked too often."


class UnknownToken(AwsError):
    """A token that nobody waits for: used, too late, or never given."""

    code = "ValidationError"
    text = "The request token is invalid, was used already or has expired."


class WrongAnswer(AwsError):
    """An answer that contradicts itself."""

    code = "ValidationError"


class HeaderNotImplemented(AwsError):
    code = "NotImplemented"
    status = 501
    text = "A header you provided implies functionality that is not implemented."
