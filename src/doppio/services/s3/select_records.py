"""From an object's bytes to records, one a line, as the engine reads them.

Works on what has come so far: nothing is held but the record that is not complete. What is searched
and replaced here is done by Python's own C code, for megabytes at a time.
"""

from __future__ import annotations

import bz2
import codecs
import csv
import json
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

from doppio.services.s3.limits import MIB
from doppio.services.s3.select_errors import SelectRefused
from doppio.services.s3.select_forms import CsvForm, Input
from doppio.services.s3.select_plan import CSV

RECORD_BYTES_MAX = MIB
# A JSON document is one record, which may hold many; AWS's bound is for each of those.
DOCUMENT_BYTES_MAX = 64 * MIB
# Stands for a newline within a record, where records end otherwise.
NEWLINE = "\x1e"
_INFLATED_BYTES = 4 * MIB


class _Inflates(Protocol):
    def feed(self, data: bytes) -> Iterator[bytes]: ...
    def finish(self) -> None: ...


class _Plain:
    def feed(self, data: bytes) -> Iterator[bytes]:
        yield data

    def finish(self) -> None:
        return


class Gzip:
    """Gunzips, in pieces that bound memory; a file may have several members."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(31)
        self._begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What `data` unfolds to."""
        full = False
        while data or full:
            if self._member.eof:
                data = data.lstrip(b"\0")
                if not data:
                    return
                self._member = zlib.decompressobj(31)
            self._begun = True
            try:
                found = self._member.decompress(data, _INFLATED_BYTES)
            except zlib.error as error:
                raise SelectRefused("TruncatedInput") from error
            yield found
            full = len(found) == _INFLATED_BYTES and not self._member.eof
            data = self._member.unused_data if self._member.eof else self._member.unconsumed_tail

    def finish(self) -> None:
        """Raise TruncatedInput where the file ends within a member."""
        if self._begun and not self._member.eof:
            raise SelectRefused("TruncatedInput")


