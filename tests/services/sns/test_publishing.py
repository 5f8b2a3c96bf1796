"""What is published reaches the queues that want it, once, and as they want it."""

from __future__ import annotations

import base64
import json

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from doppio.services.sns.notification import signed_text
from doppio.services.sns.service import SERVICE
from tests.services.sns.helpers import heard, queue, subscribe, texts, topic
from tests.services.world import ACCOUNT, World, refusal, told


async def publish(world: World, arn: str, text: str = "hello", **more: object) -> dict[str, str]:
    """Publish."""
    answer: dict[str, str] = await world.call("sns", "publish", TopicArn=arn, Message=text, **more)
    return answer


@told
async def test_every_queue_that_subscribed_hears_of_it(world: World) -> None:
    arn = await topic(world)
    queues = [await queue(world, f"q{at}") for at in range(5)]
    for one in queues:
        await subscribe(world, arn, one)
    message = await publish(world, arn, Subject="News")
    for one in queues:
        (found,) = await heard(world, one)
        body = json.loads(found["Body"])
        assert body["Type"] == "Notification"
        assert (body["Message"], body["Subject"], body["TopicArn"]) == ("hello", "News", arn)
        assert body["MessageId"] == message["MessageId"]
        assert body["UnsubscribeURL"].startswith("http://localhost:4566/?Action=Unsubscribe&")


@told
async def test_the_signature_is_that_of_the_certificate(world: World) -> None:
    for version, digest in (("1", hashes.SHA1()), ("2", hashes.SHA256())):
        arn = await topic(world, f"news{version}", SignatureVersion=version)
        to = await queue(world, f"q{version}")
        await subscribe(world, arn, to)
        await publish(world, arn, Subject="News")
        body = json.loads((await heard(world, to))[0]["Body"])
        assert body["SignatureVersion"] == version
        (beginning, page), *_ = SERVICE.pages.items()
        name = body["SigningCertURL"].partition(f"/_aws/{beginning}")[2]
        found = await page(world.cloud.root_context(), name)
        assert found is not None
        key = x509.load_pem_x509_certificate(found[0]).public_key()
        assert isinstance(key, rsa.RSAPublicKey)
        key.verify(
            base64.b64decode(body["Signature"]),
            signed_text(body).encode(),
            padding.PKCS1v15(),
            digest,
        )
        assert await page(world.cloud.root_context(), "another.pem") is None


@told
async def test_raw_delivery_gives_the_text_and_its_attributes(world: World) -> None:
    arn = await topic(world)
    to = await queue(world, "q")
    await subscribe(world, arn, to, RawMessageDelivery="true")
    attributes = {
        "kind": {"DataType": "String", "StringValue": "espresso"},
        "raw": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
    }
    await publish(world, arn, MessageAttributes=attributes)
    (found,) = await heard(world, to)
    assert found["Body"] == "hello"
    assert found["MessageAttributes"]["kind"]["StringValue"] == "espresso"
    assert found["MessageAttributes"]["raw"]["BinaryValue"] == b"\x00\xff"


@told
async def test_the_envelope_tells_the_attributes(world: World) -> None:
    arn = await topic(world)
    to = await queue(world, "q")
    await subscribe(world, arn, to)
    await publish(
        world, arn, MessageAttributes={"raw": {"DataType": "Binary", "BinaryValue": b"\x00\xff"}}
    )
    body = json.loads((await heard(world, to))[0]["Body"])
    assert body["MessageAttributes"] == {"raw": {"Type": "Binary", "Value": "AP8="}}


