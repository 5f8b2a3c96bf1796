"""Parameters: names in a hierarchy, versions, labels, and values that only KMS can open."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from doppio.services.ssm.rules import is_below, split_selector
from tests.services.kms.helpers import allow, key, key_policy, user
from tests.services.world import ACCOUNT, REGION, START, World, refusal, told

ARN = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter"


async def put(world: World, name: str, value: str = "1", **req: Any) -> Any:
    """PutParameter, a String where no type is given."""
    given = {"Type": "String", **req}
    return await world.call(
        "ssm", "put_parameter", Name=name, Value=value,
        **{k: v for k, v in given.items() if v is not None},
    )  # fmt: skip


async def get(world: World, name: str, **req: Any) -> dict[str, Any]:
    """GetParameter's parameter."""
    found: dict[str, Any] = (await world.call("ssm", "get_parameter", Name=name, **req))[
        "Parameter"
    ]
    return found


async def below(world: World, path: str, **req: Any) -> list[str]:
    """Names below a path, over all pages."""
    names: list[str] = []
    more: dict[str, Any] = {}
    while True:
        page = await world.call("ssm", "get_parameters_by_path", Path=path, **req, **more)
        names += [one["Name"] for one in page["Parameters"]]
        if "NextToken" not in page:
            return names
        more = {"NextToken": page["NextToken"]}


@told
async def test_each_put_is_a_version_and_the_newest_is_read(world: World) -> None:
    assert await put(world, "/shop/open", "8") == {"Version": 1, "Tier": "Standard"}
    assert (await refusal(put(world, "/shop/open", "9")))[0] == "ParameterAlreadyExists"
    assert (await put(world, "/shop/open", "9", Overwrite=True, Type=None))["Version"] == 2
    found = await get(world, "/shop/open")
    assert (found["Value"], found["Version"], found["Type"]) == ("9", 2, "String")
    assert found["ARN"] == f"{ARN}/shop/open"
    assert (await get(world, "/shop/open:1"))["Value"] == "8"
    assert (await get(world, f"{ARN}/shop/open"))["Value"] == "9"
    await put(world, "plain")
    assert (await get(world, f"{ARN}/plain"))["Name"] == "plain"
    assert (await refusal(get(world, "/shop/open:3")))[0] == "ParameterVersionNotFound"
    assert (await refusal(get(world, "/shop/none")))[0] == "ParameterNotFound"
    found = await world.call("ssm", "get_parameters", Names=["/shop/open", "/shop/none"])
    assert [one["Value"] for one in found["Parameters"]] == ["9"]
    assert found["InvalidParameters"] == ["/shop/none"]


@told
async def test_labels_name_versions_and_move(world: World) -> None:
    for number in range(3):
        await put(world, "menu", str(number), Overwrite=True)
    label = ("ssm", "label_parameter_version")
    await world.call(*label, Name="menu", ParameterVersion=1, Labels=["good", "old"])
    assert (await get(world, "menu:good"))["Value"] == "0"
    assert (await get(world, "menu:good"))["Selector"] == ":good"
    answer = await world.call(*label, Name="menu", Labels=["good"])
    assert answer == {"InvalidLabels": [], "ParameterVersion": 3}
    assert (await get(world, "menu:good"))["Value"] == "2"
    answer = await world.call(*label, Name="menu", Labels=["1st", "awsome"])
    assert answer["InvalidLabels"] == ["1st", "awsome"]
    history = await world.call("ssm", "get_parameter_history", Name="menu")
    assert [one["Labels"] for one in history["Parameters"]] == [["old"], [], ["good"]]
    gone = await world.call(
        "ssm", "unlabel_parameter_version", Name="menu", ParameterVersion=3, Labels=["good", "x"]
    )
    assert gone == {"RemovedLabels": ["good"], "InvalidLabels": ["x"]}
    assert (await refusal(get(world, "menu:good")))[0] == "ParameterVersionNotFound"
    many = world.call(*label, Name="menu", Labels=[f"l{n}" for n in range(10)])
    await many
    more = world.call(*label, Name="menu", Labels=["one-more"])
    assert (await refusal(more))[0] == "ParameterVersionLabelLimitExceeded"


