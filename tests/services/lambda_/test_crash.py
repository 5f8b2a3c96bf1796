"""Crashes at every commit: no function without its code, and no package that nobody finds."""

from __future__ import annotations

from typing import Any

from tests.services.crashes import crash_everywhere
from tests.services.lambda_.base import ROLE, make_function, make_role, packages, until, zipped
from tests.services.lambda_.test_mappings import allow, mapped
from tests.services.world import World, refused

Told = dict[str, Any]


async def _role(world: World, told: Told) -> None:
    await make_role(world)


async def _make(world: World, told: Told) -> None:
    await world.call(
        "lambda", "create_function", FunctionName="f", Runtime="python3.13", Handler="a.b",
        Role=ROLE, Code={"ZipFile": zipped()},
    )  # fmt: skip
    told["made"] = True
    await world.settle()
    await world.call("lambda", "delete_function", FunctionName="f")
    told["gone"] = True
    await world.advance(hours=2)


async def _whole_or_not_at_all(world: World, told: Told) -> None:
    if told.get("gone"):
        await refused(world.call("lambda", "get_function", FunctionName="f"))
    elif told.get("made"):
        # What crashed may have been the deletion, which was not answered.
        names = (await world.call("lambda", "list_functions"))["Functions"]
        for one in names:
            got = await world.call("lambda", "get_function", FunctionName=one["FunctionName"])
            assert got["Configuration"]["State"] == "Active"
            await world.call("lambda", "delete_function", FunctionName=one["FunctionName"])
    else:
        for one in (await world.call("lambda", "list_functions"))["Functions"]:
            await world.call("lambda", "delete_function", FunctionName=one["FunctionName"])
    await world.advance(hours=3)
    await world.advance(hours=3)
    await until(world, lambda: packages(world) == [])
    settings = await world.call("lambda", "get_account_settings")
    assert settings["AccountUsage"] == {"TotalCodeSize": 0, "FunctionCount": 0}


def test_a_function_is_whole_or_not_at_all_and_its_package_goes_with_it() -> None:
    assert crash_everywhere(_role, _make, _whole_or_not_at_all) >= 4


async def _function(world: World, told: Told) -> None:
    await make_function(world)


async def _change(world: World, told: Told) -> None:
    await world.call(
        "lambda", "update_function_code", FunctionName="f", ZipFile=zipped("x"), Publish=True
    )
    told["changed"] = True


async def _old_or_new(world: World, told: Told) -> None:
    got = await world.call("lambda", "get_function_configuration", FunctionName="f")
    assert got["LastUpdateStatus"] == "Successful"
    versions = await world.call("lambda", "list_versions_by_function", FunctionName="f")
    changed = got["CodeSize"] == len(zipped("x"))
    assert changed or not told.get("changed")
    assert len(versions["Versions"]) == (2 if changed else 1)
    settings = await world.call("lambda", "get_account_settings")
    sizes = [one["CodeSize"] for one in versions["Versions"]]
    assert settings["AccountUsage"] == {"TotalCodeSize": sum(sizes), "FunctionCount": 1}


def test_an_update_is_there_whole_or_not_at_all() -> None:
    assert crash_everywhere(_function, _change, _old_or_new) >= 3


async def _publish(world: World, told: Told) -> None:
    await world.call(
        "lambda", "publish_layer_version", LayerName="beans", Content={"ZipFile": zipped()}
    )
    told["made"] = True


async def _layer_or_none(world: World, told: Told) -> None:
    versions = (await world.call("lambda", "list_layer_versions", LayerName="beans"))[
        "LayerVersions"
    ]
    assert versions or not told.get("made")
    settings = await world.call("lambda", "get_account_settings")
    assert settings["AccountUsage"]["TotalCodeSize"] == len(zipped()) * len(versions)
    for one in versions:
        await world.call(
            "lambda", "delete_layer_version", LayerName="beans", VersionNumber=one["Version"]
        )
    await world.advance(hours=3)
    await world.advance(hours=3)
    await until(world, lambda: packages(world) == [])


def test_a_layer_is_whole_or_not_at_all() -> None:
    assert crash_everywhere(_role, _publish, _layer_or_none) >= 2


async def _queue(world: World, told: Told) -> None:
    await make_function(world)
    await world.call("sqs", "create_queue", QueueName="orders")
    await allow(world, ["sqs:*"])


async def _map(world: World, told: Told) -> None:
    made = await mapped(world)
    told["made"] = made["UUID"]
    await world.call("lambda", "delete_event_source_mapping", UUID=made["UUID"])
    told["deleted"] = True


async def _settled_or_gone(world: World, told: Told) -> None:
    found = (await world.call("lambda", "list_event_source_mappings"))["EventSourceMappings"]
    if told.get("deleted"):
        assert found == []
    elif told.get("made"):
        assert [one["UUID"] for one in found] in ([], [told["made"]])
    assert all(one["State"] == "Enabled" for one in found)


def test_a_mapping_comes_to_where_its_user_wants_it() -> None:
    assert crash_everywhere(_queue, _map, _settled_or_gone) >= 4
