"""A crash at any commit of a pipe's life: what is in the source arrives, and the pipe goes on."""

from __future__ import annotations

from doppio.services.pipes.records import Pipe
from tests.services.crashes import Told, crash_everywhere
from tests.services.pipes.test_pipes import ACTIONS, ROLE, pipe, role
from tests.services.sqs.helpers import make, receive, send
from tests.services.world import World


async def everything(world: World, url: str) -> set[str]:
    """All that lies in a queue."""
    found: set[str] = set()
    while page := await receive(world, url, VisibilityTimeout=3600):
        found |= {one["Body"] for one in page}
    return found


def test_what_was_sent_arrives_whatever_crashes() -> None:
    async def prepare(world: World, told: Told) -> None:
        await role(world, *ACTIONS)
        told["from"], told["to"] = await make(world, "from"), await make(world, "to")
        told["sent"] = set()

    async def work(world: World, told: Told) -> None:
        await pipe(world, TargetParameters={"InputTemplate": "<$.body>"})
        told["made"] = True
        for number in range(3):
            await send(world, told["from"], str(number))
            told["sent"].add(f'"{number}"')
        await world.settle()
        await world.call("pipes", "stop_pipe", Name="p")
        told["stopped"] = True
        await world.settle()

    async def check(world: World, told: Told) -> None:
        found = await world.cloud.root_context().read().list(Pipe, limit=9)
        assert [one.current for one in found] in (["RUNNING"], ["STOPPED"], [])
        assert found or "made" not in told
        if not found:
            await pipe(world, TargetParameters={"InputTemplate": "<$.body>"})
        if found and found[0].current == "STOPPED":
            await world.call("pipes", "start_pipe", Name="p")
        else:
            assert "stopped" not in told
        # What a crash interrupted appears again after its visibility timeout.
        await world.advance(31)
        await world.advance(31)
        assert await everything(world, told["to"]) >= told["sent"]
        assert await everything(world, told["from"]) == set()

    assert crash_everywhere(prepare, work, check) > 8


def test_a_deleted_pipe_goes_and_leaves_what_it_has_not_brought() -> None:
    async def prepare(world: World, told: Told) -> None:
        await role(world, *ACTIONS)
        told["from"], told["to"] = await make(world, "from"), await make(world, "to")
        await pipe(world, DesiredState="STOPPED")

    async def work(world: World, told: Told) -> None:
        await world.call("pipes", "update_pipe", Name="p", RoleArn=ROLE, Description="new")
        told["changed"] = True
        await world.settle()
        await world.call("pipes", "delete_pipe", Name="p")
        told["deleted"] = True
        await world.settle()
        await send(world, told["from"], "stays")
        told["sent"] = True

    async def check(world: World, told: Told) -> None:
        found = await world.cloud.root_context().read().list(Pipe, limit=9)
        assert [one.current for one in found] in (["STOPPED"], [])
        if found and "changed" in told:
            assert found[0].given["Description"] == "new"
        assert not (found and "deleted" in told)
        await world.advance(60)
        assert await everything(world, told["to"]) == set()
        assert await everything(world, told["from"]) >= ({"stays"} if "sent" in told else set())

    assert crash_everywhere(prepare, work, check) >= 5
