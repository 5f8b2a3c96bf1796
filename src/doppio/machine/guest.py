"""A program that serves events in an environment: the process, and the Runtime API that it asks.

All times here are the machine's: the program lives by them, whatever time it is in the cloud.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from doppio.machine.environments import Environment, Environments, Plan
from doppio.machine.runtime_api import Chunk, Invocation, RuntimeApi, Said

What = Literal["said", "late", "ended"]


class Reply(NamedTuple):
    """What came of a start or an event: the program said something, was late, or has ended."""

    what: What
    milliseconds: float
    said: Said | None = None
    status: int = 0
    out_of_memory: bool = False


class Guest:
    """One such program."""

    def __init__(self, environments: Environments, response_bytes_max: int) -> None:
        self._environments = environments
        self.api = RuntimeApi(self._known, response_bytes_max)
        self.environment: Environment | None = None
        self._there: asyncio.Future[Environment] = asyncio.get_running_loop().create_future()
        self.heard: Callable[[bytes], None] = lambda _: None
        self.ended: Callable[[], None] = lambda: None

    async def open(self) -> None:
        """Listen for it: what it will be told of the port goes into its plan."""
        await self.api.open()

    async def start(self, plan: Plan, seconds_max: float) -> Reply:
        """Start it, and wait until it asks for its first event. Raises OSError."""
        since = time.monotonic()
        self.environment = await self._environments.start(plan)
        self._there.set_result(self.environment)
        self.environment.heard = self.heard
        self.environment.ended.add_done_callback(lambda _: self.api.close())
        self.environment.ended.add_done_callback(lambda _: self.ended())
        reply = await self._first(self.api.started, since, seconds_max)
        if reply.what == "late":
            self.kill()
        return reply

    async def invoke(
        self, request_id: str, payload: bytes, headers: Mapping[str, str], seconds_max: float,
        chunk: Chunk | None = None,
    ) -> Reply:  # fmt: skip
        """Give it an event, and wait for what it says. One that is late is ended."""
        assert self.environment is not None
        since = time.monotonic()
        deadline = time.time_ns() // 1_000_000 + int(seconds_max * 1000)
        self.environment.thaw()
        said = self.api.invoke(
            Invocation(
                request_id, payload, {"Lambda-Runtime-Deadline-Ms": str(deadline), **headers}
            ),
            chunk,
        )
        reply = await self._first(said, since, seconds_max)
        if reply.what == "late":
            self.kill()
        return reply

    def rest(self) -> None:
        """Let it stand still until its next event, once it waits for that."""
        environment, api = self.environment, self.api
        assert environment is not None

        def idle() -> None:
            environment.drain()
            environment.freeze()

        api.idle = idle
        if api.is_waiting:
            idle()

    def wake(self) -> None:
        """It is about to get an event: let it not stand still."""
        self.api.idle = lambda: None

    def kill(self) -> None:
        """End it."""
        self.api.close()
        if self.environment is not None:
            self.environment.kill()

    @property
    def peak_bytes(self) -> int:
        """The most memory that it has had."""
        return 0 if self.environment is None else self.environment.peak_bytes

    async def _first(
        self, said: asyncio.Future[Said] | asyncio.Future[Said | None], since: float, seconds: float
    ) -> Reply:
        environment = self.environment
        assert environment is not None
        await asyncio.wait(
            {said, environment.ended}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
        )
        took = (time.monotonic() - since) * 1000
        if said.done():
            # What it wrote before it spoke belongs to this.
            environment.drain()
            return Reply("said", took, said.result())
        if environment.ended.done():
            return Reply("ended", took, None, environment.ended.result(), environment.out_of_memory)
        return Reply("late", took)

    async def _known(self, port: int, own: int) -> bool:
        """Whether a connection comes from the environment. Only Linux says; elsewhere, all do."""
        if sys.platform != "linux":
            return True
        loop = asyncio.get_running_loop()
        # It may be quicker than the thread that has started it.
        environment = await self._there
        return await loop.run_in_executor(None, _belongs, environment.pid, port, own)


_CONNECTIONS = Path("/proc/net/tcp")
_ESTABLISHED = "01"


def _belongs(pid: int, port: int, other: int) -> bool:
    """Whether a process, or one that comes from it, has the connection from one port to another."""
    inode = _inode(port, other)
    return inode is not None and any(_has(one, inode) for one in _tree(pid))


def _inode(port: int, other: int) -> str | None:
    ends = (f":{port:04X}", f":{other:04X}")
    with _CONNECTIONS.open() as lines:
        for line in lines:
            fields = line.split()
            if fields[1].endswith(ends[0]) and fields[2].endswith(ends[1]):
                return fields[9]
    return None


def _tree(pid: int) -> list[int]:
    found = [pid]
    for one in found:
        try:
            below = Path(f"/proc/{one}/task/{one}/children").read_text().split()
        except OSError:
            continue
        found += map(int, below)
    return found


def _has(pid: int, inode: str) -> bool:
    try:
        files = list(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False
    for file in files:
        with contextlib.suppress(OSError):
            if str(file.readlink()) == f"socket:[{inode}]":
                return True
    return False
