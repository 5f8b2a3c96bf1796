from __future__ import annotations

import asyncio
import logging

import pytest

from doppio.kernel import audit
from doppio.kernel.audit import LOG, Denial, decode_call
from doppio.kernel.identity import Caller
from doppio.kernel.store import StoreFull
from tests.services.world import ACCOUNT, World, refused, told

BARISTA = Caller(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/barista", "AIDABARISTA", "user")


async def operations(world: World) -> list[str]:
    entries = await world.memory.view().log(LOG, 0, limit=10_000)
    return [decode_call(entry).operation for _, entry in entries]


@told
async def test_reads_are_gathered_and_written_together(world: World) -> None:
    before = world.memory.groups
    for _ in range(5):
        await world.call("sqs", "list_queues")
    assert await operations(world) == []
    await world.cloud.audit.flush()
    assert await operations(world) == ["ListQueues"] * 5
    assert world.memory.groups == before + 1


def test_what_is_gathered_is_written_within_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "BATCH_SECONDS", 0.01)

    @told
    async def story(world: World) -> None:
        await world.call("sqs", "list_queues")
        await asyncio.sleep(0.1)
        assert await operations(world) == ["ListQueues"]

    story()


def test_so_many_are_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "GATHERED_MAX", 3)

    @told
    async def story(world: World) -> None:
        for _ in range(3):
            await world.call("sqs", "list_queues")
        await world.settle()
        assert await operations(world) == ["ListQueues"] * 3

    story()


@told
async def test_data_events_are_not_recorded_unasked(world: World) -> None:
    url = (await world.call("sqs", "create_queue", QueueName="q"))["QueueUrl"]
    await world.call("sqs", "send_message", QueueUrl=url, MessageBody="x")
    await world.cloud.audit.flush()
    assert await operations(world) == ["CreateQueue"]


@told
async def test_each_call_that_a_call_makes_has_a_row_of_its_own(world: World) -> None:
    ctx = world.cloud.root_context()
    for name in ("a", "b"):
        await ctx.call("sqs", "create_queue", {"QueueName": name})
    await ctx.call("sqs", "list_queues", {})
    await world.cloud.audit.flush()
    assert await operations(world) == ["CreateQueue", "CreateQueue", "ListQueues"]
    assert (ctx.service, ctx.operation, ctx.audited) == ("", "", False)


@told
async def test_a_denial_is_kept_with_its_reason(world: World) -> None:
    error = await refused(world.call("sqs", "list_queues", caller=BARISTA))
    await world.settle()
    again = world.again()
    await again.start()
    reader = again.cloud.root_context().read()
    [denial] = await reader.list(Denial, limit=10)
    assert denial.message == error.message
    assert (denial.action, denial.caller) == ("sqs:ListQueues", BARISTA.arn)
    await again.close()


@told
async def test_after_ninety_days_rows_and_denials_are_let_go(world: World) -> None:
    for name in ("old", "older", "oldest"):
        await world.call("sqs", "create_queue", QueueName=name)
    await refused(world.call("sqs", "list_queues", caller=BARISTA))
    await world.advance(days=60)
    await world.call("sqs", "create_queue", QueueName="young")
    await refused(world.call("sqs", "list_queues", caller=BARISTA))
    await world.cloud.audit.flush()
    await world.advance(days=31)
    reader = world.cloud.root_context().read()
    assert len(await reader.list(Denial, limit=10)) == 1
    assert await reader.find(audit.BY_TIME, limit=10) == await reader.list(Denial, limit=10)
    # The log is let go by whole chunks, so the last of the old ones may stay.
    assert (await operations(world)).count("CreateQueue") == 2


def test_a_full_disk_loses_rows_of_reads_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    @told
    async def story(world: World) -> None:
        await world.call("sqs", "list_queues")
        world.memory._reaches_disk = lambda number: StoreFull("disk full")
        await world.cloud.audit.flush()
        world.memory._reaches_disk = lambda number: True
        assert await operations(world) == []

    with caplog.at_level(logging.WARNING, "doppio.audit"):
        story()
    assert "audit rows and usage of reads were lost" in caplog.text
