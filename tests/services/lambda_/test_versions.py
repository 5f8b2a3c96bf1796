"""Versions, through the door."""

from __future__ import annotations

from tests.services.lambda_.base import make_function, zipped
from tests.services.world import World, refusal, refused, told

ARN = "arn:aws:lambda:us-east-1:000000000000:function:f"


@told
async def test_a_version_is_published_once_and_stays_as_it_was(world: World) -> None:
    await make_function(world)
    first = await world.call("lambda", "publish_version", FunctionName="f", Description="first")
    assert (first["Version"], first["FunctionArn"]) == ("1", f"{ARN}:1")
    assert first["Description"] == "first"
    again = await world.call("lambda", "publish_version", FunctionName="f")
    assert again == first
    await world.call("lambda", "update_function_configuration", FunctionName="f", Timeout=60)
    await world.settle()
    second = await world.call("lambda", "publish_version", FunctionName="f")
    assert second["Version"] == "2"
    old = await world.call("lambda", "get_function", FunctionName="f", Qualifier="1")
    assert old["Configuration"]["Timeout"] == 3
    assert old["Configuration"]["State"] == "Active"


@told
async def test_the_same_code_given_again_is_no_new_version(world: World) -> None:
    await make_function(world)
    await world.call("lambda", "publish_version", FunctionName="f")
    await world.call("lambda", "update_function_code", FunctionName="f", ZipFile=zipped())
    await world.settle()
    assert (await world.call("lambda", "publish_version", FunctionName="f"))["Version"] == "1"


@told
async def test_create_and_update_publish_when_they_are_told_to(world: World) -> None:
    made = await make_function(world, Publish=True)
    assert (made["Version"], made["FunctionArn"]) == ("1", f"{ARN}:1")
    one = await world.call("lambda", "get_function_configuration", FunctionName=f"{ARN}:1")
    assert one["State"] == "Active"
    changed = await world.call(
        "lambda", "update_function_code", FunctionName="f", ZipFile=zipped("x"), Publish=True
    )
    assert changed["Version"] == "2"


@told
async def test_a_code_that_has_changed_meanwhile_is_not_published(world: World) -> None:
    made = await make_function(world)
    assert await refusal(
        world.call("lambda", "publish_version", FunctionName="f", CodeSha256="other")
    ) == (
        "InvalidParameterValueException",
        (
            f"CodeSHA256 (other) is different from current CodeSHA256 in $LATEST "
            f"({made['CodeSha256']}). Please try again with the CodeSHA256 in $LATEST."
        ),
    )
    right = await world.call(
        "lambda", "publish_version", FunctionName="f", CodeSha256=made["CodeSha256"]
    )
    assert right["Version"] == "1"


@told
async def test_versions_are_listed_by_number_page_by_page(world: World) -> None:
    await make_function(world)
    for number in range(1, 12):
        await world.call(
            "lambda", "update_function_configuration", FunctionName="f", Timeout=number
        )
        await world.settle()
        await world.call("lambda", "publish_version", FunctionName="f")
    seen: list[str] = []
    marker: dict[str, str] = {}
    while True:
        page = await world.call(
            "lambda", "list_versions_by_function", FunctionName="f", MaxItems=5, **marker
        )
        assert len(page["Versions"]) <= 5
        assert "State" not in page["Versions"][0]
        seen += [one["Version"] for one in page["Versions"]]
        if "NextMarker" not in page:
            break
        marker = {"Marker": page["NextMarker"]}
    assert seen == ["$LATEST", *map(str, range(1, 12))]
    error = await refused(
        world.call("lambda", "list_versions_by_function", FunctionName="f", Marker="forged")
    )
    assert error.code == "InvalidParameterValueException"


@told
async def test_a_version_is_deleted_alone_and_its_number_never_comes_back(world: World) -> None:
    await make_function(world, Publish=True)
    await world.call("lambda", "delete_function", FunctionName="f", Qualifier="1")
    error = await refused(world.call("lambda", "get_function", FunctionName="f", Qualifier="1"))
    assert error.message == f"Function not found: {ARN}:1"
    assert (await world.call("lambda", "publish_version", FunctionName="f"))["Version"] == "2"
    assert (
        await refused(world.call("lambda", "delete_function", FunctionName=f"{ARN}:$LATEST"))
    ).message == "$LATEST version cannot be deleted without deleting the function."


@told
async def test_the_account_s_settings_count_what_is_there(world: World) -> None:
    await make_function(world, Publish=True)
    await make_function(world, "g")
    settings = await world.call("lambda", "get_account_settings")
    assert settings["AccountUsage"] == {"TotalCodeSize": 3 * len(zipped()), "FunctionCount": 2}
    assert settings["AccountLimit"] == {
        "TotalCodeSize": 80_530_636_800, "CodeSizeUnzipped": 262_144_000,
        "CodeSizeZipped": 52_428_800, "ConcurrentExecutions": 1000,
        "UnreservedConcurrentExecutions": 1000,
    }  # fmt: skip
    await world.call("lambda", "delete_function", FunctionName="f")
    settings = await world.call("lambda", "get_account_settings")
    assert settings["AccountUsage"] == {"TotalCodeSize": len(zipped()), "FunctionCount": 1}
