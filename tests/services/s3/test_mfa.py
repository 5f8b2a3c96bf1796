"""MFA delete: versions go for good only with a code of the caller's own device."""

from __future__ import annotations

import base64
from typing import Any

from doppio.kernel.identity import Caller
from doppio.services.iam import totp
from doppio.wire.http import Whole
from tests.services.iam.helpers import document, iam, user
from tests.services.world import ACCOUNT, World, refused, told


class Phone:
    """An authenticator of root's, or of a user's."""

    def __init__(self, world: World, name: str, seed: bytes) -> None:
        self.serial = f"arn:aws:iam::{ACCOUNT}:mfa/{name}"
        self._world = world
        self._seed = base64.b32decode(seed)

    def code(self, later: int = 0) -> str:
        now = totp.step_of(self._world.host.seconds())
        return totp.code_at(self._seed, now + later)

    def mfa(self) -> str:
        """`x-amz-mfa` with the next code: half a minute passes."""
        self._world.host.run_to(self._world.host.seconds() + totp.STEP_SECONDS)
        return f"{self.serial} {self.code()}"


async def phone(world: World, name: str = "root", holder: str = ACCOUNT) -> Phone:
    made = await iam(world, "create_virtual_mfa_device", VirtualMFADeviceName=name)
    one = Phone(world, name, made["VirtualMFADevice"]["Base32StringSeed"])
    await iam(
        world, "enable_mfa_device", UserName=holder, SerialNumber=one.serial,
        AuthenticationCode1=one.code(-1), AuthenticationCode2=one.code(),
    )  # fmt: skip
    return one


async def s3(world: World, method: str, **req: Any) -> Any:
    return await world.call("s3", method, Bucket="vault", **req)


async def put(world: World, key: str) -> str:
    version: str = (await s3(world, "put_object", Key=key, Body=Whole(b"x")))["VersionId"]
    return version


async def version(
    world: World, mfa_delete: str | None = None, status: str = "Enabled", **req: Any
) -> None:
    configuration = {"Status": status} | ({} if mfa_delete is None else {"MFADelete": mfa_delete})
    await s3(world, "put_bucket_versioning", VersioningConfiguration=configuration, **req)


async def vault(world: World) -> Phone:
    """A bucket with MFA delete, and root's device."""
    root = await phone(world)
    await s3(world, "create_bucket")
    await version(world, "Enabled", MFA=root.mfa())
    return root


async def barista(world: World) -> Caller:
    """A user who may do everything in S3."""
    who: Caller = await user(world, "barista", document("s3:*"))
    return who


@told
async def test_root_has_a_device_of_its_own(world: World) -> None:
    one = await phone(world)
    mine = (await iam(world, "list_mfa_devices"))["MFADevices"]
    assert [(row["SerialNumber"], row["UserName"]) for row in mine] == [(one.serial, ACCOUNT)]
    shown = (await iam(world, "list_virtual_mfa_devices"))["VirtualMFADevices"]
    assert shown[0]["User"]["Arn"] == f"arn:aws:iam::{ACCOUNT}:root"
    await iam(world, "deactivate_mfa_device", UserName=ACCOUNT, SerialNumber=one.serial)
    assert (await iam(world, "list_mfa_devices"))["MFADevices"] == []


@told
async def test_only_root_with_its_device_turns_it_on_and_off(world: World) -> None:
    root = await phone(world)
    await s3(world, "create_bucket")
    await version(world, "Disabled")
    error = await refused(version(world, "Enabled"))
    assert (error.code, error.status) == ("AccessDenied", 403)
    assert error.message == "Mfa Authentication must be used for this request"
    who = await barista(world)
    theirs = await phone(world, "theirs", "barista")
    error = await refused(version(world, "Enabled", caller=who, MFA=theirs.mfa()))
    assert error.message == "This operation may only be performed by the bucket owner"
    await version(world, "Enabled", MFA=root.mfa())
    found = await s3(world, "get_bucket_versioning")
    assert found == {"Status": "Enabled", "MFADelete": "Enabled"}
    for call in (version(world, "Disabled"), version(world, status="Suspended")):
        assert (await refused(call)).code == "AccessDenied"
    await version(world, "Disabled", MFA=root.mfa())
    assert (await s3(world, "get_bucket_versioning"))["MFADelete"] == "Disabled"
    await version(world, status="Suspended")


