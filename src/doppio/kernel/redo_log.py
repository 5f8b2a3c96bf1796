"""The redo log: where a commit becomes durable, with one write.

A group of commits is one record, written and synced in a single call. The rows reach the database
a little later and many at a time, where they cost a third of what they would one by one. After a
crash, what the database has not got yet is read back from here.

The log is a few segment files that are used again and again, since overwriting a file syncs faster
than growing one. A record carries its segment's number, so that nothing of an earlier use is taken
for new. Numbers rise by one; the database keeps the number up to which it has everything.
"""

from __future__ import annotations

import contextlib
import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from doppio.kernel.data_folder import sync_folder
from doppio.kernel.store import StoreCorrupt

PREFIX = "redo-"
MAGIC = b"redo"
# A segment that a large transaction has made longer than this is cut when it is used again.
SEGMENT_BYTES_KEPT = 12 * 1024 * 1024
_HEADER = struct.Struct(">4sIIQ")
_NUMBER = struct.Struct(">Q")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[bytes, bytes | None]).decode
# One call that writes and syncs (Linux): a thread that comes back from each call must win the
# interpreter lock, so one is better than two.
_WRITE_AND_SYNC: int = getattr(os, "RWF_DSYNC", 0)


def _check(payload: bytes, number: int) -> int:
    return zlib.crc32(payload, zlib.crc32(_NUMBER.pack(number)))


def _goes_on(content: bytes, at: int, applied: int) -> bool:
    """Whether a whole record that the database has not got lies somewhere after that byte.

    What an earlier use of the file has left there is in the database.
    """
    while 0 <= (at := content.find(MAGIC, at)) <= len(content) - _HEADER.size:
        _, length, check, number = _HEADER.unpack_from(content, at)
        end = at + _HEADER.size + length
        # The check reads what may be much: only where the number is one that counts.
        whole = number > applied and end <= len(content)
        if whole and _check(content[at + _HEADER.size : end], number) == check:
            return True
        at += 1
    return False


class Segment:
    """One file of the log."""

    __slots__ = ("_file", "number", "path", "size")

    def __init__(self, path: Path, number: int = 0) -> None:
        self.path = path
        self.number = number
        self.size = 0
        # Removed by a clean stop; after a crash, read and used again.
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def write(self, payload: bytes, sync: bool) -> None:
        """Add a record. Raises OSError with nothing added."""
        number = self.number
        parts = [_HEADER.pack(MAGIC, len(payload), _check(payload, number), number), payload]
        wanted = _HEADER.size + len(payload)
        try:
            written = os.pwritev(self._file, parts, self.size, _WRITE_AND_SYNC if sync else 0)
            if written < wanted:
                # A full disk ends a write early; asking for the rest tells why.
                rest = b"".join(parts)
                while written < wanted:
                    written += os.pwrite(self._file, rest[written:], self.size + written)
                if sync:
                    os.fsync(self._file)
            elif sync and not _WRITE_AND_SYNC:
                os.fsync(self._file)
        except OSError:
            self._spoil()
            raise
        self.size += wanted

    def _spoil(self) -> None:
        """Make sure that a record whose commits were told of a failure is never read back."""
        # Where this cannot be written either, the record is not whole and its check says so.
        with contextlib.suppress(OSError):
            os.pwrite(self._file, bytes(_HEADER.size), self.size)

    def read(self, applied: int) -> list[dict[bytes, bytes | None]]:
        """The whole records; `number` becomes theirs, or 0 where there are none.

        A crash may tear the last record, which was never acknowledged. Raises StoreCorrupt where
        one follows what cannot be read: what lay there was acknowledged.
        """
        content = self.path.read_bytes()
        records: list[dict[bytes, bytes | None]] = []
        at = 0
        self.number = 0
        while at + _HEADER.size <= len(content):
            magic, length, check, number = _HEADER.unpack_from(content, at)
            end = at + _HEADER.size + length
            if magic != MAGIC or end > len(content) or (records and number != self.number):
                break
            payload = content[at + _HEADER.size : end]
            if _check(payload, number) != check:
                break
            self.number = number
            records.append(_decode(payload))
            at = end
        if _goes_on(content, at, applied):
            raise StoreCorrupt(
                f"{self.path} is damaged at byte {at}: acknowledged writes would be lost. Restore "
                "the folder from a copy, or move it away and start with an empty one"
            )
        return records

    def shorten(self) -> None:
        """Give back the space of an unusually large use."""
        if self.size > SEGMENT_BYTES_KEPT:
            os.ftruncate(self._file, SEGMENT_BYTES_KEPT)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)


class RedoLog:
    """The segments in a folder: one is written to, others wait for the database or for their turn.

    `applied` is the number up to which the database has everything.
    """

    def __init__(self, folder: Path, applied: int, *, sync: bool) -> None:
        self._folder = folder
        self._sync = sync
        self._segments: list[Segment] = []
        self._free: list[Segment] = []
        self._names = 0
        self.recovered: dict[bytes, bytes | None] = {}
        self.recovered_segments = self._recover(applied)
        self._number = applied + len(self.recovered_segments)
        self._fresh = False
        self._active = self._next()

    def _recover(self, applied: int) -> list[Segment]:
        found: list[tuple[int, Segment, list[dict[bytes, bytes | None]]]] = []
        for path in sorted(self._folder.glob(PREFIX + "*")):
            segment = Segment(path)
            self._segments.append(segment)
            self._names = max(self._names, int(path.name[len(PREFIX) :]))
            records = segment.read(applied)
            if segment.number > applied:
                found.append((segment.number, segment, records))
            else:
                self._free.append(segment)
        found.sort(key=lambda one: one[0])
        for place, (number, _, records) in enumerate(found, 1):
            if number != applied + place:
                raise StoreCorrupt(
                    f"{self._folder} lacks part {applied + place} of its redo log, though part "
                    f"{number} is there: acknowledged writes would be lost. Restore the folder "
                    "from a copy, or move it away and start with an empty one"
                )
            for record in records:
                self.recovered.update(record)
        return [segment for _, segment, _ in found]

    @property
    def number(self) -> int:
        """The number of the segment that is written to."""
        return self._number

    def encode(self, rows: Mapping[bytes, bytes | None]) -> bytes:
        """A record of these rows."""
        return _encode(rows)

    def write(self, record: bytes) -> None:
        """Make a record durable; blocks. Raises OSError with nothing of it kept."""
        if self._fresh:
            if self._sync:
                sync_folder(self._folder)
            self._fresh = False
        self._active.write(record, self._sync)

    def turn(self) -> Segment:
        """Go on in another segment; returns the one that was written to, to be `release`d.

        Nothing may be under way in `write`.
        """
        used = self._active
        self._active = self._next()
        return used

    def release(self, segments: list[Segment]) -> None:
        """The database has everything in these durably: they may be used again."""
        for segment in segments:
            segment.shorten()
        self._free += segments

    def close(self, *, remove: bool) -> None:
        """Let go of the files; remove them if the database has everything."""
        for segment in self._segments:
            segment.close()
            if remove:
                segment.path.unlink()

    def _next(self) -> Segment:
        self._number += 1
        if self._free:
            segment = self._free.pop()
        else:
            self._names += 1
            segment = Segment(self._folder / f"{PREFIX}{self._names}")
            self._segments.append(segment)
            self._fresh = True
        segment.number = self._number
        segment.size = 0
        return segment
