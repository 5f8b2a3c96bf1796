from __future__ import annotations

import gzip
import zlib

import pytest

from doppio.wire.compression import INFLATED_BYTES_MAX, inflated
from doppio.wire.errors import SerializationError

from .helpers import decoded, request

GZIP = {"content-encoding": "gzip"}
FORM = b"Action=PutMetricData&Namespace=Cafe&MetricData.member.1.MetricName=Cups"


def test_a_compressed_metric_is_read() -> None:
    value = decoded("cloudwatch", "query", "PutMetricData", gzip.compress(FORM), headers=GZIP)
    assert value == {"Namespace": "Cafe", "MetricData": [{"MetricName": "Cups"}]}
    assert decoded("cloudwatch", "query", "PutMetricData", FORM) == value


def test_only_the_last_encoding_counts() -> None:
    headers = {"content-encoding": "custom, gzip"}
    assert inflated(request(gzip.compress(b"x"), headers=headers)) == b"x"
    assert inflated(request(b"x", headers={"content-encoding": "custom"})) == b"x"


@pytest.mark.parametrize(
    "body",
    [b"", b"x", gzip.compress(b"hello", mtime=0)[:-9], zlib.compress(b"x")],
    ids=["empty", "a letter", "cut off", "zlib"],
)
def test_what_is_not_gzip_is_refused(body: bytes) -> None:
    with pytest.raises(SerializationError):
        inflated(request(body, headers=GZIP))


def test_a_bomb_does_not_go_off() -> None:
    bomb = gzip.compress(bytes(INFLATED_BYTES_MAX + 1), 9)
    with pytest.raises(SerializationError):
        inflated(request(bomb, headers=GZIP))
