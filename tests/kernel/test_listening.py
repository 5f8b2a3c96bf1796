"""What services tell: a fact where somebody may want it, nothing where nobody does."""

from __future__ import annotations

from typing import Any

from doppio.kernel.listening import Listening, Told, tell
from tests.services.world import ACCOUNT, REGION, World, told

PLACE = (ACCOUNT, REGION)


async def said(world: World, source: str) -> bool:
    """Whether something that a source tells becomes a fact."""
    ctx = world.cloud.root_context()
    kind = f"{Told.__module__}.{Told.__name__}".encode()

    async def facts() -> int:
        return sum(kind in one for _, one in await world.memory.view().log("events", 0, limit=999))

    before = await facts()

    async def body(tx: Any) -> None:
        await tell(tx, PLACE, source, "Brewed", {"cups": 2}, ["arn:x"])

    await ctx.transact(body)
    return await facts() > before


async def set_to(world: World, **more: Any) -> None:
    """Say who listens."""

    async def body(tx: Any) -> None:
        tx.put(Listening(account=ACCOUNT, region=REGION, **more))

    await world.cloud.root_context().transact(body)


@told
async def test_only_what_a_rule_may_want_becomes_a_fact(world: World) -> None:
    assert not await said(world, "aws.ssm")
    await set_to(world, sources=["aws.kms"])
    assert not await said(world, "aws.ssm")
    assert await said(world, "aws.kms")
    await set_to(world, sources=None)
    assert await said(world, "aws.ssm")


def test_events_of_calls_are_asked_for_by_themselves() -> None:
    one = Listening(account=ACCOUNT, region=REGION, sources=None, calls=["aws.sqs"])
    assert one.hears("aws.iam")
    assert one.hears_calls("aws.sqs")
    assert not one.hears_calls("aws.iam")
