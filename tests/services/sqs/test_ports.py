"""What other services make of messages."""

from __future__ import annotations

from doppio.services.sqs.ports import event_of


def test_a_message_s_attributes_are_told_with_their_types() -> None:
    event = event_of(
        {
            "MessageId": "i", "ReceiptHandle": "h", "Body": "b", "MD5OfBody": "m",
            "MD5OfMessageAttributes": "n", "Attributes": {"SenderId": "s"},
            "MessageAttributes": {
                "a": {"DataType": "String", "StringValue": "x"},
                "c": {"DataType": "Binary", "BinaryValue": b"\xff"},
            },
        },
        "arn:aws:sqs:eu-west-1:000000000000:q",
    )  # fmt: skip
    lists = {"stringListValues": [], "binaryListValues": []}
    assert event == {
        "messageId": "i", "receiptHandle": "h", "body": "b", "attributes": {"SenderId": "s"},
        "messageAttributes": {
            "a": {**lists, "dataType": "String", "stringValue": "x"},
            "c": {**lists, "dataType": "Binary", "binaryValue": "/w=="},
        },
        "md5OfBody": "m", "md5OfMessageAttributes": "n", "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-west-1:000000000000:q", "awsRegion": "eu-west-1",
    }  # fmt: skip
