"""Keys and their other names: made, described, switched off, deleted, rotated."""

from __future__ import annotations

from doppio.services.kms import limits
from tests.services.kms.helpers import allow, key, key_policy, user
from tests.services.world import ACCOUNT, REGION, World, refusal, told


@told
async def test_a_key_is_found_by_each_of_its_names(world: World) -> None:
    made = await key(world, Description="beans")
    assert made["Arn"] == f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{made['KeyId']}"
    assert (made["KeyState"], made["Enabled"], made["KeyManager"]) == ("Enabled", True, "CUSTOMER")
    assert made["EncryptionAlgorithms"] == ["SYMMETRIC_DEFAULT"]
    await world.call("kms", "create_alias", AliasName="alias/beans", TargetKeyId=made["KeyId"])
    alias = f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/beans"
    for name in (made["KeyId"], made["Arn"], "alias/beans", alias):
        found = await world.call("kms", "describe_key", KeyId=name)
        assert found["KeyMetadata"]["Arn"] == made["Arn"]
    missing = f"{made['KeyId'][:-4]}0000"
    assert await refusal(world.call("kms", "describe_key", KeyId=missing)) == (
        "NotFoundException",
        f"Key 'arn:aws:kms:{REGION}:{ACCOUNT}:key/{missing}' does not exist",
    )
    assert await refusal(world.call("kms", "describe_key", KeyId="alias/tea")) == (
        "NotFoundException",
        f"Alias arn:aws:kms:{REGION}:{ACCOUNT}:alias/tea is not found.",
    )


@told
async def test_a_page_of_aliases_has_a_hundred_at_the_most(world: World) -> None:
    many = [f"alias/a{number:03}" for number in range(limits.LISTED_ALIASES_MAX + 1)]
    three = [(await key(world))["KeyId"] for _ in range(3)]
    for number, name in enumerate(many):
        await world.call("kms", "create_alias", AliasName=name, TargetKeyId=three[number % 3])
    found = await world.call("kms", "list_aliases", Limit=1000)
    assert [entry["AliasName"] for entry in found["Aliases"]] == many[:-1]
    found = await world.call("kms", "list_aliases", Limit=1000, Marker=found["NextMarker"])
    assert [entry["AliasName"] for entry in found["Aliases"]] == many[-1:]
    assert not found["Truncated"]


@told
async def test_aliases_move_and_are_listed(world: World) -> None:
    one, two = await key(world), await key(world)
    await world.call("kms", "create_alias", AliasName="alias/a", TargetKeyId=one["KeyId"])
    again = world.call("kms", "create_alias", AliasName="alias/a", TargetKeyId=two["KeyId"])
    assert (await refusal(again))[0] == "AlreadyExistsException"
    await world.call("kms", "update_alias", AliasName="alias/a", TargetKeyId=two["KeyId"])
    await world.call("kms", "create_alias", AliasName="alias/b", TargetKeyId=one["KeyId"])
    found = await world.call("kms", "list_aliases", Limit=1)
    assert [entry["AliasName"] for entry in found["Aliases"]] == ["alias/a"]
    found = await world.call("kms", "list_aliases", Marker=found["NextMarker"])
    assert [entry["AliasName"] for entry in found["Aliases"]] == ["alias/b"]
    found = await world.call("kms", "list_aliases", KeyId=two["Arn"])
    assert [entry["TargetKeyId"] for entry in found["Aliases"]] == [two["KeyId"]]
    for name, code in (
        ("beans", "ValidationException"),
        ("alias/aws/x", "InvalidAliasNameException"),
    ):
        call = world.call("kms", "create_alias", AliasName=name, TargetKeyId=one["KeyId"])
        assert (await refusal(call))[0] == code
    await world.call("kms", "delete_alias", AliasName="alias/a")
    assert (await refusal(world.call("kms", "delete_alias", AliasName="alias/a")))[0] == (
        "NotFoundException"
    )


@told
async def test_a_key_that_is_off_does_nothing(world: World) -> None:
    made = await key(world)
    blob = (await world.call("kms", "encrypt", KeyId=made["KeyId"], Plaintext=b"x"))[
        "CiphertextBlob"
    ]
    await world.call("kms", "disable_key", KeyId=made["KeyId"])
    off = ("DisabledException", f"{made['Arn']} is disabled.")
    assert await refusal(world.call("kms", "decrypt", CiphertextBlob=blob)) == off
    assert await refusal(world.call("kms", "encrypt", KeyId=made["KeyId"], Plaintext=b"x")) == off
    await world.call("kms", "enable_key", KeyId=made["KeyId"])
    assert (await world.call("kms", "decrypt", CiphertextBlob=blob))["Plaintext"] == b"x"


