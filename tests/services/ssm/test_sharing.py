"""Sharing parameters, service settings, data types, and what AWS tells everybody."""

from __future__ import annotations

import json
from typing import Any

import pytest

from doppio.services.ssm.data_types import fits
from tests.services.kms.helpers import allow, key, user
from tests.services.ssm.test_ssm import ARN, below, get, put
from tests.services.world import ACCOUNT, OTHER, REGION, World, refusal, told

TIER = "/ssm/parameter-store/default-parameter-tier"
THROUGHPUT = "/ssm/parameter-store/high-throughput-enabled"


def policy(*actions: str, arn: str = f"{ARN}/shop/open") -> str:
    """A policy that shares a parameter with the other account."""
    let = allow(
        list(actions or ("ssm:GetParameter", "ssm:GetParameters")),  # type: ignore[arg-type]
        arn,
        Principal={"AWS": f"arn:aws:iam::{OTHER}:root"},
    )
    return json.dumps({"Version": "2012-10-17", "Statement": [let]})


async def share(world: World, text: str, arn: str = f"{ARN}/shop/open", **req: Any) -> Any:
    """Put a policy on a parameter."""
    return await world.call("ssm", "put_resource_policy", ResourceArn=arn, Policy=text, **req)


@told
async def test_a_shared_parameter_is_read_by_its_arn(world: World) -> None:
    await put(world, "/shop/open", "8", Tier="Advanced")
    arn = f"{ARN}/shop/open"
    there = {"account": OTHER}
    assert (await refusal(get(world, arn, **there)))[0] == "AccessDeniedException"
    made = await share(world, policy())
    assert (await get(world, arn, **there))["Value"] == "8"
    assert (await get(world, f"{arn}:1", **there))["Value"] == "8"
    found = await world.call("ssm", "get_parameters", Names=[arn], **there)
    assert [one["Value"] for one in found["Parameters"]] == ["8"]
    history = world.call("ssm", "get_parameter_history", Name=arn, **there)
    assert (await refusal(history))[0] == "AccessDeniedException"
    # A name is the caller's own; what is only shared by a policy is not listed.
    assert (await refusal(get(world, "/shop/open", **there)))[0] == "ParameterNotFound"
    listed = await world.call("ssm", "describe_parameters", Shared=True, **there)
    assert listed["Parameters"] == []
    wider = policy("ssm:GetParameter", "ssm:GetParameterHistory")
    again = await share(world, wider, **made)
    history = await world.call("ssm", "get_parameter_history", Name=arn, **there)
    assert [one["Value"] for one in history["Parameters"]] == ["8"]
    gone = {"ResourceArn": arn, "PolicyId": again["PolicyId"], "PolicyHash": again["PolicyHash"]}
    await world.call("ssm", "delete_resource_policy", **gone)
    assert (await refusal(get(world, arn, **there)))[0] == "AccessDeniedException"
    assert (await world.call("ssm", "get_resource_policies", ResourceArn=arn))["Policies"] == []


@told
async def test_a_policy_is_updated_by_who_knows_it(world: World) -> None:
    await put(world, "/shop/open", "8", Tier="Advanced")
    made = await share(world, policy())
    listed = await world.call("ssm", "get_resource_policies", ResourceArn=f"{ARN}/shop/open")
    assert listed["Policies"] == [{**made, "Policy": policy()}]
    for req, code in (
        ({}, "ResourcePolicyLimitExceededException"),
        ({**made, "PolicyHash": "0" * 64}, "ResourcePolicyConflictException"),
        ({**made, "PolicyId": "other"}, "ResourcePolicyNotFoundException"),
    ):
        assert (await refusal(share(world, policy("ssm:GetParameter"), **req)))[0] == code
    stale = world.call(
        "ssm", "delete_resource_policy", ResourceArn=f"{ARN}/shop/open",
        PolicyId=made["PolicyId"], PolicyHash="0" * 64,
    )  # fmt: skip
    assert (await refusal(stale))[0] == "ResourcePolicyConflictException"
    # A parameter that comes again is a new one, and shared with nobody.
    await world.call("ssm", "delete_parameter", Name="/shop/open")
    await put(world, "/shop/open", "9", Tier="Advanced")
    call = get(world, f"{ARN}/shop/open", account=OTHER)
    assert (await refusal(call))[0] == "AccessDeniedException"


