"""Two gateways on one PostgreSQL, of which one is killed again and again."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from tests.kernel.postgres_server import schema_url

from .clients import Clients
from .everything import everything
from .servers import Server


@pytest.mark.parametrize("kills", [5, pytest.param(20, marks=pytest.mark.slow)])
def test_nothing_is_lost_when_one_of_two_gateways_is_killed(tmp_path: Path, kills: int) -> None:
    chance = random.Random(kills)
    url = schema_url()
    restarts: list[float] = []
    data = tmp_path / "data"
    with (
        Server(data, "--store", url, name="one") as one,
        Server(data, "--store", url, name="two") as two,
    ):
        load = everything(Clients([one.endpoint, two.endpoint]), seed=kills)
        load.start()
        for _ in range(kills):
            load.hold(chance.uniform(0.2, 0.8))
            server = chance.choice([one, two])
            server.kill()
            load.hold(chance.uniform(0.1, 0.5))
            restarts.append(server.start())
        load.hold(0.5)
        load.finish()
        state = json.loads((data / "cloud.json").read_text())
        last, other = (one, two) if state["pid"] == one.pid else (two, one)
        other.stop()
        assert json.loads((data / "cloud.json").read_text()) == state, "the last one is found"
        last.stop()
    shown = " ".join(f"{seconds * 1000:.0f}" for seconds in restarts)
    print(f"  {load.report()}\n  restarts, ms: {shown}")
    assert all(worker.steps for worker in load.workers), "every kind of call was under way"
