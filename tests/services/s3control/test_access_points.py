"""Access points: what they are, and whom they and their buckets let through."""

from __future__ import annotations

from typing import Any

import pytest

from doppio.kernel.identity import ANONYMOUS, Caller
from doppio.kernel.policy import PolicySet, compile_policy
from doppio.kernel.quotas import Raised

from ..world import ACCOUNT, OTHER, World, refused, told
from .helpers import OPEN, STRANGER, control, policy, s3, statement, text

ARN = f"arn:aws:s3:us-east-1:{ACCOUNT}:accesspoint/counter"
DELEGATION = statement(
    "*",
    ["arn:aws:s3:::shop", "arn:aws:s3:::shop/*"],
    "*",
    Condition={"StringEquals": {"s3:DataAccessPointAccount": ACCOUNT}},
)


def user(name: str, *statements: dict[str, Any], account: str = ACCOUNT) -> Caller:
    """A user with one policy."""
    allowed = compile_policy({"Version": "2012-10-17", "Statement": list(statements)})
    return Caller(
        account=account,
        arn=f"arn:aws:iam::{account}:user/{name}",
        id=f"AIDA{name.upper()}",
        kind="user",
        policies=PolicySet(identity=(allowed,)),
    )


def allow(action: Any, resource: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource}


async def shop(world: World, **req: Any) -> Any:
    """A bucket with an object and an access point."""
    await s3(world, "create_bucket", Bucket="shop")
    await s3(world, "put_object", Bucket="shop", Key="menu/coffee", Body=b"black")
    return await point(world, **req)


async def point(world: World, name: str = "counter", bucket: str = "shop", **req: Any) -> Any:
    return await control(world, "create_access_point", Name=name, Bucket=bucket, **req)


async def put_policy(world: World, *statements: dict[str, Any], name: str = "counter") -> None:
    await control(world, "put_access_point_policy", Name=name, Policy=policy(*statements))


async def put_bucket_policy(world: World, *statements: dict[str, Any]) -> None:
    await s3(world, "put_bucket_policy", Bucket="shop", Policy=policy(*statements))


@told
async def test_an_access_point_is_what_it_was_made(world: World) -> None:
    made = await shop(world)
    assert made["AccessPointArn"] == ARN
    assert made["Alias"].startswith("counter-")
    assert made["Alias"].endswith("-s3alias")
    assert len(made["Alias"]) <= 63
    found = await control(world, "get_access_point", Name="counter")
    assert found == {
        "Name": "counter",
        "Bucket": "shop",
        "NetworkOrigin": "Internet",
        "PublicAccessBlockConfiguration": dict.fromkeys(OPEN, True),
        "CreationDate": world.now.replace(microsecond=0),
        "Alias": made["Alias"],
        "AccessPointArn": ARN,
        "BucketAccountId": ACCOUNT,
        "Endpoints": {
            "ipv4": "s3-accesspoint.us-east-1.amazonaws.com",
            "dualstack": "s3-accesspoint.dualstack.us-east-1.amazonaws.com",
            "fips": "s3-accesspoint-fips.us-east-1.amazonaws.com",
            "fips_dualstack": "s3-accesspoint-fips.dualstack.us-east-1.amazonaws.com",
        },
    }
    error = await refused(point(world))
    assert (error.code, error.status) == ("AccessPointAlreadyOwnedByYou", 409)
    await control(world, "delete_access_point", Name="counter")
    for method in ("get_access_point", "delete_access_point", "get_access_point_policy"):
        error = await refused(control(world, method, Name="counter"))
        assert (error.code, error.status) == ("NoSuchAccessPoint", 404)
    assert (await refused(text(world, ARN, "menu/coffee"))).code == "NoSuchAccessPoint"
    assert (await refused(text(world, made["Alias"], "menu/coffee"))).code == "NoSuchBucket"


@pytest.mark.parametrize(
    "name", ["ab", "a" * 51, "Counter", "-counter", "counter-", "a.b", "xn--a", "a-s3alias", "a_b"]
)
def test_names_that_are_none_are_refused(name: str) -> None:
    @told
    async def story(world: World) -> None:
        await s3(world, "create_bucket", Bucket="shop")
        error = await refused(point(world, name))
        assert error.status == 400

    story()


