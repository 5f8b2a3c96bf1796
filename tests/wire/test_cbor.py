from __future__ import annotations

import contextlib
import math
from datetime import UTC, datetime
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doppio.wire import cbor
from doppio.wire.errors import AwsError

from .helpers import both, decoded, encoded, error, failed, header, request

TREES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=20,
)


@given(TREES)
def test_another_implementation_writes_what_we_read(tree: Any) -> None:
    assert cbor.loads(cbor2.dumps(tree)) == tree


@given(TREES)
def test_another_implementation_reads_what_we_write(tree: Any) -> None:
    out = bytearray()
    cbor.put_any(out, tree)
    assert cbor2.loads(bytes(out)) == tree


@given(st.binary(max_size=60))
def test_garbage_is_bad_cbor_or_a_value(content: bytes) -> None:
    with contextlib.suppress(ValueError):
        cbor.loads(content)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x81",
        b"\xff",
        b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xa1\x01\x02",
        b"\x7f\x41\x61\xff",
        b"\x00\x00",
        b"\xbf\x61a\xff",
        b"\xc1\xf4",
        b"\x81" * 500 + b"\x00",
        b"\xc1\xfb\x7f\xf0\x00\x00\x00\x00\x00\x00",
        b"\x5b\x7f\xff\xff\xff\xff\xff\xff\xff",
    ],
)
def test_broken_documents_are_refused(content: bytes) -> None:
    with pytest.raises(ValueError):
        cbor.loads(content)


def test_strings_and_maps_of_unknown_length_are_read() -> None:
    assert cbor.loads(bytes.fromhex("bf6161 7f6162 6163 ff ff".replace(" ", ""))) == {"a": "bc"}
    assert cbor.loads(bytes.fromhex("5f41014102ff")) == b"\x01\x02"


def test_half_floats_are_read() -> None:
    assert cbor.loads(b"\xf9\x3c\x00") == 1.0
    assert math.isnan(cbor.loads(b"\xf9\x7e\x00"))


def test_a_metric_is_read_with_its_time() -> None:
    at = datetime(2026, 11, 23, tzinfo=UTC)
    body = cbor2.dumps(
        {
            "Namespace": "Cafe",
            "MetricData": [{"MetricName": "Cups", "Timestamp": at, "Value": 3, "Unknown": [1]}],
            "Nothing": None,
        },
        datetime_as_timestamp=True,
    )
    value = decoded("cloudwatch", "smithy-rpc-v2-cbor", "PutMetricData", body)
    datum = {"MetricName": "Cups", "Timestamp": at, "Value": 3.0}
    assert value == {"Namespace": "Cafe", "MetricData": [datum]}


def test_an_answer_says_its_protocol() -> None:
    response = encoded("cloudwatch", "smithy-rpc-v2-cbor", "DescribeAlarms", {"MetricAlarms": []})
    assert header(response, "smithy-protocol") == "rpc-v2-cbor"
    assert header(response, "content-type") == "application/cbor"
    assert isinstance(response.body, bytes)
    assert cbor2.loads(response.body) == {"MetricAlarms": []}


def test_an_error_has_its_full_name_and_its_old_code() -> None:
    response = failed(
        "cloudwatch",
        "smithy-rpc-v2-cbor",
        "GetDashboard",
        error("ResourceNotFoundException", "none", ResourceType="d"),
    )
    assert response.status == 404
    assert isinstance(response.body, bytes)
    body = cbor2.loads(response.body)
    assert body["__type"].endswith("#ResourceNotFoundException")
    assert body["message"] == "none"
    assert body["ResourceType"] == "d"
    assert header(response, "x-amzn-query-error") == "ResourceNotFoundException;Sender"


@given(st.binary(max_size=100))
def test_decoding_garbage_raises_only_aws_errors(body: bytes) -> None:
    ours, op = both("cloudwatch", "smithy-rpc-v2-cbor", "PutMetricData")
    with contextlib.suppress(AwsError):
        assert isinstance(ours.decode(op, request(body), {}), dict)
