"""Multi-Region keys: one key in several Regions."""

from __future__ import annotations

from typing import Any

from tests.services.kms.helpers import allow, key, user
from tests.services.kms.test_imports import OTHER_SECRET, bring, state
from tests.services.world import ACCOUNT, REGION, World, refusal, told

THERE = "eu-west-1"
FAR = "ap-southeast-2"


async def primary(world: World, *replicas: str, **req: Any) -> str:
    """A multi-Region key with replicas that are ready."""
    made = await key(world, MultiRegion=True, **req)
    for region in replicas:
        await world.call("kms", "replicate_key", KeyId=made["KeyId"], ReplicaRegion=region)
    await world.advance(5)
    name: str = made["KeyId"]
    return name


async def described(world: World, name: str, region: str = REGION) -> Any:
    """What a key says of itself."""
    found = await world.call("kms", "describe_key", KeyId=name, region=region)
    return found["KeyMetadata"]


@told
async def test_a_ciphertext_of_one_region_is_read_in_another(world: World) -> None:
    made = await key(world, MultiRegion=True)
    name = made["KeyId"]
    assert name.startswith("mrk-")
    assert len(name) == 36
    told_of = await world.call(
        "kms", "replicate_key", KeyId=name, ReplicaRegion=THERE, Description="twin",
        Tags=[{"TagKey": "a", "TagValue": "b"}],
    )  # fmt: skip
    assert told_of["ReplicaKeyMetadata"]["KeyState"] == "Creating"
    assert told_of["ReplicaTags"] == [{"TagKey": "a", "TagValue": "b"}]
    early = world.call("kms", "encrypt", KeyId=name, Plaintext=b"x", region=THERE)
    assert (await refusal(early))[0] == "KMSInvalidStateException"
    await world.advance(5)
    twin = await described(world, name, THERE)
    assert (twin["KeyState"], twin["Description"]) == ("Enabled", "twin")
    assert twin["Arn"] == f"arn:aws:kms:{THERE}:{ACCOUNT}:key/{name}"
    assert twin["MultiRegionConfiguration"] == {
        "MultiRegionKeyType": "REPLICA",
        "PrimaryKey": {"Arn": made["Arn"], "Region": REGION},
        "ReplicaKeys": [{"Arn": twin["Arn"], "Region": THERE}],
    }
    for here, there in ((REGION, THERE), (THERE, REGION)):
        blob = (await world.call("kms", "encrypt", KeyId=name, Plaintext=b"x", region=here))[
            "CiphertextBlob"
        ]
        found = await world.call("kms", "decrypt", CiphertextBlob=blob, region=there)
        assert found["Plaintext"] == b"x"
        assert found["KeyId"] == f"arn:aws:kms:{there}:{ACCOUNT}:key/{name}"
    # A key of one Region stays there.
    one = await key(world)
    blob = (await world.call("kms", "encrypt", KeyId=one["KeyId"], Plaintext=b"x"))[
        "CiphertextBlob"
    ]
    call = world.call("kms", "decrypt", CiphertextBlob=blob, region=THERE)
    assert (await refusal(call))[0] == "InvalidCiphertextException"


@told
async def test_replicas_are_made_of_primaries_and_once_a_region(world: World) -> None:
    name = await primary(world, THERE)
    for key_id, region, code, where in (
        (name, THERE, "AlreadyExistsException", REGION),
        (name, REGION, "AlreadyExistsException", REGION),
        (name, FAR, "UnsupportedOperationException", THERE),
        ((await key(world))["KeyId"], THERE, "UnsupportedOperationException", REGION),
        (name, "cn-north-1", "ValidationException", REGION),
    ):
        call = world.call("kms", "replicate_key", KeyId=key_id, ReplicaRegion=region, region=where)
        assert (await refusal(call))[0] == code
    await world.call("kms", "disable_key", KeyId=name)
    call = world.call("kms", "replicate_key", KeyId=name, ReplicaRegion=FAR)
    assert (await refusal(call))[0] == "DisabledException"
    # The replica's state is its own.
    assert await state(world, name, THERE) == "Enabled"


