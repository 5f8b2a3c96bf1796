"""Access control lists that grant: to accounts, to groups, and only where they count."""

from __future__ import annotations

import json
from typing import Any

import pytest

from doppio.kernel.identity import ANONYMOUS, Caller, canonical_user, root_of
from doppio.kernel.policy import PolicySet, compile_policy
from doppio.services.s3 import acl_rules

from .world import ACCOUNT, OTHER, World, refused, told

STRANGER = root_of(OTHER)
THIRD = root_of("222222222222")
OPEN = {
    "BlockPublicAcls": False,
    "IgnorePublicAcls": False,
    "BlockPublicPolicy": False,
    "RestrictPublicBuckets": False,
}


async def lists(world: World, ownership: str = "ObjectWriter", *, public: bool = True) -> None:
    """A bucket where lists count."""
    await world.s3("create_bucket", Bucket="bucket", ObjectOwnership=ownership)
    if public:
        await block(world)


async def block(world: World, **settings: bool) -> None:
    await world.s3(
        "put_public_access_block",
        Bucket="bucket",
        PublicAccessBlockConfiguration={**OPEN, **settings},
    )


async def code(call: Any) -> str:
    return (await refused(call)).code.removesuffix("Exception")


@told
async def test_a_public_object_is_everybodys_to_read_and_nothing_else(world: World) -> None:
    await lists(world)
    await world.put("open", b"text", ACL="public-read")
    await world.put("shut", b"text")
    assert await world.get("open", caller=ANONYMOUS) == b"text"
    assert await world.get("open", caller=STRANGER) == b"text"
    assert await code(world.get("shut", caller=ANONYMOUS)) == "AccessDenied"
    assert await code(world.put("open", b"mine", caller=ANONYMOUS)) == "AccessDenied"
    listing = world.s3("list_objects_v2", Bucket="bucket", caller=ANONYMOUS)
    assert await code(listing) == "AccessDenied"
    acl = await world.s3("get_object_acl", Bucket="bucket", Key="open")
    assert acl["Grants"][1] == {
        "Grantee": {"Type": "Group", "URI": acl_rules.ALL},
        "Permission": "READ",
    }
    await world.s3("put_object_acl", Bucket="bucket", Key="open", ACL="private")
    assert await code(world.get("open", caller=ANONYMOUS)) == "AccessDenied"


@told
async def test_authenticated_read_is_for_those_who_sign(world: World) -> None:
    await lists(world)
    await world.put("key", b"text", ACL="authenticated-read")
    assert await world.get("key", caller=STRANGER) == b"text"
    assert await code(world.get("key", caller=ANONYMOUS)) == "AccessDenied"


@told
async def test_headers_grant_to_accounts_by_their_canonical_ids(world: World) -> None:
    await lists(world, public=False)
    await world.put("key", b"text", GrantRead=f'id="{canonical_user(OTHER)}"')
    assert await world.get("key", caller=STRANGER) == b"text"
    assert await code(world.get("key", caller=THIRD)) == "AccessDenied"
    shown = world.s3("get_object_acl", Bucket="bucket", Key="key", caller=STRANGER)
    assert await code(shown) == "AccessDenied"
    user = Caller(OTHER, f"arn:aws:iam::{OTHER}:user/u", "AIDA", "user", policies=PolicySet())
    # The list lets the account in; within it, its own policies decide.
    assert await code(world.get("key", caller=user)) == "AccessDenied"


@told
async def test_a_policys_denial_outweighs_every_list(world: World) -> None:
    await lists(world)
    await world.put("key", b"text", ACL="public-read")
    statement = {
        "Effect": "Deny", "Principal": "*", "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::bucket/*",
    }  # fmt: skip
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    await world.s3("put_bucket_policy", Bucket="bucket", Policy=policy)
    assert await code(world.get("key", caller=ANONYMOUS)) == "AccessDenied"
    assert (await world.s3("get_bucket_policy", Bucket="bucket"))["Policy"] == policy


@told
async def test_a_buckets_list_lets_others_list_and_write(world: World) -> None:
    await lists(world)
    await world.s3("put_bucket_acl", Bucket="bucket", ACL="public-read-write")
    await world.put("theirs", b"text", caller=STRANGER)
    listed = await world.s3("list_objects", Bucket="bucket", caller=ANONYMOUS)
    assert [one["Owner"]["ID"] for one in listed["Contents"]] == [canonical_user(OTHER)]
    await world.s3("put_bucket_acl", Bucket="bucket", ACL="private")
    assert await code(world.put("more", b"", caller=STRANGER)) == "AccessDenied"
    assert await code(world.s3("list_objects", Bucket="bucket", caller=ANONYMOUS)) == (
        "AccessDenied"
    )


