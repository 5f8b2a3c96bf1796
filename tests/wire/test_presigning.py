"""Links that the cloud signs itself, as botocore signs them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doppio.wire import sigv4, sigv4_errors
from doppio.wire.http import Request, Whole
from doppio.wire.presigning import Signer, presigned

AT = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
SIGNER = Signer("ASIAEXAMPLE", "secret", "token/+=", "eu-west-1", "s3", AT, 61)
TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=8)


def followed(link: str, method: str = "GET", **headers: str) -> Request:
    target = link.removeprefix("http://localhost:4566")
    path, _, query = target.partition("?")
    return Request(method, path, query, {"host": "localhost:4566", **headers}, Whole(b""))


def check(request: Request, *, host: datetime = AT, cloud: datetime = AT) -> None:
    signature = sigv4.parse(request)
    assert isinstance(signature, sigv4.Signature)
    assert (signature.access_key, signature.session_token) == ("ASIAEXAMPLE", "token/+=")
    sigv4.verify(signature, "secret", request, host.timestamp(), body_sha256=None, cloud_now=cloud)


@given(TEXT, st.dictionaries(st.sampled_from(["prefix", "marker"]), TEXT))
def test_a_link_to_any_key_is_good(key: str, query: dict[str, str]) -> None:
    link = presigned(SIGNER, "GET", "http://localhost:4566", f"/shop/{key}", query, {})
    assert quote(key, safe="/-_.~") in link
    check(followed(link))


def test_a_link_is_for_its_method_its_headers_and_its_time_alone() -> None:
    key = {"x-amz-request-payer": "requester"}
    link = presigned(SIGNER, "HEAD", "http://localhost:4566", "/shop/menu", {}, key)
    check(followed(link, "HEAD", **key))
    for wrong in (
        followed(link, "GET", **key),
        followed(link, "HEAD", **{"x-amz-request-payer": "owner"}),
    ):
        with pytest.raises(sigv4_errors.SignatureDoesNotMatch):
            check(wrong)
    later = AT + timedelta(seconds=62)
    with pytest.raises(sigv4_errors.RequestExpired):
        check(followed(link, "HEAD", **key), cloud=later)
    check(followed(link, "HEAD", **key), host=later)


def test_a_link_is_signed_by_the_clock_of_the_host() -> None:
    link = presigned(SIGNER, "GET", "http://localhost:4566", "/shop/menu", {}, {})
    check(followed(link), host=AT - timedelta(minutes=14))
    with pytest.raises(sigv4_errors.RequestExpired, match="not valid yet"):
        check(followed(link), host=AT - timedelta(minutes=16))