@told
async def test_lists_are_by_name_in_pages_of_all_buckets_or_one(world: World) -> None:
    await shop(world)
    await s3(world, "create_bucket", Bucket="store")
    for name, bucket in (("attic", "store"), ("bar", "shop"), ("door", "store")):
        await point(world, name, bucket)

    async def names(**req: Any) -> list[str]:
        found: list[str] = []
        while True:
            page = await control(world, "list_access_points", MaxResults=2, **req)
            found += [one["Name"] for one in page["AccessPointList"]]
            if "NextToken" not in page:
                return found
            req["NextToken"] = page["NextToken"]

    assert await names() == ["attic", "bar", "counter", "door"]
    assert await names(Bucket="shop") == ["bar", "counter"]
    assert await names(Bucket="none") == []
    error = await refused(control(world, "list_access_points", NextToken="forged"))
    assert error.code == "InvalidRequest"
    elsewhere = await control(world, "list_access_points", region="eu-west-1")
    assert elsewhere["AccessPointList"] == []


@told
async def test_an_account_has_so_many_and_gets_room_back(world: World) -> None:
    await shop(world)
    raised = Raised(account=ACCOUNT, region="us-east-1", service="s3", code="L-FAABEEBA", value=2)
    async with world.cloud.root_context(ACCOUNT).write() as tx:
        tx.put(raised)
    await point(world, "bar")
    assert (await refused(point(world, "door"))).code == "TooManyAccessPoints"
    await control(world, "delete_access_point", Name="bar")
    await point(world, "door")


@told
async def test_objects_come_and_go_through_it_by_arn_and_alias(world: World) -> None:
    alias = (await shop(world))["Alias"]
    for name in (ARN, ARN.replace("accesspoint/", "accesspoint:"), alias):
        assert await text(world, name, "menu/coffee") == b"black"
        await s3(world, "put_object", Bucket=name, Key="menu/tea", Body=b"green")
        assert await text(world, "shop", "menu/tea") == b"green"
        listed = await s3(world, "list_objects_v2", Bucket=name)
        assert [one["Key"] for one in listed["Contents"]] == ["menu/coffee", "menu/tea"]
        head = await s3(world, "head_bucket", Bucket=name)
        assert (head["AccessPointAlias"], head["BucketArn"]) == (True, "arn:aws:s3:::shop")
        gone: Any = {"Objects": [{"Key": "menu/tea"}]}
        assert (await s3(world, "delete_objects", Bucket=name, Delete=gone))["Deleted"]
    assert (await s3(world, "head_bucket", Bucket="shop"))["AccessPointAlias"] is False


@told
async def test_copies_may_begin_and_end_at_access_points(world: World) -> None:
    alias = (await shop(world))["Alias"]
    for number, source in enumerate((f"{ARN}/object/menu/coffee", f"{alias}/menu/coffee")):
        await s3(world, "copy_object", Bucket=ARN, Key=f"copy {number}+", CopySource=source)
        assert await text(world, "shop", f"copy {number}+") == b"black"
        again = f"{ARN}/object/copy%20{number}%2B"
        await s3(world, "copy_object", Bucket="shop", Key=f"again {number}", CopySource=again)
        assert await text(world, "shop", f"again {number}") == b"black"


@told
async def test_what_is_not_for_access_points_is_refused(world: World) -> None:
    await shop(world)
    for method, more in (
        ("put_bucket_policy", {"Policy": "{}"}),
        ("delete_bucket", {}),
        ("put_bucket_versioning", {"VersioningConfiguration": {"Status": "Enabled"}}),
    ):
        error = await refused(s3(world, method, Bucket=ARN, **more))
        assert (error.code, error.status) == ("MethodNotAllowed", 405)
    error = await refused(text(world, "arn:aws:sqs:us-east-1:1:q", "k"))
    assert error.code == "InvalidRequest"


@told
async def test_a_bucket_with_access_points_stays(world: World) -> None:
    await shop(world)
    await s3(world, "delete_object", Bucket="shop", Key="menu/coffee")
    error = await refused(s3(world, "delete_bucket", Bucket="shop"))
    assert (error.code, error.status) == ("BucketHasAccessPointsAttached", 400)
    await control(world, "delete_access_point", Name="counter")
    await s3(world, "delete_bucket", Bucket="shop")


@told
async def test_both_the_access_point_and_the_bucket_must_grant(world: World) -> None:
    await shop(world)
    both = [f"{ARN}/object/*", "arn:aws:s3:::shop/*"]
    for resources, fine in ((both[:1], False), (both[1:], False), (both, True)):
        barista = user("barista", allow("s3:GetObject", resources))
        call = text(world, ARN, "menu/coffee", caller=barista)
        if fine:
            assert await call == b"black"
        else:
            error = await refused(call)
            named = "arn:aws:s3:::shop/menu/coffee" if resources == both[:1] else f"{ARN}/object/"
            assert error.status == 403
            assert named in error.message


