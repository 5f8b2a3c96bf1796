"""Signature Version 4A, against the signer of AWS's common runtime."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from doppio.wire import sigv4, sigv4_errors, sigv4a
from doppio.wire.http import Request, Whole

from .signing import ACCESS_KEY, SECRET, now

auth = pytest.importorskip("awscrt.auth", reason="awscrt signs the requests of these tests")
http = pytest.importorskip("awscrt.http")


def crt_signed(url: str) -> Request:
    parts = urlsplit(url)
    headers = http.HttpHeaders([("host", parts.netloc)])
    request = http.HttpRequest("GET", parts.path, headers)
    config = auth.AwsSigningConfig(
        algorithm=auth.AwsSigningAlgorithm.V4_ASYMMETRIC,
        signature_type=auth.AwsSignatureType.HTTP_REQUEST_HEADERS,
        credentials_provider=auth.AwsCredentialsProvider.new_static(ACCESS_KEY, SECRET),
        region="*",
        service="s3",
        date=now(),
        use_double_uri_encode=False,
        should_normalize_uri_path=False,
        signed_body_value=auth.AwsSignedBodyValue.UNSIGNED_PAYLOAD,
        signed_body_header_type=auth.AwsSignedBodyHeaderType.X_AMZ_CONTENT_SHA_256,
    )
    done = auth.aws_sign_request(request, config).result()
    ours = {name.lower(): value for name, value in done.headers}
    return Request("GET", parts.path, parts.query, ours, Whole(b""))


def test_what_the_common_runtime_signs_is_verified() -> None:
    request = crt_signed("http://bucket.localhost/key")
    signature = sigv4.parse(request)
    assert signature is not None
    sigv4.verify(signature, SECRET, request, now().timestamp(), body_sha256=None)
    with pytest.raises(sigv4_errors.SignatureDoesNotMatch):
        sigv4.verify(signature, "other", request, now().timestamp(), body_sha256=None)


def test_a_signature_that_is_no_der_is_refused() -> None:
    assert not sigv4a.verify(ACCESS_KEY, SECRET, b"text", "zz")
    assert not sigv4a.verify(ACCESS_KEY, SECRET, b"text", "00" * 70)


def test_the_key_of_a_secret_is_always_the_same() -> None:
    first = sigv4a.public_key(ACCESS_KEY, SECRET).public_numbers()
    sigv4a._keys.clear()
    assert sigv4a.public_key(ACCESS_KEY, SECRET).public_numbers() == first
