"""SQS's errors have two names: the shape's in JSON, and an older code in the query protocol."""

from __future__ import annotations

import pytest

from doppio.services.sqs import errors
from doppio.wire import faults, model
from doppio.wire.errors import AwsError

OLD = "AWS.SimpleQueueService."


@pytest.mark.parametrize(
    ("error", "query_code", "status"),
    [
        (errors.QueueDoesNotExist(), f"{OLD}NonExistentQueue", 400),
        (errors.QueueNameExists(), "QueueAlreadyExists", 400),
        (errors.QueueDeletedRecently(), f"{OLD}QueueDeletedRecently", 400),
        (errors.PurgeQueueInProgress(), f"{OLD}PurgeQueueInProgress", 403),
        (errors.InvalidParameterValue(), "InvalidParameterValue", 400),
        (errors.MissingParameter(), "MissingParameter", 400),
        (errors.ReceiptHandleIsInvalid(), "ReceiptHandleIsInvalid", 404),
        (errors.MessageNotInflight(), f"{OLD}MessageNotInflight", 400),
        (errors.EmptyBatchRequest(), f"{OLD}EmptyBatchRequest", 400),
        (errors.BatchEntryIdsNotDistinct(), f"{OLD}BatchEntryIdsNotDistinct", 400),
    ],
    ids=lambda value: value.code if isinstance(value, AwsError) else None,
)
def test_both_protocols_say_it_in_their_way(error: AwsError, query_code: str, status: int) -> None:
    sqs = model.load("sqs")
    asked = faults.resolve(sqs, None, error, "query")
    assert (asked.code, asked.status) == (query_code, status)
    answered = faults.resolve(sqs, None, error, "json")
    assert answered.name == error.code
    assert faults.query_error_header(answered) == ("x-amzn-query-error", f"{query_code};Sender")
