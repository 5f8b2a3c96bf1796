"""What listings show of an object, written when the object is: a page of a thousand is a join of texts.

The extract of a current version is a row beside its record, in the same order (`kernel.records`). It is
small, however large the record is with its body, and holds all of an entry that stands behind its key.
"""

from __future__ import annotations

import re
from datetime import datetime
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


class _Seconds:
    """Writes instants in whole seconds, and remembers the last: what comes together has the same."""

    __slots__ = ("_text", "_value")

    def __init__(self) -> None:
        self._value: datetime | None = None
        self._text = ""

    def text(self, value: datetime) -> str:
        if value != self._value:
            self._text = value.isoformat()[:19]
            self._value = value
        return self._text


_seconds = _Seconds()


def extract_of(version: Listable) -> bytes:
    """The entry of a version, from where its key ends."""
    found = version.checksum
    checksum = "" if found is None else (
        f"<ChecksumAlgorithm>{found.algorithm}</ChecksumAlgorithm>"
        f"<ChecksumType>{found.kind}</ChecksumType>"
    )  # fmt: skip
    return (
        f"</Key><LastModified>{_seconds.text(version.modified)}.000Z</LastModified>"
        f"<ETag>&quot;{version.etag}&quot;</ETag>{checksum}"
        f"<Size>{version.size}</Size><StorageClass>{version.storage_class}</StorageClass></Contents>"
    ).encode()


def entry_of(key: str, extract: bytes) -> w.Object:
    """The same entry as the model's structure."""
    found = _LINE.fullmatch(extract.decode())
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
