"""kill -9 fifty times under concurrent S3 writes: all that was acknowledged, and no file too many."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from doppio.app import Cloud, Settings
from doppio.services.s3.records import Blob

from .clients import Clients
from .load import Load
from .objects import Copies, Objects, Versions
from .servers import Server

SWEEP_SECONDS_MAX = 30.0
BLOBS_MAX = 100_000


@pytest.mark.parametrize("kills", [pytest.param(50, marks=pytest.mark.slow), 3])
def test_kill_nine_under_writes_of_objects_loses_nothing_and_leaves_no_file(
    tmp_path: Path, kills: int
) -> None:
    chance = random.Random(kills)
    data = tmp_path / "data"
    with Server(data) as server:
        clients = Clients([server.endpoint])
        load = Load(
            clients,
            [
                *(Objects(clients, seed, "objects") for seed in range(1, 4)),
                *(Copies(clients, seed, "objects") for seed in range(4, 6)),
                Versions(clients, 6),
            ],
        )
        load.start()
        for _ in range(kills):
            load.hold(chance.uniform(0.05, 0.8))
            server.kill()
            server.start()
        load.hold(0.5)
        load.finish()
        server.stop()
        orphans = files(data) - claims(data)
        # A sweep spares what is younger than a day, by the host's time: no test waits for that.
        for path in (data / "blobs").glob("*/*"):
            os.utime(path, (0, 0))
        server.start()
        words = [sys.executable, "-m", "doppio", "clock", "advance", "25h", "--data", str(data)]
        subprocess.run(words, check=True, capture_output=True, timeout=30)
        until = time.monotonic() + SWEEP_SECONDS_MAX
        while files(data) & orphans and time.monotonic() < until:
            time.sleep(0.1)
        time.sleep(1)
        clients.over.clear()
        for worker in load.workers:
            worker.check()
        server.stop()
    left, claimed = files(data), claims(data)
    print(f"  {load.report()}\n  orphans swept: {len(orphans)}, files left: {len(left)}")
    assert not left - claimed, "a file that nothing refers to"
    assert not claimed - left, "a record whose file is gone"
    assert all(worker.steps for worker in load.workers), "every kind of write was under way"


def files(data: Path) -> set[str]:
    """The bodies that lie on disk."""
    return {path.name for path in (data / "blobs").glob("*/*")}


def claims(data: Path) -> set[str]:
    """The bodies that records refer to, of a cloud that does not run."""

    async def read() -> set[str]:
        cloud = Cloud(Settings(data=data))
        try:
            found = await cloud.context_for("", "").read().list(Blob, (), limit=BLOBS_MAX)
            return {blob.id for blob in found}
        finally:
            await cloud.close()

    return asyncio.run(read())