@told
async def test_a_secure_string_lies_sealed_and_needs_the_key(world: World) -> None:
    made = await key(world, Policy=key_policy())
    waiter = await user(world, "waiter", allow("ssm:*"))
    recipe = "a very secret recipe"
    await put(world, "/own", recipe, Type="SecureString")
    await put(world, "/theirs", recipe, Type="SecureString", KeyId=made["KeyId"])
    large = recipe * 300
    await put(world, "/large", large, Type="SecureString", Tier="Advanced", KeyId=made["KeyId"])
    assert not [one for one in world.memory.disk.values() if b"secret recipe" in bytes(one or b"")]
    assert (await get(world, "/own"))["Value"] != recipe
    for name, value in (("/own", recipe), ("/theirs", recipe), ("/large", large)):
        assert (await get(world, name, WithDecryption=True))["Value"] == value
    closed = world.call("ssm", "get_parameter", caller=waiter, Name="/theirs", WithDecryption=True)
    assert (await refusal(closed))[0] == "AccessDeniedException"
    sealed = await world.call("ssm", "get_parameter", caller=waiter, Name="/theirs")
    assert sealed["Parameter"]["Type"] == "SecureString"
    await world.call("kms", "disable_key", KeyId=made["KeyId"])
    off = get(world, "/theirs", WithDecryption=True)
    assert (await refusal(off))[0] == "InvalidKeyId"


@told
async def test_a_path_is_read_by_levels_and_pages(world: World) -> None:
    names = [f"/shop/till/{n:02}" for n in range(12)] + ["/shop/open", "/shopper/x", "alone"]
    for name in names:
        await put(world, name)
    assert await below(world, "/shop") == ["/shop/open"]
    assert await below(world, "/shop/", Recursive=True) == sorted(
        name for name in names if name.startswith("/shop/")
    )
    assert await below(world, "/shop/till") == names[:12]
    page = await world.call("ssm", "get_parameters_by_path", Path="/shop", Recursive=True)
    assert len(page["Parameters"]) == 10
    filters = [{"Key": "Type", "Values": ["SecureString"]}]
    assert await below(world, "/", Recursive=True, ParameterFilters=filters) == []
    assert (await refusal(below(world, "shop")))[0] == "ValidationException"
    wrong = [{"Key": "Name", "Values": ["x"]}]
    assert (await refusal(below(world, "/", ParameterFilters=wrong)))[0] == "InvalidFilterKey"
    token = below(world, "/", NextToken="none")
    assert (await refusal(token))[0] == "InvalidNextToken"


@told
async def test_parameters_are_described_by_filters(world: World) -> None:
    await put(world, "/shop/a", Tags=[{"Key": "team", "Value": "bar"}], Description="Opens")
    await put(world, "/shop/b", "x", Type="SecureString")
    await put(world, "/barn/c", "1,2", Type="StringList")

    async def described(*filters: dict[str, Any]) -> list[str]:
        found = await world.call("ssm", "describe_parameters", ParameterFilters=list(filters))
        return [one["Name"] for one in found["Parameters"]]

    assert await described() == ["/barn/c", "/shop/a", "/shop/b"]
    assert await described({"Key": "Path", "Values": ["/shop"]}) == ["/shop/a", "/shop/b"]
    assert await described({"Key": "tag:team", "Values": ["bar"]}) == ["/shop/a"]
    assert await described({"Key": "Type", "Values": ["SecureString"]}) == ["/shop/b"]
    begins = {"Key": "Name", "Option": "BeginsWith", "Values": ["/sh"]}
    assert await described(begins) == ["/shop/a", "/shop/b"]
    contains = {"Key": "Name", "Option": "Contains", "Values": ["rn/"]}
    assert await described(contains) == ["/barn/c"]
    assert (await refusal(described({"Key": "Name", "Option": "Like", "Values": ["x"]})))[0] == (
        "InvalidFilterOption"
    )
    older = await world.call(
        "ssm", "describe_parameters", Filters=[{"Key": "Name", "Values": ["/shop/a"]}]
    )
    (one,) = older["Parameters"]
    assert (one["Description"], one["Tier"], one["Version"]) == ("Opens", "Standard", 1)
    assert one["LastModifiedUser"].endswith(":root")


