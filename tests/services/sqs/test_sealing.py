"""A queue with a KMS key: bodies are sealed, and who may not use the key has nothing of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from doppio.services.sqs.records import FifoMessage, Message
from tests.services.kms.helpers import allow, key, key_policy, user
from tests.services.sns.helpers import subscribe, topic
from tests.services.sqs.helpers import arn, attributes, make, one, receive, send
from tests.services.world import World, refusal, run, told


async def stored(world: World) -> list[Any]:
    """All messages as they lie on the disk."""
    reader = world.cloud.root_context().read()
    return [*await reader.list(Message, limit=50), *await reader.list(FifoMessage, limit=50)]


@pytest.mark.parametrize("name", ["q", "q.fifo"])
def test_a_body_lies_sealed_and_comes_out_as_it_was(name: str) -> None:
    async def story(world: World) -> None:
        mine = await key(world)
        url = await make(world, name, KmsMasterKeyId=mine["KeyId"])
        more: dict[str, Any] = (
            {"MessageGroupId": "g", "MessageDeduplicationId": "d"} if "." in name else {}
        )
        sent = await send(world, url, "secret ☕", **more)
        (row,) = await stored(world)
        assert "secret" not in row.body.text
        assert row.body.seal is not None
        found = await one(world, url)
        assert found["Body"] == "secret ☕"
        assert found["MD5OfBody"] == sent["MD5OfMessageBody"]

    run(story)


@told
async def test_a_batch_and_a_restart_are_sealed_and_opened_too(world: World) -> None:
    url = await make(world, KmsMasterKeyId="alias/aws/sqs")
    await world.call(
        "sqs",
        "send_message_batch",
        QueueUrl=url,
        Entries=[{"Id": "a", "MessageBody": "one"}, {"Id": "b", "MessageBody": "two"}],
    )
    assert all(row.body.text not in {"one", "two"} for row in await stored(world))
    after = world.again()
    await after.start()
    assert {found["Body"] for found in await receive(after, url)} == {"one", "two"}
    await after.close()


@told
async def test_who_may_not_use_the_key_neither_sends_nor_receives(world: World) -> None:
    mine = await key(world)
    url = await make(world, KmsMasterKeyId=mine["Arn"])
    await send(world, url, "secret")
    ada = await user(world, "ada", allow("sqs:*"))
    code, _ = await refusal(
        world.call("sqs", "send_message", caller=ada, QueueUrl=url, MessageBody="x")
    )
    assert code == "KmsAccessDenied"
    code, _ = await refusal(world.call("sqs", "receive_message", caller=ada, QueueUrl=url))
    assert code == "KmsAccessDenied"
    # What was refused was not received: it is there, for the first time.
    found = await one(world, url, MessageSystemAttributeNames=["ApproximateReceiveCount"])
    assert found["Attributes"]["ApproximateReceiveCount"] == "1"

    eve = await user(world, "eve", allow("sqs:*"), allow("kms:GenerateDataKey"))
    code, _ = await refusal(
        world.call("sqs", "send_message", caller=eve, QueueUrl=url, MessageBody="x")
    )
    assert code == "KmsAccessDenied"
    bob = await user(
        world, "bob", allow("sqs:*"), allow("kms:GenerateDataKey"), allow("kms:Decrypt")
    )
    await world.call("sqs", "send_message", caller=bob, QueueUrl=url, MessageBody="x")


@told
async def test_a_data_key_serves_for_the_reuse_period_and_no_longer(world: World) -> None:
    mine = await key(world)
    url = await make(world, KmsMasterKeyId=mine["KeyId"], KmsDataKeyReusePeriodSeconds="60")
    await send(world, url, "a")
    await world.call("kms", "disable_key", KeyId=mine["KeyId"])
    await send(world, url, "b")
    assert len({row.body.seal.wrapped for row in await stored(world)}) == 1
    await world.advance(61)
    code, _ = await refusal(send(world, url, "c"))
    assert code == "KmsDisabled"
    await world.call("kms", "enable_key", KeyId=mine["KeyId"])
    await send(world, url, "c")
    assert len({row.body.seal.wrapped for row in await stored(world)}) == 2


@told
async def test_a_key_that_is_not_there_is_found_out_when_something_is_sent(world: World) -> None:
    url = await make(world, KmsMasterKeyId="alias/none")
    code, _ = await refusal(send(world, url))
    assert code == "KmsNotFound"
    mac = await key(world, KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")
    other = await make(world, "other", KmsMasterKeyId=mac["KeyId"])
    code, _ = await refusal(send(world, other))
    assert code == "KmsInvalidKeyUsage"


@told
async def test_a_queue_is_encrypted_in_one_way_at_a_time(world: World) -> None:
    url = await make(world)
    assert (await attributes(world, url, "All"))["SqsManagedSseEnabled"] == "true"
    change = {"KmsMasterKeyId": "alias/aws/sqs"}
    await world.call("sqs", "set_queue_attributes", QueueUrl=url, Attributes=change)
    shown = await attributes(world, url, "All")
    assert (shown["SqsManagedSseEnabled"], shown["KmsMasterKeyId"]) == ("false", "alias/aws/sqs")
    assert shown["KmsDataKeyReusePeriodSeconds"] == "300"
    await send(world, url, "sealed")
    back = {"SqsManagedSseEnabled": "true"}
    await world.call("sqs", "set_queue_attributes", QueueUrl=url, Attributes=back)
    shown = await attributes(world, url, "All")
    assert "KmsMasterKeyId" not in shown
    # What was sent before is opened still.
    assert (await one(world, url))["Body"] == "sealed"


@told
async def test_a_dead_letter_is_opened_where_it_ends(world: World) -> None:
    dead = await make(world, "dead")
    mine = await key(world)
    redrive = json.dumps({"deadLetterTargetArn": arn("dead"), "maxReceiveCount": 1})
    url = await make(world, KmsMasterKeyId=mine["KeyId"], RedrivePolicy=redrive)
    await send(world, url, "bitter")
    await one(world, url)
    await world.advance(31)
    assert await receive(world, url) == []
    assert (await one(world, dead))["Body"] == "bitter"


@told
async def test_a_topic_writes_where_the_key_lets_it(world: World) -> None:
    news = await topic(world)
    let_in = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "sns.amazonaws.com"},
                    "Action": "sqs:SendMessage",
                    "Resource": "*",
                }
            ],
        }
    )
    closed = await key(world)
    opened = await key(
        world,
        Policy=key_policy(
            allow("kms:GenerateDataKey", Principal={"Service": "sns.amazonaws.com"}),
            allow("kms:Decrypt", Principal={"Service": "sns.amazonaws.com"}),
        ),
    )
    one_url = await make(world, "one", KmsMasterKeyId=closed["KeyId"], Policy=let_in)
    two_url = await make(world, "two", KmsMasterKeyId=opened["KeyId"], Policy=let_in)
    for name in ("one", "two"):
        await subscribe(world, news, arn(name), RawMessageDelivery="true")
    await world.call("sns", "publish", TopicArn=news, Message="hello")
    assert await receive(world, one_url) == []
    assert (await one(world, two_url))["Body"] == "hello"


@pytest.mark.parametrize("name", ["q", "q.fifo"])
def test_a_queue_that_was_told_to_seals_by_itself(name: str) -> None:
    async def story(world: World) -> None:
        url = await make(world, name, SqsManagedSseEnabled="true")
        more: dict[str, Any] = (
            {"MessageGroupId": "g", "MessageDeduplicationId": "d"} if "." in name else {}
        )
        sent = await send(world, url, "secret ☕", **more)
        (row,) = await stored(world)
        assert row.body.text == ""
        assert "secret ☕".encode() not in row.body.seal
        after = world.again()
        await after.start()
        found = await one(after, url)
        assert found["Body"] == "secret ☕"
        assert found["MD5OfBody"] == sent["MD5OfMessageBody"]
        await after.close()

    run(story)


@told
async def test_a_queue_that_nobody_told_shows_it_and_keeps_bodies_as_they_are(
    world: World,
) -> None:
    url = await make(world)
    assert (await attributes(world, url, "All"))["SqsManagedSseEnabled"] == "true"
    await send(world, url, "plain")
    change = {"SqsManagedSseEnabled": "true"}
    await world.call("sqs", "set_queue_attributes", QueueUrl=url, Attributes=change)
    await world.call(
        "sqs", "send_message_batch", QueueUrl=url, Entries=[{"Id": "a", "MessageBody": "sealed"}]
    )
    change = {"SqsManagedSseEnabled": "false"}
    await world.call("sqs", "set_queue_attributes", QueueUrl=url, Attributes=change)
    await send(world, url, "plain again")
    assert sorted(row.body.text for row in await stored(world)) == ["", "plain", "plain again"]
    found = {message["Body"] for message in await receive(world, url)}
    assert found == {"plain", "sealed", "plain again"}


@told
async def test_a_sealed_dead_letter_opens_in_a_queue_that_seals_nothing(world: World) -> None:
    dead = await make(world, "dead")
    redrive = json.dumps({"deadLetterTargetArn": arn("dead"), "maxReceiveCount": 1})
    url = await make(world, SqsManagedSseEnabled="true", RedrivePolicy=redrive)
    await send(world, url, "bitter")
    await one(world, url)
    await world.advance(31)
    assert await receive(world, url) == []
    assert (await one(world, dead))["Body"] == "bitter"
