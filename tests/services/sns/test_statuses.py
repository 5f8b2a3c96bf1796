"""Delivery status logging: lines that say what became of each delivery, in the owner's log."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from tests.services.iam.helpers import trust
from tests.services.kms.helpers import allow, user
from tests.services.sns.helpers import listening, queue, subscribe, topic
from tests.services.sns.test_courier import confirmed, failed
from tests.services.sns.test_phones import NUMBER, verified
from tests.services.world import ACCOUNT, OTHER, REGION, World, refusal, refused, told

ROLE = f"arn:aws:iam::{ACCOUNT}:role/feedback"
GROUP = f"sns/{REGION}/{ACCOUNT}/news"


async def role(world: World, *actions: str) -> str:
    """A role with which SNS may write logs: AWS's actions for it, or these."""
    await world.call(
        "iam", "create_role", RoleName="feedback",
        AssumeRolePolicyDocument=trust(
            {"Service": "sns.amazonaws.com"}, StringEquals={"aws:SourceAccount": ACCOUNT}
        ),
    )  # fmt: skip
    document = {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Action": actions
            or ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"),
            "Resource": "*",
        },
    }
    await world.call(
        "iam", "put_role_policy", RoleName="feedback", PolicyName="logs",
        PolicyDocument=json.dumps(document),
    )  # fmt: skip
    return ROLE


def feedback(name: str, rate: int = 100) -> dict[str, str]:
    """The attributes that log every delivery of a protocol."""
    return {
        f"{name}SuccessFeedbackRoleArn": ROLE,
        f"{name}SuccessFeedbackSampleRate": str(rate),
        f"{name}FailureFeedbackRoleArn": ROLE,
    }


async def lines(world: World, group: str) -> list[dict[str, Any]]:
    """The lines of a log group, none where it is not there."""
    await world.settle()
    groups = await world.call("logs", "describe_log_groups", logGroupNamePrefix=group)
    if not any(one["logGroupName"] == group for one in groups["logGroups"]):
        return []
    found = await world.call("logs", "filter_log_events", logGroupName=group)
    return [json.loads(event["message"]) for event in found["events"]]


@told
async def test_a_delivery_to_a_queue_is_logged_with_its_message_and_what_the_queue_said(
    world: World,
) -> None:
    await role(world)
    arn = await topic(world, **feedback("SQS"))
    to = await queue(world, "a")
    await subscribe(world, arn, to)
    sent = await world.call("sns", "publish", TopicArn=arn, Message="hello")
    (line,) = await lines(world, GROUP)
    assert line["status"] == "SUCCESS"
    assert line["notification"] == {
        "messageMD5Sum": hashlib.md5(b"hello").hexdigest(),
        "messageId": sent["MessageId"],
        "topicArn": arn,
        "timestamp": "2030-01-01 00:00:00.000",
    }
    delivery = line["delivery"]
    assert delivery.pop("deliveryId")
    assert set(json.loads(delivery.pop("providerResponse"))) == {"sqsRequestId", "sqsMessageId"}
    assert delivery == {
        "destination": to, "dwellTimeMs": 0, "attempts": 1, "statusCode": 200,
    }  # fmt: skip
    assert await lines(world, f"{GROUP}/Failure") == []


@told
async def test_what_a_queue_refuses_is_logged_as_a_failure_and_the_others_hear(
    world: World,
) -> None:
    await role(world)
    arn = await topic(world, **feedback("SQS"))
    await subscribe(world, arn, await queue(world, "open"))
    closed = await queue(world, "closed", closed=True)
    await subscribe(world, arn, closed)
    await world.call("sns", "publish", TopicArn=arn, Message="hello")
    assert len(await lines(world, GROUP)) == 1
    (line,) = await lines(world, f"{GROUP}/Failure")
    assert line["status"] == "FAILURE"
    assert (line["delivery"]["destination"], line["delivery"]["statusCode"]) == (closed, 403)
    told_by = json.loads(line["delivery"]["providerResponse"])
    assert (told_by["ErrorCode"], told_by["sqsRequestId"]) == (
        "AccessDeniedException", "Unrecoverable",
    )  # fmt: skip


