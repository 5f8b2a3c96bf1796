"""The composition root: the only place that constructs and joins stores, clocks and services.

`Cloud` is one running cloud. It implements the kernel's port (`kernel.context.Kernel`); the
gateway, the tests and the simulation each stand on the same object.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import pkgutil
import shutil
import tempfile
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from doppio.kernel.audit import Audit
from doppio.kernel.authorise import Authoriser
from doppio.kernel.blobs import Blobs
from doppio.kernel.clock import Clock, ClockState, HostClock, MachineClock
from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.controller import ControllerRunner
from doppio.kernel.door import Door
from doppio.kernel.events import Dispatcher
from doppio.kernel.identity import Caller, Identities, root_of, service_caller
from doppio.kernel.ids import Ids
from doppio.kernel.jobs import JobRunner
from doppio.kernel.meter import usage_key
from doppio.kernel.records import record
from doppio.kernel.service import Need, Service
from doppio.kernel.store import Conflict, Store, StoreClosed, StoreCorrupt, StoreFull
from doppio.kernel.wakers import Wakers
from doppio.machine.drivers import Machine

_log = logging.getLogger("doppio.app")
DEFAULT_ACCOUNT = "000000000000"
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
    hosts: tuple[str, ...] = ("127.0.0.1", "::1")
    port: int = 4566
    strict_auth: bool = False
    tls: bool = False
    fsync: bool = True
    seed: int | None = None
    host_clock: HostClock = field(default_factory=MachineClock)


class Cloud:
    """One cloud: its store, clock, services and background work."""

    def __init__(self, settings: Settings, store: Store | None = None) -> None:
        self.settings = settings
        self.ids = Ids(settings.seed)
        self.clock = Clock(settings.host_clock)
        self.wakers = Wakers()
        self.machine = Machine()
        self.endpoint = f"http://localhost:{settings.port}"
        self._throw_away: str | None = None
        self.data = settings.data or self._temporary()
        self.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.services: dict[str, Service] = discover()
        self.store: Store = store if store is not None else self._open_store()
        self.blobs = Blobs(self.data / "blobs")
        self.audit = Audit(self.store, usage_key, self._is_data_event)
        self._authoriser = Authoriser()
        self.identities: Identities = self._find_identities()
        # Every call passes here.
        self.enter = Door(self.services, self._authoriser).enter
        self._runners: list[ControllerRunner] = []
        self._jobs = JobRunner(self, self._job_handlers(), self.context_for)
        self._dispatcher = Dispatcher(self, self.context_for)
        self._tidier: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open for calls: background work goes on where it had stopped."""
        self.store.listen(self.wakers.ring)
        self.wakers.on("resource", self._authoriser.heard)
        self.wakers.on("clock", lambda _: self._reload_clock())
        saved = await self.context_for("", "").read().get(SavedClock, "cloud")
        if saved is not None:
            self.clock.set(saved.state)
        await self.identities.start()
        subscriptions = [s for service in self.services.values() for s in service.subscriptions]
        for service in self.services.values():
            for controller in service.controllers:
                runner = ControllerRunner(self, controller, self.context_for)
                self._runners.append(runner)
                subscriptions.append(runner.subscription())
        self._dispatcher.start(subscriptions)
        self._jobs.start()
        for runner in self._runners:
            runner.start()
        self._tidier = asyncio.create_task(self._keep_tidy())

    async def close(self) -> None:
        """Stop; everything acknowledged is on disk."""
        self.wakers.ring_all()
        if self._tidier is not None:
            self._tidier.cancel()
        for runner in self._runners:
            await runner.close()
        await self._jobs.close()
        await self._dispatcher.close()
        await self.audit.flush()
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

    # The kernel's port.

    async def authorise(self, context: Context, need: Need) -> None:
        """Raise AccessDenied unless the context's caller may do this."""
        await self._authoriser.check(context, [need])

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

    def root_context(self, account: str = DEFAULT_ACCOUNT, region: str = "us-east-1") -> Context:
        """A context as an account's root user, for tests and tools."""
        return self.context(
            root_of(account), account=account, region=region, request_id=self.ids.uuid()
        )

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
        makers = [s.identities for s in self.services.values() if s.identities is not None]
        assert len(makers) == 1, "exactly one service provides identities"
        identities: Identities = makers[0](self)
        return identities

    def _job_handlers(self) -> dict[str, Any]:
        return {
            name: handler
            for service in self.services.values()
            for name, handler in service.jobs.items()
        }

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


def discover() -> dict[str, Service]:
    """All services in `doppio.services`, by model name."""
    import doppio.services as home

    found: dict[str, Service] = {}
    for package in pkgutil.iter_modules(home.__path__):
        if package.ispkg:
            module = importlib.import_module(f"{home.__name__}.{package.name}.service")
            service: Service = module.SERVICE
            found[service.name] = service
    return found


def default_data() -> Path:
    """The data directory where none is named: `$XDG_DATA_HOME/doppio`."""
    home = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(home) / "doppio"


__all__ = ["Cloud", "Reader", "Settings", "Tx", "default_data"]
