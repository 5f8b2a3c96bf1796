"""Text messages and pushes: the sandbox, opt-outs, spend limits, disabled endpoints."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

from doppio.services.sns.records import Phone, PhoneMessage, Push, Texted
from tests.services.sns.helpers import queue, subscribe, texts, topic
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


@told
async def test_an_app_tells_its_topics_of_its_endpoints(world: World) -> None:
    news = await topic(world, "apps")
    to = await queue(world, "told")
    await subscribe(world, news, to)
    names = ("EventEndpointCreated", "EventEndpointUpdated", "EventEndpointDeleted",
             "EventDeliveryFailure")  # fmt: skip
    made = await world.call(
        "sns", "create_platform_application", Name="shop", Platform="GCM",
        Attributes={"PlatformCredential": "secret", **dict.fromkeys(names, news)},
    )  # fmt: skip
    app = made["PlatformApplicationArn"]

    async def heard_of() -> list[dict[str, Any]]:
        await world.settle()
        return [json.loads(text) for text in await texts(world, to)]

    phone = (
        await world.call(
            "sns", "create_platform_endpoint", PlatformApplicationArn=app, Token="phone-1"
        )
    )["EndpointArn"]
    # The signing key of the first message is made in a thread.
    found: list[dict[str, Any]] = []
    for _ in range(200):
        found = await heard_of()
        if found:
            break
        await asyncio.sleep(0.01)
    (event,) = found
    assert event == {
        "EndpointArn": phone, "EventType": "EndpointCreated", "Resource": app, "Service": "SNS",
        "Time": "2030-01-01T00:00:00.000Z",
    }  # fmt: skip
    await world.call("sns", "create_platform_endpoint", PlatformApplicationArn=app, Token="phone-1")
    assert await heard_of() == []
    off = {"Enabled": "false"}
    await world.call("sns", "set_endpoint_attributes", EndpointArn=phone, Attributes=off)
    assert [one["EventType"] for one in await heard_of()] == ["EndpointUpdated"]
    arn = await topic(world)
    await world.call("sns", "subscribe", TopicArn=arn, Protocol="application", Endpoint=phone)
    sent = await world.call("sns", "publish", TopicArn=arn, Message="hello")
    (event,) = await heard_of()
    assert (event["EventType"], event["MessageId"]) == ("DeliveryFailure", sent["MessageId"])
    assert (event["FailureType"], event["FailureMessage"]) == (
        "EndpointDisabled", "Endpoint is disabled",
    )  # fmt: skip
    await world.call("sns", "delete_endpoint", EndpointArn=phone)
    assert [one["EventType"] for one in await heard_of()] == ["EndpointDeleted"]
    wrong = world.call(
        "sns", "set_platform_application_attributes", PlatformApplicationArn=app,
        Attributes={"EventEndpointCreated": "nobody"},
    )  # fmt: skip
    assert (await refusal(wrong))[0] == "InvalidParameter"


async def reports(world: World) -> dict[str, list[list[str]]]:
    """The reports in the bucket: their lines by their days."""
    listed = await world.call("s3", "list_objects_v2", Bucket="reports")
    found: dict[str, list[list[str]]] = {}
    for one in listed.get("Contents", []):
        answer = await world.call("s3", "get_object", Bucket="reports", Key=one["Key"])
        lines = gzip.decompress(bytes(answer["Body"])).decode().splitlines()
        where = one["Key"].rpartition("/")[0]
        found[where] = [line.split(",") for line in lines]
    return found


@told
async def test_a_day_of_texts_is_a_report_in_a_bucket(world: World) -> None:
    await verified(world)
    await world.call("s3", "create_bucket", Bucket="reports")
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::reports/*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": statement})
    await world.call("s3", "put_bucket_policy", Bucket="reports", Policy=policy)
    settings = {"UsageReportS3Bucket": "reports", "MonthlySpendLimit": "1"}
    await world.call("sns", "set_sms_attributes", attributes=settings)
    await world.advance(hours=3)
    sent = await world.call("sns", "publish", PhoneNumber=NUMBER, Message="x" * 200)
    await world.advance(hours=20)
    assert await reports(world) == {}
    await world.advance(hours=2)
    found = await reports(world)
    head, *lines = found[f"SMSUsageReports/{REGION}/2030/01/01"]
    assert head[:3] == ["PublishTimeUTC", "MessageId", "DestinationPhoneNumber"]
    accepted = "Message has been accepted by phone carrier"
    assert lines == [
        ["2030-01-01T03:00:01.000Z", sent["MessageId"], NUMBER, "Promotional", accepted,
         "0.0129", str(part), "2"]
        for part in range(2)
    ]  # fmt: skip
    # The next days have reports of their own, also when a leap of the clock passes both.
    await world.call("sns", "set_sms_attributes", attributes={"MonthlySpendLimit": "0"})
    await world.call("sns", "publish", PhoneNumber=NUMBER, Message="x")
    await world.advance(days=4)
    found = await reports(world)
    (_, line) = found[f"SMSUsageReports/{REGION}/2030/01/02"]
    assert line[4:6] == ["No quota left for account", "0.0"]
    assert await world.cloud.root_context().read().list(Texted, limit=5) == []


@told
async def test_a_bucket_that_lets_nobody_in_gets_no_report_and_keeps_nothing_waiting(
    world: World,
) -> None:
    await verified(world)
    await world.call("s3", "create_bucket", Bucket="reports")
    settings = {"UsageReportS3Bucket": "reports"}
    await world.call("sns", "set_sms_attributes", attributes=settings)
    await world.call("sns", "publish", PhoneNumber=NUMBER, Message="x")
    await world.advance(days=2)
    assert await reports(world) == {}
    assert await world.cloud.root_context().read().list(Texted, limit=5) == []
