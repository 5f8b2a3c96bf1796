from __future__ import annotations

import contextlib

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from doppio.wire.errors import AccessDenied, AwsError

from .helpers import (
    both,
    decoded,
    drained,
    encoded,
    error,
    failed,
    header,
    request,
    text,
)


def test_path_header_and_body_come_together() -> None:
    ours, op = both("lambda", "rest-json", "Invoke")
    parts = request(b"{}", headers={"x-amz-invocation-type": "Event"}, query="Qualifier=live")
    value = ours.decode(op, parts, {"FunctionName": "f"})
    assert value == {
        "FunctionName": "f",
        "InvocationType": "Event",
        "Qualifier": "live",
        "Payload": b"{}",
    }


def test_a_body_holds_the_other_members() -> None:
    ours, op = both("lambda", "rest-json", "UpdateFunctionCode")
    value = ours.decode(
        op, request(b'{"ZipFile":"AP8=","FunctionName":"x"}'), {"FunctionName": "f"}
    )
    assert value == {"FunctionName": "f", "ZipFile": b"\x00\xff"}


def test_lists_in_a_query_are_repeated() -> None:
    value = decoded("lambda", "rest-json", "UntagResource", b"", query="tagKeys=a&tagKeys=b%2Cc")
    assert value == {"TagKeys": ["a", "b,c"]}


def test_answers_are_json_or_nothing() -> None:
    response = encoded("lambda", "rest-json", "GetFunction", {"Tags": {"a": "b"}, "Code": None})
    assert (text(response), header(response, "content-type")) == (
        '{"Tags":{"a":"b"}}',
        "application/json",
    )
    gone = encoded("lambda", "rest-json", "DeleteAlias", {})
    assert (gone.status, gone.body) == (204, b"")


def test_errors_are_named_in_a_header() -> None:
    response = failed(
        "lambda",
        "rest-json",
        "GetFunction",
        error("ResourceNotFoundException", "Function not found", Type="User"),
    )
    assert response.status == 404
    assert header(response, "x-amzn-errortype") == "ResourceNotFoundException"
    assert msgspec.json.decode(text(response)) == {"Type": "User", "Message": "Function not found"}


def test_members_of_an_error_may_be_headers() -> None:
    response = failed(
        "lambda",
        "rest-json",
        "Invoke",
        error(
            "TooManyRequestsException",
            "slow",
            retryAfterSeconds="5",
            Reason="CallerRateLimitExceeded",
        ),
    )
    assert (response.status, header(response, "retry-after")) == (429, "5")
    assert msgspec.json.decode(text(response)) == {
        "Reason": "CallerRateLimitExceeded",
        "message": "slow",
    }


def test_a_shared_error_keeps_its_status() -> None:
    response = failed("lambda", "rest-json", None, AccessDenied("no"))
    assert response.status == 403
    assert header(response, "x-amzn-errortype") == "AccessDeniedException"


def test_lambda_streams_its_response_as_events() -> None:
    from collections.abc import AsyncIterator
    from typing import Any

    from doppio.wire.eventstream import Decoder

    async def events() -> AsyncIterator[Any]:
        yield {"PayloadChunk": {"Payload": b"abc"}}
        yield {"InvokeComplete": {"ErrorCode": None, "LogResult": "log"}}

    response = encoded(
        "lambda",
        "rest-json",
        "InvokeWithResponseStream",
        {"StatusCode": 200, "EventStream": events()},
    )
    messages = Decoder().feed(b"".join(drained(response.body)))
    assert [message.headers[":event-type"] for message in messages] == [
        "PayloadChunk",
        "InvokeComplete",
    ]
    assert messages[0].payload == b"abc"
    assert messages[0].headers[":content-type"] == "application/octet-stream"
    assert msgspec.json.decode(messages[1].payload) == {"LogResult": "log"}


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_decoding_garbage_raises_only_aws_errors(body: bytes) -> None:
    ours, op = both("lambda", "rest-json", "CreateFunction")
    with contextlib.suppress(AwsError):
        assert isinstance(ours.decode(op, request(body), {}), dict)
