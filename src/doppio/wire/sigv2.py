"""Signature Version 2 of S3: old, and still what many tools make presigned URLs with."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import unquote

from msgspec.structs import replace

from doppio.wire.errors import AwsError
from doppio.wire.http import Request

SKEW = timedelta(minutes=15)
# When a link ends in cloud time, by its end in host time and when it was signed at the latest.
EndOf = Callable[[float, float | None], float]


def as_written(end: float, since: float | None) -> float:
    """Where cloud time is host time."""
    return end


EXPIRES_CHARS_MAX = 20
# The query parameters that count as part of the resource ("Authenticating requests, version 2").
_SUBRESOURCES = frozenset({
    "acl", "accelerate", "analytics", "cors", "delete", "encryption", "inventory", "lifecycle",
    "location", "logging", "metrics", "notification", "object-lock", "legal-hold", "retention",
    "partNumber", "policy", "policyStatus", "publicAccessBlock", "ownershipControls",
    "replication", "requestPayment", "restore", "select", "select-type", "tagging", "torrent",
    "uploadId", "uploads", "versionId", "versioning", "versions", "website",
    "response-content-type", "response-content-language", "response-expires",
    "response-cache-control", "response-content-disposition", "response-content-encoding",
})  # fmt: skip


class SignatureDoesNotMatchV2(AwsError):
    """The signature was made with another secret, or over another request."""

    code = "SignatureDoesNotMatch"
    status = 403
    text = (
        "The request signature we calculated does not match the signature you provided. "
        "Check your key and signing method."
    )


class BadRequestV2(AwsError):
    """An authorisation that is not one."""

    code = "InvalidArgument"
    status = 400


class ExpiredV2(AwsError):
    """A presigned request whose time is over."""

    code = "AccessDenied"
    status = 403
    text = "Request has expired"


class SignatureV2:
    """What a request says of its signature."""

    posted = False

    __slots__ = (
        "access_key", "algorithm", "content_sha256", "expires_at", "presigned", "region", "service", "session_token", "signature",
        "timestamp",
    )  # fmt: skip

    def __init__(self, access_key: str, signature: str) -> None:
        self.access_key = access_key
        self.signature = signature
        self.service = "s3"
        self.algorithm = "AWS"
        self.region = ""
        self.presigned = False
        self.content_sha256 = "UNSIGNED-PAYLOAD"
        self.session_token: str | None = None
        self.expires_at: int | None = None
        self.timestamp: datetime | None = None


def parse_header(request: Request, authorization: str) -> SignatureV2:
    """The signature of `Authorization: AWS key:signature`."""
    access_key, _, signature = authorization[4:].strip().partition(":")
    if not access_key or not signature:
        raise BadRequestV2("AWS authorization header is invalid. Expected AwsAccessKeyId:signature")
    found = SignatureV2(access_key, signature)
    found.session_token = request.headers.get("x-amz-security-token")
    text = request.headers.get("x-amz-date") or request.headers.get("date", "")
    try:
        found.timestamp = parsedate_to_datetime(text).astimezone(UTC)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadRequestV2(
            "AWS authentication requires a valid Date or x-amz-date header"
        ) from error
    return found


def parse_query(pairs: Mapping[str, str]) -> SignatureV2:
    """The signature of a presigned URL."""
    found = SignatureV2(pairs["AWSAccessKeyId"], pairs.get("Signature", ""))
    found.session_token = pairs.get("x-amz-security-token")
    expires = pairs.get("Expires", "")
    if not (expires.isascii() and expires.isdigit() and len(expires) <= EXPIRES_CHARS_MAX):
        raise ExpiredV2(
            "Query-string authentication requires the Signature, Expires and AWSAccessKeyId "
            "parameters"
        )
    found.expires_at = int(expires)
    found.presigned = True
    return found


def verify(
    signature: SignatureV2,
    secret: str,
    request: Request,
    now: datetime,
    cloud_now: datetime | None,
    end_of: EndOf = as_written,
) -> None:
    """Check a signature. Raises AwsError."""
    if signature.expires_at is not None:
        # It does not say when it was signed.
        reference = cloud_now or now
        ends_at = end_of(float(signature.expires_at), None)
        if reference.timestamp() > ends_at:
            expired = datetime.fromtimestamp(ends_at, UTC)
            raise ExpiredV2(
                Expires=expired.strftime("%Y-%m-%dT%H:%M:%SZ"),
                ServerTime=reference.strftime("%Y-%m-%dT%H:%M:%SZ"),
            )
    elif signature.timestamp is not None and abs(now - signature.timestamp) > SKEW:
        raise ExpiredV2(
            "The difference between the request time and the current time is too large."
        )
    text = string_to_sign(signature, request)
    texts = [text]
    if request.path.count("/") == 1 and request.path != "/":
        # Some clients sign a bucket alone as a folder, however they write it on the wire.
        folder = replace(request, path=f"{request.path}/")
        texts.append(string_to_sign(signature, folder))
    for one in texts:
        digest = hmac.digest(secret.encode(), one.encode(), "sha1")
        if hmac.compare_digest(base64.b64encode(digest), signature.signature.encode()):
            return
    raise SignatureDoesNotMatchV2(
        AWSAccessKeyId=signature.access_key,
        StringToSign=text,
        SignatureProvided=signature.signature,
    )


def string_to_sign(signature: SignatureV2, request: Request) -> str:
    """The text over which the signature was made."""
    headers = request.headers
    amz = sorted(
        f"{name}:{' '.join(value.split())}\n"
        for name, value in headers.items()
        if name.startswith("x-amz-")
    )
    if signature.expires_at is not None:
        date = str(signature.expires_at)
        if signature.session_token and "x-amz-security-token" not in headers:
            amz = sorted([*amz, f"x-amz-security-token:{signature.session_token}\n"])
    else:
        date = "" if "x-amz-date" in headers else headers.get("date", "")
    return (
        f"{request.method}\n{headers.get('content-md5', '')}\n{headers.get('content-type', '')}\n"
        f"{date}\n{''.join(amz)}{_resource(request)}"
    )


def _resource(request: Request) -> str:
    path = request.path
    host = request.headers.get("host", "").partition(":")[0]
    bucket = _bucket_of(host)
    if bucket:
        path = f"/{bucket}{path}"
    parts: list[str] = []
    for part in request.query.split("&"):
        name, equals, value = part.partition("=")
        if name in _SUBRESOURCES:
            parts.append(f"{name}={unquote(value)}" if equals else name)
    return path + ("?" + "&".join(sorted(parts)) if parts else "")


def _bucket_of(host: str) -> str:
    for mark in (".s3.", ".s3-"):
        if mark in host:
            return host.partition(mark)[0]
    if host.endswith(".localhost") and host != "s3.localhost":
        return host.removesuffix(".localhost")
    return ""
