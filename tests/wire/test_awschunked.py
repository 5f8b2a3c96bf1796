"""The aws-chunked coding, signed and unsigned, in every split."""

from __future__ import annotations

import hashlib
import hmac
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doppio.wire import awschunked
from doppio.wire.awschunked import SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER
from doppio.wire.errors import AwsError
from doppio.wire.http import Request, Whole
from doppio.wire.sigv4 import EMPTY_SHA256, SigningKey
from doppio.wire.sigv4_errors import SignatureDoesNotMatch

KEY = SigningKey(b"k" * 32, "20261123/us-east-1/s3/aws4_request", "0" * 64, "20261123T000000Z")


def coded(kind: str, chunks: list[bytes], trailers: dict[str, str] | None = None) -> bytes:
    """The coding, written by the book."""
    previous, out = KEY.seed, b""
    for chunk in [*chunks, b""]:
        out += f"{len(chunk):x}".encode()
        if kind != UNSIGNED_TRAILER:
            text = (
                f"AWS4-HMAC-SHA256-PAYLOAD\n{KEY.when}\n{KEY.scope}\n{previous}\n{EMPTY_SHA256}\n"
                f"{hashlib.sha256(chunk).hexdigest()}"
            )
            previous = hmac.digest(KEY.key, text.encode(), "sha256").hex()
            out += f";chunk-signature={previous}".encode()
        out += b"\r\n" + chunk + (b"\r\n" if chunk else b"")
    for name, value in (trailers or {}).items():
        out += f"{name}:{value}\r\n".encode()
    if kind == SIGNED_TRAILER:
        content = "".join(f"{name}:{value}\n" for name, value in sorted((trailers or {}).items()))
        text = (
            f"AWS4-HMAC-SHA256-TRAILER\n{KEY.when}\n{KEY.scope}\n{previous}\n"
            f"{hashlib.sha256(content.encode()).hexdigest()}"
        )
        signature = hmac.digest(KEY.key, text.encode(), "sha256").hex()
        out += f"x-amz-trailer-signature:{signature}\r\n".encode()
    return out + b"\r\n"


def decode(
    kind: str, data: bytes, cuts: list[int] | None = None, **headers: str
) -> tuple[bytes, dict[str, str]]:
    request = Request("PUT", "/b/k", "", {k.replace("_", "-"): v for k, v in headers.items()},
                      Whole(b""))  # fmt: skip
    decoder = awschunked.decoder(kind, request, None if kind == UNSIGNED_TRAILER else KEY)
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts or []), len(data)]
    out = b""
    for start, end in itertools.pairwise(edges):
        out += b"".join(bytes(piece) for piece in decoder.feed(data[start:end]))
    return out, decoder.finish()


CHUNKS = st.lists(st.binary(min_size=1, max_size=50), max_size=5)
CUTS = st.lists(st.integers(0, 2000), max_size=8)


@given(CHUNKS, CUTS)
def test_signed_chunks_come_out_whole_in_every_split(chunks: list[bytes], cuts: list[int]) -> None:
    assert decode(SIGNED, coded(SIGNED, chunks), cuts) == (b"".join(chunks), {})


@pytest.mark.parametrize("kind", [SIGNED_TRAILER, UNSIGNED_TRAILER])
@given(chunks=CHUNKS, cuts=CUTS)
def test_trailers_are_handed_on(kind: str, chunks: list[bytes], cuts: list[int]) -> None:
    trailers = {"x-amz-checksum-crc32": "AAAAAA=="}
    data = coded(kind, chunks, trailers)
    got = decode(kind, data, cuts, x_amz_trailer="x-amz-checksum-crc32")
    assert got == (b"".join(chunks), trailers)


@given(CHUNKS.filter(bool), st.integers(0, 10_000))
def test_a_changed_byte_never_passes(chunks: list[bytes], where: int) -> None:
    data = bytearray(coded(SIGNED, chunks))
    data[where % len(data)] ^= 0x15
    try:
        content, _ = decode(SIGNED, bytes(data))
    except AwsError:
        return
    # The case of a hex digit may change without changing anything.
    assert content == b"".join(chunks)


def test_a_missing_end_is_an_incomplete_body() -> None:
    data = coded(SIGNED, [b"abc"])
    for cut in (3, len(data) - 40):
        with pytest.raises(AwsError):
            decode(SIGNED, data[:cut])


def test_the_announced_length_is_held_to() -> None:
    data = coded(UNSIGNED_TRAILER, [b"abcd"])
    assert decode(UNSIGNED_TRAILER, data, x_amz_decoded_content_length="4")[0] == b"abcd"
    for length in ("3", "5"):
        with pytest.raises(awschunked.IncompleteBody):
            decode(UNSIGNED_TRAILER, data, x_amz_decoded_content_length=length)


def test_an_announced_trailer_that_is_missing_is_refused() -> None:
    with pytest.raises(awschunked.MalformedTrailer):
        decode(
            UNSIGNED_TRAILER, coded(UNSIGNED_TRAILER, [b"a"]), x_amz_trailer="x-amz-checksum-crc32"
        )


def test_signed_chunks_need_a_key_and_a_known_kind() -> None:
    request = Request("PUT", "/b/k", "", {}, Whole(b""))
    with pytest.raises(SignatureDoesNotMatch):
        awschunked.decoder(SIGNED, request, None)
    with pytest.raises(awschunked.UnknownPayloadKind):
        awschunked.decoder("STREAMING-NOTHING", request, KEY)


@given(st.binary(max_size=300), CUTS)
def test_garbage_is_refused_with_an_error_of_aws(data: bytes, cuts: list[int]) -> None:
    for kind in (SIGNED, UNSIGNED_TRAILER, SIGNED_TRAILER):
        with pytest.raises(AwsError):
            decode(kind, data + b"!", cuts)
