"""SQS's errors have two names: the shape's in JSON, and an older code in the query protocol."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from doppio.services.sqs import errors
from doppio.wire import faults, model
from doppio.wire.errors import AwsError
from tests.gateway.signed import Front, fronted

OLD = "AWS.SimpleQueueService."
# As the query protocol's own model had them, and its "Common errors".
NAMES: dict[type[AwsError], tuple[str, int]] = {
    errors.BatchEntryIdsNotDistinct: (f"{OLD}BatchEntryIdsNotDistinct", 400),
    errors.BatchRequestTooLong: (f"{OLD}BatchRequestTooLong", 400),
    errors.EmptyBatchRequest: (f"{OLD}EmptyBatchRequest", 400),
    errors.InvalidAddress: ("InvalidAddress", 404),
    errors.InvalidAttributeName: ("InvalidAttributeName", 400),
    errors.InvalidAttributeValue: ("InvalidAttributeValue", 400),
    errors.InvalidBatchEntryId: (f"{OLD}InvalidBatchEntryId", 400),
    errors.InvalidMessageContents: ("InvalidMessageContents", 400),
    errors.InvalidParameterValue: ("InvalidParameterValue", 400),
    errors.KmsAccessDenied: ("KMS.AccessDeniedException", 400),
    errors.KmsDisabled: ("KMS.DisabledException", 400),
    errors.KmsInvalidKeyUsage: ("KMS.InvalidKeyUsageException", 400),
    errors.KmsInvalidState: ("KMS.InvalidStateException", 400),
    errors.KmsThrottled: ("KMS.ThrottlingException", 400),
    errors.KmsNotFound: ("KMS.NotFoundException", 400),
    errors.MessageNotInflight: (f"{OLD}MessageNotInflight", 400),
    errors.MissingParameter: ("MissingParameter", 400),
    errors.OverLimit: ("OverLimit", 403),
    errors.PurgeQueueInProgress: (f"{OLD}PurgeQueueInProgress", 403),
    errors.QueueDeletedRecently: (f"{OLD}QueueDeletedRecently", 400),
    errors.QueueDoesNotExist: (f"{OLD}NonExistentQueue", 400),
    errors.QueueNameExists: ("QueueAlreadyExists", 400),
    errors.ReceiptHandleIsInvalid: ("ReceiptHandleIsInvalid", 404),
    errors.ResourceNotFound: ("ResourceNotFoundException", 404),
    errors.TooManyEntriesInBatchRequest: (f"{OLD}TooManyEntriesInBatchRequest", 400),
    errors.UnsupportedOperation: (f"{OLD}UnsupportedOperation", 400),
}


def test_every_error_of_the_service_is_named_here() -> None:
    own = {
        one
        for one in vars(errors).values()
        if isinstance(one, type) and issubclass(one, AwsError) and one is not AwsError
    }
    assert own == set(NAMES)


@pytest.mark.parametrize("kind", NAMES, ids=lambda kind: kind.code)
def test_both_protocols_say_it_in_their_way(kind: type[AwsError]) -> None:
    query_code, status = NAMES[kind]
    sqs = model.load("sqs")
    asked = faults.resolve(sqs, None, kind("why"), "query")
    assert (asked.code, asked.status, asked.message) == (query_code, status, "why")
    answered = faults.resolve(sqs, None, kind("why"), "json")
    assert (answered.name, answered.status) == (kind.code, status)
    assert faults.query_error_header(answered) == ("x-amzn-query-error", f"{query_code};Sender")


@fronted
async def test_a_clients_refusal_reads_as_its_protocol_has_it(front: Front) -> None:
    url = "http://localhost:4566/000000000000/none"
    status, headers, content = await front.json(
        "sqs", "AmazonSQS.SendMessage", {"QueueUrl": url, "MessageBody": "x"}
    )
    assert (status, content) == (
        400,
        {
            "__type": "com.amazonaws.sqs#QueueDoesNotExist",
            "message": "The specified queue does not exist.",
        },
    )
    assert headers["x-amzn-query-error"] == f"{OLD}NonExistentQueue;Sender"
    form = {"Action": "SendMessage", "Version": "2012-11-05", "QueueUrl": url, "MessageBody": "x"}
    status, text = await front.query("sqs", urlencode(form))
    assert status == 400
    assert f"<Type>Sender</Type><Code>{OLD}NonExistentQueue</Code>" in text
    assert "<Message>The specified queue does not exist.</Message>" in text


@fronted
async def test_a_batch_in_the_query_protocol_names_what_failed(front: Front) -> None:
    _, _, made = await front.json("sqs", "AmazonSQS.CreateQueue", {"QueueName": "q"})
    form = {
        "Action": "SendMessageBatch", "Version": "2012-11-05", "QueueUrl": made["QueueUrl"],
        "SendMessageBatchRequestEntry.1.Id": "good",
        "SendMessageBatchRequestEntry.1.MessageBody": "a",
        "SendMessageBatchRequestEntry.1.MessageAttribute.1.Name": "size",
        "SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.DataType": "Number",
        "SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.StringValue": "12",
        "SendMessageBatchRequestEntry.2.Id": "late",
        "SendMessageBatchRequestEntry.2.MessageBody": "b",
        "SendMessageBatchRequestEntry.2.DelaySeconds": "901",
    }  # fmt: skip
    status, text = await front.query("sqs", urlencode(form))
    assert status == 200
    assert "<SendMessageBatchResultEntry><Id>good</Id>" in text
    assert "<BatchResultErrorEntry><Id>late</Id><SenderFault>true</SenderFault>" in text
    assert "<Code>InvalidParameterValue</Code>" in text
    _, _, got = await front.json(
        "sqs", "AmazonSQS.ReceiveMessage",
        {"QueueUrl": made["QueueUrl"], "MessageAttributeNames": ["All"]},
    )  # fmt: skip
    [message] = got["Messages"]
    assert message["MessageAttributes"] == {"size": {"DataType": "Number", "StringValue": "12"}}
