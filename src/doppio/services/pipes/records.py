"""What EventBridge Pipes stores: pipes. What flows through them stays in its source until it is there."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from doppio.kernel.events import Event
from doppio.kernel.records import record


class PipeChanged(Event, frozen=True, kw_only=True):
    """A user wants something else of a pipe."""


@record("pipes.pipe", key=("account", "region", "name"))
class Pipe(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A pipe. `given` is what it was made of, as on the wire; `desired` what its user wants."""

    account: str
    region: str
    name: str
    partition: str
    created_at: datetime
    modified_at: datetime
    given: dict[str, Any]
    desired: str = "RUNNING"
    current: str = "CREATING"
    reason: str | None = None
    tags: dict[str, str] = {}

    @property
    def arn(self) -> str:
        where = f"arn:{self.partition}:pipes:{self.region}:{self.account}"
        return f"{where}:pipe/{self.name}"
