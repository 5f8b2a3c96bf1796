"""Layers, through the door, and below code that runs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from doppio.services.lambda_.code import fitting
from doppio.services.lambda_.errors import InvalidParameterValue
from doppio.services.lambda_.records import Config, Layered
from tests.services.lambda_.base import make_function, packages, until, zipped, zipped_files
from tests.services.world import OTHER, World, refusal, refused, told

LAYER = "arn:aws:lambda:us-east-1:000000000000:layer:beans"
USES = "import beans\ndef handler(event, context):\n    return beans.KIND\n"


async def publish(world: World, kind: str = "arabica", **more: Any) -> dict[str, Any]:
    content = {"ZipFile": zipped_files({"python/beans.py": f"KIND = {kind!r}\n"})}
    made: dict[str, Any] = await world.call(
        "lambda", "publish_layer_version", LayerName="beans", Content=content, **more
    )
    return made


async def says(world: World) -> Any:
    answer = await world.call("lambda", "invoke", FunctionName="f")
    return json.loads(answer["Payload"])


@told
async def test_a_function_finds_what_its_layers_hold(world: World) -> None:
    made = await publish(world, CompatibleRuntimes=["python3.11"], Description="for all")
    assert (made["Version"], made["LayerVersionArn"]) == (1, f"{LAYER}:1")
    shown = await make_function(world, Code={"ZipFile": zipped(USES)}, Layers=[f"{LAYER}:1"])
    assert shown["Layers"] == [{"Arn": f"{LAYER}:1", "CodeSize": made["Content"]["CodeSize"]}]
    assert await says(world) == "arabica"
    await publish(world, "robusta")
    await world.call(
        "lambda", "update_function_configuration", FunctionName="f", Layers=[f"{LAYER}:2"]
    )
    await world.settle()
    assert await says(world) == "robusta"


@told
async def test_a_layer_that_is_deleted_stays_below_the_functions_that_have_it(
    world: World,
) -> None:
    await publish(world)
    await make_function(world, Code={"ZipFile": zipped(USES)}, Layers=[f"{LAYER}:1"], Publish=True)
    await world.call("lambda", "delete_layer_version", LayerName="beans", VersionNumber=1)
    await world.call("lambda", "delete_layer_version", LayerName="beans", VersionNumber=1)
    error = await refused(
        world.call("lambda", "get_layer_version", LayerName="beans", VersionNumber=1)
    )
    assert error.message == "The resource you requested does not exist."
    await world.advance(hours=3)
    await world.settle()
    assert len(packages(world)) == 2
    assert await says(world) == "arabica"
    assert await refusal(
        world.call(
            "lambda", "create_function", FunctionName="g", Runtime="python3.11", Handler="a.b",
            Role="arn:aws:iam::000000000000:role/runner", Code={"ZipFile": zipped()},
            Layers=[f"{LAYER}:1"],
        )
    ) == ("InvalidParameterValueException", f"Layer version {LAYER}:1 does not exist.")  # fmt: skip
    await world.call("lambda", "update_function_configuration", FunctionName="f", Layers=[])
    await world.settle()
    await world.call("lambda", "delete_function", FunctionName="f", Qualifier="1")
    await world.advance(hours=3)
    await until(world, lambda: len(packages(world)) == 1)
    assert (await publish(world))["Version"] == 2


@told
async def test_layers_are_listed_by_what_they_fit(world: World) -> None:
    await publish(world, CompatibleRuntimes=["python3.11"])
    await publish(world, CompatibleRuntimes=["ruby3.4"])
    await publish(world)
    versions = await world.call("lambda", "list_layer_versions", LayerName="beans", MaxItems=2)
    assert [one["Version"] for one in versions["LayerVersions"]] == [3, 2]
    versions = await world.call(
        "lambda", "list_layer_versions", LayerName="beans", MaxItems=2,
        Marker=versions["NextMarker"],
    )  # fmt: skip
    assert [one["Version"] for one in versions["LayerVersions"]] == [1]
    layers = await world.call("lambda", "list_layers", CompatibleRuntime="python3.11")
    [layer] = layers["Layers"]
    assert (layer["LayerArn"], layer["LatestMatchingVersion"]["Version"]) == (LAYER, 1)
    assert (await world.call("lambda", "list_layers", CompatibleRuntime="java21"))["Layers"] == []
    got = await world.call("lambda", "get_layer_version_by_arn", Arn=f"{LAYER}:2")
    assert got["CompatibleRuntimes"] == ["ruby3.4"]
    settings = await world.call("lambda", "get_account_settings")
    assert settings["AccountUsage"]["TotalCodeSize"] == 3 * got["Content"]["CodeSize"]


@told
async def test_another_account_uses_a_layer_once_it_is_let_in(world: World) -> None:
    await publish(world)
    get = {"LayerName": LAYER, "VersionNumber": 1}
    error = await refused(world.call("lambda", "get_layer_version", account=OTHER, **get))
    assert error.code == "AccessDeniedException"
    await world.call(
        "lambda", "add_layer_version_permission", LayerName="beans", VersionNumber=1,
        StatementId="all", Action="lambda:GetLayerVersion", Principal="*",
    )  # fmt: skip
    got = await world.call("lambda", "get_layer_version", account=OTHER, **get)
    assert got["LayerVersionArn"] == f"{LAYER}:1"
    policy = await world.call("lambda", "get_layer_version_policy", **get)
    [statement] = json.loads(policy["Policy"])["Statement"]
    assert (statement["Principal"], statement["Resource"]) == ("*", f"{LAYER}:1")
    await world.call("lambda", "remove_layer_version_permission", StatementId="all", **get)
    error = await refused(world.call("lambda", "get_layer_version", account=OTHER, **get))
    assert error.code == "AccessDeniedException"
    error = await refused(world.call("lambda", "get_layer_version_policy", **get))
    assert error.message == "No policy is associated with the given resource."


@told
async def test_layers_that_do_not_go_together_are_refused(world: World) -> None:
    await make_function(world)
    for _ in range(2):
        await publish(world)

    async def configure(*layers: str) -> tuple[str, str]:
        return await refusal(
            world.call(
                "lambda", "update_function_configuration", FunctionName="f", Layers=list(layers)
            )
        )

    assert await configure(f"{LAYER}:1", f"{LAYER}:2") == (
        "InvalidParameterValueException",
        (
            "Two different versions of the same layer are not allowed to be referenced in the same "
            f"function. {LAYER}:1 and {LAYER}:2."
        ),
    )
    assert await configure(*(f"{LAYER}{number}:1" for number in range(6))) == (
        "InvalidParameterValueException", "You cannot reference more than 5 layers.",
    )  # fmt: skip


def test_code_and_layers_fit_up_to_two_hundred_and_fifty_megabytes() -> None:
    layer = Layered(arn=f"{LAYER}:1", package="p", code_bytes=1, unzipped_bytes=200_000_000)
    config = Config(role="r", unzipped_bytes=62_144_000, layers=(layer,))
    assert fitting(config) == config
    with pytest.raises(InvalidParameterValue) as error:
        fitting(replace(config, unzipped_bytes=62_144_001))
    assert str(error.value) == (
        "Function code combined with layers exceeds the maximum allowed size of 262144000 bytes. "
        "The actual size is 262144001 bytes."
    )
