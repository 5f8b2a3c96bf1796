"""Tags of buckets by their ARN, and what becomes of the older way where tags count in policies."""

from __future__ import annotations

from typing import Any

from ..world import OTHER, World, refused, told
from .helpers import control, s3
from .test_access_points import allow, user

ARN = "arn:aws:s3:::shop"
BAR = [{"Key": "team", "Value": "bar"}]


async def tags(world: World) -> Any:
    return (await control(world, "list_tags_for_resource", ResourceArn=ARN))["Tags"]


@told
async def test_a_buckets_tags_are_put_one_by_one(world: World) -> None:
    await s3(world, "create_bucket", Bucket="shop")
    assert await tags(world) == []
    await control(world, "tag_resource", ResourceArn=ARN, Tags=BAR)
    await control(world, "tag_resource", ResourceArn=ARN, Tags=[{"Key": "b", "Value": "2"}])
    assert await tags(world) == [*BAR, {"Key": "b", "Value": "2"}]
    assert (await s3(world, "get_bucket_tagging", Bucket="shop"))["TagSet"] == await tags(world)
    await control(world, "untag_resource", ResourceArn=ARN, TagKeys=["b", "none"])
    assert await tags(world) == BAR
    many = [{"Key": f"k{number}", "Value": ""} for number in range(50)]
    error = await refused(control(world, "tag_resource", ResourceArn=ARN, Tags=many))
    assert error.code == "InvalidTag"


@told
async def test_where_tags_count_the_older_way_is_closed(world: World) -> None:
    await s3(world, "create_bucket", Bucket="shop")
    await control(world, "tag_resource", ResourceArn=ARN, Tags=BAR)
    await s3(world, "put_bucket_abac", Bucket="shop", AbacStatus={"Status": "Enabled"})
    for method, more in (
        ("put_bucket_tagging", {"Tagging": {"TagSet": []}}),
        ("delete_bucket_tagging", {}),
    ):
        error = await refused(s3(world, method, Bucket="shop", **more))
        assert (error.code, error.status) == ("InvalidRequest", 400)
    denied: Any = {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}
    condition = {"StringEquals": {"aws:ResourceTag/team": "bar"}}
    caller = user("barista", allow("s3:*", "*"), {**denied, "Condition": condition})
    for method, more in (
        ("untag_resource", {"TagKeys": ["team"]}),
        ("tag_resource", {"Tags": BAR}),
        ("list_tags_for_resource", {}),
    ):
        error = await refused(control(world, method, caller=caller, ResourceArn=ARN, **more))
        assert "explicit deny" in error.message
    await control(world, "untag_resource", ResourceArn=ARN, TagKeys=["team"])
    assert await control(world, "list_tags_for_resource", caller=caller, ResourceArn=ARN)
    await s3(world, "put_bucket_abac", Bucket="shop", AbacStatus={"Status": "Disabled"})
    await s3(world, "put_bucket_tagging", Bucket="shop", Tagging={"TagSet": BAR})


@told
async def test_a_bucket_is_the_accounts_own_and_in_the_region(world: World) -> None:
    await s3(world, "create_bucket", Bucket="shop")
    error = await refused(control(world, "tag_resource", OTHER, ResourceArn=ARN, Tags=BAR))
    assert error.status == 403
    ask = control(world, "list_tags_for_resource", region="eu-west-1", ResourceArn=ARN)
    assert (await refused(ask)).code == "InvalidRequest"
    missing = {"ResourceArn": "arn:aws:s3:::none"}
    error = await refused(control(world, "list_tags_for_resource", **missing))
    assert (error.code, error.status) == ("NoSuchResource", 404)
