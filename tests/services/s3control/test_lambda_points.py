"""Object Lambda access points: what they are, who may make them, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from doppio.kernel.identity import Caller
from doppio.kernel.policy import PolicySet, compile_policy

from ..world import ACCOUNT, OTHER, World, refusal, refused, told
from .helpers import OPEN, control, policy, s3, statement

ARN = f"arn:aws:s3-object-lambda:us-east-1:{ACCOUNT}:accesspoint/roaster"
POINT = f"arn:aws:s3:us-east-1:{ACCOUNT}:accesspoint/counter"
FUNCTION = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:roast"


def configuration(*actions: str, point: str = POINT, **more: Any) -> dict[str, Any]:
    return {
        "SupportingAccessPoint": point,
        "TransformationConfigurations": [transformation(*(actions or ("GetObject",)))],
        **more,
    }


def transformation(*actions: str, function: str = FUNCTION) -> dict[str, Any]:
    content = {"AwsLambda": {"FunctionArn": function, "FunctionPayload": "dark"}}
    return {"Actions": list(actions), "ContentTransformation": content}


async def shop(world: World) -> None:
    await s3(world, "create_bucket", Bucket="shop")
    await control(world, "create_access_point", Name="counter", Bucket="shop")


async def make(world: World, name: str = "roaster", **given: Any) -> Any:
    return await control(
        world,
        "create_access_point_for_object_lambda",
        Name=name,
        Configuration=given or configuration(),
    )


async def of(world: World, method: str, name: str = "roaster", **req: Any) -> Any:
    return await control(world, method, Name=name, **req)


@told
async def test_it_is_what_it_was_made(world: World) -> None:
    await shop(world)
    made = await make(world)
    assert made["ObjectLambdaAccessPointArn"] == ARN
    alias = made["Alias"]
    assert alias["Value"].startswith("roaster-")
    assert alias["Value"].endswith("--ol-s3")
    assert len(alias["Value"]) <= 63
    assert alias["Status"] == "READY"
    assert await of(world, "get_access_point_for_object_lambda") == {
        "Name": "roaster",
        "PublicAccessBlockConfiguration": dict.fromkeys(OPEN, True),
        "CreationDate": world.now.replace(microsecond=0),
        "Alias": alias,
    }
    found = await of(world, "get_access_point_configuration_for_object_lambda")
    assert found["Configuration"] == configuration()
    assert (await refused(make(world))).code == "AccessPointAlreadyOwnedByYou"
    await of(world, "delete_access_point_for_object_lambda")
    for method in ("get_access_point", "get_access_point_configuration", "delete_access_point"):
        error = await refused(of(world, f"{method}_for_object_lambda"))
        assert (error.code, error.status) == ("NoSuchAccessPoint", 404)
    await make(world)


@told
async def test_another_configuration_takes_the_place_of_the_old_one(world: World) -> None:
    await shop(world)
    await make(world)
    other = configuration("HeadObject", "ListObjectsV2", AllowedFeatures=["HeadObject-Range"])
    method = "put_access_point_configuration_for_object_lambda"
    await of(world, method, Configuration=other)
    found = await of(world, "get_access_point_configuration_for_object_lambda")
    assert found["Configuration"] == other
    missing = await refused(of(world, method, name="none", Configuration=other))
    assert missing.code == "NoSuchAccessPoint"
    error = await refused(of(world, method, Configuration=configuration(point=f"{POINT}s")))
    assert error.code == "NoSuchAccessPoint"
    found = await of(world, "get_access_point_configuration_for_object_lambda")
    assert found["Configuration"] == other


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            configuration(point=POINT.replace(ACCOUNT, OTHER)),
            "The supporting access point must be in the same account and Region",
        ),
        (
            configuration(point=POINT.replace("us-east-1", "eu-west-1")),
            "The supporting access point must be in the same account and Region",
        ),
        (
            configuration(TransformationConfigurations=[]),
            "At least one transformation configuration is required",
        ),
        (
            configuration(TransformationConfigurations=[transformation()]),
            "A transformation configuration must have at least one action",
        ),
        (
            configuration(
                TransformationConfigurations=[
                    transformation("GetObject"), transformation("HeadObject", "GetObject"),
                ]
            ),
            "An action can be in one transformation configuration only",
        ),
        (
            configuration(
                TransformationConfigurations=[transformation("GetObject", function="roast")]
            ),
            "The function ARN is not valid",
        ),
        (
            configuration(
                TransformationConfigurations=[
                    transformation("GetObject", function=FUNCTION.replace(ACCOUNT, OTHER))
                ]
            ),
            "The Lambda function must be in the same account and Region",
        ),
    ],
)  # fmt: skip
def test_configurations_that_cannot_be_are_refused(given: dict[str, Any], text: str) -> None:
    @told
    async def story(world: World) -> None:
        await shop(world)
        assert await refusal(make(world, **given)) == ("InvalidRequest", text)
        assert not (await listed(world))

    story()


async def listed(world: World, **req: Any) -> list[str]:
    found: list[str] = []
    while True:
        page = await control(world, "list_access_points_for_object_lambda", MaxResults=2, **req)
        found += [one["Name"] for one in page["ObjectLambdaAccessPointList"]]
        if "NextToken" not in page:
            return found
        req["NextToken"] = page["NextToken"]


@told
async def test_lists_are_by_name_in_pages(world: World) -> None:
    await shop(world)
    for name in ("roaster", "grinder", "press", "brewer", "mill"):
        await make(world, name)
    assert await listed(world) == ["brewer", "grinder", "mill", "press", "roaster"]
    assert await listed(world, region="eu-west-1") == []
    error = await refused(control(world, "list_access_points_for_object_lambda", NextToken="x"))
    assert error.code == "InvalidRequest"
    # They have a room of their own.
    found = await control(world, "list_access_points")
    assert [one["Name"] for one in found["AccessPointList"]] == ["counter"]


@pytest.mark.parametrize("name", ["ab", "a" * 46, "Roaster", "-a-", "a.b", "abc--ol-s3"])
def test_names_that_are_none_are_refused(name: str) -> None:
    @told
    async def story(world: World) -> None:
        await shop(world)
        assert (await refused(make(world, name))).status == 400

    story()


@told
async def test_a_policy_is_kept_unless_it_lets_the_world_in(world: World) -> None:
    await shop(world)
    await make(world)
    put, get = (f"{verb}_access_point_policy_for_object_lambda" for verb in ("put", "get"))
    assert (await refused(of(world, get))).code == "NoSuchAccessPointPolicy"
    other = {"AWS": f"arn:aws:iam::{OTHER}:root"}
    text = policy(statement(other, ARN, "s3-object-lambda:GetObject"))
    await of(world, put, Policy=text)
    assert (await of(world, get))["Policy"] == text
    status = await of(world, "get_access_point_policy_status_for_object_lambda")
    assert status["PolicyStatus"] == {"IsPublic": False}
    world_wide = policy(statement("*", ARN, "s3-object-lambda:GetObject"))
    error = await refused(of(world, put, Policy=world_wide))
    assert (error.code, error.status) == ("AccessDenied", 403)
    wrong = policy(statement(other, ARN, "s3:GetObject"))
    assert await refusal(of(world, put, Policy=wrong)) == (
        "MalformedPolicy", "Policy has invalid action",
    )  # fmt: skip
    assert (await of(world, get))["Policy"] == text
    for _ in range(2):
        await of(world, "delete_access_point_policy_for_object_lambda")
    assert (await refused(of(world, get))).code == "NoSuchAccessPointPolicy"


@told
async def test_each_operation_takes_its_own_permission(world: World) -> None:
    await shop(world)
    operations: dict[str, dict[str, Any]] = {
        "CreateAccessPointForObjectLambda": {"Configuration": configuration()},
        "GetAccessPointForObjectLambda": {},
        "GetAccessPointConfigurationForObjectLambda": {},
        "PutAccessPointConfigurationForObjectLambda": {"Configuration": configuration()},
        "PutAccessPointPolicyForObjectLambda": {
            "Policy": policy(statement({"AWS": OTHER}, ARN, "s3-object-lambda:GetObject"))
        },
        "GetAccessPointPolicyForObjectLambda": {},
        "GetAccessPointPolicyStatusForObjectLambda": {},
        "DeleteAccessPointPolicyForObjectLambda": {},
        "DeleteAccessPointForObjectLambda": {},
    }
    for name, req in operations.items():
        method = "".join(f"_{one.lower()}" if one.isupper() else one for one in name)[1:]
        error = await refused(of(world, method, caller=user(), **req))
        assert (error.code, error.status) == ("AccessDeniedException", 403)
        assert f"s3:{name}" in error.message
        assert ARN in error.message
        await of(world, method, caller=user(f"s3:{name}"), **req)
    listing = "list_access_points_for_object_lambda"
    assert (await refused(control(world, listing, caller=user()))).code == "AccessDeniedException"
    allowed = user("s3:ListAccessPointsForObjectLambda", resource="*")
    await control(world, listing, caller=allowed)
    await make(world)
    stranger = control(world, "get_access_point_for_object_lambda", account=OTHER, Name="roaster")
    assert (await refused(stranger)).code == "NoSuchAccessPoint"


def user(*actions: str, resource: str = ARN, account: str = ACCOUNT) -> Caller:
    """A user who may do these."""
    given = list(actions) or ["s3:None"]
    statements = [{"Effect": "Allow", "Action": given, "Resource": resource}]
    allowed = compile_policy({"Version": "2012-10-17", "Statement": statements})
    return Caller(
        account=account,
        arn=f"arn:aws:iam::{account}:user/barista",
        id="AIDABARISTA",
        kind="user",
        policies=PolicySet(identity=(allowed,)),
    )


@told
async def test_its_metrics_are_refused_until_they_are_counted(world: World) -> None:
    await shop(world)
    error = await refused(make(world, **configuration(CloudWatchMetricsEnabled=True)))
    assert error.status == 501
    await make(world, **configuration(CloudWatchMetricsEnabled=False))
