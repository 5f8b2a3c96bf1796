"""Control groups: how much memory a group of processes may have, and how much it had.

Both of Linux's interfaces are spoken. A group is made below the one this process is in (v1), or beside
it (v2, whose groups hold processes or groups, not both), so that nobody leaves a bound that holds for
the cloud itself. Groups are named by the process that made them; what a killed cloud has left is
removed, with whatever still runs in it, when the next one makes its first.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

_MOUNT = Path("/sys/fs/cgroup")
_PREFIX = "doppio-"
_TRIES = 50
_PAUSE_SECONDS = 0.01


class Cgroup:
    """One group."""

    def __init__(self, folder: Path, *, unified: bool) -> None:
        self.folder = folder
        self._unified = unified

    def peak_bytes(self) -> int:
        """The most memory that the group has had at a time; 0 where the kernel does not say."""
        name = "memory.peak" if self._unified else "memory.max_usage_in_bytes"
        try:
            return int((self.folder / name).read_text())
        except (OSError, ValueError):
            return 0

    def out_of_memory(self) -> bool:
        """Whether the kernel has killed a process of the group since it wanted more than it may have."""
        name = "memory.events" if self._unified else "memory.oom_control"
        try:
            lines = (self.folder / name).read_text().splitlines()
        except OSError:
            return False
        return any(line.startswith("oom_kill ") and line != "oom_kill 0" for line in lines)

    def kill(self) -> None:
        """Kill every process in the group."""
        for pid in _members(self.folder):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)

    def remove(self) -> bool:
        """Remove the group; whether it is gone. Processes that are dying keep it for a moment."""
        try:
            self.folder.rmdir()
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True


class Cgroups:
    """Where groups are made."""

    def __init__(self, parent: Path, *, unified: bool) -> None:
        self._parent = parent
        self._unified = unified
        self._swept = False

    @staticmethod
    def find(mount: Path = _MOUNT, own: Path = Path("/proc/self/cgroup")) -> Cgroups | None:
        """Where this process may bound memory; None where it may not."""
        try:
            lines = own.read_text().splitlines()
        except OSError:
            return None
        for line in lines:
            _, controllers, path = line.split(":", 2)
            if "memory" in controllers.split(","):
                folder = mount / "memory" / path.lstrip("/")
                if os.access(folder, os.W_OK):
                    return Cgroups(folder, unified=False)
            elif not controllers:
                for folder in _ancestors(mount, path):
                    if _gives_memory(folder):
                        return Cgroups(folder, unified=True)
        return None

    def make(self, name: str, memory_bytes: int) -> Cgroup | None:
        """A group whose processes have so much memory together; None where the kernel refuses."""
        if not self._swept:
            self._swept = True
            self.sweep()
        group = Cgroup(self._parent / f"{_PREFIX}{os.getpid()}-{name}", unified=self._unified)
        try:
            group.folder.mkdir(exist_ok=True)
            limit = "memory.max" if self._unified else "memory.limit_in_bytes"
            (group.folder / limit).write_text(str(memory_bytes))
        except OSError:
            group.remove()
            return None
        # What is swapped out is memory, too. Kernels without swap accounting lack the files.
        swap, most = ("memory.swap.max", 0) if self._unified else (
            "memory.memsw.limit_in_bytes", memory_bytes)  # fmt: skip
        with contextlib.suppress(OSError):
            (group.folder / swap).write_text(str(most))
        return group

    def sweep(self) -> int:
        """Remove the groups of processes that are no more, with what still runs in them. It blocks."""
        removed = 0
        for folder in self._parent.glob(f"{_PREFIX}*-*"):
            owner = folder.name.removeprefix(_PREFIX).partition("-")[0]
            if not owner.isdigit() or is_alive(int(owner)):
                continue
            group = Cgroup(folder, unified=self._unified)
            group.kill()
            for _ in range(_TRIES):
                if group.remove():
                    removed += 1
                    break
                time.sleep(_PAUSE_SECONDS)
        return removed


def _members(folder: Path) -> list[int]:
    try:
        return [int(line) for line in (folder / "cgroup.procs").read_text().split()]
    except OSError:
        return []


def _ancestors(mount: Path, path: str) -> Iterator[Path]:
    unified = mount / "unified"
    top = unified if unified.is_dir() else mount
    folder = top / path.lstrip("/")
    yield folder
    while folder != top and top in folder.parents:
        folder = folder.parent
        yield folder


def _gives_memory(folder: Path) -> bool:
    try:
        given = (folder / "cgroup.subtree_control").read_text().split()
    except OSError:
        return False
    return "memory" in given and os.access(folder, os.W_OK)


def is_alive(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