@told
async def test_replicating_takes_leave_in_both_regions(world: World) -> None:
    name = await primary(world)
    near = {"StringEquals": {"kms:ReplicaRegion": THERE}}
    ann = await user(world, "ann", allow("kms:ReplicateKey", Condition=near))
    bob = await user(world, "bob", allow("kms:ReplicateKey"), allow("kms:CreateKey"))
    asked = {"KeyId": name, "ReplicaRegion": THERE}
    call = world.call("kms", "replicate_key", caller=ann, **asked)
    assert (await refusal(call))[0] == "AccessDeniedException"
    tagged = {**asked, "Tags": [{"TagKey": "a", "TagValue": "b"}]}
    call = world.call("kms", "replicate_key", caller=bob, **tagged)
    assert (await refusal(call))[0] == "AccessDeniedException"
    await world.call("kms", "replicate_key", caller=bob, **asked)


@told
async def test_a_replica_becomes_the_primary(world: World) -> None:
    name = await primary(world, THERE, FAR)
    await world.call("kms", "enable_key_rotation", KeyId=name, RotationPeriodInDays=100)
    for region, code in (
        (REGION, "UnsupportedOperationException"),
        ("us-west-2", "NotFoundException"),
    ):
        call = world.call("kms", "update_primary_region", KeyId=name, PrimaryRegion=region)
        assert (await refusal(call))[0] == code
    await world.call("kms", "update_primary_region", KeyId=name, PrimaryRegion=THERE)
    for region in (REGION, THERE):
        assert await state(world, name, region) == "Updating"
        # What is on its way goes on working.
        await world.call("kms", "encrypt", KeyId=name, Plaintext=b"x", region=region)
        call = world.call("kms", "disable_key", KeyId=name, region=region)
        assert (await refusal(call))[0] == "KMSInvalidStateException"
    await world.advance(5)
    for region in (REGION, THERE, FAR):
        found = await described(world, name, region)
        assert found["KeyState"] == "Enabled"
        relatives = found["MultiRegionConfiguration"]
        assert relatives["PrimaryKey"]["Region"] == THERE
        assert [one["Region"] for one in relatives["ReplicaKeys"]] == [FAR, REGION]
    call = world.call("kms", "update_primary_region", KeyId=name, PrimaryRegion=FAR)
    assert (await refusal(call))[0] == "UnsupportedOperationException"
    # The new primary rotates for all.
    await world.advance(days=101)
    for region in (REGION, THERE, FAR):
        rotations = await world.call("kms", "list_key_rotations", KeyId=name, region=region)
        assert len(rotations["Rotations"]) == 1


@told
async def test_what_relatives_share_is_the_primarys_to_change(world: World) -> None:
    name = await primary(world, THERE)
    for method, req in (
        ("enable_key_rotation", {}),
        ("disable_key_rotation", {}),
        ("rotate_key_on_demand", {}),
    ):
        call = world.call("kms", method, KeyId=name, region=THERE, **req)
        assert (await refusal(call))[0] == "UnsupportedOperationException"
    await world.call("kms", "enable_key_rotation", KeyId=name)
    found = await world.call("kms", "get_key_rotation_status", KeyId=name, region=THERE)
    assert found["KeyRotationEnabled"] is True
    await world.call("kms", "rotate_key_on_demand", KeyId=name)
    blob = (await world.call("kms", "encrypt", KeyId=name, Plaintext=b"new"))["CiphertextBlob"]
    found = await world.call("kms", "decrypt", CiphertextBlob=blob, region=THERE)
    assert found["Plaintext"] == b"new"
    # The rest is each one's own.
    await world.call("kms", "update_key_description", KeyId=name, Description="mine")
    assert (await described(world, name, THERE))["Description"] == ""


