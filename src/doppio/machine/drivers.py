"""The drivers that one cloud has."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from doppio.machine.http_client import HttpClient
    from doppio.machine.smtp_client import SmtpClient


class Machine:
    """All drivers; each is made when it is first used. `smtp_server` takes mails, if there is one."""

    def __init__(self, smtp_server: tuple[str, int] | None = None) -> None:
        self._smtp_server = smtp_server

    @cached_property
    def http(self) -> HttpClient:
        """Requests to servers outside."""
        # Imported when it is needed: it costs a start 25 ms.
        from doppio.machine.http_client import HttpClient

        return HttpClient()

    @cached_property
    def smtp(self) -> SmtpClient | None:
        """Mails to a mail server outside; None where none was named."""
        if self._smtp_server is None:
            return None
        from doppio.machine.smtp_client import SmtpClient

        return SmtpClient(*self._smtp_server)

    def close(self) -> None:
        """Let go of what was used."""
        if "http" in self.__dict__:
            self.http.close()
        if self.__dict__.get("smtp") is not None:
            self.__dict__["smtp"].close()
