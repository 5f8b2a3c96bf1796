"""`python -m bench.line`: the order line. A million waiting messages, wake-ups, and news for many."""

from __future__ import annotations

import argparse
import json
import os
import selectors
import socket
import statistics
import threading
import time
from contextlib import ExitStack

from bench.load import ITEM_VALUE, Client, Outcome, sqs
from bench.messages import (
    FAN_OUT_RAW,
    FAN_OUT_SIGNED,
    PUBLISH_RAW,
    PUBLISH_SIGNED,
    RECEIVE,
    SEND_RECEIVE_DELETE,
    batches,
    prepare_topics,
)
from bench.page import update
from bench.peers import CACHE, DOPPIO, Running, resident_mib, running
from bench.run import client_of, load, prepare

FEW = 100
BACKLOG_OPERATIONS = (RECEIVE, SEND_RECEIVE_DELETE)
FAN_OUT_OPERATIONS = (
    "sqs SendMessage", PUBLISH_RAW, PUBLISH_SIGNED, FAN_OUT_RAW, FAN_OUT_SIGNED
)  # fmt: skip
AT_ONCE = 16
Costs = dict[tuple[int, str], list[float]]


def send(port: int, messages: int) -> None:
    """Send so many messages."""
    requests = batches(port, messages)
    selector = selectors.DefaultSelector()
    for _ in range(AT_ONCE):
        request = next(requests, None)
        if request is not None:
            client = Client(port)
            selector.register(client.socket, selectors.EVENT_READ, client)
            client.send(request)
    while selector.get_map():
        for ready, _ in selector.select(1):
            client = ready.data
            body = client.complete()
            if body is None:
                continue
            assert client.answer[9:12] == b"200", client.answer
            assert b"Failed" not in body, body
            request = next(requests, None)
            if request is None:
                selector.unregister(client.socket)
                client.socket.close()
            else:
                client.send(request)


def cost(outcome: Outcome) -> float:
    """CPU time of an operation, in microseconds."""
    assert outcome.failed == 0, outcome
    return outcome.cpu_seconds / outcome.count * 1e6


def backlog(cpu: int, many: int, rounds: int, seconds: float) -> tuple[Costs, dict[str, float]]:
    """What receiving costs behind few and many messages, and the memory that many take."""
    costs: Costs = {}
    resident: dict[str, float] = {}
    with ExitStack() as stack:
        servers: dict[int, Running] = {}
        for messages in (FEW, many):
            servers[messages] = server = stack.enter_context(running(DOPPIO, cpu=cpu))
            prepare(server.port)
            send(server.port, messages)
        resident["sent"] = resident_mib(servers[many].pid)
        for _ in range(rounds):
            for messages, server in servers.items():
                for operation in BACKLOG_OPERATIONS:
                    outcome = load(server, operation, seconds, AT_ONCE)
                    costs.setdefault((messages, operation), []).append(cost(outcome))
        resident["received"] = resident_mib(servers[many].pid)
    return costs, resident


def wake_ups(cpu: int, times: int) -> list[float]:
    """Milliseconds from asking to send until who waits has the message, sorted."""
    found: list[float] = []
    with running(DOPPIO, cpu=cpu) as server:
        prepare(server.port)
        waiting, sending = Client(server.port), Client(server.port)
        receive = sqs(server.port, "ReceiveMessage", {"WaitTimeSeconds": 20})
        put = sqs(server.port, "SendMessage", {"MessageBody": ITEM_VALUE})
        for _ in range(times):
            answered: list[tuple[float, bytes]] = []

            def wait(into: list[tuple[float, bytes]] = answered) -> None:
                body = _answer(waiting)
                into.append((time.perf_counter(), body))

            waiting.send(receive)
            listener = threading.Thread(target=wait)
            listener.start()
            # Long enough that it waits.
            time.sleep(0.01)
            assert not answered
            began = time.perf_counter()
            sending.send(put)
            _answer(sending)
            listener.join()
            at, body = answered[0]
            found.append((at - began) * 1e3)
            handle = json.loads(body)["Messages"][0]["ReceiptHandle"]
            sending.send(sqs(server.port, "DeleteMessage", {"ReceiptHandle": handle}))
            _answer(sending)
        for client in (waiting, sending):
            client.socket.shutdown(socket.SHUT_RDWR)
            client.socket.close()
    return sorted(found)


def _answer(client: Client) -> bytes:
    body = client.complete()
    while body is None:
        body = client.complete()
    assert client.answer[9:12] == b"200", client.answer
    return body


def fan_out(cpu: int, rounds: int, seconds: float) -> dict[str, list[float]]:
    """What a message to many queues costs, beside one to one."""
    costs: dict[str, list[float]] = {}
    with running(DOPPIO, cpu=cpu) as server:
        prepare(server.port)
        prepare_topics(client_of(server.port), FAN_OUT_RAW, FAN_OUT_SIGNED)
        for _ in range(rounds):
            for operation in FAN_OUT_OPERATIONS:
                outcome = load(server, operation, seconds, AT_ONCE)
                costs.setdefault(operation, []).append(cost(outcome))
    return costs


def report(
    many: int,
    rounds: int,
    costs: Costs,
    resident: dict[str, float],
    woken: list[float],
    fanned: dict[str, list[float]],
) -> str:
    """The figures as a part of the page."""
    lines = [
        f"CPU time an operation at concurrency {AT_ONCE}; the best of {rounds} rounds, 1 KB a message.",
        "",
        f"| | {FEW} messages wait | {many:,} messages wait | ratio |",
        "| --- | ---: | ---: | ---: |",
    ]
    for operation in BACKLOG_OPERATIONS:
        few, lot = (min(costs[size, operation]) for size in (FEW, many))
        lines.append(f"| {operation} | {few:.0f} µs | {lot:.0f} µs | {lot / few:.2f} |")
    lines += [
        "",
        (
            f"Resident memory of the server with {many:,} messages: {resident['sent']:.0f} MiB "
            f"when they were sent, {resident['received']:.0f} MiB after the load."
        ),
        "",
        (
            "A long poll that waits, from the first byte of SendMessage to the last of its answer, "
            f"{len(woken)} times: p50 {statistics.median(woken):.1f} ms, "
            f"p99 {woken[int(len(woken) * 0.99)]:.1f} ms."
        ),
        "",
        "| | CPU time | of SendMessage's |",
        "| --- | ---: | ---: |",
    ]
    single = min(fanned[FAN_OUT_OPERATIONS[0]])
    for operation, found in fanned.items():
        lines.append(f"| {operation} | {min(found):,.0f} µs | {min(found) / single:.1f}× |")
    return "\n".join(lines)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--backlog", type=int, default=1_000_000)
    parser.add_argument("--wakes", type=int, default=300)
    parser.add_argument("--dry", action="store_true", help="do not write RESULTS.md")
    args = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    cpu = (os.cpu_count() or 1) - 1
    costs, resident = backlog(cpu, args.backlog, args.rounds, args.seconds)
    woken = wake_ups(cpu, args.wakes)
    fanned = fan_out(cpu, args.rounds, args.seconds)
    text = report(args.backlog, args.rounds, costs, resident, woken, fanned)
    update("line", "The order line", text, dry=args.dry)


if __name__ == "__main__":
    main()
