from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import msgspec

from doppio.wire import model
from doppio.wire.json_write import JsonWriter, body_writer, dumps


def written(service: str, shape: str, value: dict[str, Any]) -> Any:
    write = body_writer(JsonWriter(), model.load(service).shape(shape))
    return msgspec.json.decode(write(value))


def test_none_is_left_out_however_deep() -> None:
    value = {"Item": {"a": {"S": "x", "N": None}, "b": None}, "ConsumedCapacity": None}
    assert written("dynamodb", "GetItemOutput", value) == {"Item": {"a": {"S": "x"}}}


def test_the_word_null_in_a_text_changes_nothing() -> None:
    value = {"Item": {"a": {"S": "null"}, "b": {"NULL": True}}}
    assert written("dynamodb", "GetItemOutput", value) == value


def test_timestamps_are_seconds_unless_the_model_says_otherwise() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, 600_000, tzinfo=UTC)
    table = {"Table": {"CreationDateTime": at}}
    assert written("dynamodb", "DescribeTableOutput", table) == {
        "Table": {"CreationDateTime": 1767323045.6}
    }
    lambda_ = {"FunctionArn": "a", "LastModified": "x"}
    assert written("lambda", "FunctionConfiguration", lambda_) == lambda_
    usage = written("apigateway", "ApiKey", {"createdDate": at.replace(microsecond=0)})
    assert usage == {"createdDate": 1767323045}


def test_special_floats_are_words() -> None:
    value = {"MetricDataResults": [{"Values": [1.5, math.nan, math.inf, -math.inf]}]}
    assert written("cloudwatch", "GetMetricDataOutput", value) == {
        "MetricDataResults": [{"Values": [1.5, "NaN", "Infinity", "-Infinity"]}]
    }


def test_blobs_are_base64() -> None:
    assert dumps({"a": b"\x00\xff", "b": memoryview(b"x")}) == b'{"a":"AP8=","b":"eA=="}'