@told
async def test_a_parameter_expires_on_the_clouds_clock(world: World) -> None:
    at = (START + timedelta(days=3)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    policies = json.dumps(
        [{"Type": "Expiration", "Version": "1.0", "Attributes": {"Timestamp": at}}]
    )
    plain = put(world, "x", Policies=policies)
    assert (await refusal(plain))[0] == "ValidationException"
    answer = await put(world, "x", Policies=policies, Tier="Intelligent-Tiering")
    assert answer["Tier"] == "Advanced"
    await world.advance(days=2)
    assert (await get(world, "x"))["Value"] == "1"
    await world.advance(days=2)
    assert (await refusal(get(world, "x")))[0] == "ParameterNotFound"
    wrong = put(world, "y", Policies='[{"Type": "Forever", "Attributes": {}}]', Tier="Advanced")
    assert (await refusal(wrong))[0] == "InvalidPolicyTypeException"


@told
async def test_a_hundred_versions_are_kept_and_a_label_holds_its_own(world: World) -> None:
    for number in range(101):
        await put(world, "x", str(number), Overwrite=True)
    history = await world.call("ssm", "get_parameter_history", Name="x")
    assert history["Parameters"][0]["Version"] == 2
    await world.call("ssm", "label_parameter_version", Name="x", ParameterVersion=2, Labels=["a"])
    more = put(world, "x", "last", Overwrite=True)
    assert (await refusal(more))[0] == "ParameterMaxVersionLimitExceeded"


@told
async def test_a_policy_may_name_a_part_of_the_hierarchy(world: World) -> None:
    waiter = await user(world, "waiter", allow("ssm:GetParameter*", f"{ARN}/shop/*"))
    await put(world, "/shop/open")
    await put(world, "/safe")
    read = ("ssm", "get_parameter")
    assert (await world.call(*read, caller=waiter, Name="/shop/open"))["Parameter"]["Value"] == "1"
    denied = await refusal(world.call(*read, caller=waiter, Name="/safe"))
    assert denied[0] == "AccessDeniedException"
    assert f"{ARN}/safe" in denied[1]


@told
async def test_a_secret_is_read_as_a_parameter(world: World) -> None:
    await world.call("secretsmanager", "create_secret", Name="till", SecretString="1234")
    name = "/aws/reference/secretsmanager/till"
    found = await get(world, name, WithDecryption=True)
    assert (found["Value"], found["Type"], found["Name"]) == ("1234", "SecureString", name)
    assert json.loads(found["SourceResult"])["name"] == "till"
    assert (await refusal(get(world, name)))[0] == "ValidationException"
    missing = get(world, name + "x", WithDecryption=True)
    assert (await refusal(missing))[0] == "ParameterNotFound"


@told
async def test_tags_come_and_go(world: World) -> None:
    await put(world, "x", Tags=[{"Key": "a", "Value": "1"}])
    on = {"ResourceType": "Parameter", "ResourceId": "x"}
    await world.call("ssm", "add_tags_to_resource", **on, Tags=[{"Key": "b", "Value": "2"}])
    await world.call("ssm", "remove_tags_from_resource", **on, TagKeys=["a"])
    found = await world.call("ssm", "list_tags_for_resource", **on)
    assert found["TagList"] == [{"Key": "b", "Value": "2"}]
    both = put(world, "x", Overwrite=True, Tags=[{"Key": "a", "Value": "1"}])
    assert (await refusal(both))[0] == "ValidationException"
    none = world.call("ssm", "list_tags_for_resource", ResourceType="Parameter", ResourceId="y")
    assert (await refusal(none))[0] == "InvalidResourceId"


@told
async def test_deleted_parameters_are_gone_with_their_versions(world: World) -> None:
    for name in ("a", "b"):
        await put(world, name)
        await put(world, name, "2", Overwrite=True)
    await world.call("ssm", "delete_parameter", Name="a")
    gone = await world.call("ssm", "delete_parameters", Names=["a", "b"])
    assert gone == {"DeletedParameters": ["b"], "InvalidParameters": ["a"]}
    assert (await put(world, "a", "3"))["Version"] == 1
    again = world.call("ssm", "delete_parameter", Name="b")
    assert (await refusal(again))[0] == "ParameterNotFound"


@pytest.mark.parametrize(
    ("name", "more", "code"),
    [
        ("shop/x", {}, "ValidationException"),
        ("/ssm/x", {}, "ValidationException"),
        ("a b", {}, "ValidationException"),
        ("/a//b", {}, "ValidationException"),
        ("/aws/x", {}, "AccessDeniedException"),
        ("/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16", {}, "HierarchyLevelLimitExceededException"),
        ("x", {"Type": None}, "ValidationException"),
        ("x", {"Value": "v" * 4097}, "ValidationException"),
        ("x", {"Value": "v" * 8193, "Tier": "Advanced"}, "ValidationException"),
        ("x", {"AllowedPattern": "^[a-z]$"}, "ParameterPatternMismatchException"),
        ("x", {"AllowedPattern": "["}, "InvalidAllowedPatternException"),
        ("x", {"DataType": "aws:ec2:image"}, "NotImplemented"),
        ("x", {"Type": "SecureString", "KeyId": "alias/none"}, "InvalidKeyId"),
    ],
)
def test_what_cannot_be_put_is_refused(name: str, more: dict[str, Any], code: str) -> None:
    @told
    async def story(world: World) -> None:
        given = dict(more)
        call = put(world, name, given.pop("Value", "1"), **given)
        assert (await refusal(call))[0] == code
        assert (await world.call("ssm", "describe_parameters"))["Parameters"] == []

    story()


def test_a_name_and_its_selector() -> None:
    assert split_selector("/a/b:3") == ("/a/b", "3")
    assert split_selector(f"{ARN}/a/b:good") == ("/a/b", "good")
    assert split_selector("a") == ("a", "")
    assert is_below("/a/b/c", "/a", recursive=True)
    assert not is_below("/a/b/c", "/a", recursive=False)
    assert not is_below("/ab", "/a", recursive=True)
