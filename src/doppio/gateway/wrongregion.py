"""What S3 says to a request that is signed for another Region than its bucket's.

A bucket says that it is elsewhere. Whether that is the endpoint's fault or the signature's, only the
gateway can tell: one endpoint is every Region's here, so that a request has come to the right one and
is signed for the wrong one, unless its host names the Region that it is signed for. Who names no Region
at all is served.
"""

from __future__ import annotations

from doppio.gateway.authenticate import AnySignature
from doppio.gateway.route import region_of_host
from doppio.wire.errors import AwsError
from doppio.wire.http import Request

_REGION = "x-amz-bucket-region"


class AuthorizationHeaderMalformed(AwsError):
    """A signature in a header that is for another Region."""

    code = "AuthorizationHeaderMalformed"


class AuthorizationQueryParametersError(AwsError):
    """A signature in a query that is for another Region."""

    code = "AuthorizationQueryParametersError"


def meant(request: Request, signature: AnySignature | None, error: AwsError) -> str:
    """The Region of a bucket for a request that names none, neither by signature nor by host.

    DNS would have led it there. One whose body has gone by is redirected, as it is where DNS is late.
    """
    if error.code != "PermanentRedirect" or request.body.whole is None:
        return ""
    if signature is not None and signature.region not in {"", "*"}:
        return ""
    chunked = request.headers.get("x-amz-content-sha256", "").startswith("STREAMING-")
    if chunked or region_of_host(request.headers.get("host", "")):
        return ""
    return error.headers[_REGION]


def told(request: Request, signature: AnySignature | None, error: AwsError) -> AwsError:
    """The error as S3 tells it: a redirection is one only where the endpoint is a Region's own."""
    if error.code != "PermanentRedirect" or signature is None:
        return error
    signed = signature.region
    if signed in {"", "*"} or region_of_host(request.headers.get("host", "")) == signed:
        return error
    region = error.headers[_REGION]
    wrong = f"the region '{signed}' is wrong; expecting '{region}'"
    if signature.presigned:
        return AuthorizationQueryParametersError(
            f"Error parsing the X-Amz-Credential parameter; {wrong}",
            headers={_REGION: region},
            Region=region,
        )
    return AuthorizationHeaderMalformed(
        f"The authorization header is malformed; {wrong}", headers={_REGION: region}, Region=region
    )
