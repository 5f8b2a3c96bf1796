"""Steps through a shard: from a list that is read as a stream is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from doppio.kernel.context import Context
from doppio.kernel.shard_batches import How, Waiting
from doppio.kernel.shard_steps import POLL_EVERY, Page, Step, step
from tests.services.world import START, World, told


class Listed:
    """A stream of records that are here; an iterator is the place of the next."""

    def __init__(self, names: str) -> None:
        self.names = names
        self.over = False

    async def begin(self, acting: Context, shard: str, after: str) -> str:
        return str(self.names.index(after) + 1) if after else "0"

    async def get(self, acting: Context, iterator: str, most: int) -> Page:
        at = int(iterator)
        part = self.names[at : at + most]
        over = self.over and at + most >= len(self.names)
        return Page({one: {"name": one} for one in part}, None if over else str(at + len(part)))

    def told_at(self, record: Mapping[str, Any]) -> datetime:
        return START

    def key_of(self, record: Mapping[str, Any]) -> str:
        return str(record["name"])


@dataclass
class Following:
    """Who follows it: fails from what is `bad` on, as often as it comes."""

    source: Listed
    how: How
    bad: str = ""
    name: str = "f"
    brought: list[str] = field(default_factory=list)
    buried: list[tuple[str, str]] = field(default_factory=list)

    def wants(self, record: Mapping[str, Any]) -> bool:
        return bool(record["name"] != "x")

    async def bring(self, records: Sequence[Mapping[str, Any]]) -> set[int]:
        names = "".join(one["name"] for one in records)
        self.brought.append(names)
        return {place for place, one in enumerate(names) if one in self.bad}

    async def bury(self, shard: str, records: Sequence[Mapping[str, Any]], condition: str) -> bool:
        self.buried.append(("".join(one["name"] for one in records), condition))
        return True


@dataclass(frozen=True)
class At:
    shard: str = "s"
    after: str = ""
    until: str = ""
    waiting: list[Waiting] = field(default_factory=list)


async def _steps(world: World, follower: Following, count: int) -> Step:
    ctx = world.cloud.root_context()
    at = At()
    for _ in range(count):
        made = await step(ctx, ctx, follower, at)
        at = At(after=made.after, until=made.until, waiting=made.waiting)
        if made.rest is not None:
            await world.advance(made.rest.total_seconds())
    return made


@told
async def test_records_come_in_order_and_each_once(world: World) -> None:
    follower = Following(Listed("abxcd"), How(size=2))
    made = await _steps(world, follower, 4)
    assert follower.brought == ["ab", "c", "d"]
    assert (made.after, made.waiting, made.rest) == ("d", [], POLL_EVERY)
    follower.source.over = True
    assert (await _steps(world, follower, 4)).ended


@told
async def test_what_failed_holds_up_what_is_behind_it_until_it_is_given_up(world: World) -> None:
    follower = Following(Listed("abcd"), How(size=2, retries=1), bad="b")
    made = await _steps(world, follower, 1)
    assert [one.numbers for one in made.waiting] == [["b"]]
    assert (made.after, made.until) == ("", "b")
    await _steps(world, follower, 8)
    assert follower.brought == ["ab", "ab", "b", "cd"]
    assert follower.buried == [("b", "RetryAttemptsExhausted")]


@told
async def test_what_is_too_old_is_given_up_untried(world: World) -> None:
    await world.advance(hours=1)
    follower = Following(Listed("ab"), How(size=2, age_seconds=60))
    await _steps(world, follower, 1)
    assert follower.brought == []
    assert follower.buried == [("ab", "RecordAgeExceeded")]


@told
async def test_a_batch_that_fails_is_halved_down_to_the_record_that_is_bad(world: World) -> None:
    follower = Following(Listed("abcd"), How(size=4, retries=0, bisects=True), bad="c")
    await _steps(world, follower, 3)
    assert follower.buried == [("c", "RetryAttemptsExhausted")]
    assert "d" in "".join(follower.brought)
