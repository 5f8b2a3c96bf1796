"""A load: workers in threads, each with a claim that it checks while it works and at the end."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from .clients import Clients, Over, Unanswered
from .ledgers import Register

QUIET_SECONDS_MAX = 40.0


class Worker:
    """Base: `step` is repeated until the load is over; `check` runs when all is quiet."""

    def __init__(self, clients: Clients, seed: int) -> None:
        self.clients = clients
        self.seed = seed
        self.random = random.Random(seed)
        self.steps = 0

    def setup(self) -> None:
        """Make what the steps need; nothing is killed yet."""

    def step(self) -> None:
        """A few calls. One that is not answered ends the step."""
        raise NotImplementedError

    def check(self) -> None:
        """The claim: what was acknowledged is there, all of it and nothing else."""

    def write(self, register: Register[Any], value: Any, call: Callable[[], object]) -> None:
        """One write of a register."""
        register.asked(value)
        call()
        register.told(value)


class Load:
    """Several workers at once."""

    def __init__(self, clients: Clients, workers: Sequence[Worker]) -> None:
        self.clients = clients
        self.workers = workers
        self._threads: list[threading.Thread] = []
        self._failures: list[BaseException] = []

    def start(self) -> None:
        """Set up, then work."""
        for worker in self.workers:
            worker.setup()
        self._threads = [
            threading.Thread(target=self._run, args=(worker,), daemon=True)
            for worker in self.workers
        ]
        for thread in self._threads:
            thread.start()

    def hold(self, seconds: float) -> None:
        """Let it work; the first failure of a worker is raised here."""
        until = time.monotonic() + seconds
        while not self._failures and (rest := until - time.monotonic()) > 0:
            time.sleep(min(rest, 0.05))
        self.raise_failure()

    def finish(self) -> None:
        """End the load and check every claim."""
        self.end()
        self.raise_failure()
        self.clients.over.clear()
        for worker in self.workers:
            worker.check()

    def end(self) -> None:
        """Let the workers come to an end."""
        self.clients.over.set()
        for thread in self._threads:
            thread.join(QUIET_SECONDS_MAX)
            assert not thread.is_alive(), "a worker hangs"

    def raise_failure(self) -> None:
        """Raise what a worker found."""
        if self._failures:
            self.end()
            raise self._failures[0]

    def report(self) -> str:
        """Steps by kind of worker."""
        counts: dict[str, int] = {}
        for worker in self.workers:
            name = type(worker).__name__
            counts[name] = counts.get(name, 0) + worker.steps
        return ", ".join(f"{name} {count}" for name, count in counts.items())

    def _run(self, worker: Worker) -> None:
        try:
            while not self.clients.over.is_set():
                try:
                    worker.step()
                    worker.steps += 1
                except Unanswered:
                    continue
        except Over:
            pass
        except BaseException as error:
            self._failures.append(error)
