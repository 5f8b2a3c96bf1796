"""What a request and a response are, once parsed and before being written: values without I/O."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec


class ByteStream(Protocol):
    """A body on its way in or out.

    `length` is the number of bytes, None where the sender did not say. `whole` is the entire
    content when it is already here (small bodies nearly always), so that hot paths need no await.
    Iterating yields bytes-like chunks and may be done once.
    """

    length: int | None
    whole: bytes | None

    def __aiter__(self) -> AsyncIterator[bytes]: ...


class Whole:
    """A body that is entirely in memory."""

    __slots__ = ("length", "whole")

    def __init__(self, content: bytes) -> None:
        self.whole: bytes | None = content
        self.length: int | None = len(content)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self.whole:
            yield self.whole


class Request(msgspec.Struct):
    """One HTTP request. Header names are lower case; repeated ones are joined by `,`.

    `path` and `query` are as sent (percent-encoded, without the `?`), since signatures are
    computed over those very bytes. `secure` is the version of TLS, empty without,
    and `cipher` what it enciphers with.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: ByteStream
    peer: str = "127.0.0.1"
    secure: str = ""
    cipher: str = ""


@dataclass(slots=True, frozen=True)
class FileRange:
    """`length` bytes of the file at `path` from `offset`, sent by the kernel where it can."""

    path: Path
    offset: int
    length: int


class Response(msgspec.Struct):
    """One HTTP response. Without a content-length header the gateway adds it or chunks the body."""

    status: int = 200
    headers: list[tuple[str, str]] = msgspec.field(default_factory=list)
    body: bytes | FileRange | AsyncIterator[bytes] = b""
