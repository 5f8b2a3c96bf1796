"""`make bench`: every server in turn, round by round, and the figures into RESULTS.md.

The server runs on one core and the load generator on another. Machines are noisy: what counts are
the ratios within this run, and operations per CPU second of the server.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3

from bench.load import OPERATIONS, Outcome, cpu_seconds
from bench.peers import CACHE, DOPPIO, PEERS, Peer, Running, resident_mib, running, version

RESULTS = Path(__file__).parent / "RESULTS.md"
MARK = "<!-- what follows is written by other programs of this folder -->"


def prepare(port: int) -> None:
    """Make the table, queue and bucket, and fill the table with ten items a key."""

    def client(service: str) -> Any:
        return boto3.client(
            service, endpoint_url=f"http://localhost:{port}", region_name="us-east-1",
            aws_access_key_id="test", aws_secret_access_key="test",
        )  # fmt: skip

    client("s3").create_bucket(Bucket="bench")
    client("sqs").create_queue(QueueName="bench")
    table = client("dynamodb")
    table.create_table(
        TableName="bench", BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"},
                   {"AttributeName": "sk", "KeyType": "RANGE"}],
    )  # fmt: skip
    table.get_waiter("table_exists").wait(TableName="bench", WaiterConfig={"Delay": 1})


def load(server: Running, operation: str, seconds: float, concurrency: int) -> Outcome:
    """One run of the generator, in a process of its own."""
    command = [
        sys.executable, "-m", "bench.load", str(server.port), str(server.pid), operation,
        str(seconds), str(concurrency),
    ]  # fmt: skip
    if (os.cpu_count() or 1) > 1:
        command = ["taskset", "-c", "0", *command]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return Outcome(**json.loads(done.stdout))


def measure(peer: Peer, seconds: float, concurrency: int) -> tuple[list[Outcome], dict[str, float]]:
    """One round of one server."""
    with running(peer, cpu=(os.cpu_count() or 1) - 1) as server:
        facts = {"cold": server.cold_start_seconds, "rss": resident_mib(server.pid)}
        time.sleep(1)
        before = cpu_seconds(server.pid)
        time.sleep(3)
        facts["idle"] = cpu_seconds(server.pid) - before
        prepare(server.port)
        outcomes = [load(server, operation, seconds, concurrency) for operation in OPERATIONS]
        facts["rss after"] = resident_mib(server.pid)
    return outcomes, facts


def middle(values: list[float]) -> float:
    """The median."""
    return statistics.median(values)


def report(found: dict[str, list[tuple[list[Outcome], dict[str, float]]]], args: Any) -> str:
    """The figures as a page."""
    peers = [peer for peer in PEERS if peer.name in found]
    lines = [
        "# Results",
        "",
        (f"{datetime.now(UTC):%Y-%m-%d}, {platform.system()} {platform.release()}, "
        f"{os.cpu_count()} virtual cores ({processor()}), Python {platform.python_version()}. "
        f"Concurrency {args.concurrency}, {args.rounds} alternating rounds of {args.seconds:g} s; "
        "medians. The server on one core, the generator on the other."),
        "",
        "| server | version | durability | signatures |",
        "| --- | --- | --- | --- |",
        *(f"| {p.name} | {version(p)} | {p.durable} | {p.signed} |" for p in peers),
        "",
        ("Operations per **CPU second** of the server (user and system time of all its threads), and "
        "per wall second. A message received and deleted counts as two operations."),
        "",
        "| 1 KiB operation | " + " | ".join(f"{p.name}: CPU / wall" for p in peers) + " | "
        + " | ".join(f"÷ {p.name}" for p in peers[1:]) + " | p50 / p99 |",
        "| --- |" + " ---: |" * (2 * len(peers)),
    ]  # fmt: skip
    for number, operation in enumerate(OPERATIONS):
        rates: dict[str, float] = {}
        cells = []
        for peer in peers:
            runs = [outcomes[number] for outcomes, _ in found[peer.name]]
            good = [run for run in runs if run.failed <= run.count * 0.01]
            if not good:
                cells.append("fails")
                continue
            rates[peer.name] = middle([run.count / max(run.cpu_seconds, 0.01) for run in good])
            wall = middle([run.count / run.seconds for run in good])
            cells.append(f"{rates[peer.name]:,.0f} / {wall:,.0f}")
        ratios = [
            f"{rates[DOPPIO.name] / rates[p.name]:.1f}×" if p.name in rates else "–"
            for p in peers[1:]
        ]
        own = [outcomes[number] for outcomes, _ in found[DOPPIO.name]]
        times = f"{middle([r.p50_ms for r in own]):.1f} / {middle([r.p99_ms for r in own]):.1f} ms"
        lines.append(f"| {operation} | " + " | ".join([*cells, *ratios, times]) + " |")
    lines += [
        "",
        "| | " + " | ".join(p.name for p in peers) + " |",
        "| --- |" + " ---: |" * len(peers),
    ]
    for title, fact, unit in (
        ("cold start, to the first signed ListBuckets answered", "cold", "s"),
        ("resident after the start", "rss", "MiB"),
        ("CPU time of 3 idle seconds", "idle", "s"),
        ("resident after the load", "rss after", "MiB"),
    ):
        values = [middle([facts[fact] for _, facts in found[p.name]]) for p in peers]
        cells = [f"{value:.2f} {unit}" for value in values]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def processor() -> str:
    """The processor's name."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--only", help="names of servers, by commas")
    parser.add_argument("--dry", action="store_true", help="do not write RESULTS.md")
    args = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    names = args.only.split(",") if args.only else [peer.name for peer in PEERS]
    found: dict[str, list[tuple[list[Outcome], dict[str, float]]]] = {}
    for _ in range(args.rounds):
        for peer in PEERS:
            if peer.name in names:
                found.setdefault(peer.name, []).append(
                    measure(peer, args.seconds, args.concurrency)
                )
    text = report(found, args)
    print(text)
    if not args.dry:
        old = RESULTS.read_text() if RESULTS.exists() else ""
        rest = old.partition(MARK)[2]
        RESULTS.write_text(f"{text}\n{MARK}\n{rest.lstrip()}")


if __name__ == "__main__":
    main()
