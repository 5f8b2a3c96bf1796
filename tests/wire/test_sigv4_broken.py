"""Signatures that are none: whatever stands where one should, it is refused as AWS refuses it."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from doppio.wire import sigv4
from doppio.wire.errors import AwsError
from doppio.wire.http import Request, Whole

from .signing import ACCESS_KEY, SECRET, now, signed

# What may come over the network: headers are Latin-1, a query is its escapes and them.
WIRE = st.text(alphabet=st.characters(max_codepoint=255), max_size=20)
PIECES = WIRE | st.sampled_from([
    "", " ", ",", ";", "/", "=", "%", "%C3%A9", "%F0%9F%98%80", "%zz", "%D9%A3", "\u00b2", "0", "-1",
    "--5", "9" * 5_000, "900", "host", "host;x-amz-date", "20300101", "20300101T000000Z",
    "99991231T235959Z", "00010101T000000Z", "us-east-1", "s3", "s3express", "aws4_request",
    f"{ACCESS_KEY}/20300101/us-east-1/s3/aws4_request", "a" * 64, "A" * 64, "f" * 63, "é" * 64,
    "AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256", "UNSIGNED-PAYLOAD",
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "Tue, 01 Jan 2030 00:00:00 GMT",
    "Mon, 01 Jan 0001 00:00:00 +2359", "Thu, 99 Foo 99999 99:99:99 GMT",
])  # fmt: skip
METHODS = st.sampled_from(["GET", "PUT", "POST", "BREW"])
PATHS = st.sampled_from(["/", "", "/a", "/é", "/%", "/%zz/..", "//", "*"])


def asked(request: Request) -> None:
    """Read and check a signature that nobody made; only AWS's errors may come of it."""
    moment = now()
    try:
        signature = sigv4.parse(request)
        if signature is None:
            return
        sigv4.verify(
            signature, SECRET, request, (signature.timestamp or moment).timestamp(),
            body_sha256=hashlib.sha256(b"").hexdigest(), cloud_now=signature.timestamp or moment,
        )  # fmt: skip
    except AwsError:
        return
    raise AssertionError(f"let in: {request}")


HEADERS = st.builds(
    "{} Credential={}/{}/{}/{}/{}, SignedHeaders={}, Signature={}".format, *[PIECES] * 8
)


@settings(max_examples=300, deadline=None)
@given(
    METHODS, PATHS, PIECES | HEADERS | HEADERS.map(lambda rest: "AWS4-HMAC-SHA256 " + rest[1:]),
    st.dictionaries(
        st.sampled_from(["x-amz-date", "date", "x-amz-content-sha256", "x-amz-security-token"]),
        PIECES,
    ),
)  # fmt: skip
def test_whatever_stands_in_the_header_is_refused(
    method: str, path: str, authorization: str, headers: dict[str, str]
) -> None:
    asked(Request(method, path, "", {**headers, "authorization": authorization}, Whole(b"")))
    second = {**headers, "authorization": f"AWS {authorization}"}
    asked(Request(method, path, "", second, Whole(b"")))


NAMES = [
    "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders",
    "X-Amz-Signature", "X-Amz-Security-Token", "X-Amz-Content-Sha256", "AWSAccessKeyId",
    "Signature", "Expires", "x",
]  # fmt: skip
RIGHT = {
    "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
    "X-Amz-Credential": f"{ACCESS_KEY}/20300101/us-east-1/s3/aws4_request",
    "X-Amz-Date": "20300101T000000Z", "X-Amz-Expires": "900", "X-Amz-SignedHeaders": "host",
    "X-Amz-Signature": "a" * 64,
}  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(METHODS, PATHS, st.dictionaries(st.sampled_from(NAMES), PIECES, max_size=4), st.booleans())
def test_whatever_stands_in_the_query_is_refused(
    method: str, path: str, given_: dict[str, str], whole: bool
) -> None:
    parameters = {**RIGHT, **given_} if whole else given_
    query = "&".join(f"{name}={value}" for name, value in parameters.items())
    asked(Request(method, path, query, {"host": "localhost"}, Whole(b"")))
    second = {"AWSAccessKeyId": ACCESS_KEY, "Signature": "a", "Expires": "1", **given_}
    query = "&".join(f"{name}={value}" for name, value in second.items())
    asked(Request(method, path, query, {}, Whole(b"")))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("X-Amz-Signature", "%C3%A9" * 32, id="letters-encoded"),
        pytest.param("X-Amz-Signature", "é" * 64, id="letters"),
        pytest.param("X-Amz-Expires", "\u00b2", id="a-small-two"),
        pytest.param("X-Amz-Expires", "%D9%A3", id="a-three-of-another-script"),
        pytest.param("X-Amz-Expires", "--5", id="two-signs"),
        pytest.param("X-Amz-Expires", "9" * 5_000, id="many-digits"),
    ],
)
def test_what_looks_like_a_number_or_a_signature_is_refused(name: str, value: str) -> None:
    query = "&".join(f"{one}={text}" for one, text in {**RIGHT, name: value}.items())
    asked(Request("GET", "/", query, {"host": "localhost"}, Whole(b"")))


