"""What an import reads: objects, unpacked, line by line, and the items of their lines."""

from __future__ import annotations

import binascii
import csv
import importlib.util
import zlib
from base64 import b64decode
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from doppio.services.dynamodb import ion
from doppio.services.dynamodb.errors import ValidationException
from doppio.services.dynamodb.item_lines import item_of
from doppio.services.dynamodb.limits import IMPORT_LINE_BYTES_MAX
from doppio.services.dynamodb.values import Item
from doppio.wire.errors import NotImplementedByDoppio

_GZIP = 31
_UNPACKED_BYTES = 262_144
_FED_BYTES = 16_384


class BadObject(Exception):
    """An object that is not what the import says; the text says why."""


def check_compression(kind: str) -> None:
    """Raise NotImplementedByDoppio for a compression that cannot be read here."""
    if kind == "ZSTD" and importlib.util.find_spec("zstandard") is None:
        raise NotImplementedByDoppio(
            "dynamodb: reading ZSTD needs the package zstandard (the extra `zstd`)"
        )


async def unpacked(parts: AsyncIterator[bytes], kind: str) -> AsyncIterator[bytes]:
    """The content of an object, in pieces that do not grow with it. Raises BadObject."""
    if kind == "NONE":
        async for part in parts:
            yield part
    elif kind == "GZIP":
        async for part in _gunzipped(parts):
            yield part
    else:
        import zstandard

        opener = zstandard.ZstdDecompressor().decompressobj(read_across_frames=True)
        async for part in parts:
            for at in range(0, len(part), _FED_BYTES):
                try:
                    yield opener.decompress(part[at : at + _FED_BYTES])
                except zstandard.ZstdError as error:
                    raise BadObject(f"The object is not ZSTD: {error}") from error


async def _gunzipped(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The members of a gzip file, one after the other."""
    opener = zlib.decompressobj(_GZIP)
    begun = False
    async for part in parts:
        left = part
        while left:
            begun = True
            try:
                yield opener.decompress(left, _UNPACKED_BYTES)
            except zlib.error as error:
                raise BadObject(f"The object is not GZIP: {error}") from error
            left = opener.unconsumed_tail
            if opener.eof:
                left, opener, begun = opener.unused_data, zlib.decompressobj(_GZIP), False
    if begun:
        raise BadObject("The object is not GZIP: it ends too early")


async def lines_of(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Lines without their ends; the last one needs none. Raises BadObject."""
    held = b""
    async for part in parts:
        *whole, held = (held + part).split(b"\n")
        for line in whole:
            yield line.removesuffix(b"\r")
        if len(held) > IMPORT_LINE_BYTES_MAX:
            raise BadObject(f"A line is longer than {IMPORT_LINE_BYTES_MAX} bytes")
    if held:
        yield held.removesuffix(b"\r")


class Items:
    """The items of one object's lines."""

    def __init__(self, given: Mapping[str, Any], types: Mapping[str, str]) -> None:
        self._format = given["InputFormat"]
        options = given.get("InputFormatOptions", {}).get("Csv", {})
        self._types = types
        self._delimiter = options.get("Delimiter", ",")
        self._header: Sequence[str] | None = options.get("HeaderList")
        self._held = ""

    @property
    def held(self) -> bool:
        """Whether an item is read in part."""
        return bool(self._held)

    def of(self, line: bytes) -> list[Item]:
        """The items of a line: none of a blank one. Raises ValidationException."""
        if self._format == "CSV":
            return self._of_csv(line)
        if not line.strip():
            return []
        if self._format == "DYNAMODB_JSON":
            return [item_of(line)]
        try:
            structs = ion.values_of(line.decode())
        except (ion.BadIon, UnicodeDecodeError) as error:
            raise ValidationException(f"The line is not Ion: {error}") from error
        if any("M" not in one.get("Item", {}) for one in structs):
            raise ValidationException("The line has no Item")
        return [one["Item"]["M"] for one in structs]

    def again(self, line: bytes) -> None:
        """Pass over a line that was read before; CSV's header and quotes reach over lines."""
        if self._format == "CSV":
            with suppress(ValidationException):
                self._of_csv(line)

    def end(self) -> None:
        """The object is over. Raises ValidationException where something is missing."""
        if self._held:
            raise ValidationException("A quoted value has no end")

    def _of_csv(self, line: bytes) -> list[Item]:
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            raise ValidationException("The line is not UTF-8") from error
        text = f"{self._held}\n{text}" if self._held else text
        if text.count('"') % 2:
            self._held = text  # A quoted value goes on in the next line.
            if len(text) > IMPORT_LINE_BYTES_MAX:
                raise BadObject(f"A line is longer than {IMPORT_LINE_BYTES_MAX} bytes")
            return []
        self._held = ""
        if not text.strip():
            return []
        [row] = csv.reader([text.replace("\n", "\0")], delimiter=self._delimiter)
        cells = [cell.replace("\0", "\n") for cell in row]
        if self._header is None:
            self._header = cells
            return []
        if len(cells) != len(self._header):
            raise ValidationException(
                f"The line has {len(cells)} values, and the header {len(self._header)}"
            )
        return [
            {
                name: self._value(name, cell)
                for name, cell in zip(self._header, cells, strict=True)
                if cell
            }
        ]

    def _value(self, name: str, cell: str) -> dict[str, Any]:
        """Keys of the table and its indexes are of their types, and all else is text."""
        kind = self._types.get(name, "S")
        if kind != "B":
            return {kind: cell}
        try:
            return {"B": b64decode(cell, validate=True)}
        except binascii.Error as error:
            raise ValidationException(f"The value of {name} is not in Base64") from error