@told
async def test_what_others_write_is_theirs_until_lists_are_switched_off(world: World) -> None:
    await lists(world)
    writer = f'id="{canonical_user(OTHER)}"'
    await world.s3("put_bucket_acl", Bucket="bucket", GrantWrite=writer)
    await world.put("key", b"text", caller=STRANGER)
    assert await world.get("key", caller=STRANGER) == b"text"
    assert await code(world.get("key")) == "AccessDenied"
    assert await code(world.s3("head_object", Bucket="bucket", Key="key")) == "AccessDenied"
    copy = world.s3("copy_object", Bucket="bucket", Key="copy", CopySource="bucket/key")
    assert await code(copy) == "AccessDenied"
    await world.s3(
        "put_object_acl", Bucket="bucket", Key="key", ACL="bucket-owner-read", caller=STRANGER
    )
    assert await world.get("key") == b"text"
    assert await code(world.s3("get_object_acl", Bucket="bucket", Key="key")) == "AccessDenied"
    await world.put("other", b"text", caller=STRANGER)
    await world.s3("put_bucket_acl", Bucket="bucket", ACL="private")
    await world.s3(
        "put_bucket_ownership_controls",
        Bucket="bucket",
        OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
    )
    assert await world.get("other") == b"text"
    assert await code(world.get("other", caller=STRANGER)) == "AccessDenied"


@told
async def test_the_preferred_owner_gets_what_is_given_in_full(world: World) -> None:
    await lists(world, "BucketOwnerPreferred", public=False)
    writer = f'id="{canonical_user(OTHER)}"'
    await world.s3("put_bucket_acl", Bucket="bucket", GrantWrite=writer)
    await world.put("given", b"text", caller=STRANGER, ACL="bucket-owner-full-control")
    await world.put("kept", b"text", caller=STRANGER)
    given = await world.s3("get_object_acl", Bucket="bucket", Key="given")
    assert given["Owner"]["ID"] == canonical_user(ACCOUNT)
    assert await world.get("given") == b"text"
    assert await code(world.get("kept")) == "AccessDenied"
    await world.s3("delete_object", Bucket="bucket", Key="kept")
    assert await code(world.get("kept")) == "NoSuchKey"


@told
async def test_blocks_refuse_public_lists_and_ignore_those_that_are_there(world: World) -> None:
    await lists(world)
    await world.put("key", b"text", ACL="public-read")
    await world.s3("put_bucket_acl", Bucket="bucket", ACL="public-read")
    await block(world, BlockPublicAcls=True)
    assert await world.get("key", caller=ANONYMOUS) == b"text"
    error = await refused(world.put("new", b"", ACL="public-read"))
    assert (error.code, error.status) == ("AccessDenied", 403)
    assert "prevented by the BlockPublicAcls setting" in error.message
    put = world.s3("put_bucket_acl", Bucket="bucket", ACL="authenticated-read")
    assert await code(put) == "AccessDenied"
    await block(world, IgnorePublicAcls=True)
    assert await code(world.get("key", caller=ANONYMOUS)) == "AccessDenied"
    listing = world.s3("list_objects", Bucket="bucket", caller=ANONYMOUS)
    assert await code(listing) == "AccessDenied"
    await block(world)
    assert await world.get("key", caller=ANONYMOUS) == b"text"


