"""Sealed bytes: any range of any body comes back, and nothing that was touched does."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doppio.services.s3.sealing import (
    SEGMENT_BYTES,
    Damaged,
    Opener,
    Sealer,
    opened_whole,
    sealed_whole,
    unwrap,
    wrap,
)

ONE = (bytes(range(32)),)
TWO = (bytes(range(32)), bytes(range(32, 64)))
SIZES = st.sampled_from(
    [1, 100, SEGMENT_BYTES - 1, SEGMENT_BYTES, SEGMENT_BYTES + 1, 3 * SEGMENT_BYTES + 7]
)


def sealed(keys: tuple[bytes, ...], body: bytes, chunk: int, name: str = "blob") -> bytes:
    """A body as its file holds it."""
    sealer = Sealer(keys, name)
    parts = [
        part
        for at in range(0, len(body), chunk)
        for part in sealer.feed([memoryview(body)[at : at + chunk]])
    ]
    return b"".join([*parts, sealer.finish()])


@settings(max_examples=60, deadline=None)
@given(
    keys=st.sampled_from([ONE, TWO]), size=SIZES, chunk=st.integers(1_000, 200_000), data=st.data()
)
def test_every_range_comes_back_from_its_segments_alone(
    keys: tuple[bytes, ...], size: int, chunk: int, data: st.DataObject
) -> None:
    body = bytes(at * 31 % 251 for at in range(size))
    file = sealed(keys, body, chunk)
    offset = data.draw(st.integers(0, size - 1))
    length = data.draw(st.integers(1, size - offset))
    opener = Opener(keys, "blob", size)
    start, count = opener.place(offset, length)
    assert count <= length + 2 * SEGMENT_BYTES + 64 * (length // SEGMENT_BYTES + 2)
    assert (
        opener.open(file[start : start + count], offset, length) == body[offset : offset + length]
    )


def test_no_plain_byte_is_in_the_file() -> None:
    assert b"secret" not in sealed(ONE, b"a secret recipe" * 100, 1000)


def test_what_was_touched_or_moved_is_not_opened() -> None:
    body = b"x" * (2 * SEGMENT_BYTES)
    file = bytearray(sealed(ONE, body, 70_000))
    step = SEGMENT_BYTES + 16
    swapped = bytes(file[step:] + file[:step])
    with pytest.raises(Damaged):
        Opener(ONE, "blob", len(body)).open(swapped, 0, len(body))
    file[5] ^= 1
    with pytest.raises(Damaged):
        Opener(ONE, "blob", len(body)).open(bytes(file), 0, len(body))


def test_another_file_of_the_same_object_has_another_key() -> None:
    file = sealed(ONE, b"part", 10, "part-one")
    assert file != sealed(ONE, b"part", 10, "part-two")
    with pytest.raises(Damaged):
        Opener(ONE, "part-two", 4).open(file, 0, 4)


def test_a_small_body_is_sealed_in_its_row() -> None:
    kept = sealed_whole(TWO, b"small")
    assert kept != b"small"
    assert opened_whole(TWO, kept, 5) == b"small"
    assert opened_whole(TWO, sealed_whole(TWO, b""), 0) == b""


def test_a_data_key_is_wrapped_under_another() -> None:
    wrapped = wrap(ONE[0], b"n" * 12, TWO[1])
    assert TWO[1] not in wrapped
    assert unwrap(ONE[0], wrapped) == TWO[1]
    with pytest.raises(Damaged):
        unwrap(TWO[1], wrapped)
