"""Requests as botocore signs them, in our own form."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import BaseSigner
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from doppio.wire.http import Request, Whole

ACCESS_KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


def signed(
    signer: type[BaseSigner],
    method: str,
    url: str,
    *,
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    token: str | None = None,
    context: dict[str, Any] | None = None,
    **options: Any,
) -> Request:
    """A request that a signer of botocore's has signed now."""
    request = AWSRequest(method, url, headers=headers or {}, data=body)
    request.context.update(context or {})
    signer(Credentials(ACCESS_KEY, SECRET, token), **options).add_auth(request)
    return ours(request)


def ours(request: AWSRequest) -> Request:
    """botocore's request in our form, with the Host header that its client would send."""
    parts = urlsplit(request.url)
    prepared = request.prepare()
    headers = {
        name.lower(): value.decode() if isinstance(value, bytes) else str(value)
        for name, value in prepared.headers.items()
    }
    headers.setdefault("host", parts.netloc)
    body = prepared.body or b""
    content = body if isinstance(body, bytes) else str(body).encode()
    return Request(request.method, parts.path or "/", parts.query, headers, Whole(content))


def now() -> datetime:
    return datetime.now(UTC)