@told
async def test_a_primary_waits_for_its_replicas(world: World) -> None:
    name = await primary(world, THERE)
    gone = await world.call("kms", "schedule_key_deletion", KeyId=name, PendingWindowInDays=7)
    assert gone["KeyState"] == "PendingReplicaDeletion"
    assert "DeletionDate" not in gone
    await world.advance(days=60)
    found = await described(world, name)
    assert (found["KeyState"], found["PendingDeletionWindowInDays"]) == (
        "PendingReplicaDeletion",
        7,
    )
    await world.call(
        "kms", "schedule_key_deletion", KeyId=name, PendingWindowInDays=7, region=THERE
    )
    await world.advance(days=8)
    call = world.call("kms", "describe_key", KeyId=name, region=THERE)
    assert (await refusal(call))[0] == "NotFoundException"
    found = await described(world, name)
    assert found["KeyState"] == "PendingDeletion"
    assert found["MultiRegionConfiguration"]["ReplicaKeys"] == []
    await world.advance(days=8)
    call = world.call("kms", "describe_key", KeyId=name)
    assert (await refusal(call))[0] == "NotFoundException"


@told
async def test_imported_material_is_brought_to_each_region(world: World) -> None:
    name = await primary(world, Origin="EXTERNAL")
    await bring(world, name)
    await world.call("kms", "replicate_key", KeyId=name, ReplicaRegion=THERE)
    await world.advance(5)
    assert await state(world, name, THERE) == "PendingImport"
    wrong = bring(world, name, OTHER_SECRET, region=THERE)
    assert (await refusal(wrong))[0] == "IncorrectKeyMaterialException"
    await bring(world, name, region=THERE)
    blob = (await world.call("kms", "encrypt", KeyId=name, Plaintext=b"x"))["CiphertextBlob"]
    found = await world.call("kms", "decrypt", CiphertextBlob=blob, region=THERE)
    assert found["Plaintext"] == b"x"
    # New material: first the primary, then each replica, then all rotate at once.
    new = {"material": OTHER_SECRET, "ImportType": "NEW_KEY_MATERIAL"}
    assert (await refusal(bring(world, name, region=THERE, **new)))[0] == (
        "UnsupportedOperationException"
    )
    await bring(world, name, **new)
    asked = {"KeyId": name, "IncludeKeyMaterial": "ALL_KEY_MATERIAL"}
    listed = (await world.call("kms", "list_key_rotations", **asked))["Rotations"]
    assert listed[-1]["KeyMaterialState"] == "PENDING_MULTI_REGION_IMPORT_AND_ROTATION"
    call = world.call("kms", "rotate_key_on_demand", KeyId=name)
    assert (await refusal(call))[0] == "KMSInvalidStateException"
    await bring(world, name, OTHER_SECRET, region=THERE)
    listed = (await world.call("kms", "list_key_rotations", **asked))["Rotations"]
    assert listed[-1]["KeyMaterialState"] == "PENDING_ROTATION"
    await world.call("kms", "rotate_key_on_demand", KeyId=name)
    blob = (await world.call("kms", "encrypt", KeyId=name, Plaintext=b"new", region=THERE))[
        "CiphertextBlob"
    ]
    assert (await world.call("kms", "decrypt", CiphertextBlob=blob))["Plaintext"] == b"new"


@told
async def test_a_set_of_keys_outlives_a_crash_on_its_way(world: World) -> None:
    name = await primary(world, THERE)
    await world.call("kms", "update_primary_region", KeyId=name, PrimaryRegion=THERE)
    after = world.again()
    await after.start()
    await after.advance(5)
    found = await described(after, name, THERE)
    assert found["MultiRegionConfiguration"]["MultiRegionKeyType"] == "PRIMARY"
    assert found["KeyState"] == "Enabled"
    await after.close()
