"""Encrypted topics: publishers need the key, and what waits or is archived is ciphertext."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from doppio.kernel.identity import service_caller
from doppio.services.sns.records import Archived, Delivery
from tests.services.kms.helpers import allow, key, key_policy, user
from tests.services.sns.helpers import heard, listening, queue, subscribe, texts, topic
from tests.services.sns.test_archive import replayed
from tests.services.sns.test_courier import confirmed, failed, until
from tests.services.world import ACCOUNT, REGION, World, refusal, told

SECRET = "two espressi ☕, says nobody"


@told
async def test_a_message_reaches_a_queue_through_a_topic_with_a_key(world: World) -> None:
    mine = await key(world)
    arn = await topic(world, KmsMasterKeyId=mine["KeyId"])
    to = await queue(world, "a")
    await subscribe(world, arn, to)
    await world.call("sns", "publish", TopicArn=arn, Message=SECRET)
    assert await texts(world, to) == [SECRET]
    shown = await world.call("sns", "get_topic_attributes", TopicArn=arn)
    assert shown["Attributes"]["KmsMasterKeyId"] == mine["KeyId"]


@told
async def test_what_waits_for_a_server_lies_sealed_and_comes_out_after_a_crash(
    world: World,
) -> None:
    mine = await key(world)
    with listening() as server:
        arn = await topic(world, KmsMasterKeyId=mine["Arn"])
        await confirmed(world, arn, server)
        await failed(world, 0)
        server.answers[:] = [500]
        structure = json.dumps({"default": SECRET, "http": f"{SECRET} by http"})
        await world.call(
            "sns", "publish", TopicArn=arn, Message=structure, MessageStructure="json", Subject="s"
        )
        await failed(world, 1)
        (row,) = await world.cloud.root_context().read().list(Delivery, limit=5)
        assert (row.message.text, row.message.structure) == ("", None)
        assert row.message.subject == "s"
        assert SECRET.encode() not in row.message.seal.text
        after = world.again()
        await after.start()
        server.requests.clear()
        # Nobody is there any more as whom the key could be asked for.
        await after.call("kms", "disable_key", KeyId=mine["KeyId"])
        await after.advance(21)
        await until(after, lambda: bool(server.requests))
        assert server.requests[0][1]["Message"] == f"{SECRET} by http"
        await failed(after, 0)
        await after.close()


@told
async def test_an_archive_is_sealed_and_replayed_in_clear(world: World) -> None:
    mine = await key(world)
    arn = await topic(
        world, "news.fifo", KmsMasterKeyId=mine["KeyId"],
        ArchivePolicy=json.dumps({"MessageRetentionPeriod": "5"}),
    )  # fmt: skip
    start = world.now
    for number in range(3):
        await world.call(
            "sns", "publish", TopicArn=arn, Message=f"{SECRET} {number}", MessageGroupId="g",
            MessageDeduplicationId=str(number),
        )  # fmt: skip
    rows = await world.cloud.root_context().read().list(Archived, limit=5)
    assert [row.message.text for row in rows] == ["", "", ""]
    assert all(SECRET.encode() not in row.message.seal.text for row in rows)
    await world.advance(1)
    to = await queue(world, "late.fifo")
    policy = {"PointType": "Timestamp", "StartingPoint": start.isoformat()}
    one = await subscribe(world, arn, to, ReplayPolicy=json.dumps(policy))
    await replayed(world, one)
    assert await texts(world, to) == [f"{SECRET} {number}" for number in range(3)]


@told
async def test_a_publisher_needs_the_topics_key(world: World) -> None:
    mine = await key(world)
    arn = await topic(world, KmsMasterKeyId=mine["Arn"])
    to = await queue(world, "a")
    await subscribe(world, arn, to)
    for name, actions in (
        ("ada", ()),
        ("eve", ("kms:GenerateDataKey*",)),
        ("bo", ("kms:Decrypt",)),
    ):
        who = await user(world, name, allow("sns:*"), *[allow(action) for action in actions])
        told_off = world.call("sns", "publish", caller=who, TopicArn=arn, Message=SECRET)
        code, text = await refusal(told_off)
        assert code == "KMSAccessDenied"
        assert "kms:" in text
    who = await user(
        world, "bob", allow("sns:*"), allow("kms:GenerateDataKey*"), allow("kms:Decrypt")
    )
    await world.call("sns", "publish", caller=who, TopicArn=arn, Message="mine")
    assert await texts(world, to) == ["mine"]


@told
async def test_each_entry_of_a_batch_is_refused_with_the_keys_error(world: World) -> None:
    arn = await topic(world, KmsMasterKeyId="alias/none")
    answer = await world.call(
        "sns", "publish_batch", TopicArn=arn,
        PublishBatchRequestEntries=[{"Id": "a", "Message": "x"}, {"Id": "b", "Message": "y"}],
    )  # fmt: skip
    assert [(one["Id"], one["Code"]) for one in answer["Failed"]] == [
        ("a", "KMSNotFound"), ("b", "KMSNotFound"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"method": "disable_key"}, "KMSDisabled"),
        (
            {"method": "schedule_key_deletion", "PendingWindowInDays": 7},
            "KMSInvalidState",
        ),
    ],
)
def test_a_key_that_is_off_refuses_when_the_data_key_is_used_up(
    change: dict[str, Any], code: str
) -> None:
    async def story() -> None:
        world = World()
        await world.start()
        mine = await key(world)
        arn = await topic(world, KmsMasterKeyId=mine["KeyId"])
        await world.call("sns", "publish", TopicArn=arn, Message="x")
        method, more = change["method"], {k: v for k, v in change.items() if k != "method"}
        await world.call("kms", method, KeyId=mine["KeyId"], **more)
        await world.call("sns", "publish", TopicArn=arn, Message="x")
        await world.advance(minutes=5, seconds=1)
        assert (await refusal(world.call("sns", "publish", TopicArn=arn, Message="x")))[0] == code
        await world.close()

    asyncio.run(story())


@told
async def test_a_key_of_the_wrong_kind_or_none_is_found_out_by_the_publisher(
    world: World,
) -> None:
    signing = await key(world, KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")
    arn = await topic(world, KmsMasterKeyId=signing["KeyId"])
    wrong = world.call("sns", "publish", TopicArn=arn, Message="x")
    assert (await refusal(wrong))[0] == "KMSInvalidState"
    change = {"TopicArn": arn, "AttributeName": "KmsMasterKeyId"}
    await world.call("sns", "set_topic_attributes", **change, AttributeValue="alias/nobody")
    assert (await refusal(world.call("sns", "publish", TopicArn=arn, Message="x")))[0] == (
        "KMSNotFound"
    )
    await world.call("sns", "set_topic_attributes", **change, AttributeValue="alias/aws/sns")
    await world.call("sns", "publish", TopicArn=arn, Message="x")
    await world.call("sns", "set_topic_attributes", **change, AttributeValue="")
    await world.call("sns", "publish", TopicArn=arn, Message="x")
    shown = await world.call("sns", "get_topic_attributes", TopicArn=arn)
    assert "KmsMasterKeyId" not in shown["Attributes"]


@told
async def test_a_service_publishes_where_the_keys_policy_lets_it_in(world: World) -> None:
    mine = await key(world)
    arn = await topic(world, KmsMasterKeyId=mine["Arn"])
    to = await queue(world, "a")
    await subscribe(world, arn, to)
    let_in = {
        "Effect": "Allow",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [let_in]})
    await world.call(
        "sns", "set_topic_attributes", TopicArn=arn, AttributeName="Policy", AttributeValue=policy
    )
    alarm = service_caller(
        "cloudwatch", ACCOUNT, f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:beans"
    )
    told_off = world.call("sns", "publish", caller=alarm, TopicArn=arn, Message="x")
    assert (await refusal(told_off))[0] == "KMSAccessDenied"
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Action": ["kms:GenerateDataKey*", "kms:Decrypt"],
        "Resource": "*",
        "Condition": {"StringEquals": {"kms:EncryptionContext:aws:sns:topicArn": arn}},
    }
    await world.call("kms", "put_key_policy", KeyId=mine["KeyId"], Policy=key_policy(statement))
    await world.call("sns", "publish", caller=alarm, TopicArn=arn, Message="beans are low")
    assert await texts(world, to) == ["beans are low"]


@told
async def test_an_encrypted_topic_writes_into_an_encrypted_queue(world: World) -> None:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": ["kms:GenerateDataKey", "kms:Decrypt"],
        "Resource": "*",
    }
    of_topic, of_queue = await key(world), await key(world, Policy=key_policy(statement))
    arn = await topic(world, KmsMasterKeyId=of_topic["Arn"])
    to = await queue(world, "a")
    url = f"http://localhost:4566/{ACCOUNT}/a"
    change = {"KmsMasterKeyId": of_queue["Arn"]}
    await world.call("sqs", "set_queue_attributes", QueueUrl=url, Attributes=change)
    await subscribe(world, arn, to, RawMessageDelivery="true")
    await world.call("sns", "publish", TopicArn=arn, Message=SECRET)
    assert [one["Body"] for one in await heard(world, to)] == [SECRET]
