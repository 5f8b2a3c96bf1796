"""Leases: which of several gateways on one store does which part of the background work.

Each gateway has a row that it renews as long as it lives; each part of the work has a row that says
who does it. A gateway whose row has not changed for a while is gone, and the others take over what it
had. Each judges that by its own host clock, from when it saw the row change last, so that clocks need
not agree. Whose own renewals fail for as long lets go by itself.

Which of the living is to have a part follows from their names alone, so that they agree without a
word. Work that is under way stays where it is: a part moves when it is idle, when its gateway closes,
or when that is gone. On a store that no other process can be on, all work begins at once, and there
are no rows and no renewals.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple, Protocol
from zlib import crc32

import msgspec

from doppio.kernel.records import record
from doppio.kernel.store import Conflict, StoreError

if TYPE_CHECKING:
    from doppio.kernel.context import Context, Tx
    from doppio.kernel.kernel import Kernel

_log = logging.getLogger("doppio.leases")
TOPIC = "leases"
# Host time: between two renewals, and after how long without one a gateway is gone.
RENEW_SECONDS = 1.0
LASTS_SECONDS = 5.0
# By so much clocks of hosts may differ: a row that has ended longer ago was left by a dead one.
SKEW = timedelta(minutes=1)
# Into so many parts the keys of a controller, and the jobs, are divided among gateways.
PARTS = 8
MEMBERS_MAX = 1_000
LEASES_MAX = 10_000

Part = tuple[str, int]


@record("kernel.member", key=("name",))
class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway that lives, until when in host time, and the services whose work it can do."""

    name: str
    beat: int
    until: datetime
    services: list[str] = []


@record("kernel.lease", key=("work", "part"))
class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """A part of some work, and the gateway that does it."""

    work: str
    part: int
    holder: str


class Work(Protocol):
    """Work of which this gateway may have parts."""

    def begin(self, part: int) -> None:
        """Do a part from now on; begins by looking at all there is."""
        ...

    def end(self, part: int) -> None:
        """Do it no more; what is under way in it is cancelled."""
        ...

    def is_idle(self, part: int) -> bool:
        """Whether nothing is under way in a part just now."""
        ...


class _Offer(NamedTuple):
    work: Work
    parts: int
    service: str


class _Seen(NamedTuple):
    """A row of a gateway, and when by our host clock it was seen to have changed."""

    beat: int
    at: float


class Plan(NamedTuple):
    """What to do about the parts of our work, as all leases stand."""

    lost: list[Part]
    regained: list[Part]
    given: list[Part]
    taken: list[Part]


def part_of(key: bytes, parts: int) -> int:
    """In which part of some work a key is; the same in every process."""
    return crc32(key) % parts if parts > 1 else 0


def preferred(part: Part, names: Collection[str]) -> str:
    """Who of the living is to have a part; when one comes or goes, the others keep theirs."""
    text = f"{part[0]}/{part[1]}/"
    return max(names, key=lambda name: blake2b(f"{text}{name}".encode(), digest_size=8).digest())


def planned(
    me: str,
    parts: Mapping[Part, Collection[str]],
    holders: Mapping[Part, str],
    held: Collection[Part],
    live: Collection[str],
) -> Plan:
    """What to lose, regain, offer to others and take, where `parts` says who can do each part."""
    plan = Plan([], [], [], [])
    for part, able in parts.items():
        holder = holders.get(part)
        wanted = preferred(part, able)
        if part in held:
            if holder != me:
                plan.lost.append(part)
            elif wanted != me:
                plan.given.append(part)
        elif holder == me:
            plan.regained.append(part)
        elif holder not in live and wanted == me:
            plan.taken.append(part)
    return plan


