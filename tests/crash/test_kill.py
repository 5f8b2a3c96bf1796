"""kill -9 at any time: what was acknowledged is there, and what was not is whole or absent."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from .clients import Clients
from .everything import everything
from .indexes import Changes, Pairs, make_table, out_of_step, torn
from .load import Load
from .servers import Server

# A cloud of a few thousand rows is back in a fraction of this, also on a busy machine.
RESTART_SECONDS_MAX = 5.0


@pytest.mark.parametrize("kills", [8, pytest.param(30, marks=pytest.mark.slow)])
def test_nothing_acknowledged_is_lost_by_kill_nine_under_load(tmp_path: Path, kills: int) -> None:
    chance = random.Random(kills)
    restarts: list[float] = []
    with Server(tmp_path / "data") as server:
        load = everything(Clients([server.endpoint]), seed=kills)
        load.start()
        for _ in range(kills):
            load.hold(chance.uniform(0.05, 0.8))
            server.kill()
            restarts.append(server.start())
        load.hold(0.5)
        load.finish()
        server.stop()
    shown = " ".join(f"{seconds * 1000:.0f}" for seconds in restarts)
    print(f"  {load.report()}\n  restarts, ms: {shown}")
    assert max(restarts) < RESTART_SECONDS_MAX
    assert all(worker.steps for worker in load.workers), "every kind of call was under way"


@pytest.mark.parametrize("kills", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_no_index_is_out_of_step_and_no_transaction_torn_after_any_kill(
    tmp_path: Path, kills: int
) -> None:
    chance = random.Random(kills)
    steps = 0
    with Server(tmp_path / "data") as server:
        make_table(Clients([server.endpoint]))
        for number in range(kills):
            clients = Clients([server.endpoint])
            workers = [
                kind(clients, 10 * number + one) for kind in (Changes, Pairs) for one in (1, 2)
            ]
            load = Load(clients, workers)
            load.start()
            load.hold(chance.uniform(0.2, 0.6))
            server.kill()
            load.end()
            load.raise_failure()
            server.start()
            clients.over.clear()
            assert out_of_step(clients) == torn(clients) == []
            steps += sum(worker.steps for worker in workers)
        server.stop()
    print(f"  {steps} steps")
    assert steps > 10 * kills
