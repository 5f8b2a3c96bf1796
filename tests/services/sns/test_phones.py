"""Text messages and pushes: the sandbox, opt-outs, spend limits, disabled endpoints."""

from __future__ import annotations

import json

from doppio.services.sns.records import Phone, PhoneMessage, Push
from tests.services.sns.helpers import topic
from tests.services.world import ACCOUNT, REGION, World, refusal, told

NUMBER = "+4915123456789"


async def inbox(world: World) -> list[PhoneMessage]:
    """The texts that phones have got."""
    return await world.cloud.root_context().read().list(PhoneMessage, (ACCOUNT,), limit=1000)


async def verified(world: World, number: str = NUMBER) -> None:
    """Bring a phone into the sandbox."""
    await world.advance(1)
    await world.call("sns", "create_sms_sandbox_phone_number", PhoneNumber=number)
    password = (await inbox(world))[-1].text.rpartition(" ")[2]
    await world.call(
        "sns", "verify_sms_sandbox_phone_number", PhoneNumber=number, OneTimePassword=password
    )


@told
async def test_only_a_verified_phone_gets_texts(world: World) -> None:
    text = {"PhoneNumber": NUMBER, "Message": "your coffee is ready"}
    assert (await refusal(world.call("sns", "publish", **text)))[0] == "UserError"
    await world.call("sns", "create_sms_sandbox_phone_number", PhoneNumber=NUMBER)
    wrong = world.call(
        "sns", "verify_sms_sandbox_phone_number", PhoneNumber=NUMBER, OneTimePassword="000000x"
    )
    assert (await refusal(wrong))[0] in {"VerificationException", "ValidationError"}
    await verified(world)
    listed = await world.call("sns", "list_sms_sandbox_phone_numbers")
    assert listed["PhoneNumbers"] == [{"PhoneNumber": NUMBER, "Status": "Verified"}]
    await world.advance(1)
    await world.call("sns", "publish", **text)
    assert (await inbox(world))[-1].text == "your coffee is ready"
    await world.call("sns", "delete_sms_sandbox_phone_number", PhoneNumber=NUMBER)
    assert (await refusal(world.call("sns", "publish", **text)))[0] == "UserError"


@told
async def test_who_opted_out_hears_nothing(world: World) -> None:
    await verified(world)
    ctx = world.cloud.root_context()
    async with ctx.write() as tx:
        phone = await tx.get(Phone, ACCOUNT, REGION, NUMBER)
        assert phone is not None
        tx.put(
            Phone(account=ACCOUNT, region=REGION, number=NUMBER, sandbox="Verified", opted_out=True)
        )
    assert (await world.call("sns", "list_phone_numbers_opted_out"))["phoneNumbers"] == [NUMBER]
    text = world.call("sns", "publish", PhoneNumber=NUMBER, Message="x")
    assert (await refusal(text))[0] == "OptedOut"
    await world.call("sns", "opt_in_phone_number", phoneNumber=NUMBER)
    found = await world.call("sns", "check_if_phone_number_is_opted_out", phoneNumber=NUMBER)
    assert found == {"isOptedOut": False}
    await world.call("sns", "publish", PhoneNumber=NUMBER, Message="x")


@told
async def test_a_month_has_its_spend_limit(world: World) -> None:
    await verified(world)
    before = len(await inbox(world))
    for _ in range(200):
        await world.call("sns", "publish", PhoneNumber=NUMBER, Message="x")
    sent = len(await inbox(world)) - before
    assert sent == 155  # as many as a dollar pays for
    await world.advance(days=32)
    await world.call("sns", "publish", PhoneNumber=NUMBER, Message="x")
    assert len(await inbox(world)) - before == sent + 1
    wrong = world.call("sns", "set_sms_attributes", attributes={"Colour": "red"})
    assert (await refusal(wrong))[0] == "InvalidParameter"


@told
async def test_a_phone_may_subscribe(world: World) -> None:
    await verified(world)
    arn = await topic(world, DisplayName="Shop")
    await world.call("sns", "subscribe", TopicArn=arn, Protocol="sms", Endpoint=NUMBER)
    await world.advance(1)
    await world.call("sns", "publish", TopicArn=arn, Message="hello")
    await world.settle()
    found = (await inbox(world))[-1]
    assert (found.text, found.sender, found.kind) == ("hello", "Shop", "Promotional")


@told
async def test_apps_are_pushed_to_while_they_are_enabled(world: World) -> None:
    app = (
        await world.call(
            "sns",
            "create_platform_application",
            Name="shop",
            Platform="GCM",
            Attributes={"PlatformCredential": "secret"},
        )
    )["PlatformApplicationArn"]
    shown = await world.call(
        "sns", "get_platform_application_attributes", PlatformApplicationArn=app
    )
    assert shown["Attributes"] == {"Enabled": "true"}
    made = {"PlatformApplicationArn": app, "Token": "phone-1"}
    endpoint = (await world.call("sns", "create_platform_endpoint", **made))["EndpointArn"]
    again = await world.call("sns", "create_platform_endpoint", **made)
    assert again == {"EndpointArn": endpoint}
    other = world.call("sns", "create_platform_endpoint", **made, CustomUserData="x")
    assert (await refusal(other))[0] == "InvalidParameter"
    await world.call("sns", "publish", TargetArn=endpoint, Message="hello")
    ctx = world.cloud.root_context()
    (pushed,) = await ctx.read().list(Push, (endpoint,), limit=10)
    assert json.loads(pushed.payload) == {"data": {"default": "hello"}}
    await world.call(
        "sns", "set_endpoint_attributes", EndpointArn=endpoint, Attributes={"Enabled": "false"}
    )
    disabled = world.call("sns", "publish", TargetArn=endpoint, Message="hello")
    assert await refusal(disabled) == ("EndpointDisabled", "Endpoint is disabled")
    listed = await world.call(
        "sns", "list_endpoints_by_platform_application", PlatformApplicationArn=app
    )
    assert [one["EndpointArn"] for one in listed["Endpoints"]] == [endpoint]
    await world.call("sns", "delete_platform_application", PlatformApplicationArn=app)
    gone = world.call("sns", "get_endpoint_attributes", EndpointArn=endpoint)
    assert (await refusal(gone))[0] == "NotFound"
