"""`python -m bench.databases`: the same operations with the state in SQLite and in PostgreSQL."""

from __future__ import annotations

import argparse
import os
from contextlib import ExitStack

from bench.load import OPERATIONS, Outcome
from bench.page import update
from bench.peers import CACHE, DOPPIO, running
from bench.run import figure, load, prepare, rates_of
from tests.kernel.postgres_server import schema_url


def _cell(runs: list[Outcome]) -> str:
    """Operations a CPU second; where many were refused, how many."""
    rates = rates_of(runs)
    if rates:
        return figure(rates)
    refused = sum(run.failed for run in runs) / sum(run.count for run in runs)
    rate = max((run.count - run.failed) / run.cpu_seconds for run in runs)
    return f"{rate:,.0f}, {refused:.1%} throttled"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--dry", action="store_true", help="do not write RESULTS.md")
    args = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    found: dict[tuple[str, str], list[Outcome]] = {}
    for _ in range(args.rounds):
        for name in ("SQLite", "PostgreSQL"):
            options = ["--store", schema_url()] if name == "PostgreSQL" else []
            with ExitStack() as stack:
                cpu = (os.cpu_count() or 1) - 1
                server = stack.enter_context(running(DOPPIO, cpu=cpu, options=options))
                prepare(server.port)
                for operation in OPERATIONS:
                    found.setdefault((name, operation), []).append(
                        load(server, operation, args.seconds, 16)
                    )
    lines = [
        ("Operations per CPU second of the gateway alone (PostgreSQL's own processes come on top), and "
        f"per wall second; concurrency 16, {args.rounds} alternating rounds: best (median)."),
        "",
        "| 1 KiB | SQLite, CPU | PostgreSQL, CPU | SQLite, wall | PostgreSQL, wall |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]  # fmt: skip
    for operation in OPERATIONS:
        both = [found[name, operation] for name in ("SQLite", "PostgreSQL")]
        cells = [_cell(runs) for runs in both]
        cells += [figure([run.count / run.seconds for run in runs]) for runs in both]
        lines.append(f"| {operation} | " + " | ".join(cells) + " |")
    update("databases", "SQLite and PostgreSQL", "\n".join(lines), dry=args.dry)


if __name__ == "__main__":
    main()