class Leases:
    """The parts of the background work that this process does."""

    def __init__(
        self,
        kernel: Kernel,
        context_for: Callable[[str, str], Context],
        join: Callable[[str], object],
    ) -> None:
        self._kernel = kernel
        self._context_for = context_for
        # Makes the work of a service known here, which another gateway has work of.
        self._join = join
        self._me = kernel.ids.uuid()
        self._beat = 0
        self._offers: dict[str, _Offer] = {}
        self._held: set[Part] = set()
        self._seen: dict[str, _Seen] = {}
        self._services: set[str] = set()
        self._joined: set[str] = set()
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._cancel_lapse: Callable[[], None] = lambda: None

    @property
    def parts(self) -> int:
        """Into how many parts work is divided."""
        return PARTS if self._kernel.store.shared else 1

    def add(self, name: str, work: Work, *, parts: int = 1, service: str = "") -> None:
        """Offer to do some work of a service, of which every gateway knows by that name."""
        if not self._kernel.store.shared:
            for part in range(parts):
                work.begin(part)
            return
        assert name not in self._offers, f"{name} is the name of other work"
        self._offers[name] = _Offer(work, parts, service)
        if service:
            self._services.add(service)
        self._news.set()

    def start(self) -> None:
        """Live from now on, and take what is to be done here."""
        if self._kernel.store.shared:
            self._kernel.wakers.on(TOPIC, lambda _: self._news.set())
            self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Take nothing more; what is held goes on until it is closed."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._cancel_lapse()

    async def leave(self) -> None:
        """Give everything back, when nothing is under way any more: others take it at once."""
        if self._task is None:
            return

        async def leave(tx: Tx) -> None:
            for lease in await tx.list(Lease, limit=LEASES_MAX):
                if lease.holder == self._me:
                    tx.delete(lease)
            mine = await tx.get(Member, self._me)
            if mine is not None:
                tx.delete(mine)
            tx.wake(TOPIC)

        try:
            await self._context_for("", "").transact(leave)
        except (StoreError, Conflict) as error:
            _log.warning("others will find out by themselves that this gateway is gone: %s", error)

    async def knows_all(self) -> bool:
        """Whether all work of other gateways is known here, too."""
        if not self._kernel.store.shared:
            return True
        members = await self._context_for("", "").read().list(Member, limit=MEMBERS_MAX)
        return all(self._services.issuperset(one.services) for one in members)

    async def _run(self) -> None:
        while True:
            self._news.clear()
            try:
                await self._renew()
                await self._look()
            except (StoreError, Conflict) as error:
                _log.warning("leases are not renewed just now: %s", error)
            except Exception:
                _log.exception("leases are not renewed just now")
            cancel = self._kernel.clock.host.call_later(RENEW_SECONDS, self._news.set)
            await self._news.wait()
            cancel()

    async def _renew(self) -> None:
        """Say that we live; what we hold counts from before we said so."""
        host = self._kernel.clock.host
        begun = host.seconds()
        self._beat += 1
        mine = Member(
            name=self._me,
            beat=self._beat,
            until=datetime.fromtimestamp(begun + LASTS_SECONDS, UTC),
            services=sorted(self._services),
        )

        async def renew(tx: Tx) -> None:
            tx.put(mine)

        await self._context_for("", "").transact(renew)
        self._cancel_lapse()
        left = begun + LASTS_SECONDS - host.seconds()
        self._cancel_lapse = host.call_later(max(left, 0.0), self._lapsed)

    def _lapsed(self) -> None:
        """Others may have taken over by now."""
        _log.warning("leases could not be renewed: this gateway rests until they can be again")
        for name, part in self._held:
            self._offers[name].work.end(part)
        self._held.clear()

    async def _look(self) -> None:
        """See who lives and who does what, and act on it."""
        reader = self._context_for("", "").read()
        members = {one.name: one for one in await reader.list(Member, limit=MEMBERS_MAX)}
        rows = await reader.list(Lease, limit=LEASES_MAX)
        holders = {(one.work, one.part): one.holder for one in rows}
        live = self._living(members)
        for name in live:
            for service in members[name].services:
                if service not in self._services and service not in self._joined:
                    self._joined.add(service)
                    self._join(service)
                    await asyncio.sleep(0)
        able = {
            service: [
                name for name in live if not service or service in members[name].services
            ] or [self._me]
            for service in {offer.service for offer in self._offers.values()}
        }  # fmt: skip
        parts = {
            (name, part): able[offer.service]
            for name, offer in self._offers.items()
            for part in range(offer.parts)
        }
        plan = planned(self._me, parts, holders, self._held, live)
        for part in plan.lost:
            self._end(part)
        for part in plan.regained:
            self._begin(part)
        given = [part for part in plan.given if self._offers[part[0]].work.is_idle(part[1])]
        if given:
            await self._give(given)
        if plan.taken:
            await self._take({part: holders.get(part) for part in plan.taken})
        await self._forget([name for name in members if name not in live])

    def _living(self, members: Mapping[str, Member]) -> list[str]:
        now = self._kernel.clock.host.seconds()
        dead_before = datetime.fromtimestamp(now, UTC) - SKEW
        seen = self._seen
        self._seen = {}
        live: list[str] = []
        for name, one in members.items():
            known = seen.get(name)
            if known is None or known.beat != one.beat:
                known = _Seen(one.beat, now)
            self._seen[name] = known
            if name == self._me or (now - known.at < LASTS_SECONDS and one.until > dead_before):
                live.append(name)
        return live

    def _begin(self, part: Part) -> None:
        self._held.add(part)
        self._offers[part[0]].work.begin(part[1])

    def _end(self, part: Part) -> None:
        self._held.discard(part)
        self._offers[part[0]].work.end(part[1])

    async def _give(self, parts: list[Part]) -> None:
        # Nothing begins in them from here on, and nothing is under way.
        for part in parts:
            self._end(part)

        async def give(tx: Tx) -> None:
            for part in parts:
                lease = await tx.get(Lease, *part)
                if lease is not None and lease.holder == self._me:
                    tx.delete(lease)
            tx.wake(TOPIC)

        await self._context_for("", "").transact(give)

    async def _take(self, parts: Mapping[Part, str | None]) -> None:
        """Take parts that nobody has, or whose holder has still not been heard of."""

        async def take(tx: Tx) -> list[Part]:
            taken: list[Part] = []
            for part, holder in parts.items():
                lease = await tx.get(Lease, *part)
                if lease is not None and (
                    lease.holder != holder or await self._lives(tx, lease.holder)
                ):
                    continue
                tx.put(Lease(work=part[0], part=part[1], holder=self._me))
                taken.append(part)
            return taken

        for part in await self._context_for("", "").transact(take):
            self._begin(part)

    async def _lives(self, tx: Tx, name: str) -> bool:
        """Whether a gateway has renewed its row since we held it for gone."""
        row = await tx.get(Member, name)
        return row is not None and row.beat != self._seen[name].beat

    async def _forget(self, names: list[str]) -> None:
        """Remove the rows of those who are gone; one that was only slow writes its own again."""
        if not names:
            return

        async def forget(tx: Tx) -> None:
            for name in names:
                row = await tx.get(Member, name)
                if row is not None and row.beat == self._seen[name].beat:
                    tx.delete(row)

        await self._context_for("", "").transact(forget)
