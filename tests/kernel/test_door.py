from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from doppio.kernel.audit import LOG, Call, decode_call
from doppio.kernel.conflicts import TRIES_MAX
from doppio.kernel.context import Context
from doppio.kernel.door import unavailable
from doppio.kernel.identity import Caller
from doppio.kernel.store import Conflict, StoreClosed, StoreFull
from doppio.wire.errors import (
    AccessDenied,
    AwsError,
    NotImplementedByDoppio,
    Throttled,
    ValidationError,
)
from tests.services.world import ACCOUNT, World, finished, refusal, refused, told

from .small import Order, made, running

STRANGER = Caller(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/stranger", "AIDASTRANGER", "user")


class Topics:
    """Two operations of SNS, as the tests need them."""

    def __init__(self) -> None:
        self.ran = 0
        self.conflicts = 0
        self.error: Exception | None = None

    async def create_topic(self, ctx: Context, req: Any) -> dict[str, Any]:
        """Keep it."""
        self.ran += 1
        async with ctx.write() as tx:
            tx.put(Order(name=req["Name"]))
            if self.conflicts > 0:
                self.conflicts -= 1
                raise Conflict("somebody was faster")
            if self.error is not None:
                raise self.error
        return {"TopicArn": "arn"}

    async def list_topics(self, ctx: Context, req: Any) -> None:
        """Read only, and say nothing."""
        self.ran += 1


async def calls(world: World) -> list[Call]:
    await world.cloud.audit.flush()
    return [decode_call(entry) for _, entry in await world.memory.view().log(LOG, 0, limit=100)]


@told
async def test_a_call_is_checked_before_it_runs(world: World) -> None:
    error = await refused(world.call("iam", "create_user", UserName="no spaces"))
    assert isinstance(error, ValidationError)
    assert error.message.startswith("The specified value for userName is invalid.")


@told
async def test_what_is_not_there_is_said_not_to_be(world: World) -> None:
    error = await refused(world.call("glacier", "list_vaults"))
    assert isinstance(error, NotImplementedByDoppio)
    assert error.message == "glacier:ListVaults exists in AWS and not yet in this cloud"
    error = await refused(
        world.call("iam", "acquire_role", TemplateArn="arn:aws:iam::aws:role-template/none")
    )
    assert (error.code, error.status) == ("NotImplemented", 501)


def test_a_caller_without_permission_runs_nothing() -> None:
    async def story() -> None:
        topics, world = Topics(), World()
        async with running(world, made(groups=[topics])):
            error = await refused(world.call("sns", "create_topic", Name="t", caller=STRANGER))
            assert isinstance(error, AccessDenied)
            assert topics.ran == 0
            [call] = await calls(world)
            assert (call.operation, call.error) == ("CreateTopic", "AccessDeniedException")

    asyncio.run(story())


def test_a_lost_race_is_run_again_and_an_endless_one_is_throttled(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story() -> None:
        topics, world = Topics(), World()
        async with running(world, made(groups=[topics])):
            topics.conflicts = 3
            assert await world.call("sns", "create_topic", Name="t") == {"TopicArn": "arn"}
            assert topics.ran == 4
            assert len(await calls(world)) == 1
            topics.conflicts = TRIES_MAX + 1
            call = refused(world.call("sns", "create_topic", Name="t"))
            assert isinstance(await finished(world, call), Throttled)

    with caplog.at_level(logging.CRITICAL, "doppio.door"):
        asyncio.run(story())


def test_nothing_is_an_empty_answer_and_reads_are_recorded_as_such() -> None:
    async def story() -> None:
        world = World()
        async with running(world, made(groups=[Topics()])):
            assert await world.call("sns", "list_topics") == {}
            [call] = await calls(world)
            assert (call.operation, call.read_only, call.error) == ("ListTopics", True, None)

    asyncio.run(story())


def test_the_record_of_a_write_is_in_its_commit() -> None:
    async def story() -> None:
        topics, world = Topics(), World()
        async with running(world, made(groups=[topics])):
            await world.call("sns", "create_topic", Name="t")
            again = world.again()
            [call] = [
                decode_call(entry) for _, entry in await again.memory.view().log(LOG, 0, limit=9)
            ]
            assert (call.service, call.operation, call.account) == ("sns", "CreateTopic", ACCOUNT)
            assert not call.read_only

    asyncio.run(story())


def test_a_refusal_keeps_nothing_but_its_record() -> None:
    class Refused(AwsError):
        code = "InvalidParameter"

    async def story() -> None:
        topics, world = Topics(), World()
        async with running(world, made(groups=[topics])):
            topics.error = Refused("no")
            assert await refusal(world.call("sns", "create_topic", Name="t")) == (
                "InvalidParameter", "no",
            )  # fmt: skip
            assert await world.cloud.root_context().read().get(Order, "t") is None
            [call] = await calls(world)
            assert call.error == "InvalidParameter"

    asyncio.run(story())


def test_a_store_that_refuses_is_a_503_that_says_why() -> None:
    full = unavailable(StoreFull("x"))
    assert full.status == 503
    assert "disk that holds this cloud's data is full" in full.message
    closed = unavailable(StoreClosed("the store is closed"))
    assert (closed.status, "the store is closed" in closed.message) == (503, True)


def test_a_full_disk_refuses_writes_and_serves_reads() -> None:
    async def story() -> None:
        topics, world = Topics(), World()
        async with running(world, made(groups=[topics])):
            await world.call("sns", "create_topic", Name="before")
            world.memory._reaches_disk = lambda number: StoreFull("disk full")
            error = await refused(world.call("sns", "create_topic", Name="t"))
            assert (error.code, error.status) == ("ServiceUnavailable", 503)
            assert await world.call("sns", "list_topics") == {}
            world.memory._reaches_disk = lambda number: True
            await world.call("sns", "create_topic", Name="after")

    asyncio.run(story())
