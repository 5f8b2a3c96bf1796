"""Whether a history is linearizable: whether each call can have happened at one moment of its own,
between its beginning and its end, so that together they are what one client would have seen.

The search is Wing and Gong's, with what it has been through remembered (as Lowe does it): at each
point any call may be next that had begun before all that are left over had ended. A call that was not
answered happened, or never did.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

S = TypeVar("S")


class Call(Generic[S]):
    """One call: when it began and ended, and what it makes of a state; None where what it answered
    cannot be of that state."""

    def __init__(
        self,
        begun: float,
        ended: float,
        step: Callable[[S], S | None],
        *,
        answered: bool = True,
        shown: str = "",
    ) -> None:
        self.begun = begun
        self.ended = ended
        self.step = step
        self.answered = answered
        self.shown = shown

    def after(self, state: S) -> list[S]:
        """The states that may be next."""
        found = self.step(state)
        next_states = [] if found is None else [found]
        if not self.answered and state not in next_states:
            next_states.append(state)
        return next_states

    def __repr__(self) -> str:
        mark = "" if self.answered else " (not answered)"
        return f"[{self.begun:.6f} {self.ended:.6f}] {self.shown}{mark}"


def stuck_at(calls: Sequence[Call[S]], state: S) -> list[Call[S]] | None:
    """None where a history is linearizable; else the calls of which none can be next, at the
    farthest point that can be reached."""
    calls = sorted(calls, key=lambda one: one.begun)
    first: tuple[int, frozenset[int], S] = (0, frozenset(), state)
    seen, todo = {first}, [first]
    farthest: tuple[int, list[Call[S]]] = (-1, [])
    while todo:
        low, done, now = todo.pop()
        if low == len(calls):
            return None
        able = _able(calls, low, done)
        if low + len(done) > farthest[0]:
            farthest = (low + len(done), [calls[number] for number in able])
        # What ended first is tried first: it lies last.
        for number in sorted(able, key=lambda one: -calls[one].ended):
            for following in calls[number].after(now):
                place = (*_passed(low, done | {number}), following)
                if place not in seen:
                    seen.add(place)
                    todo.append(place)
    return farthest[1]


def _able(calls: Sequence[Call[S]], low: int, done: frozenset[int]) -> list[int]:
    """The calls that may be next: those that began before any that is left had ended."""
    able, until, number = [], float("inf"), low
    while number < len(calls) and calls[number].begun <= until:
        if number not in done:
            able.append(number)
            until = min(until, calls[number].ended)
        number += 1
    return [one for one in able if calls[one].begun <= until]


def _passed(low: int, done: frozenset[int]) -> tuple[int, frozenset[int]]:
    """The first call that is left, and those behind it that are done."""
    while low in done:
        done -= {low}
        low += 1
    return low, done
