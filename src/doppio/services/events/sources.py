"""The life of partner event sources, which customers and partners share.

A source is PENDING until its customer makes the bus of its name, or while the customer has
deactivated it, and two weeks at most; ACTIVE while the bus listens; DELETED where it has ended and
its bus is still there. Source: the descriptions of EventSourceState and of the operations.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.jobs import Job
from doppio.services.events import limits
from doppio.services.events.errors import InvalidState, ResourceNotFound, Validation
from doppio.services.events.records import Bus, EventSource, PartnerSource

EXPIRE = "events.expire"
PARTNERS = "aws.partner/"
_PART = re.compile(r"[.\-_A-Za-z0-9]+")


def check_source_name(name: str) -> None:
    """Raise Validation for what is no name of a source: the door leaves its pattern to us."""
    first, *parts = name.split("/")
    if first != "aws.partner" or len(parts) < 2 or not all(map(_PART.fullmatch, parts)):
        raise Validation(
            f"1 validation error detected: Value '{name}' at 'name' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: "
            r"aws\.partner(/[\.\-_A-Za-z0-9]+){2,}"
        )


def partner_of(name: str) -> str:
    """The partner's part of a source's name."""
    return "/".join(name.split("/")[:2])


async def existing_source(reader: Reader, account: str, region: str, name: str) -> EventSource:
    """A source that a partner shares with an account. Raises ResourceNotFound."""
    found = await reader.get(EventSource, account, region, name)
    if found is None:
        raise ResourceNotFound(f"Event source {name} does not exist.")
    return found


async def activate(tx: Tx, source: EventSource) -> None:
    """The source's bus listens from now on. Raises InvalidState where the partner has ended it."""
    if source.state != "PENDING":
        raise InvalidState(f"Event source {source.name} is in state {source.state}.")
    tx.put(replace(source, state="ACTIVE", expires_at=None))
    await tx.unschedule(EXPIRE, _key(source))


async def wait(tx: Tx, source: EventSource) -> None:
    """Nobody listens to the source, which ends if that lasts for two weeks."""
    at = tx.context.now + limits.SOURCE_WAIT
    tx.put(replace(source, state="PENDING", expires_at=at))
    await tx.schedule(
        at, EXPIRE, _key(source), account=source.account, region=source.region, source=source.name
    )


async def end(tx: Tx, source: EventSource) -> None:
    """End a source: its partner knows it no more, its customer only by the bus that is left."""
    shared = await tx.get(PartnerSource, source.region, source.name)
    if shared is not None:
        tx.delete(shared)
    await tx.unschedule(EXPIRE, _key(source))
    if await tx.get(Bus, source.account, source.region, source.name) is None:
        tx.delete(source)
    else:
        tx.put(replace(source, state="DELETED", expires_at=None))


async def unheard(tx: Tx, bus: Bus) -> None:
    """A bus goes: its source waits for another one, or has ended before."""
    source = await tx.get(EventSource, bus.account, bus.region, bus.name)
    if source is None:
        return
    if source.state == "DELETED":
        tx.delete(source)
    else:
        await wait(tx, source)


async def expire(ctx: Context, job: Job) -> None:
    """End a source to which nobody has listened for two weeks."""
    where = job.arguments
    async with ctx.write() as tx:
        if await tx.get(Job, job.name, job.key) != job:
            return
        source = await tx.get(EventSource, where["account"], where["region"], where["source"])
        if source is not None:
            await end(tx, source)


def shown(source: EventSource) -> dict[str, Any]:
    """A source as its customer sees it."""
    return {
        "Arn": source.arn,
        "CreatedBy": partner_of(source.name),
        "Name": source.name,
        **shown_state(source),
    }


def shown_state(source: EventSource) -> dict[str, Any]:
    """What becomes of a source."""
    told: dict[str, Any] = {"CreationTime": source.created_at, "State": source.state}
    expires_at: datetime | None = source.expires_at
    return told if expires_at is None else {**told, "ExpirationTime": expires_at}


def shown_name(source: PartnerSource) -> Mapping[str, Any]:
    """A source as lists show it to its partner."""
    return {"Arn": source.arn, "Name": source.name}


def _key(source: EventSource) -> str:
    return f"{source.account}/{source.region}/{source.name}"
