"""What clients know: what was acknowledged must be, what was not answered may be."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class Register(Generic[T]):
    """One thing with a value and one writer. It holds one of `possible`."""

    def __init__(self, name: str, value: T) -> None:
        self.name = name
        self.possible: set[T] = {value}

    def asked(self, value: T) -> None:
        """A write of this value is under way: from now on it may be there."""
        self.possible.add(value)

    def told(self, value: T) -> None:
        """It was acknowledged: nothing else is possible."""
        self.possible = {value}

    def seen(self, value: T) -> None:
        """A read found this: it must be possible, and from now on it alone is."""
        assert value in self.possible, f"{self.name} is {value!r}, not one of {self.possible!r}"
        self.possible = {value}


class Messages:
    """The messages of one queue, by their bodies. Several threads use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: set[str] = set()
        self._told: set[str] = set()
        self._deleting: set[str] = set()
        self._gone: set[str] = set()
        self._seen: set[str] = set()

    def sending(self, body: str) -> None:
        """A message is about to be sent."""
        with self._lock:
            self._asked.add(body)

    def sent(self, body: str) -> None:
        """Sending it was acknowledged."""
        with self._lock:
            self._told.add(body)

    def gone(self) -> frozenset[str]:
        """Those whose deletion has been acknowledged; taken before asking for messages."""
        with self._lock:
            return frozenset(self._gone)

    def received(self, body: str, gone: frozenset[str]) -> None:
        """A message was received; `gone` is what had been deleted before it was asked for."""
        with self._lock:
            assert body in self._asked, f"{body!r} was never sent"
            assert body not in gone, f"{body!r} was deleted and has come back"
            self._seen.add(body)

    def deleting(self, body: str) -> None:
        """It is about to be deleted."""
        with self._lock:
            self._deleting.add(body)

    def deleted(self, body: str) -> None:
        """Deleting it was acknowledged."""
        with self._lock:
            self._gone.add(body)

    def lost(self) -> set[str]:
        """After draining: what was acknowledged, and never came to anybody to be deleted."""
        return self._told - self._deleting

    def counts(self) -> dict[str, int]:
        """For the report."""
        return {"sent": len(self._told), "received": len(self._seen), "deleted": len(self._gone)}
