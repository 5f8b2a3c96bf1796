"""What is sensitive in a message is told, taken out, or keeps the message back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from doppio.services.sns.limits import DATA_PROTECTION_BYTES_MAX
from doppio.services.sns.sensitive import PREFIX, findings, without
from tests.services.sns.helpers import heard, queue, subscribe, texts, topic
from tests.services.world import ACCOUNT, OTHER, World, refusal, told

CARD = "4111 1111 1111 1111"


def policy(operation: dict[str, Any], *kinds: str, **more: Any) -> str:
    """A data protection policy of one statement."""
    statement = {
        "DataDirection": "Inbound",
        "Principal": ["*"],
        "DataIdentifier": [PREFIX + kind for kind in kinds or ("EmailAddress",)],
        "Operation": operation,
        **more,
    }
    return json.dumps({"Name": "shop", "Version": "2021-06-01", "Statement": [statement]})


async def put(world: World, arn: str, text: str) -> None:
    """Set a topic's policy."""
    await world.call(
        "sns", "put_data_protection_policy", ResourceArn=arn, DataProtectionPolicy=text
    )


@pytest.mark.parametrize(
    ("kind", "text", "found"),
    [
        ("EmailAddress", "write to ada@example.com, please", ["ada@example.com"]),
        ("EmailAddress", "no @ here, nor a@b", []),
        ("CreditCardNumber", f"card {CARD}!", [CARD]),
        ("CreditCardNumber", "card 4111 1111 1111 1112", []),
        ("CreditCardNumber", "order 0000000000000000", []),
        ("IpAddress", "from 10.0.0.1 and 2001:db8::1.", ["10.0.0.1", "2001:db8::1"]),
        ("IpAddress", "version 1.2.3.400, at 12:30", []),
        ("Ssn-US", "SSN 123-45-6789", ["123-45-6789"]),
        ("Ssn-US", "number 123-45-6789", []),
        ("Ssn-US", "SSN 000-45-6789 or ssn 900-45-6789", []),
        ("PhoneNumber-US", "phone: (212) 555-0100", ["(212) 555-0100"]),
        ("PhoneNumber-US", "order 2125550100", []),
        ("AwsSecretKey", "secret key " + "a1B/" * 10, ["a1B/" * 10]),
        ("AwsSecretKey", "digest " + "a1B/" * 10, []),
        (
            "OpenSshPrivateKey",
            "x -----BEGIN OPENSSH PRIVATE KEY-----\nYWJj\n-----END OPENSSH PRIVATE KEY----- y",
            ["-----BEGIN OPENSSH PRIVATE KEY-----\nYWJj\n-----END OPENSSH PRIVATE KEY-----"],
        ),
    ],
)
def test_each_kind_is_found_and_what_only_looks_like_it_is_not(
    kind: str, text: str, found: list[str]
) -> None:
    assert [
        text[one.start : one.end] for one in findings(text, frozenset({PREFIX + kind}))
    ] == found


def test_what_overlaps_is_taken_out_once() -> None:
    text = "ada@10.example.com"
    kinds = frozenset({PREFIX + "EmailAddress", PREFIX + "IpAddress"})
    assert without(text, findings(text, kinds), "#") == "#" * len(text)
    assert without("a b@c.de f", findings("a b@c.de f", kinds), "") == "a  f"


@told
async def test_a_denied_message_is_refused_and_reaches_nobody(world: World) -> None:
    arn = await topic(world)
    to = await queue(world, "q")
    await subscribe(world, arn, to)
    await put(world, arn, policy({"Deny": {}}, "CreditCardNumber"))
    code, _ = await refusal(world.call("sns", "publish", TopicArn=arn, Message=f"pay {CARD}"))
    assert code == "AuthorizationError"
    answer = await world.call(
        "sns",
        "publish_batch",
        TopicArn=arn,
        PublishBatchRequestEntries=[
            {"Id": "good", "Message": "hello"},
            {"Id": "bad", "Message": CARD},
        ],
    )
    assert [one["Code"] for one in answer["Failed"]] == ["AuthorizationError"]
    assert await texts(world, to) == ["hello"]


@told
async def test_what_comes_in_is_masked_or_redacted_also_in_structures(world: World) -> None:
    arn = await topic(world)
    to = await queue(world, "q")
    await subscribe(world, arn, to)
    await put(world, arn, policy({"Deidentify": {"MaskConfig": {"MaskWithCharacter": "#"}}}))
    await world.call("sns", "publish", TopicArn=arn, Message="to a@b.de now")
    structure = json.dumps({"default": "x", "sqs": "queue a@b.de"})
    await world.call("sns", "publish", TopicArn=arn, Message=structure, MessageStructure="json")
    await put(world, arn, policy({"Deidentify": {"RedactConfig": {}}}))
    await world.call("sns", "publish", TopicArn=arn, Message="to a@b.de now")
    assert sorted(await texts(world, to)) == ["queue ######", "to  now", "to ###### now"]