@told
async def test_lists_are_checked_as_s3_checks_them(world: World) -> None:
    await lists(world)

    async def put(**req: Any) -> tuple[str, int]:
        error = await refused(world.s3("put_bucket_acl", Bucket="bucket", **req))
        return error.code, error.status

    def document(grantee: dict[str, str], permission: str = "READ") -> dict[str, Any]:
        grants = [{"Grantee": grantee, "Permission": permission}]
        return {"Owner": {"ID": canonical_user(ACCOUNT)}, "Grants": grants}

    assert await put() == ("MissingSecurityHeader", 400)
    assert await put(ACL="private", GrantRead='id="x"') == ("InvalidRequest", 400)
    assert await put(GrantRead='id="x"') == ("InvalidArgument", 400)
    assert await put(GrantRead="nobody") == ("InvalidArgument", 400)
    assert await put(GrantRead='emailAddress="a@b.c"') == ("MethodNotAllowed", 405)
    mail = {"Type": "AmazonCustomerByEmail", "EmailAddress": "a@b.c"}
    assert await put(AccessControlPolicy=document(mail)) == ("MethodNotAllowed", 405)
    group = {"Type": "Group", "URI": "http://acs.amazonaws.com/groups/none"}
    assert await put(AccessControlPolicy=document(group)) == ("InvalidArgument", 400)
    known = {"Type": "Group", "URI": acl_rules.ALL}
    assert await put(AccessControlPolicy={"Grants": []}) == ("MalformedACLError", 400)
    many = {**document(known), "Grants": document(known)["Grants"] * 101}
    assert await put(AccessControlPolicy=many) == ("MalformedACLError", 400)
    many["Grants"].pop()
    await world.s3("put_bucket_acl", Bucket="bucket", AccessControlPolicy=many)
    assert len((await world.s3("get_bucket_acl", Bucket="bucket"))["Grants"]) == 100
    enforced = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    error = await refused(
        world.s3("put_bucket_ownership_controls", Bucket="bucket", OwnershipControls=enforced)
    )
    assert error.code == "InvalidBucketAclWithObjectOwnership"
    error = await refused(
        world.s3(
            "create_bucket", Bucket="public", ACL="public-read", ObjectOwnership="ObjectWriter"
        )
    )
    assert error.code == "InvalidBucketAclWithBlockPublicAccessError"


@told
async def test_uploads_in_parts_and_copies_take_their_lists_along(world: World) -> None:
    await lists(world)
    begun = await world.s3(
        "create_multipart_upload", Bucket="bucket", Key="parts", ACL="public-read"
    )
    upload = {"Bucket": "bucket", "Key": "parts", "UploadId": begun["UploadId"]}
    part = await world.s3("upload_part", **upload, PartNumber=1, Body=b"text")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    await world.s3("complete_multipart_upload", **upload, MultipartUpload=parts)
    assert await world.get("parts", caller=ANONYMOUS) == b"text"
    await world.s3("copy_object", Bucket="bucket", Key="copy", CopySource="bucket/parts")
    assert await code(world.get("copy", caller=ANONYMOUS)) == "AccessDenied"


def reader(condition: dict[str, Any]) -> Caller:
    statement = {
        "Effect": "Allow", "Action": "s3:*", "Resource": "*", "Condition": condition,
    }  # fmt: skip
    policy = compile_policy({"Version": "2012-10-17", "Statement": [statement]})
    return Caller(
        ACCOUNT,
        f"arn:aws:iam::{ACCOUNT}:user/u",
        "AIDA",
        "user",
        policies=PolicySet(identity=[policy]),
    )


@told
async def test_policies_see_the_tags_that_an_object_has(world: World) -> None:
    await world.bucket(versioning="Enabled")
    red = await world.put("key", b"red", Tagging="colour=red")
    await world.put("key", b"blue", Tagging="colour=blue")
    who = reader({"StringEquals": {"s3:ExistingObjectTag/colour": "red"}})
    assert await code(world.get("key", caller=who)) == "AccessDenied"
    assert await world.get("key", VersionId=red["VersionId"], caller=who) == b"red"
    await world.s3(
        "put_object_tagging",
        Bucket="bucket",
        Key="key",
        Tagging={"TagSet": [{"Key": "colour", "Value": "red"}]},
    )
    assert await world.get("key", caller=who) == b"blue"
    assert await code(world.get("none", caller=who)) == "AccessDenied"


@pytest.mark.parametrize("key", ["aws:ResourceTag/team", "s3:BucketTag/team"])
def test_a_buckets_tags_count_once_they_are_let(key: str) -> None:
    @told
    async def story(world: World) -> None:
        await world.bucket()
        await world.put("key", b"text")
        await world.s3(
            "put_bucket_tagging",
            Bucket="bucket",
            Tagging={"TagSet": [{"Key": "team", "Value": "a"}]},
        )
        who = reader({"StringEquals": {key: "a"}})
        assert (await world.s3("get_bucket_abac", Bucket="bucket"))["AbacStatus"] == {
            "Status": "Disabled"
        }
        assert await code(world.get("key", caller=who)) == "AccessDenied"
        await world.s3("put_bucket_abac", Bucket="bucket", AbacStatus={"Status": "Enabled"})
        assert await world.get("key", caller=who) == b"text"
        listed = await world.s3("list_objects_v2", Bucket="bucket", caller=who)
        assert listed["KeyCount"] == 1
        await world.s3("put_bucket_abac", Bucket="bucket", AbacStatus={"Status": "Disabled"})
        assert await code(world.get("key", caller=who)) == "AccessDenied"

    story()
