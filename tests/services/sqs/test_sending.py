"""What may be sent: bodies, attributes, sizes, batches, and what it is billed as."""

from __future__ import annotations

import hashlib
import struct
from typing import Any

import pytest

from tests.services.world import World, refusal, refused, run, told

from .helpers import counts, make, one, receive, send


def digest_of(attributes: dict[str, Any]) -> str:
    """The digest as the developer guide describes it, written anew."""
    raw = b""
    for name, attribute in sorted(attributes.items()):
        value = attribute.get("BinaryValue", attribute.get("StringValue", "").encode())
        mark = b"\x02" if "BinaryValue" in attribute else b"\x01"
        for part in (name.encode(), attribute["DataType"].encode()):
            raw += struct.pack("!I", len(part)) + part
        raw += mark + struct.pack("!I", len(value)) + value
    return hashlib.md5(raw).hexdigest()


@told
async def test_message_attributes_come_back_by_name_prefix_or_all(world: World) -> None:
    url = await make(world)
    given = {
        "size": {"DataType": "Number.int", "StringValue": "12"},
        "bean.origin": {"DataType": "String", "StringValue": "Äthiopien"},
        "bean.raw": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
    }
    sent = await send(world, url, MessageAttributes=given)
    assert sent["MD5OfMessageAttributes"] == digest_of(given)
    beans = {name: value for name, value in given.items() if name.startswith("bean")}
    for names, expected in [
        (["All"], given),
        ([".*"], given),
        (["size"], {"size": given["size"]}),
        (["bean.*"], beans),
        (["nothing"], {}),
        ([], {}),
    ]:
        message = await one(world, url, VisibilityTimeout=0, MessageAttributeNames=names)
        assert message.get("MessageAttributes", {}) == expected
        if expected:
            assert message["MD5OfMessageAttributes"] == digest_of(expected)


def test_the_digest_of_attributes_agrees_with_one_that_aws_gave() -> None:
    async def story(world: World) -> None:
        attribute = {"DataType": "Number", "StringValue": "1493147359900"}
        sent = await send(world, await make(world), MessageAttributes={"timestamp": attribute})
        assert sent["MD5OfMessageAttributes"] == "235c5c510d26fb653d073faed50ae77c"

    run(story)


STRING = {"DataType": "String", "StringValue": "v"}


@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        ({f"a{n}": STRING for n in range(11)}, "exceeds the allowed maximum [10]"),
        ({"aws.mine": STRING}, "reserved"),
        ({"AMAZON.mine": STRING}, "reserved"),
        ({".a": STRING}, "misplaced period"),
        ({"a..b": STRING}, "misplaced period"),
        ({"a b": STRING}, "can contain only alphanumeric"),
        ({"a" * 257: STRING}, "at most 256 characters"),
        ({"a": {"DataType": "Text", "StringValue": "v"}}, "supported type prefixes"),
        ({"a": {"DataType": "String", "StringValue": ""}}, "non-empty value of type 'String'"),
        ({"a": {"DataType": "Binary", "StringValue": "v"}}, "non-empty value of type 'Binary'"),
        ({"a": {"DataType": "Number", "StringValue": "many"}}, "to a number"),
    ],
)
def test_message_attributes_that_cannot_be_are_refused(
    attributes: dict[str, Any], text: str
) -> None:
    async def story(world: World) -> None:
        error = await refused(send(world, await make(world), MessageAttributes=attributes))
        assert error.code == "InvalidParameterValueException"
        assert text in error.message

    run(story)


@told
async def test_bodies_that_cannot_be_are_refused(world: World) -> None:
    url = await make(world, MaximumMessageSize="1024")
    assert (await refused(send(world, url, ""))).code == "MissingRequiredParameterException"
    for char in ("\x00", "\x0b", "\x1f\x1f", "\ufffe", "\ud800"):
        assert (await refused(send(world, url, char))).code == "InvalidMessageContents"
    for code in range(0x80):
        for char in (chr(code), chr(code) + "ä"):
            if code >= 0x20 or char[0] in "\t\n\r":
                await send(world, url, char)
            else:
                assert (await refused(send(world, url, char))).code == "InvalidMessageContents"
    await send(world, url, "\t\n\r \ue000\ufffd\U0001f600")
    await send(world, url, "x" * 1024)
    assert await refusal(send(world, url, "ä" * 513)) == (
        "InvalidParameterValueException",
        "One or more parameters are invalid. Reason: Message must be shorter than 1024 bytes.",
    )
    full = {"abc": {"DataType": "String", "StringValue": "12345"}}
    await send(world, url, "x" * (1024 - 14), MessageAttributes=full)
    await refused(send(world, url, "x" * (1024 - 13), MessageAttributes=full))


@told
async def test_a_message_has_at_most_a_mebibyte(world: World) -> None:
    url = await make(world)
    await send(world, url, "x" * 1_048_576)
    assert await refusal(send(world, url, "x" * 1_048_577)) == (
        "InvalidParameterValueException",
        "One or more parameters are invalid. Reason: Message must be shorter than 1048576 bytes.",
    )
    entries = [{"Id": "a", "MessageBody": "x" * 1_048_577}]
    call = world.call("sqs", "send_message_batch", QueueUrl=url, Entries=entries)
    assert await refusal(call) == (
        "BatchRequestTooLong",
        "Batch requests cannot be longer than 1048576 bytes. You have sent 1048577 bytes.",
    )
    assert (await counts(world, url))[0] == 1


