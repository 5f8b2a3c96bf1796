"""Response heads, as bytes."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus

from doppio.wire.http import FileRange, Response

_STATUS = {status.value: f"HTTP/1.1 {status.value} {status.phrase}" for status in HTTPStatus}
_NO_LENGTH = frozenset({204, 304})
_NO_BODY = _NO_LENGTH | frozenset(range(100, 200))
_line = ": ".join


class Heads:
    """Writes heads; the Date line is made once a second."""

    def __init__(self, server: str, host_seconds: Callable[[], float]) -> None:
        self._server = server
        self._seconds = host_seconds
        self._second = -1
        # How every head ends: of a connection that stays, and of one that does not.
        self._end = self._last_end = ""

    def head(self, response: Response, *, keep_alive: bool, chunked: bool) -> bytes:
        """Status line and headers. Raises ValueError for a header that would break the head."""
        second = int(self._seconds())
        if second != self._second:
            self._second = second
            fixed = f"\r\ndate: {formatdate(second, usegmt=True)}\r\nserver: {self._server}\r\n"
            self._end, self._last_end = f"{fixed}\r\n", f"{fixed}connection: close\r\n\r\n"
        status, headers = response.status, response.headers
        first = _STATUS.get(status) or f"HTTP/1.1 {status} Unknown"
        lines = "\r\n".join((first, *map(_line, headers)))
        breaks = len(headers)
        if lines.count("\n") != breaks or lines.count("\r") != breaks:
            raise ValueError("a header with a line break")
        if chunked:
            length = "\r\ntransfer-encoding: chunked"
        elif status in _NO_LENGTH or "\ncontent-length: " in lines.lower():
            length = ""
        else:
            body = response.body
            size = len(body) if body.__class__ is bytes else body_length(response)
            length = f"\r\ncontent-length: {size}"
        return f"{lines}{length}{self._end if keep_alive else self._last_end}".encode("latin-1")


def body_length(response: Response) -> int:
    """The length of a body that has one."""
    body = response.body
    if isinstance(body, (bytes, FileRange)):
        return body.length if isinstance(body, FileRange) else len(body)
    return 0


def has_no_body(status: int, method: str) -> bool:
    """Whether a response to `method` with this status never has a body."""
    return status in _NO_BODY or method == "HEAD"
