from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from doppio.kernel.conflicts import TRIES_MAX
from doppio.kernel.context import Tx
from doppio.kernel.records import record, table_of
from doppio.kernel.store import Conflict
from tests.services.world import ACCOUNT, World, finished, told

from .small import Order, Table


async def stored(world: World, name: str = "a") -> Order | None:
    return await world.cloud.root_context().read().get(Order, name)


@told
async def test_a_block_commits_at_its_end_or_keeps_nothing(world: World) -> None:
    context = world.cloud.root_context()
    async with context.write() as tx:
        tx.put(Order(name="a"))
        assert await tx.get(Order, "a") == Order(name="a")
        assert await stored(world) is None
    assert await stored(world) == Order(name="a")

    async def fails() -> None:
        async with context.write() as tx:
            tx.put(Order(name="a", cups=2))
            raise KeyError

    with pytest.raises(KeyError):
        await fails()
    assert await stored(world) == Order(name="a")


@told
async def test_of_two_that_read_and_write_the_same_the_second_conflicts(world: World) -> None:
    context = world.cloud.root_context()
    first, second = context.write(), context.write()
    one, other = await first.__aenter__(), await second.__aenter__()
    for tx in (one, other):
        await tx.get(Order, "a")
        tx.put(Order(name="a"))
    await first.__aexit__(None, None, None)
    with pytest.raises(Conflict):
        await second.__aexit__(None, None, None)


@told
async def test_transact_runs_again_as_often_as_others_get_in_its_way(world: World) -> None:
    async with world.cloud.root_context().write() as tx:
        tx.put(Order(name="a", cups=0))

    async def more(tx: Tx) -> None:
        found = await tx.get(Order, "a")
        assert found is not None
        await asyncio.sleep(0)
        tx.put(Order(name="a", cups=found.cups + 1))

    every = [world.cloud.root_context().transact(more) for _ in range(20)]
    await finished(world, asyncio.gather(*every))
    found = await stored(world)
    assert found is not None
    assert found.cups == 20


@told
async def test_transact_gives_up_at_some_time(world: World) -> None:
    tries = 0

    async def hopeless(tx: Tx) -> None:
        nonlocal tries
        tries += 1
        raise Conflict("always")

    with pytest.raises(Conflict):
        await finished(world, world.cloud.root_context().transact(hopeless))
    assert tries == TRIES_MAX


@told
async def test_a_refusal_waits_for_what_it_rests_on(world: World) -> None:
    """Whoever is told "it exists" may rely on it, even if the creator's answer is still out."""
    slow = world.cloud.root_context().write()
    tx = await slow.__aenter__()
    tx.put(Order(name="a"))
    committing = asyncio.ensure_future(slow.__aexit__(None, None, None))
    await asyncio.sleep(0)

    async def refused() -> None:
        async with world.cloud.root_context().write() as tx:
            assert await tx.get(Order, "a") is not None
            raise KeyError

    with pytest.raises(KeyError):
        await refused()
    assert await stored(world) is not None
    await committing


@told
async def test_a_call_keeps_its_time_and_a_derived_one_its_request(world: World) -> None:
    context = world.cloud.root_context(region="eu-west-1")
    before = context.now
    await world.advance(5)
    assert context.now == before
    assert context.clock.now() > before
    service = context.as_service("sns", source="arn:aws:sns:::t")
    assert (service.caller.arn, service.caller.source) == ("sns.amazonaws.com", "arn:aws:sns:::t")
    assert (service.request_id, service.region) == (context.request_id, "eu-west-1")
    assert context.derive(context.caller, region="us-east-1").region == "us-east-1"
    assert 0 <= context.random() < 1
    assert context.new_id("iam-user").startswith("AIDA")


@told
async def test_one_service_calls_another_through_the_door(world: World) -> None:
    context = world.cloud.root_context()
    made: Any = await context.call("sqs", "create_queue", {"QueueName": "q"})
    assert made["QueueUrl"].endswith(f"/{ACCOUNT}/q")


@told
async def test_a_change_of_a_row_rings_for_what_it_belongs_to(world: World) -> None:
    context = world.cloud.root_context()
    topic = table_of(Table).ringing("here")
    one = Table(cafe="here", number=1)

    async def rang(change: Callable[[Tx], object]) -> bool:
        ticket = context.ticket(topic)
        async with context.write() as tx:
            change(tx)
            assert not ticket.rung, "it rings once it is durable"
        return ticket.rung

    assert await rang(lambda tx: tx.add(one))
    assert await rang(lambda tx: tx.put(Table(cafe="here", number=1, seats=4)))
    assert await rang(lambda tx: tx.delete(one))
    assert not await rang(lambda tx: tx.add(Table(cafe="there", number=1)))
    assert not await rang(lambda tx: tx.put(Order(name="a")))


def test_rows_ring_for_a_part_of_their_key_alone() -> None:
    with pytest.raises(AssertionError, match="old place"):
        record("test.moving", key=("number",), rings="cafe")(Table)