@told
async def test_a_policy_of_its_own_lets_in_where_the_bucket_delegates(world: World) -> None:
    await shop(world)
    nobody = user("nobody", allow("sqs:*", "*"))
    who = {"AWS": nobody.arn}
    await put_policy(world, statement(who, f"{ARN}/object/menu/*"))
    error = await refused(text(world, ARN, "menu/coffee", caller=nobody))
    assert "arn:aws:s3:::shop/menu/coffee" in error.message
    await put_bucket_policy(world, DELEGATION)
    assert await text(world, ARN, "menu/coffee", caller=nobody) == b"black"
    # What was delegated is delegated to access points alone.
    assert (await refused(text(world, "shop", "menu/coffee", caller=nobody))).status == 403
    put = s3(world, "put_object", Bucket=ARN, Key="menu/tea", Body=b"x", caller=nobody)
    assert "s3:PutObject" in (await refused(put)).message
    listing = s3(world, "list_objects_v2", Bucket=ARN, caller=nobody)
    assert (await refused(listing)).status == 403
    await put_policy(world, statement(who, ARN, "s3:ListBucket"))
    assert (await s3(world, "list_objects_v2", Bucket=ARN, caller=nobody))["KeyCount"] == 1
    assert (await refused(text(world, ARN, "menu/coffee", caller=nobody))).status == 403


@told
async def test_a_denial_of_either_holds_for_the_owner_too(world: World) -> None:
    await shop(world)
    await put_policy(world, statement("*", f"{ARN}/object/*", "s3:DeleteObject", Effect="Deny"))
    gone: Any = {"Objects": [{"Key": "menu/coffee"}]}
    assert (await refused(s3(world, "delete_object", Bucket=ARN, Key="menu/coffee"))).status == 403
    answer = await s3(world, "delete_objects", Bucket=ARN, Delete=gone)
    assert [one["Code"] for one in answer["Errors"]] == ["AccessDenied"]
    await s3(world, "delete_object", Bucket="shop", Key="menu/coffee")
    await put_bucket_policy(
        world,
        statement(
            "*",
            "arn:aws:s3:::shop/*",
            "s3:PutObject",
            Effect="Deny",
            Condition={"StringNotEquals": {"s3:DataAccessPointArn": ARN}},
        ),
    )
    assert (await refused(s3(world, "put_object", Bucket="shop", Key="a", Body=b""))).status == 403
    await s3(world, "put_object", Bucket=ARN, Key="a", Body=b"")


@told
async def test_the_way_of_a_copys_target_does_not_open_its_source(world: World) -> None:
    await shop(world)
    await s3(world, "create_bucket", Bucket="secret")
    await s3(world, "put_object", Bucket="secret", Key="recipe", Body=b"x")
    locked = statement(
        "*",
        "arn:aws:s3:::secret/*",
        "s3:GetObject",
        Effect="Deny",
        Condition={"Null": {"s3:DataAccessPointArn": "true"}},
    )
    await s3(world, "put_bucket_policy", Bucket="secret", Policy=policy(locked))
    copy = {"Bucket": ARN, "Key": "stolen"}
    error = await refused(s3(world, "copy_object", CopySource="secret/recipe", **copy))
    assert (error.status, "s3:GetObject" in error.message) == (403, True)
    made = await point(world, "hatch", "secret")
    await s3(world, "copy_object", CopySource=f"{made['Alias']}/recipe", **copy)


@told
async def test_other_accounts_come_in_by_both_policies_and_their_own(world: World) -> None:
    await shop(world)
    guest = user("guest", allow("s3:*", "*"), account=OTHER)
    await put_policy(world, statement({"AWS": OTHER}, f"{ARN}/object/*"))
    assert (await refused(text(world, ARN, "menu/coffee", caller=guest))).status == 403
    await put_bucket_policy(world, DELEGATION)
    assert await text(world, ARN, "menu/coffee", caller=guest) == b"black"
    weak = user("weak", allow("s3:*", "arn:aws:s3:::shop/*"), account=OTHER)
    assert (await refused(text(world, ARN, "menu/coffee", caller=weak))).status == 403


