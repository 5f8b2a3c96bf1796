from __future__ import annotations

from datetime import timedelta

from doppio.kernel.meter import usage, usage_key
from tests.services.world import ACCOUNT, OTHER, World, told


@told
async def test_usage_adds_up_by_account_region_type_and_hour(world: World) -> None:
    context = world.cloud.root_context()
    for amount in (1.0, 2.5):
        async with context.write() as tx:
            tx.meter("Cups", amount)
    context.read().meter("Cups", 4)
    async with world.cloud.root_context(OTHER).write() as tx:
        tx.meter("Cups")
    await world.advance(hours=1)
    async with world.cloud.root_context(region="eu-west-1").write() as tx:
        tx.meter("Cups", 8)
    await world.cloud.audit.flush()
    rows = await usage(world.memory.view(), ACCOUNT, limit=10)
    assert sorted((row.region, row.usage_type, row.hour.hour, row.amount) for row in rows) == [
        ("eu-west-1", "Cups", 1, 8.0),
        ("us-east-1", "Cups", 0, 7.5),
    ]
    assert await world.used("Cups", OTHER) == 1


@told
async def test_usage_is_committed_with_what_caused_it(world: World) -> None:
    context = world.cloud.root_context()
    async with context.write() as tx:
        tx.meter("Cups", 3)
    again = world.again()
    await again.start()
    assert await again.used("Cups") == 3
    await again.close()


@told
async def test_a_counter_never_conflicts(world: World) -> None:
    first, second = world.cloud.root_context().write(), world.cloud.root_context().write()
    for tx in (await first.__aenter__(), await second.__aenter__()):
        tx.meter("Cups")
    await first.__aexit__(None, None, None)
    await second.__aexit__(None, None, None)
    assert await world.used("Cups") == 2


@told
async def test_keys_differ_by_what_they_count(world: World) -> None:
    context = world.cloud.root_context()
    keys = {usage_key(context, name) for name in ("Cups", "Beans", "Cups")}
    assert len(keys) == 2


@told
async def test_each_hour_has_its_counter_whichever_way_the_clock_goes(world: World) -> None:
    context = world.cloud.root_context()
    began = context.now
    keys = []
    for minutes in (0, 59, 60, 119, 120, 30):
        context.now = began.replace(minute=0, second=0, microsecond=0) + timedelta(minutes=minutes)
        keys.append(usage_key(context, "Cups"))
    first, within, second, late, third, back = keys
    assert first == within == back
    assert second == late
    assert len({first, second, third}) == 3
