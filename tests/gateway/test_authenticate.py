from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from doppio.gateway.authenticate import ContentSha256Mismatch, Hashed, authenticate
from doppio.kernel.clock import Clock, SimulatedClock
from doppio.kernel.identity import ANONYMOUS, Credential, root_of
from doppio.wire import sigv4, sigv4_errors
from doppio.wire.http import Request, Whole
from tests.wire.signing import ACCESS_KEY, SECRET, signed


class Known:
    """An IAM with one key."""

    async def credential(
        self, access_key: str, token: str | None, partition: str = "aws"
    ) -> Credential:
        assert access_key == ACCESS_KEY
        return Credential(access_key, SECRET, root_of("123456789012"))


class Pieces:
    """A body that arrives in pieces."""

    length = None
    whole = None

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece


def checked(request: Request, *, is_s3: bool = False, streaming: bool = False) -> Any:
    """Authenticate a request that was signed now."""
    clock = Clock(SimulatedClock(datetime.now(UTC)))
    known: Any = Known()
    work = authenticate(
        request, sigv4.parse(request), known, clock, is_s3=is_s3, streaming=streaming,
        partition="aws",
    )  # fmt: skip
    return asyncio.run(work)


def json_request(body: bytes = b"{}") -> Request:
    from botocore.auth import SigV4Auth

    return signed(
        SigV4Auth, "POST", "http://localhost/", body=body, service_name="sqs", region_name="r"
    )


def s3_request(body: bytes = b"coffee", **context: Any) -> Request:
    from botocore.auth import S3SigV4Auth

    return signed(
        S3SigV4Auth, "PUT", "https://localhost/b/k", body=body, context=context,
        headers={"Content-MD5": "x"} if "has_streaming_input" in context else {},
        service_name="s3", region_name="r",
    )  # fmt: skip


def test_the_owner_of_the_key_is_the_caller() -> None:
    caller, body = checked(json_request())
    assert caller == root_of("123456789012")
    assert body.whole == b"{}"


def test_without_a_signature_nobody_calls() -> None:
    caller, _ = checked(Request("GET", "/", "", {"host": "localhost"}, Whole(b"")))
    assert caller is ANONYMOUS


def test_a_changed_body_is_no_longer_signed() -> None:
    request = json_request()
    request.body = Whole(b'{"QueueName": "mine"}')
    with pytest.raises(sigv4_errors.SignatureDoesNotMatch):
        checked(request)


def test_s3_tells_which_digest_it_found() -> None:
    request = s3_request(payload_signing_enabled=True)
    request.body = Whole(b"tea")
    with pytest.raises(ContentSha256Mismatch) as caught:
        checked(request, is_s3=True, streaming=True)
    fields = caught.value.fields
    assert fields["ClientComputedContentSHA256"] == hashlib.sha256(b"coffee").hexdigest()
    assert fields["S3ComputedContentSHA256"] == hashlib.sha256(b"tea").hexdigest()


def test_an_unsigned_payload_may_be_anything() -> None:
    request = s3_request(has_streaming_input=True)
    assert request.headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    request.body = Whole(b"tea")
    _, body = checked(request, is_s3=True, streaming=True)
    assert body.whole == b"tea"


def test_a_streamed_body_is_checked_before_its_last_piece_is_given() -> None:
    async def read(body: Hashed) -> list[bytes]:
        return [chunk async for chunk in body]

    said = hashlib.sha256(b"abcdef").hexdigest()
    assert asyncio.run(read(Hashed(Pieces(b"abc", b"def"), said))) == [b"abc", b"def"]

    async def read_wrong() -> None:
        chunks = aiter(Hashed(Pieces(b"abc", b"xxx"), said))
        assert await anext(chunks) == b"abc"
        with pytest.raises(ContentSha256Mismatch):
            await anext(chunks)

    asyncio.run(read_wrong())


def test_a_streamed_s3_body_is_wrapped_in_its_check() -> None:
    request = s3_request(payload_signing_enabled=True)
    request.body = Pieces(b"cof", b"fee")
    _, body = checked(request, is_s3=True, streaming=True)
    assert isinstance(body, Hashed)
