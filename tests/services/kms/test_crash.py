"""A crash at any commit: a key is there with all that is its own, or gone with it."""

from __future__ import annotations

from doppio.services.kms.records import Grant, LastUse
from tests.services.crashes import Told, crash_everywhere
from tests.services.kms.helpers import key
from tests.services.kms.test_multi_region import THERE, described
from tests.services.world import ACCOUNT, World, refusal


def test_a_key_is_deleted_whole_whatever_crashes() -> None:
    async def prepare(world: World, told: Told) -> None:
        told["name"] = (await key(world))["KeyId"]
        for operation in ("Encrypt", "Decrypt"):
            await world.call(
                "kms", "create_grant", KeyId=told["name"], Operations=[operation],
                GranteePrincipal=f"arn:aws:iam::{ACCOUNT}:user/{operation}",
            )  # fmt: skip
        await world.call("kms", "create_alias", AliasName="alias/a", TargetKeyId=told["name"])
        await world.call("kms", "encrypt", KeyId=told["name"], Plaintext=b"x")
        await world.call("kms", "schedule_key_deletion", KeyId=told["name"], PendingWindowInDays=7)

    async def work(world: World, told: Told) -> None:
        await world.advance(days=8)

    async def check(world: World, told: Told) -> None:
        await world.advance(days=8)
        call = world.call("kms", "describe_key", KeyId=told["name"])
        assert (await refusal(call))[0] == "NotFoundException"
        assert (await world.call("kms", "list_aliases"))["Aliases"] == []
        reader = world.cloud.root_context().read()
        assert await reader.list(Grant, limit=5) == []
        assert await reader.list(LastUse, limit=5) == []

    assert crash_everywhere(prepare, work, check) >= 2


def test_a_set_of_keys_is_one_set_whatever_crashes() -> None:
    async def prepare(world: World, told: Told) -> None:
        told["name"] = (await key(world, MultiRegion=True))["KeyId"]

    async def work(world: World, told: Told) -> None:
        name = told["name"]
        await world.call("kms", "replicate_key", KeyId=name, ReplicaRegion=THERE)
        told["made"] = True
        await world.advance(5)
        await world.call("kms", "update_primary_region", KeyId=name, PrimaryRegion=THERE)
        told["moved"] = True
        await world.advance(5)
        await world.call("kms", "rotate_key_on_demand", KeyId=name, region=THERE)
        told["turned"] = True

    async def check(world: World, told: Told) -> None:
        await world.advance(10)
        name = told["name"]
        here = await described(world, name)
        replicas = here["MultiRegionConfiguration"]["ReplicaKeys"]
        if not replicas:
            assert "made" not in told
            return
        there = await described(world, name, THERE)
        assert (
            here["MultiRegionConfiguration"]["PrimaryKey"]
            == (there["MultiRegionConfiguration"]["PrimaryKey"])
        )
        assert here["CurrentKeyMaterialId"] == there["CurrentKeyMaterialId"]
        assert here["KeyState"] == there["KeyState"] == "Enabled"
        kind = there["MultiRegionConfiguration"]["MultiRegionKeyType"]
        assert kind == "PRIMARY" or "moved" not in told
        blob = (await world.call("kms", "encrypt", KeyId=name, Plaintext=b"x"))["CiphertextBlob"]
        found = await world.call("kms", "decrypt", CiphertextBlob=blob, region=THERE)
        assert found["Plaintext"] == b"x"

    assert crash_everywhere(prepare, work, check) >= 5
