"""The codes that SDKs act upon: a client that sees one sets its clock, or asks for new keys."""

from __future__ import annotations

import pytest

from doppio.wire import sigv4_errors
from doppio.wire.errors import AwsError


@pytest.mark.parametrize(
    ("name", "code", "status"),
    [
        ("SignatureDoesNotMatch", "SignatureDoesNotMatch", 403),
        ("IncompleteSignature", "IncompleteSignature", 400),
        ("HeadersNotSigned", "AccessDenied", 403),
        ("RequestExpired", "AccessDenied", 403),
        ("RequestTimeTooSkewed", "RequestTimeTooSkewed", 403),
        ("AuthorizationQueryParametersError", "AuthorizationQueryParametersError", 400),
    ],
)
def test_a_signature_that_does_not_count_is_refused_with_awss_code(
    name: str, code: str, status: int
) -> None:
    error: type[AwsError] = getattr(sigv4_errors, name)
    assert (error.code, error.status) == (code, status)
