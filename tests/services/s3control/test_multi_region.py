"""Multi-Region Access Points: asked for and done later, and where their requests go."""

from __future__ import annotations

from typing import Any

import pytest

from doppio.kernel.identity import ANONYMOUS
from doppio.kernel.regions import ZoneState, zones
from doppio.services.s3.places import distance

from ..world import ACCOUNT, OTHER, World, refused, told
from .helpers import OPEN, STRANGER, control, policy, s3, statement, text
from .test_access_points import allow, user

REGIONS = ("us-east-1", "eu-west-1", "ap-southeast-2")
SUCCEEDED = "SUCCEEDED"


async def ask(
    world: World, method: str, token: str = "t1", account: str = ACCOUNT, **details: Any
) -> str:
    """Ask for something to be done; the ARN by which to ask how far it is."""
    answer = await control(
        world, f"{method}_multi_region_access_point{'_policy' if method == 'put' else ''}",
        account, ClientToken=token, Details=details,
    )  # fmt: skip
    arn: str = answer["RequestTokenARN"]
    return arn


async def outcome(world: World, arn: str, account: str = ACCOUNT) -> dict[str, Any]:
    answer = await control(
        world, "describe_multi_region_access_point_operation", account, RequestTokenARN=arn
    )
    found: dict[str, Any] = answer["AsyncOperation"]
    return found


async def buckets(world: World) -> list[dict[str, str]]:
    """A bucket in each of three Regions, each with an object that says where it is."""
    for region in REGIONS:
        name = f"shop-{region}"
        configuration: Any = {"LocationConstraint": region}
        more = {} if region == "us-east-1" else {"CreateBucketConfiguration": configuration}
        await s3(world, "create_bucket", Bucket=name, region=region, **more)
        await s3(world, "put_object", Bucket=name, Key="where", Body=region.encode(), region=region)
    return [{"Bucket": f"shop-{region}"} for region in REGIONS]


async def made(world: World, **more: Any) -> str:
    """A Multi-Region Access Point to all of them; its ARN."""
    arn = await ask(world, "create", Name="chain", Regions=await buckets(world), **more)
    await world.settle()
    assert (await outcome(world, arn))["RequestStatus"] == SUCCEEDED
    point = (await control(world, "get_multi_region_access_point", Name="chain"))["AccessPoint"]
    return f"arn:aws:s3::{ACCOUNT}:accesspoint/{point['Alias']}"


async def where(world: World, name: str, region: str = "us-east-1", **req: Any) -> str:
    """The Region of the bucket that answers a request from a Region."""
    return (await text(world, name, "where", region=region, **req)).decode()


async def dial(world: World, arn: str, **dials: int) -> None:
    updates = [
        {"Region": region.replace("_", "-"), "TrafficDialPercentage": percent}
        for region, percent in dials.items()
    ]
    await control(
        world, "submit_multi_region_access_point_routes", Mrap=arn.replace("/", ":"),
        RouteUpdates=updates,
    )  # fmt: skip


@told
async def test_it_is_made_after_it_was_asked_for(world: World) -> None:
    regions = await buckets(world)
    arn = await ask(world, "create", Name="chain", Regions=regions)
    assert arn.startswith(f"arn:aws:s3:us-west-2:{ACCOUNT}:async-request/mrap/create/")
    found = await outcome(world, arn)
    assert found["RequestStatus"] == "NEW"
    assert found["Operation"] == "CreateMultiRegionAccessPoint"
    details = {"Name": "chain", "Regions": regions}
    assert found["RequestParameters"] == {"CreateMultiRegionAccessPointRequest": details}
    point = (await control(world, "get_multi_region_access_point", Name="chain"))["AccessPoint"]
    assert point["Status"] == "CREATING"
    error = await refused(where(world, point["Alias"]))
    assert (error.code, error.status) == ("NoSuchMultiRegionAccessPoint", 404)
    await world.settle()
    found = await outcome(world, arn)
    assert found["RequestStatus"] == SUCCEEDED
    told = found["ResponseDetails"]["MultiRegionAccessPointDetails"]["Regions"]
    assert [one["Name"] for one in told] == list(REGIONS)
    point = (await control(world, "get_multi_region_access_point", Name="chain"))["AccessPoint"]
    assert point == {
        "Name": "chain",
        "Alias": point["Alias"],
        "CreatedAt": world.now.replace(microsecond=0),
        "PublicAccessBlock": dict.fromkeys(OPEN, True),
        "Status": "READY",
        "Regions": [
            {"Bucket": f"shop-{region}", "Region": region, "BucketAccountId": ACCOUNT}
            for region in REGIONS
        ],
    }
    listed = await control(world, "list_multi_region_access_points")
    assert listed == {"AccessPoints": [point]}