@told
async def test_what_cannot_be_shared_is_refused(world: World) -> None:
    await put(world, "/shop/open")
    await put(world, "/shop/safe", Tier="Advanced", Type="SecureString")
    await put(world, "/shop/till", Tier="Advanced")
    for arn, text, code in (
        (f"{ARN}/shop/open", policy(), "ResourcePolicyInvalidParameterException"),
        (f"{ARN}/shop/safe", policy(), "ResourcePolicyInvalidParameterException"),
        (f"{ARN}/shop/none", policy(), "ResourceNotFoundException"),
        (f"{ARN}/shop/till", "{}", "MalformedResourcePolicyDocumentException"),
        (f"{ARN}/shop/till", policy() + " " * 1024, "ResourcePolicyLimitExceededException"),
    ):
        assert (await refusal(share(world, text, arn)))[0] == code
    group = f"arn:aws:ssm:{REGION}:{ACCOUNT}:opsitemgroup/default"
    assert (await refusal(share(world, policy(), group)))[0] == "NotImplemented"


@told
async def test_a_shared_secure_string_takes_leave_of_its_key(world: World) -> None:
    let = {"AWS": f"arn:aws:iam::{OTHER}:root"}
    document = {
        "Version": "2012-10-17",
        "Statement": [allow("kms:*", Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"})],
    }
    made = await key(world, Policy=json.dumps(document))
    await put(world, "/shop/open", "8", Tier="Advanced", Type="SecureString", KeyId=made["Arn"])
    await share(world, policy())
    asked = {"WithDecryption": True, "account": OTHER}
    assert (await refusal(get(world, f"{ARN}/shop/open", **asked)))[0] == "AccessDeniedException"
    document["Statement"].append(allow("kms:Decrypt", Principal=let))  # type: ignore[attr-defined]
    await world.call("kms", "put_key_policy", KeyId=made["KeyId"], Policy=json.dumps(document))
    assert (await get(world, f"{ARN}/shop/open", **asked))["Value"] == "8"


@told
async def test_the_default_tier_is_that_of_new_parameters(world: World) -> None:
    arn = f"arn:aws:ssm:{REGION}:{ACCOUNT}:servicesetting{TIER}"
    found = await world.call("ssm", "get_service_setting", SettingId=TIER)
    assert found["ServiceSetting"] == {
        "SettingId": TIER,
        "SettingValue": "Standard",
        "ARN": arn,
        "Status": "Default",
    }
    assert (await put(world, "a"))["Tier"] == "Standard"
    await world.call("ssm", "update_service_setting", SettingId=arn, SettingValue="Advanced")
    found = (await world.call("ssm", "get_service_setting", SettingId=TIER))["ServiceSetting"]
    assert (found["SettingValue"], found["Status"]) == ("Advanced", "Customized")
    assert found["LastModifiedUser"] == f"arn:aws:iam::{ACCOUNT}:root"
    assert (await put(world, "b"))["Tier"] == "Advanced"
    assert (await put(world, "c", Tier="Standard"))["Tier"] == "Standard"
    await world.call(
        "ssm", "update_service_setting", SettingId=TIER, SettingValue="Intelligent-Tiering"
    )
    assert (await put(world, "d"))["Tier"] == "Standard"
    assert (await put(world, "e", "x" * 5000))["Tier"] == "Advanced"
    reset = await world.call("ssm", "reset_service_setting", SettingId=TIER)
    assert reset["ServiceSetting"]["Status"] == "Default"
    assert (await put(world, "f"))["Tier"] == "Standard"
    # Another Region has settings of its own.
    await world.call("ssm", "update_service_setting", SettingId=TIER, SettingValue="Advanced")
    assert (await put(world, "a", region="eu-west-1"))["Tier"] == "Standard"
    for name, code in (
        ("/ssm/none", "ServiceSettingNotFound"),
        ("/ssm/opsinsights/opscenter", "NotImplemented"),
    ):
        call = world.call("ssm", "get_service_setting", SettingId=name)
        assert (await refusal(call))[0] == code
    call = world.call("ssm", "update_service_setting", SettingId=TIER, SettingValue="Best")
    assert (await refusal(call))[0] == "ValidationException"


@told
async def test_a_realistic_cloud_lets_through_what_is_paid_for(world: World) -> None:
    await put(world, "a")
    for _ in range(60):
        await get(world, "a")
    world.cloud.throttles = True
    for _ in range(40):
        await get(world, "a")
    assert await refusal(get(world, "a")) == ("ThrottlingException", "Rate exceeded")
    # The calls that read share the limit.
    call = world.call("ssm", "get_parameters", Names=["a"])
    assert (await refusal(call))[0] == "ThrottlingException"
    await world.advance(1)
    await world.call("ssm", "update_service_setting", SettingId=THROUGHPUT, SettingValue="true")
    for _ in range(60):
        await get(world, "a")
    for number in range(10):
        await put(world, f"p{number}")
    assert (await refusal(put(world, "p10")))[0] == "ThrottlingException"


@told
async def test_a_policy_may_ask_for_tags(world: World) -> None:
    await put(world, "/shop/open", Tags=[{"Key": "team", "Value": "bar"}])
    await put(world, "/shop/other")
    ann = await user(
        world,
        "ann",
        allow("ssm:GetParameter", Condition={"StringEquals": {"ssm:resourceTag/team": "bar"}}),
        allow("ssm:PutParameter", Condition={"ForAnyValue:StringEquals": {"aws:TagKeys": "team"}}),
        allow("ssm:AddTagsToResource"),
    )
    await get(world, "/shop/open", caller=ann)
    assert (await refusal(get(world, "/shop/other", caller=ann)))[0] == "AccessDeniedException"
    assert (await refusal(put(world, "x", caller=ann)))[0] == "AccessDeniedException"
    await put(world, "x", caller=ann, Tags=[{"Key": "team", "Value": "bar"}])


@told
async def test_regions_and_zones_are_public(world: World) -> None:
    base = "/aws/service/global-infrastructure/regions"
    found = await get(world, f"{base}/{REGION}/longName")
    assert found["Value"] == "US East (N. Virginia)"
    assert found["ARN"] == f"arn:aws:ssm:{REGION}::parameter{base}/{REGION}/longName"
    regions = await below(world, base)
    assert regions == sorted(regions)
    assert f"{base}/eu-west-1" in regions
    assert f"{base}/cn-north-1" not in regions
    zones = await below(world, f"{base}/{REGION}/availability-zones")
    assert f"{base}/{REGION}/availability-zones/use1-az1" in zones
    assert (await refusal(get(world, "/aws/service/none")))[0] == "ParameterNotFound"
    ann = await user(world, "ann", allow("ssm:GetParameter", f"arn:aws:ssm:*::parameter{base}/*"))
    await get(world, f"{base}/{REGION}", caller=ann)


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        ("boolean", "true", "yes"),
        ("integer", "-12", "1.5"),
        ("float", "1.5e3", "one"),
        ("binary", "YmVhbnM=", "beans!"),
        ("hostname", "shop.example.com", "-shop"),
        ("email", "ann@example.com", "ann"),
        ("ipv4-address", "10.0.0.1", "::1"),
        ("ipv6-address", "::1", "10.0.0.1"),
        ("url", "https://example.com/beans", "example.com"),
        ("json", '{"a": 1}', "{a: 1}"),
        ("jsonc", '{"a": "// no"} // yes', "{"),
        ("aws:region", "eu-west-1", "moon-1"),
        ("aws:account:id", "123456789012", "12"),
    ],
)
def test_a_value_is_of_its_data_type(kind: str, right: str, wrong: str) -> None:
    assert fits(kind, right) is True
    assert fits(kind, wrong) is False
    assert fits("Text", right) is None


@told
async def test_a_data_type_is_checked_and_kept(world: World) -> None:
    await put(world, "a", "443", DataType="integer")
    assert (await get(world, "a"))["DataType"] == "integer"
    again = put(world, "a", "x", Overwrite=True, Type=None)
    assert (await refusal(again))[0] == "ValidationException"
    for value, kind in (("x", "integer"), ("x", "none")):
        assert (await refusal(put(world, "b", value, DataType=kind)))[0] == "ValidationException"


@told
async def test_a_policy_says_whether_it_has_acted(world: World) -> None:
    idle = {"Type": "NoChangeNotification", "Version": "1.0",
            "Attributes": {"After": "1", "Unit": "Days"}}  # fmt: skip
    await put(world, "a", Tier="Advanced", Policies=json.dumps([idle]))

    async def status() -> str:
        [one] = (await world.call("ssm", "describe_parameters"))["Parameters"]
        [found] = one["Policies"]
        assert json.loads(found["PolicyText"]) == idle
        said: str = found["PolicyStatus"]
        return said

    assert await status() == "Pending"
    await world.advance(days=2)
    assert await status() == "Finished"
