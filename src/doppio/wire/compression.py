"""Compressed request bodies: `Content-Encoding: gzip`, for the operations whose model allows it.

SDKs compress on their own what is larger than 10 KiB (CloudWatch's PutMetricData).
"""

from __future__ import annotations

import zlib

from doppio.wire.errors import SerializationError
from doppio.wire.http import Request

INFLATED_BYTES_MAX = 64 * 1024 * 1024


def inflated(request: Request) -> bytes:
    """The whole body as it was before the client compressed it."""
    body = request.body.whole or b""
    if request.headers.get("content-encoding", "").rpartition(",")[2].strip() != "gzip":
        return body
    inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        out = inflater.decompress(body, INFLATED_BYTES_MAX)
    except zlib.error as error:
        raise SerializationError("The request body is not valid gzip") from error
    if not inflater.eof:
        raise SerializationError("The request body is cut off or too large")
    return out
