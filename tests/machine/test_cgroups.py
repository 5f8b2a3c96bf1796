"""Control groups, on this kernel where it lets us, and on folders that look like the other kind."""

from __future__ import annotations

import subprocess
from pathlib import Path

from doppio.machine.cgroups import Cgroups
from tests.machine.guests import MEGABYTE, needs_groups, needs_linux


def v2(root: Path, controllers: str) -> Cgroups | None:
    """A unified tree: this process is in the last of three groups."""
    leaf = root / "a" / "b"
    leaf.mkdir(parents=True)
    for folder in (root, root / "a", leaf):
        (folder / "cgroup.subtree_control").write_text("")
    (root / "a" / "cgroup.subtree_control").write_text(controllers)
    own = root / "own"
    own.write_text("0::/a/b\n")
    return Cgroups.find(root, own)


def test_a_unified_group_is_made_where_an_ancestor_gives_memory(tmp_path: Path) -> None:
    found = v2(tmp_path, "cpu memory")
    assert found is not None
    group = found.make("one", 64 * MEGABYTE, 10)
    assert group is not None
    assert group.folder.parent == tmp_path / "a"
    assert (group.folder / "memory.max").read_text() == str(64 * MEGABYTE)
    assert (group.folder / "memory.swap.max").read_text() == "0"
    assert (group.folder / "pids.max").read_text() == "10"
    assert group.folders == [group.folder]
    (group.folder / "memory.events").write_text("max 3\noom 1\noom_kill 0\n")
    assert not group.out_of_memory()
    (group.folder / "memory.events").write_text("max 3\noom 1\noom_kill 2\n")
    assert group.out_of_memory()
    (group.folder / "memory.peak").write_text("4096\n")
    assert group.peak_bytes() == 4096


def test_without_the_memory_controller_there_are_no_groups(tmp_path: Path) -> None:
    assert v2(tmp_path, "cpu pids") is None
    assert Cgroups.find(tmp_path, tmp_path / "missing") is None


@needs_linux
def test_what_a_dead_process_has_left_is_removed_with_what_runs_in_it() -> None:
    needs_groups()
    groups = Cgroups.find()
    assert groups is not None
    mine = groups.make("kept", MEGABYTE * 16, 10)
    assert mine is not None
    dead = subprocess.Popen(["true"])
    dead.wait()
    left = mine.folder.with_name(f"doppio-{dead.pid}-left")
    left.mkdir()
    sleeper = subprocess.Popen(["sleep", "60"])
    (left / "cgroup.procs").write_text(str(sleeper.pid))
    assert groups.sweep() >= 1
    assert sleeper.wait(10) == -9
    assert not left.exists()
    assert mine.folder.exists(), "the process that made it is alive"
    assert mine.remove()
    assert mine.remove(), "again is no error"


def test_where_processes_cannot_be_counted_memory_is_bounded_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "memory" / "a").mkdir(parents=True)
    own = tmp_path / "own"
    own.write_text("8:pids:/missing\n4:cpu,memory:/none\n2:memory:/a\n")
    found = Cgroups.find(tmp_path, own)
    assert found is not None
    group = found.make("one", MEGABYTE, 10)
    assert group is not None
    assert group.folders == [group.folder]
    assert (group.folder / "memory.limit_in_bytes").read_text() == str(MEGABYTE)
