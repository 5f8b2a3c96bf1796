"""What principals did: gathered, written in batches, and no wider than it must be."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doppio.kernel.context import Context
from doppio.kernel.identity import Caller
from doppio.kernel.policy import PolicySet, compile_policy
from doppio.kernel.policy.match import wildcard
from doppio.kernel.service import Need
from doppio.kernel.uses import RESOURCES_MAX, KeyUse, Uses, forget_uses, uses_of, widened
from doppio.wire.errors import AccessDenied
from tests.services.world import ACCOUNT, START, World, told

ALLOWED = json.dumps({"Statement": {"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}})
BARISTA = Caller(
    ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/barista", "AIDA", "user", "AKIA1",
    PolicySet([compile_policy(ALLOWED)]),
)  # fmt: skip
BREWING = Caller(
    ACCOUNT, f"arn:aws:sts::{ACCOUNT}:assumed-role/brewing/s", "AROA:s", "assumed-role", "ASIA1",
    PolicySet([compile_policy(ALLOWED)]),
)  # fmt: skip


def context(world: World, caller: Caller, region: str = "us-east-1") -> Context:
    return world.cloud.context(caller, account=ACCOUNT, region=region, request_id="r")


async def did(world: World, caller: Caller, action: str, resource: str, **more: Any) -> None:
    """Ask the engine, as a call would."""
    await world.cloud.authorise(context(world, caller, **more), Need(action, resource))


@told
async def test_what_the_engine_lets_pass_is_kept_by_action(world: World) -> None:
    await did(world, BARISTA, "s3:GetObject", "arn:aws:s3:::cafe/a")
    await world.advance(minutes=1)
    await did(world, BARISTA, "s3:GetObject", "arn:aws:s3:::cafe/b", region="eu-west-1")
    await did(world, BREWING, "s3:GetBucketTagging", "arn:aws:s3:::cafe")
    with pytest.raises(AccessDenied):
        await did(world, BARISTA, "s3:PutObject", "arn:aws:s3:::cafe/a")
    await world.cloud.uses.flush()
    reader = world.cloud.root_context().read()
    [used] = await uses_of(reader, "AIDA")
    assert (used.action, used.region) == ("s3:GetObject", "eu-west-1")
    assert used.at == START + timedelta(minutes=1)
    assert used.resources == ["arn:aws:s3:::cafe/a", "arn:aws:s3:::cafe/b"]
    [role] = await uses_of(reader, "AROA")
    assert role.action == "s3:GetBucketTagging"
    key = await reader.get(KeyUse, "AKIA1")
    assert key is not None
    assert (key.service, key.region) == ("s3", "eu-west-1")
    assert await reader.get(KeyUse, "ASIA1") is None


@told
async def test_it_is_written_a_moment_later_and_with_the_last_breath(world: World) -> None:
    await did(world, BARISTA, "s3:GetObject", "arn:aws:s3:::cafe/a")
    await world.cloud.close()
    again = world.again()
    await again.start()
    try:
        assert len(await uses_of(again.cloud.root_context().read(), "AIDA")) == 1
        async with again.cloud.root_context().write() as tx:
            await forget_uses(tx, "AIDA")
        assert await uses_of(again.cloud.root_context().read(), "AIDA") == []
    finally:
        await again.close()


@told
async def test_roots_and_services_leave_no_trace(world: World) -> None:
    await world.cloud.authorise(world.cloud.root_context(), Need("s3:GetObject", "*"))
    assert world.cloud.uses._seen == {}


def test_few_resources_are_kept_as_they_are() -> None:
    assert widened(["a:b"], ["a:c", "a:b"]) == ["a:b", "a:c"]
    assert widened(["arn:aws:s3:::cafe/*"], ["arn:aws:s3:::cafe/x"]) == ["arn:aws:s3:::cafe/*"]


def test_of_many_what_lies_deepest_is_put_together_first() -> None:
    objects = [f"arn:aws:s3:::cafe/{day}/{number}" for day in ("mo", "tu") for number in range(20)]
    assert widened(["arn:aws:s3:::cafe"], objects) == [
        "arn:aws:s3:::cafe/mo/*", "arn:aws:s3:::cafe/tu/*", "arn:aws:s3:::cafe",
    ]  # fmt: skip
    queues = [f"arn:aws:sqs:us-east-1:0:q{number}" for number in range(30)]
    assert widened([], queues) == ["arn:aws:sqs:us-east-1:0:*"]


_names = st.text("ab/:*", max_size=8)


@given(st.lists(_names, max_size=60), st.lists(_names, max_size=60))
def test_patterns_are_few_and_cover_everything(known: list[str], more: list[str]) -> None:
    first = widened([], known)
    found = widened(first, more)
    assert len(found) <= RESOURCES_MAX
    for one in (*known, *more):
        assert any(one == pattern or wildcard(pattern)(one) for pattern in found)


def test_seeing_costs_next_to_nothing() -> None:
    uses = Uses(lambda: None)  # type: ignore[arg-type,return-value]
    uses._timer = object()  # type: ignore[assignment]

    class Call:
        caller, now, region = BARISTA, START, "us-east-1"

    need = Need("s3:GetObject", "arn:aws:s3:::cafe/a")
    best = 1.0
    for _ in range(20):
        begun = time.perf_counter()
        for _ in range(1_000):
            uses.saw(Call, need)  # type: ignore[arg-type]
        best = min(best, (time.perf_counter() - begun) / 1_000)
    assert best < 5e-6


@told
async def test_of_what_a_thing_was_used_for_last_the_newest_is_kept(world: World) -> None:
    uses = Uses(world.cloud.root_context)
    for service in ("s3", "sqs"):
        uses.last(KeyUse(access_key="AKIA9", at=START, region="us-east-1", service=service))
    reader = world.cloud.root_context().read()
    assert await reader.get(KeyUse, "AKIA9") is None
    await uses.close()
    kept = await reader.get(KeyUse, "AKIA9")
    assert kept is not None
    assert kept.service == "sqs"
