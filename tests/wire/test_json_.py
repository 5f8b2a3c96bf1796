from __future__ import annotations

import contextlib
import zlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doppio.wire.errors import AwsError, UnknownOperation

from .helpers import both, drained, encoded, error, failed, header, request, text


def test_an_empty_body_is_an_empty_input() -> None:
    ours, op = both("sqs", "json", "ListQueues")
    assert ours.decode(op, request(b""), {}) == {}
    assert ours.decode(op, request(b"{}"), {}) == {}


def test_answers_have_the_version_of_the_model() -> None:
    response = encoded("sqs", "json", "SendMessage", {"MessageId": "1", "SequenceNumber": None})
    assert text(response) == '{"MessageId":"1"}'
    assert header(response, "content-type") == "application/x-amz-json-1.0"
    assert header(response, "x-amzn-requestid") == "request-1"
    assert header(encoded("kinesis", "json", "ListStreams", {}), "content-type") == (
        "application/x-amz-json-1.1"
    )


def test_dynamodb_answers_carry_their_checksum() -> None:
    response = encoded("dynamodb", "json", "GetItem", {"Item": {"a": {"B": b"\x00\xff"}}})
    assert text(response) == '{"Item":{"a":{"B":"AP8="}}}'
    assert isinstance(response.body, bytes)
    assert header(response, "x-amz-crc32") == str(zlib.crc32(response.body))


def test_sqs_errors_have_their_full_and_their_old_name() -> None:
    response = failed("sqs", "json", "SendMessage", error("QueueDoesNotExist", "no queue"))
    assert response.status == 400
    assert msgspec.json.decode(text(response)) == {
        "__type": "com.amazonaws.sqs#QueueDoesNotExist",
        "message": "no queue",
    }
    old = "AWS.SimpleQueueService.NonExistentQueue;Sender"
    assert header(response, "x-amzn-query-error") == old


def test_dynamodb_errors_have_its_namespace_and_members() -> None:
    reasons = [{"Code": "None"}, {"Code": "ConditionalCheckFailed", "Message": "no"}]
    response = failed(
        "dynamodb",
        "json",
        "TransactWriteItems",
        error("TransactionCanceledException", "canceled", CancellationReasons=reasons),
    )
    body = msgspec.json.decode(text(response))
    assert body["__type"] == "com.amazonaws.dynamodb.v20120810#TransactionCanceledException"
    assert body["Message"] == "canceled"
    assert body["CancellationReasons"] == reasons
    assert header(response, "x-amzn-query-error") is None


def test_an_unknown_operation_is_corals() -> None:
    response = failed("dynamodb", "json", None, UnknownOperation())
    assert response.status == 400
    assert msgspec.json.decode(text(response)) == {
        "__type": "com.amazon.coral.service#UnknownOperationException"
    }


def test_an_event_stream_begins_with_the_rest_of_the_answer() -> None:
    from botocore.eventstream import EventStreamBuffer

    async def events() -> AsyncIterator[Any]:
        yield {"SubscribeToShardEvent": {"ContinuationSequenceNumber": "7", "Records": []}}
        raise error("ResourceInUseException", "busy")

    response = encoded("kinesis", "json", "SubscribeToShard", {"EventStream": events()})
    assert header(response, "content-type") == "application/vnd.amazon.eventstream"
    buffer = EventStreamBuffer()
    for frame in drained(response.body):
        buffer.add_data(frame)
    first, event, exception = list(buffer)
    assert first.headers[":event-type"] == "initial-response"
    assert event.headers[":event-type"] == "SubscribeToShardEvent"
    assert msgspec.json.decode(event.payload)["ContinuationSequenceNumber"] == "7"
    assert exception.headers[":exception-type"] == "ResourceInUseException"
    assert msgspec.json.decode(exception.payload) == {"message": "busy"}


@given(st.text(max_size=60) | st.binary(max_size=60))
def test_decoding_garbage_raises_only_aws_errors(body: str | bytes) -> None:
    ours, op = both("dynamodb", "json", "PutItem")
    content = body.encode() if isinstance(body, str) else body
    with contextlib.suppress(AwsError):
        assert isinstance(ours.decode(op, request(content), {}), dict)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["Item", "TableName", "S", "B", "L", "M", "x"]), inner)
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_raises_only_aws_errors(tree: object) -> None:
    ours, op = both("dynamodb", "json", "PutItem")
    with contextlib.suppress(AwsError):
        assert isinstance(ours.decode(op, request(msgspec.json.encode(tree)), {}), dict)


@pytest.mark.parametrize("depth", [500, 5_000, 200_000])
def test_deep_nesting_is_refused_or_read_but_never_breaks(depth: int) -> None:
    ours, op = both("dynamodb", "json", "PutItem")
    body = b'{"Item":{"a":' + b'{"L":[' * depth + b"]}" * depth + b"}}"
    with pytest.raises(AwsError):
        ours.decode(op, request(body), {})
