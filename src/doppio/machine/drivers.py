"""The drivers that one cloud has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl

    from doppio.machine.environments import Environments
    from doppio.machine.http_client import HttpClient
    from doppio.machine.smtp_client import SmtpClient
    from doppio.machine.tcp_server import TcpServer


def _no_tls() -> ssl.SSLContext:
    raise AssertionError("this cloud has no certificate")


class Machine:
    """All drivers; each is made when it is first used. `smtp_server` takes mails, if there is one.

    Services that listen do so at `hosts`, with the certificate that `tls` brings. `outside` are
    hosts outside that are really somewhere else, by their names. `folder` is for what drivers and
    services keep on this machine and can make again: it may be removed while the cloud is off.
    """

    def __init__(
        self,
        smtp_server: tuple[str, int] | None = None,
        *,
        hosts: Sequence[str] = ("127.0.0.1",),
        tls: Callable[[], ssl.SSLContext] = _no_tls,
        outside: Mapping[str, str] | None = None,
        folder: Path = Path("/nonexistent"),
    ) -> None:
        self.folder = folder
        self._outside = outside
        self._smtp_server = smtp_server
        self._hosts = hosts
        self._tls = tls

    @cached_property
    def http(self) -> HttpClient:
        """Requests to servers outside."""
        # Imported when it is needed: it costs a start 25 ms.
        from doppio.machine.http_client import HttpClient

        return HttpClient(self._outside)

    @cached_property
    def smtp(self) -> SmtpClient | None:
        """Mails to a mail server outside; None where none was named."""
        if self._smtp_server is None:
            return None
        from doppio.machine.smtp_client import SmtpClient

        return SmtpClient(*self._smtp_server)

    @cached_property
    def tcp(self) -> TcpServer:
        """Ports at which services listen."""
        from doppio.machine.tcp_server import TcpServer

        return TcpServer(self._hosts, self._tls)

    @cached_property
    def environments(self) -> Environments:
        """Processes that run other people's code."""
        from doppio.machine.environments import Environments

        return Environments(self.folder / "environments")

    async def quiet(self) -> None:
        """Let no service listen any more, and no code of others run."""
        if "tcp" in self.__dict__:
            await self.tcp.quiet_all("")
        if "environments" in self.__dict__:
            await self.environments.close()

    def close(self) -> None:
        """Let go of what was used."""
        if "http" in self.__dict__:
            self.http.close()
        if self.__dict__.get("smtp") is not None:
            self.__dict__["smtp"].close()
