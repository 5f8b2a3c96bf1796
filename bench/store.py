"""What a commit and a read cost: `python -m bench.store [memory|sqlite|URL] [--rows N]`.

Each committer does what an operation does: 60 µs of Python work, one point read, one put of 1 KiB,
one counter, one log entry, commit. CPU is the whole process's (user and system) without the work,
then the event loop's part of it; the fastest of a few rounds counts, as others share the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from doppio.kernel.keys import pack, prefix_range
from doppio.kernel.memory_store import MemoryStore
from doppio.kernel.sqlite_store import SqliteStore
from doppio.kernel.store import Store

WORK_SECONDS = 60e-6
ROUNDS = 3


class Figures(NamedTuple):
    """One line of the table."""

    commits_per_second: float
    cpu_us: float
    loop_us: float
    median_ms: float
    p99_ms: float


def work(seconds: float) -> None:
    """Keep the interpreter busy for so much CPU time of this thread."""
    if not seconds:
        return
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


async def committers(store: Store, concurrency: int, count: int, busy: float) -> Figures:
    """`count` commits from so many at once."""
    value = os.urandom(1024)
    started = 0
    latencies: list[float] = []

    async def one() -> None:
        nonlocal started
        while started < count:
            started += 1
            number = started
            work(busy)
            began = time.perf_counter()
            tx = store.begin()
            await tx.get(pack("table", "definition"))
            tx.put(pack("item", f"{number * 7919 % 1_000_003:08d}"), value)
            tx.add(b"\x03usage", 1.0)
            tx.append("audit", value[:150])
            await tx.commit()
            latencies.append(time.perf_counter() - began)

    cpu, loop_cpu, wall = time.process_time(), time.thread_time(), time.perf_counter()
    await asyncio.gather(*(one() for _ in range(concurrency)))
    wall = time.perf_counter() - wall
    cpu, loop_cpu = time.process_time() - cpu, time.thread_time() - loop_cpu
    latencies.sort()
    return Figures(
        commits_per_second=count / wall,
        cpu_us=(cpu / count - busy) * 1e6,
        loop_us=(loop_cpu / count - busy) * 1e6,
        median_ms=statistics.median(latencies) * 1e3,
        p99_ms=latencies[int(len(latencies) * 0.99)] * 1e3,
    )


async def writes(make: Callable[[Path], Store], parent: Path) -> None:
    """The table of commits."""
    print("work µs  at once  commits/s  CPU µs  of it loop  median ms  p99 ms")
    for busy in (0.0, WORK_SECONDS):
        for concurrency, count in ((1, 1_500), (16, 15_000), (64, 20_000)):
            found = []
            for _ in range(ROUNDS):
                with tempfile.TemporaryDirectory(dir=parent) as folder:
                    store = make(Path(folder) / "store")
                    await committers(store, concurrency, count // 10, busy)
                    found.append(await committers(store, concurrency, count, busy))
                    await store.close()
            best = min(found, key=lambda figures: figures.cpu_us)
            print(
                f"{busy * 1e6:7.0f} {concurrency:8} {best.commits_per_second:10,.0f} "
                f"{best.cpu_us:7.1f} {best.loop_us:11.1f} {best.median_ms:10.2f} {best.p99_ms:7.2f}"
            )


async def reads(make: Callable[[Path], Store], parent: Path, rows: int) -> None:
    """What reading costs with so many rows, and how long opening them takes."""
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        path = Path(folder) / "store"
        store = make(path)
        for start in range(0, rows, 5_000):
            tx = store.begin()
            for number in range(start, min(rows, start + 5_000)):
                tx.put(pack("item", f"{number:08d}"), b"v" * 200)
            await tx.commit()
        await store.close()
        began = time.perf_counter()
        store = make(path)
        opened = time.perf_counter() - began
        view = store.view()
        keys = [pack("item", f"{n * 7_919 % rows:08d}") for n in range(10_000)]
        for key in keys:
            assert await view.get(key)
        began = time.perf_counter()
        for key in keys:
            await view.get(key)
        get = (time.perf_counter() - began) / len(keys)
        began = time.perf_counter()
        for _ in keys:
            await view.get(keys[0])
        again = (time.perf_counter() - began) / len(keys)
        lo, hi = pack("item", f"{rows // 2:08d}"), prefix_range("item")[1]
        began = time.perf_counter()
        for _ in range(300):
            await view.scan(lo, hi, limit=100)
        scan = (time.perf_counter() - began) / 300
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{rows:,} rows: open {opened * 1e3:.0f} ms, get {get * 1e6:.1f} µs, again {again * 1e6:.1f} µs, "
            f"scan of 100 {scan * 1e6:.0f} µs, peak RSS {peak:.0f} MiB"
        )
        await store.close()


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="What a commit and a read cost.")
    parser.add_argument("store", nargs="?", default="sqlite", help="memory, sqlite or a URL")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--dir", type=Path, default=Path.cwd(), help="a folder on the disk to use")
    asked = parser.parse_args()

    def make(path: Path) -> Store:
        if asked.store == "memory":
            return MemoryStore()
        if asked.store == "sqlite":
            return SqliteStore(path)
        from doppio.kernel.postgres_store import PostgresStore

        return PostgresStore(asked.store)

    asyncio.run(writes(make, asked.dir))
    if asked.store == "sqlite":
        asyncio.run(reads(make, asked.dir, 10_000))
        asyncio.run(reads(make, asked.dir, asked.rows))


if __name__ == "__main__":
    main()
