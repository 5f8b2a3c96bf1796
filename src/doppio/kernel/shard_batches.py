"""What becomes of the records of a shard: in which batches they go, and again if they failed. Pure.

Source: "Batching and concurrency" in the user guide of EventBridge Pipes, and "How Lambda processes
records from stream and queue-based event sources".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec

Records = Mapping[str, Mapping[str, Any]]
# The pauses between tries of a batch double from one to the other.
RETRY_PAUSE_MIN = timedelta(seconds=1)
RETRY_PAUSE_MAX = timedelta(minutes=1)
# What AWS calls without end.
WITHOUT_END = -1


class Waiting(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Records that did not arrive, by sequence number, to be tried again together at `at`."""

    numbers: list[str]
    lane: int = 0
    tries: int = 0
    at: datetime | None = None


class Progress(Protocol):
    """How far somebody has come in a shard: all up to `after` is done with.

    While batches of the records behind it are `waiting`, those `until` there have been read.
    """

    @property
    def shard(self) -> str: ...
    @property
    def after(self) -> str: ...
    @property
    def until(self) -> str: ...
    @property
    def waiting(self) -> list[Waiting]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """How somebody wants a shard's records: `size` of a batch, and how many of them side by side."""

    size: int
    lanes: int = 1
    window: timedelta = timedelta(0)
    retries: int = WITHOUT_END
    age_seconds: int = WITHOUT_END
    bisects: bool = False


def lanes_of(
    numbers: Sequence[str], lanes: int, size: int, key: Callable[[str], str]
) -> list[list[Waiting]]:
    """Records in batches, in lanes that go side by side: those of one key keep their order."""
    sorted_in: list[list[str]] = [[] for _ in range(lanes)]
    for number in numbers:
        sorted_in[_lane(key(number), lanes) if lanes > 1 else 0].append(number)
    return [
        [
            Waiting(lane=lane, numbers=list(told[first : first + size]))
            for first in range(0, len(told), size)
        ]
        for lane, told in enumerate(sorted_in)
        if told
    ]


def _lane(key: str, lanes: int) -> int:
    return hashlib.blake2b(key.encode(), digest_size=2).digest()[0] % lanes


def lanes_left(waiting: Sequence[Waiting]) -> list[list[Waiting]]:
    """The batches that wait, by lane."""
    found: dict[int, list[Waiting]] = {}
    for one in waiting:
        found.setdefault(one.lane, []).append(one)
    return list(found.values())


def after_failure(
    batch: Waiting, lowest: int, *, bisects: bool, now: datetime, chance: float
) -> list[Waiting]:
    """What is to be tried again of a batch: all from the first record that did not arrive.

    A shard's records keep their order, so what comes behind that one goes again with it. A batch that
    is halved has not used up a try.
    """
    left = batch.numbers[lowest:]
    if bisects and len(left) > 1:
        middle = (len(left) + 1) // 2
        return [
            Waiting(lane=batch.lane, numbers=half, tries=batch.tries)
            for half in (left[:middle], left[middle:])
        ]
    pause = min(RETRY_PAUSE_MIN * 2 ** min(batch.tries, 20), RETRY_PAUSE_MAX)
    at = now + pause * (0.75 + 0.25 * chance)
    return [Waiting(lane=batch.lane, numbers=left, tries=batch.tries + 1, at=at)]


def is_exhausted(batch: Waiting, how: How) -> bool:
    """Whether a batch has been tried as often as it may be."""
    return how.retries != WITHOUT_END and batch.tries > how.retries


def too_old(
    batch: Waiting, how: How, now: datetime, told_at: Callable[[str], datetime]
) -> list[str]:
    """The records of a batch that are older than they may be."""
    if how.age_seconds == WITHOUT_END:
        return []
    since = now - timedelta(seconds=how.age_seconds)
    return [number for number in batch.numbers if told_at(number) < since]