@told
async def test_an_access_point_to_another_accounts_bucket_grants_nothing_by_itself(
    world: World,
) -> None:
    await s3(world, "create_bucket", Bucket="shop")
    await s3(world, "put_object", Bucket="shop", Key="menu/coffee", Body=b"black")
    theirs: dict[str, Any] = {"account": OTHER, "Name": "window", "Bucket": "shop"}
    assert (await refused(control(world, "create_access_point", **theirs))).status == 403
    made = await control(world, "create_access_point", BucketAccountId=ACCOUNT, **theirs)
    arn = made["AccessPointArn"]
    assert (await refused(text(world, arn, "menu/coffee", caller=STRANGER))).status == 403
    there = {"StringEquals": {"s3:DataAccessPointAccount": OTHER}}
    await put_bucket_policy(world, {**DELEGATION, "Condition": there})
    assert await text(world, arn, "menu/coffee", caller=STRANGER) == b"black"
    found = await control(world, "get_access_point", account=OTHER, Name="window")
    assert found["BucketAccountId"] == ACCOUNT


@told
async def test_an_access_point_for_a_vpc_is_closed_to_the_internet(world: World) -> None:
    await shop(world, VpcConfiguration={"VpcId": "vpc-1a2b3c"})
    found = await control(world, "get_access_point", Name="counter")
    assert (found["NetworkOrigin"], found["VpcConfiguration"]["VpcId"]) == ("VPC", "vpc-1a2b3c")
    error = await refused(text(world, ARN, "menu/coffee"))
    assert (error.code, error.status) == ("AccessDenied", 403)
    # Nobody comes from the Internet, so that its policy is public to nobody.
    await put_policy(world, statement("*", f"{ARN}/object/*"))
    status = await control(world, "get_access_point_policy_status", Name="counter")
    assert status == {"PolicyStatus": {"IsPublic": False}}


@told
async def test_public_policies_are_blocked_and_restricted_by_it_and_its_account(
    world: World,
) -> None:
    await shop(world)
    everybody = statement("*", f"{ARN}/object/*")
    error = await refused(put_policy(world, everybody))
    assert (error.code, "BlockPublicPolicy" in error.message) == ("AccessDenied", True)
    await point(world, "window", PublicAccessBlockConfiguration=OPEN)
    window = ARN.replace("counter", "window")
    open_to_all = statement("*", f"{window}/object/*")
    await put_policy(world, open_to_all, name="window")
    status = await control(world, "get_access_point_policy_status", Name="window")
    assert status == {"PolicyStatus": {"IsPublic": True}}
    await put_bucket_policy(world, DELEGATION)
    assert await text(world, window, "menu/coffee", caller=ANONYMOUS) == b"black"
    blocked = {"PublicAccessBlockConfiguration": OPEN | {"RestrictPublicBuckets": True}}
    await control(world, "put_public_access_block", **blocked)
    for caller in (ANONYMOUS, STRANGER):
        assert (await refused(text(world, window, "menu/coffee", caller=caller))).status == 403
    assert await text(world, window, "menu/coffee") == b"black"
    await control(world, "delete_public_access_block")
    assert await text(world, window, "menu/coffee", caller=ANONYMOUS) == b"black"
    await control(world, "delete_access_point_policy", Name="window")
    assert (await refused(text(world, window, "menu/coffee", caller=ANONYMOUS))).status == 403
    error = await refused(control(world, "get_access_point_policy", Name="window"))
    assert (error.code, error.status) == ("NoSuchAccessPointPolicy", 404)


