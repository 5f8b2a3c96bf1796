"""The composition root: the only place that constructs and joins stores, clocks and services.

`Cloud` is one running cloud. It implements the kernel's port (`kernel.context.Kernel`); the
gateway, the tests and the simulation each stand on the same object.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from doppio.catalog import Catalog, service_of
from doppio.kernel.audit import Audit
from doppio.kernel.authorise import Authoriser
from doppio.kernel.blob_places import open_blobs, settle
from doppio.kernel.blobs import BlobStore
from doppio.kernel.clock import Clock, ClockState, HostClock, MachineClock
from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.controller import ControllerRunner
from doppio.kernel.door import Door
from doppio.kernel.events import Dispatcher
from doppio.kernel.guardrails import TOPIC as GUARDRAIL
from doppio.kernel.guardrails import Guardrails
from doppio.kernel.identity import Caller, Identities, root_of, service_caller
from doppio.kernel.ids import Ids
from doppio.kernel.jobs import JobHandler, JobRunner
from doppio.kernel.keys import pack
from doppio.kernel.leases import Leases
from doppio.kernel.meter import usage_key
from doppio.kernel.metrics import Metrics, Sampling
from doppio.kernel.records import record
from doppio.kernel.regions import HOMES, partition_of
from doppio.kernel.service import Need, Service
from doppio.kernel.store import Conflict, Store, StoreClosed, StoreCorrupt, StoreFull
from doppio.kernel.tag_rules import TOPIC as TAG_RULES
from doppio.kernel.tag_rules import TagKeeper
from doppio.kernel.trail import Trails
from doppio.kernel.uses import Uses
from doppio.kernel.wakers import Wakers
from doppio.machine.drivers import Machine

_log = logging.getLogger("doppio.app")
DEFAULT_ACCOUNT = "000000000000"
# Who says who calls: needed before anybody can.
IDENTITIES = "iam"
SYSTEM = service_caller("doppio", DEFAULT_ACCOUNT)


@record("kernel.clock", key=("name",))
class SavedClock(msgspec.Struct, frozen=True, kw_only=True):
    """Cloud time across restarts."""

    name: str = "cloud"
    state: ClockState


@dataclass(slots=True, kw_only=True)
class Settings:
    """How a cloud is to run. Without `data` it is a throw-away one."""

    data: Path | None = None
    store_url: str | None = None
    blobs_url: str | None = None
    hosts: tuple[str, ...] = ("127.0.0.1", "::1")
    port: int = 4566
    strict_auth: bool = False
    tls: bool = False
    fsync: bool = True
    realistic_throughput: bool = False
    smtp_server: tuple[str, int] | None = None
    outside: Mapping[str, str] = field(default_factory=dict)
    seed: int | None = None
    host_clock: HostClock = field(default_factory=MachineClock)


class Cloud:
    """One cloud: its store, clock, services and background work."""

    def __init__(self, settings: Settings, store: Store | None = None) -> None:
        self.settings = settings
        self.ids = Ids(settings.seed)
        self.own_ciphers: dict[str, Any] = {}
        self.throttles = settings.realistic_throughput
        self.clock = Clock(settings.host_clock)
        self.wakers = Wakers()
        self._throw_away: str | None = None
        self.data = settings.data or self._temporary()
        self.machine = Machine(
            settings.smtp_server,
            hosts=settings.hosts,
            tls=self.server_tls,
            outside=settings.outside,
            folder=self.data / "machine",
        )
        self.endpoint = f"http://localhost:{settings.port}"
        self.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._started = False
        self._runners: list[ControllerRunner] = []
        self.services = Catalog(self._join)
        self.blobs: BlobStore = open_blobs(settings.blobs_url, self.data / "blobs")
        self.store: Store = store if store is not None else self._open_store()
        self.audit = Audit(self.store, usage_key, self._is_data_event)
        self.metrics = Metrics(self.context_for, self._sampling)
        self.uses = Uses(lambda: self.context_for("", ""))
        self.guardrails = Guardrails()
        self._authoriser = Authoriser(self.guardrails)
        self.identities: Identities = self._find_identities()
        # Every call passes here.
        self._trails = Trails(self.store, self.context_for)
        self._tags = TagKeeper()
        self.enter = Door(self.services, self._authoriser, self._trails, self._tags).enter
        self._leases = Leases(self, self.context_for, self.services.get)
        self._jobs = JobRunner(self, self._job_handler, self.context_for)
        self._dispatcher = Dispatcher(self, self.context_for, self._leases)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Open for calls: background work goes on where it had stopped."""
        self.store.listen(self.wakers.ring)
        self.wakers.on("resource", self._authoriser.heard)
        self.wakers.on(GUARDRAIL, self.guardrails.heard)
        self.wakers.on(TAG_RULES, self._tags.heard)
        self._trails.start(self.wakers)
        self.wakers.on("clock", lambda _: self._reload_clock())
        saved = await self.context_for("", "").read().get(SavedClock, "cloud")
        if saved is not None:
            self.clock.set(saved.state)
        await settle(
            self.context_for("", ""), self.blobs, self.settings.blobs_url, self.data / "blobs"
        )
        await self.identities.start()
        await self._trails.recover()
        self._dispatcher.start()
        self._started = True
        for service in self.services.imported:
            self._begin(service)
        self._jobs.start(self._leases)
        self._leases.start()
        self._tasks = [
            asyncio.create_task(self._find_work()),
            asyncio.create_task(self._keep_tidy()),
        ]

    async def close(self) -> None:
        """Stop; everything acknowledged is on disk."""
        self.wakers.ring_all()
        # First, since CloudWatch may have to be joined for it.
        await self.metrics.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._leases.stop()
        for runner in self._runners:
            await runner.close()
        # Controllers open what listens: now nothing opens again.
        await self.machine.quiet()
        await self._jobs.close()
        await self._dispatcher.close()
        await self._leases.leave()
        await self.audit.flush()
        await self.uses.close()
        await self.store.close()
        self.machine.close()
        if self._throw_away is not None:
            shutil.rmtree(self._throw_away, ignore_errors=True)

    async def set_clock(self, state: ClockState) -> None:
        """Change cloud time, durably; who waits for a time that has come is woken."""
        async with self.context_for("", "").write() as tx:
            tx.put(SavedClock(state=state))
            tx.wake("clock")
        self.clock.set(state)

    def server_tls(self) -> Any:
        """The server's side of TLS, under this cloud's own authority; made at its first use."""
        from doppio.gateway import tls

        return tls.server_context(tls.ensure_ca(self.data / "ca", self.clock.host_now()))

    # The kernel's port.

    async def authorise(self, context: Context, need: Need) -> None:
        """Raise AccessDenied unless the context's caller may do this."""
        await self._authoriser.check(context, [need])

    async def explain(self, context: Context, need: Need) -> dict[str, Any]:
        """What is decided of a need and why, in the form of AWS's decoded denials."""
        return await self._authoriser.explained(context, need)

    # Contexts.

    def context(
        self, caller: Caller, *, account: str, region: str, request_id: str, **more: Any
    ) -> Context:
        """The context of a call from outside."""
        return Context(self, caller, account=account, region=region, request_id=request_id, **more)

    def context_for(self, account: str, region: str) -> Context:
        """A context for the cloud's own background work in an account."""
        caller = SYSTEM if account in {"", DEFAULT_ACCOUNT} else service_caller("doppio", account)
        return Context(self, caller, account=account, region=region, request_id=self.ids.uuid())

    def context_in(self, partition: str) -> Context:
        """A context for the cloud's own work on what is global in a partition."""
        return self.context_for("", HOMES[partition])

    def root_context(self, account: str = DEFAULT_ACCOUNT, region: str = "us-east-1") -> Context:
        """A context as an account's root user, for tests and tools."""
        return self.context(
            root_of(account, partition=partition_of(region)),
            account=account, region=region, request_id=self.ids.uuid(),
        )  # fmt: skip

    # Joining.

    def _temporary(self) -> Path:
        self._throw_away = tempfile.mkdtemp(prefix="doppio-")
        return Path(self._throw_away)

    def _open_store(self) -> Store:
        if self.settings.store_url is not None:
            from doppio.kernel.postgres_store import PostgresStore

            return PostgresStore(self.settings.store_url)
        from doppio.kernel.sqlite_store import SqliteStore

        store, blobs = self.data / "store", self.data / "blobs"
        if not store.exists() and blobs.is_dir() and any(blobs.iterdir()):
            raise StoreCorrupt(
                f"{blobs} holds bodies, but {store} is gone: their records would be lost. Restore "
                "it from a copy, or move the data directory away and start with an empty one"
            )
        durable = self.settings.fsync and self._throw_away is None
        return SqliteStore(store, synchronous="FULL" if durable else "OFF")

    def _find_identities(self) -> Identities:
        make = self.services[IDENTITIES].identities
        assert make is not None, f"{IDENTITIES} knows who calls"
        identities: Identities = make(self)
        return identities

    def _sampling(self, service: str) -> Sampling | None:
        return self.services[service].sampling

    def _join(self, service: Service) -> None:
        if self._started:
            self._begin(service)

    def _begin(self, service: Service) -> None:
        """Start a service's background work."""
        for subscription in service.subscriptions:
            self._dispatcher.follow(subscription, service.name)
        for controller in service.controllers:
            runner = ControllerRunner(self, controller, self.context_for)
            self._runners.append(runner)
            if controller.wakes_on:
                self._dispatcher.follow(runner.subscription(), service.name)
            runner.start(self._leases, service.name)

    async def _find_work(self) -> None:
        """Ask for each service that may have work: it has rows, or a fact of its is in the log."""
        view = self.store.view()
        said = {service_of(kind) for kind in await self._dispatcher.kinds()}
        for name in self.services:
            # Tables are named SERVICE.NOUN, and a slash is what follows a dot.
            rows = await view.scan(pack(f"{name}."), pack(f"{name}/"), limit=1)
            if rows or name in said:
                self.services[name]
                await asyncio.sleep(0)
        self._dispatcher.complete = True

    def _job_handler(self, job: str) -> JobHandler | None:
        service = self.services.get(job.partition(".")[0])
        return None if service is None else service.jobs.get(job)

    def _is_data_event(self, service: str, operation: str) -> bool:
        return operation in self.services[service].data_events

    async def _keep_tidy(self) -> None:
        while True:
            try:
                await self.audit.forget(self.context_for("", ""))
            except (StoreFull, StoreClosed, Conflict) as error:
                _log.warning("old audit rows stay for now: %s", error)
            await self.clock.wait_until(self.clock.now() + timedelta(days=1))

    def _reload_clock(self) -> None:
        # Another process on the same store has set the clock: follow it.
        reader = self.context_for("", "").read()

        async def reload() -> None:
            saved = await reader.get(SavedClock, "cloud")
            if saved is not None and saved.state != self.clock.state:
                self.clock.set(saved.state)

        self._reloading = asyncio.ensure_future(reload())


def default_data() -> Path:
    """The data directory where none is named: `$XDG_DATA_HOME/doppio`."""
    home = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(home) / "doppio"


__all__ = ["Cloud", "Reader", "Settings", "Tx", "default_data"]