def verified(request: Request) -> None:
    signature = sigv4.parse(request)
    assert signature is not None
    body = hashlib.sha256(request.body.whole or b"").hexdigest()
    sigv4.verify(signature, SECRET, request, now().timestamp(), body_sha256=body, cloud_now=now())


CHANGES: list[tuple[str, Any]] = [
    ("method", lambda request: setattr(request, "method", "DELETE")),
    ("path", lambda request: setattr(request, "path", request.path + "x")),
    ("another path", lambda request: setattr(request, "path", "/other")),
    ("a parameter more", lambda request: setattr(request, "query", f"{request.query}&acl")),
    ("a parameter's value", lambda request: setattr(
        request, "query", request.query.replace("kind=tea", "kind=ale"))),
    ("a signed header", lambda request: request.headers.update({"x-amz-meta-cup": "large"})),
    ("the host", lambda request: request.headers.update({"host": "elsewhere"})),
]  # fmt: skip


@pytest.mark.parametrize("signer", [SigV4Auth, S3SigV4Auth, SigV4QueryAuth, S3SigV4QueryAuth])
@pytest.mark.parametrize("change", [change for _, change in CHANGES], ids=[n for n, _ in CHANGES])
def test_nothing_that_was_signed_may_be_changed(signer: Any, change: Any) -> None:
    service = "s3" if signer in (S3SigV4Auth, S3SigV4QueryAuth) else "sqs"
    request = signed(
        signer, "GET", "http://localhost/menu?kind=tea", headers={"x-amz-meta-cup": "small"},
        service_name=service, region_name="us-east-1",
    )  # fmt: skip
    verified(request)
    change(request)
    with pytest.raises(AwsError) as refused:
        verified(request)
    assert refused.value.code == "SignatureDoesNotMatch"


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([SigV4Auth, S3SigV4Auth]), st.integers(0, 400),
    st.sampled_from("0123456789abcdefABCDEF/;,= -xz"),
)  # fmt: skip
def test_no_letter_of_an_authorisation_may_be_another(signer: Any, at: int, letter: str) -> None:
    service = "s3" if signer is S3SigV4Auth else "sqs"
    request = signed(
        signer, "GET", "http://localhost/menu", service_name=service, region_name="us-east-1"
    )
    whole = request.headers["authorization"]
    at %= len(whole)
    changed = whole[:at] + letter + whole[at + 1 :]
    # A signature is hexadecimal, in whatever letters; and between its parts may be spaces.
    if changed.lower() == whole.lower() or changed.split() == whole.split():
        return
    request.headers["authorization"] = changed
    try:
        signature = sigv4.parse(request)
    except AwsError:
        return
    assert signature is not None
    if signature.access_key != ACCESS_KEY:
        # Another key, whose secret is another one.
        return
    with pytest.raises(AwsError):
        verified(request)


@pytest.mark.parametrize("signer", [S3SigV4Auth, S3SigV4QueryAuth])
def test_to_what_was_signed_for_s3_no_header_that_counts_may_be_added(signer: Any) -> None:
    request = signed(
        signer, "PUT", "http://localhost/menu", headers={"x-amz-acl": "private"},
        service_name="s3", region_name="us-east-1",
    )  # fmt: skip
    request.headers.update({"user-agent": "cup", "x-amzn-trace-id": "1", "if-match": "a"})
    verified(request)
    for added in ("x-amz-grant-read", "x-amz-expires"):
        changed = replace(request, headers={**request.headers, added: "uri=everybody"})
        with pytest.raises(AwsError, match="not signed"):
            verified(changed)
    request.headers["x-amz-grant-read"] = "uri=everybody"
    with pytest.raises(AwsError) as refused:
        verified(request)
    assert (refused.value.code, refused.value.status) == ("AccessDenied", 403)
    assert refused.value.message == (
        "There were headers present in the request which were not signed"
    )
