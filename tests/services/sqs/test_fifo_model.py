"""A FIFO queue against lists: order within each group, whatever happens to the machine."""

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
GROUPS = ("a", "b", "c")


class Fifo(RuleBasedStateMachine):
    """What a FIFO queue must hold: each group is a list, and what is in flight is its beginning."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.world = World()
        self.do(self.world.start())
        self.do(self.world.cloud.set_clock(self.world.cloud.clock.paused()))
        self.url = self.do(make(self.world, "q.fifo", VisibilityTimeout=str(VISIBILITY)))
        self.sent = 0
        self.second = 0
        self.groups: dict[str, list[str]] = {group: [] for group in GROUPS}
        # Body → until when its latest receipt hides it, and that receipt.
        self.hidden: dict[str, int] = {}
        self.held: dict[str, dict[str, Any]] = {}

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run it to its end."""
        return self.loop.run_until_complete(work)

    def flying(self) -> list[str]:
        """What is in flight."""
        return sorted(body for body, until in self.hidden.items() if until > self.second)

    @rule(group=st.sampled_from(GROUPS))
    def send(self, group: str) -> None:
        """A message more, and once again: the second is the first."""
        body = f"{group}{self.sent}"
        self.sent += 1
        ids = {"MessageGroupId": group, "MessageDeduplicationId": body}
        first = self.do(send(self.world, self.url, body, **ids))
        again = self.do(send(self.world, self.url, body, **ids))
        assert first["SequenceNumber"] == again["SequenceNumber"]
        self.groups[group].append(body)

    @rule(most=st.integers(1, 10))
    def receive(self, most: int) -> None:
        """Free groups are given from their beginning, locked ones are not touched."""
        got = [one["Body"] for one in self.keep(self.do(self.take(most)))]
        locked = {body[0] for body in self.flying()}
        free = {group: bodies for group, bodies in self.groups.items() if group not in locked}
        assert len(got) == min(most, sum(map(len, free.values())))
        for group in GROUPS:
            mine = [body for body in got if body[0] == group]
            assert mine == free.get(group, [])[: len(mine)]
        for body in got:
            self.hidden[body] = self.second + VISIBILITY

    def take(self, most: int) -> Coroutine[Any, Any, list[dict[str, Any]]]:
        """Receive."""
        return receive(self.world, self.url, MaxNumberOfMessages=most)

    def keep(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Remember receipts."""
        self.held.update({message["Body"]: message for message in messages})
        return messages

    @precondition(lambda self: self.flying())
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        """What is in flight may be deleted in any order, and is gone."""
        body = data.draw(st.sampled_from(self.flying()))
        self.do(delete(self.world, self.url, self.held.pop(body)))
        del self.hidden[body]
        self.groups[body[0]].remove(body)

    @precondition(lambda self: self.flying())
    @rule(data=st.data(), seconds=st.sampled_from([0, 3, 60]))
    def hide(self, data: st.DataObject, seconds: int) -> None:
        """What is in flight is hidden for longer, or less long."""
        body = data.draw(st.sampled_from(self.flying()))
        self.do(hide(self.world, self.url, self.held[body], seconds))
        self.hidden[body] = self.second + seconds

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
        flying = len(self.flying())
        total = sum(map(len, self.groups.values()))
        assert self.do(counts(self.world, self.url)) == (total - flying, flying, 0)

    def teardown(self) -> None:
        """Everything that was not deleted is still there, in order."""
        self.do(self.world.advance(3600))
        left: dict[str, list[str]] = {group: [] for group in GROUPS}
        while got := self.do(receive(self.world, self.url)):
            for message in got:
                left[message["Body"][0]].append(message["Body"])
                self.do(delete(self.world, self.url, message))
        assert left == self.groups
        self.do(self.world.close())
        self.loop.close()


Fifo.TestCase.settings = settings(max_examples=20, stateful_step_count=30, deadline=None)
TestFifo = Fifo.TestCase