@told
async def test_an_outbound_statement_counts_for_who_subscribed(world: World) -> None:
    arn = await topic(world)
    await world.call(
        "sns",
        "add_permission",
        TopicArn=arn,
        Label="other",
        AWSAccountId=[OTHER],
        ActionName=["Subscribe"],
    )
    own, others = await queue(world, "own"), await queue(world, "others")
    await subscribe(world, arn, own)
    # The key that signs is made in a thread, before anything is sent in the background.
    await world.call("sns", "publish", TopicArn=arn, Message="first")
    assert await texts(world, own) == ["first"]
    found = await world.call(
        "sns", "subscribe", account=OTHER, TopicArn=arn, Protocol="sqs", Endpoint=others
    )
    assert found["SubscriptionArn"] == "pending confirmation"
    await world.settle()
    (asked,) = await heard(world, others)
    await world.call(
        "sns", "confirm_subscription", TopicArn=arn, Token=json.loads(asked["Body"])["Token"]
    )
    mask = {"Deidentify": {"MaskConfig": {"MaskWithCharacter": "*"}}}
    outbound = {"DataDirection": "Outbound", "Principal": [f"arn:aws:iam::{OTHER}:root"]}
    await put(world, arn, policy(mask, **outbound))
    await world.call("sns", "publish", TopicArn=arn, Message="a@b.de")
    assert (await texts(world, own), await texts(world, others)) == (["a@b.de"], ["******"])
    await put(world, arn, policy({"Deny": {}}, **outbound))
    await world.call("sns", "publish", TopicArn=arn, Message="a@b.de")
    await world.call("sns", "publish", TopicArn=arn, Message="fine")
    assert sorted(await texts(world, own)) == ["a@b.de", "fine"]
    assert await texts(world, others) == ["fine"]


@told
async def test_an_audit_puts_its_findings_into_a_bucket_that_lets_it_in(world: World) -> None:
    arn = await topic(world)
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "delivery.logs.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::findings/*",
    }
    await world.call("s3", "create_bucket", Bucket="findings")
    await world.call(
        "s3",
        "put_bucket_policy",
        Bucket="findings",
        Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )
    audit = {"SampleRate": "99", "FindingsDestination": {"S3": {"Bucket": "findings"}}}
    await put(world, arn, policy({"Audit": audit}))
    for _ in range(20):
        await world.call("sns", "publish", TopicArn=arn, Message="x a@b.de")
        await world.call("sns", "publish", TopicArn=arn, Message="nothing")
    await world.advance(1)
    listed = (await world.call("s3", "list_objects_v2", Bucket="findings"))["Contents"]
    assert 15 <= len(listed) <= 20
    assert await world.used("MessagesWithFindings") == len(listed)
    assert all(
        one["Key"].startswith(f"AWSLogs/{ACCOUNT}/sns/us-east-1/2030/01/01/") for one in listed
    )


@told
async def test_a_policy_is_shown_as_it_was_put_and_taken_off_when_empty(world: World) -> None:
    arn = await topic(world)
    text = policy({"Deny": {}})
    assert await world.call("sns", "get_data_protection_policy", ResourceArn=arn) == {}
    await put(world, arn, text)
    shown = await world.call("sns", "get_data_protection_policy", ResourceArn=arn)
    assert shown["DataProtectionPolicy"] == text
    await put(world, arn, "")
    assert await world.call("sns", "get_data_protection_policy", ResourceArn=arn) == {}
    made = await world.call("sns", "create_topic", Name="other", DataProtectionPolicy=text)
    shown = await world.call("sns", "get_data_protection_policy", ResourceArn=made["TopicArn"])
    assert shown["DataProtectionPolicy"] == text


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", "InvalidParameter"),
        ('{"Name": "x", "Version": "2012-10-17", "Statement": []}', "InvalidParameter"),
        (policy({}), "InvalidParameter"),
        (policy({"Deny": {}}, Principal=[]), "InvalidParameter"),
        (policy({"Deny": {}}, DataDirection="Up"), "InvalidParameter"),
        (policy({"Deidentify": {"MaskConfig": {"MaskWithCharacter": "##"}}}), "InvalidParameter"),
        (policy({"Audit": {"SampleRate": 100, "NoFindingsDestination": {}}}), "InvalidParameter"),
        (policy({"Audit": {"SampleRate": 99}}), "InvalidParameter"),
        (policy({"Deny": {}}, "Name"), "NotImplemented"),
        (" " * DATA_PROTECTION_BYTES_MAX + policy({"Deny": {}}), "InvalidParameter"),
    ],
)
def test_a_policy_that_cannot_be_acted_on_is_refused(text: str, code: str) -> None:
    @told
    async def story(world: World) -> None:
        arn = await topic(world)
        found, _ = await refusal(put(world, arn, text))
        assert found == code
        assert await world.call("sns", "get_data_protection_policy", ResourceArn=arn) == {}

    story()
