"""What services tell EventBridge of what happens in them, and whether anybody listens.

EventBridge keeps beside its rules, in their commits, which sources a rule of an account's default
bus may want (`Listening`). A service says what has happened in the commit in which it happens, by
`tell`: where no rule could want it, that is one look at a row and no more. What is told is a fact
in the outbox, which EventBridge brings to the bus at least once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from doppio.kernel.context import Reader, Tx
from doppio.kernel.events import Event
from doppio.kernel.records import record

# Rings when somebody else listens than before.
CHANGED = "listening"


@record("kernel.listening", key=("account", "region"))
class Listening(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which sources the rules of a default bus may want, None: any of them.

    `calls` is the same for events of API calls, of which a rule must speak; `reads` for those of
    calls that only read.
    """

    account: str
    region: str
    sources: list[str] | None = []
    calls: list[str] | None = []
    reads: list[str] | None = []

    def hears(self, source: str) -> bool:
        """Whether a rule may want events of a source."""
        return self.sources is None or source in self.sources

    def hears_calls(self, source: str) -> bool:
        """Whether a rule may want events of the API calls of a source."""
        return self.calls is None or source in self.calls

    def hears_reads(self, source: str) -> bool:
        """Whether a rule may want events of calls of a source that only read."""
        return self.reads is None or source in self.reads


class Told(Event, frozen=True, kw_only=True):
    """Something that a service tells. The key is the account and the Region."""

    source: str
    kind: str
    detail: str
    resources: list[str]
    at: datetime


async def listening(reader: Reader, account: str, region: str) -> Listening | None:
    """Who listens on an account's default bus; None: nobody."""
    return await reader.get(Listening, account, region)


async def tell(
    tx: Tx,
    place: tuple[str, str],
    source: str,
    kind: str,
    detail: Mapping[str, Any],
    resources: Sequence[str] = (),
) -> None:
    """Say what has happened in an account and Region, if a rule there may want to know."""
    found = await listening(tx, *place)
    if found is not None and found.hears(source):
        tx.emit(
            Told(
                key=place, source=source, kind=kind, detail=json.dumps(detail),
                resources=list(resources), at=tx.context.clock.now(),
            )
        )  # fmt: skip
