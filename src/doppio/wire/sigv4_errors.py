"""What is said of signatures that do not count.

Source: "AWS Signature Version 4 for API requests" in the IAM user guide, and S3's list of error codes.
"""

from __future__ import annotations

from doppio.wire.errors import AwsError


class SignatureDoesNotMatch(AwsError):
    """The signature was made with another secret, or over another request."""

    code = "SignatureDoesNotMatch"
    status = 403
    text = (
        "The request signature we calculated does not match the signature you provided. Check "
        "your AWS Secret Access Key and signing method. Consult the service documentation for "
        "details."
    )


class IncompleteSignature(AwsError):
    """An authorisation that lacks a part."""

    code = "IncompleteSignature"
    status = 400


class HeadersNotSigned(AwsError):
    """A request to S3 to which somebody may have added headers that count."""

    code = "AccessDenied"
    status = 403
    text = "There were headers present in the request which were not signed"


class RequestExpired(AwsError):
    """A presigned request whose time is over."""

    code = "AccessDenied"
    status = 403
    text = "Request has expired"


class RequestTimeTooSkewed(AwsError):
    """A request signed by a clock that is far from ours."""

    code = "RequestTimeTooSkewed"
    status = 403
    text = "The difference between the request time and the current time is too large."


class AuthorizationQueryParametersError(AwsError):
    """A presigned request whose parameters cannot be."""

    code = "AuthorizationQueryParametersError"
    status = 400
