"""Clouds as processes of their own, which a test may kill."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

READY_SECONDS_MAX = 30.0


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class Server:
    """One `doppio start`, on the same port each time. Its output is kept beside the data.

    `before` is a command that runs the rest of its words, as `nice` does.
    """

    def __init__(
        self,
        data: Path,
        *options: str,
        name: str = "server",
        before: tuple[str, ...] = (),
        log: Path | None = None,
    ) -> None:
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.log = log or data.parent / f"{name}.log"
        self._before = before
        self._words = [
            sys.executable, "-m", "doppio", "start", "--data", str(data), "--host", "127.0.0.1",
            "--port", str(self.port), *options,
        ]  # fmt: skip
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start, and wait until it answers; how long that took, in seconds."""
        begun = time.monotonic()
        with self.log.open("ab") as log:
            # Stopped by `kill` or `stop`, which `__exit__` calls in any case.
            self.process = subprocess.Popen(
                [*self._before, *self._words], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        while not self._answers():
            assert self.process.poll() is None, f"it did not start: {self.said()}"
            assert time.monotonic() - begun < READY_SECONDS_MAX, f"no answer: {self.said()}"
            time.sleep(0.01)
        return time.monotonic() - begun

    @property
    def pid(self) -> int:
        """The process that serves."""
        assert self.process is not None
        return self.process.pid

    def kill(self) -> None:
        """SIGKILL: it can do nothing more."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """Ask it to stop; it does so, and has never printed a stack."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(15) == 0, self.said()
        assert "Traceback" not in self.log.read_text(errors="replace"), self.said()

    def said(self) -> str:
        """The end of what it printed."""
        return self.log.read_text(errors="replace")[-4_000:]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.endpoint}/_doppio/health", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False
