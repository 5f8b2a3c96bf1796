"""The account's block of public access: what it makes of the buckets' own grants."""

from __future__ import annotations

from typing import Any

from doppio.kernel.identity import ANONYMOUS, Caller
from doppio.kernel.policy import compile_policy
from doppio.services.iam.identities import PolicySet

from ..world import ACCOUNT, OTHER, World, refused, told
from .helpers import OPEN, STRANGER, control, policy, s3, statement, text

PUBLIC = policy(statement("*", "arn:aws:s3:::shop/*"))


async def shop(world: World) -> None:
    """A bucket that blocks nothing itself, with one object."""
    await s3(world, "create_bucket", Bucket="shop", ObjectOwnership="ObjectWriter")
    await s3(world, "delete_public_access_block", Bucket="shop")
    await s3(world, "put_object", Bucket="shop", Key="menu", Body=b"coffee")


async def block(world: World, **settings: bool) -> None:
    await control(world, "put_public_access_block", PublicAccessBlockConfiguration=settings)


@told
async def test_an_account_begins_without_a_block_and_reads_back_what_it_put(world: World) -> None:
    error = await refused(control(world, "get_public_access_block"))
    assert (error.code, error.status) == ("NoSuchPublicAccessBlockConfiguration", 404)
    await block(world, BlockPublicPolicy=True)
    found = await control(world, "get_public_access_block")
    assert found == {"PublicAccessBlockConfiguration": OPEN | {"BlockPublicPolicy": True}}
    for _ in range(2):
        await control(world, "delete_public_access_block")
    assert (await refused(control(world, "get_public_access_block"))).status == 404


@told
async def test_public_policies_are_refused_by_the_account_too(world: World) -> None:
    await shop(world)
    await block(world, BlockPublicPolicy=True)
    error = await refused(s3(world, "put_bucket_policy", Bucket="shop", Policy=PUBLIC))
    assert (error.code, error.status) == ("AccessDenied", 403)
    assert "BlockPublicPolicy setting in S3 Block Public Access" in error.message
    await block(world)
    await s3(world, "put_bucket_policy", Bucket="shop", Policy=PUBLIC)
    assert await text(world, "shop", "menu", caller=ANONYMOUS) == b"coffee"


@told
async def test_a_bucket_that_is_public_is_shut_to_strangers_at_once_and_opened_again(
    world: World,
) -> None:
    await shop(world)
    await s3(world, "put_bucket_policy", Bucket="shop", Policy=PUBLIC)
    assert await text(world, "shop", "menu", caller=ANONYMOUS) == b"coffee"
    await block(world, RestrictPublicBuckets=True)
    for caller in (ANONYMOUS, STRANGER):
        assert (await refused(text(world, "shop", "menu", caller=caller))).status == 403
    assert await text(world, "shop", "menu") == b"coffee"
    # The bucket's own setting has not changed, and does not lift the account's.
    assert (await refused(s3(world, "get_public_access_block", Bucket="shop"))).status == 404
    settings: dict[str, Any] = {"PublicAccessBlockConfiguration": OPEN}
    await s3(world, "put_public_access_block", Bucket="shop", **settings)
    assert (await refused(text(world, "shop", "menu", caller=ANONYMOUS))).status == 403
    await control(world, "delete_public_access_block")
    assert await text(world, "shop", "menu", caller=ANONYMOUS) == b"coffee"