@told
async def test_a_key_is_deleted_after_its_waiting_time_and_may_be_kept(world: World) -> None:
    made = await key(world)
    name = {"KeyId": made["KeyId"]}
    for days in (6, 31):
        call = world.call("kms", "schedule_key_deletion", **name, PendingWindowInDays=days)
        assert (await refusal(call))[0] == "ValidationException"
    await world.call("kms", "create_alias", AliasName="alias/a", TargetKeyId=made["KeyId"])
    await world.call("kms", "schedule_key_deletion", **name, PendingWindowInDays=7)
    assert await refusal(world.call("kms", "encrypt", **name, Plaintext=b"x")) == (
        "KMSInvalidStateException",
        f"{made['Arn']} is pending deletion.",
    )
    await world.call("kms", "cancel_key_deletion", **name)
    await world.advance(days=8)
    found = (await world.call("kms", "describe_key", **name))["KeyMetadata"]
    assert found["KeyState"] == "Disabled"
    await world.call("kms", "schedule_key_deletion", **name, PendingWindowInDays=7)
    await world.advance(days=6)
    found = (await world.call("kms", "describe_key", **name))["KeyMetadata"]
    assert found["KeyState"] == "PendingDeletion"
    await world.advance(days=2)
    assert (await refusal(world.call("kms", "describe_key", **name)))[0] == "NotFoundException"
    assert (await world.call("kms", "list_aliases"))["Aliases"] == []