@told
async def test_the_same_token_asks_for_the_same_thing_once(world: World) -> None:
    regions = await buckets(world)
    first = await ask(world, "create", Name="chain", Regions=regions)
    assert await ask(world, "create", Name="chain", Regions=regions) == first
    await world.settle()
    assert await ask(world, "create", Name="chain", Regions=regions) == first
    error = await refused(ask(world, "create", Name="other", Regions=regions))
    assert error.code == "IdempotencyException"
    error = await refused(ask(world, "create", "t2", Name="chain", Regions=regions))
    assert (error.code, error.status) == ("MultiRegionAccessPointAlreadyOwnedByYou", 409)


@told
async def test_buckets_that_cannot_be_are_told_by_the_request_and_leave_nothing(
    world: World,
) -> None:
    regions = await buckets(world)
    await s3(world, "create_bucket", Bucket="second")
    await s3(world, "create_bucket", Bucket="theirs", account=OTHER)
    for number, (names, code) in enumerate(
        (
            (["none"], "NoSuchBucket"),
            (["shop-us-east-1", "second"], "InvalidRequest"),
            (["theirs"], "AccessDenied"),
        )
    ):
        wanted = [{"Bucket": name} for name in names]
        arn = await ask(world, "create", f"bad{number}", Name="chain", Regions=wanted)
        await world.settle()
        found = await outcome(world, arn)
        assert found["RequestStatus"] == "FAILED"
        assert found["ResponseDetails"]["ErrorDetails"]["Code"] == code
        error = await refused(control(world, "get_multi_region_access_point", Name="chain"))
        assert (error.code, error.status) == ("NoSuchMultiRegionAccessPoint", 404)
    for wrong in ([], [regions[0], regions[0]]):
        assert (await refused(ask(world, "create", "t", Name="chain", Regions=wrong))).status == 400


@told
async def test_a_request_goes_to_the_nearest_bucket(world: World) -> None:
    arn = await made(world)
    for region, nearest in (
        ("us-east-1", "us-east-1"),
        ("us-west-2", "us-east-1"),
        ("eu-central-1", "eu-west-1"),
        ("eu-west-1", "eu-west-1"),
        ("ap-northeast-1", "ap-southeast-2"),
    ):
        for name in (arn, arn.rpartition("/")[2]):
            assert await where(world, name, region) == nearest
    await s3(world, "put_object", Bucket=arn, Key="new", Body=b"x", region="eu-north-1")
    listed = await s3(world, "list_objects_v2", Bucket="shop-eu-west-1", region="eu-west-1")
    assert [one["Key"] for one in listed["Contents"]] == ["new", "where"]


@told
async def test_passive_regions_and_those_that_are_down_get_no_requests(world: World) -> None:
    arn = await made(world)
    await dial(world, arn, us_east_1=0)
    assert await where(world, arn) == "eu-west-1"
    routes = await control(
        world, "get_multi_region_access_point_routes", Mrap=arn.replace("/", ":")
    )
    assert [one["TrafficDialPercentage"] for one in routes["Routes"]] == [0, 100, 100]

    async def state(region: str, state: Any) -> None:
        async with world.cloud.root_context().write() as tx:
            for name in zones(region):
                tx.put(ZoneState(name=name, state=state))

    await state("eu-west-1", "down")
    assert await where(world, arn) == "ap-southeast-2"
    await state("ap-southeast-2", "down")
    error = await refused(where(world, arn))
    assert (error.code, error.status) == ("ServiceUnavailable", 503)
    await state("eu-west-1", "up")
    assert await where(world, arn) == "eu-west-1"
    await dial(world, arn, us_east_1=100)
    assert await where(world, arn) == "us-east-1"


@told
async def test_one_region_stays_active_and_routes_are_known(world: World) -> None:
    arn = await made(world)
    error = await refused(dial(world, arn, us_east_1=0, eu_west_1=0, ap_southeast_2=0))
    assert error.code == "InvalidRequest"
    assert await where(world, arn) == "us-east-1"
    assert (await refused(dial(world, arn, sa_east_1=0))).code == "InvalidRequest"
    assert (await refused(dial(world, arn, us_east_1=50))).code == "InvalidRequest"
    error = await refused(dial(world, "mnone.mrap", us_east_1=0))
    assert error.code == "NoSuchMultiRegionAccessPoint"


