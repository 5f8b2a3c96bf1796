"""Guardrails: the control policies of an organisation, which bound what policies may grant.

AWS Organizations promises that a service control policy binds every principal of a member account,
its root user too, and a resource control policy every access to a member's resources, from
the next call on. The rows are written by Organizations in its own commits; what is read of them is
kept in memory, by account, until their topic rings.

Sources: "Service control policies (SCPs)", "Resource control policies (RCPs)" and "SCP evaluation"
in the Organizations user guide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from doppio.kernel.identity import ANONYMOUS, ISSUER, Caller
from doppio.kernel.policy import Policy, PolicySet, compile_policy
from doppio.kernel.records import record

if TYPE_CHECKING:
    from doppio.kernel.context import Context, Reader, Tx
    from doppio.kernel.service import Need

Kind = Literal["scp", "rcp"]
TOPIC = "guardrail"
CACHED_MAX = 50_000
# What changes while it is being read is read again, so often.
READS_MAX = 5
_LINKED = ":role/aws-service-role/"
# The services whose resources resource control policies bound, by the prefix of their actions.
# Source: "List of AWS services that support RCPs".
BOUND = frozenset({
    "aoss", "cognito-identity", "cognito-idp", "dynamodb", "ecr", "kms", "logs", "s3",
    "secretsmanager", "sqs", "sts",
})  # fmt: skip
Levels = tuple[tuple[Policy, ...], ...]


@record("kernel.place", key=("account",), partitioned=True)
class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where an account stands in an organisation.

    `path` holds the ids of the root, the units below it and the account itself, in that order.
    `master` is the management account; `management`: this is it, and nothing binds it.
    """

    account: str
    organization: str
    path: tuple[str, ...]
    master: str
    management: bool = False


@record("kernel.guardrail", key=("target", "kind"), partitioned=True)
class Guardrail(msgspec.Struct, frozen=True, kw_only=True):
    """The control policies of one kind on a root, a unit or an account: names and documents.

    A kind is enabled in an organisation while its root has a row of it, also an empty one.
    """

    target: str
    kind: Kind
    policies: tuple[tuple[str, str], ...] = ()


def put_place(tx: Tx, place: Place) -> None:
    """Say where an account stands; counts from the commit on."""
    tx.put(place)
    tx.wake(TOPIC)


def forget_place(tx: Tx, account: str) -> None:
    """An account is in no organisation any more."""
    tx.delete(Place(account=account, organization="", path=(), master=""))
    tx.wake(TOPIC)


async def place_of(reader: Reader, account: str) -> Place | None:
    """Where an account stands; None where it is in no organisation."""
    return await reader.get(Place, account)


def put_guardrail(tx: Tx, guardrail: Guardrail) -> None:
    """Say which policies of a kind hang on a target; counts from the commit on."""
    tx.put(guardrail)
    tx.wake(TOPIC)


def forget_guardrail(tx: Tx, target: str, kind: Kind) -> None:
    """Nothing of a kind hangs on a target any more; on a root: the kind is disabled."""
    tx.delete(Guardrail(target=target, kind=kind))
    tx.wake(TOPIC)


class Standing(msgspec.Struct, frozen=True):
    """Where an account stands and what bounds it, level by level from the root down."""

    place: Place | None = None
    scps: Levels = ()
    rcps: Levels = ()
    # Whether any of them is there.
    bound: bool = False


FREE = Standing()


class Bearing(NamedTuple):
    """What organisations have to say to one request: their policies, and three places."""

    scps: Levels = ()
    rcps: Levels = ()
    principal: Place | None = None
    resource: Place | None = None
    source: Place | None = None

    def over(self, policies: PolicySet) -> PolicySet:
        """A set of policies, bounded."""
        if not self.scps and not self.rcps:
            return policies
        return replace(policies, scps=self.scps, rcps=self.rcps)


UNBOUND = Bearing()