@told
async def test_public_lists_are_blocked_and_ignored_by_the_account(world: World) -> None:
    await shop(world)
    await s3(world, "put_object", Bucket="shop", Key="open", Body=b"x", ACL="public-read")
    assert await text(world, "shop", "open", caller=ANONYMOUS) == b"x"
    await block(world, BlockPublicAcls=True)
    assert await text(world, "shop", "open", caller=ANONYMOUS) == b"x"
    for call in (
        s3(world, "put_object", Bucket="shop", Key="two", Body=b"x", ACL="public-read"),
        s3(world, "put_object_acl", Bucket="shop", Key="menu", ACL="public-read"),
        s3(world, "put_bucket_acl", Bucket="shop", ACL="public-read"),
    ):
        assert "BlockPublicAcls setting" in (await refused(call)).message
    await block(world, IgnorePublicAcls=True)
    await s3(world, "put_bucket_acl", Bucket="shop", ACL="public-read")
    assert (await refused(text(world, "shop", "open", caller=ANONYMOUS))).status == 403
    listing = s3(world, "list_objects_v2", Bucket="shop", caller=ANONYMOUS)
    assert (await refused(listing)).status == 403
    await block(world)
    assert await text(world, "shop", "open", caller=ANONYMOUS) == b"x"
    assert (await s3(world, "list_objects_v2", Bucket="shop", caller=ANONYMOUS))["KeyCount"] == 2


@told
async def test_new_buckets_are_bounded_and_those_of_other_accounts_are_not(world: World) -> None:
    await block(world, BlockPublicPolicy=True)
    await shop(world)
    assert (
        await refused(s3(world, "put_bucket_policy", Bucket="shop", Policy=PUBLIC))
    ).status == 403
    await s3(world, "create_bucket", Bucket="theirs", account=OTHER)
    await s3(world, "delete_public_access_block", Bucket="theirs", account=OTHER)
    theirs = policy(statement("*", "arn:aws:s3:::theirs/*"))
    await s3(world, "put_bucket_policy", Bucket="theirs", Policy=theirs, account=OTHER)


@told
async def test_every_bucket_of_many_is_reached(world: World) -> None:
    from doppio.services.s3 import account_blocks

    step = account_blocks.BUCKETS_A_STEP
    account_blocks.BUCKETS_A_STEP = 2
    try:
        for number in range(5):
            await s3(world, "create_bucket", Bucket=f"shop-{number}")
        await block(world, BlockPublicPolicy=True)
    finally:
        account_blocks.BUCKETS_A_STEP = step
    for number in range(5):
        name = f"shop-{number}"
        await s3(world, "delete_public_access_block", Bucket=name)
        public = policy(statement("*", f"arn:aws:s3:::{name}/*"))
        assert (
            await refused(s3(world, "put_bucket_policy", Bucket=name, Policy=public))
        ).status == 403


@told
async def test_the_block_outlives_a_crash(world: World) -> None:
    await shop(world)
    await s3(world, "put_bucket_policy", Bucket="shop", Policy=PUBLIC)
    await block(world, RestrictPublicBuckets=True)
    after = world.again()
    await after.start()
    try:
        assert (await refused(text(after, "shop", "menu", caller=ANONYMOUS))).status == 403
        found = await control(after, "get_public_access_block")
        assert found["PublicAccessBlockConfiguration"]["RestrictPublicBuckets"] is True
    finally:
        await after.close()


@told
async def test_it_is_for_the_accounts_own_people_and_takes_permissions(world: World) -> None:
    error = await refused(control(world, "get_public_access_block", caller=STRANGER))
    assert (error.code, error.status) == ("AccessDenied", 403)
    allowed = compile_policy(
        {
            "Version": "2012-10-17",
            "Statement": {"Effect": "Allow", "Action": "s3:GetAccount*", "Resource": "*"},
        }
    )
    reader = Caller(
        account=ACCOUNT,
        arn=f"arn:aws:iam::{ACCOUNT}:user/reader",
        id="AIDAREADER",
        kind="user",
        policies=PolicySet(identity=(allowed,)),
    )
    error = await refused(control(world, "get_public_access_block", caller=reader))
    assert error.status == 404
    for method, action in (
        ("delete_public_access_block", "s3:PutAccountPublicAccessBlock"),
        ("put_public_access_block", "s3:PutAccountPublicAccessBlock"),
    ):
        more = {} if "delete" in method else {"PublicAccessBlockConfiguration": OPEN}
        error = await refused(control(world, method, caller=reader, **more))
        assert error.status == 403
        assert f"is not authorized to perform: {action}" in error.message
