"""What is asked of a service without speaking its protocol: pages of websites, forms, catalogs.

The gateway finds out which service is meant, reads what was sent, and writes what is to be shown;
what that is, the service decides. S3 has the first two, S3 Tables the last; Lambda has hosts of functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from doppio.kernel.context import Context
    from doppio.wire.errors import AwsError
    from doppio.wire.http import ByteStream


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


class Asked(NamedTuple):
    """A request to a catalog: its path below the catalog's own and its query as sent, and its body."""

    method: str
    path: str
    query: str
    body: bytes


class Told(NamedTuple):
    """What a catalog answers; `error` is the kind of error, empty where it is none."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes = b""
    error: str = ""


class Catalog(Protocol):
    """A service's answers to clients of a catalog, in a protocol that is not AWS's."""

    async def ask(self, ctx: Context, asked: Asked) -> Told:
        """The answer to a request. Raises AwsError."""
        ...

    def refuse(self, error: AwsError) -> Told:
        """An error in the form of the protocol."""
        ...


class Visited(NamedTuple):
    """A request to a host that is a resource's own. `refusal` is what is wrong with its signature."""

    host: str
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    refusal: AwsError | None


class Hosts(Protocol):
    """A service's answers where a host is one of its resources."""

    async def answer(self, ctx: Context, visited: Visited) -> Told:
        """The answer to a request; errors are answers, too."""
        ...


class Form(NamedTuple):
    """A form that was posted to a bucket.

    `fields` are by their names in lower case. `put` are the members of the put that they stand for,
    with `TagSet` where they hold tags; `file` is the content. Who posts is the context's caller.
    """

    bucket: str
    fields: Mapping[str, str]
    origin: str
    put: Mapping[str, Any]
    file: ByteStream


class Web(Protocol):
    """A service's answers to browsers, and to hosts that not every resource may be reached by."""

    async def visit(self, ctx: Context, visit: Visit) -> Shown:
        """A page of a website; errors are pages, too."""
        ...

    async def reached(
        self, ctx: Context, host: str, req: Mapping[str, Any], operation: str
    ) -> Mapping[str, Any]:
        """A call came by a host of some meaning of its own: the request as it is meant.

        Raises AwsError where it may not come by it.
        """
        ...

    async def post(self, ctx: Context, form: Form) -> Shown:
        """What a form's file becomes. Raises AwsError."""
        ...
