"""Signature Version 2 of S3, against botocore's signers."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from botocore.auth import HmacV1Auth, HmacV1QueryAuth

from doppio.wire import sigv2, sigv4
from doppio.wire.errors import AwsError
from doppio.wire.http import Request, Whole

from .signing import SECRET, now, signed


def check(request: Request, secret: str = SECRET, later: timedelta = timedelta(0)) -> None:
    signature = sigv4.parse(request)
    assert isinstance(signature, sigv2.SignatureV2)
    moment = now() + later
    sigv4.verify(signature, secret, request, moment.timestamp(), body_sha256=None, cloud_now=moment)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost/bucket/a%20key",
        "http://localhost/bucket/key?versionId=3&uploads",
        "http://localhost/bucket?acl",
    ],
)
def test_header_and_query_signatures_are_verified(url: str) -> None:
    check(signed(HmacV1QueryAuth, "GET", url, expires=60))
    headers = {"x-amz-meta-a": "b", "content-type": "text/plain"}
    check(signed(HmacV1Auth, "PUT", url, headers=headers))


def test_a_presigned_url_expires() -> None:
    request = signed(HmacV1QueryAuth, "GET", "http://localhost/b/k", expires=60)
    with pytest.raises(sigv2.ExpiredV2) as expired:
        check(request, later=timedelta(seconds=70))
    told = expired.value.fields
    ends, asked = (datetime.fromisoformat(told[name]) for name in ("Expires", "ServerTime"))
    assert abs(ends - now() - timedelta(seconds=60)) < timedelta(seconds=5)
    assert abs(asked - now() - timedelta(seconds=70)) < timedelta(seconds=5)


def test_another_secret_or_path_is_refused() -> None:
    request = signed(HmacV1QueryAuth, "GET", "http://localhost/b/k", expires=60)
    with pytest.raises(sigv2.SignatureDoesNotMatchV2):
        check(request, "other")
    request.path = "/b/other"
    with pytest.raises(sigv2.SignatureDoesNotMatchV2):
        check(request)


def test_half_a_signature_is_refused() -> None:
    for headers, query in (
        ({"authorization": "AWS key"}, ""),
        ({"authorization": "AWS key:signature"}, ""),
        ({}, "AWSAccessKeyId=a&Signature=b&Expires=never"),
    ):
        with pytest.raises(AwsError):
            sigv4.parse(Request("GET", "/b", query, headers, Whole(b"")))
