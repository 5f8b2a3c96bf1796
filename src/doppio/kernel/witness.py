"""Who is told of every exchange with a client: what access logs are made of.

The gateway tells a service's witness of each request and its answer, also of those that never came
to an operation. Whose requests are watched is a hint in memory, so that nobody else's cost anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from doppio.wire.http import Request, Response

if TYPE_CHECKING:
    from doppio.kernel.context import Context


class Exchange(NamedTuple):
    """A request and its answer.

    `labels` are those of the path, `caller` is an ARN (empty before the signature was checked),
    `error` is AWS's code, `seconds` is how long the answer took. `way` is how the client spoke.
    `part` is the service's word for a part of the request that concerns another resource.
    """

    request: Request
    response: Response
    labels: Mapping[str, str]
    operation: str
    caller: str
    error: str
    seconds: float
    way: str = "REST"
    part: str = ""


class Witness(Protocol):
    """Keeps account of the exchanges that concern some resources of a service.

    `label` is the label of the path that names them.
    """

    label: str

    @property
    def watched(self) -> frozenset[str] | None:
        """Their names; None where that has to be looked up first."""
        ...

    async def look(self, ctx: Context) -> None:
        """Find out what is watched."""
        ...

    def leads(self, name: str) -> bool:
        """Whether a name that is not watched may lead to one that is."""
        ...

    async def meant(self, ctx: Context, labels: Mapping[str, str]) -> Mapping[str, str]:
        """The labels, with the name to which theirs leads."""
        ...

    def beside(self, request: Request) -> Sequence[tuple[Mapping[str, str], str]]:
        """The labels of what a request that was answered has concerned, too, and in what part."""
        ...

    def saw(self, ctx: Context, exchange: Exchange) -> None:
        """An exchange that concerns a watched name."""
        ...

    async def close(self) -> None:
        """Put away what is in hand."""
        ...
