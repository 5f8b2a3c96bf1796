"""Digests that a client sends beside a body in memory: what arrived must be what was sent.

Bodies that are streamed are checked while they are read, by the operation that reads them.
"""

from __future__ import annotations

import base64
import binascii

from doppio.wire import checksums
from doppio.wire.errors import AwsError
from doppio.wire.http import Request

ALGORITHMS = (
    "CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256", "SHA512", "MD5", "XXHASH64", "XXHASH3",
    "XXHASH128",
)  # fmt: skip
_HEADERS = {f"x-amz-checksum-{name.lower()}": name for name in ALGORITHMS}


class InvalidDigest(AwsError):
    """A Content-MD5 that is no MD5."""

    code = "InvalidDigest"
    text = "The Content-MD5 you specified was invalid."


class BadDigest(AwsError):
    """A digest of another body."""

    code = "BadDigest"
    text = "The Content-MD5 you specified did not match what we received."


def check(request: Request) -> None:
    """Raise InvalidDigest or BadDigest unless each digest in the headers is the body's."""
    body = request.body.whole
    if body is None:
        return
    headers = request.headers
    said = headers.get("content-md5")
    if said is not None:
        try:
            length = len(base64.b64decode(said, validate=True))
        except (binascii.Error, ValueError):
            length = 0
        if length != 16:
            raise InvalidDigest(**{"Content-MD5": said})  # type: ignore[arg-type]
        computed = checksums.whole("MD5", body)
        if computed != said:
            raise BadDigest(ExpectedDigest=said, CalculatedDigest=computed)
    for header in _HEADERS.keys() & headers.keys():
        name = _HEADERS[header]
        if checksums.whole(name, body) != headers[header]:
            raise BadDigest(f"The {name} you specified did not match the calculated checksum.")
