"""Response heads, as bytes."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus

from doppio.wire.http import FileRange, Response

_STATUS = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}
_NO_BODY = frozenset({204, 304})
_LENGTH = "content-length: "
_line = ": ".join


class Heads:
    """Writes heads; the Date line is made once a second."""

    def __init__(self, server: str, host_seconds: Callable[[], float]) -> None:
        self._server = f"server: {server}\r\n"
        self._seconds = host_seconds
        self._second = -1
        self._fixed = ""

    def head(self, response: Response, *, keep_alive: bool, chunked: bool) -> bytes:
        """Status line and headers, whose names are in lower case. Raises ValueError for a header
        that would break the head."""
        second = int(self._seconds())
        if second != self._second:
            self._second = second
            self._fixed = f"date: {formatdate(second, usegmt=True)}\r\n{self._server}"
        headers = response.headers
        lines = "\r\n".join(map(_line, headers))
        breaks = len(headers) - 1 if headers else 0
        if lines.count("\n") != breaks or lines.count("\r") != breaks:
            raise ValueError("a header with a line break")
        status = response.status
        first = _STATUS.get(status) or f"HTTP/1.1 {status} Unknown\r\n"
        if headers:
            lines += "\r\n"
        if chunked:
            length = "transfer-encoding: chunked\r\n"
        elif status in _NO_BODY or "\ncontent-length: " in lines or lines.startswith(_LENGTH):
            length = ""
        else:
            body = response.body
            size = len(body) if body.__class__ is bytes else body_length(response)
            length = f"content-length: {size}\r\n"
        close = "" if keep_alive else "connection: close\r\n"
        return f"{first}{lines}{length}{self._fixed}{close}\r\n".encode("latin-1")


def body_length(response: Response) -> int:
    """The length of a body that has one."""
    body = response.body
    if isinstance(body, (bytes, FileRange)):
        return body.length if isinstance(body, FileRange) else len(body)
    return 0


def has_no_body(status: int, method: str) -> bool:
    """Whether a response to `method` with this status never has a body."""
    return method == "HEAD" or status in _NO_BODY or 100 <= status < 200