@told
async def test_a_rotated_key_still_reads_what_it_wrote(world: World) -> None:
    name = {"KeyId": (await key(world))["KeyId"]}
    blobs = [(await world.call("kms", "encrypt", **name, Plaintext=b"0"))["CiphertextBlob"]]
    await world.call("kms", "enable_key_rotation", **name, RotationPeriodInDays=90)
    status = await world.call("kms", "get_key_rotation_status", **name)
    assert (status["KeyRotationEnabled"], status["RotationPeriodInDays"]) == (True, 90)
    for at in (1, 2):
        await world.advance(days=91)
        text = str(at).encode()
        blobs.append((await world.call("kms", "encrypt", **name, Plaintext=text))["CiphertextBlob"])
    await world.call("kms", "rotate_key_on_demand", **name)
    rotations = (await world.call("kms", "list_key_rotations", **name))["Rotations"]
    kinds = [one["RotationType"] for one in rotations]
    assert kinds == ["AUTOMATIC", "AUTOMATIC", "ON_DEMAND"]
    for at, blob in enumerate(blobs):
        found = await world.call("kms", "decrypt", CiphertextBlob=blob)
        assert found["Plaintext"] == str(at).encode()
    pair = await key(world, KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    call = world.call("kms", "enable_key_rotation", KeyId=pair["KeyId"])
    assert (await refusal(call))[0] == "UnsupportedOperationException"


@told
async def test_keys_outlive_a_crash_and_lie_on_disk_sealed(world: World) -> None:
    made = await key(world)
    blob = (await world.call("kms", "encrypt", KeyId=made["KeyId"], Plaintext=b"x"))[
        "CiphertextBlob"
    ]
    after = world.again()
    await after.start()
    assert (await after.call("kms", "decrypt", CiphertextBlob=blob))["Plaintext"] == b"x"
    await after.close()


@told
async def test_tags_and_pages_of_keys(world: World) -> None:
    names = sorted([(await key(world))["KeyId"] for _ in range(5)])
    seen: list[str] = []
    page = await world.call("kms", "list_keys", Limit=2)
    while True:
        seen += [one["KeyId"] for one in page["Keys"]]
        if not page["Truncated"]:
            break
        page = await world.call("kms", "list_keys", Limit=2, Marker=page["NextMarker"])
    assert seen == names
    assert (await refusal(world.call("kms", "list_keys", Marker="forged")))[0] == (
        "InvalidMarkerException"
    )
    tag = {"TagKey": "team", "TagValue": "bar"}
    await world.call("kms", "tag_resource", KeyId=names[0], Tags=[tag])
    found = await world.call("kms", "list_resource_tags", KeyId=names[0])
    assert found["Tags"] == [tag]
    await world.call("kms", "untag_resource", KeyId=names[0], TagKeys=["team"])
    assert (await world.call("kms", "list_resource_tags", KeyId=names[0]))["Tags"] == []


@told
async def test_what_is_not_here_is_said_not_to_be(world: World) -> None:
    for req in (
        {"KeySpec": "SM2", "KeyUsage": "SIGN_VERIFY"},
        {"KeySpec": "ML_KEM_512", "KeyUsage": "ENCAPSULATE_DECAPSULATE"},
    ):
        assert (await refusal(key(world, **req)))[0] == "NotImplemented"
    assert (await refusal(key(world, KeySpec="RSA_2048")))[0] == "ValidationException"
    wrong = key(world, KeySpec="HMAC_256", KeyUsage="SIGN_VERIFY")
    assert (await refusal(wrong))[0] == "ValidationException"


@told
async def test_nobody_locks_himself_out_by_accident(world: World) -> None:
    ann = await user(world, "ann", allow("kms:*"))
    closed = key_policy(allow("kms:Encrypt", Principal="*"), root=False)
    text = "The new key policy will not allow you to update the key policy in the future."
    for call in (
        key(world, caller=ann, Policy=closed),
        world.call(
            "kms", "put_key_policy", caller=ann, KeyId=(await key(world))["KeyId"], Policy=closed
        ),
    ):
        assert await refusal(call) == ("MalformedPolicyDocumentException", text)
    made = await key(world, caller=ann, Policy=closed, BypassPolicyLockoutSafetyCheck=True)
    found = await refusal(world.call("kms", "describe_key", KeyId=made["KeyId"]))
    assert found[0] == "AccessDeniedException"
    own = key_policy(allow("kms:*", Principal={"AWS": ann.arn}), root=False)
    await key(world, caller=ann, Policy=own)


@told
async def test_a_key_that_is_off_rotates_when_it_is_on_again(world: World) -> None:
    name = {"KeyId": (await key(world))["KeyId"]}
    await world.call("kms", "enable_key_rotation", **name, RotationPeriodInDays=90)
    await world.call("kms", "disable_key", **name)
    await world.advance(days=100)
    assert (await world.call("kms", "list_key_rotations", **name))["Rotations"] == []
    await world.call("kms", "enable_key", **name)
    await world.settle()
    rotations = (await world.call("kms", "list_key_rotations", **name))["Rotations"]
    assert [one["RotationType"] for one in rotations] == ["AUTOMATIC"]
    await world.call("kms", "schedule_key_deletion", **name)
    status = await world.call("kms", "get_key_rotation_status", **name)
    assert status["KeyRotationEnabled"] is False
    await world.call("kms", "cancel_key_deletion", **name)
    status = await world.call("kms", "get_key_rotation_status", **name)
    assert status["KeyRotationEnabled"] is True


@told
async def test_rotations_on_demand_have_a_limit_and_are_listed_by_pages(world: World) -> None:
    name = {"KeyId": (await key(world))["KeyId"]}
    for _ in range(25):
        await world.call("kms", "rotate_key_on_demand", **name)
    over = await refusal(world.call("kms", "rotate_key_on_demand", **name))
    assert over[0] == "LimitExceededException"
    asked = {**name, "Limit": 20, "IncludeKeyMaterial": "ALL_KEY_MATERIAL"}
    first = await world.call("kms", "list_key_rotations", **asked)
    rest = await world.call("kms", "list_key_rotations", **asked, Marker=first["NextMarker"])
    every = [*first["Rotations"], *rest["Rotations"]]
    assert (len(first["Rotations"]), len(every), rest["Truncated"]) == (20, 26, False)
    assert "RotationDate" not in every[0]
    states = [one["KeyMaterialState"] for one in every]
    assert states == ["NON_CURRENT"] * 25 + ["CURRENT"]
    described = (await world.call("kms", "describe_key", **name))["KeyMetadata"]
    assert described["CurrentKeyMaterialId"] == every[-1]["KeyMaterialId"]
    # Close to a rotation that comes by itself, none is made by hand.
    soon = {"KeyId": (await key(world))["KeyId"]}
    await world.call("kms", "enable_key_rotation", **soon, RotationPeriodInDays=90)
    await world.advance(days=89, hours=23, minutes=45)
    call = world.call("kms", "rotate_key_on_demand", **soon)
    assert (await refusal(call))[0] == "ConflictException"
