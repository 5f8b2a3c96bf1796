"""Aliases, through the door."""

from __future__ import annotations

from typing import Any

import pytest

from doppio.kernel.identity import root_of
from doppio.services.lambda_.specs import target_of
from tests.services.lambda_.base import make_function
from tests.services.world import ACCOUNT, REGION, World, refusal, refused, told

ARN = "arn:aws:lambda:us-east-1:000000000000:function:f"


async def _two_versions(world: World) -> None:
    await make_function(world, Publish=True)
    await world.call("lambda", "update_function_configuration", FunctionName="f", Timeout=9)
    await world.settle()
    await world.call("lambda", "publish_version", FunctionName="f")


async def _alias(world: World, **more: Any) -> Any:
    return await world.call(
        "lambda", "create_alias", FunctionName="f", Name="live",
        **{"FunctionVersion": "1", **more},
    )  # fmt: skip


@told
async def test_an_alias_stands_for_a_version_and_then_for_another(world: World) -> None:
    await _two_versions(world)
    made = await _alias(world, Description="what people drink")
    assert made["AliasArn"] == f"{ARN}:live"
    got = await world.call("lambda", "get_function", FunctionName="f", Qualifier="live")
    assert got["Configuration"]["Version"] == "1"
    changed = await world.call(
        "lambda", "update_alias", FunctionName="f", Name="live", FunctionVersion="2",
        RevisionId=made["RevisionId"],
    )  # fmt: skip
    assert changed["Description"] == "what people drink"
    got = await world.call("lambda", "get_function_configuration", FunctionName="f:live")
    assert got["Version"] == "2"
    error = await refused(
        world.call(
            "lambda", "update_alias", FunctionName="f", Name="live", RevisionId=made["RevisionId"]
        )
    )
    assert error.code == "PreconditionFailedException"


@told
async def test_an_alias_is_made_once_and_may_be_deleted_twice(world: World) -> None:
    await _two_versions(world)
    await _alias(world)
    error = await refused(_alias(world))
    assert (error.code, error.message) == (
        "ResourceConflictException", f"Alias already exists: {ARN}:live",
    )  # fmt: skip
    for _ in range(2):
        await world.call("lambda", "delete_alias", FunctionName="f", Name="live")
    error = await refused(world.call("lambda", "get_alias", FunctionName="f", Name="live"))
    assert (error.code, error.message) == (
        "ResourceNotFoundException", f"Cannot find alias arn: {ARN}:live",
    )  # fmt: skip


@told
async def test_a_version_with_an_alias_is_not_deleted(world: World) -> None:
    await _two_versions(world)
    await _alias(world, RoutingConfig={"AdditionalVersionWeights": {"2": 0.1}})
    for version in ("1", "2"):
        error = await refused(
            world.call("lambda", "delete_function", FunctionName="f", Qualifier=version)
        )
        assert error.code == "ResourceConflictException"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            {"RoutingConfig": {"AdditionalVersionWeights": {"1": 0.5}}},
            (
                "Invalid function version 1. Function version 1 is already included in routing "
                "configuration."
            ),
        ),
        (
            {
                "FunctionVersion": "$LATEST",
                "RoutingConfig": {"AdditionalVersionWeights": {"1": 0.5}},
            },
            "$LATEST is not supported for an alias pointing to more than 1 version",
        ),
        (
            {"RoutingConfig": {"AdditionalVersionWeights": {"2": 0.5, "3": 0.1}}},
            "Number of items in AdditionalVersionWeights cannot be greater than 1",
        ),
    ],
    ids=["same", "latest", "three"],
)
def test_weights_are_checked(given: dict[str, Any], text: str) -> None:
    @told
    async def story(world: World) -> None:
        await _two_versions(world)
        assert await refusal(_alias(world, **given)) == ("InvalidParameterValueException", text)

    story()


@told
async def test_calls_of_an_alias_are_shared_by_weight(world: World) -> None:
    await _two_versions(world)
    await _alias(world, RoutingConfig={"AdditionalVersionWeights": {"2": 0.25}})
    ctx = world.cloud.context(
        root_of(ACCOUNT), account=ACCOUNT, region=REGION, request_id=world.cloud.ids.uuid()
    )
    numbers = [
        (await target_of(ctx.read(), ctx, {"FunctionName": "f:live"})).version.number
        for _ in range(400)
    ]
    assert 60 < numbers.count(2) < 140


@told
async def test_the_aliases_of_a_version_are_listed(world: World) -> None:
    await _two_versions(world)
    await _alias(world)
    await world.call("lambda", "create_alias", FunctionName="f", Name="beta", FunctionVersion="2")
    listed = await world.call("lambda", "list_aliases", FunctionName="f")
    assert [one["Name"] for one in listed["Aliases"]] == ["beta", "live"]
    listed = await world.call("lambda", "list_aliases", FunctionName="f", FunctionVersion="2")
    assert [one["Name"] for one in listed["Aliases"]] == ["beta"]
