"""What one cloud joins for all its contexts: the composition root implements it, contexts use it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from doppio.kernel.clock import Clock
from doppio.kernel.identity import Identities
from doppio.kernel.ids import Ids
from doppio.kernel.service import Need
from doppio.kernel.store import Store
from doppio.kernel.wakers import Wakers

if TYPE_CHECKING:
    from doppio.kernel.audit import Audit
    from doppio.kernel.blobs import BlobStore
    from doppio.kernel.context import Context
    from doppio.kernel.guardrails import Guardrails
    from doppio.kernel.metrics import Metrics
    from doppio.kernel.uses import Uses


class Kernel(Protocol):
    """What the composition root joins for all contexts of one cloud."""

    store: Store
    clock: Clock
    wakers: Wakers
    audit: Audit
    metrics: Metrics
    uses: Uses
    blobs: BlobStore
    ids: Ids
    identities: Identities
    guardrails: Guardrails
    machine: Any
    endpoint: str
    # Ciphers of the cloud's own keys, by name (`kernel.own_keys`).
    own_ciphers: dict[str, Any]
    # Whether throughput is limited as AWS limits it, where a resource does not say otherwise.
    throttles: bool

    @property
    def services(self) -> Mapping[str, Any]:
        """By model name: for who is told by a user which service to call."""
        ...

    async def enter(
        self, context: Context, service: str, method: str, req: Mapping[str, Any]
    ) -> Any:
        """Pass a call through the door."""
        ...

    async def authorise(self, context: Context, need: Need) -> None:
        """Raise AccessDenied unless the context's caller may do this."""
        ...

    async def explain(self, context: Context, need: Need) -> dict[str, Any]:
        """What is decided of a need and why, in the form of AWS's decoded denials."""
        ...