@told
async def test_its_block_keeps_public_lists_out_of_the_bucket(world: World) -> None:
    await shop(world)
    await s3(world, "delete_public_access_block", Bucket="shop")
    controls = {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    await s3(world, "put_bucket_ownership_controls", Bucket="shop", OwnershipControls=controls)
    put: dict[str, Any] = {"Key": "open", "Body": b"x", "ACL": "public-read"}
    assert "BlockPublicAcls" in (await refused(s3(world, "put_object", Bucket=ARN, **put))).message
    await s3(world, "put_object", Bucket="shop", **put)
    assert await text(world, "shop", "open", caller=ANONYMOUS) == b"x"


@told
async def test_malformed_policies_are_refused(world: World) -> None:
    await shop(world)
    for text_ in (
        "nonsense",
        policy(statement({"AWS": OTHER}, "arn:aws:s3:::shop/*")),
        policy(statement({"AWS": OTHER}, f"{ARN}/object/*", "sqs:SendMessage")),
    ):
        error = await refused(
            control(world, "put_access_point_policy", Name="counter", Policy=text_)
        )
        assert (error.code, error.status) == ("MalformedPolicy", 400)


@told
async def test_its_tags_count_in_policies(world: World) -> None:
    await shop(world, Tags=[{"Key": "team", "Value": "bar"}])
    listed = await control(world, "list_tags_for_resource", ResourceArn=ARN)
    assert listed == {"Tags": [{"Key": "team", "Value": "bar"}]}
    condition = {"StringEquals": {"aws:ResourceTag/team": "bar"}}
    barista = user(
        "barista",
        allow("s3:GetObject", "arn:aws:s3:::shop/*"),
        {**allow("s3:GetObject", f"{ARN}/object/*"), "Condition": condition},
    )
    assert await text(world, ARN, "menu/coffee", caller=barista) == b"black"
    new = [{"Key": "team", "Value": "roast"}, {"Key": "b", "Value": "2"}]
    await control(world, "tag_resource", ResourceArn=ARN, Tags=new)
    assert (await refused(text(world, ARN, "menu/coffee", caller=barista))).status == 403
    await control(world, "untag_resource", ResourceArn=ARN, TagKeys=["team", "none"])
    listed = await control(world, "list_tags_for_resource", ResourceArn=ARN)
    assert listed == {"Tags": [{"Key": "b", "Value": "2"}]}
    reserved = [{"Key": "aws:x", "Value": "1"}]
    error = await refused(control(world, "tag_resource", ResourceArn=ARN, Tags=reserved))
    assert error.code == "InvalidTag"
    error = await refused(control(world, "list_tags_for_resource", ResourceArn=ARN + "x"))
    assert (error.code, error.status) == ("NoSuchResource", 404)


@told
async def test_every_operation_takes_its_permission_on_the_access_point(world: World) -> None:
    await shop(world)
    weak = user("weak", allow("sqs:*", "*"))
    for method, action, more in (
        ("create_access_point", "CreateAccessPoint", {"Bucket": "shop"}),
        ("get_access_point", "GetAccessPoint", {}),
        ("delete_access_point", "DeleteAccessPoint", {}),
        ("put_access_point_policy", "PutAccessPointPolicy", {"Policy": "{}"}),
        ("get_access_point_policy", "GetAccessPointPolicy", {}),
        ("get_access_point_policy_status", "GetAccessPointPolicyStatus", {}),
        ("delete_access_point_policy", "DeleteAccessPointPolicy", {}),
    ):
        call = control(world, method, Name="counter", caller=weak, **more)
        message = (await refused(call)).message
        assert f's3:{action} on resource: "{ARN}"' in message
    assert (
        "s3:ListAccessPoints"
        in (await refused(control(world, "list_access_points", caller=weak))).message
    )
    assert await text(world, ARN, "menu/coffee") == b"black"


@told
async def test_access_points_outlive_a_crash(world: World) -> None:
    alias = (await shop(world))["Alias"]
    await put_policy(world, statement("*", f"{ARN}/object/*", "s3:DeleteObject", Effect="Deny"))
    after = world.again()
    await after.start()
    try:
        assert await text(after, alias, "menu/coffee") == b"black"
        gone = s3(after, "delete_object", Bucket=ARN, Key="menu/coffee")
        assert (await refused(gone)).status == 403
    finally:
        await after.close()


@told
async def test_its_tags_bound_who_may_change_it(world: World) -> None:
    await shop(world, Tags=[{"Key": "team", "Value": "bar"}])
    for key in ("aws:ResourceTag/team", "s3:AccessPointTag/team"):
        denied = {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}
        caller = user(
            "barista",
            allow("s3:*", "*"),
            {**denied, "Condition": {"StringEquals": {key: "bar"}}},
        )
        call = control(world, "delete_access_point", Name="counter", caller=caller)
        assert "explicit deny" in (await refused(call)).message
        untag = {"ResourceArn": ARN, "TagKeys": ["team"]}
        assert (
            await refused(control(world, "untag_resource", caller=caller, **untag))
        ).status == 403
    await control(world, "get_access_point", Name="counter", caller=user("b", allow("s3:*", "*")))


@told
async def test_it_ignores_the_buckets_grants_to_the_public(world: World) -> None:
    await shop(world)
    await point(world, "window", PublicAccessBlockConfiguration=OPEN)
    await s3(world, "delete_public_access_block", Bucket="shop")
    controls = {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    await s3(world, "put_bucket_ownership_controls", Bucket="shop", OwnershipControls=controls)
    await s3(world, "put_bucket_acl", Bucket="shop", ACL="public-read")
    guest = user("guest", allow("s3:*", "*"), account=OTHER)
    assert (await s3(world, "list_objects_v2", Bucket="shop", caller=guest))["KeyCount"] == 1
    for name, fine in (("counter", False), ("window", True)):
        arn = ARN.replace("counter", name)
        await put_policy(world, statement({"AWS": OTHER}, arn, "s3:ListBucket"), name=name)
        call = s3(world, "list_objects_v2", Bucket=arn, caller=guest)
        if fine:
            assert (await call)["KeyCount"] == 1
        else:
            assert (await refused(call)).status == 403