@told
async def test_a_server_is_logged_once_at_the_end_of_its_tries(world: World) -> None:
    await role(world)
    retries = {"numRetries": 2, "minDelayTarget": 1, "maxDelayTarget": 1}
    policy = json.dumps({"http": {"defaultHealthyRetryPolicy": retries}})
    with listening() as server:
        arn = await topic(world, DeliveryPolicy=policy, **feedback("HTTP"))
        await confirmed(world, arn, server)
        await failed(world, 0)
        server.answers[:] = [500, 200]
        await world.call("sns", "publish", TopicArn=arn, Message="again")
        await failed(world, 1)
        assert await lines(world, GROUP) == []
        await world.advance(2)
        await failed(world, 0)
        (line,) = await lines(world, GROUP)
        assert (line["delivery"]["attempts"], line["delivery"]["statusCode"]) == (2, 200)
        assert line["delivery"]["dwellTimeMs"] == 2_000
        assert line["delivery"]["destination"] == server.url

        server.answers[:] = [503, 503, 503]
        await world.call("sns", "publish", TopicArn=arn, Message="never")
        for tries in (1, 2, 0):
            await failed(world, tries)
            await world.advance(2)
        (line,) = await lines(world, f"{GROUP}/Failure")
        assert (line["delivery"]["attempts"], line["delivery"]["statusCode"]) == (3, 503)


@told
async def test_a_rate_of_nought_logs_failures_alone(world: World) -> None:
    await role(world)
    arn = await topic(world, **feedback("SQS", 0))
    await subscribe(world, arn, await queue(world, "open"))
    await subscribe(world, arn, await queue(world, "closed", closed=True))
    for _ in range(5):
        await world.call("sns", "publish", TopicArn=arn, Message="hello")
    assert await lines(world, GROUP) == []
    assert len(await lines(world, f"{GROUP}/Failure")) == 5


@told
async def test_a_rate_logs_about_as_many(world: World) -> None:
    await role(world)
    arn = await topic(world, **feedback("SQS", 50))
    await subscribe(world, arn, await queue(world, "open"))
    for _ in range(60):
        await world.call("sns", "publish", TopicArn=arn, Message="hello")
    assert 15 < len(await lines(world, GROUP)) < 45


@told
async def test_a_role_that_may_not_write_logs_holds_up_nothing(world: World) -> None:
    await role(world, "logs:CreateLogGroup")
    arn = await topic(world, **feedback("SQS"))
    to = await queue(world, "a")
    await subscribe(world, arn, to)
    await world.call("sns", "publish", TopicArn=arn, Message="hello")
    assert await lines(world, GROUP) == []
    # The role may write now, and what is published from now on is logged.
    document = {"Effect": "Allow", "Action": "logs:*", "Resource": "*"}
    await world.call(
        "iam", "put_role_policy", RoleName="feedback", PolicyName="logs",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": document}),
    )  # fmt: skip
    await world.call("sns", "publish", TopicArn=arn, Message="hello")
    assert len(await lines(world, GROUP)) == 1


@told
async def test_a_publisher_of_another_account_is_logged_with_the_topics_owner(
    world: World,
) -> None:
    await role(world)
    arn = await topic(world, **feedback("SQS"))
    await subscribe(world, arn, await queue(world, "a"))
    await world.call(
        "sns", "add_permission", TopicArn=arn, Label="other", AWSAccountId=[OTHER],
        ActionName=["Publish"],
    )  # fmt: skip
    await world.call("sns", "publish", account=OTHER, TopicArn=arn, Message="hello")
    assert len(await lines(world, GROUP)) == 1


@told
async def test_what_waited_to_be_logged_is_logged_after_a_crash(world: World) -> None:
    await role(world)
    arn = await topic(world, **feedback("SQS"))
    await subscribe(world, arn, await queue(world, "a"))
    await world.call("sns", "publish", TopicArn=arn, Message="hello")
    after = world.again()
    await after.start()
    assert 1 <= len(await lines(after, GROUP)) <= 2
    await after.close()


