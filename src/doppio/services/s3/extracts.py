"""What listings show of an object, written when the object is: a page of a thousand is a join of texts.

The extract of a current version is a row beside its record, in the same order (`kernel.records`). It is
small, however large the record is with its body, and holds all of an entry that stands behind its key.
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol, cast

from doppio.wire.timestamps import parse_iso8601

if TYPE_CHECKING:
    from doppio._stubs import s3 as w


class Summed(Protocol):
    """A checksum, as far as listings show it."""

    @property
    def algorithm(self) -> str: ...
    @property
    def kind(self) -> str: ...


class Listable(Protocol):
    """A version, as far as listings show it."""

    @property
    def modified(self) -> datetime: ...
    @property
    def etag(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def checksum(self) -> Summed | None: ...
    @property
    def storage_class(self) -> str: ...


_LINE = re.compile(
    r"</Key><LastModified>(.{19}\.000Z)</LastModified><ETag>&quot;([^&]*)&quot;</ETag>"
    r"(?:<ChecksumAlgorithm>([^<]*)</ChecksumAlgorithm><ChecksumType>([^<]*)</ChecksumType>)?"
    r"<Size>(\d+)</Size><StorageClass>([^<]*)</StorageClass></Contents>"
)
_MIDDLE = (
    "&quot;</ETag><ChecksumAlgorithm>{}</ChecksumAlgorithm><ChecksumType>{}</ChecksumType><Size>"
)
_NO_CHECKSUM = "&quot;</ETag><Size>"
_END = "</Size><StorageClass>{}</StorageClass></Contents>"
# What most entries have alike is one byte each, that no text in UTF-8 has: CRC64NVME is what we compute
# where nothing was sent, CRC32 is what SDKs send.
_CHECKSUMS = {("CRC64NVME", "FULL_OBJECT"): "\xfd", ("CRC32", "FULL_OBJECT"): "\xfc"}
_MEANINGS = (
    (b"\xff", b"</Key><LastModified>"),
    (b"\xfe", b".000Z</LastModified><ETag>&quot;"),
    *((mark.encode("latin-1"), _MIDDLE.format(*of).encode()) for of, mark in _CHECKSUMS.items()),
    (b"\xfb", _END.format("STANDARD").encode()),
)


@lru_cache(maxsize=64)
def _begun(modified: datetime) -> str:
    """Up to the ETag: what comes together has the same second."""
    return f"\xff{modified.isoformat()[:19]}\xfe"


@lru_cache(maxsize=64)
def _checksum(algorithm: str, kind: str) -> str:
    return _CHECKSUMS.get((algorithm, kind)) or _MIDDLE.format(algorithm, kind)


def extract_of(version: Listable) -> bytes:
    """The entry of a version, from where its key ends, with short marks for what most have alike."""
    found, kind = version.checksum, version.storage_class
    middle = _NO_CHECKSUM if found is None else _checksum(found.algorithm, found.kind)
    end = "\xfb" if kind == "STANDARD" else _END.format(kind)
    return f"{_begun(version.modified)}{version.etag}{middle}{version.size}{end}".encode("latin-1")


def written_out(text: bytes) -> bytes:
    """A page of extracts and of keys (in UTF-8, which has none of the marks) as XML."""
    for mark, meaning in _MEANINGS:
        text = text.replace(mark, meaning)
    return text


def entry_of(key: str, extract: bytes) -> w.Object:
    """The same entry as the model's structure."""
    found = _LINE.fullmatch(written_out(extract).decode())
    assert found is not None, "written by `extract_of`"
    moment, etag, algorithm, kind, size, storage_class = found.groups()
    entry: w.Object = {
        "Key": key,
        "LastModified": parse_iso8601(moment),
        "ETag": f'"{etag}"',
        "Size": int(size),
        "StorageClass": cast("Any", storage_class),
    }
    if algorithm is not None:
        entry["ChecksumAlgorithm"] = [cast("Any", algorithm)]
        entry["ChecksumType"] = cast("Any", kind)
    return entry
