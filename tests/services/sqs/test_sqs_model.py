"""A queue against a list: nothing acknowledged is lost, nothing deleted comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.services.world import World

from .helpers import counts, delete, hide, make, receive, send

VISIBILITY = 30


class Queue(RuleBasedStateMachine):
    """What a standard queue must hold, whatever happens to it and its machine."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.world = World()
        self.do(self.world.start())
        self.do(self.world.cloud.set_clock(self.world.cloud.clock.paused()))
        self.url = self.do(make(self.world, "q", VisibilityTimeout=str(VISIBILITY)))
        self.sent = 0
        # Body → the second from which it may be received.
        self.visible: dict[str, float] = {}
        self.second = 0.0
        self.held: dict[str, dict[str, Any]] = {}

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run it to its end."""
        return self.loop.run_until_complete(work)

    @rule(delay=st.sampled_from([0, 0, 5]))
    def send(self, delay: int) -> None:
        """A message more."""
        body = f"m{self.sent}"
        self.sent += 1
        self.do(send(self.world, self.url, body, DelaySeconds=delay))
        self.visible[body] = self.second + delay

    @rule(most=st.integers(1, 10))
    def receive(self, most: int) -> None:
        """Only what may be seen is given, and no fewer than there are."""
        got = self.do(receive(self.world, self.url, MaxNumberOfMessages=most))
        ready = {body for body, at in self.visible.items() if at <= self.second}
        bodies = [message["Body"] for message in got]
        assert set(bodies) <= ready
        assert len(bodies) == len(set(bodies)) == min(most, len(ready))
        for message in got:
            self.visible[message["Body"]] = self.second + VISIBILITY
            self.held[message["Body"]] = message

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        """What was received last may be deleted, and is gone."""
        body = data.draw(st.sampled_from(sorted(self.held)))
        self.do(delete(self.world, self.url, self.held.pop(body)))
        del self.visible[body]

    @precondition(lambda self: self.held)
    @rule(data=st.data(), seconds=st.sampled_from([0, 3, 60]))
    def hide(self, data: st.DataObject, seconds: int) -> None:
        """A message in flight is hidden for longer, or less long."""
        flying = sorted(body for body in self.held if self.visible[body] > self.second)
        if flying:
            body = data.draw(st.sampled_from(flying))
            self.do(hide(self.world, self.url, self.held[body], seconds))
            self.visible[body] = self.second + seconds

    @rule(seconds=st.sampled_from([1, 5, 30]))
    def advance(self, seconds: int) -> None:
        """Time goes on."""
        self.do(self.world.advance(seconds))
        self.second += seconds

    @rule()
    def crash(self) -> None:
        """The machine stops at once, and another one finds its disk."""
        old, self.world = self.world, self.world.again()
        self.do(old.close())
        self.do(self.world.start())

    @invariant()
    def counted(self) -> None:
        """The counts are exact."""
        hidden = sum(at > self.second for at in self.visible.values())
        waiting, flying, delayed = self.do(counts(self.world, self.url))
        assert (waiting, flying + delayed) == (len(self.visible) - hidden, hidden)

    def teardown(self) -> None:
        """Everything that was not deleted is still there."""
        self.do(self.world.advance(3600))
        left: set[str] = set()
        while got := self.do(receive(self.world, self.url)):
            left |= {message["Body"] for message in got}
        assert left == set(self.visible)
        self.do(self.world.close())
        self.loop.close()


Queue.TestCase.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
TestQueue = Queue.TestCase
