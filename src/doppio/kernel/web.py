"""What browsers ask of a service without speaking its protocol: pages of websites, and forms.

The gateway finds out which service is meant, reads what was sent, and writes what is to be shown;
what that is, the service decides. S3 has both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from doppio.kernel.context import Context


class Visit(NamedTuple):
    """A request to a website.

    `site` is its name, `region` is empty where the host named none, `origin` is scheme and host as
    the browser knows them. `path` and `query` are as sent. `asked` are the members of a read that
    came as headers: range and conditions.
    """

    site: str
    region: str
    method: str
    origin: str
    path: str
    query: str
    asked: Mapping[str, Any]


class Shown(NamedTuple):
    """What a browser gets: bytes, or the result of an operation in the form of its protocol.

    The headers come beside those of the result, and take their place.
    """

    status: int
    headers: list[tuple[str, str]]
    body: bytes = b""
    operation: str = ""
    result: Mapping[str, Any] | None = None


class Web(Protocol):
    """A service's answers to browsers, and to hosts that not every resource may be reached by."""

    async def visit(self, ctx: Context, visit: Visit) -> Shown:
        """A page of a website; errors are pages, too."""
        ...

    async def reached(self, ctx: Context, labels: Mapping[str, str], operation: str) -> None:
        """A call came by an accelerated host: raise AwsError where that may not be."""
        ...
