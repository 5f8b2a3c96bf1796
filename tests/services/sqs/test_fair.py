"""On a standard queue with message groups, a noisy group does not make the others wait."""

from __future__ import annotations

from collections import Counter

from doppio.services.sqs import limits
from doppio.services.sqs.records import Waiting
from tests.services.sqs.helpers import delete, make, receive, send
from tests.services.world import World, told


async def fill(world: World, url: str, group: str, count: int) -> None:
    """Send messages of a group, each a moment after the other."""
    for at in range(count):
        await send(world, url, f"{group}{at}", MessageGroupId=group)
        world.host.run_to(world.host.seconds() + 0.001)


@told
async def test_quiet_groups_come_before_what_a_noisy_one_has_waiting(world: World) -> None:
    url = await make(world)
    await fill(world, url, "noisy", 60)
    await fill(world, url, "b", 2)
    await fill(world, url, "c", 2)
    first = await receive(world, url)
    # Nothing is in flight yet, so the oldest come first.
    assert [one["Body"] for one in first] == [f"noisy{at}" for at in range(10)]
    second = await receive(world, url)
    assert [one["Body"] for one in second] == [
        "b0", "b1", "c0", "c1", *(f"noisy{at}" for at in range(10, 16)),
    ]  # fmt: skip
    # With nobody else, the noisy group is not held back.
    third = await receive(world, url)
    assert [one["Body"] for one in third] == [f"noisy{at}" for at in range(16, 26)]


@told
async def test_groups_of_equal_share_are_not_noisy_and_order_is_by_time(world: World) -> None:
    url = await make(world)
    for at in range(30):
        await send(world, url, f"a{at}", MessageGroupId="a")
        await send(world, url, f"b{at}", MessageGroupId="b")
        world.host.run_to(world.host.seconds() + 0.001)
    taken: list[str] = []
    for _ in range(6):
        taken += [one["Body"] for one in await receive(world, url)]
    assert [int(body[1:]) for body in taken] == sorted([*range(30), *range(30)])


@told
async def test_every_message_comes_once_and_nothing_is_left_of_it(world: World) -> None:
    url = await make(world)
    await fill(world, url, "noisy", 40)
    await fill(world, url, "b", 15)
    for at in range(5):
        await send(world, url, f"plain{at}")
    seen: Counter[str] = Counter()
    while found := await receive(world, url):
        for one in found:
            seen[one["Body"]] += 1
            if one["Body"].startswith("b"):
                await delete(world, url, one)
    assert set(seen.values()) == {1}
    assert len(seen) == 60
    await world.advance(31)
    while found := await receive(world, url):
        for one in found:
            await delete(world, url, one)
    assert await world.cloud.root_context().read().list(Waiting, limit=10) == []


@told
async def test_a_hint_that_leads_nowhere_is_dropped(world: World) -> None:
    url = await make(world)
    await fill(world, url, "noisy", 30)
    await fill(world, url, "b", 1)
    context = world.cloud.root_context()
    (hint,) = [one for one in await context.read().list(Waiting, limit=100) if one.group == "b"]
    stale = Waiting(queue=hint.queue, group="a", visible_at=hint.visible_at, id="gone")
    async with context.write() as tx:
        tx.put(stale)
    await receive(world, url)
    assert (await receive(world, url))[0]["Body"] == "b0"
    assert "gone" not in {one.id for one in await context.read().list(Waiting, limit=100)}
    assert limits.NOISY_IN_FLIGHT_MIN == 10


@told
async def test_ungrouped_messages_leave_no_hints(world: World) -> None:
    url = await make(world)
    await send(world, url)
    assert await world.cloud.root_context().read().list(Waiting, limit=10) == []
