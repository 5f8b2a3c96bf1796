"""`python -m bench.scale`: what many rows cost, and how soon a cloud that has them is back."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.load import ITEM_VALUE, key
from bench.page import update
from bench.peers import CACHE, DOPPIO, Running, running
from bench.run import load, prepare
from doppio.app import Cloud, Settings

# The first is what the others are measured by; a restart is timed with MILLION.
MILLION = 1_000_000
SIZES = (1_000, MILLION, 10_000_000)
OPERATIONS = ("dynamodb GetItem", "dynamodb PutItem", "dynamodb Query (10 items)")
AT_ONCE = 16
PUTS_A_REQUEST = 25


async def fill(data: Path, rows: int) -> None:
    """Put so many items into the table, through the door."""
    cloud = Cloud(Settings(data=data))
    await cloud.start()
    context = cloud.root_context()
    starts = iter(range(0, rows, PUTS_A_REQUEST))

    async def work() -> None:
        for start in starts:
            puts = [
                {"PutRequest": {"Item": {**key(number), "v": {"S": ITEM_VALUE[:200]}}}}
                for number in range(start, min(start + PUTS_A_REQUEST, rows))
            ]
            await context.derive(context.caller).call(
                "dynamodb", "batch_write_item", {"RequestItems": {"bench": puts}}
            )

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    await cloud.close()


def killed(data: Path, server: Running) -> None:
    """Load a cloud, and kill it in the middle."""
    generator = subprocess.Popen(
        [sys.executable, "-m", "bench.load", str(server.port), str(server.pid), OPERATIONS[1], "5",
         str(AT_ONCE), str(MILLION)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    time.sleep(4)
    os.kill(server.pid, signal.SIGKILL)
    generator.terminate()
    generator.wait()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dry", action="store_true", help="do not write RESULTS.md")
    args = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    cpu = (os.cpu_count() or 1) - 1
    costs: dict[tuple[int, str], list[float]] = {}
    clean: list[float] = []
    after_kill: list[float] = []
    with tempfile.TemporaryDirectory(dir=CACHE) as place:
        folders = {rows: Path(place) / str(rows) for rows in SIZES}
        for rows, data in folders.items():
            with running(DOPPIO, data=data) as server:
                prepare(server.port)
            asyncio.run(fill(data, rows))
        for _ in range(args.rounds):
            for rows, data in folders.items():
                with running(DOPPIO, cpu=cpu, data=data) as server:
                    if rows == MILLION:
                        clean.append(server.cold_start_seconds)
                    for operation in OPERATIONS:
                        outcome = load(server, operation, 3, AT_ONCE, rows)
                        assert outcome.failed == 0, outcome
                        cost = outcome.cpu_seconds / outcome.count * 1e6
                        costs.setdefault((rows, operation), []).append(cost)
            with running(DOPPIO, cpu=cpu, data=folders[MILLION]) as server:
                killed(folders[MILLION], server)
            with running(DOPPIO, cpu=cpu, data=folders[MILLION]) as server:
                after_kill.append(server.cold_start_seconds)
    lines = [
        f"CPU time an operation, keys spread over the table; the best of {args.rounds} rounds.",
        "",
        "| | " + " | ".join(f"{rows:,} rows" for rows in SIZES) + " | ratios |",
        "| --- |" + " ---: |" * (len(SIZES) + 1),
    ]
    for operation in OPERATIONS:
        few, *many = (min(costs[rows, operation]) for rows in SIZES)
        cells = [f"{cost:.0f} µs" for cost in (few, *many)]
        ratios = ", ".join(f"{cost / few:.2f}" for cost in many)
        lines.append(f"| {operation} | " + " | ".join(cells) + f" | {ratios} |")
    lines += [
        "",
        (
            f"Restart with {MILLION:,} rows, to the first signed answer: after a clean stop "
            f"{max(clean):.2f} s, after kill -9 under load {max(after_kill):.2f} s (the worst of "
            f"{args.rounds})."
        ),
    ]
    update("scale", "Millions of rows", "\n".join(lines), dry=args.dry)


if __name__ == "__main__":
    main()
