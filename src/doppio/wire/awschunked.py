"""The aws-chunked coding: bodies in signed chunks, with trailers.

Sans I/O: bytes are fed in, content comes out, and an error says that the rest is not to be
trusted. Pieces of a chunk are handed on before its signature is known to be right, so whoever
stores them commits only after `finish`. Source: "Signature calculations for the Authorization
header: transferring payload in multiple chunks" in the S3 API reference.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Any

from doppio.wire.errors import AwsError
from doppio.wire.http import Request
from doppio.wire.sigv4 import EMPTY_SHA256, SigningKey
from doppio.wire.sigv4_errors import SignatureDoesNotMatch

SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
SIGNED_A = "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"
SIGNED_A_TRAILER = "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER"
LINE_BYTES_MAX = 4_096
TRAILERS_BYTES_MAX = 16_384
_HEADER = re.compile(rb"([0-9a-fA-F]{1,16})(?:;chunk-signature=([0-9a-fA-F*]+))?[ \t]*\Z")


class IncompleteBody(AwsError):
    """A body that ended before its last chunk."""

    code = "IncompleteBody"
    text = "The request body terminated unexpectedly"


class InvalidChunk(AwsError):
    """Bytes that are not the coding."""

    code = "InvalidRequest"
    text = "The request body is not in the aws-chunked coding that its headers announce."


class MalformedTrailer(AwsError):
    """Trailers that are not what was announced."""

    code = "MalformedTrailerError"
    text = "The request contained trailing data that was not well-formed or did not conform to our published schema."


class UnknownPayloadKind(AwsError):
    """A value of x-amz-content-sha256 that does not exist."""

    code = "InvalidArgument"
    text = "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, a STREAMING- value, or a valid sha256 value."


def decoder(kind: str, request: Request, key: SigningKey | None) -> Decoder:
    """The decoder of a body whose `x-amz-content-sha256` says `kind`."""
    if kind not in {SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER, SIGNED_A, SIGNED_A_TRAILER}:
        raise UnknownPayloadKind()
    if kind != UNSIGNED_TRAILER and key is None:
        raise SignatureDoesNotMatch()
    announced = [
        name.strip().lower() for name in request.headers.get("x-amz-trailer", "").split(",")
    ]
    length = request.headers.get("x-amz-decoded-content-length", "")
    return Decoder(
        kind, key, {name for name in announced if name}, int(length) if length.isdigit() else None
    )


class Decoder:
    """Takes the coding apart. `feed` may be given any split of the bytes."""

    def __init__(
        self, kind: str, key: SigningKey | None, announced: set[str], length: int | None
    ) -> None:
        self._signed = kind != UNSIGNED_TRAILER
        self._asymmetric = kind in (SIGNED_A, SIGNED_A_TRAILER)
        self._has_trailer = kind.endswith("-TRAILER")
        self._key = key
        self._previous = key.seed if key is not None else ""
        self._announced = announced
        self._length = length
        self._line = b""
        self._left = 0
        self._state = "header"
        self._digest: Any = None
        self._signature = b""
        self._trailer_lines: list[bytes] = []
        self._trailer_bytes = 0
        self.decoded = 0

    def feed(self, data: bytes | memoryview) -> list[bytes | memoryview]:
        """The content in some bytes of the coding. Raises AwsError."""
        pieces: list[bytes | memoryview] = []
        view = memoryview(data)
        while view:
            if self._state == "content":
                piece = view[: self._left]
                view = view[len(piece) :]
                self._left -= len(piece)
                self.decoded += len(piece)
                if self._digest is not None:
                    self._digest.update(piece)
                pieces.append(piece)
                if self._left == 0:
                    self._state = "content-end"
            elif self._state == "done":
                raise InvalidChunk()
            else:
                view = self._take_line(view)
        return pieces

    def finish(self) -> dict[str, str]:
        """The trailers, lower case. Raises AwsError if anything is missing."""
        if self._state == "trailer" and not self._line and not self._has_trailer:
            self._state = "done"
        if self._state != "done":
            raise IncompleteBody()
        if self._length is not None and self._length != self.decoded:
            raise IncompleteBody(
                "You did not provide the number of bytes specified by the "
                "x-amz-decoded-content-length HTTP header"
            )
        return self._trailers()

    def _take_line(self, view: memoryview) -> memoryview:
        chunk = bytes(view[: LINE_BYTES_MAX + 2])
        end = chunk.find(b"\n")
        if end < 0:
            self._line += chunk
            if len(self._line) > LINE_BYTES_MAX:
                raise InvalidChunk()
            return view[len(chunk) :]
        line = self._line + chunk[: end + 1]
        self._line = b""
        if not line.endswith(b"\r\n") and self._state != "trailer":
            raise InvalidChunk()
        self._on_line(line.rstrip(b"\r\n"))
        return view[end + 1 :]

    def _on_line(self, line: bytes) -> None:
        if self._state == "content-end":
            if line:
                raise InvalidChunk()
            self._check_chunk()
            self._state = "header"
        elif self._state == "header":
            self._on_header(line)
        else:
            self._on_trailer(line)

    def _on_header(self, line: bytes) -> None:
        found = _HEADER.match(line)
        if found is None or (self._signed and found[2] is None):
            raise InvalidChunk()
        self._left = int(found[1], 16)
        if self._length is not None and self.decoded + self._left > self._length:
            raise IncompleteBody(
                "You did not provide the number of bytes specified by the "
                "x-amz-decoded-content-length HTTP header"
            )
        if self._signed:
            self._signature = found[2].rstrip(b"*").lower()
            self._digest = hashlib.sha256()
        if self._left:
            self._state = "content"
            return
        self._check_chunk()
        self._state = "trailer"

    def _on_trailer(self, line: bytes) -> None:
        if not line:
            if self._trailer_lines and self._signed and self._has_trailer:
                last = self._trailer_lines[-1]
                if not last.startswith(b"x-amz-trailer-signature:"):
                    # The signature comes behind the blank line in some clients' form.
                    return
            self._state = "done"
            return
        self._trailer_bytes += len(line)
        if not self._has_trailer or self._trailer_bytes > TRAILERS_BYTES_MAX or b":" not in line:
            raise MalformedTrailer()
        self._trailer_lines.append(line)

    def _check_chunk(self) -> None:
        if not self._signed:
            return
        assert self._key is not None
        algorithm = "AWS4-ECDSA-P256-SHA256" if self._asymmetric else "AWS4-HMAC-SHA256"
        text = (
            f"{algorithm}-PAYLOAD\n{self._key.when}\n{self._key.scope}\n{self._previous}\n"
            f"{EMPTY_SHA256}\n{self._digest.hexdigest()}"
        )
        self._previous = self._verified(text, self._signature.decode())

    def _verified(self, text: str, given: str) -> str:
        assert self._key is not None
        if self._asymmetric:
            from doppio.wire import sigv4a

            if not sigv4a.verify_with(self._key.public, text.encode(), given):
                raise SignatureDoesNotMatch()
            return given
        expected = hmac.digest(self._key.key, text.encode(), "sha256").hex()
        if not hmac.compare_digest(expected, given):
            raise SignatureDoesNotMatch()
        return expected

    def _trailers(self) -> dict[str, str]:
        pairs = {}
        for line in self._trailer_lines:
            name, _, value = line.decode("latin-1").partition(":")
            pairs[name.strip().lower()] = value.strip()
        given = pairs.pop("x-amz-trailer-signature", None)
        if self._signed and self._has_trailer:
            if given is None:
                raise MalformedTrailer()
            assert self._key is not None
            content = "".join(f"{name}:{pairs[name]}\n" for name in sorted(pairs))
            algorithm = "AWS4-ECDSA-P256-SHA256" if self._asymmetric else "AWS4-HMAC-SHA256"
            text = (
                f"{algorithm}-TRAILER\n{self._key.when}\n{self._key.scope}\n{self._previous}\n"
                f"{hashlib.sha256(content.encode()).hexdigest()}"
            )
            self._verified(text, given.rstrip("*").lower())
        if not self._announced <= set(pairs):
            raise MalformedTrailer()
        return pairs
