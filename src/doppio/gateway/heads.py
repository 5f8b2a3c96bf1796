"""What a connection makes of a request's head."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import parse_qsl

import httptools

from doppio.wire.http import Request

NAMES_MAX = 1_000
NAME_BYTES_MAX = 100
_ONCE = ("content-length", "transfer-encoding", "host")
LARGE_HEAD = (
    "RequestHeaderSectionTooLarge",
    "Your request header section exceeds the maximum allowed size.",
)


def ends_of(transport: asyncio.Transport) -> tuple[str, str, str]:
    """The address of who has connected, the version of TLS and its cipher, both empty without."""
    peer, tls = transport.get_extra_info("peername"), transport.get_extra_info("ssl_object")
    address = peer[0] if isinstance(peer, tuple) else "127.0.0.1"
    if tls is None:
        return address, "", ""
    cipher = tls.cipher()
    return address, tls.version() or "TLS", "" if cipher is None else cipher[0]


# Of the signature itself, and of the body that was not there when it was made.
_OF_SIGNING = (
    "x-amz-algorithm", "x-amz-content-sha256", "x-amz-credential", "x-amz-date", "x-amz-expires",
    "x-amz-security-token", "x-amz-signature", "x-amz-signedheaders", "x-amz-checksum-crc",
    "x-amz-checksum-sha", "x-amz-checksum-md5", "x-amz-checksum-xxhash", "x-amz-sdk-",
)  # fmt: skip


def with_hoisted(request: Request) -> Mapping[str, str]:
    """The headers of a presigned request, with those that stand in its query.

    SDKs put `x-amz-` headers there, so that who uses the link need not send them: AWS takes them for
    headers. One that is sent, too, counts as it was sent. A checksum there is one of no bytes at all: it
    was computed when the link was made, and the body comes later.
    """
    hoisted: dict[str, str] = {}
    for name, value in parse_qsl(request.query, keep_blank_values=True):
        small = name.lower()
        if small.startswith("x-amz-") and not small.startswith(_OF_SIGNING):
            hoisted[small] = value
    return {**hoisted, **request.headers} if hoisted else request.headers


def nothing() -> None:
    """The client does not wait for leave to send its body."""


class Refused(Exception):
    """A request that breaks a rule of ours, raised inside a parser's callback."""

    def __init__(self, status: int, code: str, text: str) -> None:
        self.status, self.code, self.text = status, code, text
        super().__init__(text)


def broken(error: BaseException) -> Refused:
    """What is wrong with bytes: a rule of ours that a callback has seen broken, or HTTP's own."""
    if isinstance(error, httptools.HttpParserCallbackError):
        error = error.__context__ or error
    if isinstance(error, Refused):
        return error
    return Refused(400, "BadRequest", "An error occurred when parsing the HTTP request.")


def content_length(headers: dict[str, str]) -> int | None:
    """The announced length of a body. Raises Refused for what is no length."""
    text = headers.get("content-length")
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise Refused(400, "BadRequest", "The Content-Length header is not a number of bytes.")
    return int(text)


def origin_form(target: str) -> str:
    """`http://host/path` as proxies send it, as `/path`; `*` stays what it is."""
    if "://" in target:
        rest = target.partition("://")[2]
        return "/" + rest.partition("/")[2]
    return target if target == "*" else "/" + target


class _Names(dict[bytes, str]):
    """Names in lower case by how clients write them: the same ones again and again. Not all are
    kept that somebody may think of, and none that is too long."""

    def __missing__(self, name: bytes) -> str:
        key = name.decode("latin-1").lower()
        if len(self) < NAMES_MAX and len(name) <= NAME_BYTES_MAX:
            self[name] = key
        return key


_names = _Names()


def headers_of(lines: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by their names in lower case; repeated ones joined by a comma.

    Raises Refused if one comes twice that says where a request ends, or for whom it is.
    """
    try:
        headers = {_names[name]: value.decode() for name, value in lines}
    except UnicodeDecodeError:
        headers = {}
    if len(headers) == len(lines):
        return headers
    # Some name comes twice, or a value is no UTF-8.
    headers = {}
    for name, said in lines:
        key, value = _names[name], _text(said)
        if key in headers:
            if key in _ONCE:
                raise Refused(400, "BadRequest", f"The header {key} came more than once.")
            headers[key] = f"{headers[key]},{value}"
        else:
            headers[key] = value
    return headers


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:  # Then it is Latin-1, as HTTP has it: text can be written again.
        return value.decode("latin-1")


def head_bytes(headers: dict[str, str]) -> int:
    """How large a head is."""
    return sum(map(len, headers.values())) + sum(map(len, headers))
