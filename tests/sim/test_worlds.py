"""Worlds: the real cloud with a simulated clock and disk, through crashes, by seed."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from doppio.kernel.local_store import Group

from .disk import Faults, SimulatedStore
from .loop import NeverRests
from .workloads import WORKLOADS, story

HERE = Path(__file__).parent
SEEDS = 90
SLOW_SEEDS = 2_000
SEEDS_A_TEST = 15


def blocks(seeds: range) -> list[Any]:
    """Seeds in blocks, a test each: a failure names its seed."""
    return [
        pytest.param(seeds[start : start + SEEDS_A_TEST], id=f"from-{seeds[start]}")
        for start in range(0, len(seeds), SEEDS_A_TEST)
    ]


@pytest.mark.parametrize("seeds", blocks(range(SEEDS)))
def test_the_claims_hold_in_every_world(seeds: range) -> None:
    worlds = [story(seed) for seed in seeds]
    assert sum(world.crashes for world in worlds) > 0


@pytest.mark.slow
@pytest.mark.parametrize("seeds", blocks(range(SEEDS, SLOW_SEEDS)))
def test_the_claims_hold_in_many_more_worlds(seeds: range) -> None:
    for seed in seeds:
        story(seed)


REGRESSIONS = tomllib.loads((HERE / "regressions.toml").read_text())["world"]


@pytest.mark.parametrize("world", REGRESSIONS, ids=lambda world: str(world["seed"]))
def test_a_world_that_once_failed_is_well(world: dict[str, Any]) -> None:
    story(world["seed"], world.get("workloads", ()))


def test_a_seed_tells_the_same_story_again_and_in_another_process() -> None:
    first = story(11, tuple(WORKLOADS)).history
    assert len(first) > 100
    assert story(11, tuple(WORKLOADS)).history == first
    told = subprocess.run(
        [sys.executable, "-m", "tests.sim", "11", *WORKLOADS],
        env={**os.environ, "PYTHONHASHSEED": "7"}, cwd=HERE.parent.parent,
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert told.splitlines()[:-1] == first


class Forgetful(SimulatedStore):
    """A disk that loses, with a crash, also the last groups that it had confirmed."""

    def __init__(
        self, disk: dict[bytes, bytes], faults: Faults | None, crashed: Callable[[], None]
    ) -> None:
        super().__init__(disk, faults, self._forget)
        self._told_crash = crashed
        self._before: list[dict[bytes, bytes]] = []

    def _apply(self, group: Group) -> None:
        self._before = [*self._before[-2:], dict(self.disk)]
        super()._apply(group)

    def _forget(self) -> None:
        self.disk.clear()
        self.disk.update(self._before[0])
        self._told_crash()


class Torn(SimulatedStore):
    """A disk on which only half of the last group arrives."""

    def _apply(self, group: Group) -> None:
        if self.faults is not None and self.groups - self._first >= self.faults.crash_at:
            keys = sorted(group.rows)
            for key in keys[: len(keys) // 2]:
                del group.rows[key]
        super()._apply(group)


@pytest.mark.parametrize("disk", [Forgetful, Torn])
@pytest.mark.parametrize("name", ["ring", "orders"])
def test_a_disk_that_breaks_its_promise_is_found(disk: type[SimulatedStore], name: str) -> None:
    failures = 0
    for seed in range(12):
        try:
            story(seed, (name,), disk)
        except NeverRests:
            # However much a disk lies, nobody is busy without end.
            raise
        except Exception:
            failures += 1
    assert failures > 0


def test_a_lost_wake_up_would_be_found_as_a_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("doppio.kernel.wakers.Wakers.ring", lambda self, topic: None)
    with pytest.raises(Exception) as found:
        story(3, ("ring",))
    assert "seed 3" in found.value.__notes__[0]
