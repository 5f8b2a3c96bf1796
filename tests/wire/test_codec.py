from __future__ import annotations

import pytest

from doppio.wire import model
from doppio.wire.codec import codec

PROTOCOLS = ["query", "ec2", "json", "rest-json", "rest-xml", "smithy-rpc-v2-cbor"]


def test_a_codec_is_made_once() -> None:
    sqs = model.load("sqs")
    assert codec(sqs, "json") is codec(sqs, "json")
    assert codec(sqs, "json") is not codec(sqs, "query")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_codec_knows_its_protocol(protocol: str) -> None:
    assert codec(model.load("cloudwatch"), protocol).protocol == protocol


def test_there_is_no_other_protocol() -> None:
    with pytest.raises(KeyError):
        codec(model.load("sqs"), "soap")


def test_every_protocol_of_every_model_has_a_codec() -> None:
    spoken = {protocol for name in model.available() for protocol in model.load(name).protocols}
    assert spoken <= set(PROTOCOLS)
