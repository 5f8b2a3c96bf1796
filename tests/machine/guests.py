"""What the tests of environments share: programs in environments of their own."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from doppio.machine import interpreters
from doppio.machine.cgroups import Cgroups
from doppio.machine.environments import Environment, Environments, Plan
from doppio.machine.sandbox import View

MEGABYTE = 2**20
PYTHON = interpreters.python("{}.{}".format(*sys.version_info[:2]))

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has this")


def needs_sandbox() -> None:
    """Skip where bubblewrap is not there, or may not be used."""
    if Environments(Path("unused")).sandbox is None:
        pytest.skip("there is no bubblewrap that works on this machine")


def needs_groups() -> None:
    """Skip where this process may make no control groups for memory."""
    if Cgroups.find() is None:
        pytest.skip("memory control groups cannot be made on this machine")


def plan(code: str, *, name: str = "test", memory: int = 128 * MEGABYTE, **more: Path) -> Plan:
    """A Python program; it sees the folders `more` at the root, by name."""
    readable = {str(PYTHON.root): PYTHON.root, **{f"/{key}": path for key, path in more.items()}}
    view = View(readable, 8 * MEGABYTE, "/")
    command = (str(PYTHON.program), "-I", "-c", code)
    return Plan(name, command, {"GREETING": "hello"}, view, memory)


@asynccontextmanager
async def environments(root: Path, *, plain: bool = False) -> AsyncIterator[Environments]:
    """Environments below a folder; `plain`: without a sandbox, though there may be one."""
    made = Environments(root)
    if plain:
        made.__dict__["sandbox"] = None
    try:
        yield made
    finally:
        await made.close()


async def outcome(made: Environments, what: Plan) -> tuple[int, str, Environment]:
    """Run a program to its end: its status, and what it wrote."""
    said: list[bytes] = []
    environment = await made.start(what)
    environment.heard = said.append
    status = await asyncio.wait_for(environment.ended, 20)
    return status, b"".join(said).decode(), environment


async def until(true: Callable[[], bool | Awaitable[bool]]) -> None:
    """Wait until something is so; the test fails if it never is."""
    for _ in range(500):
        found = true()
        if found if isinstance(found, bool) else await found:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came true")


def tree(pid: int) -> list[int]:
    """A process and all that come from it."""
    found = [pid]
    for one in found:
        found += map(int, Path(f"/proc/{one}/task/{one}/children").read_text().split())
    return found


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