@told
async def test_its_policy_counts_when_it_is_established_beside_the_buckets(world: World) -> None:
    arn = await made(world)
    nobody = user("nobody", allow("sqs:*", "*"))
    mine = policy(statement({"AWS": nobody.arn}, f"{arn}/object/*"))
    request = await ask(world, "put", "p1", Name="chain", Policy=mine)
    found = (await control(world, "get_multi_region_access_point_policy", Name="chain"))["Policy"]
    assert found == {"Proposed": {"Policy": mine}}
    await world.settle()
    assert (await outcome(world, request))["RequestStatus"] == SUCCEEDED
    found = (await control(world, "get_multi_region_access_point_policy", Name="chain"))["Policy"]
    assert found == {"Established": {"Policy": mine}, "Proposed": {"Policy": mine}}
    status = await control(world, "get_multi_region_access_point_policy_status", Name="chain")
    assert status == {"Established": {"IsPublic": False}}
    assert "shop-us-east-1" in (await refused(where(world, arn, caller=nobody))).message
    there = {"StringEquals": {"s3:DataAccessPointArn": arn}}
    bucket = "arn:aws:s3:::shop-us-east-1"
    delegation = statement("*", [bucket, f"{bucket}/*"], "s3:*", Condition=there)
    await s3(world, "put_bucket_policy", Bucket="shop-us-east-1", Policy=policy(delegation))
    assert await where(world, arn, caller=nobody) == "us-east-1"
    assert (await refused(where(world, "shop-us-east-1", caller=nobody))).status == 403
    assert (await refused(where(world, arn, caller=STRANGER))).status == 403


@told
async def test_the_policy_that_was_put_last_is_the_one_that_counts(world: World) -> None:
    arn = await made(world)
    texts = [policy(statement({"AWS": OTHER}, f"{arn}/object/{n}")) for n in range(4)]
    for number, one in enumerate(texts):
        await ask(world, "put", f"p{number}", Name="chain", Policy=one)
    await world.settle()
    found = (await control(world, "get_multi_region_access_point_policy", Name="chain"))["Policy"]
    assert found["Established"] == {"Policy": texts[-1]}


@told
async def test_public_policies_are_blocked_or_restricted(world: World) -> None:
    arn = await made(world)
    everybody = policy(statement("*", f"{arn}/object/*"))
    error = await refused(ask(world, "put", "p", Name="chain", Policy=everybody))
    assert "BlockPublicPolicy" in error.message
    await ask(world, "delete", "d", Name="chain")
    await world.settle()
    regions = [{"Bucket": "shop-us-east-1"}]
    await ask(world, "create", "c", Name="open", Regions=regions, PublicAccessBlock=OPEN)
    await world.settle()
    point = (await control(world, "get_multi_region_access_point", Name="open"))["AccessPoint"]
    arn = f"arn:aws:s3::{ACCOUNT}:accesspoint/{point['Alias']}"
    everybody = policy(statement("*", f"{arn}/object/*"))
    await ask(world, "put", "q", Name="open", Policy=everybody)
    await world.settle()
    there = {"StringEquals": {"s3:DataAccessPointAccount": ACCOUNT}}
    delegation = statement("*", "arn:aws:s3:::shop-us-east-1/*", Condition=there)
    await s3(world, "put_bucket_policy", Bucket="shop-us-east-1", Policy=policy(delegation))
    assert await where(world, arn, caller=ANONYMOUS) == "us-east-1"
    blocked = {"PublicAccessBlockConfiguration": OPEN | {"RestrictPublicBuckets": True}}
    await control(world, "put_public_access_block", **blocked)
    assert (await refused(where(world, arn, caller=ANONYMOUS))).status == 403


@told
async def test_nothing_comes_through_one_that_is_deleted_and_its_buckets_stay(
    world: World,
) -> None:
    arn = await made(world)
    request = await ask(world, "delete", "d1", Name="chain")
    point = (await control(world, "get_multi_region_access_point", Name="chain"))["AccessPoint"]
    assert point["Status"] == "DELETING"
    assert (await refused(where(world, arn))).code == "NoSuchMultiRegionAccessPoint"
    await world.settle()
    assert (await outcome(world, request))["RequestStatus"] == SUCCEEDED
    error = await refused(control(world, "get_multi_region_access_point", Name="chain"))
    assert error.status == 404
    assert await where(world, "shop-us-east-1") == "us-east-1"
    again = await ask(world, "create", "c2", Name="chain", Regions=[{"Bucket": "shop-us-east-1"}])
    await world.settle()
    assert (await outcome(world, again))["RequestStatus"] == SUCCEEDED


