"""The drivers that one cloud has."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from doppio.machine.http_client import HttpClient


class Machine:
    """All drivers; each is made when it is first used."""

    @cached_property
    def http(self) -> HttpClient:
        """Requests to servers outside."""
        # Imported when it is needed: it costs a start 25 ms.
        from doppio.machine.http_client import HttpClient

        return HttpClient()

    def close(self) -> None:
        """Let go of what was used."""
        if "http" in self.__dict__:
            self.http.close()
