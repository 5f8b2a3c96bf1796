"""Concurrent clients of a real server, killed in the middle: what they saw is linearizable.

Reads, writes, conditional writes and transactions on a few items, by several clients at once. What was
not answered when the server was killed happened before that, or never.
"""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from .clients import Clients
from .histories import EMPTY, TABLE, History, Player, State, play
from .linear import Call, stuck_at
from .servers import Server

HERE, THERE, YONDER = "us-east-1", "us-east-2", "us-west-2"


def make_table(clients: Clients) -> None:
    """The table of the history."""
    clients.call(
        "dynamodb", "create_table", TableName=TABLE, BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )  # fmt: skip
    wait_until_active(clients)


def wait_until_active(clients: Clients) -> None:
    """Wait for what comes in a moment."""
    while True:
        table = clients.surely("dynamodb", "describe_table", TableName=TABLE)["Table"]
        states = [one["ReplicaStatus"] for one in table.get("Replicas", ())]
        if table["TableStatus"] == "ACTIVE" and set(states) <= {"ACTIVE"}:
            return
        time.sleep(0.02)


def played(
    server: Server, players: list[Player], over: threading.Event, *, kills: int, seconds: float
) -> None:
    """Let them play, with a kill and a new start now and then."""
    chance = random.Random(kills)
    threads = play(players, over)
    for _ in range(kills):
        over.wait(seconds * chance.uniform(0.5, 1.0))
        server.kill()
        server.start()
    over.wait(seconds)
    over.set()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive(), "a client hangs"
        assert not thread.name.startswith("failed"), thread.name
    server.stop()


@pytest.mark.parametrize(
    ("kills", "seconds"), [(1, 1.0), pytest.param(8, 2.0, marks=pytest.mark.slow)]
)
def test_items_and_transactions_are_linearizable_through_kill_nine(
    tmp_path: Path, kills: int, seconds: float
) -> None:
    history = History()
    with Server(tmp_path / "data") as server:
        clients = Clients([server.endpoint])
        make_table(clients)
        players = [Player(clients, history, seed) for seed in range(5)]
        played(server, players, clients.over, kills=kills, seconds=seconds)
    print(f"  {len(history.calls)} calls, {history.unanswered()} of them not answered")
    assert len(history.calls) > 100 * seconds
    assert stuck_at(history.calls, EMPTY) is None


@pytest.mark.parametrize(
    ("kills", "seconds"), [(1, 1.0), pytest.param(6, 2.0, marks=pytest.mark.slow)]
)
def test_three_replicas_of_strong_consistency_are_linearizable_as_one(
    tmp_path: Path, kills: int, seconds: float
) -> None:
    history = History()
    over = threading.Event()
    with Server(tmp_path / "data") as server:
        regional = [Clients([server.endpoint], region=one) for one in (HERE, THERE, YONDER)]
        for one in regional:
            one.over = over
        make_table(regional[0])
        regional[0].call(
            "dynamodb", "update_table", TableName=TABLE, MultiRegionConsistency="STRONG",
            ReplicaUpdates=[{"Create": {"RegionName": one}} for one in (THERE, YONDER)],
        )  # fmt: skip
        for one in regional:
            wait_until_active(one)
        players = [
            Player(regional[seed % 3], history, seed, transactions=False) for seed in range(6)
        ]
        played(server, players, over, kills=kills, seconds=seconds)
    print(f"  {len(history.calls)} calls, {history.unanswered()} of them not answered")
    assert len(history.calls) > 100 * seconds
    assert stuck_at(history.calls, EMPTY) is None


def write(begun: float, ended: float, value: str, **more: Any) -> Call[State]:
    """A write of the first item."""
    return Call(begun, ended, lambda state: (value, *state[1:]), **more)


def read(begun: float, ended: float, *values: str | None) -> Call[State]:
    """A read of all items."""
    return Call(begun, ended, lambda state: state if state == values else None)


def test_the_checker_knows_what_cannot_have_happened() -> None:
    one, two = ("a", None, None), ("b", None, None)
    none: tuple[None, ...] = (None, None, None)
    assert stuck_at([write(0, 1, "a"), read(2, 3, *one)], EMPTY) is None
    assert stuck_at([write(0, 3, "a"), read(1, 2, *none), read(1, 2, *one)], EMPTY) is None
    stale = [write(0, 1, "a"), write(2, 3, "b"), read(4, 5, *one)]
    assert stuck_at(stale, EMPTY) == [stale[2]]
    back = [write(0, 9, "a"), read(1, 2, *one), read(3, 4, *none)]
    assert stuck_at(back, EMPTY) is not None
    two_orders = [
        write(0, 9, "a"), write(0, 9, "b"), read(10, 11, *one), read(12, 13, *two),
    ]  # fmt: skip
    assert stuck_at(two_orders, EMPTY) is not None
    torn: Call[State] = Call(0, 1, lambda state: ("a", "a", state[2]))
    assert stuck_at([torn, read(0, 1, "a", None, None)], EMPTY) is not None


def test_what_was_not_answered_happened_in_its_time_or_never() -> None:
    lost = write(0, 1, "a", answered=False)
    assert stuck_at([lost, read(2, 3, None, None, None)], EMPTY) is None
    assert stuck_at([lost, read(2, 3, "a", None, None)], EMPTY) is None
    late = [lost, read(2, 3, None, None, None), read(4, 5, "a", None, None)]
    assert stuck_at(late, EMPTY) == [late[2]]
