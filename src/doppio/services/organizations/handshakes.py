"""Handshakes: agreements that an organisation asks for, what they look like and how they end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.jobs import Job
from doppio.services.organizations import limits, tree
from doppio.services.organizations.errors import (
    AccessDenied,
    HandshakeAlreadyInState,
    HandshakeNotFound,
    InvalidHandshakeTransition,
    invalid,
)
from doppio.services.organizations.records import (
    FOR_PARTY,
    OF_ORGANIZATION,
    PARTS,
    Account,
    Handshake,
    Organization,
    Thing,
    Transfer,
)

TIME = "organizations.handshake"
INVITE, ENABLE, APPROVE = "INVITE", "ENABLE_ALL_FEATURES", "APPROVE_ALL_FEATURES"
TRANSFER = "TRANSFER_RESPONSIBILITY"
OPEN, REQUESTED, ACCEPTED = "OPEN", "REQUESTED", "ACCEPTED"
CANCELED, DECLINED, EXPIRED = "CANCELED", "DECLINED", "EXPIRED"
GOING = frozenset({OPEN, REQUESTED})


def to_wire(handshake: Handshake) -> dict[str, Any]:
    """A handshake as it is shown."""
    parties = [{"Id": handshake.organization, "Type": "ORGANIZATION"}]
    if handshake.kind != "ORGANIZATION":
        parties.append({"Id": handshake.party, "Type": handshake.kind})
    return {
        "Id": handshake.id,
        "Arn": handshake.arn,
        "Parties": parties,
        "State": handshake.state,
        "RequestedTimestamp": handshake.at,
        "ExpirationTimestamp": handshake.expires_at,
        "Action": handshake.action,
        "Resources": [_thing_to_wire(thing) for thing in handshake.things],
    }


def _thing_to_wire(thing: Thing) -> dict[str, Any]:
    shown: dict[str, Any] = {"Type": thing.type, "Value": thing.value}
    if thing.parts:
        shown["Resources"] = [_thing_to_wire(part) for part in thing.parts]
    return shown


async def sender(reader: Reader, organization: Organization) -> Thing:
    """The organisation that asks, as a handshake tells of it."""
    master = await tree.account_of(reader, organization.master)
    return Thing(
        "ORGANIZATION",
        organization.id,
        (
            Thing("MASTER_EMAIL", master.email),
            Thing("MASTER_NAME", master.name),
            Thing("ORGANIZATION_FEATURE_SET", organization.features),
        ),
    )


async def begin(
    tx: Tx,
    organization: Organization,
    action: str,
    party: tuple[str, str],
    things: Sequence[Thing],
    lasts: timedelta,
    **more: Any,
) -> Handshake:
    """A new handshake with a party (its kind and name), which expires by itself."""
    now = tx.context.now
    made = Handshake(
        id=tx.context.new_id("handshake"), organization=organization.id,
        master=organization.master, action=action, kind=party[0], party=party[1], at=now,
        expires_at=now + lasts, things=tuple(things), **{"state": OPEN, **more},
        partition=organization.partition,
    )  # fmt: skip
    await tx.schedule(made.expires_at, TIME, made.id)
    return tx.add(made)


async def end(tx: Tx, handshake: Handshake, state: str) -> Handshake:
    """Bring a handshake to its end; it can be seen for another 30 days."""
    now = tx.context.clock.now()
    transfer = await transfer_of(tx, handshake)
    if transfer is not None:
        tx.put(replace(transfer, status=state))
    await tx.schedule(now + limits.HANDSHAKE_KEPT, TIME, handshake.id)
    return tx.put(replace(handshake, state=state, ended_at=now))


async def transfer_of(reader: Reader, handshake: Handshake) -> Transfer | None:
    """The transfer that a handshake is about, whose status is as the handshake's state."""
    if handshake.action != TRANSFER:
        return None
    return await reader.get(Transfer, handshake.things[0].value)


async def existing(reader: Reader, name: str) -> Handshake:
    """The handshake of an id. Raises HandshakeNotFound."""
    found = await reader.get(Handshake, name)
    if found is None:
        raise HandshakeNotFound()
    return found


def check_going(handshake: Handshake, state: str, going: frozenset[str] = GOING) -> None:
    """Raise where a handshake can not come to a state any more, or not yet."""
    if handshake.state == state:
        raise HandshakeAlreadyInState()
    if handshake.state not in going:
        raise InvalidHandshakeTransition()


def names_of(account: Account) -> tuple[str, str]:
    """The names by which an account may be invited."""
    return account.id, account.email


async def for_account(reader: Reader, account: Account) -> list[Handshake]:
    """The handshakes that an account has been asked for."""
    found: list[Handshake] = []
    for name in names_of(account):
        found += await reader.find(FOR_PARTY, (name,), limit=limits.ROWS_MAX)
    return sorted(found, key=lambda one: one.id)


async def of_organization(reader: Reader, organization: str) -> list[Handshake]:
    """The handshakes that an organisation has asked for."""
    return await reader.find(OF_ORGANIZATION, (organization,), limit=limits.ROWS_MAX)


async def parts_of(reader: Reader, handshake: Handshake) -> list[Handshake]:
    """The handshakes of which one consists."""
    return await reader.find(PARTS, (handshake.id,), limit=limits.ROWS_MAX)


async def check_recipient(reader: Reader, ctx: Context, handshake: Handshake) -> None:
    """Raise AccessDenied where a handshake is not for the caller."""
    if handshake.kind == "ORGANIZATION":
        wanted = handshake.master
        if ctx.account != wanted:
            raise AccessDenied()
        return
    account = await tree.account_of(reader, ctx.account)
    if handshake.party not in names_of(account):
        raise AccessDenied()


def page(req: Mapping[str, Any], rows: Sequence[Handshake], scope: str) -> dict[str, Any]:
    """One page of those handshakes that the request's filter lets through."""
    chosen = req.get("Filter", {})
    action, above = chosen.get("ActionType"), chosen.get("ParentHandshakeId")
    if action is not None and above is not None:
        raise invalid(
            "MAX_LIMIT_EXCEEDED_FILTER",
            "You can specify only one filter parameter for the operation.",
        )
    shown = [
        (row.id, to_wire(row))
        for row in rows
        if action in (None, row.action) and above in (None, row.parent)
    ]
    return tree.page(req, shown, "Handshakes", f"{scope}/{action}/{above}")


async def pass_time(ctx: Context, job: Job) -> None:
    """A handshake expires, or one that has ended is forgotten."""
    async with ctx.write() as tx:
        handshake = await tx.get(Handshake, job.key)
        if handshake is None:
            return
        now = ctx.clock.now()
        if handshake.ended_at is not None:
            if now >= handshake.ended_at + limits.HANDSHAKE_KEPT:
                tx.delete(handshake)
        elif now >= handshake.expires_at:
            await end(tx, handshake, EXPIRED)
            for part in await parts_of(tx, handshake):
                if part.state in GOING:
                    await end(tx, part, CANCELED)