@told
async def test_what_was_asked_is_done_after_a_crash(world: World) -> None:
    regions = await buckets(world)
    arn = await ask(world, "create", Name="chain", Regions=regions)
    after = world.again()
    await after.start()
    try:
        assert (await outcome(after, arn))["RequestStatus"] == SUCCEEDED
        await ask(after, "delete", "d", Name="chain")
        last = after.again()
        await last.start()
        try:
            error = await refused(control(last, "get_multi_region_access_point", Name="chain"))
            assert error.status == 404
        finally:
            await last.close()
    finally:
        await after.close()


@told
async def test_requests_are_forgotten_after_two_weeks(world: World) -> None:
    await buckets(world)
    arn = await ask(world, "create", Name="chain", Regions=[{"Bucket": "shop-us-east-1"}])
    await world.settle()
    await world.advance(days=13)
    assert (await outcome(world, arn))["RequestStatus"] == SUCCEEDED
    await world.advance(days=2)
    error = await refused(outcome(world, arn))
    assert (error.code, error.status) == ("NoSuchAsyncRequest", 404)


@told
async def test_only_objects_operations_go_through_and_no_copy_begins_there(world: World) -> None:
    arn = await made(world)
    for method in ("head_bucket", "list_objects", "get_bucket_policy"):
        error = await refused(s3(world, method, Bucket=arn))
        assert (error.code, error.status) == ("MethodNotAllowed", 405)
    copy: dict[str, Any] = {"Key": "copy", "CopySource": f"{arn}/object/where"}
    error = await refused(s3(world, "copy_object", Bucket="shop-us-east-1", **copy))
    assert error.code == "InvalidRequest"
    copy["CopySource"] = "shop-us-east-1/where"
    await s3(world, "copy_object", Bucket=arn, **copy)


@told
async def test_its_operations_take_permissions_on_its_arn(world: World) -> None:
    arn = await made(world)
    weak = user("weak", allow("s3:GetMultiRegionAccessPoint", arn))
    await control(world, "get_multi_region_access_point", Name="chain", caller=weak)
    details = {"ClientToken": "x", "Details": {"Name": "chain", "Policy": "{}"}}
    deletion = {"ClientToken": "x", "Details": {"Name": "chain"}}
    mrap = {"Mrap": arn.replace("/", ":")}
    updates = {"RouteUpdates": [{"Region": "us-east-1", "TrafficDialPercentage": 0}]}
    for method, more in (
        ("get_multi_region_access_point_policy", {"Name": "chain"}),
        ("get_multi_region_access_point_policy_status", {"Name": "chain"}),
        ("get_multi_region_access_point_routes", mrap),
        ("submit_multi_region_access_point_routes", mrap | updates),
        ("put_multi_region_access_point_policy", details),
        ("delete_multi_region_access_point", deletion),
    ):
        error = await refused(control(world, method, caller=weak, **more))
        assert (error.status, arn in error.message) == (403, True), method
    for method, more in (
        ("list_multi_region_access_points", {}),
        (
            "create_multi_region_access_point",
            {"ClientToken": "x", "Details": {"Name": "new", "Regions": []}},
        ),
        ("describe_multi_region_access_point_operation", {"RequestTokenARN": "arn:aws:s3:x"}),
    ):
        assert (await refused(control(world, method, caller=weak, **more))).status == 403, method
    assert await where(world, arn) == "us-east-1"


@pytest.mark.parametrize(
    ("one", "nearer", "farther"),
    [
        ("us-east-1", "us-east-2", "us-west-2"),
        ("eu-west-2", "eu-west-1", "us-east-1"),
        ("ap-southeast-2", "ap-southeast-4", "ap-southeast-1"),
        ("sa-east-1", "us-east-1", "ap-northeast-1"),
        ("us-west-2", "ap-northeast-1", "af-south-1"),
    ],
)
def test_distances_are_those_of_the_globe(one: str, nearer: str, farther: str) -> None:
    assert 0 == distance(one, one) < distance(one, nearer) < distance(one, farther)
    assert distance(one, nearer) == pytest.approx(distance(nearer, one))
    assert distance(one, "xx-none-1") > distance(one, farther)