@pytest.mark.parametrize(
    "attribute",
    [
        {"DataType": "Binary", "BinaryValue": b"x"},
        {"DataType": "Binary"},
        {"DataType": "String"},
        {"DataType": "Number", "StringValue": "1"},
        {"DataType": "String", "StringValue": "\ud800"},
    ],
)
def test_a_trace_header_is_a_text(attribute: dict[str, Any]) -> None:
    async def story(world: World) -> None:
        system = {"AWSTraceHeader": attribute}
        call = send(world, await make(world), MessageSystemAttributes=system)
        code, text = await refusal(call)
        assert code == "InvalidParameterValueException"
        assert text.startswith("Message system attribute 'AWSTraceHeader' must contain")

    run(story)


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("0", True), ("-1.5", True), ("+.5", True), ("1e-7", True), ("1.", True),
        ("nan", False), ("inf", False), ("1_000", False), (" 1", False), ("0x1", False),
        ("١", False), (".", False), ("1e", False),
    ],
)  # fmt: skip
def test_a_number_is_what_a_decimal_number_looks_like(text: str, good: bool) -> None:
    async def story(world: World) -> None:
        attribute = {"n": {"DataType": "Number.any", "StringValue": text}}
        call = send(world, await make(world), MessageAttributes=attribute)
        if good:
            await call
        else:
            assert (await refused(call)).code == "InvalidParameterValueException"

    run(story)


@told
async def test_a_batch_tells_of_each_entry(world: World) -> None:
    url = await make(world)
    entries = [
        {"Id": "good", "MessageBody": "a"},
        {"Id": "late", "MessageBody": "b", "DelaySeconds": 901},
        {"Id": "empty", "MessageBody": ""},
        {"Id": "too", "MessageBody": "c"},
    ]
    got = await world.call("sqs", "send_message_batch", QueueUrl=url, Entries=entries)
    assert [one["Id"] for one in got["Successful"]] == ["good", "too"]
    assert [(one["Id"], one["Code"], one["SenderFault"]) for one in got["Failed"]] == [
        ("late", "InvalidParameterValue", True),
        ("empty", "MissingParameter", True),
    ]
    messages = await receive(world, url)
    assert sorted(message["Body"] for message in messages) == ["a", "c"]
    deletions = [
        {"Id": "1", "ReceiptHandle": messages[0]["ReceiptHandle"]},
        {"Id": "2", "ReceiptHandle": "made up"},
    ]
    got = await world.call("sqs", "delete_message_batch", QueueUrl=url, Entries=deletions)
    assert got["Successful"] == [{"Id": "1"}]
    assert [(one["Id"], one["Code"]) for one in got["Failed"]] == [("2", "ReceiptHandleIsInvalid")]
    changes = [
        {"Id": "1", "ReceiptHandle": messages[0]["ReceiptHandle"], "VisibilityTimeout": 5},
        {"Id": "2", "ReceiptHandle": messages[1]["ReceiptHandle"], "VisibilityTimeout": 5},
    ]
    got = await world.call("sqs", "change_message_visibility_batch", QueueUrl=url, Entries=changes)
    assert got["Successful"] == [{"Id": "2"}]
    assert [one["Id"] for one in got["Failed"]] == ["1"]
    await world.advance(5)
    assert len(await receive(world, url)) == 1


@pytest.mark.parametrize(
    ("entries", "code"),
    [
        ([], "EmptyBatchRequest"),
        ([{"Id": str(n), "MessageBody": "x"} for n in range(11)], "TooManyEntriesInBatchRequest"),
        ([{"Id": "a", "MessageBody": "x"}] * 2, "BatchEntryIdsNotDistinct"),
        ([{"Id": "a b", "MessageBody": "x"}], "InvalidBatchEntryId"),
        ([{"Id": "a" * 81, "MessageBody": "x"}], "InvalidBatchEntryId"),
        (
            [{"Id": str(n), "MessageBody": "x" * 600_000} for n in range(2)],
            "BatchRequestTooLong",
        ),
    ],
)
def test_a_batch_that_cannot_be_is_refused_as_a_whole(entries: list[Any], code: str) -> None:
    async def story(world: World) -> None:
        url = await make(world)
        error = await refused(
            world.call("sqs", "send_message_batch", QueueUrl=url, Entries=entries)
        )
        assert error.code == code
        assert await counts(world, url) == (0, 0, 0)

    run(story)


@told
async def test_requests_are_metered_by_sixty_four_kibibytes_and_batches_once(
    world: World,
) -> None:
    url = await make(world)
    before = await world.used("Requests-Tier1")
    await send(world, url, "x" * 65_537)
    entries = [{"Id": str(n), "MessageBody": "x"} for n in range(10)]
    await world.call("sqs", "send_message_batch", QueueUrl=url, Entries=entries)
    assert await world.used("Requests-Tier1") == before + 2 + 1
