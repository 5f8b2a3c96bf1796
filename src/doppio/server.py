"""A cloud with its gateway: what `doppio start` and `doppio.testing` run."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import secrets
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from doppio.app import DEFAULT_ACCOUNT, Cloud, Settings
from doppio.gateway import loop
from doppio.gateway.app import Gateway
from doppio.gateway.limits import Limits
from doppio.gateway.listener import Server, serve
from doppio.gateway.requestlog import RequestLog
from doppio.kernel.regions import HOMES

STATE_FILE = "cloud.json"
CREDENTIALS_FILE = "credentials"
# Beside the default one, of the first partition.
PROFILES = {"govcloud": "aws-us-gov", "china": "aws-cn"}
NEW = ".new"
GRACE_SECONDS = 5.0
_log = logging.getLogger("doppio.server")


class State(msgspec.Struct, frozen=True):
    """What other processes need to know of a running cloud: kept 0600 beside the data."""

    pid: int
    endpoint: str
    token: str
    account: str
    # When the process began, as the machine tells it: pids are given out again.
    born: str = ""


class CannotListen(OSError):
    """The address is taken, or is none of this machine's."""


@dataclass(slots=True)
class Running:
    """A cloud that answers."""

    cloud: Cloud
    gateway: Gateway
    server: Server
    log: RequestLog
    endpoint: str
    root_key: tuple[str, Path] | None

    async def close(self) -> None:
        """Stop taking requests, finish those under way, then stop the cloud."""
        self.cloud.wakers.ring_all()
        await self.server.close(GRACE_SECONDS)
        await self.gateway.close()
        self.log.flush()
        await self.cloud.close()
        # Last: whoever sees it gone may start the next cloud on the same data at once.
        self._forget_state()

    def _forget_state(self) -> None:
        # Another gateway on the same database may have said there where it is.
        state = read_state(self.cloud.data)
        if state is None or state.pid == os.getpid():
            (self.cloud.data / STATE_FILE).unlink(missing_ok=True)


async def run(settings: Settings) -> Running:
    """Start a cloud and its gateway. Port 0 takes a free one."""
    cloud = Cloud(settings)
    await cloud.start()
    log = RequestLog(cloud.data, cloud.clock.host.seconds)
    gateway = Gateway(cloud, log)
    gateway.internal.counts = lambda: (log.count, log.errors)
    try:
        tls = cloud.server_tls() if settings.tls else None
        try:
            server = await serve(
                gateway,
                settings.hosts,
                settings.port,
                tls=tls,
                limits=Limits(),
                host_seconds=cloud.clock.host.seconds,
                bad_request=gateway.bad_request,
                crashed=gateway.crashed,
            )
        except OSError as error:
            why = error.strerror or error
            raise CannotListen(f"cannot listen on port {settings.port}: {why}") from error
    except BaseException:
        await cloud.close()
        raise
    scheme = "https" if settings.tls else "http"
    endpoint = cloud.endpoint = f"{scheme}://localhost:{server.port}"
    token = gateway.internal.token = secrets.token_urlsafe(32)
    state = State(os.getpid(), endpoint, token, DEFAULT_ACCOUNT, _born(os.getpid()) or "")
    write_state(cloud.data / STATE_FILE, state)
    return Running(cloud, gateway, server, log, endpoint, await _root_key(cloud))


async def _root_key(cloud: Cloud) -> tuple[str, Path] | None:
    """The default account's root key, written in the form that SDKs read; made at first start.

    Where keys alone let in, so are those of the accounts of that number in other partitions.
    """
    if cloud.settings.data is None:
        return None
    access_key, secret = await cloud.identities.root_key(DEFAULT_ACCOUNT)
    path = cloud.data / CREDENTIALS_FILE
    text = _profile("default", access_key, secret)
    for name, partition in PROFILES.items() if cloud.settings.strict_auth else ():
        keys = await cloud.identities.root_key(DEFAULT_ACCOUNT, partition)
        text += _profile(name, *keys) + f"region = {HOMES[partition]}\n"
    if not path.exists() or path.read_text() != text:
        write_secret(path, text.encode())
    return access_key, path


def _profile(name: str, access_key: str, secret: str) -> str:
    return f"[{name}]\naws_access_key_id = {access_key}\naws_secret_access_key = {secret}\n"


def read_state(data: Path) -> State | None:
    """The state of the cloud that runs on a data directory, None where none does.

    A killed cloud leaves its file behind, and its pid may by now be anybody's: who stops a cloud
    must not stop that process.
    """
    try:
        state = msgspec.json.decode((data / STATE_FILE).read_bytes(), type=State)
        os.kill(state.pid, 0)
    except (OSError, msgspec.DecodeError, OverflowError):
        return None
    born = _born(state.pid)
    return state if born is None or born == state.born else None


def _born(pid: int) -> str | None:
    """When a process began, in ticks since the machine did; "" where it has ended.

    None on machines without /proc: there a pid must do.
    """
    try:
        # The name in brackets may hold anything; what follows it is the state and numbers.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None if not Path("/proc/self/stat").exists() else ""
    return "" if fields[0] in {b"Z", b"X"} else fields[19].decode()


def write_state(path: Path, state: State) -> None:
    """Say where this cloud is. It runs on a full disk, too: it can be read, and be emptied."""
    content = msgspec.json.encode(state)
    try:
        write_secret(path, content)
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        path.with_name(path.name + NEW).unlink(missing_ok=True)
        if not path.exists():
            _log.warning("the disk is full: other commands will not find this cloud (%s)", error)
            return
        # What a killed cloud has left has room for as much.
        with path.open("r+b") as file:
            file.write(content)
            file.truncate()


def write_secret(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    temporary = path.with_name(path.name + NEW)
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    temporary.replace(path)


class InThread:
    """A cloud that runs in a thread of its own, for tests and notebooks."""

    def __init__(self, settings: Settings) -> None:
        self._settings = replace(settings)
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self.running: Running | None = None

    def start(self) -> Running:
        """Start it and wait until it answers. One that has stopped may start again."""
        assert self._thread is None, "it runs already"
        self._failure = None
        self._ready.clear()
        self._thread = threading.Thread(target=self._run, name="doppio", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._join()
            raise self._failure
        assert self.running is not None
        return self.running

    def call(self, coroutine: Any) -> Any:
        """Run a coroutine on the cloud's loop and wait for its result."""
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def stop(self) -> None:
        """Stop it and wait until it has; one that has is left alone."""
        if self._thread is not None:
            assert self._loop is not None
            assert self._stop is not None
            self._loop.call_soon_threadsafe(self._stop.set)
            self._join()

    def _join(self) -> None:
        assert self._thread is not None
        self._thread.join()
        self._thread = None

    def _run(self) -> None:
        loop.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        try:
            self.running = await run(self._settings)
        except BaseException as error:
            self._failure = error
            self._ready.set()
            return
        self._ready.set()
        await self._stop.wait()
        await self.running.close()
