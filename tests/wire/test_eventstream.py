from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from doppio.wire import eventstream

VALUES = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
    | st.binary(max_size=50)
    | st.uuids()
    | st.datetimes(datetime.fromisoformat("1971-01-01"), datetime.fromisoformat("2100-01-01")).map(
        lambda at: at.replace(microsecond=0, tzinfo=UTC)
    )
)
HEADERS = st.dictionaries(st.text("abc:-", min_size=1, max_size=20), VALUES, max_size=5)


@given(HEADERS, st.binary(max_size=200))
def test_messages_come_back(headers: dict[str, Any], payload: bytes) -> None:
    decoder = eventstream.Decoder()
    (message,) = decoder.feed(eventstream.encode(headers, payload))
    assert message == (headers, payload)
    assert decoder.pending_bytes == 0


@given(st.lists(st.binary(max_size=60), max_size=4), st.integers(1, 50))
def test_messages_may_come_in_any_pieces(payloads: list[bytes], size: int) -> None:
    sent = b"".join(eventstream.encode({":event-type": "x"}, payload) for payload in payloads)
    decoder = eventstream.Decoder()
    got = []
    for at in range(0, len(sent), size):
        got += decoder.feed(sent[at : at + size])
    assert [message.payload for message in got] == payloads


def test_botocore_reads_what_we_write() -> None:
    identity = UUID(int=5)
    headers: dict[str, Any] = {
        "a": "text",
        "b": 7,
        "c": True,
        "d": b"raw",
        "e": identity,
        "f": 2**40,
    }
    buffer = EventStreamBuffer()
    buffer.add_data(eventstream.encode(headers, b"payload"))
    (message,) = list(buffer)
    assert message.payload == b"payload"
    expected = {**headers, "e": identity.bytes}
    assert message.headers == expected


@given(st.binary(max_size=100))
def test_garbage_is_a_bad_frame_or_waits_for_more(content: bytes) -> None:
    with contextlib.suppress(eventstream.BadFrame):
        eventstream.Decoder().feed(content)


@given(st.integers(0, 60), st.integers(1, 255))
def test_a_flipped_byte_is_noticed(at: int, mask: int) -> None:
    message = bytearray(eventstream.encode({":event-type": "x"}, b"some payload of it"))
    message[at % len(message)] ^= mask
    with pytest.raises(eventstream.BadFrame):
        eventstream.Decoder().feed(bytes(message))


def test_lengths_out_of_bounds_are_refused_before_the_bytes_come() -> None:
    import struct
    import zlib

    lengths = struct.pack(">II", eventstream.MESSAGE_BYTES_MAX + 1, 0)
    with pytest.raises(eventstream.BadFrame):
        eventstream.Decoder().feed(lengths + struct.pack(">I", zlib.crc32(lengths)))
