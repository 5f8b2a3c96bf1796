"""Control groups: how much memory a group may have, and how much it had, and how many processes.

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
    """One group. `counting` is its folder in the other hierarchy where v1 counts processes."""

    def __init__(self, folder: Path, *, unified: bool, counting: Path | None = None) -> None:
        self.folder = folder
        self.counting = counting
        self._unified = unified

    @property
    def folders(self) -> list[Path]:
        """What a process joins, to be in the group."""
        return [self.folder, *([self.counting] if self.counting else [])]

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
        for folder in self.folders:
            try:
                folder.rmdir()
            except FileNotFoundError:
                continue
            except OSError:
                return False
        return True


class Cgroups:
    """Where groups are made."""

    def __init__(self, parent: Path, *, unified: bool, counting: Path | None = None) -> None:
        self._parent = parent
        self._counting = counting
        self._unified = unified
        self._swept = False

    @staticmethod
    def find(mount: Path = _MOUNT, own: Path = Path("/proc/self/cgroup")) -> Cgroups | None:
        """Where this process may bound memory; None where it may not."""
        try:
            lines = own.read_text().splitlines()
        except OSError:
            return None
        places = {name: path for _, names, path in (line.split(":", 2) for line in lines)
                  for name in names.split(",")}  # fmt: skip
        found = {
            name: mount / name / places[name].lstrip("/")
            for name in ("memory", "pids")
            if name in places and os.access(mount / name / places[name].lstrip("/"), os.W_OK)
        }
        if "memory" in found:
            return Cgroups(found["memory"], unified=False, counting=found.get("pids"))
        for folder in _ancestors(mount, places[""]) if "" in places else ():
            if _gives_memory(folder):
                return Cgroups(folder, unified=True)
        return None

    def make(self, name: str, memory_bytes: int, processes_max: int) -> Cgroup | None:
        """A group whose processes have so much memory together, and are so many at the most.

        None where the kernel refuses; where it does not count processes, nothing bounds their number.
        """
        if not self._swept:
            self._swept = True
            self.sweep()
        own = f"{_PREFIX}{os.getpid()}-{name}"
        group = self._group(own)
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
        try:
            group.folders[-1].mkdir(exist_ok=True)
            (group.folders[-1] / "pids.max").write_text(str(processes_max))
        except OSError:
            group.counting = None
        return group

    def sweep(self) -> int:
        """Remove the groups of processes that are no more, with what still runs in them. It blocks."""
        removed = 0
        parents = [self._parent, *([self._counting] if self._counting else [])]
        for name in {folder.name for one in parents for folder in one.glob(f"{_PREFIX}*-*")}:
            owner = name.removeprefix(_PREFIX).partition("-")[0]
            if not owner.isdigit() or is_alive(int(owner)):
                continue
            group = self._group(name)
            group.kill()
            for _ in range(_TRIES):
                if group.remove():
                    removed += 1
                    break
                time.sleep(_PAUSE_SECONDS)
        return removed

    def _group(self, name: str) -> Cgroup:
        counting = self._counting / name if self._counting else None
        return Cgroup(self._parent / name, unified=self._unified, counting=counting)


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
