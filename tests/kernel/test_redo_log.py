"""The redo log: what was written is read back, what was not whole is not."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from doppio.kernel.redo_log import SEGMENT_BYTES_KEPT, RedoLog
from doppio.kernel.store import StoreCorrupt

Row = dict[bytes, bytes | None]


def write(log: RedoLog, rows: Row) -> None:
    log.write(log.encode(rows))


def recovered(folder: Path, applied: int = 0) -> Row:
    log = RedoLog(folder, applied, sync=True)
    log.close(remove=False)
    return log.recovered


def test_records_are_read_back_in_their_order(tmp_path: Path) -> None:
    log = RedoLog(tmp_path, 0, sync=True)
    write(log, {b"a": b"1", b"b": None})
    write(log, {b"a": b"2", b"c": b""})
    log.turn()
    write(log, {b"c": None})
    log.close(remove=False)
    assert recovered(tmp_path) == {b"a": b"2", b"b": None, b"c": None}


def test_what_the_database_has_is_not_read_again(tmp_path: Path) -> None:
    log = RedoLog(tmp_path, 0, sync=True)
    write(log, {b"old": b"1"})
    first = log.number
    used = log.turn()
    write(log, {b"new": b"1"})
    log.close(remove=False)
    assert used.number == first
    assert recovered(tmp_path, applied=first) == {b"new": b"1"}
    assert recovered(tmp_path, applied=first + 1) == {}


def test_segments_are_used_again_and_what_they_held_is_never_taken_for_new(tmp_path: Path) -> None:
    log = RedoLog(tmp_path, 0, sync=True)
    for number in range(1, 20):
        write(log, {b"k": b"%d" % number, b"long": b"x" * 500 * (number % 3)})
        write(log, {b"tail/%d" % number: b"1"})
        applied = log.number
        log.release([log.turn()])
        write(log, {b"k": b"after %d" % number})
        assert recovered_beside(log, tmp_path, applied) == {b"k": b"after %d" % number}
        log.release([log.turn()])
    assert len(list(tmp_path.iterdir())) <= 3
    log.close(remove=True)
    assert list(tmp_path.iterdir()) == []


def recovered_beside(log: RedoLog, folder: Path, applied: int) -> Row:
    """What a start would find now; a copy, as opening would make one more segment."""
    copy = folder.parent / f"{folder.name}-copy-{applied}"
    copy.mkdir()
    for path in folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    return recovered(copy, applied)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_record_that_was_torn_is_left_out_with_nothing_before_it(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("redo")
    log = RedoLog(folder, 0, sync=False)
    ends = [0]
    for number in range(4):
        write(log, {b"k%d" % number: b"v" * data.draw(st.integers(0, 40))})
        ends.append(log._active.size)
    path = log._active.path
    log.close(remove=False)
    cut = data.draw(st.integers(0, ends[-1]))
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        path.write_bytes(content[:cut])
        whole = sum(end <= cut for end in ends[1:])
    else:
        # Of the last record: nobody can tell it from one that a crash has torn.
        cut = data.draw(st.integers(ends[-2], ends[-1] - 1))
        content[cut] ^= 1 << data.draw(st.integers(0, 7))
        path.write_bytes(content)
        whole = sum(end <= cut for end in ends[1:])
    assert list(recovered(folder)) == [b"k%d" % number for number in range(whole)]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(byte=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_damage_before_the_last_record_is_refused_and_never_read_over(
    tmp_path: Path, byte: int, bit: int
) -> None:
    log = RedoLog(tmp_path, 0, sync=False)
    for number in range(8):
        write(log, {b"old%d" % number: b"x" * 300})
    log.release([log.turn()])
    applied = log.number - 1
    for number in range(3):
        write(log, {b"%d" % number: b"redo" * 20})
    path, end = log._active.path, log._active.size
    log.close(remove=False)
    last = end // 3 * 2
    content = bytearray(path.read_bytes())
    place = byte % end
    content[place] ^= 1 << bit
    path.write_bytes(content)
    try:
        if place < last:
            with pytest.raises(StoreCorrupt, match=r"is damaged at byte .* Restore the folder"):
                recovered(tmp_path, applied)
        else:
            assert set(recovered(tmp_path, applied)) == {b"0", b"1"}
        assert path.read_bytes() == bytes(content)
    finally:
        path.unlink()


def test_a_missing_segment_is_refused(tmp_path: Path) -> None:
    log = RedoLog(tmp_path, 0, sync=True)
    write(log, {b"a": b"1"})
    lost = log.turn().path
    write(log, {b"b": b"1"})
    log.close(remove=False)
    lost.unlink()
    with pytest.raises(StoreCorrupt, match="part 1 of its redo log"):
        RedoLog(tmp_path, 0, sync=True)


def test_a_record_that_failed_is_not_read_back_even_if_it_was_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = RedoLog(tmp_path, 0, sync=True)
    write(log, {b"kept": b"1"})
    real = os.pwritev

    def fail(file: int, parts: list[bytes], at: int, flags: int = 0) -> int:
        real(file, parts, at, flags)
        raise OSError(errno.EIO, "the sync failed")

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwritev", fail)
        with pytest.raises(OSError, match="sync failed"):
            write(log, {b"refused": b"1" * 300})
    assert recovered_beside(log, tmp_path, 0) == {b"kept": b"1"}
    write(log, {b"next": b"1"})
    log.close(remove=False)
    assert recovered(tmp_path) == {b"kept": b"1", b"next": b"1"}


def test_an_early_end_of_a_write_is_continued_or_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = RedoLog(tmp_path, 0, sync=True)
    real = os.pwritev

    def half(file: int, parts: list[bytes], at: int, flags: int = 0) -> int:
        return real(file, [b"".join(parts)[:30]], at, flags)

    monkeypatch.setattr(os, "pwritev", half)
    write(log, {b"a": b"1" * 300})
    assert recovered_beside(log, tmp_path, 0) == {b"a": b"1" * 300}
    real_pwrite = os.pwrite
    full = [True]

    def no_space(file: int, content: bytes, at: int) -> int:
        if full[0]:
            full[0] = False
            raise OSError(errno.ENOSPC, "no space")
        return real_pwrite(file, content, at)

    monkeypatch.setattr(os, "pwrite", no_space)
    with pytest.raises(OSError, match="no space"):
        write(log, {b"b": b"1" * 300})
    write(log, {b"c": b"1"})
    log.close(remove=False)
    assert recovered(tmp_path) == {b"a": b"1" * 300, b"c": b"1"}


def test_the_space_of_a_large_transaction_is_given_back(tmp_path: Path) -> None:
    log = RedoLog(tmp_path, 0, sync=False)
    write(log, {b"large": b"x" * (SEGMENT_BYTES_KEPT + 1_000_000)})
    used = log.turn()
    log.release([used])
    assert used.path.stat().st_size == SEGMENT_BYTES_KEPT
    log.close(remove=True)
