"""What the tests of all services may ask for."""

from __future__ import annotations

import socket
from typing import Any

import pytest


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names below localhost lead here, as they do where a resolver knows them; AWS's do, too."""
    real = socket.getaddrinfo

    def resolved(host: Any, *args: Any, **more: Any) -> Any:
        local = isinstance(host, str) and host.endswith((".localhost", ".amazonaws.com"))
        return real("127.0.0.1" if local else host, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