@told
async def test_a_filter_lets_through_what_it_names(world: World) -> None:
    arn = await topic(world)
    espresso, dear, body = [await queue(world, name) for name in ("espresso", "dear", "body")]
    await subscribe(world, arn, espresso, FilterPolicy='{"kind": ["espresso", {"prefix": "ris"}]}')
    await subscribe(world, arn, dear, FilterPolicy='{"price": [{"numeric": [">=", 3]}]}')
    await subscribe(
        world,
        arn,
        body,
        FilterPolicyScope="MessageBody",
        FilterPolicy='{"order": {"cups": [{"numeric": [">", 1]}]}}',
    )

    async def say(text: str, kind: str, price: str) -> None:
        await publish(
            world,
            arn,
            text,
            MessageAttributes={
                "kind": {"DataType": "String", "StringValue": kind},
                "price": {"DataType": "Number", "StringValue": price},
            },
        )

    await say("one", "espresso", "2.5")
    await say("two", "ristretto", "3")
    await say('{"order": {"cups": 2}}', "tea", "4")
    await publish(world, arn, "no attributes")
    assert sorted(await texts(world, espresso)) == ["one", "two"]
    assert set(await texts(world, dear)) == {"two", '{"order": {"cups": 2}}'}
    assert await texts(world, body) == ['{"order": {"cups": 2}}']


@told
async def test_a_string_array_matches_by_any_of_its_elements(world: World) -> None:
    arn = await topic(world)
    to = await queue(world, "q")
    await subscribe(world, arn, to, FilterPolicy='{"sizes": ["large"]}')
    for sizes in ('["small", "large"]', '["small"]'):
        await publish(
            world,
            arn,
            sizes,
            MessageAttributes={"sizes": {"DataType": "String.Array", "StringValue": sizes}},
        )
    assert await texts(world, to) == ['["small", "large"]']


@told
async def test_each_protocol_gets_its_own_text(world: World) -> None:
    arn = await topic(world)
    to = await queue(world, "q")
    await subscribe(world, arn, to)
    await publish(
        world, arn, json.dumps({"default": "all", "sqs": "queues"}), MessageStructure="json"
    )
    await publish(world, arn, json.dumps({"default": "all"}), MessageStructure="json")
    assert sorted(await texts(world, to)) == ["all", "queues"]
    for text, reason in (
        ("{", "Message Structure - JSON message body failed to parse"),
        ("{}", "Message Structure - No default entry in JSON message body"),
    ):
        assert await refusal(publish(world, arn, text, MessageStructure="json")) == (
            "InvalidParameter",
            f"Invalid parameter: {reason}",
        )


@told
async def test_what_is_no_message_is_refused(world: World) -> None:
    arn = await topic(world)

    async def says(**req: object) -> str:
        _, text = await refusal(world.call("sns", "publish", **{"TopicArn": arn, **req}))
        return text.removeprefix("Invalid parameter: ")

    assert await says(Message="") == "Empty message"
    assert await says(Message="x" * 262_145) == "Message too long"
    assert await says(Message="x", Subject="a\nb") == "Subject"
    assert await says(Message="x", Subject="s" * 101) == "Subject"
    assert await says(Message="x", MessageDeduplicationId="1") == (
        "MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that "
        "is not valid for this topic type"
    )
    await publish(world, arn, "x" * 262_144)
    await world.call(
        "sns",
        "set_topic_attributes",
        TopicArn=arn,
        AttributeName="MaximumMessageSize",
        AttributeValue="1024",
    )
    assert await says(Message="x" * 1025) == "Message too long"
    assert (await refusal(world.call("sns", "publish", Message="x")))[1] == (
        "Invalid parameter: TopicArn or TargetArn Reason: no value for required parameter"
    )


@told
async def test_a_batch_succeeds_and_fails_entry_by_entry(world: World) -> None:
    arn = await topic(world)
    to = await queue(world, "q")
    await subscribe(world, arn, to)

    def batch(*entries: tuple[str, str]) -> object:
        listed = [{"Id": one, "Message": text} for one, text in entries]
        return world.call("sns", "publish_batch", TopicArn=arn, PublishBatchRequestEntries=listed)

    answer = await batch(("a", "one"), ("b", ""), ("c", "three"))  # type: ignore[misc]
    assert [one["Id"] for one in answer["Successful"]] == ["a", "c"]
    assert [(one["Id"], one["Code"]) for one in answer["Failed"]] == [("b", "InvalidParameter")]
    assert sorted(await texts(world, to)) == ["one", "three"]
    for entries, code in (
        ([], "EmptyBatchRequest"),
        ([("a", "x"), ("a", "y")], "BatchEntryIdsNotDistinct"),
        ([(str(at), "x") for at in range(11)], "TooManyEntriesInBatchRequest"),
        ([("a b", "x")], "InvalidBatchEntryId"),
        ([("a", "x" * 200_000), ("b", "x" * 200_000)], "BatchRequestTooLong"),
    ):
        assert (await refusal(batch(*entries)))[0] == code  # type: ignore[arg-type]


