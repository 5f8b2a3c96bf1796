"""Drives a coroutine without a Task.

Most requests never wait: their coroutine ends at the first step, and a Task (or even a Future)
would be pure cost. One that does wait for an asyncio future is stepped again when that is done.
In a coroutine driven so there is no current task: `asyncio.timeout` and `TaskGroup` cannot be used
there; futures, events, `wait_for` and executors can.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


def drive(
    coroutine: Coroutine[Any, Any, T],
    done: Callable[[T | None, BaseException | None], None],
) -> Drive[T] | None:
    """Run a coroutine until it ends, or waits: only then is there something to hold on to."""
    try:
        awaited = coroutine.send(None)
    except StopIteration as stop:
        done(stop.value, None)
    except BaseException as error:
        done(None, error)
    else:
        under_way = Drive(coroutine, done)
        under_way.wait_for(awaited)
        return under_way
    return None


class Drive(Generic[T]):
    """A coroutine that waits. `done(result, error)` is called once, at the end."""

    __slots__ = ("_coroutine", "_done", "_waiting", "finished")

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, T],
        done: Callable[[T | None, BaseException | None], None],
    ) -> None:
        self._coroutine = coroutine
        self._done = done
        self._waiting: asyncio.Future[Any] | None = None
        self.finished = False

    def step(self, ready: asyncio.Future[Any] | None = None) -> None:
        """Run until the coroutine waits or ends."""
        if self.finished:
            return
        self._waiting = None
        try:
            awaited = self._coroutine.send(None)
        except StopIteration as stop:
            self.finished = True
            self._done(stop.value, None)
        except BaseException as error:
            self.finished = True
            self._done(None, error)
        else:
            self.wait_for(awaited)

    def cancel(self) -> None:
        """Throw CancelledError into the coroutine, so that it lets go of what it holds."""
        if self.finished:
            return
        if self._waiting is not None:
            self._waiting.remove_done_callback(self.step)
            self._waiting = None
        try:
            awaited = self._coroutine.throw(asyncio.CancelledError())
        except StopIteration as stop:
            self.finished = True
            self._done(stop.value, None)
        except BaseException as error:
            self.finished = True
            self._done(None, error)
        else:
            self.wait_for(awaited)

    def wait_for(self, awaited: Any) -> None:
        """Go on when what the coroutine waits for is there."""
        if awaited is None:
            asyncio.get_running_loop().call_soon(self.step)
            return
        # What a Task does: the future is told that somebody waits for it in the proper way.
        awaited._asyncio_future_blocking = False
        self._waiting = awaited
        awaited.add_done_callback(self.step)
