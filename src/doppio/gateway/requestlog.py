"""The structured log: one JSON line a request, written in batches, in two files of bounded size."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from doppio.wire.http import Request

BATCH_SECONDS = 0.5
LINES_HELD_MAX = 5_000
FILE_BYTES_MAX = 64 * 1024 * 1024


class Line(msgspec.Struct, omit_defaults=True):
    """One request."""

    id: str
    at: float
    method: str
    path: str
    peer: str
    service: str = ""
    operation: str = ""
    caller: str = ""
    status: int = 0
    error: str = ""
    micros: int = 0


_encode_lines = msgspec.json.Encoder().encode_lines


class RequestLog:
    """Appends lines to `requests.jsonl`; the file before it is kept as `requests.1.jsonl`."""

    def __init__(self, folder: Path | None, host_seconds: Callable[[], float]) -> None:
        self._path = None if folder is None else folder / "requests.jsonl"
        self._seconds = host_seconds
        self._held: list[Line] = []
        self._timer: asyncio.TimerHandle | None = None
        self.count = 0
        self.errors = 0

    def line(self, request: Request, request_id: str) -> Line:
        """Begin a line."""
        return Line(request_id, self._seconds(), request.method, request.path, request.peer)

    def write(self, line: Line, status: int) -> None:
        """End a line; it is on disk within a second."""
        self.count += 1
        if status >= 400:
            self.errors += 1
        if self._path is None:
            return
        line.status = status
        line.micros = int((self._seconds() - line.at) * 1e6)
        self._held.append(line)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(BATCH_SECONDS, self.flush)
        elif len(self._held) >= LINES_HELD_MAX:
            self.flush()

    def flush(self) -> None:
        """Write what is held."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._held or self._path is None:
            return
        text, self._held = _encode_lines(self._held), []
        try:
            with open(self._path, "ab", opener=_private) as file:
                file.write(text)
                size = file.tell()
            if size > FILE_BYTES_MAX:
                self._path.replace(self._path.with_name("requests.1.jsonl"))
        except OSError:
            # A full disk must not fail requests that only read; the store says so for the others.
            return


def _private(path: str, flags: int) -> int:
    """Only the owner reads who called what."""
    return os.open(path, flags, 0o600)
