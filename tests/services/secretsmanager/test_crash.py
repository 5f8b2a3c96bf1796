"""A crash at any commit of what makes several: a replica is whole or can be made whole."""

from __future__ import annotations

from tests.services.crashes import Told, crash_everywhere
from tests.services.secretsmanager.test_replicas import THERE, described, spread
from tests.services.secretsmanager.test_rotation import opened, rotate, with_functions
from tests.services.secretsmanager.test_secretsmanager import secret, value
from tests.services.world import World


def test_a_replica_is_made_whatever_crashes() -> None:
    async def prepare(world: World, told: Told) -> None:
        await secret(world)

    async def work(world: World, told: Told) -> None:
        await spread(world, THERE)
        told["made"] = True

    async def check(world: World, told: Told) -> None:
        found = (await described(world)).get("ReplicationStatus", [])
        if told.get("made"):
            assert [one["Status"] for one in found] == ["InSync"]
        else:
            assert [one["Status"] for one in found] in ([], ["InProgress"], ["InSync"])
            [status] = (await spread(world, THERE))["ReplicationStatus"]
            assert status["Status"] == "InSync"
        assert await value(world, region=THERE) == "1234"

    assert crash_everywhere(prepare, work, check) >= 2


def test_a_rotation_ends_whatever_crashes() -> None:
    async def prepare(world: World, told: Told) -> None:
        await opened(world)
        await secret(world)

    async def work(world: World, told: Told) -> None:
        told["token"] = (await rotate(world))["VersionId"]

    async def check(world: World, told: Told) -> None:
        await world.advance(minutes=30)
        if "token" in told:
            assert await value(world) == f"new {told['token'][:4]}"
            labels = (await described(world))["VersionIdsToStages"]
            assert "AWSCURRENT" in labels[told["token"]]

    # The functions are not stored here as Lambda would store them.
    assert crash_everywhere(prepare, work, check, with_functions) >= 4
