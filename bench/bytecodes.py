"""How many bytecodes an operation executes in the server's thread, by function.

What a noisy machine measures in microseconds this counts: the same today and tomorrow, so that a
change of one per cent shows, and a test can hold it (`tests/bench`). Work that C does (parsing,
hashing, the system) is not in it.

`python -m bench.bytecodes` writes the table into RESULTS.md; with an operation's name it prints the
functions that take most.
"""

from __future__ import annotations

import asyncio
import selectors
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

from bench.load import OPERATIONS, RECEIVE_DELETE, Client, Following, following_for
from bench.page import update
from bench.run import prepare
from doppio.app import Settings
from doppio.server import InThread

CONCURRENCY = 16
# What is compiled, imported and remembered at the first calls is not counted.
WARM_REQUESTS, REQUESTS = 400, 800
# What must be there before an operation is asked for, by operation.
BEFORE = {"s3 GetObject": ("s3 PutObject", WARM_REQUESTS),
          RECEIVE_DELETE: ("sqs SendMessage", WARM_REQUESTS + REQUESTS)}  # fmt: skip
LINES = 60


class Count(NamedTuple):
    """What the requests of one operation executed: bytecodes and calls of each function."""

    requests: int
    bytecodes: Counter[CodeType]
    calls: Counter[CodeType]

    @property
    def each(self) -> float:
        """Bytecodes a request."""
        return self.bytecodes.total() / self.requests


@contextmanager
def cloud() -> Iterator[InThread]:
    """A durable cloud in a thread, with what the generator needs."""
    with tempfile.TemporaryDirectory() as folder:
        thread = InThread(Settings(data=Path(folder) / "data", port=0))
        running = thread.start()
        try:
            prepare(running.server.port)
            yield thread
        finally:
            thread.stop()


def count(thread: InThread, operation: str) -> Count:
    """Count an operation's bytecodes, over many requests of several connections."""
    assert thread.running is not None
    port = thread.running.server.port
    if operation in BEFORE:
        first, requests = BEFORE[operation]
        ask(port, following_for(port, first, items=WARM_REQUESTS), requests)
    following = following_for(port, operation, items=WARM_REQUESTS)
    ask(port, following, WARM_REQUESTS)
    bytecodes: Counter[CodeType] = Counter()
    calls: Counter[CodeType] = Counter()

    def within(frame: FrameType, event: str, _: Any) -> Any:
        if event == "opcode":
            bytecodes[frame.f_code] += 1
        return within

    def entered(frame: FrameType, _: str, __: Any) -> Any:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        calls[frame.f_code] += 1
        return within

    thread.call(_trace(entered))
    try:
        ask(port, following, REQUESTS)
    finally:
        thread.call(_trace(None))
    return Count(REQUESTS, bytecodes, calls)


async def _trace(function: Any) -> None:
    # A thread's trace function is its own to set.
    asyncio.get_running_loop().call_soon(sys.settrace, function)


def ask(port: int, following: Following, requests: int) -> None:
    """Ask so many times, all connections busy. Raises RuntimeError for an answer that is no 200."""
    with selectors.DefaultSelector() as selector:
        clients = [Client(port) for _ in range(CONCURRENCY)]
        for client in clients:
            selector.register(client.socket, selectors.EVENT_READ, client)
            client.send(following(client, None))
        left = requests - CONCURRENCY
        waiting = CONCURRENCY
        while waiting:
            for ready, _ in selector.select(10):
                client = ready.data
                body = client.complete()
                if body is None:
                    continue
                if client.answer[9:12] != b"200":
                    raise RuntimeError(client.answer.decode(errors="replace"))
                if left > 0:
                    left -= 1
                    client.send(following(client, body))
                else:
                    waiting -= 1
        for client in clients:
            client.socket.close()


def where(code: CodeType) -> str:
    """A function's place and name."""
    file = code.co_filename.rpartition("/doppio/")[2].rpartition("/lib/")[2] or code.co_filename
    return f"{file}:{code.co_firstlineno} {code.co_qualname}"


def main() -> None:
    """The command."""
    with cloud() as thread:
        if len(sys.argv) > 1 and sys.argv[1] in OPERATIONS:
            counted = count(thread, sys.argv[1])
            print(f"{counted.each:8,.0f}        {sys.argv[1]}")
            for code, number in counted.bytecodes.most_common(LINES):
                calls = counted.calls[code] / counted.requests
                print(f"{number / counted.requests:8.1f} {calls:6.2f} {where(code)}")
            return
        found = {operation: count(thread, operation) for operation in OPERATIONS}
    lines = [
        f"In the server's thread, at concurrency {CONCURRENCY}. Each interpreter has its own.",
        "",
        "| 1 KiB | bytecodes | functions called |",
        "| --- | ---: | ---: |",
        *(
            f"| {operation} | {counted.each:,.0f} | {counted.calls.total() / counted.requests:,.0f} |"
            for operation, counted in found.items()
        ),
    ]
    update("bytecodes", "Bytecodes", "\n".join(lines), dry="--dry" in sys.argv)


if __name__ == "__main__":
    main()
