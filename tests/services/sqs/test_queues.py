"""Queues: their life, attributes, tags and permissions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.services.world import ACCOUNT, OTHER, REGION, World, refusal, refused, run, told

from .helpers import arn, attributes, bodies, counts, make, receive, send


@told
async def test_creating_a_queue_again_with_the_same_attributes_gives_the_same_queue(
    world: World,
) -> None:
    first = await make(world, "q", VisibilityTimeout="45")
    assert first.endswith(f"/{ACCOUNT}/q")
    assert await make(world, "q", VisibilityTimeout="45") == first
    assert await make(world, "q") == first
    assert await refusal(make(world, "q", VisibilityTimeout="46")) == (
        "QueueNameExists",
        (
            "A queue already exists with the same name and a different value for attribute "
            "VisibilityTimeout"
        ),
    )


@told
async def test_attributes_that_are_not_set_have_awss_defaults(world: World) -> None:
    shown = await attributes(world, await make(world))
    created = str(int(world.now.timestamp()))
    assert shown == {
        "QueueArn": arn("q"),
        "ApproximateNumberOfMessages": "0",
        "ApproximateNumberOfMessagesNotVisible": "0",
        "ApproximateNumberOfMessagesDelayed": "0",
        "CreatedTimestamp": created,
        "LastModifiedTimestamp": created,
        "VisibilityTimeout": "30",
        "MaximumMessageSize": "1048576",
        "MessageRetentionPeriod": "345600",
        "DelaySeconds": "0",
        "ReceiveMessageWaitTimeSeconds": "0",
        "SqsManagedSseEnabled": "true",
    }


@told
async def test_attributes_change_together_or_not_at_all(world: World) -> None:
    url = await make(world)
    await world.advance(5)
    change = {"DelaySeconds": "7", "VisibilityTimeout": "99999"}
    code, text = await refusal(
        world.call("sqs", "set_queue_attributes", QueueUrl=url, Attributes=change)
    )
    assert code == "InvalidAttributeValue"
    assert text == "Invalid value for the parameter VisibilityTimeout."
    assert await attributes(world, url, "DelaySeconds") == {"DelaySeconds": "0"}
    change["VisibilityTimeout"] = "43200"
    await world.call("sqs", "set_queue_attributes", QueueUrl=url, Attributes=change)
    shown = await attributes(world, url)
    assert (shown["DelaySeconds"], shown["VisibilityTimeout"]) == ("7", "43200")
    assert int(shown["LastModifiedTimestamp"]) == int(shown["CreatedTimestamp"]) + 5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DelaySeconds", "901"), ("DelaySeconds", "-1"), ("DelaySeconds", "x"),
        ("MaximumMessageSize", "1023"), ("MaximumMessageSize", "1048577"),
        ("MessageRetentionPeriod", "59"), ("MessageRetentionPeriod", "1209601"),
        ("ReceiveMessageWaitTimeSeconds", "21"), ("VisibilityTimeout", "43201"),
        ("SqsManagedSseEnabled", "maybe"), ("RedriveAllowPolicy", "{"),
        ("RedriveAllowPolicy", '{"redrivePermission": "some"}'),
        ("RedriveAllowPolicy", '{"redrivePermission": "byQueue"}'), ("Policy", "no json"),
        ("RedriveAllowPolicy", '{"redrivePermission": "byQueue", "sourceQueueArns": "a:b"}'),
        ("RedriveAllowPolicy", '{"redrivePermission": "byQueue", "sourceQueueArns": ["q"]}'),
        ("RedrivePolicy", "[]"), ("RedrivePolicy", '{"maxReceiveCount": NaN}'),
        ("RedrivePolicy", '{"deadLetterTargetArn": "\\ud800"}'),
        ("DelaySeconds", "²"), ("DelaySeconds", "--5"), ("DelaySeconds", ""),
        ("DelaySeconds", "9" * 5000),
    ],
)  # fmt: skip
def test_an_attribute_out_of_its_range_is_refused(name: str, value: str) -> None:
    async def story(world: World) -> None:
        code, text = await refusal(make(world, "q", **{name: value}))
        assert (code, text) == (
            "InvalidAttributeValue",
            f"Invalid value for the parameter {name}.",
        )

    run(story)


@pytest.mark.parametrize(
    ("name", "attributes", "code"),
    [
        ("q", {"Colour": "red"}, "InvalidAttributeName"),
        ("q", {"QueueArn": "x"}, "InvalidAttributeName"),
        ("q", {"FifoQueue": "false"}, "InvalidAttributeName"),
        ("q", {"ContentBasedDeduplication": "true"}, "InvalidAttributeName"),
        ("q", {"FifoQueue": "true"}, "InvalidParameterValueException"),
        ("q.fifo", {}, "InvalidParameterValueException"),
        ("spaced out", {}, "InvalidParameterValueException"),
        ("x" * 81, {}, "InvalidParameterValueException"),
        ("q.fifo", {"FifoQueue": "true", "DeduplicationScope": "x"}, "InvalidAttributeValue"),
        (
            "q.fifo",
            {"FifoQueue": "true", "FifoThroughputLimit": "perMessageGroupId"},
            "InvalidAttributeValue",
        ),
        (
            "q",
            {"KmsMasterKeyId": "alias/mine", "SqsManagedSseEnabled": "true"},
            "InvalidAttributeValue",
        ),
    ],
)
def test_a_queue_that_cannot_be_is_refused(
    name: str, attributes: dict[str, str], code: str
) -> None:
    async def story(world: World) -> None:
        error = await refused(
            world.call("sqs", "create_queue", QueueName=name, Attributes=attributes)
        )
        assert error.code == code

    run(story)


@told
async def test_an_unknown_attribute_cannot_be_asked_for(world: World) -> None:
    url = await make(world)
    assert await refusal(attributes(world, url, "Colour")) == (
        "InvalidAttributeName",
        "Unknown Attribute Colour.",
    )
    got = await world.call("sqs", "get_queue_attributes", QueueUrl=url)
    assert got == {}


@told
async def test_a_fifo_queue_shows_what_makes_it_one(world: World) -> None:
    shown = await attributes(world, await make(world, "q.fifo", ContentBasedDeduplication="true"))
    assert shown["FifoQueue"] == "true"
    assert shown["ContentBasedDeduplication"] == "true"
    assert shown["DeduplicationScope"] == "queue"
    assert shown["FifoThroughputLimit"] == "perQueue"


@told
async def test_a_queue_that_does_not_exist_is_said_not_to(world: World) -> None:
    missing = ("QueueDoesNotExist", "The specified queue does not exist.")
    url = await make(world)
    await world.call("sqs", "delete_queue", QueueUrl=url)
    calls: list[tuple[str, dict[str, Any]]] = [
        ("send_message", {"MessageBody": "x"}),
        ("receive_message", {}),
        ("delete_message", {"ReceiptHandle": "x"}),
        ("purge_queue", {}),
        ("delete_queue", {}),
        ("get_queue_attributes", {"AttributeNames": ["All"]}),
        ("list_queue_tags", {}),
    ]
    for method, more in calls:
        call = world.call("sqs", method, QueueUrl=url, **more)
        assert await refusal(call) == missing, method
    assert await refusal(world.call("sqs", "get_queue_url", QueueName="q")) == missing


@told
async def test_a_name_is_free_again_sixty_seconds_after_its_queue_was_deleted(
    world: World,
) -> None:
    url = await make(world)
    await send(world, url, "of the old queue")
    await world.call("sqs", "delete_queue", QueueUrl=url)
    await world.advance(59)
    code, text = await refusal(make(world))
    assert code == "QueueDeletedRecently"
    assert text.startswith("You must wait 60 seconds after deleting a queue")
    await world.advance(1)
    assert await make(world) == url
    assert await receive(world, url) == []


@told
async def test_urls_are_listed_by_name_prefix_and_page(world: World) -> None:
    urls = [await make(world, name) for name in ("a1", "a2", "a3", "b1")]
    await make_elsewhere(world)
    got = await world.call("sqs", "list_queues")
    assert got == {"QueueUrls": urls}
    got = await world.call("sqs", "list_queues", QueueNamePrefix="a", MaxResults=2)
    assert got["QueueUrls"] == urls[:2]
    got = await world.call(
        "sqs", "list_queues", QueueNamePrefix="a", MaxResults=2, NextToken=got["NextToken"]
    )
    assert got == {"QueueUrls": urls[2:3]}
    assert await world.call("sqs", "list_queues", QueueNamePrefix="c") == {}
    error = await refused(world.call("sqs", "list_queues", MaxResults=0))
    assert "between 1 and 1000" in error.message
    error = await refused(world.call("sqs", "list_queues", NextToken="made up"))
    assert error.code == "InvalidParameterValueException"


async def make_elsewhere(world: World) -> None:
    await world.call("sqs", "create_queue", QueueName="a0", region="eu-west-1")
    await world.call("sqs", "create_queue", QueueName="a0", account=OTHER)


@told
async def test_a_purge_empties_the_queue_at_once_and_once_a_minute(world: World) -> None:
    url = await make(world)
    for _ in range(3):
        await send(world, url)
    await receive(world, url, MaxNumberOfMessages=1)
    await world.call("sqs", "purge_queue", QueueUrl=url)
    assert await counts(world, url) == (0, 0, 0)
    await world.advance(59)
    assert await refusal(world.call("sqs", "purge_queue", QueueUrl=url)) == (
        "PurgeQueueInProgress",
        "Only one PurgeQueue operation on q is allowed every 60 seconds.",
    )
    await world.advance(1)
    await send(world, url, "newer")
    assert await bodies(world, url) == ["newer"]
    await world.call("sqs", "purge_queue", QueueUrl=url)


@told
async def test_what_was_purged_or_deleted_leaves_nothing_in_the_store(world: World) -> None:
    keep = await make(world, "keep")
    for name in ("q", "q.fifo"):
        url = await make(world, name)
        extra: Any = (
            {"MessageGroupId": "g", "MessageDeduplicationId": "d"} if "fifo" in name else {}
        )
        await send(world, url, **extra)
        await receive(world, url, **({"ReceiveRequestAttemptId": "a"} if extra else {}))
        await world.call("sqs", "delete_queue", QueueUrl=url)
    await world.call("sqs", "purge_queue", QueueUrl=keep)
    await world.settle()
    kinds = (b"sqs.message", b"sqs.fifo", b"sqs.group", b"sqs.sent", b"sqs.attempt")
    assert [key for key in world.memory.disk if any(kind in key for kind in kinds)] == []


@told
async def test_tags_are_put_over_old_ones_and_taken_off_by_key(world: World) -> None:
    made = await world.call("sqs", "create_queue", QueueName="q", tags={"a": "1", "b": "2"})
    url = made["QueueUrl"]
    await world.call("sqs", "tag_queue", QueueUrl=url, Tags={"b": "3", "c": ""})
    got = await world.call("sqs", "list_queue_tags", QueueUrl=url)
    assert got == {"Tags": {"a": "1", "b": "3", "c": ""}}
    await world.call("sqs", "untag_queue", QueueUrl=url, TagKeys=["a", "b", "unknown"])
    assert await world.call("sqs", "list_queue_tags", QueueUrl=url) == {"Tags": {"c": ""}}
    many = {f"k{number}": "v" for number in range(50)}
    error = await refused(world.call("sqs", "tag_queue", QueueUrl=url, Tags=many))
    assert error.code == "InvalidParameterValueException"


@told
async def test_a_permission_is_a_statement_of_the_policy_and_lets_the_other_account_in(
    world: World,
) -> None:
    url = await make(world)
    error = await refused(send_as(world, url))
    assert error.code == "AccessDeniedException"
    grant: Any = {"QueueUrl": url, "Label": "barista", "AWSAccountIds": [OTHER]}
    await world.call("sqs", "add_permission", **grant, Actions=["SendMessage"])
    policy = json.loads((await attributes(world, url, "Policy"))["Policy"])
    assert policy["Statement"] == [
        {
            "Sid": "barista",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{OTHER}:root"},
            "Action": "SQS:SendMessage",
            "Resource": arn("q"),
        }
    ]
    await send_as(world, url)
    error = await refused(world.call("sqs", "receive_message", account=OTHER, QueueUrl=url))
    assert error.code == "AccessDeniedException"
    code, text = await refusal(
        world.call("sqs", "add_permission", **grant, Actions=["ReceiveMessage"])
    )
    assert text == "Value barista for parameter Label is invalid. Reason: Already exists."
    await world.call("sqs", "remove_permission", QueueUrl=url, Label="barista")
    assert (await refused(send_as(world, url))).code == "AccessDeniedException"
    assert await attributes(world, url, "Policy") == {}
    code, text = await refusal(
        world.call("sqs", "remove_permission", QueueUrl=url, Label="barista")
    )
    assert code == "InvalidParameterValueException"
    assert text.endswith("Reason: can't find label on existing policy.")


async def send_as(world: World, url: str, account: str = OTHER) -> None:
    await world.call("sqs", "send_message", account=account, QueueUrl=url, MessageBody="x")


@pytest.mark.parametrize(
    ("actions", "code", "text"),
    [
        (["CreateQueue"], "InvalidParameterValueException", "Only the queue owner is allowed"),
        (["Brew"], "InvalidParameterValueException", "refer to the appropriate WSDL"),
        (["SendMessage"] * 8, "OverLimit", "8 Actions were found, maximum allowed is 7."),
    ],
)
def test_a_permission_for_what_cannot_be_given_is_refused(
    actions: list[str], code: str, text: str
) -> None:
    async def story(world: World) -> None:
        url = await make(world)
        error = await refused(
            world.call(
                "sqs", "add_permission", QueueUrl=url, Label="l", AWSAccountIds=[OTHER],
                Actions=actions,
            )
        )  # fmt: skip
        assert error.code == code
        assert text in error.message

    run(story)


@told
async def test_a_permission_is_for_accounts_and_a_policy_has_twenty_statements(
    world: World,
) -> None:
    url = await make(world)
    grant: Any = {"QueueUrl": url, "Actions": ["SendMessage"]}
    assert await refusal(
        world.call("sqs", "add_permission", **grant, Label="l", AWSAccountIds=["mine"])
    ) == (
        "InvalidParameterValueException",
        "Value [mine] for parameter PrincipalId is invalid. Reason: Unable to verify.",
    )
    for number in range(20):
        named = {**grant, "Label": f"l{number}", "AWSAccountIds": [OTHER, ACCOUNT]}
        await world.call("sqs", "add_permission", **named)
    error = await refused(
        world.call("sqs", "add_permission", **grant, Label="more", AWSAccountIds=[OTHER])
    )
    assert (error.code, error.message) == (
        "OverLimit",
        "21 policy statements were found, maximum allowed is 20.",
    )


LACKS = "Redrive policy does not contain mandatory attribute"
COUNT = "Invalid value for maxReceiveCount"
RANGE = "valid values are from 1 to 1000 both inclusive."


def letters(
    name: str, receives: float = 1, account: str = ACCOUNT, region: str = REGION
) -> dict[str, Any]:
    """A redrive policy."""
    target = f"arn:aws:sqs:{region}:{account}:{name}"
    return {"deadLetterTargetArn": target, "maxReceiveCount": receives}


@pytest.mark.parametrize(
    ("policy", "why"),
    [
        ({"maxReceiveCount": 1}, f"{LACKS}: deadLetterTargetArn."),
        ({"deadLetterTargetArn": arn("dead")}, f"{LACKS}: maxReceiveCount."),
        (letters("dead", receives=1001), f"{COUNT}: 1001, {RANGE}"),
        (letters("dead", receives=0), f"{COUNT}: 0, {RANGE}"),
        ({**letters("x"), "deadLetterTargetArn": "dead"}, "Invalid value for deadLetterTargetArn."),
        (letters("none"), "Dead letter target does not exist."),
        (letters("dead.fifo"), "Dead-letter queue must be same type of queue as the source."),
        (letters("dead", account=OTHER), "Dead letter target owner should be same as the source."),
        (
            letters("dead", region="eu-west-1"),
            "Dead-letter queue must be in same region as the source.",
        ),
    ],
)
def test_a_redrive_policy_that_cannot_be_is_refused(policy: dict[str, Any], why: str) -> None:
    async def story(world: World) -> None:
        for name in ("dead", "dead.fifo"):
            await make(world, name)
        await world.call("sqs", "create_queue", QueueName="dead", account=OTHER)
        await world.call("sqs", "create_queue", QueueName="dead", region="eu-west-1")
        code, text = await refusal(make(world, RedrivePolicy=json.dumps(policy)))
        assert code == "InvalidParameterValueException"
        assert text.startswith('Value {"')
        assert text.endswith(f" for parameter RedrivePolicy is invalid. Reason: {why}")

    run(story)


@told
async def test_a_url_of_any_form_names_a_queue(world: World) -> None:
    url = await make(world)
    for form in (url, f"https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/q", f"{url}/", "q"):
        await send(world, form)
    assert len(await receive(world, url)) == 4
    for form in ("http://localhost/q", "/"):
        error = await refused(send(world, form))
        assert error.code == "InvalidAddress"


@pytest.mark.parametrize(
    "form",
    [
        "http://localhost:4566/{account}/q",
        "https://sqs.us-east-1.amazonaws.com/{account}/q",
        "https://queue.amazonaws.com/{account}/q",
        "https://us-east-1.queue.amazonaws.com/{account}/q/",
        "http://us-east-1.queue.localhost:4566/{account}/q",
        "http://sqs.us-east-1.localhost:4566/{account}/q",
        "http://localhost:4566/queue/us-east-1/{account}/q",
        "q",
    ],
)
def test_a_queue_is_found_by_every_form_of_its_url(form: str) -> None:
    async def story(world: World) -> None:
        await world.call("sqs", "create_queue", QueueName="q")
        url = form.format(account=ACCOUNT)
        await world.call("sqs", "send_message", QueueUrl=url, MessageBody="x")
        found = await world.call("sqs", "receive_message", QueueUrl=url)
        assert [one["Body"] for one in found["Messages"]] == ["x"]

    run(story)
