"""What buckets are set to, and what they are not."""

from __future__ import annotations

from typing import Any

import pytest

from .world import World, refused, told


@told
async def test_a_new_bucket_has_the_defaults_that_aws_gives(world: World) -> None:
    await world.bucket()
    encryption = await world.s3("get_bucket_encryption", Bucket="bucket")
    (rule,) = encryption["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    controls = await world.s3("get_bucket_ownership_controls", Bucket="bucket")
    assert controls["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    block = await world.s3("get_public_access_block", Bucket="bucket")
    assert set(block["PublicAccessBlockConfiguration"].values()) == {True}
    acl = await world.s3("get_bucket_acl", Bucket="bucket")
    assert acl["Grants"][0]["Permission"] == "FULL_CONTROL"
    assert acl["Grants"][0]["Grantee"]["ID"] == acl["Owner"]["ID"]
    payment = await world.s3("get_bucket_request_payment", Bucket="bucket")
    assert payment == {"Payer": "BucketOwner"}
    for method in ("logging", "accelerate_configuration", "notification_configuration"):
        assert await world.s3(f"get_bucket_{method}", Bucket="bucket") == {}


@pytest.mark.parametrize(
    ("method", "code"),
    [
        ("get_bucket_lifecycle_configuration", "NoSuchLifecycleConfiguration"),
        ("get_bucket_replication", "ReplicationConfigurationNotFoundError"),
        ("get_bucket_website", "NoSuchWebsiteConfiguration"),
        ("get_object_lock_configuration", "ObjectLockConfigurationNotFoundError"),
        ("get_bucket_policy", "NoSuchBucketPolicy"),
        ("get_bucket_policy_status", "NoSuchBucketPolicy"),
        ("get_bucket_cors", "NoSuchCORSConfiguration"),
        ("get_bucket_tagging", "NoSuchTagSet"),
    ],
)
def test_what_is_not_set_is_said_not_to_be(method: str, code: str) -> None:
    @told
    async def story(world: World) -> None:
        await world.bucket()
        error = await refused(world.s3(method, Bucket="bucket"))
        assert (error.code, error.status) == (code, 404)
        assert (await refused(world.s3(method, Bucket="none"))).code == "NoSuchBucket"

    story()


@told
async def test_encryption_can_be_set_and_reset(world: World) -> None:
    await world.bucket()

    def rules(**default: Any) -> dict[str, Any]:
        return {
            "Rules": [{"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}]
        }

    async def put(configuration: dict[str, Any]) -> None:
        await world.s3(
            "put_bucket_encryption",
            Bucket="bucket",
            ServerSideEncryptionConfiguration=configuration,
        )

    await put(rules(SSEAlgorithm="AES256"))
    found = await world.s3("get_bucket_encryption", Bucket="bucket")
    assert found["ServerSideEncryptionConfiguration"]["Rules"][0]["BucketKeyEnabled"] is True
    await put(rules(SSEAlgorithm="aws:kms", KMSMasterKeyID="alias/beans"))
    found = await world.s3("get_bucket_encryption", Bucket="bucket")
    (rule,) = found["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"] == "alias/beans"
    wrong = put(rules(SSEAlgorithm="AES256", KMSMasterKeyID="alias/beans"))
    assert (await refused(wrong)).code == "InvalidArgument"
    assert (await refused(put({"Rules": []}))).code == "MalformedXML"
    await world.s3("delete_bucket_encryption", Bucket="bucket")
    found = await world.s3("get_bucket_encryption", Bucket="bucket")
    assert found["ServerSideEncryptionConfiguration"]["Rules"][0]["BucketKeyEnabled"] is False


@told
async def test_ownership_controls_can_be_set_and_forgotten(world: World) -> None:
    await world.bucket()
    await world.s3(
        "put_bucket_ownership_controls",
        Bucket="bucket",
        OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]},
    )
    await world.put("key", ACL="private")
    await world.s3("delete_bucket_ownership_controls", Bucket="bucket")
    error = await refused(world.s3("get_bucket_ownership_controls", Bucket="bucket"))
    assert error.code == "OwnershipControlsNotFoundError"
    error = await refused(
        world.s3(
            "put_bucket_ownership_controls",
            Bucket="bucket",
            OwnershipControls={"Rules": [{"ObjectOwnership": "Nobody"}]},
        )
    )
    assert error.code == "MalformedXML"


@told
async def test_cross_origin_rules_come_back_as_put(world: World) -> None:
    await world.bucket()
    rules = [
        {
            "ID": "one",
            "AllowedMethods": ["GET", "PUT"],
            "AllowedOrigins": ["https://*.example.com"],
            "AllowedHeaders": ["*"],
            "ExposeHeaders": ["ETag"],
            "MaxAgeSeconds": 60,
        }
    ]

    async def put(rules: list[dict[str, Any]]) -> None:
        await world.s3("put_bucket_cors", Bucket="bucket", CORSConfiguration={"CORSRules": rules})

    await put(rules)
    assert (await world.s3("get_bucket_cors", Bucket="bucket"))["CORSRules"] == rules
    assert (await refused(put([]))).code == "MalformedXML"
    assert (await refused(put([{**rules[0], "AllowedMethods": ["PATCH"]}]))).code == (
        "InvalidRequest"
    )
    assert (await refused(put([{**rules[0], "AllowedOrigins": ["*.*"]}]))).code == "InvalidRequest"
    await world.s3("delete_bucket_cors", Bucket="bucket")
    assert (await refused(world.s3("get_bucket_cors", Bucket="bucket"))).code == (
        "NoSuchCORSConfiguration"
    )


@told
async def test_an_objects_acl_is_its_owner(world: World) -> None:
    await world.bucket()
    await world.put("key")
    acl = await world.s3("get_object_acl", Bucket="bucket", Key="key")
    assert [grant["Permission"] for grant in acl["Grants"]] == ["FULL_CONTROL"]
    assert (await refused(world.s3("get_object_acl", Bucket="bucket", Key="none"))).code == (
        "NoSuchKey"
    )


@pytest.mark.parametrize("what", ["analytics", "intelligent_tiering", "inventory", "metrics"])
def test_there_are_no_reports_on_a_bucket(what: str) -> None:
    @told
    async def story(world: World) -> None:
        await world.bucket()
        listed = await world.s3(f"list_bucket_{what}_configurations", Bucket="bucket")
        assert listed == {"IsTruncated": False}
        error = await refused(
            world.s3(f"get_bucket_{what}_configuration", Bucket="bucket", Id="one")
        )
        assert (error.code, error.status) == ("NoSuchConfiguration", 404)

    story()


@told
async def test_deleting_what_is_not_set_is_no_error(world: World) -> None:
    await world.bucket()
    for what in ("lifecycle", "replication", "website"):
        await world.s3(f"delete_bucket_{what}", Bucket="bucket")
        error = await refused(world.s3(f"delete_bucket_{what}", Bucket="none"))
        assert error.code == "NoSuchBucket"
    await world.put("key")
    for what in ("retention", "legal_hold"):
        error = await refused(world.s3(f"get_object_{what}", Bucket="bucket", Key="key"))
        assert error.message == "Bucket is missing Object Lock Configuration"


@told
async def test_a_list_that_is_switched_off_cannot_be_put(world: World) -> None:
    await world.bucket()
    await world.put("key")
    error = await refused(world.s3("put_bucket_acl", Bucket="bucket", ACL="private"))
    assert error.code == "AccessControlListNotSupported"
    error = await refused(world.s3("put_object_acl", Bucket="bucket", Key="key", ACL="private"))
    assert error.code == "AccessControlListNotSupported"
    await world.s3("create_bucket", Bucket="lists", ObjectOwnership="ObjectWriter")
    own = await world.s3("get_bucket_acl", Bucket="lists")
    await world.s3("put_bucket_acl", Bucket="lists", AccessControlPolicy=own)
    assert await world.s3("get_bucket_acl", Bucket="lists") == own
