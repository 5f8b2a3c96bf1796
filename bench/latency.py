"""`python -m bench.latency`: how long an answer takes at half of the load that a server can take.

Requests are due at fixed moments, whether earlier ones have been answered or not, and an answer's time
counts from when its request was due: a server that pauses is charged for all who had to wait.
"""

from __future__ import annotations

import argparse
import os
import selectors
import statistics
import time
from collections import deque
from collections.abc import Callable, Sequence

from bench.load import KEYS, Client, prepared
from bench.page import update
from bench.peers import CACHE, DOPPIO, running
from bench.run import load, prepare

OPERATIONS = ("dynamodb PutItem", "dynamodb GetItem", "dynamodb Query (10 items)")
CONNECTIONS = 16
PEAK_SECONDS = 3.0
PACED_SECONDS = 6.0
POINTS = (0.5, 0.99, 0.999)


def paced(
    port: int, following: Callable[[Client, bytes | None], bytes], rate: float, seconds: float
) -> list[float]:
    """Ask `rate` times a second for some seconds. Returns the answers' times in seconds, sorted."""
    selector = selectors.DefaultSelector()
    clients = [Client(port) for _ in range(CONNECTIONS)]
    free = deque(clients)
    due_of: dict[Client, float] = {}
    for client in clients:
        selector.register(client.socket, selectors.EVENT_READ, client)
    began = time.perf_counter()
    count, total = 0, int(rate * seconds)
    times: list[float] = []
    while len(times) < total:
        now = time.perf_counter()
        while count < total and free and began + count / rate <= now:
            client = free.popleft()
            due_of[client] = began + count / rate
            client.send(following(client, None))
            count += 1
        # Busy in between: a sleep is less exact than what is measured.
        for ready, _ in selector.select(0):
            client = ready.data
            if client.complete() is None:
                continue
            assert client.answer[9:12] == b"200", client.answer
            assert not client.closed
            times.append(time.perf_counter() - due_of[client])
            free.append(client)
    for client in clients:
        selector.unregister(client.socket)
        client.socket.close()
    return sorted(times)


def milliseconds(times: Sequence[float]) -> list[float]:
    """The times below which half, 99 % and 99.9 % of them lie."""
    return [times[min(int(len(times) * point), len(times) - 1)] * 1e3 for point in POINTS]


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dry", action="store_true", help="do not write RESULTS.md")
    args = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    cpu = (os.cpu_count() or 1) - 1
    if cpu > 0:
        os.sched_setaffinity(0, {0})
    found: dict[str, list[tuple[float, list[float]]]] = {}
    for _ in range(args.rounds):
        with running(DOPPIO, cpu=cpu) as server:
            prepare(server.port)
            for operation in OPERATIONS:
                peak = load(server, operation, PEAK_SECONDS, CONNECTIONS)
                rate = peak.count / peak.seconds / 2
                requests = prepared(server.port, operation, KEYS)
                times = paced(server.port, requests, rate, PACED_SECONDS)
                found.setdefault(operation, []).append((rate, milliseconds(times)))
    lines = [
        (
            f"At half of the most that {CONNECTIONS} connections get through, {PACED_SECONDS:g} s at a "
            f"time, from the moment at which a request was due; the median of {args.rounds} rounds."
        ),
        "",
        "| 1 KiB, durable and signed | requests a second | p50 | p99 | p99.9 |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for operation in OPERATIONS:
        rate = statistics.median(rate for rate, _ in found[operation])
        cells = [
            f"{statistics.median(values):.1f} ms"
            for values in zip(*(times for _, times in found[operation]), strict=True)
        ]
        lines.append(f"| {operation} | {rate:,.0f} | " + " | ".join(cells) + " |")
    update("latency", "Latency at half of the peak", "\n".join(lines), dry=args.dry)


if __name__ == "__main__":
    main()
