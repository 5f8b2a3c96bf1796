from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from doppio.wire import eventstream, model
from doppio.wire.codec import codec
from doppio.wire.errors import SerializationError

from .helpers import Chunks, drained, encoded, error, request


def frame(name: str, payload: bytes) -> bytes:
    return eventstream.encode({":message-type": "event", ":event-type": name}, payload)


def reading(*pieces: bytes) -> Any:
    service = model.load("lexv2-runtime")
    op = service.operations["StartConversation"]
    parts = request()
    parts.body = Chunks(*pieces)
    assert op.event_input is not None
    return codec(service, "rest-json").decode(op, parts, {})[op.event_input]


def test_events_of_a_request_are_read_one_by_one() -> None:
    sent = frame("TextInputEvent", b'{"text":"hi","nothing":1}') + frame("Unknown", b"{}")
    assert drained(reading(sent[:20], sent[20:])) == [{"TextInputEvent": {"text": "hi"}}]


def test_signed_events_are_unwrapped_and_an_empty_one_ends() -> None:
    signed = eventstream.encode(
        {":chunk-signature": b"s"}, frame("TextInputEvent", b'{"text":"hi"}')
    )
    end = eventstream.encode({":chunk-signature": b"s"})
    assert drained(reading(signed + end)) == [{"TextInputEvent": {"text": "hi"}}]


@pytest.mark.parametrize("sent", [b"garbage of some length", frame("TextInputEvent", b"{}")[:-3]])
def test_a_broken_stream_is_a_serialization_error(sent: bytes) -> None:
    with pytest.raises(SerializationError):
        drained(reading(sent))


def test_s3_select_writes_payloads_and_documents() -> None:
    async def events() -> AsyncIterator[Any]:
        yield {"Records": {"Payload": b"a,b\n"}}
        yield {"Stats": {"Details": {"BytesScanned": 4, "BytesReturned": 4}}}
        yield {"End": {}}

    response = encoded("s3", "rest-xml", "SelectObjectContent", {"Payload": events()})
    records, stats, end = eventstream.Decoder().feed(b"".join(drained(response.body)))
    assert (records.payload, records.headers[":event-type"]) == (b"a,b\n", "Records")
    assert stats.headers[":content-type"] == "text/xml"
    assert b"<BytesScanned>4</BytesScanned>" in stats.payload
    assert (end.payload, end.headers[":event-type"]) == (b"", "End")


def test_an_error_without_a_place_in_the_model_still_ends_the_stream() -> None:
    async def events() -> AsyncIterator[Any]:
        raise error("Unforeseen", "so sorry")
        yield {}

    response = encoded("s3", "rest-xml", "SelectObjectContent", {"Payload": events()})
    (message,) = eventstream.Decoder().feed(b"".join(drained(response.body)))
    assert message.headers == {
        ":message-type": "error",
        ":error-code": "Unforeseen",
        ":error-message": "so sorry",
    }
