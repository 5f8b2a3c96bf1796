"""Signature Version 4, against botocore's signers and AWS's documented example."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from hypothesis import given
from hypothesis import strategies as st

from doppio.wire import sigv4, sigv4_errors
from doppio.wire.errors import AwsError
from doppio.wire.http import Request, Whole

from .signing import SECRET, now, signed

PATHS = st.lists(st.text(max_size=8), max_size=4).map(
    lambda parts: "/" + "/".join(quote(part, safe="-_.~") for part in parts)
)
QUERIES = st.dictionaries(
    st.text(alphabet="abcXYZ-", min_size=1, max_size=5), st.text(max_size=6), max_size=4
).map(
    lambda pairs: "&".join(
        f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs.items()
    )
)


def check(request: Request, secret: str = SECRET, at: datetime | None = None) -> None:
    signature = sigv4.parse(request)
    assert signature is not None
    body = hashlib.sha256(request.body.whole or b"").hexdigest()
    moment = at or now()
    sigv4.verify(signature, secret, request, moment.timestamp(), body_sha256=body, cloud_now=moment)


@given(PATHS, QUERIES, st.binary(max_size=40))
def test_what_botocore_signs_is_verified(path: str, query: str, body: bytes) -> None:
    url = f"http://localhost:4566{path}" + (f"?{query}" if query else "")
    check(signed(SigV4Auth, "POST", url, body=body, service_name="sqs", region_name="eu-west-1"))


@given(PATHS, QUERIES, st.binary(max_size=40))
def test_what_botocore_signs_for_s3_is_verified(path: str, query: str, body: bytes) -> None:
    url = f"http://localhost:4566{path}" + (f"?{query}" if query else "")
    context = {"payload_signing_enabled": True}
    check(
        signed(
            S3SigV4Auth, "PUT", url, body=body, context=context, service_name="s3",
            region_name="us-east-1",
        )
    )  # fmt: skip


@pytest.mark.parametrize("signer", [SigV4QueryAuth, S3SigV4QueryAuth])
def test_presigned_urls_are_verified_until_they_expire(signer: type) -> None:
    service = "s3" if signer is S3SigV4QueryAuth else "sts"
    request = signed(
        signer, "GET", "http://localhost/b/k%20x", service_name=service, region_name="us-east-1",
        expires=60,
    )  # fmt: skip
    check(request)
    with pytest.raises(sigv4_errors.RequestExpired):
        check(request, at=now() + timedelta(seconds=70))


def test_a_presigned_url_expires_when_cloud_time_has_run_ahead() -> None:
    request = signed(
        S3SigV4QueryAuth, "GET", "http://localhost/b/k", service_name="s3",
        region_name="us-east-1", expires=60,
    )  # fmt: skip
    signature = sigv4.parse(request)
    assert signature is not None
    with pytest.raises(sigv4_errors.RequestExpired):
        sigv4.verify(
            signature, SECRET, request, now().timestamp(), body_sha256=None,
            cloud_now=now() + timedelta(days=1),
        )  # fmt: skip


def sample() -> Request:
    return signed(
        SigV4Auth, "POST", "http://localhost/a?b=c", body=b"body", token="session",
        headers={"x-amz-target": "T.Op"}, service_name="sqs", region_name="us-east-1",
    )  # fmt: skip


@pytest.mark.parametrize(
    "part", ["method", "path", "query", "header", "body", "secret", "token", "signature"]
)
def test_tampering_with_any_part_is_refused(part: str) -> None:
    request = sample()
    check(request)
    secret = SECRET
    headers = dict(request.headers)
    if part == "header":
        headers["x-amz-target"] = "T.Other"
    elif part == "token":
        headers["x-amz-security-token"] = "other"
    elif part == "signature":
        text = headers["authorization"]
        headers["authorization"] = text[:-1] + ("0" if text[-1] != "0" else "1")
    elif part == "secret":
        secret = "other"
    elif part == "body":
        request.body = Whole(b"Body")
    else:
        setattr(request, part, {"method": "GET", "path": "/b", "query": "b=d"}[part])
    request.headers = headers
    with pytest.raises(sigv4_errors.SignatureDoesNotMatch):
        check(request, secret)


def test_a_request_that_is_fifteen_minutes_old_is_refused() -> None:
    request = sample()
    check(request, at=now() + timedelta(minutes=14))
    with pytest.raises(sigv4_errors.SignatureDoesNotMatch, match="Signature expired"):
        check(request, at=now() + timedelta(minutes=16))
    with pytest.raises(sigv4_errors.SignatureDoesNotMatch, match="not yet current"):
        check(request, at=now() - timedelta(minutes=16))


def test_s3_says_that_the_clocks_differ_too_much() -> None:
    request = signed(
        S3SigV4Auth, "GET", "http://localhost/b", service_name="s3", region_name="us-east-1"
    )
    with pytest.raises(sigv4_errors.RequestTimeTooSkewed):
        check(request, at=now() + timedelta(minutes=16))


def test_the_documented_get_object_example_has_its_signature() -> None:
    # "Authenticating Requests: Using the Authorization Header" in the S3 API reference.
    headers = {
        "host": "examplebucket.s3.amazonaws.com",
        "range": "bytes=0-9",
        "x-amz-content-sha256": sigv4.EMPTY_SHA256,
        "x-amz-date": "20130524T000000Z",
        "authorization": (
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
            "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
            "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        ),
    }
    request = Request("GET", "/test.txt", "", headers, Whole(b""))
    signature = sigv4.parse(request)
    assert signature is not None
    at = datetime(2013, 5, 24, tzinfo=UTC)
    secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    sigv4.verify(signature, secret, request, at.timestamp(), body_sha256=None)


def test_a_request_without_a_signature_is_unsigned() -> None:
    assert sigv4.parse(Request("GET", "/", "", {}, Whole(b""))) is None


@given(st.text(max_size=200), st.text(max_size=200))
def test_garbage_is_refused_with_an_error_of_aws(authorization: str, query: str) -> None:
    for headers, text in (
        ({"authorization": authorization}, ""),
        ({"authorization": "AWS4-HMAC-SHA256 " + authorization}, ""),
        ({}, "X-Amz-Signature=" + query),
        ({}, "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" + query),
    ):
        try:
            sigv4.parse(Request("GET", "/", text, headers, Whole(b"")))
        except AwsError:
            continue


def test_what_is_remembered_of_a_second_lets_no_other_secret_in() -> None:
    request = sample()
    check(request)
    with pytest.raises(sigv4_errors.SignatureDoesNotMatch):
        check(request, "other")
    check(request)


def test_a_header_that_joins_those_of_the_last_request_must_be_signed() -> None:
    def put() -> Request:
        return signed(
            S3SigV4Auth, "PUT", "http://localhost/b/k", body=b"x", service_name="s3",
            region_name="us-east-1", context={"payload_signing_enabled": True},
        )  # fmt: skip

    check(put())
    check(put())
    request = put()
    request.headers = {**request.headers, "x-amz-acl": "public-read"}
    for _ in range(2):
        with pytest.raises(sigv4_errors.HeadersNotSigned):
            check(request)
    check(put())


def test_names_of_signed_headers_may_hold_a_percent_sign() -> None:
    check(
        signed(
            SigV4Auth, "POST", "http://localhost/", headers={"x-%s-100%": "a %s"},
            service_name="sqs", region_name="us-east-1",
        )
    )  # fmt: skip


def test_a_second_of_another_day_than_the_scope_is_refused_each_time() -> None:
    request = sample()
    check(request)
    request.headers = {**request.headers, "x-amz-date": "20010101T000000Z"}
    for _ in range(2):
        with pytest.raises(sigv4_errors.SignatureDoesNotMatch, match="Date in Credential scope"):
            check(request)
