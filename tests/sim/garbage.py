"""Requests that were valid until chance got at them: bytes, values, headers, paths."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from doppio.wire.http import ByteStream, Request, Whole

REGION = "us-east-1"
ACCOUNT = "000000000000"
JUNK: tuple[Any, ...] = (
    None, True, 0, -1, 1, 2**31, 2**63, 2**70, 1.5, 1e308, "", " ", "x" * 3_000, "\0", "é\u2028\ud83d",
    "../..", "%s%n", "2030-01-01T00:00:00Z", "NaN", [], {}, [[]], [None], {"": None},
    {"S": 1}, {"N": "nan"}, {"N": "1e999"}, {"B": "!"}, {"L": [{}]}, {"M": {"": {"NULL": False}}},
    {"SS": []}, {"S": "a", "N": "1"}, "arn:aws:", "arn:aws:iam::1:user/", "a" * 70, ["a"] * 200,
    '{"Version":"2012-10-17","Statement":[{"Effect":"Maybe"}]}', '{"Statement":"*"}', "{", "#a.b[0]",
    "attribute_exists(", "SET a = a + :v REMOVE", ":x", "size(a) BETWEEN 1",
)  # fmt: skip
HEADERS = (
    "content-type", "content-md5", "content-encoding", "content-length", "range", "if-match",
    "if-none-match", "if-modified-since", "if-unmodified-since", "x-amz-acl", "x-amz-copy-source",
    "x-amz-copy-source-range", "x-amz-decoded-content-length", "x-amz-content-sha256",
    "x-amz-checksum-crc32", "x-amz-checksum-sha256", "x-amz-checksum-algorithm",
    "x-amz-sdk-checksum-algorithm", "x-amz-trailer", "x-amz-storage-class", "x-amz-tagging",
    "x-amz-target", "x-amz-meta-a", "x-amz-mfa", "x-amz-expected-bucket-owner", "x-amz-date",
    "x-amz-security-token", "x-amz-website-redirect-location", "x-amz-object-lock-mode",
    "x-amz-object-lock-retain-until-date", "x-amz-server-side-encryption", "smithy-protocol",
    "x-amz-write-offset-bytes", "transfer-encoding", "host", "authorization", "expect", "date",
    "x-amz-object-attributes", "x-amz-part-number-marker", "x-amz-max-parts", "accept-encoding",
)  # fmt: skip
VALUES = (
    "", " ", "0", "-1", "bytes=0-", "bytes=9-1", "bytes=-0", "bytes=a-b", "bytes=0-1,2-3", "é", "*",
    "x" * 2_000, "aws-chunked", "gzip", "identity", "application/json", "application/xml",
    "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain;;;=",
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "UNSIGNED-PAYLOAD",
    "shop/a?versionId=", "/shop/%", "CRC32", "crc64nvme", "AAAA", "=", "99999999999999999999",
    "Thu, 01 Jan 1970 00:00:00 GMT", "yesterday", "DynamoDB_20120810.", "AmazonSQS.SendMessage",
    "rpc-v2-cbor", "100-continue", "chunked", "shop.s3.amazonaws.com", "nowhere", "[::1", "a=b&c",
)  # fmt: skip
PARAMETERS = (
    "versionId", "partNumber", "uploadId", "uploads", "max-keys", "list-type", "prefix", "delimiter",
    "continuation-token", "start-after", "encoding-type", "versions", "key-marker", "tagging", "acl",
    "version-id-marker", "policy", "cors", "versioning", "location", "delete", "attributes",
    "lifecycle", "response-content-type", "response-expires", "x-id", "part-number-marker", "restore",
    "max-parts", "Action", "Version", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Expires",
    "X-Amz-Signature", "X-Amz-Date", "select", "legal-hold", "notification", "object-lock", "torrent",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A request before it is signed."""

    service: str
    method: str
    path: str = "/"
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class Pieces:
    """A body that arrives in pieces."""

    def __init__(self, content: bytes) -> None:
        self.length: int | None = len(content)
        self.whole: bytes | None = None
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._content), 1_000):
            yield self._content[start : start + 1_000]


def spoiled(case: Case, chance: random.Random) -> Case:
    """The case after one to three mishaps."""
    for _ in range(chance.choice((1, 1, 2, 3))):
        case = chance.choice((_body, _body, _value, _value, _value, _header, _query, _path))(
            case, chance
        )
    return case


def _body(case: Case, chance: random.Random) -> Case:
    body = bytearray(case.body)
    start = chance.randint(0, len(body))
    end = min(len(body), start + chance.choice((0, 1, 2, 10, 1_000)))
    junk = chance.choice(
        (b"", b"", b"\0", b'"', b"<", b"&", b"{", b"]", b"\xff\xfe", b"%", b"9" * 400)
    )
    if chance.random() < 0.2:
        body[start:end] = chance.randbytes(end - start)
    else:
        body[start:end] = bytes(body[start:end]) * 2 if chance.random() < 0.2 else junk
    return replace(case, body=bytes(body))