@told
async def test_a_version_goes_with_a_code_and_not_without(world: World) -> None:
    root = await vault(world)
    first = await put(world, "key")
    error = await refused(s3(world, "delete_object", Key="key", VersionId=first))
    assert (error.code, error.status) == ("AccessDenied", 403)
    # To hide it takes no code, since nothing is lost by that.
    marker = (await s3(world, "delete_object", Key="key"))["VersionId"]
    await s3(world, "delete_object", Key="key", VersionId=marker, MFA=root.mfa())
    assert (await s3(world, "head_object", Key="key"))["VersionId"] == first
    await s3(world, "delete_object", Key="key", VersionId=first, MFA=root.mfa())
    assert (await refused(s3(world, "head_object", Key="key"))).status == 404


@told
async def test_a_code_counts_once_and_only_its_holders(world: World) -> None:
    root = await vault(world)
    who = await barista(world)
    versions = [await put(world, "key") for _ in range(3)]
    mfa = root.mfa()
    await s3(world, "delete_object", Key="key", VersionId=versions[0], MFA=mfa)
    wrong = f"{root.serial} 000000"
    for given, caller in ((mfa, None), (wrong, None), (root.mfa(), who)):
        error = await refused(
            s3(world, "delete_object", Key="key", VersionId=versions[1], MFA=given, caller=caller)
        )
        assert (error.code, error.status) == ("AccessDenied", 403)
    theirs = await phone(world, "theirs", "barista")
    await s3(world, "delete_object", Key="key", VersionId=versions[1], MFA=theirs.mfa(), caller=who)
    error = await refused(
        s3(world, "delete_object", Key="key", VersionId=versions[2], MFA="nonsense")
    )
    assert error.code == "InvalidRequest"
    listed = await s3(world, "list_object_versions")
    assert [one["VersionId"] for one in listed["Versions"]] == [versions[2]]


@told
async def test_of_many_all_stay_where_the_code_is_missing_or_wrong(world: World) -> None:
    root = await vault(world)
    kept = await put(world, "a")
    await put(world, "b")
    wanted: Any = {"Objects": [{"Key": "a", "VersionId": kept}, {"Key": "b"}]}
    for more in ({}, {"MFA": f"{root.serial} 123"}):
        error = await refused(s3(world, "delete_objects", Delete=wanted, **more))
        assert error.code == "AccessDenied"
    assert (await s3(world, "list_objects_v2"))["KeyCount"] == 2
    gone = await s3(world, "delete_objects", Delete=wanted, MFA=root.mfa())
    assert [one["Key"] for one in gone["Deleted"]] == ["a", "b"]
    only_hides: Any = {"Objects": [{"Key": "b"}]}
    assert "Errors" not in await s3(world, "delete_objects", Delete=only_hides)


@told
async def test_rules_of_lifecycle_and_mfa_delete_exclude_each_other(world: World) -> None:
    root = await vault(world)
    rules: Any = {
        "LifecycleConfiguration": {
            "Rules": [{"Status": "Enabled", "Filter": {}, "Expiration": {"Days": 1}}]
        }
    }
    error = await refused(s3(world, "put_bucket_lifecycle_configuration", **rules))
    assert (error.code, error.status) == ("InvalidBucketState", 409)
    await version(world, "Disabled", MFA=root.mfa())
    await s3(world, "put_bucket_lifecycle_configuration", **rules)
    error = await refused(version(world, "Enabled", MFA=root.mfa()))
    assert error.code == "InvalidBucketState"


@told
async def test_a_used_code_stays_used_through_a_crash(world: World) -> None:
    root = await vault(world)
    versions = [await put(world, "key") for _ in range(2)]
    mfa = root.mfa()
    await s3(world, "delete_object", Key="key", VersionId=versions[0], MFA=mfa)
    after = world.again()
    await after.start()
    try:
        call = s3(after, "delete_object", Key="key", VersionId=versions[1], MFA=mfa)
        assert (await refused(call)).code == "AccessDenied"
        call = s3(after, "delete_object", Key="key", VersionId=versions[1])
        assert (await refused(call)).code == "AccessDenied"
    finally:
        await after.close()
