"""Buckets: names, Regions, owners, and when they can go."""

from __future__ import annotations

from typing import Any

from doppio.kernel.identity import root_of

from .world import ACCOUNT, OTHER, World, refused, told


@told
async def test_a_bucket_is_there_once_it_is_created(world: World) -> None:
    made = await world.s3("create_bucket", Bucket="beans")
    assert made == {"Location": "/beans", "BucketArn": "arn:aws:s3:::beans"}
    head = await world.s3("head_bucket", Bucket="beans")
    assert head["BucketRegion"] == "us-east-1"
    listed = await world.s3("list_buckets")
    assert [entry["Name"] for entry in listed["Buckets"]] == ["beans"]
    await world.s3("delete_bucket", Bucket="beans")
    assert (await refused(world.s3("head_bucket", Bucket="beans"))).code == "NoSuchBucket"
    assert (await world.s3("list_buckets"))["Buckets"] == []


@told
async def test_a_name_belongs_to_one_account(world: World) -> None:
    await world.bucket("beans")
    await world.bucket("beans")
    other = root_of(OTHER)
    error = await refused(world.s3("create_bucket", caller=other, Bucket="beans"))
    assert (error.code, error.status) == ("BucketAlreadyExists", 409)
    error = await refused(
        world.s3(
            "create_bucket",
            region="eu-west-1",
            Bucket="beans",
            CreateBucketConfiguration={"LocationConstraint": "eu-west-1"},
        )
    )
    assert (error.code, error.status) == ("BucketAlreadyOwnedByYou", 409)


@told
async def test_a_name_that_is_none_is_refused(world: World) -> None:
    for name in ("ab", "A-bucket", "a..b", "10.0.0.1", "-abc", "abc-", "xn--abc", "a" * 64):
        error = await refused(world.s3("create_bucket", Bucket=name))
        assert error.code == "InvalidBucketName", name


@told
async def test_buckets_lie_in_the_region_they_are_asked_for(world: World) -> None:
    def there(constraint: str) -> dict[str, Any]:
        return {"CreateBucketConfiguration": {"LocationConstraint": constraint}}

    made = await world.s3("create_bucket", Bucket="far", **there("eu-central-1"))
    assert made["Location"] == "/far"
    assert await world.s3("get_bucket_location", Bucket="far") == {
        "LocationConstraint": "eu-central-1"
    }
    here = await world.s3(
        "create_bucket", region="eu-central-1", Bucket="near", **there("eu-central-1")
    )
    assert here["Location"] == "http://near.s3.amazonaws.com/"
    await world.bucket("home")
    assert await world.s3("get_bucket_location", Bucket="home") == {}
    error = await refused(world.s3("head_bucket", Bucket="far"))
    assert (error.code, error.status) == ("PermanentRedirect", 301)
    assert error.headers == {"x-amz-bucket-region": "eu-central-1"}  # type: ignore[attr-defined]
    error = await refused(world.s3("create_bucket", region="eu-west-1", Bucket="none"))
    assert error.code == "IllegalLocationConstraintException"
    for wrong in ("us-east-1", "mars-1"):
        error = await refused(world.s3("create_bucket", Bucket="none", **there(wrong)))
        assert error.code == "InvalidLocationConstraint", wrong
    error = await refused(
        world.s3("create_bucket", region="eu-west-1", Bucket="none", **there("eu-west-2"))
    )
    assert error.code == "IllegalLocationConstraintException"


@told
async def test_only_an_empty_bucket_goes(world: World) -> None:
    await world.bucket()
    await world.put("key")
    error = await refused(world.s3("delete_bucket", Bucket="bucket"))
    assert (error.code, error.status) == ("BucketNotEmpty", 409)
    await world.version("bucket", "Enabled")
    await world.s3("delete_object", Bucket="bucket", Key="key")
    error = await refused(world.s3("delete_bucket", Bucket="bucket"))
    assert "all versions" in error.message
    versions = await world.s3("list_object_versions", Bucket="bucket")
    for entry in (*versions["Versions"], *versions["DeleteMarkers"]):
        await world.s3("delete_object", Bucket="bucket", Key="key", VersionId=entry["VersionId"])
    await world.s3("delete_bucket", Bucket="bucket")


@told
async def test_buckets_are_listed_in_pages_by_prefix_and_region(world: World) -> None:
    await world.bucket("a-one")
    await world.bucket("b-two")
    await world.bucket("b-three")
    await world.s3(
        "create_bucket",
        Bucket="b-four",
        CreateBucketConfiguration={"LocationConstraint": "eu-west-1"},
    )
    await world.s3("create_bucket", caller=root_of(OTHER), Bucket="b-other")
    page = await world.s3("list_buckets", MaxBuckets=2)
    names = [entry["Name"] for entry in page["Buckets"]]
    page = await world.s3("list_buckets", MaxBuckets=2, ContinuationToken=page["ContinuationToken"])
    names += [entry["Name"] for entry in page["Buckets"]]
    assert names == ["a-one", "b-four", "b-three", "b-two"]
    assert "ContinuationToken" not in page
    page = await world.s3("list_buckets", Prefix="b-t", MaxBuckets=1)
    assert [entry["Name"] for entry in page["Buckets"]] == ["b-three"]
    page = await world.s3(
        "list_buckets", Prefix="b-t", MaxBuckets=1, ContinuationToken=page["ContinuationToken"]
    )
    assert [entry["Name"] for entry in page["Buckets"]] == ["b-two"]
    assert "ContinuationToken" not in page
    page = await world.s3("list_buckets", BucketRegion="eu-west-1")
    assert [entry["Name"] for entry in page["Buckets"]] == ["b-four"]
    error = await refused(world.s3("list_buckets", ContinuationToken="made up"))
    assert error.code == "InvalidArgument"


@told
async def test_an_account_has_a_number_of_buckets(world: World) -> None:
    from doppio.kernel.quotas import Raised

    context = world.context(root_of(ACCOUNT))
    async with context.write() as tx:
        tx.put(
            Raised(account=ACCOUNT, region="us-east-1", service="s3", code="L-DC2B2D3D", value=2)
        )
    await world.bucket("one")
    await world.bucket("two")
    assert (await refused(world.bucket("three"))).code == "TooManyBuckets"
    await world.s3("delete_bucket", Bucket="one")
    await world.bucket("three")


@told
async def test_acls_need_an_ownership_that_counts_them(world: World) -> None:
    await world.s3("create_bucket", Bucket="private", ACL="private")
    error = await refused(world.s3("create_bucket", Bucket="public", ACL="public-read"))
    assert error.code == "InvalidBucketAclWithObjectOwnership"
    await world.s3("create_bucket", Bucket="preferred", ObjectOwnership="BucketOwnerPreferred")
    controls = await world.s3("get_bucket_ownership_controls", Bucket="preferred")
    assert controls["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerPreferred"}]


@told
async def test_buckets_can_be_born_with_tags(world: World) -> None:
    await world.s3(
        "create_bucket",
        Bucket="tagged",
        CreateBucketConfiguration={"Tags": [{"Key": "team", "Value": "bar"}]},
    )
    tags = await world.s3("get_bucket_tagging", Bucket="tagged")
    assert tags == {"TagSet": [{"Key": "team", "Value": "bar"}]}