def _value(case: Case, chance: random.Random) -> Case:
    if case.body[:1] == b"{":
        try:
            document = json.loads(case.body)
        except ValueError:
            return _body(case, chance)
        document = _changed(document, chance)
        return replace(case, body=json.dumps(document).encode("utf-8", "surrogatepass"))
    junk = chance.choice([one for one in JUNK if isinstance(one, str)]).encode("utf-8", "replace")
    marks = b"<>" if case.body[:1] == b"<" else b"=&"
    parts = [n for n, byte in enumerate(case.body) if byte in marks]
    if len(parts) < 2:
        return _header(case, chance)
    start = chance.choice(parts[:-1]) + 1
    end = next(n for n in parts if n >= start)
    return replace(case, body=case.body[:start] + junk + case.body[end:])


def _changed(value: Any, chance: random.Random) -> Any:
    """A JSON value with another one somewhere in it, or with something less."""
    if isinstance(value, dict) and value and chance.random() < 0.85:
        key = chance.choice(list(value))
        if chance.random() < 0.15:
            return {name: one for name, one in value.items() if name != key}
        if chance.random() < 0.05:
            return {**value, chance.choice(["", "x", "é" * 300]): chance.choice(JUNK)}
        return {**value, key: _changed(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.85:
        place = chance.randrange(len(value))
        return [*value[:place], _changed(value[place], chance), *value[place + 1 :]]
    return chance.choice(JUNK)


def _header(case: Case, chance: random.Random) -> Case:
    headers = dict(case.headers)
    if headers and chance.random() < 0.3:
        del headers[chance.choice(list(headers))]
    else:
        headers[chance.choice(HEADERS)] = chance.choice(VALUES)
    return replace(case, headers=headers)


def _query(case: Case, chance: random.Random) -> Case:
    if case.query and chance.random() < 0.3:
        kept = case.query.split("&")
        kept.pop(chance.randrange(len(kept)))
        return replace(case, query="&".join(kept))
    value = chance.choice((*VALUES, "%FF", "%", "a%2", "%00", "+", "a=b"))
    if chance.random() < 0.7:
        value = quote(value, safe="")
    return replace(case, query=f"{case.query}&{chance.choice(PARAMETERS)}={value}".lstrip("&"))


def _path(case: Case, chance: random.Random) -> Case:
    start = chance.randint(1, len(case.path))
    junk = chance.choice(
        ("%", "%FF", "%00", "/", "//", "/../", "%2F", "é", "a" * 1_100, "?", " ", ".")
    )
    path = case.path[:start] + junk + case.path[start + chance.randint(0, 3) :]
    method = chance.choice(
        ("GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS", "PATCH", case.method)
    )
    return replace(case, path=path, method=method)


def signed(case: Case, now: float, chance: random.Random) -> Request:
    """The case as a client would send it whose secret is right, however wrong the rest is."""
    at = datetime.fromtimestamp(now, UTC)
    day, stamp = at.strftime("%Y%m%d"), at.strftime("%Y%m%dT%H%M%SZ")
    headers = {"host": "localhost:4566", "x-amz-date": stamp}
    if case.service == "s3":
        headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD"
    headers |= case.headers
    hashed = headers.get("x-amz-content-sha256", hashlib.sha256(case.body).hexdigest())
    names = sorted(name for name in headers if name != "authorization")
    pairs = sorted(
        (name, value)
        for name, _, value in (one.partition("=") for one in case.query.split("&"))
        if name
    )
    canonical = "\n".join(
        [
            case.method,
            case.path if case.service == "s3" else quote(case.path),
            "&".join(f"{name}={value}" for name, value in pairs),
            *(f"{name}:{' '.join(headers[name].split())}" for name in names),
            "",
            ";".join(names),
            hashed,
        ]
    )
    scope = f"{day}/{REGION}/{case.service}/aws4_request"
    key = b"AWS4test"
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    digest = hashlib.sha256(canonical.encode("utf-8", "replace")).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
    signature = hmac.new(key, text.encode(), "sha256").hexdigest()
    headers.setdefault(
        "authorization",
        f"AWS4-HMAC-SHA256 Credential=test/{scope}, SignedHeaders={';'.join(names)}, "
        f"Signature={signature}",
    )
    body: ByteStream = Whole(case.body)
    if chance.random() < 0.2:
        body = Pieces(case.body)
    return Request(case.method, case.path, case.query, headers, body)