class Guardrails:
    """Knows what bounds which account."""

    def __init__(self) -> None:
        # Hot: the authoriser looks here at each call of the first partition. `free` are those that nothing bounds.
        self.known: dict[str, Standing] = {}
        self.free: set[str] = set()
        self._known_abroad: dict[tuple[str, str], Standing] = {}
        self._changes = 0

    def heard(self, topic: str) -> None:
        """An account has moved, or policies have changed."""
        self._changes += 1
        self._forget()

    async def of(self, ctx: Context, account: str) -> Standing:
        """What bounds an account."""
        if ctx.partition != "aws":
            return await self._abroad(ctx, account)
        found = self.known.get(account)
        if found is not None:
            return found
        for _ in range(READS_MAX):
            changes = self._changes
            found = await _read(ctx.read(), account)
            if changes == self._changes:
                if len(self.known) >= CACHED_MAX:
                    self._forget()
                self.known[account] = found
                if not found.bound:
                    self.free.add(account)
                break
        assert found is not None
        return found

    async def _abroad(self, ctx: Context, account: str) -> Standing:
        """The same in another partition, where another account may have that number."""
        name = (ctx.partition, account)
        found = self._known_abroad.get(name)
        if found is None:
            changes = self._changes
            found = await _read(ctx.read(), account)
            if changes == self._changes:
                if len(self._known_abroad) >= CACHED_MAX:
                    self._forget()
                self._known_abroad[name] = found
        return found

    def _forget(self) -> None:
        self._known_abroad.clear()
        self.known.clear()
        self.free.clear()

    async def bearing(self, ctx: Context, need: Need, owner: str) -> Bearing:
        """What bears on a need of the caller's, for a resource of `owner`."""
        caller = ctx.caller
        # A service is in no account, and nobody is in none.
        outside = caller.kind in ("service", "anonymous")
        mine = FREE if outside else await self.of(ctx, caller.account)
        theirs = await self.of(ctx, owner) if owner else FREE
        source = FREE
        if caller.kind == "service" and caller.source is not None:
            source = await self.of(ctx, source_account(caller))
        found = Bearing(
            scps_for(caller, mine), rcps_for(caller, need, theirs),
            mine.place, theirs.place, source.place,
        )  # fmt: skip
        return UNBOUND if found == UNBOUND else found


def scps_for(caller: Caller, standing: Standing) -> Levels:
    """The service control policies that bear on a caller of an account that stands so.

    They bear on all its users, roles and sessions and on its root user, but on no service and no
    role that is linked to one.
    """
    if not standing.scps or caller.kind in ("service", "anonymous") or is_linked(caller):
        return ()
    return standing.scps


def rcps_for(caller: Caller, need: Need, standing: Standing) -> Levels:
    """The resource control policies that bear on a need, where its resource's account stands so.

    They bear on whoever calls, services too (their policies ask for `aws:PrincipalIsAWSService`),
    but not on roles that are linked to a service, and only where the service takes part.
    """
    if not standing.rcps or need.resource == "*" or is_linked(caller):
        return ()
    return standing.rcps if need.action.partition(":")[0] in BOUND else ()


def is_linked(caller: Caller) -> bool:
    """Whether a caller is the session of a role that is linked to a service."""
    return _LINKED in caller.session.get(ISSUER, "")


def source_account(caller: Caller) -> str:
    """Whose resource a service acts for; a bucket's ARN does not say, but the service does."""
    parts = (caller.source or "").split(":", 5)
    return (parts[4] if len(parts) == 6 else "") or caller.account


async def _read(reader: Reader, account: str) -> Standing:
    place = None
    if account != ANONYMOUS.account:
        place = await place_of(reader, account)
    if place is None:
        return FREE
    if place.management:
        return Standing(place)
    scps, rcps = await _levels(reader, place, "scp"), await _levels(reader, place, "rcp")
    return Standing(place, scps, rcps, bool(scps or rcps))


async def _levels(reader: Reader, place: Place, kind: Kind) -> Levels:
    rows = [await reader.get(Guardrail, target, kind) for target in place.path]
    if not rows or rows[0] is None:
        return ()
    return tuple(
        _level(target, () if row is None else row.policies)
        for target, row in zip(place.path, rows, strict=True)
    )


@lru_cache(4096)
def _level(target: str, policies: tuple[tuple[str, str], ...]) -> tuple[Policy, ...]:
    """The policies of one level, each named with it; a level that has none allows nothing."""
    if not policies:
        return (Policy(f"(none) on {target}", {"Statement": []}),)
    return tuple(compile_policy(document, f"{name} on {target}") for name, document in policies)


# The condition keys that follow from where accounts stand. Keys are lower case.
PLACE_KEYS = frozenset({
    "aws:principalorgid", "aws:principalorgpaths", "aws:resourceorgid", "aws:resourceorgpaths",
    "aws:sourceorgid", "aws:sourceorgpaths",
})  # fmt: skip


def place_condition(key: str, bearing: Bearing) -> str | list[str] | None:
    """The value of one of `PLACE_KEYS`; None where the request has none."""
    places: Mapping[str, Any] = {
        "p": bearing.principal, "r": bearing.resource, "s": bearing.source
    }  # fmt: skip
    place: Place | None = places[key[len("aws:")]]
    if place is None:
        return None
    if key.endswith("orgid"):
        return place.organization
    # The account itself is no part of it.
    return ["/".join([place.organization, *place.path[:-1], ""])]