class Bzip2:
    """The same for BZIP2."""

    def __init__(self) -> None:
        self._member = bz2.BZ2Decompressor()
        self._begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What `data` unfolds to."""
        while data or not (self._member.needs_input or self._member.eof):
            if self._member.eof:
                self._member = bz2.BZ2Decompressor()
            self._begun = True
            try:
                found = self._member.decompress(data, _INFLATED_BYTES)
            except OSError as error:
                raise SelectRefused("TruncatedInput") from error
            yield found
            data = self._member.unused_data if self._member.eof else b""

    def finish(self) -> None:
        """Raise TruncatedInput where the file ends within a member."""
        if self._begun and not self._member.eof:
            raise SelectRefused("TruncatedInput")


def inflater(compression: str) -> _Inflates:
    """What undoes a compression."""
    kinds: dict[str, Callable[[], _Inflates]] = {"NONE": _Plain, "GZIP": Gzip, "BZIP2": Bzip2}
    return kinds[compression]()


class Records:
    """Records of an object: bytes in as they lie there, lines out for the engine.

    `skips`: the first record is a header. `begins`: the offset of the first byte that is fed, where
    only records that begin in a range are wanted.
    """

    def __init__(self, form: Input, *, skips: bool = False, begins: int = 0) -> None:
        self._inflates = inflater(form.compression)
        self._delimiter = form.csv.record.encode() if form.format == CSV else b"\n"
        self._swaps = self._delimiter not in {b"\n", b"\r\n"}
        self._comment = (
            re.compile(
                rb"^" + re.escape(form.csv.comments.encode()) + rb"[^\n]*(\n|\Z)", re.MULTILINE
            )
            if form.format == CSV
            else None
        )
        self._document = form.document
        self._held = b""
        self._at = max(begins - len(self._delimiter), 0)
        self._skips = skips
        # A range begins within a record that is another's, or behind the end of one.
        self._within = begins > 0
        self._end = form.end if form.start is not None else None
        self._first = begins == 0
        self.processed = 0
        self.is_over = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Whole records, in pieces; raises SelectRefused."""
        for piece in self._inflates.feed(data):
            self.processed += len(piece)
            self._held += piece
            if self._document:
                if len(self._held) > DOCUMENT_BYTES_MAX:
                    raise SelectRefused("OverMaxRecordSize")
                continue
            ready = self._lines()
            if ready:
                yield ready
            if self.is_over:
                return

    def finish(self) -> Iterator[bytes]:
        """What is left: a last record without an end."""
        if self.is_over:
            return
        self._inflates.finish()
        if self._document:
            yield self._documents()
            return
        rest, self._held = self._held, b""
        self._check_length(len(rest))
        wanted = self._end is None or self._at <= self._end
        if rest and wanted and not self._within and not self._skips:
            yield self._engine_lines(rest)

    def _lines(self) -> bytes:
        if not self._passed():
            return b""
        held, delimiter = self._held, self._delimiter
        end = held.rfind(delimiter)
        if self._end is not None:
            if self._at > self._end:
                self.is_over = True
                return b""
            last = held.find(delimiter, max(self._end - self._at - len(delimiter) + 1, 0))
            if last >= 0:
                end, self.is_over = last, True
        if end < 0:
            self._check_length(len(held))
            return b""
        end += len(delimiter)
        ready, self._held = held[:end], held[end:]
        self._check_length(len(self._held))
        self._at += end
        return self._engine_lines(ready)

    def _passed(self) -> bool:
        """Whether what comes before the first record that is wanted has been dropped."""
        if self._first and self._held:
            self._held = self._held.removeprefix(codecs.BOM_UTF8)
            self._first = False
        while self._within or self._skips:
            at = self._held.find(self._delimiter)
            if at < 0:
                self._check_length(len(self._held))
                return False
            at += len(self._delimiter)
            dropped, self._held = self._held[:at], self._held[at:]
            self._at += at
            if self._within:
                self._within = False
            elif self._comment is None or self._comment.match(dropped) is None:
                # A comment is no header.
                self._skips = False
        return True

    def _check_length(self, length: int) -> None:
        if length > RECORD_BYTES_MAX:
            raise SelectRefused("OverMaxRecordSize")

    def _engine_lines(self, ready: bytes) -> bytes:
        try:
            ready.decode()
        except UnicodeDecodeError as error:
            raise SelectRefused("InvalidTextEncoding") from error
        if self._swaps:
            ready = ready.replace(b"\n", NEWLINE.encode()).replace(self._delimiter, b"\n")
        elif b"\r\n" in ready:
            ready = ready.replace(b"\r\n", b"\n")
        if self._comment is not None and self._comment.search(ready):
            ready = self._comment.sub(b"", ready)
        return ready

    def _documents(self) -> bytes:
        """All JSON values, each on a line. Between tokens a newline is a blank, and within a string
        there is none."""
        try:
            text = self._held.removeprefix(codecs.BOM_UTF8).decode()
        except UnicodeDecodeError as error:
            raise SelectRefused("InvalidTextEncoding") from error
        self._held = b""
        decoder = json.JSONDecoder()
        found: list[str] = []
        at = _skip(text, 0)
        while at < len(text):
            try:
                _, end = decoder.raw_decode(text, at)
            except (ValueError, RecursionError) as error:
                raise SelectRefused("JSONParsingError") from error
            found.append(text[at:end].replace("\n", " ").replace("\r", " ") + "\n")
            at = _skip(text, end)
        return "".join(found).encode()


_BLANK = re.compile(r"[ \t\r\n]*")


def _skip(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    assert match is not None, "nothing is a match too"
    return match.end()


def first_record(data: bytes, form: CsvForm) -> list[str] | None:
    """The fields of a file's first record; None where more of it is needed."""
    delimiter = form.record.encode()
    data = data.removeprefix(codecs.BOM_UTF8)
    while True:
        at = data.find(delimiter)
        if at < 0:
            return None
        if not data.startswith(form.comments.encode()):
            return fields_of(data[:at], form)
        data = data[at + len(delimiter) :]


def fields_of(record: bytes, form: CsvForm) -> list[str]:
    """The fields of one record."""
    try:
        text = record.decode().removesuffix("\r")
    except UnicodeDecodeError as error:
        raise SelectRefused("InvalidTextEncoding") from error
    doubled = form.escape == form.quote
    escape = None if doubled else form.escape
    reader = csv.reader(
        [text],
        delimiter=form.field,
        quotechar=form.quote,
        doublequote=doubled,
        escapechar=escape,
    )
    try:
        return next(reader, [""])
    except csv.Error as error:
        raise SelectRefused("CSVParsingError") from error
