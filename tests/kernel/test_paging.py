from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doppio.kernel.paging import (
    BadToken,
    begins,
    every,
    first,
    page_of,
    page_token,
    position,
    steps,
    token_key,
)
from doppio.kernel.records import Index, record
from tests.services.world import World, told

BY_SIZE: Index[Any] = Index("by_size", ("shelf", "size"))


@record("test.jar", key=("shelf", "number"), indexes=(BY_SIZE,), partitioned=True)
class Jar(msgspec.Struct, frozen=True, kw_only=True):
    """A jar on a shelf, in each partition's own shop."""

    shelf: str
    number: int
    size: int


async def fill(world: World, region: str, sizes: list[int]) -> None:
    async with world.cloud.root_context(region=region).write() as tx:
        for number, size in enumerate(sizes):
            tx.add(Jar(shelf="a", number=number, size=size))
        tx.add(Jar(shelf="b", number=0, size=0))


@given(st.binary(max_size=60), st.text(max_size=20))
def test_a_token_stands_for_its_key_in_its_own_lists(key: bytes, scope: str) -> None:
    token = page_token(key, scope)
    assert token_key(token, scope) == key
    with pytest.raises(BadToken):
        token_key(token, scope + "x")


@given(st.text(max_size=40))
def test_what_was_never_given_is_refused(token: str) -> None:
    with pytest.raises(BadToken):
        token_key(token, "users")


def test_a_token_that_was_changed_is_refused() -> None:
    token = page_token(b"key", "users")
    for place in range(len(token) - 1):
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        with pytest.raises(BadToken):
            token_key(changed, "users")


def test_a_token_of_another_list_is_refused_in_the_services_own_words() -> None:
    token = page_token(b"key", "users")
    assert position(token, "users", KeyError) == b"key"
    assert position(None, "users", KeyError) is None
    assert position("", "users", KeyError) is None
    with pytest.raises(KeyError):
        position(token, "groups", KeyError)


@told
async def test_a_walk_meets_every_row_of_its_prefix_whatever_its_step(world: World) -> None:
    await fill(world, "us-east-1", [5, 4, 3, 2, 1])
    reader = world.cloud.root_context().read()
    for step in (1, 2, 5, 6):
        there = [jar.number async for jar in every(reader, Jar, ("a",), step=step)]
        assert there == [0, 1, 2, 3, 4]
        back = [jar.number async for jar in every(reader, Jar, ("a",), step=step, reverse=True)]
        assert back == [4, 3, 2, 1, 0]
        sizes = [jar.size async for jar in every(reader, BY_SIZE, ("a",), step=step)]
        assert sizes == [1, 2, 3, 4, 5]
        some = [
            jar.size async for jar in every(reader, BY_SIZE, ("a",), step=step, since=2, until=3)
        ]
        assert some == [2, 3]
    assert [len(rows) async for rows in steps(reader, Jar, ("a",), step=2)] == [2, 2, 1]
    assert [rows async for rows in steps(reader, Jar, ("c",), step=2)] == []


@told
async def test_the_first_that_fits_is_found_wherever_it_lies(world: World) -> None:
    await fill(world, "us-east-1", [5, 4, 3, 2, 1])
    reader = world.cloud.root_context().read()
    found = await first(reader, Jar, ("a",), fits=lambda jar: jar.size < 3, step=2)
    assert found is not None
    assert found.number == 3
    assert await first(reader, Jar, ("a",), fits=lambda jar: jar.size > 5, step=2) is None


@told
async def test_rows_are_bound_to_names_that_begin_so(world: World) -> None:
    context = world.cloud.root_context()
    shelves = ["", "a", "ab", "ab\U0010ffff", "abc", "ac", "b"]
    async with context.write() as tx:
        for shelf in shelves:
            tx.add(Jar(shelf=shelf, number=1, size=1))
    reader = context.read()
    for text in ("", "a", "ab", "abc", "x"):
        found = [jar.shelf async for jar in every(reader, Jar, step=2, **begins(text))]
        assert sorted(found) == sorted(name for name in shelves if name.startswith(text))


@told
async def test_a_walk_goes_on_behind_rows_that_it_deletes(world: World) -> None:
    await fill(world, "us-east-1", [1, 2, 3, 4, 5])
    context = world.cloud.root_context()
    async with context.write() as tx:
        async for jar in every(tx, Jar, ("a",), step=2):
            tx.delete(jar)
    assert [jar.shelf for jar in await context.read().list(Jar, limit=10)] == ["b"]


@told
async def test_pages_are_exact_in_every_partition(world: World) -> None:
    regions = {"us-east-1": 0, "cn-north-1": 10}
    for region, more in regions.items():
        await fill(world, region, [more + size for size in (5, 4, 3, 2, 1)])
    for region, more in regions.items():
        reader = world.cloud.root_context(region=region).read()
        for of, sizes in ((Jar, (5, 4, 3, 2, 1)), (BY_SIZE, (1, 2, 3, 4, 5))):
            for step in (0, 1, 3):
                seen: list[int] = []
                token: str | None = None
                for _ in range(3):
                    after = position(token, "jars", KeyError)
                    rows, token = await page_of(
                        reader, of, ("a",), most=2, scope="jars", after=after, step=step
                    )
                    seen += [jar.size for jar in rows]
                assert token is None
                assert seen == [more + size for size in sizes]


@told
async def test_a_page_is_full_of_what_fits_and_the_last_one_says_so(world: World) -> None:
    await fill(world, "us-east-1", [1, 2, 3, 4, 5, 6])
    reader = world.cloud.root_context().read()

    def even(jar: Jar) -> bool:
        return jar.size % 2 == 0

    rows, token = await page_of(reader, Jar, ("a",), most=2, scope="jars", fits=even, step=1)
    assert [jar.size for jar in rows] == [2, 4]
    after = position(token, "jars", KeyError)
    rows, token = await page_of(reader, Jar, ("a",), most=1, scope="jars", fits=even, after=after)
    assert ([jar.size for jar in rows], token) == ([6], None)
