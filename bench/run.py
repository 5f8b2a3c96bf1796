"""`python -m bench.run`: every server in turn, round by round, and the figures into RESULTS.md."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import boto3

from bench.load import OPERATIONS, Outcome, cpu_seconds
from bench.messages import PUBLISH_RAW, PUBLISH_SIGNED, prepare_topics
from bench.page import update
from bench.peers import (
    CACHE,
    DOPPIO,
    PEERS,
    Peer,
    Running,
    available,
    resident_mib,
    running,
    version,
)


def client_of(port: int) -> Callable[[str], Any]:
    """Makes clients of a server, by service."""
    return lambda service: boto3.client(
        service, endpoint_url=f"http://localhost:{port}", region_name="us-east-1",
        aws_access_key_id="test", aws_secret_access_key="test",
    )  # fmt: skip


def prepare(port: int, peer: Peer = DOPPIO) -> None:
    """Make the bucket, queue, topics and table."""
    client = client_of(port)
    if "s3" not in peer.lacks:
        client("s3").create_bucket(Bucket="bench")
    if "sqs" not in peer.lacks:
        client("sqs").create_queue(QueueName="bench")
        prepare_topics(client, PUBLISH_RAW, PUBLISH_SIGNED)
    if "dynamodb" in peer.lacks:
        return
    table = client("dynamodb")
    table.create_table(
        TableName="bench", BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"},
                   {"AttributeName": "sk", "KeyType": "RANGE"}],
    )  # fmt: skip
    table.get_waiter("table_exists").wait(TableName="bench", WaiterConfig={"Delay": 1})


def load(
    server: Running, operation: str, seconds: float, concurrency: int, items: int | None = None
) -> Outcome:
    """One run of the generator, in a process of its own."""
    command = [
        sys.executable, "-m", "bench.load", str(server.port), str(server.pid), operation,
        str(seconds), str(concurrency), *([] if items is None else [str(items)]),
    ]  # fmt: skip
    if (os.cpu_count() or 1) > 1:
        command = ["taskset", "-c", "0", *command]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return Outcome(**json.loads(done.stdout))


def measure(
    peer: Peer, seconds: float, concurrency: int
) -> tuple[dict[str, Outcome], dict[str, float]]:
    """One round of one server, with the operations that it has."""
    with running(peer, cpu=(os.cpu_count() or 1) - 1) as server:
        facts = {"cold": server.cold_start_seconds, "rss": resident_mib(server.pid)}
        time.sleep(1)
        before = cpu_seconds(server.pid)
        time.sleep(3)
        facts["idle"] = cpu_seconds(server.pid) - before
        prepare(server.port, peer)
        outcomes = {
            operation: load(server, operation, seconds, concurrency)
            for operation in OPERATIONS
            if operation.partition(" ")[0] not in peer.lacks
        }
        facts["rss after"] = resident_mib(server.pid)
    return outcomes, facts


def rates_of(runs: list[Outcome]) -> list[float]:
    """Operations a CPU second, of the runs that did not fail, worst first."""
    good = [run for run in runs if run.failed <= run.count * 0.01]
    return sorted(run.count / max(run.cpu_seconds, 0.01) for run in good)


def figure(values: list[float]) -> str:
    """The best of a few, and the median."""
    return f"{max(values):,.0f} ({statistics.median(values):,.0f})"


def report(found: dict[str, list[tuple[dict[str, Outcome], dict[str, float]]]], args: Any) -> str:
    """The figures as a part of the page."""
    peers = [peer for peer in PEERS if peer.name in found]
    lines = [
        (
            f"Concurrency {args.concurrency}, {args.rounds} alternating rounds of "
            f"{args.seconds:g} s, the server on one core and the generator on the other. Figures "
            "are operations per **CPU second** of the server: the best round, which noise has "
            "disturbed least, and the median in brackets. A message received and deleted counts "
            "as two operations."
        ),
        "",
        "| server | version | durability | signatures |",
        "| --- | --- | --- | --- |",
        *(f"| {p.name} | {version(p)} | {p.durable} | {p.signed} |" for p in peers),
        "",
        "| 1 KiB | " + " | ".join(p.name for p in peers) + " | "
        + " | ".join(f"÷ {p.name}" for p in peers[1:])
        + (" | " if peers[1:] else "") + "doppio, per wall second | p50 / p99 |",
        "| --- |" + " ---: |" * (2 * len(peers) + 1),
    ]  # fmt: skip
    for operation in OPERATIONS:
        runs = {
            p.name: [outcomes[operation] for outcomes, _ in found[p.name] if operation in outcomes]
            for p in peers
        }
        rates = {name: rates_of(outcomes) for name, outcomes in runs.items()}
        cells = [
            figure(rates[p.name]) if rates[p.name] else "fails" if runs[p.name] else "–"
            for p in peers
        ]
        own = rates[DOPPIO.name]
        cells += [
            f"{max(own) / max(rates[p.name]):.1f}×" if rates[p.name] else "–" for p in peers[1:]
        ]
        cells.append(figure([run.count / run.seconds for run in runs[DOPPIO.name]]))
        best = min(runs[DOPPIO.name], key=lambda run: run.p50_ms)
        cells.append(f"{best.p50_ms:.1f} / {best.p99_ms:.1f} ms")
        lines.append(f"| {operation} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "| | " + " | ".join(p.name for p in peers) + " |",
        "| --- |" + " ---: |" * len(peers),
    ]
    for title, fact, unit in (
        ("cold start, to the first signed answer: best (median)", "cold", "s"),
        ("resident after the start", "rss", "MiB"),
        ("CPU time of 3 idle seconds", "idle", "s"),
        ("resident after the load", "rss after", "MiB"),
    ):
        cells = []
        for p in peers:
            values = [facts[fact] for _, facts in found[p.name]]
            cell = f"{statistics.median(values):.2f} {unit}"
            cells.append(f"{min(values):.2f} ({cell})" if fact == "cold" else cell)
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--only", help="names of servers, by commas")
    parser.add_argument("--dry", action="store_true", help="do not write RESULTS.md")
    args = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    names = args.only.split(",") if args.only else [peer.name for peer in PEERS]
    found: dict[str, list[tuple[dict[str, Outcome], dict[str, float]]]] = {}
    peers = [peer for peer in PEERS if peer.name in names and available(peer)]
    for _ in range(args.rounds):
        for peer in peers:
            found.setdefault(peer.name, []).append(measure(peer, args.seconds, args.concurrency))
    update("peers", "Small operations, beside others", report(found, args), dry=args.dry)


if __name__ == "__main__":
    main()
