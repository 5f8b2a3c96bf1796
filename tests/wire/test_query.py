from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doppio.wire import query
from doppio.wire.errors import (
    AwsError,
    InternalFailure,
    SerializationError,
    UnknownOperation,
)

from .helpers import both, decoded, encoded, error, failed, request, text


def test_a_form_is_decoded_once() -> None:
    assert query.parse_form("a=1%2B1&b=x+y&c&&d=%253D") == [
        ("a", "1+1"),
        ("b", "x y"),
        ("c", ""),
        ("d", "%3D"),
    ]


def test_dots_grow_a_tree() -> None:
    tree = query.grow([("a.b.1", "x"), ("a.b.2", "y"), ("c", "z"), ("a", "")])
    assert tree == {"a": {"b": {"1": "x", "2": "y"}}, "c": "z"}


def test_lists_are_in_the_order_of_their_numbers() -> None:
    assert query.numbered({"10": "c", "2": "b", "1": "a"}) == ["a", "b", "c"]
    assert query.numbered("") == []
    with pytest.raises(ValueError):
        query.numbered({"first": "a"})
    with pytest.raises(ValueError):
        query.numbered("x")


def test_iam_reads_lists_and_structures() -> None:
    body = (
        b"Action=CreateRole&Version=2010-05-08&RoleName=brew&AssumeRolePolicyDocument=%7B%7D"
        b"&MaxSessionDuration=3600&Tags.member.2.Key=b&Tags.member.2.Value=2"
        b"&Tags.member.1.Key=a&Tags.member.1.Value=1&Nothing=1"
    )
    assert decoded("iam", "query", "CreateRole", body) == {
        "RoleName": "brew",
        "AssumeRolePolicyDocument": "{}",
        "MaxSessionDuration": 3600,
        "Tags": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}],
    }


def test_parameters_may_be_in_the_query_string() -> None:
    value = decoded("iam", "query", "GetRole", b"", query="Action=GetRole&RoleName=brew")
    assert value == {"RoleName": "brew"}


SQS = [
    (
        "SendMessage",
        (
            "QueueUrl=u&MessageBody=hi&MessageAttribute.1.Name=a&MessageAttribute.1.Value.DataType="
            "String&MessageAttribute.1.Value.StringValue=x&DelaySeconds=5"
            "&MessageSystemAttribute.1.Name=AWSTraceHeader"
            "&MessageSystemAttribute.1.Value.DataType=String"
        ),
        {
            "QueueUrl": "u",
            "MessageBody": "hi",
            "DelaySeconds": 5,
            "MessageAttributes": {"a": {"DataType": "String", "StringValue": "x"}},
            "MessageSystemAttributes": {"AWSTraceHeader": {"DataType": "String"}},
        },
    ),
    (
        "CreateQueue",
        (
            "QueueName=q&Attribute.1.Name=VisibilityTimeout&Attribute.1.Value=40"
            "&Tag.1.Key=t&Tag.1.Value=v"
        ),
        {"QueueName": "q", "Attributes": {"VisibilityTimeout": "40"}, "tags": {"t": "v"}},
    ),
    (
        "ReceiveMessage",
        "QueueUrl=u&AttributeName.1=All&MessageAttributeName.1=a&MessageAttributeName.2=b",
        {"QueueUrl": "u", "AttributeNames": ["All"], "MessageAttributeNames": ["a", "b"]},
    ),
    (
        "DeleteMessageBatch",
        (
            "QueueUrl=u&DeleteMessageBatchRequestEntry.1.Id=1"
            "&DeleteMessageBatchRequestEntry.1.ReceiptHandle=h"
        ),
        {"QueueUrl": "u", "Entries": [{"Id": "1", "ReceiptHandle": "h"}]},
    ),
    (
        "AddPermission",
        "QueueUrl=u&Label=l&AWSAccountId.1=1&ActionName.1=SendMessage",
        {"QueueUrl": "u", "Label": "l", "AWSAccountIds": ["1"], "Actions": ["SendMessage"]},
    ),
    ("UntagQueue", "QueueUrl=u&TagKey.1=t", {"QueueUrl": "u", "TagKeys": ["t"]}),
]


@pytest.mark.parametrize(("operation", "form", "value"), SQS)
def test_sqs_is_read_under_its_old_names(operation: str, form: str, value: object) -> None:
    assert decoded("sqs", "query", operation, form.encode()) == value


def test_sqs_answers_under_its_old_names() -> None:
    response = encoded(
        "sqs",
        "query",
        "ReceiveMessage",
        {
            "Messages": [
                {
                    "MessageId": "1",
                    "Body": "a<b",
                    "Attributes": {"SenderId": "me"},
                    "ReceiptHandle": None,
                }
            ]
        },
    )
    assert text(response) == (
        '<ReceiveMessageResponse xmlns="http://queue.amazonaws.com/doc/2012-11-05/">'
        "<ReceiveMessageResult><Message><MessageId>1</MessageId><Body>a&lt;b</Body>"
        "<Attribute><Name>SenderId</Name><Value>me</Value></Attribute></Message>"
        "</ReceiveMessageResult><ResponseMetadata><RequestId>request-1</RequestId>"
        "</ResponseMetadata></ReceiveMessageResponse>"
    )


def test_an_operation_without_result_has_no_wrapper() -> None:
    response = encoded("sqs", "query", "DeleteMessage", {})
    assert "DeleteMessageResult" not in text(response)
    assert "<RequestId>request-1</RequestId>" in text(response)


def test_errors_carry_the_models_code_and_status() -> None:
    response = failed("sqs", "query", "SendMessage", error("QueueDoesNotExist", "no <queue>"))
    assert response.status == 400
    assert text(response) == (
        '<ErrorResponse xmlns="http://queue.amazonaws.com/doc/2012-11-05/"><Error>'
        "<Type>Sender</Type><Code>AWS.SimpleQueueService.NonExistentQueue</Code>"
        "<Message>no &lt;queue&gt;</Message></Error><RequestId>request-1</RequestId>"
        "</ErrorResponse>"
    )
    assert failed("iam", "query", "GetRole", error("NoSuchEntityException")).status == 404


def test_shared_errors_have_the_query_protocols_names() -> None:
    response = failed("iam", "query", None, UnknownOperation("no"))
    assert (response.status, "<Code>InvalidAction</Code>" in text(response)) == (400, True)
    response = failed("iam", "query", None, InternalFailure())
    assert (response.status, "<Type>Receiver</Type>" in text(response)) == (500, True)


@pytest.mark.parametrize(
    "body",
    [
        b"MaxItems=abc",
        b"RoleName=%ff",
        b"Tags.member.x.Key=a",
        b"RoleName.a=b",
        ("a." * 100 + "b=c").encode(),
        b"\xff",
    ],
)
def test_a_wrong_form_is_a_serialization_error(body: bytes) -> None:
    operation = "ListRoles" if b"MaxItems" in body else "CreateRole"
    with pytest.raises(SerializationError):
        decoded("iam", "query", operation, body)


@given(st.text("Tags.member12KeyValue=&%ff", max_size=60) | st.text(max_size=40))
def test_decoding_garbage_raises_only_aws_errors(form: str) -> None:
    ours, op = both("iam", "query", "CreateRole")
    with contextlib.suppress(AwsError):
        assert isinstance(ours.decode(op, request(form.encode()), {}), dict)