@told
async def test_a_fifo_topic_keeps_order_and_forgets_doubles(world: World) -> None:
    arn = await topic(world, "orders.fifo")
    to = await queue(world, "orders.fifo")
    await subscribe(world, arn, to)
    told_first = ""
    for at in range(12):
        answer = await publish(
            world, arn, f"order {at}", MessageGroupId="till", MessageDeduplicationId=str(at)
        )
        again = await publish(
            world, arn, "again", MessageGroupId="till", MessageDeduplicationId=str(at)
        )
        assert again == answer
        assert answer["SequenceNumber"] > told_first
        told_first = answer["SequenceNumber"]
    assert await texts(world, to) == [f"order {at}" for at in range(12)]
    await world.advance(minutes=6)
    await publish(world, arn, "anew", MessageGroupId="till", MessageDeduplicationId="1")
    assert await texts(world, to) == ["anew"]


@told
async def test_a_fifo_topic_asks_for_group_and_deduplication(world: World) -> None:
    arn = await topic(world, "orders.fifo")
    assert (await refusal(publish(world, arn)))[1] == (
        "Invalid parameter: The MessageGroupId parameter is required for FIFO topics"
    )
    assert (await refusal(publish(world, arn, MessageGroupId="g")))[1] == (
        "Invalid parameter: The topic should either have ContentBasedDeduplication enabled or "
        "MessageDeduplicationId provided explicitly"
    )
    by_content = await topic(world, "content.fifo", ContentBasedDeduplication="true")
    first = await publish(world, by_content, "same", MessageGroupId="g")
    assert await publish(world, by_content, "same", MessageGroupId="g") == first
    assert await publish(world, by_content, "other", MessageGroupId="g") != first


@told
async def test_a_message_that_a_queue_may_not_take_goes_to_the_dead_letters(world: World) -> None:
    arn = await topic(world)
    closed = await queue(world, "closed", closed=True)
    dead = await queue(world, "dead")
    opened = await queue(world, "open")
    await subscribe(world, arn, closed, RedrivePolicy=json.dumps({"deadLetterTargetArn": dead}))
    await subscribe(world, arn, opened)
    await publish(world, arn)
    assert await heard(world, closed) == []
    assert await texts(world, opened) == ["hello"]
    assert await texts(world, dead) == ["hello"]


@told
async def test_a_queue_of_another_region_hears_of_it(world: World) -> None:
    arn = await topic(world)
    elsewhere = f"arn:aws:sqs:eu-west-1:{ACCOUNT}:q"
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": elsewhere,
                "Condition": {"ArnEquals": {"aws:SourceArn": arn}},
            }
        ],
    }
    await world.call(
        "sqs",
        "create_queue",
        region="eu-west-1",
        QueueName="q",
        Attributes={"Policy": json.dumps(policy)},
    )
    await subscribe(world, arn, elsewhere)
    await publish(world, arn)
    found = await world.call(
        "sqs",
        "receive_message",
        region="eu-west-1",
        QueueUrl=f"http://localhost:4566/{ACCOUNT}/q",
    )
    assert json.loads(found["Messages"][0]["Body"])["Message"] == "hello"


@told
async def test_a_crash_loses_nothing_that_was_acknowledged(world: World) -> None:
    arn = await topic(world)
    to = await queue(world, "q")
    await subscribe(world, arn, to)
    await publish(world, arn)
    after = world.again()
    await after.start()
    assert await texts(after, to) == ["hello"]
    await after.close()