@told
async def test_who_sets_a_role_must_be_allowed_to_pass_it(world: World) -> None:
    await role(world)
    arn = await topic(world)
    ada = await user(world, "ada", allow("sns:*"))
    change = {
        "TopicArn": arn,
        "AttributeName": "SQSFailureFeedbackRoleArn",
        "AttributeValue": ROLE,
    }
    error = await refused(world.call("sns", "set_topic_attributes", caller=ada, **change))
    assert error.code == "AccessDeniedException"
    assert "iam:PassRole" in error.message
    bob = await user(world, "bob", allow("sns:*"), allow("iam:PassRole"))
    await world.call("sns", "set_topic_attributes", caller=bob, **change)
    wrong = world.call("sns", "set_topic_attributes", **{**change, "AttributeValue": "barista"})
    assert await refusal(wrong) == (
        "InvalidParameter",
        "Invalid parameter: barista is not a valid role to allow SNS to write to Cloudwatch Logs",
    )


@told
async def test_texts_are_logged_with_their_parts_and_price(world: World) -> None:
    await verified(world)
    await role(world)
    await world.call(
        "sns", "set_sms_attributes",
        attributes={"DeliveryStatusIAMRole": ROLE, "DeliveryStatusSuccessSamplingRate": "100"},
    )  # fmt: skip
    sent = await world.call("sns", "publish", PhoneNumber=NUMBER, Message="x" * 200)
    group = f"sns/{REGION}/{ACCOUNT}/DirectPublishToPhoneNumber"
    (line,) = await lines(world, group)
    assert line == {
        "notification": {"messageId": sent["MessageId"], "timestamp": "2030-01-01 00:00:01.000"},
        "delivery": {
            "priceInUSD": 0.0129, "numberOfMessageParts": 2, "destination": NUMBER,
            "smsType": "Promotional", "dwellTimeMs": 0,
            "providerResponse": "Message has been accepted by phone carrier",
        },
        "status": "SUCCESS",
    }  # fmt: skip
    await world.call("sns", "set_sms_attributes", attributes={"MonthlySpendLimit": "0"})
    await world.call("sns", "publish", PhoneNumber=NUMBER, Message="x")
    (line,) = await lines(world, f"{group}/Failure")
    assert line["delivery"]["providerResponse"] == "No quota left for account"
    wrong = world.call(
        "sns", "set_sms_attributes", attributes={"DeliveryStatusSuccessSamplingRate": "many"}
    )
    assert (await refusal(wrong))[0] == "InvalidParameter"


@told
async def test_an_app_and_a_topic_log_what_was_pushed_each_in_its_own_group(
    world: World,
) -> None:
    await role(world)
    made = await world.call(
        "sns", "create_platform_application", Name="shop", Platform="GCM",
        Attributes={"PlatformCredential": "secret", **feedback("")},
    )  # fmt: skip
    app = made["PlatformApplicationArn"]
    phone = await world.call(
        "sns", "create_platform_endpoint", PlatformApplicationArn=app, Token="phone-1"
    )
    arn = await topic(world, **feedback("Application"))
    await world.call(
        "sns", "subscribe", TopicArn=arn, Protocol="application", Endpoint=phone["EndpointArn"]
    )
    await world.call("sns", "publish", TopicArn=arn, Message="hello")
    for group in (GROUP, f"sns/{REGION}/{ACCOUNT}/app/GCM/shop"):
        (line,) = await lines(world, group)
        assert line["delivery"]["token"] == "phone-1"
        assert line["delivery"]["destination"] == phone["EndpointArn"]
    await world.call(
        "sns", "set_endpoint_attributes", EndpointArn=phone["EndpointArn"],
        Attributes={"Enabled": "false"},
    )  # fmt: skip
    await world.call("sns", "publish", TopicArn=arn, Message="hello")
    for group in (GROUP, f"sns/{REGION}/{ACCOUNT}/app/GCM/shop"):
        (line,) = await lines(world, f"{group}/Failure")
        assert line["delivery"]["providerResponse"] == "Endpoint is disabled"
