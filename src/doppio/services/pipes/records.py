"""What EventBridge Pipes stores: pipes, and how far those that read streams have come.

What flows through a pipe stays in its source until it is there.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from doppio.kernel.events import Event
from doppio.kernel.records import record
from doppio.kernel.shard_batches import Waiting


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


@record("pipes.checkpoint", key=("account", "region", "pipe", "shard"))
class Checkpoint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far a pipe has come in a shard: all up to `after` is done with.

    While batches of the records behind it are `waiting`, those `until` there have been read.
    """

    account: str
    region: str
    pipe: str
    shard: str
    after: str = ""
    until: str = ""
    waiting: list[Waiting] = []
    ended: bool = False
