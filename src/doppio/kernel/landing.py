"""What a commit waits for: the moment at which its group is on disk.

A group's commits land together. A future would send each of them through the event loop once more,
with a handle and a context of its own; who drives a coroutine itself, as the gateway does, is called
at once instead, one after the other. A Task may wait here as it does for a future, and goes on in the
next turn of the loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Generator
from contextvars import Context
from typing import Any

_log = logging.getLogger("doppio.store")


class Landing:
    """Awaited by one; `land` ends it once."""

    __slots__ = ("_asyncio_future_blocking", "_context", "_error", "_landed", "_waits")

    def __init__(self) -> None:
        self._landed = False
        self._error: BaseException | None = None
        self._waits: Callable[[Any], object] | None = None

    def __await__(self) -> Generator[Landing, None, None]:
        if not self._landed:
            self._asyncio_future_blocking = True
            yield self
        if self._error is not None:
            raise self._error

    def land(self, error: BaseException | None = None) -> None:
        """The group is on disk, or failed. Whoever was cancelled meanwhile hears nothing more."""
        if self._landed:
            return
        self._landed = True
        self._error = error
        waits, self._waits = self._waits, None
        if waits is None:
            return
        if self._context is not None:
            asyncio.get_running_loop().call_soon(waits, self, context=self._context)
            return
        try:
            waits(self)
        except Exception:
            # One waiter's fault is not its neighbours'.
            _log.exception("who waited for a commit failed")

    # What a Task asks of a future.

    def add_done_callback(
        self, waits: Callable[[Any], object], *, context: Context | None = None
    ) -> None:
        """Call it at the end: at once, or by the loop where a Task gives its context."""
        assert self._waits is None, "a commit is waited for by one"
        assert not self._landed, "who asks, asks before it has landed"
        self._waits, self._context = waits, context

    def remove_done_callback(self, waits: Callable[[Any], object]) -> int:
        """Nobody waits any more."""
        found = self._waits == waits
        if found:
            self._waits = None
        return int(found)

    def cancel(self, msg: Any = None) -> bool:
        """Whoever waits is cancelled; the commit itself goes its way."""
        if self._landed:
            return False
        self.land(asyncio.CancelledError() if msg is None else asyncio.CancelledError(msg))
        return True

    def done(self) -> bool:
        """Whether it has landed."""
        return self._landed

    def result(self) -> None:
        """Nothing, or the error with which it failed."""
        if self._error is not None:
            raise self._error

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop in which it lands."""
        return asyncio.get_running_loop()
